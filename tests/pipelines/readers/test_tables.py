"""Tables of all formats: spans, empty cells, headings of several levels, and rows that no heading applies to."""

from random import Random

import docx
import pytest
from sra_pipelines.readers import read_document
from sra_pipelines.readers.grid import kinds
from sra_pipelines.readers.grid.cells import GridRow
from sra_pipelines.readers.grid.kinds import VALUES, Kind, is_value, kind_of
from sra_pipelines.readers.grid.wide_rows import join_cells
from sra_pipelines.readers.tables import Cell, table_lines, whole_table_lines
from sra_pipelines.reading.splitting import split_document


def lines(*rows, **options):
    return list(table_lines([row.split("|") if isinstance(row, str) else row for row in rows], **options))


def read_html(tmp_path, body):
    (tmp_path / "page.html").write_text(f"<html><body>{body}</body></html>", encoding="utf-8")
    return read_document(tmp_path / "page.html").pages[0].text.split("\n")


# -- names of columns --------------------------------------------------------------------------------------------------


def test_empty_cells_keep_values_in_their_columns():
    assert lines("Item|2022|2023", "Fees||500", "Costs|120|") == [
        "Item | 2022 | 2023",
        "Item: Fees | 2023: 500",
        "Item: Costs | 2022: 120",
    ]
    assert lines("Fees||500", "Costs|120|") == ["Fees | | 500", "Costs | 120"]
    assert join_cells(["", "a", "", "", "b", ""]) == "| a | | | b"


def test_a_row_longer_than_a_passage_repeats_its_label_and_is_cut_between_cells():
    names = ["Customer", *[f"Monthly usage measure number {i}" for i in range(60)], "Remarks"]
    remarks = "All of it was agreed. " * 60
    head, first, second = lines(
        names, ["Brisk", *map(str, range(100, 160)), remarks], ["Alba", *map(str, range(60)), ""]
    )
    assert all(len(line) <= 400 for line in "\n".join([head, first, second]).split("\n"))
    assert " | ".join(head.split("\n")) == " | ".join(names)
    assert all(line.startswith("Customer: Brisk | ") for line in first.split("\n"))
    cells = [cell for line in first.split("\n") for cell in line.split(" | ")[1:]]
    assert cells[:60] == [f"Monthly usage measure number {i}: {i + 100}" for i in range(60)]
    assert all(cell.startswith("Remarks: All of it") for cell in cells[60:])
    assert " ".join(cell.removeprefix("Remarks: ") for cell in cells[60:]) == remarks.strip()


def test_passages_of_a_wide_table_state_whose_row_they_belong_to(tmp_path):
    rows = [[f"Measure of usage {i}" for i in range(80)], *[[str(1000 * c + i) for i in range(80)] for c in range(4)]]
    rows = [["Customer", *rows[0]], *[[f"Customer{c}", *row] for c, row in enumerate(rows[1:])]]
    (tmp_path / "wide.csv").write_text("\n".join(map(",".join, rows)), encoding="utf-8")
    passages = split_document(read_document(tmp_path / "wide.csv"))
    for passage in passages:
        for line in passage.text.split("\n"):
            assert line.startswith(("Customer: Customer", "Customer | ", "Measure of usage"))
            assert not line.startswith("Measure") or ": " not in line  # a heading


@pytest.mark.parametrize(
    "rows",
    [
        ["Contract|Alba Lease", "Tenant|Brisk Ltd", "Rent|82400", "Deposit|500"],
        ["Tenant|Brisk Ltd", "Rent|82400", "Deposit|500"],
        ["Tenant:|Brisk", "Rent:|500"],
        ["Customer|Alba", "Rate|5%", "Start|2024-03-01"],
    ],
)
def test_a_list_of_names_and_values_has_no_column_names(rows):
    assert lines(*rows) == [row.replace("|", " | ") for row in rows]


