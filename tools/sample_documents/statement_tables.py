"""The primary statements and the five-year and quarterly tables, printed from the company's model."""

from __future__ import annotations

from collections.abc import Callable

from .company import (
    CENTRAL_EMPLOYEES,
    DIVIDEND_PENCE,
    EARLIER,
    EMPLOYEES,
    QUARTERS,
    REVENUE,
    SEGMENT_PROFIT,
    SEGMENTS,
    YEARS,
    Company,
    quarter_profit,
    quarter_revenue,
)
from .fiscal_year import Year
from .layout import Row, Table
from .markup import amount, percent

LEASES_DUE = {2024: 74, 2025: 79}
PROVISIONS_DUE = {2024: 47, 2025: 86}
LOANS_DUE = 50

Lines = list[tuple[str, Callable[[Year], int]]]


def money_row(label: str, *values: int, total: bool = False) -> Row:
    """One row of amounts in £0.1 million."""
    return Row(label, tuple(amount(value) for value in values), total=total)


def group_row(label: str) -> Row:
    """A sub-heading inside a table."""
    return Row(label, group=True)


def two_years(company: Company, title: str, lines: Lines) -> Table:
    """Build a table of both years; a label that ends in `=` is ruled off as a total.

    A label that ends in `:` is a sub-heading, whose function is not called.
    """
    rows: list[Row] = []
    for label, line in lines:
        if label.endswith(":"):
            rows.append(group_row(label.removesuffix(":")))
            continue
        values = [line(year) for year in company.years]
        rows.append(money_row(label.removesuffix("="), *values, total=label.endswith("=")))
    return Table(title, ("2025", "2024"), tuple(rows), label_heading="£ million")


def statement_tables(company: Company) -> dict[str, Table]:
    """Return the statements by the name under which the text places them."""
    return {
        "income": two_years(
            company,
            "Year ended 30 September",
            [
                ("Revenue", lambda y: y.total_revenue),
                ("Cost of sales", lambda y: -y.flows.cost_of_sales),
                ("Gross profit=", lambda y: y.gross_profit),
                ("Research and development expense", lambda y: -y.flows.research),
                ("Distribution costs", lambda y: -y.flows.distribution),
                ("Administrative expenses", lambda y: -y.administration),
                ("Other operating income", lambda y: y.flows.other_income),
                ("Operating profit=", lambda y: y.operating_profit),
                ("Finance income", lambda y: y.flows.finance_income),
                ("Finance costs", lambda y: -y.finance_costs),
                ("Profit before tax=", lambda y: y.profit_before_tax),
                ("Income tax expense", lambda y: -y.tax),
                ("Profit for the year=", lambda y: y.profit),
            ],
        ),
        "comprehensive": two_years(
            company,
            "Consolidated statement of comprehensive income, year ended 30 September",
            [
                ("Profit for the year", lambda y: y.profit),
                ("Items that will not be reclassified to profit:", _no_figure),
                ("Remeasurement of pension obligations", lambda y: y.flows.pension_remeasurement),
                ("Tax on remeasurement", lambda y: -y.flows.tax_on_remeasurement),
                ("Items that may be reclassified to profit:", _no_figure),
                ("Exchange differences on translation", lambda y: y.flows.translation),
                ("Other comprehensive income=", lambda y: y.other_comprehensive_income),
                (
                    "Total comprehensive income=",
                    lambda y: y.profit + y.other_comprehensive_income,
                ),
            ],
        ),
        "balance": two_years(company, "As at 30 September", _balance_lines()),
        "cash_flow": two_years(company, "Year ended 30 September", _cash_lines()),
        "equity_2025": _equity(company.current),
        "equity_2024": _equity(company.prior),
        "five_years": _five_years(company),
        "five_segments": _five_segments(),
        "quarters_2025": _quarters(2025),
        "quarters_2024": _quarters(2024),
    }


def _no_figure(_: Year) -> int:
    return 0


