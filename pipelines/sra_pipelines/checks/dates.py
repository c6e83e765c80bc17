"""Find dates in a text: with the month in words, in the languages of `LANGUAGES`, or in numbers.

The names of months are those of the Unicode CLDR, from babel. dateparser was tried too: it reads more languages, but
takes "24 hours" for a date, and reads 12/05/2027 in one way only.
"""

from __future__ import annotations

import calendar
import datetime
import functools
import re
from collections.abc import Iterator, Sequence

__all__ = [
    "LANGUAGES",
    "ORDINALS",
    "day_in_words",
    "find_dates",
    "find_days",
    "find_months",
    "find_written_dates",
    "is_month",
]

LANGUAGES = (
    "en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "nb", "fi", "pl", "cs", "ro", "hu", "tr", "el", "ru", "uk",
    "bg", "ar", "he",
)  # fmt: skip
_ISO = re.compile(
    r"(?<![\d.,/-])(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})"
    r"(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?(?![\d/-]|[.,]\d)"
)
_EAST_ASIAN = re.compile(
    r"(?P<year>\d{4})\s?[\u5e74\ub144]\s?(?P<month>\d{1,2})\s?[\u6708\uc6d4]\s?(?P<day>\d{1,2})\s?[\u65e5\uc77c]"
)
_COMPACT = re.compile(
    r"(?<![\w.,/-])(?P<year>(?:19|20)\d\d)(?P<month>0[1-9]|1[0-2])(?P<day>0[1-9]|[12]\d|3[01])(?![\w/-]|[.,]\d)"
)
_MONTH_OF_A_YEAR = re.compile(
    r"(?<![\d.,/-])(?:(?P<first>0?[1-9]|1[0-2])[/-](?P<after>(?:19|20)\d\d)|(?P<before>(?:19|20)\d\d)[/-](?P<last>0[1-9]|1[0-2]))"
    r"(?![\d/-]|[.,]\d)"
)
_ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth",
    "twentieth", "twenty-first", "twenty-second", "twenty-third", "twenty-fourth", "twenty-fifth", "twenty-sixth",
    "twenty-seventh", "twenty-eighth", "twenty-ninth", "thirtieth", "thirty-first",
)  # fmt: skip
ORDINALS = "(?:" + "|".join(sorted((word.replace("-", r"[\s-]") for word in _ORDINALS), key=len, reverse=True)) + ")"
"""Pattern of the days of a month in words, such as "twenty-first"."""

_WEEKDAY = r"(?:[^\W\d_]{3,10},?\s+)?"
_TO = re.compile(rf"\s*(?:to|and|until|till|through|bis|au|al|-|\u2013|\u2014)\s*{_WEEKDAY}(?:the\s+)?", re.IGNORECASE)
_FIRST_DAY = re.compile(r"(?<![\d.,])(?P<day>\d{1,2})\.?\s?(?:-|\u2013|\u2014|to|and|bis)\s?\Z", re.IGNORECASE)
_LAST_DAY = re.compile(r"\b(?:last\s+day|end)\s+of\s+(?=\w)", re.IGNORECASE)
_DAYS = {word: number for number, word in enumerate(_ORDINALS, 1)}
_NUMBERS = re.compile(
    r"(?<![\d.,/-])(?P<first>\d{1,2})(?P<mark>[/.-])\s?(?P<second>\d{1,2})(?P=mark)\s?(?P<year>\d{4}|\d{2})(?![\d/-]|[.,]\d)"
)


def find_dates(text: str) -> list[tuple[datetime.date, int, int]]:
    """Return the complete dates (day, month and year) in a text, each with its start and end in characters.

    A date with two readings, such as 12/05/2027, is returned twice with the same span.
    """
    return list(_dates(text))