@pytest.mark.parametrize(
    ("head", "row", "expected"),
    [
        ("Region|Sales", "North|12", "Region: North | Sales: 12"),
        ("Item|2023", "Rent|500", "Item: Rent | 2023: 500"),
        ("|2023", "Rent|500", "Rent | 2023: 500"),
        ("Due|Paid", "2024-03-01|TRUE", "Due: 2024-03-01 | Paid: TRUE"),
        ("Name|City|Role", "Jo|Orrin|chief", "Name: Jo | City: Orrin | Role: chief"),
    ],
)
def test_the_first_row_names_the_columns(head, row, expected):
    assert lines(head, row)[1] == expected


@pytest.mark.parametrize("rows", [["2024-03-01|INFO|Start", "2024-03-02|WARN|Stop"], ["Jo|2021|Orrin", "Al|2022|Alt"]])
def test_a_first_row_of_values_names_nothing(rows):
    assert lines(*rows) == [row.replace("|", " | ") for row in rows]


def test_texts_alone_are_not_headings_where_the_first_row_need_not_be_one():
    assert lines("Home|Products|Contact", "Rent|Tax|Fees", first_row_names=False)[1] == "Rent | Tax | Fees"


@pytest.mark.parametrize("gap", [[""], []])
def test_a_second_table_has_its_own_names(gap):
    assert lines("Item|2023|2022", "Revenue|500|400", *gap, "Region|Staff|Sites", "North|12|3")[-2:] == [
        "Region | Staff | Sites",
        "Region: North | Staff: 12 | Sites: 3",
    ]


def test_a_second_table_after_a_title_has_its_own_names():
    read = lines("Item|2023|2022", "Revenue|500|400", "", "Staff by region||", "Region|Q1|Q2", "North|12|3")
    assert read[-3:] == ["Item: Staff by region", "Region | Q1 | Q2", "Region: North | Q1: 12 | Q2: 3"] or read[
        -3:
    ] == [
        "Staff by region",
        "Region | Q1 | Q2",
        "Region: North | Q1: 12 | Q2: 3",
    ]


def test_rows_after_a_gap_keep_the_names_only_if_their_values_fit():
    read = lines("Item|2023|2022", "Revenue|500|400", "", "Costs|300|-", "", "Prepared by|Jane|")
    assert read[-2:] == ["Item: Costs | 2023: 300 | 2022: -", "Prepared by | Jane"]


def test_a_row_of_texts_in_a_table_is_not_taken_for_a_heading():
    read = lines("Item|Alba|Brisk", "Revenue|500|400", "Auditor|Ernest|Delia", "Sites|12|3")
    assert read[-1] == "Item: Sites | Alba: 12 | Brisk: 3"


@pytest.mark.parametrize(
    "head",
    [
        [["", Cell("2023", columns=2), Cell("2022", columns=2)], ["Item", "Actual", "Plan", "Actual", "Plan"]],
        [
            [Cell("Item", rows=2), Cell("2023", columns=2), Cell("2022", columns=2)],
            ["Actual", "Plan", "Actual", "Plan"],
        ],
        ["|2023||2022|", "Item|Actual|Plan|Actual|Plan"],
        [[Cell("Report", columns=5)], ["", "2023", "", "2022", ""], ["Item", "Actual", "Plan", "Actual", "Plan"]],
    ],
)
def test_two_rows_of_headings_are_joined(head):
    assert lines(*head, "Rent|110|100|95|90")[-1] == (
        "Item: Rent | 2023 Actual: 110 | 2023 Plan: 100 | 2022 Actual: 95 | 2022 Plan: 90"
    )


@pytest.mark.parametrize("rows", [["Rent|2000|1950", "Tax|100|200"], ["Rent|2000", "Fee|500"]])
def test_amounts_that_look_like_years_name_nothing(rows):
    assert lines(*rows) == [row.replace("|", " | ") for row in rows]
    named = lines("Item|2023|2022", "Wages|300|200", *rows)
    assert named[2].startswith("Item: Rent | 2023: 2000")