def _balance_lines() -> Lines:
    def current(year: Year) -> int:
        due = LOANS_DUE + LEASES_DUE[year.year] + PROVISIONS_DUE[year.year]
        payables = year.closing.payables - year.bought.deferred_consideration
        return payables + year.closing.current_tax + due

    return [
        ("Non-current assets:", _no_figure),
        ("Goodwill", lambda y: y.closing.goodwill),
        ("Other intangible assets", lambda y: y.closing.intangibles),
        ("Property, plant and equipment", lambda y: y.closing.plant),
        ("Right-of-use assets", lambda y: y.closing.leased_assets),
        ("Deferred tax assets", lambda y: y.closing.deferred_tax_assets),
        ("Total non-current assets=", lambda y: y.closing.non_current_assets),
        ("Current assets:", _no_figure),
        ("Inventories", lambda y: y.closing.inventories),
        ("Trade and other receivables", lambda y: y.closing.receivables),
        ("Cash and cash equivalents", lambda y: y.closing.cash),
        ("Total current assets=", lambda y: y.closing.current_assets),
        ("Total assets=", lambda y: y.closing.total_assets),
        ("Current liabilities:", _no_figure),
        (
            "Trade and other payables",
            lambda y: y.closing.payables - y.bought.deferred_consideration,
        ),
        ("Current tax liabilities", lambda y: y.closing.current_tax),
        ("Borrowings due within one year", lambda _: LOANS_DUE),
        ("Lease liabilities due within one year", lambda y: LEASES_DUE[y.year]),
        ("Provisions due within one year", lambda y: PROVISIONS_DUE[y.year]),
        ("Total current liabilities=", current),
        ("Non-current liabilities:", _no_figure),
        ("Borrowings", lambda y: y.closing.borrowings - LOANS_DUE),
        ("Lease liabilities", lambda y: y.closing.lease_liabilities - LEASES_DUE[y.year]),
        ("Provisions", lambda y: y.closing.provisions - PROVISIONS_DUE[y.year]),
        ("Deferred consideration", lambda y: y.bought.deferred_consideration),
        ("Retirement benefit obligations", lambda y: y.closing.pension_deficit),
        ("Deferred tax liabilities", lambda y: y.closing.deferred_tax_liabilities),
        ("Total non-current liabilities=", lambda y: y.closing.total_liabilities - current(y)),
        ("Total liabilities=", lambda y: y.closing.total_liabilities),
        ("Net assets=", lambda y: y.closing.total_assets - y.closing.total_liabilities),
        ("Equity:", _no_figure),
        ("Share capital", lambda y: y.closing.share_capital),
        ("Share premium", lambda y: y.closing.share_premium),
        ("Translation reserve", lambda y: y.closing.translation_reserve),
        ("Retained earnings", lambda y: y.closing.retained_earnings),
        ("Total equity=", lambda y: y.closing.equity),
        (
            "Total equity and liabilities=",
            lambda y: y.closing.equity + y.closing.total_liabilities,
        ),
    ]


def _cash_lines() -> Lines:
    return [
        ("Operating activities:", _no_figure),
        ("Operating profit", lambda y: y.operating_profit),
        ("Depreciation of property, plant and equipment", lambda y: y.flows.depreciation),
        ("Depreciation of right-of-use assets", lambda y: y.flows.lease_depreciation),
        ("Amortisation of development costs", lambda y: y.flows.development_amortisation),
        ("Amortisation of acquired intangible assets", lambda y: y.flows.acquired_amortisation),
        ("Gain on disposal of property", lambda y: -y.gain_on_disposals),
        ("Share-based payments", lambda y: y.flows.share_based_payments),
        (
            "Pension contributions in excess of service cost",
            lambda y: y.flows.pension_service - y.flows.pension_contributions,
        ),
        ("Increase in provisions", lambda y: y.provisions_up),
        ("Decrease (increase) in inventories", lambda y: -y.flows.inventories_up),
        ("Increase in receivables", lambda y: -y.flows.receivables_up),
        ("Increase in payables", lambda y: y.flows.payables_up),
        ("Cash generated from operations=", lambda y: y.cash_generated),
        ("Income taxes paid", lambda y: -y.flows.tax_paid),
        ("Net cash from operating activities=", lambda y: y.operating_cash),
        ("Investing activities:", _no_figure),
        ("Acquisition of subsidiary, net of cash acquired", lambda y: -y.bought.net_cash_out),
        ("Purchase of property, plant and equipment", lambda y: -y.flows.capital_expenditure),
        ("Capitalised development expenditure", lambda y: -y.flows.development_capitalised),
        ("Proceeds from disposal of property", lambda y: y.flows.disposal_proceeds),
        ("Interest received", lambda y: y.flows.finance_income),
        ("Net cash used in investing activities=", lambda y: y.investing_cash),
        ("Financing activities:", _no_figure),
        ("Drawing (repayment) of revolving facility", lambda y: y.flows.facility_drawn),
        ("Repayment of term loan", lambda y: -y.flows.term_loan_repaid),
        ("Principal of lease payments", lambda y: -y.flows.lease_principal),
        ("Interest on leases", lambda y: -y.flows.lease_interest),
        ("Interest and facility fees paid", lambda y: -y.interest_paid),
        ("Proceeds from issue of shares", lambda y: y.shares_issued),
        ("Purchase of own shares", lambda y: -y.flows.own_shares),
        ("Dividends paid", lambda y: -y.flows.dividends),
        ("Net cash used in financing activities=", lambda y: y.financing_cash),
        ("Net increase in cash=", lambda y: y.change_in_cash),
        ("Cash at the start of the year", lambda y: y.opening.cash),
        ("Effect of exchange rates on cash", lambda y: y.flows.fx_cash),
        ("Cash at the end of the year=", lambda y: y.closing.cash),
    ]


