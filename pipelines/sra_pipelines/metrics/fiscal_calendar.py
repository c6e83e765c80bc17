"""The financial years of a company: when they end, and what they are called."""

from __future__ import annotations

import dataclasses

from sra_pipelines.metrics.periods import YEAR_MONTHS, Period, normal_end

__all__ = ["EARLY", "FiscalCalendar"]

EARLY = frozenset((1, 2))  # months: a year that ends in them is named after the year before by some companies


@dataclasses.dataclass(frozen=True, slots=True)
class FiscalCalendar:
    """When the financial years of a company end.

    Parameters
    ----------
    end_month
        Month of the last day, 1 to 12; 0 if it is not known.
    offset
        The name of a financial year minus the calendar year of its last day: 0, or -1 for a year ending in January or
        February that is named after the year before; None if it is not known.
    is_contradictory
        Whether the statements contradict each other: twelve months can then be others than the financial year.
    """

    end_month: int = 0
    offset: int | None = None
    is_contradictory: bool = False

    def year_of(self, end: tuple[int, int]) -> int | None:
        """Return the financial year that ends in a year and month; None if its name is not certain."""
        year, month = end
        if month in EARLY:
            return None if self.offset is None else year + self.offset
        return year

    def end_of(self, period: Period) -> tuple[int, int] | str:
        """Return the year and month in which a period ends, or why that is not certain."""
        if period.end_month:
            return normal_end(period.year, period.end_month, period.end_day)
        if not self.end_month:
            return "the statements in the passages do not show when the financial year ends"
        if self.end_month != YEAR_MONTHS and not period.is_fiscal:
            return (
                f"the financial year does not end in December, so it is not certain whether {period} is a part of it "
                "or of the calendar year; write 'fiscal' for the financial year"
            )
        offset = self.offset if self.end_month in EARLY else 0
        if offset is None:
            return f"it is not certain in which calendar year the financial year {period.year} ends"
        months = (period.year - offset) * 12 + self.end_month - 1 - (YEAR_MONTHS - period.through)
        return months // 12, months % 12 + 1
