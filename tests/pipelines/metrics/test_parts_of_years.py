"""Quarters, half-years and dates: which column is meant, and when that is not certain."""

import pytest
from sra_pipelines.metrics.compute_metric import computed_metric
from sra_pipelines.presets import load_preset
from sra_pipelines.retrieval.placing import PlacedStatement
from sra_pipelines.values import Passage

METRICS = load_preset("financial").metrics
INCOME = """CONDENSED STATEMENTS OF INCOME
$ million (unaudited)
Three Months Ended Six Months Ended
{now} {before} {now} {before}
Net sales 50 40 90 78
Cost of sales (30) (26) (56) (50)
Gross profit 20 14 34 28
Net income 7 5 12 9"""
BALANCE = """CONDENSED BALANCE SHEETS
$ million
{now} {year_end} {before}
Cash and cash equivalents 8 10 6
Total current assets 30 33 28
Total current liabilities 15 11 14
Total assets 70 75 68"""
CASH = """CONDENSED STATEMENTS OF CASH FLOWS
$ million
Six Months Ended
{now} {before}
Net cash provided by operating activities 14 11
Capital expenditures (5) (4)"""
CALENDAR = {"now": "June 30, 2023", "before": "June 30, 2022", "year_end": "December 31, 2022"}
WEEKS = {"now": "August 5, 2023", "before": "July 30, 2022", "year_end": "January 28, 2023"}
QUARTER = "We opened two stores in the second quarter of fiscal 2024, which ended on August 5, 2023."
KINDS = ("income_statement", "balance_sheet", "cash_flow_statement")


def compute(question, dates=CALENDAR, *sentences, texts=(INCOME, BALANCE, CASH)):
    pages = [Passage("report", n, str(n), text.format(**dates), end=1) for n, text in enumerate(texts)]
    others = [Passage("report", 9 + n, str(n), text, end=len(text)) for n, text in enumerate(sentences)]
    pages = [Passage(p.document, p.page_index, p.page_label, p.text, end=len(p.text)) for p in pages]
    placed = [PlacedStatement("report", n, kind) for n, kind in zip(range(len(texts)), KINDS, strict=False)]
    known = {(page.document, page.page_index): [page] for page in (*pages, *others)}
    return computed_metric(question, pages, placed, METRICS, pages=known)


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("What was revenue in Q2 2023?", "revenue Q2 2023: 50 ($ million)"),
        ("What was revenue in the second quarter of 2022?", "revenue Q2 2022: 40 ($ million)"),
        ("What was the gross margin in H1 2023?", "gross margin first half of 2023: 34 / 90 = 37.78%"),
        ("Did the net margin improve in Q2 2023?", "net margin Q2 2022: 5 / 40 = 12.50%; Q2 2023: 7 / 50 = 14.00%; "
         "change = +1.50 percentage points"),
        ("What was free cash flow in the first six months of 2023?", "free cash flow first half of 2023: 14 - 5 = 9 ($ "
         "million)"),
        ("What was the current ratio at the end of Q2 2023?", "current ratio Q2 2023: 30 / 15 = 2.00"),
        ("What were total assets at the end of 2022?", "total assets 2022: 75 ($ million)"),
        ("What were total assets as of June 30, 2022?", "total assets June 30, 2022: 68 ($ million)"),
        ("By how much did cash and cash equivalents change between FY2022 and Q2 2023?", "cash and cash equivalents "
         "2022: 10 ($ million); Q2 2023: 8 ($ million); change = -2 (-20.00%)"),
        ("What was revenue in the three months ended June 30, 2023?", "revenue 3 months to June 30, 2023: 50 ($ "
         "million)"),
    ],
)  # fmt: skip
def test_what_is_computed(question, text):
    calculation, note = compute(question)
    assert (calculation and calculation.text, note) == (text, "")


