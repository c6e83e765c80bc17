"""Statements, notes and clauses of documents in German and French."""

from pathlib import Path

import pytest
from sra_pipelines.structure.page_kinds import document_types, find_page_kinds

DOCUMENTS = Path(__file__).parents[3] / "benchmarks" / "other_documents"


def sections(name):
    """Return the sections of a document as its pages, and the page of each heading."""
    text = (DOCUMENTS / f"{name}.md").read_text(encoding="utf-8").replace("|", " ").replace("\n#! ", "\n# ")
    pages = dict(enumerate(text.removeprefix("# ").split("\n# ")))
    return pages, {page.partition("\n")[0]: number for number, page in pages.items()}


@pytest.mark.parametrize(
    ("name", "statements", "notes"),
    [
        (
            "geschaeftsbericht",
            {
                "income_statement": "Konzern-Gewinn- und Verlustrechnung",
                "balance_sheet": "Konzernbilanz",
                "cash_flow_statement": "Konzern-Kapitalflussrechnung",
            },
            {"1": "Allgemeine Angaben"},
        ),
        (
            "rapport_annuel",
            {
                "income_statement": "Compte de résultat consolidé",
                "balance_sheet": "Bilan consolidé",
                "cash_flow_statement": "Tableau des flux de trésorerie consolidé",
            },
            {"1": "Principes comptables"},
        ),
        (
            "ifrs_report",
            {
                "income_statement": "Consolidated income statement",
                "balance_sheet": "Consolidated statement of financial position",
                "cash_flow_statement": "Consolidated statement of cash flows",
                "comprehensive_income": "Consolidated statement of comprehensive income",
            },
            {"1": "Basis of preparation", "2": "Significant judgements", "3": "Revenue and segments"},
        ),
    ],
)
def test_the_statements_and_notes_of_a_report(name, statements, notes):
    pages, places = sections(name)
    kinds = find_page_kinds(pages)
    found = {page.kind: page.page_index for page in reversed(kinds) if page.kind in statements}
    assert found == {kind: places[title] for kind, title in statements.items()}
    assert notes.items() <= {page.number: page.title for page in kinds if page.kind == "note"}.items()
    assert document_types(pages, kinds) == {"filing"}


@pytest.mark.parametrize(
    ("name", "clauses"),
    [
        (
            "mietvertrag",
            {"3": "Mietzeit", "9": "Untervermietung und Gebrauchsüberlassung", "10": "Haftung der Vermieterin"},
        ),
        ("contrat_maintenance", {"4": "Dépannage", "8": "Responsabilité", "13": "Résiliation"}),
        ("supply_agreement", {"2": "Commencement and duration", "16": "Transfer"}),
    ],
)
def test_the_clauses_of_a_contract(name, clauses):
    pages, _ = sections(name)
    kinds = find_page_kinds(pages)
    assert clauses.items() <= {page.number: page.title for page in kinds if page.kind == "clause"}.items()
    assert document_types(pages, kinds) == {"contract"}