def test_units_below_names_belong_to_them():
    assert lines("Item|2023|2022", "|£m|£m", "Rent|5|4")[-1] == "Item: Rent | 2023 £m: 5 | 2022 £m: 4"


def test_a_repeated_heading_is_no_row():
    assert lines("Item|2023|2022", "Rent|5|4", "Item|2023|2022", "Tax|3|2")[-2:] == [
        "Item | 2023 | 2022",
        "Item: Tax | 2023: 3 | 2022: 2",
    ]


# -- spans -------------------------------------------------------------------------------------------------------------


def test_a_label_over_several_rows_is_in_each_of_them():
    rows = [["Region", "Quarter", "Sales"], [Cell("North", rows=2), "Q1", "10"], ["Q2", "20"], ["South", "Q1", "30"]]
    assert lines(*rows)[1:] == [
        "Region: North | Quarter: Q1 | Sales: 10",
        "Region: North | Quarter: Q2 | Sales: 20",
        "Region: South | Quarter: Q1 | Sales: 30",
    ]


def test_a_label_continues_below_a_row_without_text():
    rows = [["Region", "Quarter", "Sales"], ["North", "Q1", "10"], [Cell("", above=True), "", ""],
            [Cell("", above=True), "Q2", "20"]]  # fmt: skip
    assert lines(*rows)[-1] == "Region: North | Quarter: Q2 | Sales: 20"


def test_a_value_over_several_columns_has_the_names_of_all():
    assert lines("Item|2023|2022", ["Rent", "5", "4"], ["Tax", Cell("7", columns=2)])[-1] == "Item: Tax | 2023, 2022: 7"


def test_spans_beyond_the_table_and_over_each_other_are_read():
    rows = [[Cell("a", rows=60_000, columns=2), "b"], [Cell("c", columns=90_000)], ["d"], [Cell("x", above=True)]]
    assert lines(*rows)[0] == "a | b"
    assert lines(*rows)[1:] == ["a | c", "a | d"]


def test_many_cells_over_many_rows_are_not_multiplied():
    rows = [[Cell("label " * 20, rows=60_000)] * 300, *[["y"]] * 100, *[[]] * 5000]
    assert sum(map(len, lines(*rows))) < 600_000


def test_a_long_text_over_many_rows_is_not_multiplied():
    rows = [[Cell("long " * 1000, rows=1000), "x"], *[["y"]] * 999]
    assert sum(map(len, lines(*rows))) < 20_000


# -- HTML and Word -----------------------------------------------------------------------------------------------------


def test_a_table_of_a_filing_has_one_column_for_each_amount():
    def cells(label, *values):
        row = [Cell(label, columns=3)]
        for value in values:
            row += ["", *value]
        return row

    rows = [
        [Cell("", columns=3), "", Cell("2023", columns=3), "", Cell("2022", columns=3)],
        cells("Revenue", ("$", "5,363", ""), ("$", "4,869", "")),
        cells("Costs", ("", "(300", ")"), ("", "200", "")),
        cells("Growth", ("", "10", "%"), ("", "(2", ")%")),
    ]
    assert whole_table_lines(rows) == [
        "2023 | 2022",
        "Revenue | 2023: $ 5,363 | 2022: $ 4,869",
        "Costs | 2023: (300) | 2022: 200",
        "Growth | 2023: 10% | 2022: (2)%",
    ]


def test_html_spans_and_headings(tmp_path):
    assert read_html(
        tmp_path,
        "<table><caption>Rent</caption><thead><tr><th rowspan=2>Flat</th><th colspan=2>2023</th></tr>"
        "<tr><th>Actual</th><th>Plan</th></tr></thead>"
        "<tr><th rowspan=2>North</th><td>1</td><td>2</td></tr><tr><td></td><td>4</td></tr></table>",
    ) == [
        "Rent",
        "Flat | 2023 Actual | 2023 Plan",
        "Flat: North | 2023 Actual: 1 | 2023 Plan: 2",
        "Flat: North | 2023 Plan: 4",
    ]