def find_written_dates(text: str) -> list[tuple[datetime.date, int, int]]:
    """Return the dates of a passage: also days without a year, if its complete dates all have the same year."""
    dates = find_dates(text)
    years = {date.year for date, *_ in dates}
    if len(years) != 1:
        return dates
    [year] = years
    days = [((year, month, day), start, end) for (month, day), start, end in _days_without_year(text)]
    return dates + [found for day, start, end in days for found in _valid_date(day, start, end)]


@functools.lru_cache(maxsize=16)  # months and days without a year are found from them
def _dates(text: str) -> tuple[tuple[datetime.date, int, int], ...]:
    dates = []
    in_words, _ = _patterns()
    for pattern in in_words:
        for match in pattern.finditer(text):
            month = _months()[match["month"].casefold()]
            dates += _valid(match, (_year(match["year"]), month, _day(match["day"])))
    for match in (*_ISO.finditer(text), *_COMPACT.finditer(text), *_EAST_ASIAN.finditer(text)):
        dates += _valid(match, (int(match["year"]), int(match["month"]), int(match["day"])))
    for match in _NUMBERS.finditer(text):
        first, second, year = int(match["first"]), int(match["second"]), _year(match["year"])
        is_short = len(match["year"]) == 2 and len(match["first"] + match["second"]) < 4
        if is_short and match["mark"] != "/":  # 1.2.25 may be the number of a clause
            continue
        readings = {(year, second, first)}
        if match["mark"] != ".":
            readings.add((year, first, second))
        for reading in sorted(readings):
            dates += _valid(match, reading)
    for match in _LAST_DAY.finditer(text):
        for (year, month), end in _month_after(text, match.end()):
            last = calendar.monthrange(year, month)[1]
            dates.append((datetime.date(year, month, last), match.start(), end))
    dates += _begun_ranges(text, dates)
    return tuple(sorted(dates, key=lambda item: item[1]))


def _begun_ranges(
    text: str, dates: Sequence[tuple[datetime.date, int, int]]
) -> Iterator[tuple[datetime.date, int, int]]:
    """Yield the first day of a range whose year is only after the last one, as in "7 October to 11 October 2024"."""
    days = _days_without_year(text)
    for last, begin, end in dates:
        for (month, day), start, after in days:
            if after <= begin and _TO.fullmatch(text, after, begin):
                yield from _valid_date((last.year - (month > last.month), month, day), start, end)
        if match := _FIRST_DAY.search(text, max(0, begin - 12), begin):
            yield from _valid_date((last.year, last.month, int(match["day"])), match.start("day"), end)


def _month_after(text: str, start: int) -> Iterator[tuple[tuple[int, int], int]]:
    """Yield the month with its year that begins at `start`, and its end."""
    _, pattern = _patterns()
    if match := pattern.match(text, start):
        yield (_year(match["year"]), _months()[match["month"].casefold()]), match.end()


def find_months(text: str) -> list[tuple[tuple[int, int], int, int]]:
    """Return each month with its year, such as ``October 2029``, also within complete dates, with its span."""
    _, pattern = _patterns()
    months = [
        ((_year(match["year"]), _months()[match["month"].casefold()]), match.start(), match.end())
        for match in pattern.finditer(text)
    ]
    for match in _MONTH_OF_A_YEAR.finditer(text):
        year, month = int(match["after"] or match["before"]), int(match["first"] or match["last"])
        if match["before"] is None or month <= year % 100:  # "2025-26" and "2010-12" are periods of years
            months.append(((year, month), match.start(), match.end()))
    months += [((date.year, date.month), start, end) for date, start, end in find_dates(text)]
    return sorted(months, key=lambda item: item[1])


def find_days(text: str) -> list[tuple[tuple[int, int], int, int]]:
    """Return each day of a month, such as ``31 March``, as (month, day), also within complete dates, with its span."""
    days = [((date.month, date.day), start, end) for date, start, end in find_dates(text)]
    return sorted(days + _days_without_year(text), key=lambda item: item[1])


def _days_without_year(text: str) -> list[tuple[tuple[int, int], int, int]]:
    return [
        ((_months()[match["month"].casefold()], _day(match["day"])), match.start(), match.end())
        for pattern in _patterns_without_year()
        for match in pattern.finditer(text)
        if match["month"][0].isupper() or match["month"] not in ("may", "march")
    ]


