"""The tables of the notes; where a note splits a figure of the model, the last part is what remains."""

from __future__ import annotations

from collections.abc import Sequence

from .company import (
    DIVIDEND_PENCE,
    FLOWS,
    LUMENFLOW,
    REGION_REVENUE,
    REGIONS,
    SEGMENTS,
    Company,
)
from .fiscal_year import UnbalancedModelError, Year
from .layout import Row, Table
from .markup import amount, percent
from .statement_tables import money_row, two_years

Parts = tuple[tuple[str, tuple[int, int]], ...]


def note_tables(company: Company) -> dict[str, Table]:
    """Return the tables by the name under which the notes place them."""
    now, prior = company.current, company.prior
    closing = (now.closing, prior.closing)
    revenue = (now.total_revenue, prior.total_revenue)
    return {
        "segments_2025": _segments(now, (118, 76, 38, 15)),
        "segments_2024": _segments(prior, (101, 74, 29, 10)),
        "regions": _regions(),
        "revenue_types": split(
            "Revenue by type",
            (("Meters and sensors", (4627, 4472)), ("Spare parts and repair", (496, 481))),
            "Software and services",
            revenue,
            "Revenue",
        ),
        "charges": two_years(
            company,
            "Depreciation and amortisation",
            [
                ("Depreciation of owned assets", lambda y: y.flows.depreciation),
                ("Depreciation of leased assets", lambda y: y.flows.lease_depreciation),
                ("Development costs amortised", lambda y: y.flows.development_amortisation),
                ("Acquired intangibles amortised", lambda y: y.flows.acquired_amortisation),
            ],
        ),
        "staff_costs": split(
            "Employee costs",
            (
                ("Social security", (173, 161)),
                ("Defined-contribution pensions", (113, 106)),
                ("Defined-benefit pensions", _pair(company, "pension_service")),
                ("Share-based awards", _pair(company, "share_based_payments")),
            ),
            "Wages and salaries",
            (1984, 1869),
            "Total employee costs",
        ),
        "finance": two_years(
            company,
            "Finance income and costs",
            [
                ("Interest on deposits=", lambda y: y.flows.finance_income),
                ("Interest on loans and notes", lambda y: -y.flows.loan_interest),
                ("Interest on lease liabilities", lambda y: -y.flows.lease_interest),
                ("Net interest on pensions", lambda y: -y.flows.pension_interest),
                ("Commitment and facility fees", lambda y: -y.flows.facility_fees),
                ("Total finance costs=", lambda y: -y.finance_costs),
            ],
        ),
        "tax": _tax(company),
        "earnings_per_share": _earnings(company),
        "dividends": _dividends(),
        "goodwill": _movements(
            "Goodwill by segment, 2025",
            (*SEGMENTS, "Total"),
            (618, 584, 235),
            (("Acquired", (0, 0, 162)), ("Exchange differences", (-9, -11, -4))),
            (prior.closing.goodwill, now.closing.goodwill),
        ),
        "intangibles": _movements(
            "Other intangible assets, 2025",
            ("Customers", "Technology", "Development", "Total"),
            (184, 147, 301),
            (
                ("Acquired", (36, 89, 0)),
                ("Additions", (0, 0, 141)),
                ("Amortisation", (-47, -49, -102)),
                ("Exchange differences", (-4, -5, -2)),
            ),
            (prior.closing.intangibles, now.closing.intangibles),
        ),
        "acquisition": _acquisition(),
        "plant": _movements(
            "Property, plant and equipment, 2025",
            ("Buildings", "Plant", "Tooling", "Total"),
            (473, 546, 226),
            (
                ("Additions", (84, 112, 51)),
                ("Acquired", (0, 9, 2)),
                ("Depreciation", (-32, -91, -43)),
                ("Disposals", (-4, -4, -1)),
                ("Exchange differences", (-7, -6, -3)),
            ),
            (prior.closing.plant, now.closing.plant),
        ),
        "debt": Table(
            "Borrowings at 30 September",
            ("2025", "2024"),
            (
                money_row("Revolving credit facility, June 2029", *(b.facility for b in closing)),
                money_row("Term loan, September 2027", *(b.term_loan for b in closing)),
                money_row("3.85% loan notes, 15 March 2027", *(b.notes_2027 for b in closing)),
                money_row("4.62% loan notes, 15 March 2031", *(b.notes_2031 for b in closing)),
                money_row("Total borrowings", *(b.borrowings for b in closing), total=True),
            ),
            label_heading="£ million",
        ),
        "debt_maturity": split(
            "Borrowings by maturity",
            (
                ("Borrowings due in less than one year", (50, 50)),
                ("Borrowings due in one to two years", (650, 50)),
                ("Borrowings due in two to five years", (460, 980)),
            ),
            "Borrowings due after five years",
            (now.closing.borrowings, prior.closing.borrowings),
            "All borrowings",
        ),
        "leases": two_years(
            company,
            "Lease liabilities",
            [
                ("At 1 October", lambda y: y.opening.lease_liabilities),
                ("New leases", lambda y: y.flows.lease_additions),
                ("Interest on leases accrued", lambda y: y.flows.lease_interest),
                ("Lease payments", lambda y: -y.flows.lease_principal - y.flows.lease_interest),
                ("Exchange differences on leases", lambda y: y.flows.fx_lease_liabilities),
                ("Lease liabilities at 30 September=", lambda y: y.closing.lease_liabilities),
            ],
        ),
        "lease_maturity": split(
            "Lease liabilities by maturity",
            (
                ("Leases due in less than one year", (79, 74)),
                ("Leases due in one to two years", (68, 65)),
                ("Leases due in two to five years", (134, 129)),
            ),
            "Leases due after five years",
            (now.closing.lease_liabilities, prior.closing.lease_liabilities),
            "All lease liabilities",
        ),
        "provisions": _movements(
            "Provisions, 2025",
            ("Warranty", "Restructuring", "Other", "Total"),
            (73, 8, 21),
            (
                ("Charged in the year", (23, 43, 5)),
                ("Used", (-19, -26, -4)),
                ("Released", (-3, 0, -1)),
            ),
            (prior.closing.provisions, now.closing.provisions),
        ),
        "pension": _pension(company),
        "pension_assumptions": Table(
            "Principal pension assumptions",
            ("2025", "2024"),
            (
                Row("Discount rate", ("5.45%", "5.10%")),
                Row("Inflation, consumer prices", ("2.65%", "2.75%")),
                Row("Life expectancy of a man now aged 65 (years)", ("21.4", "21.3")),
                Row("Life expectancy of a woman now aged 65 (years)", ("23.8", "23.7")),
            ),
        ),
        "share_awards": Table(
            "Awards outstanding (thousand shares)",
            ("Performance", "Deferred", "Savings", "Total"),
            (
                Row("At 1 October 2024", ("2,940", "410", "1,870", "5,220")),
                Row("Granted", ("1,060", "165", "720", "1,945")),
                Row("Exercised", ("(610)", "(140)", "(980)", "(1,730)")),
                Row("Lapsed", ("(350)", "(15)", "(130)", "(495)")),
                Row("At 30 September 2025", ("3,040", "420", "1,480", "4,940"), total=True),
            ),
        ),
        "receivables": split(
            "Trade and other receivables",
            (
                ("Trade receivables, less allowance", (1046, 951)),
                ("Contract assets and retentions", (171, 168)),
                ("Prepayments", (98, 94)),
            ),
            "Other receivables",
            (now.closing.receivables, prior.closing.receivables),
            "Total receivables",
        ),
        "holders": Table(
            "Holders of more than 3 per cent at 30 September 2025",
            ("Shares (million)", "Per cent"),
            (
                Row("Northgate Perpetual Fund", ("14.7", "9.5%")),
                Row("Harrowdene Asset Management", ("11.2", "7.2%")),
                Row("Colquhoun family trusts", ("8.1", "5.2%")),
                Row("Staithe Pensions", ("6.4", "4.1%")),
                Row("Aldermoor Income Trust", ("5.3", "3.4%")),
            ),
            widths=(30, 23),
        ),
        "calendar": Table(
            "Financial calendar",
            ("Date",),
            (
                Row("Ex-dividend date, final dividend", ("22 January 2026",)),
                Row("Record date, final dividend", ("23 January 2026",)),
                Row("Annual general meeting", ("11 February 2026",)),
                Row("Payment of final dividend", ("20 February 2026",)),
                Row("Half-year results", ("19 May 2026",)),
                Row("Payment of interim dividend", ("3 July 2026",)),
                Row("Full-year results", ("3 December 2026",)),
            ),
            widths=(45,),
        ),
    }


