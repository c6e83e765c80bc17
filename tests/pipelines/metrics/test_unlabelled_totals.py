"""Totals without a label in a statement: used if they add up in every column, and not otherwise."""

import pytest
from sra_pipelines.metrics.compute_metric import computed_metric
from sra_pipelines.presets import load_preset
from sra_pipelines.retrieval.placing import PlacedStatement
from sra_pipelines.values import Passage

METRICS = load_preset("financial").metrics
HOTELS = """HARBOUR HOTELS
STATEMENTS OF OPERATIONS
(In thousands)
Years Ended June 30, 2023 2022
Revenues
Rooms $ 1,200 $ 1,000
Food 300 250
Other — 20
{total}
Expenses
Rooms 700 650
Operating income 400 300"""
AIRCRAFT = """STATEMENTS OF OPERATIONS
(In millions)
Years Ended December 31, 2023 2022
Sales of products 80 70
Sales of services 20 10
Total revenues 100 80
Cost of products (55) (50)
Cost of services (15) (10)
{costs}
{gross}
{after} (12) (9)
Operating income 18 11"""
BALANCE = """BALANCE SHEETS
December 31, 2023 2022
Assets
Cash and cash equivalents 5 4
Inventories 6 5
Property and equipment, net 9 8
{assets}
LIABILITIES AND EQUITY
Liabilities
Accounts payable 7 6
Total stockholders' equity 13 11
{claims}"""


def compute(question, text, kind="income_statement"):
    page = Passage("report", 0, "1", text, end=len(text))
    return computed_metric(question, [page], [PlacedStatement("report", 0, kind)], METRICS)


def test_the_sum_of_a_group():
    calculation, _ = compute("What was revenue in 2023?", HOTELS.format(total="1,500 1,270"))
    assert calculation.text == "revenue 2023: 1,500 (thousand)"
    assert calculation.operands[0].label == "revenue (row without a label)"
    assert calculation.operands[0].line == "1,500 1,270"


@pytest.mark.parametrize(
    "total",
    [
        "1,500 1,271",  # does not add up in one column
        "1,500",  # one amount for two columns
        "...\n1,500 1,270",  # rows were left out
        "",
    ],
)
def test_what_is_not_the_sum_of_a_group(total):
    calculation, note = compute("What was revenue in 2023?", HOTELS.format(total=total))
    assert calculation is None
    assert "has no row for revenue" in note


@pytest.mark.parametrize("costs", ["Total costs (70) (60)", "Interest of the bank (2) (1)\nTotal costs (72) (61)"])
def test_the_revenue_less_the_costs_above(costs):
    gross = "30 20" if "Interest" not in costs else "28 19"
    text = AIRCRAFT.format(costs=costs, gross=gross, after="General and administrative expense")
    calculation, _ = compute("What was the gross margin in 2023?", text)
    assert calculation.text == f"gross margin 2023: {gross.split()[0]} / 100 = {gross.split()[0]}.00%"


@pytest.mark.parametrize(
    ("costs", "gross", "after"),
    [
        ("Total costs (70) (60)", "30 21", "General and administrative expense"),  # does not add up
        ("Research expense (5) (5)\nTotal costs (75) (65)", "25 15", "General and administrative expense"),
        ("Total costs (70) (60)", "30 20", "Other expense"),  # no expenses of the operation below it
        ("Cost of rights 3 2\nTotal costs (67) (58)", "33 22", "General and administrative expense"),  # both signs
    ],
)
def test_what_is_not_the_gross_profit(costs, gross, after):
    calculation, _ = compute("What was gross profit in 2023?", AIRCRAFT.format(costs=costs, gross=gross, after=after))
    assert calculation is None


def test_the_total_of_the_assets_equals_that_of_the_liabilities_and_equity():
    text = BALANCE.format(assets="20 17", claims="20 17")
    assert compute("What were total assets in 2022?", text, "balance_sheet")[0].result == 17
    text = BALANCE.format(assets="20 17", claims="Total liabilities and stockholders' equity 20 17")
    assert compute("What were total assets in 2023?", text, "balance_sheet")[0].result == 20
    for assets, claims in (("20 17", "20 18"), ("20 17", ""), ("", "20 17")):
        text = BALANCE.format(assets=assets, claims=claims)
        assert compute("What were total assets in 2023?", text, "balance_sheet")[0] is None


def test_a_label_on_the_line_above_its_amounts():
    head = "In millions\nYears ended December 31, 2023 2022\n"
    text = f"{head}Other revenue 1 1\nTotal revenues\n12 11\nOperating income 4 3"
    assert compute("What was revenue in 2023?", text)[0].result == 12
    # Labels and amounts that are apart: which amount belongs to which label is not certain.
    apart = f"{head}Rent 1 1\nTotal revenues\nOperating income\n12 11\n4 3\nNet income 2 1"
    assert compute("What was operating income in 2023?", apart)[0] is None
    assert compute("What was revenue in 2023?", apart)[0] is None
    two_labels = f"{head}Rent 1 1\nTotal revenues\nOperating income\n12 11\nNet income 2 1"
    assert compute("What was operating income in 2023?", two_labels)[0] is None