@pytest.mark.parametrize(
    ("question", "problem"),
    [
        ("What was revenue in 2023?", "the column 2023 is for 3 months, not for a year"),
        ("What was revenue in Q1 2023?", "there is no column for Q1 2023"),
        ("What was capex in Q2 2023?", "the column Q2 2023 is for 6 months, not for 3 months"),
        ("What was return on assets in Q2 2023?", "not combined with those of a balance sheet"),
        ("What was the operating cash flow ratio in H1 2023?", "not combined with those of a balance sheet"),
        ("What was revenue in Q2 2023 and 2022?", "the column 2022 is for 3 months, not for a year"),
        ("How did revenue change from Q2 2023 to H1 2023?", "do not have the same length"),
        ("What was revenue in the six months ended June 29, 2023?", "there is no column for 6 months to June 29, 2023"),
        ("What was revenue as of June 30, 2023?", "names a date, and the amounts of the row are those of a period"),
    ],
)
def test_what_is_not_certain_or_missing(question, problem):
    calculation, note = compute(question)
    assert calculation is None
    assert problem in note


def test_a_financial_year_that_ends_early_has_the_name_that_the_document_gives_it():
    assert compute("What was revenue in Q2 of fiscal 2024?", WEEKS, QUARTER)[0].result == 50
    assert compute("What were total assets in FY2023?", WEEKS, QUARTER)[0].result == 75
    named_before = "Fiscal 2022 (ended January 28, 2023) had 52 weeks."
    assert compute("What was revenue in Q2 of fiscal 2023?", WEEKS, named_before)[0].result == 50
    assert compute("What were total assets in FY2022?", WEEKS, named_before)[0].result == 75


@pytest.mark.parametrize(
    ("sentences", "problem"),
    [
        ((), "in which calendar year the financial year 2024 ends"),
        ((QUARTER, "fiscal 2022 ended January 28, 2023"), "in which calendar year the financial year 2024 ends"),
        (("fiscal 2026 ended January 28, 2023",), "in which calendar year the financial year 2024 ends"),
    ],
)
def test_without_a_name_or_with_two_nothing_is_computed(sentences, problem):
    calculation, note = compute("What was revenue in Q2 of fiscal 2024?", WEEKS, *sentences)
    assert calculation is None
    assert problem in note
    assert "is the financial year" in compute("What were total assets in 2023?", WEEKS, *sentences)[1]


def test_a_quarter_of_another_year_than_the_calendar_year_must_be_called_fiscal():
    autumn = {"now": "March 31, 2023", "before": "March 31, 2022", "year_end": "September 30, 2022"}
    assert "write 'fiscal'" in compute("What was revenue in Q2 2023?", autumn)[1]
    assert compute("What was revenue in Q2 of fiscal 2023?", autumn)[0].result == 50
    assert compute("What was revenue in Q1 of fiscal 2023?", autumn)[0] is None


def test_the_end_of_the_year_is_not_guessed():
    # A quarter alone can be any; columns of nine and of twelve months with the same end contradict each other.
    alone = INCOME.replace(" Six Months Ended", "").replace("{now} {before} {now}", "{now}").replace("50 40 90", "50")
    assert "do not show when the financial year ends" in compute("What was revenue in Q2 2023?", texts=(alone,))[1]
    rolling = INCOME.replace("Three", "Nine").replace("Six", "Twelve")
    assert compute("What was revenue in Q2 2023?", texts=(rolling,))[0] is None


@pytest.mark.parametrize("shorter", ["Three", "Six"])
def test_the_last_twelve_months_are_not_a_financial_year(shorter):
    text = INCOME.replace("Six", "Twelve").replace("Three", shorter)
    assert compute("What was revenue in 2023?", texts=(text, BALANCE))[0] is None
    assert compute("What was revenue in 2023?", texts=(text,))[0] is None
    second_quarter = {"now": "December 31, 2023", "before": "December 31, 2022", "year_end": "June 30, 2023"}
    assert compute("What was revenue in 2023?", second_quarter, texts=(text, BALANCE))[0] is None
    # The year ends in June if the balance sheet names no other month.
    dates = {**CALENDAR, "year_end": "June 30, 2021"}
    assert compute("What was revenue in 2023?", dates, texts=(text, BALANCE))[0].result == 90
    question = f"What was revenue in the {'fourth quarter' if shorter == 'Three' else 'second half'} of fiscal 2023?"
    assert compute(question, dates, texts=(text, BALANCE))[0].result == 50


