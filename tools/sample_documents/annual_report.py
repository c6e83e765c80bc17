"""The annual report of Tarnbrook Instruments plc: the figures that its text names, and its layout."""

from __future__ import annotations

from pathlib import Path

from .company import (
    CENTRAL_EMPLOYEES,
    DIVIDEND_PENCE,
    EARLIER,
    EMPLOYEES,
    LUMENFLOW,
    REVENUE,
    SEGMENT_PROFIT,
    YEARS,
    Company,
    quarter_revenue,
)
from .fiscal_year import Year
from .layout import Style
from .markup import percent, write_document
from .note_tables import note_tables
from .report_tables import EMISSIONS_BASELINE, SCOPE_1, SCOPE_2, report_tables
from .statement_tables import statement_tables

STEM = "annual_report"
LUMENFLOW_REVENUE = 69
PARTS = (
    "report_1_business.md",
    "report_2_review.md",
    "report_3_statements.md",
    "report_4_notes.md",
    "report_5_shareholders.md",
)


def adjusted_ebitda(year: Year) -> int:
    """Adjusted operating profit before depreciation and amortisation, in £0.1 million."""
    f = year.flows
    charges = f.depreciation + f.lease_depreciation + f.development_amortisation
    return year.adjusted_operating_profit + charges


def report_facts(company: Company) -> dict[str, object]:
    """Return every figure that the report's text names.

    Whole numbers are £0.1 million; strings are ready to print.
    """
    now, prior = company.years
    rows = {"water": 0, "sensing": 1, "analytics": 2}
    facts: dict[str, object] = {"now": now, "prior": prior, "bought": LUMENFLOW}
    for name, index in rows.items():
        facts[name] = {n: REVENUE[n][index] for n in YEARS}
        facts[f"{name}_profit"] = {n: SEGMENT_PROFIT[n][index] for n in YEARS}
    organic = REVENUE[2025][2] - LUMENFLOW_REVENUE
    before = REVENUE[2024]
    eps_2022 = _early_profit(2022) / EARLIER[2022].average_shares * 100
    facts |= {
        "growth": {
            "total": _growth(now.total_revenue, prior.total_revenue),
            "adjusted": _growth(now.adjusted_operating_profit, prior.adjusted_operating_profit),
            "eps": _growth(now.earnings_per_share, prior.earnings_per_share),
            "water": _growth(now.revenue[0], before[0]),
            "analytics": _growth(now.revenue[2], before[2]),
            "analytics_organic": _growth(organic, before[2]),
        },
        "decline": {"sensing": percent(before[1] - now.revenue[1], before[1])},
        "margin": {
            "water_2025": percent(now.segment_profit[0], now.revenue[0]),
            "water_2024": percent(prior.segment_profit[0], prior.revenue[0]),
            "analytics_2025": percent(now.segment_profit[2], now.revenue[2]),
            "gross_2025": percent(now.gross_profit, now.total_revenue),
            "gross_2024": percent(prior.gross_profit, prior.total_revenue),
            "adjusted_2025": percent(now.adjusted_operating_profit, now.total_revenue),
            "adjusted_2024": percent(prior.adjusted_operating_profit, prior.total_revenue),
        },
        "share": {
            "research": percent(now.flows.research, now.total_revenue),
            "research_2024": percent(prior.flows.research, prior.total_revenue),
            "analytics_2025": percent(now.revenue[2], now.total_revenue),
            "analytics_2024": percent(prior.revenue[2], prior.total_revenue),
        },
        "days": {
            "inventory_2025": _days(now.closing.inventories, now.flows.cost_of_sales),
            "inventory_2024": _days(prior.closing.inventories, prior.flows.cost_of_sales),
            "debtor_2025": _days(now.closing.receivables, now.total_revenue),
            "debtor_2024": _days(prior.closing.receivables, prior.total_revenue),
        },
        "cagr": {
            "total": _compound(now.total_revenue, sum(REVENUE[2021]), 4),
            **{name: _compound(now.revenue[i], REVENUE[2021][i], 4) for name, i in rows.items()},
            "eps": _compound(now.earnings_per_share, eps_2022, 3),
        },
        "rate": {y.year: percent(y.tax, y.profit_before_tax) for y in company.years},
        "leverage": {y.year: y.closing.net_debt / adjusted_ebitda(y) for y in company.years},
        "net_finance": {y.year: y.finance_costs - y.flows.finance_income for y in company.years},
        "interim": {n: pence[0] for n, pence in DIVIDEND_PENCE.items()},
        "final": {n: pence[1] for n, pence in DIVIDEND_PENCE.items()},
        "dps": {n: sum(pence) for n, pence in DIVIDEND_PENCE.items()},
        "staff": {n: f"{sum(EMPLOYEES[n]) + CENTRAL_EMPLOYEES[n]:,}" for n in YEARS},
        "q4_revenue": sum(row[3] for row in quarter_revenue(2025)),
        "undrawn": 1500 - now.closing.facility,
        "lumenflow_revenue": LUMENFLOW_REVENUE,
        "emission_cut": percent(EMISSIONS_BASELINE - SCOPE_1[0] - SCOPE_2[0], EMISSIONS_BASELINE),
    }
    return facts


def write_annual_report(path: Path, company: Company) -> None:
    """Write the report as a PDF."""
    style = Style(
        title="Tarnbrook Instruments plc\nAnnual Report and Accounts 2025",
        running_header="Tarnbrook Instruments plc - Annual Report and Accounts 2025",
        author="Tarnbrook Instruments plc",
        contents_levels=(1, 2),
        contents_filter="Note ",
    )
    cover = (
        "For the year ended 30 September 2025",
        "Instruments, software and services for every drop that is measured.",
        "This is a specimen document. The company, its people and its figures are invented, and any "
        "resemblance to real ones is accidental.",
    )
    tables = statement_tables(company) | report_tables(company) | note_tables(company)
    write_document(path, style, cover, PARTS, report_facts(company), tables)


def _early_profit(number: int) -> int:
    earlier = EARLIER[number]
    operating = sum(SEGMENT_PROFIT[number]) - earlier.central_costs - earlier.adjusting_items
    return operating - earlier.net_finance_costs - earlier.tax


def _growth(now: float, before: float) -> str:
    return percent(now - before, before)


def _compound(now: float, before: float, years: int) -> str:
    return percent((now / before) ** (1 / years) - 1, 1)


def _days(balance: int, yearly: int) -> str:
    return f"{365 * balance / yearly:.0f}"