def _equity(year: Year) -> Table:
    f, start, end = year.flows, year.opening, year.closing
    remeasured = f.pension_remeasurement - f.tax_on_remeasurement

    def row(label: str, *parts: int, total: bool = False) -> Row:
        return money_row(label, *parts, sum(parts), total=total)

    def balance(label: str, of: object) -> Row:
        names = ("share_capital", "share_premium", "translation_reserve", "retained_earnings")
        return row(label, *(getattr(of, name) for name in names), total=True)

    rows = (
        balance(f"At 1 October {year.year - 1}", start),
        row("Profit for the year", 0, 0, 0, year.profit),
        row("Other comprehensive income", 0, 0, f.translation, remeasured),
        row("Dividends", 0, 0, 0, -f.dividends),
        row("Shares issued", f.shares_issued_nominal, f.shares_issued_premium, 0, 0),
        row("Own shares bought", 0, 0, 0, -f.own_shares),
        row("Share-based payments", 0, 0, 0, f.share_based_payments),
        balance(f"At 30 September {year.year}", end),
    )
    columns = ("Capital", "Premium", "Translation", "Retained", "Total")
    return Table(f"Changes in equity, {year.year}", columns, rows, label_heading="£ million")


def _five_years(company: Company) -> Table:
    full = {year.year: year for year in company.years}

    def line(label: str, value: Callable[[int], str]) -> Row:
        return Row(label, tuple(value(number) for number in reversed(YEARS)))

    def adjusted(n: int) -> int:
        central = full[n].flows.central_costs if n in full else EARLIER[n].central_costs
        return sum(SEGMENT_PROFIT[n]) - central

    def operating(n: int) -> int:
        return full[n].operating_profit if n in full else adjusted(n) - EARLIER[n].adjusting_items

    def before_tax(n: int) -> int:
        return full[n].profit_before_tax if n in full else operating(n) - EARLIER[n].net_finance_costs

    def profit(n: int) -> int:
        return full[n].profit if n in full else before_tax(n) - EARLIER[n].tax

    def shares(n: int) -> int:
        return full[n].average_shares if n in full else EARLIER[n].average_shares

    def gross(n: int) -> int:
        return full[n].gross_profit if n in full else sum(REVENUE[n]) - EARLIER[n].cost_of_sales

    def research(n: int) -> int:
        return full[n].flows.research if n in full else EARLIER[n].research

    def spending(n: int) -> int:
        return full[n].flows.capital_expenditure if n in full else EARLIER[n].capital_expenditure

    def debt(n: int) -> int:
        return full[n].closing.net_debt if n in full else EARLIER[n].net_debt

    rows = (
        line("Revenue", lambda n: amount(sum(REVENUE[n]))),
        line("Gross profit", lambda n: amount(gross(n))),
        line("Adj. operating profit", lambda n: amount(adjusted(n))),
        line("Adj. operating margin", lambda n: percent(adjusted(n), sum(REVENUE[n]))),
        line("Operating profit", lambda n: amount(operating(n))),
        line("Profit before tax", lambda n: amount(before_tax(n))),
        line("Profit for the year", lambda n: amount(profit(n))),
        line("Earnings per share (p)", lambda n: f"{100 * profit(n) / shares(n):.1f}"),
        line("Dividend per share (p)", lambda n: f"{sum(DIVIDEND_PENCE[n]):.1f}"),
        line("R&D expense", lambda n: amount(research(n))),
        line("Capital expenditure", lambda n: amount(spending(n))),
        line("Net debt before leases", lambda n: amount(debt(n))),
        line("Average employees", lambda n: f"{sum(EMPLOYEES[n]) + CENTRAL_EMPLOYEES[n]:,}"),
    )
    return Table("Five-year record", _year_columns(), rows, label_heading="£ million")


def _five_segments() -> Table:
    rows: list[Row] = []
    for title, figures in (("Revenue", REVENUE), ("Segment profit", SEGMENT_PROFIT)):
        rows.append(group_row(title))
        for index, name in enumerate(SEGMENTS):
            rows.append(money_row(name, *(figures[n][index] for n in reversed(YEARS))))
    columns = _year_columns()
    return Table("Five-year record by segment", columns, tuple(rows), label_heading="£ million")


def _year_columns() -> tuple[str, ...]:
    return tuple(str(number) for number in reversed(YEARS))


def _quarters(number: int) -> Table:
    revenue = quarter_revenue(number)
    rows = [money_row(name, *row, sum(row)) for name, row in zip(SEGMENTS, revenue, strict=True)]
    totals = [sum(column) for column in zip(*revenue, strict=True)]
    rows.append(money_row("Revenue", *totals, sum(totals), total=True))
    profits = quarter_profit(number)
    rows.append(money_row("Adj. operating profit", *profits, sum(profits)))
    margins = [percent(p, t) for p, t in zip(profits, totals, strict=True)]
    rows.append(Row("Adj. margin", (*margins, percent(sum(profits), sum(totals)))))
    columns = (*(f"{quarter} {number}" for quarter in QUARTERS), "Year")
    title = f"Quarterly results, financial year {number}"
    return Table(title, columns, tuple(rows), label_heading="£ million")
