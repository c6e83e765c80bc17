"""Formulas over the rows of statements: how they are read, computed and written."""

from decimal import Decimal

import pytest
from sra_pipelines.metrics.formulas import FormulaError, RowYear, rows_of
from sra_pipelines.metrics.metric import Metric, Metrics, RowNames

from sra_rag.errors import ConfigError

ROWS = tuple(RowNames(name, (name,), ("income_statement",)) for name in ("sales", "cost of sales", "tax", "tax paid"))
AMOUNTS = {"sales": Decimal(200), "cost of sales": Decimal(150), "tax": Decimal(8), "tax paid": Decimal(6)}


def formula(text):
    return Metrics(ROWS).formulas(Metric("m", ("m",), (text,)))[0]


def amount(row_year):
    return AMOUNTS[row_year.row] - 10 * row_year.before


@pytest.mark.parametrize(
    ("text", "value", "written"),
    [
        ("sales", "200", "200"),
        ("sales - cost of sales - tax", "42", "200 - 150 - 8"),
        ("sales - (cost of sales - tax)", "58", "200 - (150 - 8)"),
        ("(sales - cost of sales) / sales", "0.25", "(200 - 150) / 200"),
        ("sales / (cost of sales / tax)", str(Decimal(200) / (Decimal(150) / 8)), "200 / (150 / 8)"),
        ("sales - cost of sales * 2", "-100", "200 - 150 * 2"),
        ("365 * average(tax paid) / change(sales)", "36.5", "365 * ((-4 + 6) / 2) / (200 - 190)"),
        ("1.5 * sales", "300.0", "1.5 * 200"),
    ],
)
def test_formulas_are_computed_and_written(text, value, written):
    assert formula(text).value(amount) == Decimal(value)
    assert formula(text).written(lambda row_year: str(amount(row_year))) == written


def test_the_longest_name_counts_and_each_amount_is_needed_once():
    assert rows_of(formula("tax paid / tax + tax")) == [RowYear("tax paid"), RowYear("tax")]
    assert rows_of(formula("average(sales)")) == [RowYear("sales", before=1), RowYear("sales")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sales / turnover", "metric 'm': .* at 'turnover'. Known rows are: sales, cost of sales"),
        ("(sales - tax", "lacks a '\\)'"),
        ("sales sales", "cannot be read from 'sales' on"),
        ("sales /", "no known row, number or '\\(' at ''"),
        ("", "no known row"),
    ],
)
def test_what_is_no_formula(text, expected):
    with pytest.raises(FormulaError, match=expected):
        formula(text)


def test_a_division_by_zero():
    with pytest.raises(ZeroDivisionError):
        formula("sales / (tax - tax)").value(amount)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: RowNames(" ", ("a",), ("income_statement",)), "is empty"),
        (lambda: RowNames("a", ("(",), ("income_statement",)), "not a regular expression"),
        (lambda: RowNames("a", ("a",), ("note",)), "unknown statements \\['note'\\]. Use income_statement"),
        (lambda: RowNames("a", ("a",), ("income_statement",), sign="minus"), "Use as_written, cost, income_tax"),
        (lambda: Metric("a", (), ("sales",)), "is empty"),
        (lambda: Metric("a", ("[",), ("sales",)), "not a regular expression"),
        (lambda: Metric("a", ("a",), ("sales",), unit="kg"), "Use percent, times, days, amount"),
    ],
)
def test_values_that_are_not_allowed(make, expected):
    with pytest.raises(ConfigError, match=expected):
        make()