def split(title: str, parts: Parts, remainder: str, totals: tuple[int, int], total: str) -> Table:
    """Build a table of both years whose last part is what the others leave of the total."""
    rows = [money_row(label, *values) for label, values in parts]
    left = [whole - sum(values[i] for _, values in parts) for i, whole in enumerate(totals)]
    rows.append(money_row(remainder, *left))
    rows.append(money_row(total, *totals, total=True))
    return Table(title, ("2025", "2024"), tuple(rows), label_heading="£ million")


def _pair(company: Company, name: str) -> tuple[int, int]:
    current, prior = (int(getattr(year.flows, name)) for year in company.years)
    return current, prior


def _movements(
    title: str,
    columns: tuple[str, ...],
    opening: tuple[int, ...],
    changes: Sequence[tuple[str, tuple[int, ...]]],
    balances: tuple[int, int],
) -> Table:
    closing = tuple(map(sum, zip(opening, *(values for _, values in changes), strict=True)))
    if (sum(opening), sum(closing)) != balances:
        raise UnbalancedModelError(f"{title}: {sum(opening)}, {sum(closing)} are not {balances}")
    rows = [money_row("At 1 October 2024", *opening, sum(opening), total=True)]
    rows += [money_row(label, *values, sum(values)) for label, values in changes]
    rows.append(money_row("At 30 September 2025", *closing, sum(closing), total=True))
    # Segment names need more room than the columns of figures have by default.
    widths = (31.0,) * len(columns)
    return Table(title, columns, tuple(rows), widths=widths, label_heading="£ million", right=True)


