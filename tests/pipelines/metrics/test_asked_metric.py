"""Which metric, row and years a question asks for, and which questions are not understood."""

import pytest
from sra_pipelines.metrics.asked_metric import asked_metric, needed_rows
from sra_pipelines.metrics.formulas import Average, Change, RowYear, rows_of
from sra_pipelines.presets import load_preset

METRICS = load_preset("financial").metrics


def whole_years(asked):
    assert all(period.is_year for period in asked.periods)
    return tuple(period.year for period in asked.periods)


@pytest.mark.parametrize(
    ("question", "name", "years"),
    [
        ("What was the gross margin in FY2022?", "gross margin", (2022,)),
        ("Does it have an improving operating margin profile as of FY2022? If operating margin is not a useful metric "
         "for a company like this, then state that and explain why.", "operating margin", (2021, 2022)),
        ("How does the effective tax rate in FY2022 compare to FY2021?", "effective tax rate", (2021, 2022)),
        ("Has the quick ratio improved between FY2023 and FY2022?", "quick ratio", (2022, 2023)),
        ("What is the FY18 capital expenditure amount (in USD millions)?", "capital expenditure", (2018,)),
        ("Assume that you are an analyst. Answer by using the balance sheet: what is the year end FY2018 net PPNE? "
         "Answer in USD billions.", "property, plant and equipment, net", (2018,)),
        ("What was FCF in 2022 (in US millions, round to one place)?", "free cash flow", (2022,)),
        ("By how many percentage points did the gross margin rise in 2022?", "gross margin", (2021, 2022)),
        ("What was gross profit in US dollars in 2022?", "gross profit", (2022,)),
        ("By how much did net income grow in fiscal 2022?", "net income", (2021, 2022)),
        ("What was net income?", "net income", ()),
        ("What was capex as a percentage of revenue in 2022?", "capital expenditure as a share of revenue", (2022,)),
        ("What was R&D as a % of total revenue in 2022?", "research and development expenses / revenue", (2022,)),
        ("What percentage of 2022 revenue was cost of sales?", "cost of sales / revenue", (2022,)),
        ("What is the ratio of total liabilities to total assets in 2022?", "total liabilities / total assets",
         (2022,)),
        ("What is the cash flow statement's depreciation and amortization of 2022?", "depreciation and amortization",
         (2022,)),
    ],
)  # fmt: skip
def test_what_is_asked(question, name, years):
    asked = asked_metric(question, METRICS)
    assert (asked.name, whole_years(asked), asked.unknown, asked.problem) == (name, years, (), "")


def test_an_average_over_a_range_of_years():
    asked = asked_metric("What is the FY2020 - FY2022 3 year average of the gross margin?", METRICS)
    assert (whole_years(asked), asked.averaged) == ((2020, 2021, 2022), True)


@pytest.mark.parametrize(
    ("question", "unknown"),
    [
        ("What was cloud revenue in 2022?", {"cloud"}),
        ("What was US revenue in 2022?", {"US"}),
        ("What was the unit cost of sales in 2022?", {"unit"}),
        ("What were contract revenues in 2022?", {"contract"}),
        ("What was revenue per employee in 2022?", {"employee"}),
        ("Did wages as a percent of net sales increase in 2022?", {"wages"}),
        ("What was the adjusted EBITDA of 2022?", {"adjusted"}),
        ("What was the average inventory of 2022?", {"average"}),
        ("Which region had the highest revenue in 2022?", {"region", "highest"}),
        ("What drove the gross margin in 2022?", {"drove"}),
    ],
)
def test_other_words_are_reported(question, unknown):
    assert set(asked_metric(question, METRICS).unknown) == unknown


@pytest.mark.parametrize(
    "question",
    [
        "Who is the auditor?",
        "What were revenue and net income in 2022?",  # two
        "Is the gross margin above the operating margin in 2022?",
        "What was R&D for each dollar of revenue in 2022?",  # no form of a ratio that is known
        "",
    ],
)
def test_questions_that_ask_for_no_metric_or_for_several(question):
    assert asked_metric(question, METRICS) is None


