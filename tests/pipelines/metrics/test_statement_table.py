"""Statements as tables: rows with one cell for each column, years and lengths of the columns."""

import pytest
from sra_pipelines.metrics.fiscal_calendar import FiscalCalendar
from sra_pipelines.metrics.periods import Period
from sra_pipelines.metrics.statement_table import heading_lines, read_tables

STACKED = """SEA FERRIES INC.
STATEMENTS OF INCOME
(In millions)
Years Ended
December 2,
2022
December 3,
2021
Revenue:
Tickets $ 16.5 $ 14.2
Total revenue 17.6 15.7
Receivables, net of allowances of $2 and $3 5 4
Interest expense (1.2) —
Net income 4.7 4.8"""
QUARTERS = """In thousands (unaudited)
Three Months Ended Twelve Months Ended
December 31, 2022 December 31, 2021 December 31, 2022 December 31, 2021
Net sales $ 10 $ 9 $ 44 $ 40"""


def cells(row):
    return [None if cell is None else cell.text for cell in row.cells]


def column(table, year, *, is_period, calendar=FiscalCalendar()):  # noqa: B008 - it is frozen
    return table.column(Period(year), calendar, is_period=is_period)


def only(text):
    [table] = read_tables(text)
    return table


def test_columns_that_are_named_on_several_lines():
    table = only(STACKED)
    assert (table.columns.years, table.columns.months, table.columns.end_months, table.unit) == (
        (2022, 2021),
        (12, 12),
        (12,),
        "million",
    )
    assert [row.label for row in table.rows] == [
        "tickets", "total revenue", "receivables, net of allowances of $2 and $3", "interest expense", "net income",
    ]  # fmt: skip
    assert cells(table.rows[3]) == ["(1.2)", None]
    assert cells(table.rows[2]) == ["5", "4"]
    assert table.rows[0].group == "revenue"
    assert (column(table, 2021, is_period=True), column(table, 2022, is_period=False)) == (1, 0)


def test_the_year_is_chosen_among_periods_of_several_lengths():
    table = only(QUARTERS)
    assert table.columns.months == (3, 3, 12, 12)
    assert column(table, 2021, is_period=True) == 3
    assert column(table, 2021, is_period=False) == "several columns are for 2021"


@pytest.mark.parametrize(
    ("heading", "year", "is_period", "problem"),
    [
        (
            "Six Months Ended\nJuly 29, 2023 July 30, 2022",
            2023,
            True,
            "the column 2023 is for 6 months, not for a year",
        ),
        (
            "13 Weeks Ended\nApril 29, 2023 April 30, 2022",
            2022,
            True,
            "the column 2022 is for 3 months, not for a year",
        ),
        ("July 29, 2023 January 28, 2022", 2023, False, "the columns end in different months"),
        ("As of January 28, 2023 January 29, 2022", 2023, False, "is the financial year 2023 or 2022"),
        ("As of December 31, 2023 2022", 2021, False, "there is no column for 2021"),
        ("2023 2023", 2023, False, "several columns are for 2023"),
        ("At December 31, 2023", 2023, False, "does not have a year for each column"),
        ("Year Ended June 30\nThree Months Ended\n2023 2022", 2023, True, "does not say how long the period"),
        ("Three Months Six Months Nine Months Ended\n2023 2022", 2023, True, "does not say how long the period"),
    ],
)
def test_years_that_are_missing_or_ambiguous(heading, year, is_period, problem):
    table = only(f"{heading}\nTotal assets 5 4\nTotal equity 3 2")
    assert problem in column(table, year, is_period=is_period)


@pytest.mark.parametrize(
    "text", ["Total assets 5 4", "2023 2022\nProse about 2023.", "", "Revenue fell.\n...\nIt rose."]
)
def test_what_is_no_table(text):
    assert read_tables(text) == []