def is_month(word: str) -> bool:
    """Return whether a word is the name of a month, in one of the languages."""
    return word.casefold() in _months()


def _year(text: str) -> int:
    return int(text) + (2000 if len(text) == 2 else 0)


def day_in_words(word: str) -> int:
    """Return the number of an ordinal in words, such as 21 for "twenty-first"."""
    return _DAYS[re.sub(r"\s", "-", word.casefold())]


def _day(text: str) -> int:
    return int(text) if text.isdigit() else day_in_words(text)


def _valid(match: re.Match[str], reading: tuple[int, int, int]) -> list[tuple[datetime.date, int, int]]:
    return _valid_date(reading, match.start(), match.end())


def _valid_date(reading: tuple[int, int, int], start: int, end: int) -> list[tuple[datetime.date, int, int]]:
    try:
        return [(datetime.date(*reading), start, end)]
    except ValueError:  # the 31st of February
        return []


@functools.cache
def _months() -> dict[str, int]:
    """Return the number of each month by its name, in lower case."""
    from babel.dates import get_month_names

    months = {"sept": 9}
    for language in LANGUAGES:
        for width in ("wide", "abbreviated"):
            for context in ("format", "stand-alone"):
                for number, name in get_month_names(width, context, language).items():
                    if len(name.rstrip(".")) > 2:
                        months.setdefault(name.rstrip(".").casefold(), number)
    return months


@functools.cache
def _patterns() -> tuple[tuple[re.Pattern[str], ...], re.Pattern[str]]:
    names = "|".join(re.escape(name) for name in sorted(_months(), key=len, reverse=True))
    day = rf"(?P<day>\d{{1,2}}(?=st|nd|rd|th|er|\.|\u00ba|o|\b)|{ORDINALS})(?:st|nd|rd|th|er|\.|\u00ba|o)?"
    between = r"(?:\s+(?:day\s+of|of|de|di)\s+|\s+|(?<=\.)|[-/])"
    # A year of two digits is after a dash or an apostrophe, or before the end of a sentence or line.
    year = r"(?P<year>\d{4}\b|(?<=[-/])\d{2}\b(?!-)|(?<=['\u2019])\d{2}\b|\d{2}(?=\s*(?:[.,;)|\n]\D|[.,;)|\n]?$)))"
    day_first = rf"\b{day}{between}(?P<month>{names})\b(?:\.?,?\s+(?:de\s+)?['\u2019]?|[-/])(?:{year})"
    month_first = rf"\b(?P<month>{names})\b\.?\s+{day},?\s+(?P<year>\d{{4}})\b"
    month_only = (
        rf"\b(?P<month>{names})\b(?:\.?,?\s+(?:de\s+)?(?=\d{{4}})|\s?['\u2019](?=\d\d\b)|-(?=\d\d\b(?!-)))"
        r"(?P<year>\d{4}|\d{2})\b"
    )
    return tuple(re.compile(p, re.IGNORECASE) for p in (day_first, month_first)), re.compile(month_only, re.IGNORECASE)


@functools.cache
def _patterns_without_year() -> tuple[re.Pattern[str], re.Pattern[str]]:
    names = "|".join(
        re.escape(name) for name in sorted(_months(), key=len, reverse=True) if len(name) > 3 or name == "may"
    )
    day = rf"(?P<day>\d{{1,2}}|{ORDINALS})(?:st|nd|rd|th|er|\.|\u00ba)?"
    day_first = rf"(?<![\d.,/-])\b{day}(?:\s+(?:day\s+of|of|de|di))?\s+(?P<month>{names})\b"
    month_first = rf"\b(?P<month>{names})\s+{day}(?![\d/:%]|[.,-]\d)\b"
    return re.compile(day_first, re.IGNORECASE), re.compile(month_first, re.IGNORECASE)
