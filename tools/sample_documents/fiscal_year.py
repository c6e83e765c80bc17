"""One fiscal year of the sample company: every statement line follows from the flows.

Amounts are whole numbers of £0.1 million unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

from .balances import Acquisition, BalanceSheet, Flows


class UnbalancedModelError(ValueError):
    """A statement of the sample company does not tie to another."""


@dataclass(frozen=True, slots=True)
class Year:
    """One fiscal year with full statements, in £0.1 million unless a name says otherwise."""

    year: int
    revenue: tuple[int, ...]
    segment_profit: tuple[int, ...]
    flows: Flows
    bought: Acquisition
    opening: BalanceSheet
    closing: BalanceSheet
    average_shares: int
    """Weighted average number of shares, in units of 0.1 million."""

    @property
    def total_revenue(self) -> int:
        """Revenue of all segments."""
        return sum(self.revenue)

    @property
    def gross_profit(self) -> int:
        """Revenue less cost of sales."""
        return self.total_revenue - self.flows.cost_of_sales

    @property
    def adjusted_operating_profit(self) -> int:
        """Segment profit less central costs."""
        return sum(self.segment_profit) - self.flows.central_costs

    @property
    def operating_profit(self) -> int:
        """Operating profit after amortisation of acquired intangibles and restructuring."""
        adjusting = self.flows.acquired_amortisation + self.flows.restructuring
        return self.adjusted_operating_profit - adjusting

    @property
    def administration(self) -> int:
        """Administrative expenses: what remains between gross and operating profit."""
        f = self.flows
        before = self.gross_profit - f.research - f.distribution + f.other_income
        return before - self.operating_profit

    @property
    def finance_costs(self) -> int:
        """Interest and fees charged to the income statement."""
        f = self.flows
        return f.loan_interest + f.lease_interest + f.pension_interest + f.facility_fees

    @property
    def profit_before_tax(self) -> int:
        """Operating profit and net finance costs."""
        return self.operating_profit + self.flows.finance_income - self.finance_costs

    @property
    def deferred_tax(self) -> int:
        """Deferred tax charged to the income statement."""
        return self.flows.deferred_tax_asset_used + self.flows.deferred_tax_liability_added

    @property
    def tax(self) -> int:
        """Tax charge of the year."""
        return self.flows.current_tax + self.deferred_tax

    @property
    def profit(self) -> int:
        """Profit after tax."""
        return self.profit_before_tax - self.tax

    @property
    def other_comprehensive_income(self) -> int:
        """Remeasurement of pensions net of tax, and translation."""
        f = self.flows
        return f.pension_remeasurement - f.tax_on_remeasurement + f.translation

    @property
    def gain_on_disposals(self) -> int:
        """Proceeds above carrying amount of property sold."""
        return self.flows.disposal_proceeds - self.flows.disposals

    @property
    def cash_generated(self) -> int:
        """Cash generated from operations, before interest and tax."""
        f = self.flows
        non_cash = (
            f.depreciation
            + f.lease_depreciation
            + f.development_amortisation
            + f.acquired_amortisation
            + f.share_based_payments
            - self.gain_on_disposals
        )
        pensions = f.pension_service - f.pension_contributions
        working = f.payables_up - f.inventories_up - f.receivables_up
        return self.operating_profit + non_cash + pensions + self.provisions_up + working

    @property
    def provisions_up(self) -> int:
        """Increase in provisions."""
        f = self.flows
        return f.provisions_charged - f.provisions_used - f.provisions_released

    @property
    def operating_cash(self) -> int:
        """Net cash from operating activities."""
        return self.cash_generated - self.flows.tax_paid

    @property
    def investing_cash(self) -> int:
        """Net cash used in investing activities (negative)."""
        f = self.flows
        received = f.disposal_proceeds + f.finance_income
        spent = f.capital_expenditure + f.development_capitalised + self.bought.net_cash_out
        return received - spent

    @property
    def interest_paid(self) -> int:
        """Interest and fees paid on borrowings."""
        return self.flows.loan_interest + self.flows.facility_fees

    @property
    def shares_issued(self) -> int:
        """Proceeds of shares issued."""
        return self.flows.shares_issued_nominal + self.flows.shares_issued_premium

    @property
    def financing_cash(self) -> int:
        """Net cash used in financing activities (negative)."""
        f = self.flows
        borrowed = f.facility_drawn - f.term_loan_repaid
        leases = f.lease_principal + f.lease_interest
        owners = self.shares_issued - f.own_shares - f.dividends
        return borrowed - leases - self.interest_paid + owners

    @property
    def change_in_cash(self) -> int:
        """Net increase in cash before exchange differences."""
        return self.operating_cash + self.investing_cash + self.financing_cash

    @property
    def free_cash_flow(self) -> int:
        """Operating cash less capital and development spending, interest and lease payments."""
        f = self.flows
        invested = f.capital_expenditure + f.development_capitalised - f.disposal_proceeds
        interest = self.interest_paid + f.lease_interest - f.finance_income
        return self.operating_cash - invested - interest - f.lease_principal

    @property
    def earnings_per_share(self) -> float:
        """Basic earnings per share, in pence."""
        return 100 * self.profit / self.average_shares


def check(year: Year) -> None:
    """Check that the cash flow explains the balance sheet.

    Raises
    ------
    UnbalancedModelError
        Where the change in cash is not the one in the cash-flow statement, or the opening balance
        sheet does not balance.
    """
    if year.opening.total_assets != year.opening.total_liabilities + year.opening.equity:
        raise UnbalancedModelError(f"the balance sheet before {year.year} does not balance")
    expected = year.opening.cash + year.change_in_cash + year.flows.fx_cash
    if expected != year.closing.cash:
        raise UnbalancedModelError(
            f"{year.year}: the cash flow ends at {expected}, the balance sheet at {year.closing.cash}"
        )
