"""Find dates in a text: with the month in words, in the languages of `_LANGUAGES`, or in numbers.

The names of months are those of the Unicode CLDR, from babel. dateparser was tried too: it reads more languages, but
takes "24 hours" for a date, and reads 12/05/2027 in one way only.
"""

from __future__ import annotations

import datetime
import functools
import re

__all__ = ["find_dates", "find_months"]

_LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "nb", "fi", "pl", "cs")
_ISO = re.compile(r"(?<![\d.,/-])(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})(?![\d/-]|[.,]\d)")
_EAST_ASIAN = re.compile(
    r"(?P<year>\d{4})\s?[\u5e74\ub144]\s?(?P<month>\d{1,2})\s?[\u6708\uc6d4]\s?(?P<day>\d{1,2})\s?[\u65e5\uc77c]"
)
_NUMBERS = re.compile(
    r"(?<![\d.,/-])(?P<first>\d{1,2})(?P<mark>[/.-])\s?(?P<second>\d{1,2})(?P=mark)\s?(?P<year>\d{4}|\d{2})(?![\d/-]|[.,]\d)"
)


def find_dates(text: str) -> list[tuple[datetime.date, int, int]]:
    """Return the complete dates (day, month and year) in a text, each with its start and end in characters.

    A date with two readings, such as 12/05/2027, is returned twice with the same span.
    """
    dates = []
    in_words, _ = _patterns()
    for pattern in in_words:
        for match in pattern.finditer(text):
            month = _months()[match["month"].casefold()]
            dates += _valid(match, (int(match["year"]), month, int(match["day"])))
    for match in (*_ISO.finditer(text), *_EAST_ASIAN.finditer(text)):
        dates += _valid(match, (int(match["year"]), int(match["month"]), int(match["day"])))
    for match in _NUMBERS.finditer(text):
        first, second, year = int(match["first"]), int(match["second"]), int(match["year"])
        if len(match["year"]) == 2:
            if match["mark"] != "/" and len(match["first"] + match["second"]) < 4:  # 1.2.25 may be a clause's number
                continue
            year += 2000
        readings = {(year, second, first)}
        if match["mark"] != ".":
            readings.add((year, first, second))
        for reading in sorted(readings):
            dates += _valid(match, reading)
    return sorted(dates, key=lambda item: item[1])


def find_months(text: str) -> list[tuple[tuple[int, int], int, int]]:
    """Return each month with its year, such as ``October 2029``, also within complete dates, with its span."""
    _, pattern = _patterns()
    months = [
        ((int(match["year"]), _months()[match["month"].casefold()]), match.start(), match.end())
        for match in pattern.finditer(text)
    ]
    months += [((date.year, date.month), start, end) for date, start, end in find_dates(text)]
    return sorted(months, key=lambda item: item[1])


def _valid(match: re.Match[str], reading: tuple[int, int, int]) -> list[tuple[datetime.date, int, int]]:
    try:
        return [(datetime.date(*reading), match.start(), match.end())]
    except ValueError:  # the 31st of February
        return []


@functools.cache
def _months() -> dict[str, int]:
    """Return the number of each month by its name, in lower case."""
    from babel.dates import get_month_names

    months = {"sept": 9}
    for language in _LANGUAGES:
        for width in ("wide", "abbreviated"):
            for context in ("format", "stand-alone"):
                for number, name in get_month_names(width, context, language).items():
                    if len(name.rstrip(".")) > 2:
                        months.setdefault(name.rstrip(".").casefold(), number)
    return months


@functools.cache
def _patterns() -> tuple[tuple[re.Pattern[str], ...], re.Pattern[str]]:
    names = "|".join(re.escape(name) for name in sorted(_months(), key=len, reverse=True))
    day = r"(?P<day>\d{1,2})(?:st|nd|rd|th|er|\.|\u00ba|o)?"
    between = r"(?:\s+(?:of|de|di)\s+|\s+|(?<=\.)|[-/])"
    day_first = rf"\b{day}{between}(?P<month>{names})\b(?:\.?,?\s+(?:de\s+)?|[-/])(?P<year>\d{{4}})\b"
    month_first = rf"\b(?P<month>{names})\b\.?\s+{day},?\s+(?P<year>\d{{4}})\b"
    month_only = rf"\b(?P<month>{names})\b\.?,?\s+(?:de\s+)?(?P<year>\d{{4}})\b"
    return tuple(re.compile(p, re.IGNORECASE) for p in (day_first, month_first)), re.compile(month_only, re.IGNORECASE)