def _segments(year: Year, spending: tuple[int, int, int, int]) -> Table:
    if sum(spending) != year.flows.capital_expenditure:
        raise UnbalancedModelError(f"{year.year}: capital expenditure by segment does not sum")
    margins = [percent(p, r) for p, r in zip(year.segment_profit, year.revenue, strict=True)]
    group = percent(year.adjusted_operating_profit, year.total_revenue)
    profits = (*year.segment_profit, -year.flows.central_costs, year.adjusted_operating_profit)
    rows = (
        money_row("Revenue", *year.revenue, 0, year.total_revenue),
        money_row("Adj. profit", *profits),
        Row("Margin", (*margins, "-", group)),
        money_row("Capex", *spending, sum(spending)),
    )
    columns = (*SEGMENTS, "Central", "Group")
    widths = (29.0, 32.0, 27.0, 19.0, 19.0)
    title = f"Segment information, {year.year}"
    return Table(title, columns, rows, widths=widths, label_heading="£ million", right=True)


def _regions() -> Table:
    numbers = (2025, 2024, 2023)
    rows = [money_row(name, *(REGION_REVENUE[n][index] for n in numbers)) for index, name in enumerate(REGIONS)]
    rows.append(money_row("Revenue", *(sum(REGION_REVENUE[n]) for n in numbers), total=True))
    columns = tuple(str(n) for n in numbers)
    return Table("Revenue by region", columns, tuple(rows), label_heading="£ million")


