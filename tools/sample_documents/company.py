"""The one model of Tarnbrook Instruments plc that every figure in the annual report comes from.

The inputs are invented, in £0.1 million. `build_company` rolls the opening balance sheet forward
through each year's flows and raises `UnbalancedModelError` where a statement does not tie.
"""

from __future__ import annotations

from dataclasses import dataclass

from .balances import Acquisition, BalanceSheet, Flows, close
from .fiscal_year import UnbalancedModelError, Year, check

SEGMENTS = ("Water Metering", "Industrial Sensing", "Flow Analytics")
REGIONS = (
    "United Kingdom and Ireland",
    "Continental Europe",
    "North America",
    "Asia Pacific",
    "Rest of the world",
)
YEARS = (2021, 2022, 2023, 2024, 2025)
QUARTERS = ("Q1", "Q2", "Q3", "Q4")

REVENUE: dict[int, tuple[int, ...]] = {
    2021: (2498, 1619, 436),
    2022: (2627, 1784, 553),
    2023: (2815, 1938, 662),
    2024: (2961, 2053, 789),
    2025: (3184, 2017, 925),
}
SEGMENT_PROFIT: dict[int, tuple[int, ...]] = {
    2021: (337, 219, 61),
    2022: (361, 254, 88),
    2023: (398, 287, 119),
    2024: (429, 316, 151),
    2025: (487, 294, 198),
}
REGION_REVENUE: dict[int, tuple[int, ...]] = {
    2023: (1957, 1648, 1069, 512, 229),
    2024: (2048, 1716, 1182, 583, 274),
    2025: (2131, 1763, 1318, 597, 317),
}
# Three quarters by segment; the fourth is what remains of the year.
FIRST_QUARTERS: dict[int, tuple[tuple[int, ...], ...]] = {
    2024: ((698, 731, 752), (497, 519, 508), (181, 190, 203)),
    2025: ((747, 781, 808), (503, 496, 511), (207, 224, 239)),
}
FIRST_QUARTER_PROFITS: dict[int, tuple[int, ...]] = {2024: (164, 187, 198), 2025: (179, 203, 218)}


@dataclass(frozen=True, slots=True)
class Earlier:
    """What the five-year record says of a year without full statements, in £0.1 million."""

    central_costs: int
    adjusting_items: int
    net_finance_costs: int
    tax: int
    cost_of_sales: int
    research: int
    capital_expenditure: int
    net_debt: int
    average_shares: int


EARLIER: dict[int, Earlier] = {
    2021: Earlier(108, 93, 79, 76, 2751, 338, 169, 1247, 1498),
    2022: Earlier(116, 117, 86, 92, 2982, 369, 188, 1229, 1504),
    2023: Earlier(124, 104, 98, 116, 3233, 401, 203, 1182, 1509),
}
DIVIDEND_PENCE: dict[int, tuple[float, float]] = {
    2021: (3.0, 5.7),
    2022: (3.2, 6.2),
    2023: (3.5, 6.9),
    2024: (3.8, 7.6),
    2025: (4.1, 8.3),
}
EMPLOYEES: dict[int, tuple[int, ...]] = {
    2021: (1684, 1127, 241),
    2022: (1702, 1163, 287),
    2023: (1731, 1204, 335),
    2024: (1748, 1239, 392),
    2025: (1779, 1186, 468),
}
CENTRAL_EMPLOYEES: dict[int, int] = {2021: 88, 2022: 91, 2023: 94, 2024: 97, 2025: 103}

