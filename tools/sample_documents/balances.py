"""Balance sheets of the sample company, and the year's flows that lead from one to the next.

Amounts are whole numbers of £0.1 million, so that sums are exact and a printed total always equals
the sum of the printed lines.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Flows:
    """What happened in one year, in £0.1 million; costs and payments are positive numbers."""

    cost_of_sales: int
    research: int
    distribution: int
    other_income: int
    central_costs: int
    acquired_amortisation: int
    restructuring: int
    finance_income: int
    loan_interest: int
    lease_interest: int
    pension_interest: int
    facility_fees: int
    current_tax: int
    deferred_tax_asset_used: int
    deferred_tax_liability_added: int
    pension_remeasurement: int
    tax_on_remeasurement: int
    depreciation: int
    capital_expenditure: int
    disposals: int
    disposal_proceeds: int
    development_capitalised: int
    development_amortisation: int
    lease_additions: int
    lease_depreciation: int
    lease_principal: int
    share_based_payments: int
    pension_service: int
    pension_contributions: int
    provisions_charged: int
    provisions_used: int
    provisions_released: int
    inventories_up: int
    receivables_up: int
    payables_up: int
    tax_paid: int
    facility_drawn: int
    term_loan_repaid: int
    dividends: int
    own_shares: int
    shares_issued_nominal: int
    shares_issued_premium: int
    fx_goodwill: int
    fx_intangibles: int
    fx_property: int
    fx_leased_assets: int
    fx_lease_liabilities: int
    fx_cash: int

    @property
    def translation(self) -> int:
        """Exchange differences taken to the translation reserve."""
        assets = self.fx_goodwill + self.fx_intangibles + self.fx_property
        return assets + self.fx_leased_assets + self.fx_cash - self.fx_lease_liabilities


@dataclass(frozen=True, slots=True)
class Acquisition:
    """Net assets bought and how they were paid for, in £0.1 million."""

    goodwill: int = 0
    intangibles: int = 0
    plant: int = 0
    inventories: int = 0
    receivables: int = 0
    cash: int = 0
    payables: int = 0
    deferred_tax: int = 0
    deferred_consideration: int = 0

    @property
    def identifiable(self) -> int:
        """Identifiable net assets at fair value."""
        assets = self.intangibles + self.plant + self.inventories + self.receivables + self.cash
        return assets - self.payables - self.deferred_tax

    @property
    def consideration(self) -> int:
        """Total consideration, paid and deferred."""
        return self.identifiable + self.goodwill

    @property
    def cash_paid(self) -> int:
        """Cash handed over on completion."""
        return self.consideration - self.deferred_consideration

    @property
    def net_cash_out(self) -> int:
        """Cash paid less cash in the acquired business."""
        return self.cash_paid - self.cash


@dataclass(frozen=True, slots=True)
class BalanceSheet:
    """One closing balance sheet, in £0.1 million; liabilities are positive numbers."""

    goodwill: int
    intangibles: int
    plant: int
    leased_assets: int
    deferred_tax_assets: int
    inventories: int
    receivables: int
    cash: int
    payables: int
    current_tax: int
    facility: int
    term_loan: int
    notes_2027: int
    notes_2031: int
    lease_liabilities: int
    provisions: int
    pension_deficit: int
    deferred_tax_liabilities: int
    share_capital: int
    share_premium: int
    translation_reserve: int
    retained_earnings: int

    @property
    def non_current_assets(self) -> int:
        """Assets held for longer than a year."""
        held = self.goodwill + self.intangibles + self.plant + self.leased_assets
        return held + self.deferred_tax_assets

    @property
    def current_assets(self) -> int:
        """Inventories, receivables and cash."""
        return self.inventories + self.receivables + self.cash

    @property
    def total_assets(self) -> int:
        """All assets."""
        return self.non_current_assets + self.current_assets

    @property
    def borrowings(self) -> int:
        """Loans and notes, without leases."""
        return self.facility + self.term_loan + self.notes_2027 + self.notes_2031

    @property
    def total_liabilities(self) -> int:
        """All liabilities."""
        owed = self.payables + self.current_tax + self.borrowings + self.lease_liabilities
        return owed + self.provisions + self.pension_deficit + self.deferred_tax_liabilities

    @property
    def equity(self) -> int:
        """Total equity."""
        issued = self.share_capital + self.share_premium
        return issued + self.translation_reserve + self.retained_earnings

    @property
    def net_debt(self) -> int:
        """Borrowings less cash, without leases."""
        return self.borrowings - self.cash


def close(opening: BalanceSheet, year_flows: Flows, bought: Acquisition, profit: int) -> BalanceSheet:
    """Roll a balance sheet forward by a year.

    Parameters
    ----------
    opening
        The balance sheet at the start of the year.
    year_flows
        The year's flows.
    bought
        The business bought in the year.
    profit
        Profit after tax, in £0.1 million.

    Returns
    -------
    BalanceSheet
        The closing balances; cash is the balancing line, checked later against the cash flow.
    """
    o, f = opening, year_flows
    remeasured = f.pension_remeasurement - f.tax_on_remeasurement
    owners = f.share_based_payments - f.own_shares - f.dividends
    after: dict[str, int] = {
        "goodwill": o.goodwill + bought.goodwill + f.fx_goodwill,
        "intangibles": o.intangibles
        + bought.intangibles
        + f.development_capitalised
        - f.development_amortisation
        - f.acquired_amortisation
        + f.fx_intangibles,
        "plant": o.plant + bought.plant + f.capital_expenditure - f.depreciation - f.disposals + f.fx_property,
        "leased_assets": o.leased_assets + f.lease_additions - f.lease_depreciation + f.fx_leased_assets,
        "deferred_tax_assets": o.deferred_tax_assets - f.deferred_tax_asset_used - f.tax_on_remeasurement,
        "inventories": o.inventories + bought.inventories + f.inventories_up,
        "receivables": o.receivables + bought.receivables + f.receivables_up,
        "payables": o.payables + bought.payables + bought.deferred_consideration + f.payables_up,
        "current_tax": o.current_tax + f.current_tax - f.tax_paid,
        "facility": o.facility + f.facility_drawn,
        "term_loan": o.term_loan - f.term_loan_repaid,
        "notes_2027": o.notes_2027,
        "notes_2031": o.notes_2031,
        "lease_liabilities": o.lease_liabilities + f.lease_additions - f.lease_principal + f.fx_lease_liabilities,
        "provisions": o.provisions + f.provisions_charged - f.provisions_used - f.provisions_released,
        "pension_deficit": o.pension_deficit
        + f.pension_service
        + f.pension_interest
        - f.pension_contributions
        - f.pension_remeasurement,
        "deferred_tax_liabilities": o.deferred_tax_liabilities + f.deferred_tax_liability_added + bought.deferred_tax,
        "share_capital": o.share_capital + f.shares_issued_nominal,
        "share_premium": o.share_premium + f.shares_issued_premium,
        "translation_reserve": o.translation_reserve + f.translation,
        "retained_earnings": o.retained_earnings + profit + remeasured + owners,
    }
    without_cash = BalanceSheet(cash=0, **after)
    cash = without_cash.equity + without_cash.total_liabilities - without_cash.total_assets
    return BalanceSheet(cash=cash, **after)