def test_titles_of_parts_are_no_names(tmp_path):
    assert read_html(
        tmp_path,
        "<table><tr><th colspan=3>Report</th></tr><tr><th></th><th>Q1</th><th>Q2</th></tr>"
        "<tr><th colspan=3>Income</th></tr><tr><td>Rent</td><td>1</td><td>2</td></tr>"
        "<tr><th colspan=3>Costs</th></tr><tr><td>Tax</td><td>3</td><td>4</td></tr></table>",
    ) == ["Report", "Q1 | Q2", "Income", "Rent | Q1: 1 | Q2: 2", "Costs", "Tax | Q1: 3 | Q2: 4"]


def test_a_table_of_one_cell_is_a_frame_around_text(tmp_path):
    assert read_html(
        tmp_path, "<table><tr><td><p>Dear Ms Orrin,</p><p>the <b>rent</b> is 500.</p></td></tr></table>"
    ) == [
        "Dear Ms Orrin,",
        "the rent is 500.",
    ]


def test_a_table_in_a_table_for_layout_is_read_as_a_table(tmp_path):
    inner = "<table><tr><th>Item</th><th>2023</th></tr><tr><td>Rent</td><td>5</td></tr></table>"
    assert read_html(tmp_path, f"<table><tr><td>Menu</td><td><h2>Rent</h2>{inner}</td><td>Side</td></tr></table>") == [
        "Menu",
        "Rent",
        "Item | 2023",
        "Item: Rent | 2023: 5",
        "Side",
    ]


def test_word_tables_with_merged_and_empty_cells(tmp_path):
    document = docx.Document()
    table = document.add_table(rows=4, cols=3)
    for row, cells in zip(table.rows, ["Region|2022|2023", "North||500", "|120|", "South|1|2"], strict=True):
        for cell, text in zip(row.cells, cells.split("|"), strict=True):
            cell.text = text
    table.cell(1, 0).merge(table.cell(2, 0))
    document.save(tmp_path / "a.docx")
    assert read_document(tmp_path / "a.docx").pages[0].text.split("\n") == [
        "Region | 2022 | 2023",
        "Region: North | 2023: 500",
        "Region: North | 2022: 120",
        "Region: South | 2022: 1 | 2023: 2",
    ]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Margin", Kind.TEXT),
        ("Marginal cost 5", Kind.TEXT),
        ("Market 2023", Kind.TEXT),
        ("Endowment fund", Kind.TEXT),
        ("Junebug", Kind.TEXT),
        ("Ending balance", Kind.TEXT),
        ("Dividends declared", Kind.TEXT),
        ("March 2020", Kind.PERIOD),
        ("sept 2020", Kind.PERIOD),
        ("Year ended December 31,", Kind.PERIOD),
        ("Balance as of 31 March", Kind.PERIOD),
        ("Position AS AT year end", Kind.PERIOD),
        ("March 5, 2020", Kind.DATE),
        ("USD 5", Kind.AMOUNT),
        ("USDEUR5", Kind.AMOUNT),
        ("krUSD 5", Kind.AMOUNT),
        ("TRUE", Kind.AMOUNT),
        ("Null", Kind.PLACEHOLDER),
        ("None", Kind.PLACEHOLDER),
    ],
)
def test_text_that_begins_with_a_word_is_a_label_unless_another_kind_begins_so(text, kind):
    assert kind_of(text) is kind


def test_currency_signs_are_joined_without_comparing_rows(monkeypatch):
    """Each row compared with each other one took minutes for a long table."""

    def compared(row, other):
        raise AssertionError("rows were compared")

    monkeypatch.setattr(GridRow, "__eq__", compared)
    rows = [["Item", "", "2023"], *[[f"Item {row}", "$" if row % 2 else "", f"{row:,}"] for row in range(9)]]
    assert whole_table_lines(rows)[2] == "Item: Item 1 | 2023: $ 1"