OPENING = BalanceSheet(
    goodwill=1426,
    intangibles=683,
    plant=1187,
    leased_assets=314,
    deferred_tax_assets=92,
    inventories=845,
    receivables=1213,
    cash=468,
    payables=984,
    current_tax=56,
    facility=400,
    term_loan=200,
    notes_2027=600,
    notes_2031=450,
    lease_liabilities=337,
    provisions=99,
    pension_deficit=224,
    deferred_tax_liabilities=193,
    share_capital=153,
    share_premium=884,
    translation_reserve=62,
    retained_earnings=1586,
)
FLOWS: dict[int, Flows] = {
    2024: Flows(
        cost_of_sales=3438,
        research=436,
        distribution=657,
        other_income=24,
        central_costs=131,
        acquired_amortisation=89,
        restructuring=21,
        finance_income=15,
        loan_interest=86,
        lease_interest=16,
        pension_interest=10,
        facility_fees=7,
        current_tax=129,
        deferred_tax_asset_used=3,
        deferred_tax_liability_added=3,
        pension_remeasurement=-41,
        tax_on_remeasurement=-10,
        depreciation=158,
        capital_expenditure=214,
        disposals=6,
        disposal_proceeds=8,
        development_capitalised=126,
        development_amortisation=93,
        lease_additions=74,
        lease_depreciation=79,
        lease_principal=72,
        share_based_payments=34,
        pension_service=11,
        pension_contributions=60,
        provisions_charged=44,
        provisions_used=36,
        provisions_released=5,
        inventories_up=41,
        receivables_up=63,
        payables_up=38,
        tax_paid=121,
        facility_drawn=-70,
        term_loan_repaid=50,
        dividends=162,
        own_shares=25,
        shares_issued_nominal=1,
        shares_issued_premium=32,
        fx_goodwill=11,
        fx_intangibles=5,
        fx_property=8,
        fx_leased_assets=2,
        fx_lease_liabilities=2,
        fx_cash=4,
    ),
    2025: Flows(
        cost_of_sales=3569,
        research=472,
        distribution=685,
        other_income=31,
        central_costs=142,
        acquired_amortisation=96,
        restructuring=43,
        finance_income=18,
        loan_interest=74,
        lease_interest=17,
        pension_interest=9,
        facility_fees=7,
        current_tax=136,
        deferred_tax_asset_used=4,
        deferred_tax_liability_added=6,
        pension_remeasurement=32,
        tax_on_remeasurement=8,
        depreciation=166,
        capital_expenditure=247,
        disposals=9,
        disposal_proceeds=12,
        development_capitalised=141,
        development_amortisation=102,
        lease_additions=98,
        lease_depreciation=83,
        lease_principal=77,
        share_based_payments=39,
        pension_service=10,
        pension_contributions=65,
        provisions_charged=71,
        provisions_used=49,
        provisions_released=4,
        inventories_up=-26,
        receivables_up=79,
        payables_up=52,
        tax_paid=133,
        facility_drawn=130,
        term_loan_repaid=50,
        dividends=178,
        own_shares=30,
        shares_issued_nominal=1,
        shares_issued_premium=39,
        fx_goodwill=-24,
        fx_intangibles=-11,
        fx_property=-16,
        fx_leased_assets=-3,
        fx_lease_liabilities=-3,
        fx_cash=-6,
    ),
}
LUMENFLOW = Acquisition(
    goodwill=162,
    intangibles=125,
    plant=11,
    inventories=19,
    receivables=23,
    cash=17,
    payables=30,
    deferred_tax=26,
    deferred_consideration=10,
)
AVERAGE_SHARES: dict[int, int] = {2024: 1516, 2025: 1524}


@dataclass(frozen=True, slots=True)
class Company:
    """The two years with full statements."""

    prior: Year
    current: Year

    @property
    def years(self) -> tuple[Year, Year]:
        """Current year first, as the statements print them."""
        return (self.current, self.prior)


def build_company() -> Company:
    """Build the statements of both years and check that they tie.

    Raises
    ------
    UnbalancedModelError
        Where the inputs contradict each other.
    """
    prior = _build_year(2024, OPENING, Acquisition())
    current = _build_year(2025, prior.closing, LUMENFLOW)
    return Company(prior=prior, current=current)


def _build_year(number: int, opening: BalanceSheet, bought: Acquisition) -> Year:
    def with_closing(closing: BalanceSheet) -> Year:
        return Year(
            year=number,
            revenue=REVENUE[number],
            segment_profit=SEGMENT_PROFIT[number],
            flows=FLOWS[number],
            bought=bought,
            opening=opening,
            closing=closing,
            average_shares=AVERAGE_SHARES[number],
        )

    # Profit does not depend on the closing balances, so it can be read before they exist.
    profit = with_closing(opening).profit
    year = with_closing(close(opening, FLOWS[number], bought, profit))
    check(year)
    if sum(REGION_REVENUE[number]) != year.total_revenue:
        raise UnbalancedModelError(f"{number}: the regions do not sum to revenue")
    return year


def quarter_revenue(number: int) -> tuple[tuple[int, ...], ...]:
    """Revenue by segment and quarter; the four quarters sum to the year."""
    rows = zip(REVENUE[number], FIRST_QUARTERS[number], strict=True)
    return tuple((*first, total - sum(first)) for total, first in rows)


def quarter_profit(number: int) -> tuple[int, ...]:
    """Adjusted operating profit by quarter; the four quarters sum to the year."""
    total = sum(SEGMENT_PROFIT[number]) - FLOWS[number].central_costs
    first = FIRST_QUARTER_PROFITS[number]
    return (*first, total - sum(first))
