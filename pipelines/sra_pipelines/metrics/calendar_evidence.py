"""Find out when the financial years of a company end, and what they are called.

Both come from the document: the lengths of the columns of its statements, and sentences that name a financial year or
quarter together with its last day. If two of them differ, nothing is known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from sra_pipelines.metrics.fiscal_calendar import EARLY, FiscalCalendar
from sra_pipelines.metrics.periods import YEAR_MONTHS, normal_end
from sra_pipelines.metrics.statement_headings import DATE, date_values
from sra_pipelines.metrics.statement_table import StatementTable

__all__ = ["fiscal_calendar"]

_QUARTER = 3
_FROM_START = 0  # marks three months that start with the financial year
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4}
_YEAR = r"(?P<name>(?:19|20)\d\d)"
_FISCAL = rf"(?:fiscal(?: year)?|financial year|FY) ?{_YEAR}"
_ORDINAL = r"(?P<ordinal>first|second|third|fourth)"
_QUOTES = r"[\"'\u2018\u2019\u201c\u201d(),]*"
# "the second quarter of fiscal 2024, which ended on July 29, 2023"
_NAMED = re.compile(
    rf"\b(?:{_ORDINAL} quarter (?:of )?)?{_FISCAL}{_QUOTES} ?\(?(?:which |that )?end(?:ed|s|ing) (?:on )?{DATE}",
    re.IGNORECASE,
)
# "the end of the second quarter of fiscal 2024 on July 29, 2023"
_NAMED_END = re.compile(
    rf"\bend of (?:the |our )?(?:{_ORDINAL} quarter of )?{_FISCAL},? (?:on |\()?{DATE}", re.IGNORECASE
)
# "the fiscal year ended January 28, 2023 ("fiscal 2022")"
_NAMED_AFTER = re.compile(
    rf"\b(?:year|5[23][- ]weeks?(?: period)?) end(?:ed|ing) (?:on )?{DATE},? ?{_QUOTES} ?"
    rf"(?:(?:referred to as|or) )?{_QUOTES}{_FISCAL}",
    re.IGNORECASE,
)
_YEAR_ENDED = re.compile(rf"\byears? ended (?:on )?{DATE}", re.IGNORECASE)
# "Announces Fourth Quarter Fiscal 2022 Results", on the first page
_RESULTS = re.compile(rf"\b{_ORDINAL}[- ]quarter(?: of| and)? {_FISCAL}(?: financial)? results\b", re.IGNORECASE)


def fiscal_calendar(
    tables: Mapping[str, Sequence[StatementTable]], texts: Callable[[], Iterable[str]], at_a_date: Sequence[str]
) -> FiscalCalendar:
    """Return the calendar of a company.

    Parameters
    ----------
    tables
        The tables of its statements by kind.
    texts
        Returns the texts of all pages of the document, first page first; only called if they are needed.
    at_a_date
        Kinds of statements whose amounts are those at a date.
    """
    periods = {kind: own for kind, own in tables.items() if kind not in at_a_date}
    dates = _ends(table for kind in at_a_date for table in tables.get(kind, ()))
    ends = [*dates, *_ends(table for own in periods.values() for table in own)]
    if not ends:
        return FiscalCalendar()
    months = _from_lengths(periods, {month for _, month in dates})
    certain = len(months) == 1 and not months & _quarter_end(dates)
    lengths = {length for own in periods.values() for table in own for length in table.columns.months}
    if certain and lengths <= {0, YEAR_MONTHS} and not months & EARLY:
        return FiscalCalendar(next(iter(months)), 0)  # an annual report
    pages = [" ".join(text.split()) for text in texts()]
    evidence = list(_evidence(pages))
    evidence += _from_title(pages[0], max(ends)) if pages else ()
    if not certain:
        contradict = bool(months)
        months = {month for month, _, _ in evidence} or _years_ended(pages)
        if len(months) != 1:
            return FiscalCalendar(is_contradictory=contradict)
    [month] = months
    if month not in EARLY:
        return FiscalCalendar(month, 0)
    offsets = {name - end_year for own, name, end_year in evidence if own == month}
    known = offsets if len(offsets) == 1 and offsets <= {0, -1} else {None}
    return FiscalCalendar(month, next(iter(known)))


def _ends(tables: Iterable[StatementTable]) -> list[tuple[int, int]]:
    return [end for table in tables for end in table.columns.ends if end is not None]


def _from_lengths(periods: Mapping[str, Sequence[StatementTable]], dates: set[int]) -> set[int]:
    """Return the months in which the financial year can end, from the longest columns: they start with the year.

    Three months alone can be any quarter, except in a cash flow statement, which starts with the year. Twelve months
    beside shorter periods are the year, or the last twelve months; a balance sheet with no other month, or the end of
    the calendar year, shows that they are the year.
    """
    lengths: dict[tuple[int, int], set[int]] = {}
    for kind, own in periods.items():
        for table in own:
            for end, months in zip(table.columns.ends, table.columns.months, strict=True):
                if end is not None and months > 0:
                    lengths.setdefault(end, set()).add(months)
                    if months == _QUARTER and kind == "cash_flow_statement":
                        lengths[end].add(_FROM_START)
    found: set[int] = set()
    for (_, month), own_lengths in lengths.items():
        longer = {length for length in own_lengths if length > _QUARTER}
        if YEAR_MONTHS in longer and dates == {month}:
            longer = {YEAR_MONTHS}
        elif longer == {YEAR_MONTHS} and _QUARTER in own_lengths and month != YEAR_MONTHS:
            found.add(YEAR_MONTHS)
        if not longer and _FROM_START in own_lengths:
            longer = {_QUARTER}
        found |= {(month - length - 1) % 12 + 1 for length in longer}
    return found


def _quarter_end(dates: Sequence[tuple[int, int]]) -> set[int]:
    """Return the month of the last date of a balance sheet, if the other dates are in other months: a quarter's end."""
    months = {month for _, month in dates}
    return {max(dates)[1]} if len(months) > 1 else set()


def _evidence(pages: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """Yield the month in which the financial year ends, a name of a financial year, and the year in which it ends."""
    for text in pages:
        for pattern in (_NAMED, _NAMED_END, _NAMED_AFTER):
            for match in pattern.finditer(text):
                ordinal = match.groupdict().get("ordinal")
                quarter = _ORDINALS[ordinal.lower()] if ordinal else 4
                year, month = normal_end(*date_values(match))
                yield _year_end(year, month, quarter, int(match["name"]))


def _from_title(first_page: str, latest: tuple[int, int]) -> Iterator[tuple[int, int, int]]:
    """Yield what the title of a release of results says about the latest period of its statements."""
    for match in _RESULTS.finditer(first_page):
        yield _year_end(*latest, _ORDINALS[match["ordinal"].lower()], int(match["name"]))


def _year_end(year: int, month: int, quarter: int, name: int) -> tuple[int, int, int]:
    months = year * 12 + month - 1 + _QUARTER * (4 - quarter)
    return months % 12 + 1, name, months // 12


def _years_ended(pages: Sequence[str]) -> set[int]:
    ends = {normal_end(*date_values(match))[1] for text in pages for match in _YEAR_ENDED.finditer(text)}
    return ends if len(ends) == 1 else set()
