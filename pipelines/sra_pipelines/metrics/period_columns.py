"""Choose the column of a period in a statement, or say why none is certain."""

from __future__ import annotations

from collections.abc import Sequence

from sra_pipelines.metrics.fiscal_calendar import EARLY, FiscalCalendar
from sra_pipelines.metrics.periods import YEAR_MONTHS, Period
from sra_pipelines.metrics.statement_headings import Columns

__all__ = ["period_column"]


def period_column(
    columns: Columns, period: Period, calendar: FiscalCalendar, *, is_period: bool, may_be_interim: bool
) -> int | str:
    """Return the column of a period, or why there is none.

    Parameters
    ----------
    columns
        The columns of a statement.
    period
        The period; for an amount at a date, its end.
    calendar
        When the financial years of the company end.
    is_period
        Whether the amounts are those of a period, as in an income statement, and not those at a date.
    may_be_interim
        Whether the heading is that of a statement that is not audited: its dates can be those of quarters.
    """
    if not columns.years:
        return "the heading does not have a year for each column"
    if period.is_year:
        return _of_year(columns, period.year, calendar, is_period=is_period, may_be_interim=may_be_interim)
    return _of_part(columns, period, calendar, is_period=is_period)


def _of_year(
    columns: Columns, year: int, calendar: FiscalCalendar, *, is_period: bool, may_be_interim: bool
) -> int | str:
    own = list(range(columns.width))
    if is_period:
        own_length = [number for number in own if columns.months[number] in (0, YEAR_MONTHS)]
        other = [number for number in own if number not in own_length and columns.years[number] == year]
        if other and not any(columns.years[number] == year for number in own_length):
            return _other_length(year, columns.months[other[0]])
        own = own_length
    if not is_period and not calendar.end_month and may_be_interim and _ends_within_year(columns):
        return f"whether a financial year ends at the date of the column {year} is not certain"
    own = [number for number in own if _can_end_year(columns, number, calendar)]
    ends = {end[1] for number in own if (end := columns.ends[number]) is not None}
    months = ends or set(columns.end_months)
    if months and not _close(months):
        return f"the columns end in different months, so it is not certain which one is the financial year {year}"
    names = {number: _name(columns, number, calendar) for number in own}
    uncertain = [number for number, name in names.items() if name is None]
    if any(columns.years[number] in (year, year + 1) for number in uncertain):
        return (
            f"the year of the column {year} ends early in {year}, so it is not certain whether it is the financial "
            f"year {year} or {year - 1}"
        )
    hits = [number for number, name in names.items() if name == year]
    return hits[0] if len(hits) == 1 else _not_one(str(year), len(hits))


def _ends_within_year(columns: Columns) -> bool:
    """Return whether one of the columns does not end with a calendar year."""
    return any(end is not None and end[1] != YEAR_MONTHS for end in columns.ends)


def _can_end_year(columns: Columns, number: int, calendar: FiscalCalendar) -> bool:
    """Return whether a financial year can end at the date of a column."""
    end = columns.ends[number]
    if end is None:
        return columns.months[number] in (0, YEAR_MONTHS)
    if not calendar.end_month:
        return not calendar.is_contradictory
    return _close((end[1], calendar.end_month))


def _name(columns: Columns, number: int, calendar: FiscalCalendar) -> int | None:
    """Return the financial year of a column; None if it is not certain."""
    end = columns.ends[number]
    if end is None:
        return None if set(columns.end_months) & EARLY else columns.years[number]
    return calendar.year_of(end)


def _of_part(columns: Columns, period: Period, calendar: FiscalCalendar, *, is_period: bool) -> int | str:
    if columns.parts and not period.end_month:
        return _of_named_part(columns, period, is_period=is_period)
    end = calendar.end_of(period)
    if isinstance(end, str):
        return end
    if is_period and not period.months:
        return "the question names a date, and the amounts of the row are those of a period"
    if None in columns.ends:
        return "the heading does not have a date for each column"
    hits = [
        number
        for number, own in enumerate(columns.ends)
        if own == end and (not period.end_day or columns.days[number] in (0, period.end_day))
    ]
    if is_period:
        lengths = (0, YEAR_MONTHS) if period.months == YEAR_MONTHS else (period.months,)
        own_length = [number for number in hits if columns.months[number] in lengths]
        if hits and not own_length:
            return _other_length(period, columns.months[hits[0]])
        hits = own_length
    return hits[0] if len(hits) == 1 else _not_one(str(period), len(hits))


def _of_named_part(columns: Columns, period: Period, *, is_period: bool) -> int | str:
    """Return the column that has the name of a part of a year, such as "Q2 2023"."""
    hits = [
        number
        for number, (months, through) in enumerate(columns.parts)
        if columns.years[number] == period.year
        and through == period.through
        and (not is_period or months == period.months)
    ]
    return hits[0] if len(hits) == 1 else _not_one(str(period), len(hits))


def _other_length(period: Period | int, months: int) -> str:
    if months < 0:
        return f"the heading does not say how long the period of the column {period} is"
    wanted = period.months if isinstance(period, Period) else YEAR_MONTHS
    length = "a year" if wanted == YEAR_MONTHS else f"{wanted} months"
    return f"the column {period} is for {months} months, not for {length}"


def _not_one(period: str, n_hits: int) -> str:
    return f"several columns are for {period}" if n_hits else f"there is no column for {period}"


def _close(months: Sequence[int] | set[int]) -> bool:
    """Return whether months are at most one apart: a year of 52 weeks can end in the next month."""
    return all(min((a - b) % 12, (b - a) % 12) <= 1 for a in months for b in months)