def _tax(company: Company) -> Table:
    now, prior = company.years
    # Rounded half up: a quarter of profit before tax at the rate of 25 per cent.
    expected = tuple((y.profit_before_tax * 25 + 50) // 100 for y in company.years)
    fixed: Parts = (
        ("Expenses not deductible", (9, 8)),
        ("Higher rates overseas", (3, 4)),
        ("Adjustments for earlier years", (-5, -6)),
    )
    relief = [y.tax - expected[i] - sum(values[i] for _, values in fixed) for i, y in enumerate(company.years)]
    home = (79, 77)
    rows = (
        money_row("Current tax, United Kingdom", *home),
        money_row("Current tax, overseas", now.flows.current_tax - 79, prior.flows.current_tax - 77),
        money_row("Deferred tax", now.deferred_tax, prior.deferred_tax),
        money_row("Tax charge", now.tax, prior.tax, total=True),
        money_row("Profit before tax at 25 per cent", *expected),
        *(money_row(label, *values) for label, values in fixed),
        money_row("Czech investment relief", *relief),
        money_row("Tax charge as above", now.tax, prior.tax, total=True),
        Row("Effective tax rate", tuple(percent(y.tax, y.profit_before_tax) for y in company.years)),
    )
    return Table("Income tax", ("2025", "2024"), rows, label_heading="£ million")


def _earnings(company: Company) -> Table:
    diluted = (21, 19)
    years = company.years
    rows = (
        money_row("Profit for the year (£ million)", *(y.profit for y in years)),
        money_row("Weighted average shares (million)", *(y.average_shares for y in years)),
        money_row("Dilutive awards (million)", *diluted),
        Row("Basic earnings per share (pence)", tuple(f"{y.earnings_per_share:.1f}" for y in years)),
        Row(
            "Diluted earnings per share (pence)",
            tuple(f"{100 * y.profit / (y.average_shares + d):.1f}" for y, d in zip(years, diluted, strict=True)),
        ),
    )
    return Table("Earnings per share", ("2025", "2024"), rows)


def _dividends() -> Table:
    finals = {2023: 104, 2024: 116}

    def row(label: str, pence: float, tenths: int) -> Row:
        return Row(label, (f"{pence:.1f}", amount(tenths)))

    rows = (
        row("Final dividend for 2023", DIVIDEND_PENCE[2023][1], finals[2023]),
        row("Interim dividend for 2024", DIVIDEND_PENCE[2024][0], FLOWS[2024].dividends - finals[2023]),
        row("Final dividend for 2024", DIVIDEND_PENCE[2024][1], finals[2024]),
        row("Interim dividend for 2025", DIVIDEND_PENCE[2025][0], FLOWS[2025].dividends - finals[2024]),
        row("Proposed final dividend for 2025", DIVIDEND_PENCE[2025][1], 128),
    )
    return Table("Dividends", ("Pence", "£ million"), rows)


def _acquisition() -> Table:
    bought = LUMENFLOW
    rows = (
        money_row("Intangible assets", bought.intangibles),
        money_row("Plant and equipment", bought.plant),
        money_row("Stock of hydrophones", bought.inventories),
        money_row("Trade receivables", bought.receivables),
        money_row("Cash", bought.cash),
        money_row("Trade payables", -bought.payables),
        money_row("Deferred tax", -bought.deferred_tax),
        money_row("Identifiable net assets", bought.identifiable, total=True),
        money_row("Goodwill arising", bought.goodwill),
        money_row("Total consideration", bought.consideration, total=True),
        money_row("Of which paid on completion", bought.cash_paid),
        money_row("Of which deferred to March 2027", bought.deferred_consideration),
    )
    return Table("Net assets of Lumenflow AB", ("Fair value",), rows, label_heading="£ million")


def _pension(company: Company) -> Table:
    obligations = {2025: 1869, 2024: 1913}
    return two_years(
        company,
        "Defined-benefit obligation",
        [
            ("Deficit at 1 October", lambda y: y.opening.pension_deficit),
            ("Service and administration cost", lambda y: y.flows.pension_service),
            ("Net interest on the deficit", lambda y: y.flows.pension_interest),
            ("Contributions by the employer", lambda y: -y.flows.pension_contributions),
            ("Remeasurement loss (gain)", lambda y: -y.flows.pension_remeasurement),
            ("Deficit at 30 September=", lambda y: y.closing.pension_deficit),
            ("Present value of obligations", lambda y: obligations[y.year]),
            (
                "Fair value of scheme assets",
                lambda y: y.closing.pension_deficit - obligations[y.year],
            ),
        ],
    )
