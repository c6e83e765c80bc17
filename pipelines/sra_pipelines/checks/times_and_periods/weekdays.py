"""Find days of the week, with their names in the languages of `sra_pipelines.checks.dates`, from babel."""

from __future__ import annotations

import functools
import itertools
import re

from sra_pipelines.checks.dates import LANGUAGES, find_dates

__all__ = ["find_weekdays", "find_written_weekdays"]

Weekday = tuple[int, int, int]
"""Number of the day, 0 for Monday, and start and end in characters."""

_SHORT = {"mon": 0, "tue": 1, "tues": 1, "wed": 2, "thu": 3, "thur": 3, "thurs": 3, "fri": 4, "sat": 5, "sun": 6}
_ABBREVIATED = re.compile(r"\b(?P<day>Mon|Tues?|Wed|Thu(?:rs?)?|Fri|Sat|Sun)\b\.?")
_RANGE = re.compile(r"\s*(?:-|\u2013|\u2014|to|through|until|bis|au?|a)\s*", re.IGNORECASE)
_SEVERAL = re.compile(
    r"\b(?:(?P<work>weekdays|working\s+days|business\s+days)|(?P<end>weekends?)|(?P<all>daily|every\s+day|seven\s+days\s+a\s+week))\b",
    re.IGNORECASE,
)
_DAYS = 7


def find_weekdays(text: str) -> list[Weekday]:
    """Return the days of the week that a text names in full."""
    days, pattern = _names()
    return [(days[match[0].casefold()], *match.span()) for match in pattern.finditer(text)]


def find_written_weekdays(text: str) -> list[Weekday]:
    """Return the days of the week of a passage: also abbreviated, within ranges, and those of its dates."""
    named = find_weekdays(text)
    named += [(_SHORT[match["day"].lower()], *match.span()) for match in _ABBREVIATED.finditer(text)]
    named.sort(key=lambda weekday: weekday[1])
    days = list(named)
    for (first, _, end), (last, start, _) in itertools.pairwise(named):
        if start > end and _RANGE.fullmatch(text, end, start):
            days += [((first + step) % _DAYS, end, start) for step in range((last - first) % _DAYS)]
    for match in _SEVERAL.finditer(text):
        among = range(5) if match["work"] else range(5, _DAYS) if match["end"] else range(_DAYS)
        days += [(day, *match.span()) for day in among]
    return days + [(date.weekday(), start, end) for date, start, end in find_dates(text)]


@functools.cache
def _names() -> tuple[dict[str, int], re.Pattern[str]]:
    from babel.dates import get_day_names

    names: dict[str, int] = {}
    for language in LANGUAGES:
        for context in ("format", "stand-alone"):
            for number, name in get_day_names("wide", context, language).items():
                names.setdefault(name.casefold(), number)
    longest_first = sorted(names, key=len, reverse=True)
    # English and German capitalise the names; in other languages they are also written small.
    return names, re.compile(rf"\b(?:{'|'.join(map(re.escape, longest_first))})\b", re.IGNORECASE)