@pytest.mark.parametrize(
    "rows",
    [
        [["Tenant", "Brisk"], ["End", "31 March 2027"], ["Deposit", "500"], ["Rent", "82,400"]],
        [["End", "31 March 2027"], ["Deposit", "500"], ["Rent", "82,400"]],
        [["Date", "2024-03-01"], ["Deposit", "500"], ["Rent", "82,400"]],
        [["Period", "FY2023"], ["Deposit", "500"], ["Rent", "82,400"]],
        [["Start", "March 2024"], ["Deposit", "500"]],
        [["Tenant", "Brisk"], ["Telephone", "(555) 123-4567"], ["Deposit", "500"], ["Rent", "82,400"]],
        [["Tenant", "Brisk"], ["Item", "Total price"], ["Deposit", "500"], ["Rent", "82,400"]],
    ],
)
def test_a_day_or_telephone_number_in_a_list_of_names_and_values_names_no_column(rows):
    assert list(table_lines(rows)) == [" | ".join(row) for row in rows]


@pytest.mark.parametrize(
    "head", [["Item", "31 March 2027"], ["", "March 2024"], ["(in millions)", "FY2023"], ["Cash", "Year ended 2023"]]
)
def test_a_day_above_amounts_names_their_column(head):
    name = f"{head[0]}: " if head[0] else ""
    assert list(table_lines([head, ["Rent", "500"], ["Fees", "120"]]))[1:] == [
        f"{name}Rent | {head[1]}: 500",
        f"{name}Fees | {head[1]}: 120",
    ]


def kind_by_expressions(text):
    if text in ("TRUE", "FALSE"):
        return Kind.AMOUNT
    if len(text) > 60 or kinds._WORDS.fullmatch(text):
        return Kind.TEXT
    named = {kinds._PLACEHOLDER: Kind.PLACEHOLDER, kinds._DATE: Kind.DATE, kinds._PERIOD: Kind.PERIOD}
    known = [kind for expression, kind in named.items() if expression.fullmatch(text)]
    return [*known, Kind.AMOUNT if kinds._AMOUNT.fullmatch(text) else Kind.TEXT][0]


def test_kinds_that_are_seen_at_once_are_those_of_the_expressions():
    """Most texts are recognized without the expressions, for speed; the result must be the same."""
    random = Random(7)
    parts = ["$", "€", "(", ")", "-", ",", ".", "%", " ", "1", "23", "456", "2023", "12345", "Item", "May", "as of",
             "ended", "March", "USD", "kr", "TRUE", "none", "é", "kg", "/"]  # fmt: skip
    texts = [" ".join("".join(random.choices(parts, k=random.randint(1, 5))).split()) for _ in range(20_000)]
    texts = [text for text in texts if text]
    quick = [kind_of(text) for text in texts]
    values = [is_value(text) for text in texts]
    expected = [kind_by_expressions(text) for text in texts]
    assert [(t, a, b) for t, a, b in zip(texts, quick, expected, strict=True) if a is not b] == []
    assert values == [kind in VALUES for kind in expected]
    assert set(quick) == set(Kind) - {Kind.EMPTY}


@pytest.mark.parametrize(("note", "last"), [("12", "Cost | paid | 7"), ("due", "Item: Cost | Note: paid | 2023: 7")])
def test_a_column_has_amounts_from_the_row_that_has_the_first_one(note, last):
    """After a blank row, a text in a column of amounts shows that another table begins."""
    rows = [["Item", "Note", "2023"], ["Rent", "paid", "500"], ["Fees", note, "120"], [], ["Cost", "paid", "7"]]
    assert list(table_lines(rows))[-1] == last