@pytest.mark.parametrize(
    ("asked", "period"),
    [
        ("Q2 of FY2023", "Q2 2023"),
        ("the second quarter of 2023", "Q2 2023"),
        ("Q42022", "Q4 2022"),
        ("2Q23", "Q2 2023"),
        ("the first half of fiscal 2023", "first half of 2023"),
        ("the first nine months of 2023", "first nine months of 2023"),
        ("the six months ended July 2, 2023", "6 months to July 2, 2023"),
        ("the year ended January 28, 2023", "12 months to January 28, 2023"),
    ],
)
def test_parts_of_years(asked, period):
    found = asked_metric(f"What was revenue in {asked}?", METRICS)
    assert ([str(own) for own in found.periods], found.unknown, found.problem) == ([period], (), "")


def test_a_date_a_comparison_with_the_year_before_and_a_fiscal_quarter():
    found = asked_metric("What were total assets as of July 29, 2023?", METRICS)
    assert [str(period) for period in found.periods] == ["July 29, 2023"]
    found = asked_metric("Did the gross margin improve in Q3 of fiscal 2024?", METRICS)
    assert [str(period) for period in found.periods] == ["Q3 2023", "Q3 2024"]
    assert all(period.is_fiscal for period in found.periods)
    found = asked_metric("Did cash and cash equivalents drop between FY 2023 and Q2 of FY2024?", METRICS)
    assert [str(period) for period in found.periods] == ["2023", "Q2 2024"]


@pytest.mark.parametrize(
    ("period", "problem"),
    [
        ("YTD 2023", "but not which part of which year"),
        ("the quarter of 2023", "but not which part of which year"),
        ("the six months to June 2023", "but not which part of which year"),
        ("Q2 2023, quarter over quarter", "consecutive quarters are not compared"),
    ],
)
def test_parts_of_years_that_are_not_clear(period, problem):
    assert problem in asked_metric(f"What was revenue in {period}?", METRICS).problem


def test_a_definition_in_the_question():
    asked = asked_metric(
        "What is the FY2017 DPO? DPO is defined as: 365 * (average accounts payable between FY2016 and FY2017) / "
        "(FY2017 COGS + change in inventory between FY2016 and FY2017). Round your answer to two decimal places.",
        METRICS,
    )  # fmt: skip
    [formula] = asked.formulas
    assert whole_years(asked) == (2017,)
    assert rows_of(formula) == [
        RowYear("payables", 2016), RowYear("payables", 2017), RowYear("cost of sales", 2017),
        RowYear("inventories", 2016), RowYear("inventories", 2017),
    ]  # fmt: skip
    assert isinstance(formula.left.right, Average)
    assert isinstance(formula.right.right, Change)


def test_definitions_can_use_each_other_and_words_for_operators():
    asked = asked_metric(
        "What is the CCC of FY2022? CCC is defined as: DIO less DPO. DIO is defined as: 365 * average inventory / "
        "COGS. DPO is defined as: 365 times accounts payable divided by COGS.", METRICS
    )  # fmt: skip
    [formula] = asked.formulas
    assert whole_years(asked) == (2022,)
    assert [amount.row for amount in rows_of(formula)] == ["inventories", "inventories", "cost of sales", "payables"]


@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        ("X is defined as: happiness / revenue.", "no known row"),
        ("X is defined as: 2 * X.", "'X' is defined by itself"),
    ],
)
def test_a_definition_that_cannot_be_used(definition, problem):
    assert problem in asked_metric(f"What is X in 2022? {definition}", METRICS).problem


def test_rows_that_may_be_needed():
    pattern = needed_rows("What was the gross margin in 2022?", METRICS)
    assert all(map(pattern.fullmatch, ("gross profit", "total net sales", "cost of revenue")))
    assert not pattern.fullmatch("total assets")
    assert needed_rows("Who is the auditor?", METRICS) is None