def test_a_balance_sheet_of_a_quarter_is_not_that_of_a_year():
    balance = BALANCE.replace("{year_end} ", "").replace("8 10 6", "8 6").replace("70 75 68", "70 68")
    page = Passage("report", 0, "1", balance.format(**CALENDAR))
    page = Passage("report", 0, "1", page.text, end=len(page.text))
    placed = [PlacedStatement("report", 0, "balance_sheet")]
    _, note = computed_metric("What were total assets in 2022?", [page], placed, METRICS)
    assert "whether a financial year ends at the date of the column 2022 is not certain" in note
    year = Passage("report", 1, "2", "the year ended December 31, 2022", end=32)
    known = {("report", 0): [page], ("report", 1): [year]}
    _, note = computed_metric("What were total assets in 2022?", [page], placed, METRICS, pages=known)
    assert "there is no column for 2022" in note


def test_a_title_names_the_quarter_of_a_release():
    release = INCOME.replace("Six", "Twelve").format(now="January 28, 2023", before="January 29, 2022")
    pages = [
        Passage("r", 0, "1", "Skerry Stores Announces Fourth Quarter Fiscal 2022 Results"),
        Passage("r", 1, "2", release),
    ]
    pages = [Passage(p.document, p.page_index, p.page_label, p.text, end=len(p.text)) for p in pages]
    placed = [PlacedStatement("r", 1, "income_statement")]

    def ask(question, known):
        return computed_metric(
            question, pages[1:], placed, METRICS, pages={(p.document, p.page_index): [p] for p in known}
        )

    assert ask("What was revenue in Q4 FY2022?", pages)[0].result == 50
    assert ask("What was revenue in FY2022?", pages)[0].result == 90
    assert ask("What was revenue in FY2023?", pages)[0] is None
    assert ask("What was revenue in FY2022?", pages[1:])[0] is None


@pytest.mark.parametrize(
    ("columns", "question", "expected"),
    [
        ("Q2 2023 Q2 2022 H1 2023 H1 2022", "What was revenue in Q2 2023?", "revenue Q2 2023: 50 (€ million)"),
        ("Q2 2023 Q2 2022 H1 2023 H1 2022", "What was revenue in H1 2022?",
         "revenue first half of 2022: 78 (€ million)"),
        ("Q2 2023 Q1 2023 Q2 2022 Q1 2022", "What was revenue in Q1 2023?", "revenue Q1 2023: 40 (€ million)"),
        ("2. Quartal 2023 2. Quartal 2022 1. Halbjahr 2023 1. Halbjahr 2022",
         "Wie hoch war der Umsatz im ersten Halbjahr 2023?", "revenue first half of 2023: 90 (€ million)"),
        ("Q2 2023 Q2 2022 H1 2023 H1 2022", "What was revenue in 2023?", None),
        ("Q2 2023 Q2 2022 H1 2023 H1 2022", "What was revenue in Q3 2023?", None),
        ("Q2 2023 Q2 2022 2023 2022", "What was revenue in 2023?", None),  # not all columns are named as parts
        ("Q2 2023 Q2 2022 Q2 2023 Q2 2022", "What was revenue in Q2 2023?", None),
    ],
)  # fmt: skip
def test_columns_that_are_named_as_parts_of_years(columns, question, expected):
    text = f"Income statement\n€ million\n{columns}\nRevenue 50 40 90 78\nNet income 7 5 12 9"
    page = Passage("report", 0, "1", text, end=len(text))
    calculation, _ = computed_metric(question, [page], [PlacedStatement("report", 0, "income_statement")], METRICS)
    assert (calculation and calculation.text) == expected


@pytest.mark.parametrize("columns", ["Q2 2023 Q2 2022", "Q2 2023 FY 2022"])
def test_a_balance_sheet_whose_columns_are_named_as_quarters(columns):
    text = f"Balance sheet\n€ million\n{columns}\nTotal assets 50 40\nTotal equity 7 5"
    page = Passage("report", 0, "1", text, end=len(text))
    placed = [PlacedStatement("report", 0, "balance_sheet")]
    assert computed_metric("What were total assets in 2023?", [page], placed, METRICS)[0] is None
    quarter, _ = computed_metric("What were total assets at the end of Q2 2023?", [page], placed, METRICS)
    assert (quarter and str(quarter.result)) == ("50" if columns.count("Q2") == 2 else None)