def test_cells_of_a_row_must_be_those_of_the_columns():
    table = only(
        "Year ended December 31, 2022 2021\nNote 2022 2021\nRevenue 3 9.5 8.5\nOther 7\nTax (1.0) (0.5)\nNet 3 2 1 0"
    )
    assert [(row.label, cells(row)) for row in table.rows] == [
        ("revenue", ["9.5", "8.5"]), ("other", []), ("tax", ["(1.0)", "(0.5)"]), ("net", []),
    ]  # fmt: skip
    piped = only("| | Note | 2025 | 2024 |\n| Revenue | 3 | 702.4 | 648.9 |\n| Cost of sales | | (571.2) | (535.0) |")
    assert [cells(row) for row in piped.rows] == [["702.4", "648.9"], ["(571.2)", "(535.0)"]]
    shares = only("Year ended December 31, 2022 2021\nSales $ 9.5 100.0% $ 8.5 100.0%\nNet income 1.5 15.8% 1.0 11.8%")
    assert [cells(row) for row in shares.rows] == [["$ 9.5", "$ 8.5"], ["1.5", "1.0"]]


def test_a_label_on_two_lines_and_marks_of_footnotes():
    table = only("2022 2021\nIncome before provision for taxes\non income (1) 9 8\nDebt — net * 7 6")
    assert [row.label for row in table.rows] == ["income before provision for taxes on income", "debt - net"]


def test_rows_that_were_left_out_are_known():
    table = only("2022 2021\nA 1 2\n...\nB 3 4\nC 5 6\n...")
    assert [(row.complete_above, row.complete_below) for row in table.rows] == [
        (True, False), (False, True), (True, False),
    ]  # fmt: skip


def test_a_page_that_names_no_columns_continues_the_table_of_the_page_before():
    [before] = read_tables("In millions\n2022 2021\nTotal assets 9 8")
    [table] = read_tables("Total liabilities 5 4\nTotal equity 4 4", before)
    assert (table.columns.years, table.unit, [row.label for row in table.rows]) == (
        (2022, 2021), "million", ["total liabilities", "total equity"],
    )  # fmt: skip
    assert read_tables("2020 2019\nTotal equity 4 4", before)[0].columns.years == (2020, 2019)


def test_two_tables_of_a_page_have_their_own_columns():
    first, second = read_tables("In millions\n2022 2021\nRevenue 9 8\nParent only\n2020 2019\nRevenue 4 3")
    assert (first.columns.years, second.columns.years) == ((2022, 2021), (2020, 2019))
    assert len(first.rows) == len(second.rows) == 1


def test_the_heading_names_the_company():
    assert heading_lines(STACKED)[:2] == ["SEA FERRIES INC.", "STATEMENTS OF INCOME"]
    assert "Tickets $ 16.5 $ 14.2" not in heading_lines(STACKED)


def test_the_date_of_the_document_is_not_that_of_a_column():
    table = only("March 5, 2023\nYears ended December 31, 2022 2021\nTotal assets 5 4")
    assert table.columns.ends == ((2022, 12), (2021, 12))
    table = only("March 5, 2023\nDecember 31,\n2022\nDecember 31,\n2021\nTotal assets 5 4")
    assert table.columns.ends == ((2022, 12), (2021, 12))


def test_the_first_days_of_a_month_are_the_end_of_the_month_before():
    table = only("As of\nJanuary 1, 2023 January 2, 2022\nTotal assets 5 4")
    assert table.columns.ends == ((2022, 12), (2021, 12))
    assert column(table, 2022, is_period=False) == 0


@pytest.mark.parametrize(
    ("heading", "months", "ends"),
    [
        ("1. Januar bis 31. Dezember\n2023 2022", (12, 12), ((2023, 12), (2022, 12))),
        ("1 January to 30 June 2023 1 January to 30 June 2022", (6, 6), ((2023, 6), (2022, 6))),
        ("30.06.2023 31.12.2022", (0, 0), ((2023, 6), (2022, 12))),
        ("Semestre clos le 30 juin\n2023 2022", (6, 6), ((2023, 6), (2022, 6))),
        ("Q2 2023 Q2 2022", (3, 3), (None, None)),
        ("2. Quartal 2023 2. Quartal 2022", (3, 3), (None, None)),
        ("July 29, 2023 January 28, 2023", (0, 0), ((2023, 7), (2023, 1))),
    ],
)
def test_lengths_and_ends_of_columns(heading, months, ends):
    columns = only(f"{heading}\nTotal assets 5 4\nTotal equity 3 2").columns
    assert (columns.months, columns.ends) == (months, ends)
