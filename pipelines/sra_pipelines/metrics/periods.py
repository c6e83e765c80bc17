"""Periods that a question asks for: a financial year, a part of one, or a period or date that is named by its end."""

from __future__ import annotations

import dataclasses

__all__ = ["YEAR_MONTHS", "Period", "normal_end"]

YEAR_MONTHS = 12
_NEXT_DAYS = 7  # a period of 52 or 13 weeks can end some days after the end of its month
_PARTS = {
    (3, 3): "Q1", (3, 6): "Q2", (3, 9): "Q3", (3, 12): "Q4",
    (6, 6): "first half of", (6, 12): "second half of", (9, 9): "first nine months of",
}  # fmt: skip
_MONTHS = ("January", "February", "March", "April", "May", "June", "July",
           "August", "September", "October", "November", "December")  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Period:
    """A financial year or a part of it, or a period or date with a known end.

    Parameters
    ----------
    year
        The financial year; if `end_month` is given, the calendar year of the end.
    months
        Length in months: 12 for a year, 3, 6 or 9; 0 for a date, which only amounts of a balance sheet have.
    through
        Months from the start of the financial year to the end of the period: 6 for the second quarter.
    end_month, end_day
        The calendar month and day of the end, as given; 0 if the period is named by its year.
    is_fiscal
        Whether it is called a part of a fiscal or financial year: without this, "Q2 2023" of a company whose financial
        year is not the calendar year has two readings.
    """

    year: int
    months: int = YEAR_MONTHS
    through: int = YEAR_MONTHS
    end_month: int = 0
    end_day: int = 0
    is_fiscal: bool = False

    @property
    def is_year(self) -> bool:
        """Whether it is a whole financial year that is named by its year."""
        return self.months == YEAR_MONTHS and not self.end_month

    def before(self, years: int) -> Period:
        """Return the same period some years earlier."""
        return dataclasses.replace(self, year=self.year - years, end_day=0 if years else self.end_day)

    def __str__(self) -> str:
        if self.is_year:
            return str(self.year)
        if not self.end_month:
            return f"{_PARTS[self.months, self.through]} {self.year}"
        day = f" {self.end_day}," if self.end_day else ""
        end = f"{_MONTHS[self.end_month - 1]}{day} {self.year}"
        return f"{self.months} months to {end}" if self.months else end


def normal_end(year: int, month: int, day: int) -> tuple[int, int]:
    """Return the year and month in which a period ends; the first days of a month count as the end of the one before.

    Parameters
    ----------
    year, month, day
        The date; 0 for an unknown day.
    """
    if 0 < day <= _NEXT_DAYS:
        return (year, month - 1) if month > 1 else (year - 1, 12)
    return year, month
