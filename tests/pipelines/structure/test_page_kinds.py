"""What pages are: statements by title and rows, the cover page, items, notes, clauses and tables."""

from pathlib import Path

import pytest
from sra_pipelines.structure.page_kinds import document_types, find_page_kinds
from sra_pipelines.structure.page_lines import page_lines

PAGES = (Path(__file__).parent / "filing.txt").read_text(encoding="utf-8").split("\n\f\n")
NUMBERED = dict(enumerate(PAGES))
INCOME, BALANCE, CASH = PAGES[4], PAGES[5], PAGES[7]
CONTRACT = (Path(__file__).parent / "contract.txt").read_text(encoding="utf-8")


def kinds(pages):
    return {(kind.page_index, kind.kind, kind.number) for kind in find_page_kinds(pages) if kind.kind != "table"}


@pytest.mark.parametrize(
    ("line", "label"),
    [
        ("Net sales $ 300.5 $ 275.1", "net sales"),
        ("Cost of sales (180.2) (170.4)", "cost of sales"),
        ("Accounts receivable — net of allowances of $95 and $103 5,020 4,911", "accounts receivable — net of "
         "allowances of $95 and"),
        ("Liabilities held for sale — 65", "liabilities held for sale"),
        ("Gross margin 39.6 % 39.0 %", "gross margin"),
        ("Segment assets 12 13 (a)", "segment assets"),
        ("Note 5 - Acquisitions and Divestitures", ""),
        ("As the 2 ferries sailed.", ""),
        ("2023 2022", ""),
        ("Current assets:", ""),
    ],
)  # fmt: skip
def test_a_row_is_a_label_and_amounts(line, label):
    assert page_lines(f"  {line}\n\n")[0].label == label


def test_statements_are_found_by_title_and_rows():
    found = kinds(NUMBERED)
    assert {(4, "income_statement", ""), (5, "balance_sheet", ""), (7, "cash_flow_statement", "")} <= found
    assert not [kind for kind in found if kind[0] in (1, 2, 3, 8, 9) and kind[1].endswith(("statement", "sheet"))]


def test_a_statement_continues_on_the_next_page():
    assert (6, "balance_sheet", "") in kinds(NUMBERED)
    apart = {5: PAGES[5], 7: PAGES[6]}
    assert (7, "balance_sheet", "") not in kinds(apart)


def test_the_consolidated_statements_come_before_those_of_the_parent():
    parent = BALANCE.replace("Consolidated Balance Sheets", "Balance Sheets (Parent Company Only)")
    found = [kind.page_index for kind in find_page_kinds({0: parent, 1: BALANCE}) if kind.kind == "balance_sheet"]
    assert found == [1, 0]


def test_without_a_title_many_typical_rows_are_needed():
    untitled = "\n".join(INCOME.split("\n")[3:])
    assert (0, "income_statement", "") in kinds({0: untitled})
    assert not kinds({0: "\n".join(untitled.split("\n")[:5])})


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("CASH FLOWS STATEMENTS", "cash_flow_statement"),
        ("STATEMENTS OF CONSOLIDATED CASH FLOWS (unaudited)", "cash_flow_statement"),
        ("INCOME STATEMENTS", "income_statement"),
        ("Consolidated statement of profit or loss", "income_statement"),
        ("C ONSOLIDATED S TATEMENTS OF O PERATIONS", "income_statement"),
        ("Consolidated Statements of (Loss) Income", "income_statement"),
        ("Group statement of financial position", "balance_sheet"),
        ("Consolidated Statements of Condition", "balance_sheet"),
    ],
)
def test_titles_of_statements(title, kind):
    page = {"income_statement": INCOME, "balance_sheet": BALANCE, "cash_flow_statement": CASH}[kind]
    text = "\n".join([title, *page.split("\n")[3:9]])
    found = [(page.kind, page.title) for page in find_page_kinds({0: text}) if page.kind != "table"]
    assert found == [(kind, title)]


def test_cover_items_and_notes():
    found = kinds(NUMBERED)
    assert (0, "cover_page", "") in found
    assert {(2, "item", "1"), (2, "item", "1A"), (3, "item", "1A"), (3, "item", "7")} <= found
    assert not [kind for kind in found if kind[0] == 1], "a table of contents is no item"
    assert {(8, "note", "1"), (8, "note", "2"), (9, "note", "2"), (9, "note", "3")} <= found
    titles = {kind.number: kind.title for kind in find_page_kinds(NUMBERED) if kind.kind == "note"}
    assert titles == {"1": "Summary of Significant Accounting Policies", "2": "Leases", "3": "Income Taxes"}


def test_notes_that_are_only_numbered_follow_each_other():
    pages = {
        0: "Notes to the consolidated financial statements\n1. Basis of preparation\nText.\n2. Revenue\nText.",
        1: "(1) Included in other assets\n7. Goodwill\nText.\n3. Leases\nText.",
    }
    found = [(kind.number, kind.title) for kind in find_page_kinds(pages) if kind.kind == "note"]
    assert dict(found) == {"1": "Basis of preparation", "2": "Revenue", "3": "Leases"}


def test_clauses_and_tables():
    found = find_page_kinds({0: CONTRACT})
    assert {(kind.number, kind.title) for kind in found if kind.kind == "clause"} == {
        ("1", "Definitions"), ("2", "Term and Renewal"), ("3", "Rent"), ("4", "Termination"), ("5", "Governing Law"),
    }  # fmt: skip
    [title] = [kind.title for kind in find_page_kinds(NUMBERED) if kind.kind == "table" and kind.page_index == 3]
    assert title.endswith("margins are a useful metric. Revenue by route")  # without the lines about unit and periods


def test_types_of_documents():
    assert document_types(NUMBERED, find_page_kinds(NUMBERED)) == {"filing"}
    assert document_types({0: CONTRACT}, find_page_kinds({0: CONTRACT})) == {"contract"}
    assert document_types({0: "Tulips bloom."}, find_page_kinds({0: "Tulips bloom."})) == frozenset()
