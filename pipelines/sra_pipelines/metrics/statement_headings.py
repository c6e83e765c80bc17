"""The columns of a statement, from its heading: the year, the length of the period and the last day of each.

Nothing is inferred. What the heading does not have for each column is unknown.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence

from sra_pipelines.checks.table_amounts import unit_of
from sra_pipelines.metrics.periods import YEAR_MONTHS, normal_end

__all__ = [
    "DATE",
    "MONTH",
    "MONTHS",
    "PERIOD",
    "YEAR",
    "Columns",
    "date_values",
    "heading_unit",
    "is_comma_language",
    "plain_heading",
    "read_columns",
]

MONTHS = (
    "january", "february", "march", "april", "may", "june", "july",
    "august", "september", "october", "november", "december",
)  # fmt: skip
_OTHER_MONTHS = (  # German and French
    ("januar", "jänner", "janvier"), ("februar", "février", "fevrier"), ("märz", "maerz", "mars"), ("april", "avril"),
    ("mai",), ("juni", "juin"), ("juli", "juillet"), ("august", "août", "aout"), ("september", "septembre"),
    ("oktober", "octobre"), ("november", "novembre"), ("dezember", "décembre", "decembre"),
)  # fmt: skip
_ENGLISH = {name: month for month, names in zip(MONTHS, _OTHER_MONTHS, strict=True) for name in names}
_OTHER_MONTH = re.compile(rf"\b(?:{'|'.join(sorted(_ENGLISH, key=len, reverse=True))})\b", re.IGNORECASE)
_NUMBERS = re.compile(r"\b(\d{1,2})[./](\d{1,2})[./]((?:19|20)\d\d)\b")  # 31.12.2023, as in German and French
_OF_DAYS = re.compile(r"(?<=\d)(?:\.|er)(?= [^\W\d_])")  # "31. Dezember", "1er janvier"
MONTH = rf"\b(?:{'|'.join(month[:3] + f'(?:{month[3:]})?' for month in MONTHS)})\b\.?"
_DAY_AND_MONTH = re.compile(
    rf"(?P<month1>{MONTH}) (?P<day1>\d{{1,2}})(?!\d)|\b(?P<day2>\d{{1,2}}) (?P<month2>{MONTH})"
    rf"|(?P<month3>{MONTH})(?= \d)",
    re.IGNORECASE,
)
DATE = (
    rf"(?:(?P<month1>{MONTH}) (?P<day1>\d{{1,2}}),? (?P<year1>(?:19|20)\d\d)"
    rf"|(?P<day2>\d{{1,2}}) (?P<month2>{MONTH}),? (?P<year2>(?:19|20)\d\d))"
)
"""Pattern of a date with a year, see `date_values`."""
YEAR = re.compile(r"(?<![\d.,/])(?:19|20)\d\d(?![\d%/]|[.,]\d)")
_RANGE = re.compile(
    rf"\b1 (?P<first>{MONTH})(?: (?:19|20)\d\d)? ?(?:to|until|bis|zum|au|-|\u2013)(?: zum)? "
    rf"(?P<day>\d{{1,2}}) (?P<last>{MONTH})",
    re.IGNORECASE,
)
_LENGTHS = {"three": 3, "drei": 3, "trois": 3, "six": 6, "sechs": 6, "nine": 9, "neun": 9, "neuf": 9,
            "twelve": 12, "zwölf": 12, "douze": 12, "3": 3, "6": 6, "9": 9, "12": 12}  # fmt: skip
_WEEKS = {12: 3, 13: 3, 14: 3, 16: 3, 24: 6, 25: 6, 26: 6, 27: 6, 39: 9, 40: 9, 52: 12, 53: 12}  # months by weeks
PERIOD = re.compile(
    rf"\b(?P<months>{'|'.join(_LENGTHS)})[ -](?:months?|monate?n?|mois)\b|\b(?P<weeks>\d\d)[ -]weeks?\b"
    r"|\b(?P<quarter>quarters?|quartale?s?|trimestres?|(?:Q|T)[1-4](?!\w)|[1-4]Q)(?!\w)"
    r"|\b(?P<half>half[ -]years?|(?:first|second) half|halbjahre?s?|semestres?|(?:H|S)[12](?!\w))\b"
    r"|\b(?P<year>(?:fiscal |financial )?years?(?= ended| ending)|geschäftsjahre?s?|exercices?)\b",
    re.IGNORECASE,
)
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4}
_PART = re.compile(
    rf"\b(?:[QT](?P<quarter>[1-4])|[HS](?P<half>[12])|(?:(?P<number>[1-4])(?:\.|st|nd|rd|th|e)?"
    rf"|(?P<ordinal>{'|'.join(_ORDINALS)})) (?:(?P<quarter_word>quarter|quartal|trimestre)"
    r"|half(?:[ -]year)?|halbjahr|semestre)),? ?(?P<year>(?:19|20)\d\d)\b",
    re.IGNORECASE,
)  # "Q2 2023", "1. Halbjahr 2023"
_CURRENCY = re.compile(
    r"[$\u20ac\u00a3\u00a5]|\b(?:EUR|USD|GBP|CHF|JPY|SEK|NOK|DKK|TEUR|TUSD|TCHF|euros?|dollars?)\b", re.IGNORECASE
)
_SAME_CURRENCY = {"eur": "\u20ac", "euro": "\u20ac", "euros": "\u20ac", "teur": "\u20ac", "usd": "$", "tusd": "$",
                  "dollar": "$", "dollars": "$", "gbp": "\u00a3", "jpy": "\u00a5", "tchf": "chf"}  # fmt: skip
_SCALES = (
    (r"\b(?:mio|millionen|millions?|mill)\b|\b(?:m|mn)(?= ?[\u20ac$\u00a3])|[\u20ac$\u00a3] ?(?:m|mn)\b", "million"),
    (
        r"\b(?:tsd|tausend|milliers|thousands?)\b|\bT(?=EUR|USD|CHF| ?[\u20ac$])|\bk(?= ?\u20ac)|[\u20ac$] ?k\b",
        "thousand",
    ),
    (r"\b(?:mrd|milliarden|milliards?|billions?)\b", "billion"),
)  # fmt: skip
_COMMA_LANGUAGE = re.compile(
    r"umsatzerl|vermögens|eigenkapital|verbindlichkeiten|geschäftst|aufwendungen|steuern\b|vorräte"
    r"|chiffre d.affaires|résultat|capitaux propres|trésorerie|immobilisations|dettes\b|créances"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a statement.

    Parameters
    ----------
    width
        Number of columns.
    years
        The year of each column; empty if the heading does not have one for each.
    months
        Length of the period of each column in months; 0 where the heading does not state it, -1 where it is unclear.
    ends
        Year and month of the last day of each column, see `normal_end`; None where the heading does not state it.
    days
        The day of the month of each column; 0 where the heading does not state it.
    end_months
        The months (1 to 12) that the heading names.
    parts
        Months of each column, and months from the start of the financial year to its end, if all columns are named as
        parts of years, such as "Q2 2023"; otherwise empty.
    """

    width: int
    years: tuple[int, ...]
    months: tuple[int, ...]
    ends: tuple[tuple[int, int] | None, ...]
    days: tuple[int, ...]
    end_months: tuple[int, ...]
    parts: tuple[tuple[int, int], ...] = ()


def read_columns(heading: Sequence[str], counts: Counter[int], *, has_notes: bool) -> Columns:
    """Return the columns of a heading.

    Parameters
    ----------
    heading
        Its lines, see `plain_heading`.
    counts
        How many rows have how many cells. The number of columns is the most frequent one for which there are years.
    has_notes
        Whether one of the columns can contain references to notes.
    """
    width, years, first = _width_and_years(heading, counts, has_notes=has_notes)
    parts = _named_parts(" ".join(heading[first:]), years)
    lengths = tuple(months for months, _ in parts) or _lengths(" ".join(heading), width, years)
    # A line with a year above the columns is a title, or the date of the document.
    text = " ".join(line for number, line in enumerate(heading) if number >= first or not YEAR.search(line))
    dates = [_day_and_month(match) for match in _DAY_AND_MONTH.finditer(text)]
    days = _for_each(dates, width) if years else None
    if days is None:
        ends: tuple[tuple[int, int] | None, ...] = (None,) * width
        day_numbers: tuple[int, ...] = (0,) * width
    else:
        ends = tuple(normal_end(year, month, day) for year, (day, month) in zip(years, days, strict=True))
        day_numbers = tuple(day for day, _ in days)
    return Columns(width, years, lengths, ends, day_numbers, tuple(dict.fromkeys(month for _, month in dates)), parts)


def plain_heading(line: str) -> str:
    """Return a line of a heading with dates in English, and a period from one date to another as its length and end."""
    text = " ".join(line.split())
    text = _NUMBERS.sub(lambda m: f"{m[1]} {MONTHS[int(m[2]) - 1]} {m[3]}" if 1 <= int(m[2]) <= 12 else m[0], text)
    text = _OTHER_MONTH.sub(lambda match: _ENGLISH[match[0].lower()], _OF_DAYS.sub("", text))
    return _RANGE.sub(_as_length, text)


def date_values(match: re.Match[str]) -> tuple[int, int, int]:
    """Return the year, month and day of a match of `DATE`."""
    one = "1" if match["month1"] else "2"
    return int(match[f"year{one}"]), _month(match[f"month{one}"]), int(match[f"day{one}"])


def heading_unit(heading: Sequence[str]) -> str:
    """Return the unit of a heading, such as ``"$ million"``; empty if it has none, ``"several"`` for two currencies."""
    found = (match[0].lower() for line in heading for match in _CURRENCY.finditer(line))
    currencies = {_SAME_CURRENCY.get(currency, currency) for currency in found}
    if len(currencies) > 1:
        return "several"
    unit = next(filter(None, map(unit_of, heading)), "")
    if not any(re.search(pattern, unit, re.IGNORECASE) for pattern, _ in _SCALES):
        # In German and French, and without a sign of the currency.
        text = " ".join(heading)
        scale = next((name for pattern, name in _SCALES if re.search(pattern, text, re.IGNORECASE)), "")
        return " ".join(filter(None, (next(iter(currencies), ""), scale)))
    of_currency = currencies and re.search(r"d['\u2019](?:euros|\u20ac)", " ".join(heading), re.IGNORECASE)
    return f"{next(iter(currencies))} {unit}" if of_currency and not _CURRENCY.search(unit) else unit


def is_comma_language(lines: Sequence[str]) -> bool:
    """Return whether lines of a statement are in German or French, whose decimal sign is a comma."""
    return _COMMA_LANGUAGE.search(" ".join(lines).lower()) is not None


def _width_and_years(
    heading: Sequence[str], counts: Counter[int], *, has_notes: bool
) -> tuple[int, tuple[int, ...], int]:  # fmt: skip
    """Return the number of columns, their years, and the first line of the heading that has one of the years."""
    frequent = sorted(counts, key=lambda count: (-counts[count], count))
    for count in frequent:
        for width in (count, count - 1) if has_notes and count > 1 else (count,):
            years, first = _years(heading, width)
            if years:
                return width, years, first
    return frequent[0], (), 0


def _years(heading: Sequence[str], width: int) -> tuple[tuple[int, ...], int]:
    """Return the years of the columns, from the last lines of the heading that have one for each column."""
    years: list[int] = []
    first = len(heading)
    for number in range(len(heading) - 1, -1, -1):
        own = [int(year) for year in YEAR.findall(heading[number])]
        years, first = [*own, *years], number if own else first
        if len(years) >= width:
            break
    return (tuple(years), first) if len(years) == width else ((), 0)


def _lengths(text: str, width: int, years: tuple[int, ...]) -> tuple[int, ...]:
    months = [_length(match) for match in PERIOD.finditer(text)]
    if not months:
        return (0,) * width
    if len(set(months)) == 1:
        return (months[0],) * width
    if width % len(months) == 0:
        # "Three Months Ended Twelve Months Ended": the columns of each have the same years.
        size = width // len(months)
        blocks = {years[start : start + size] for start in range(0, width, size)}
        if len(blocks) == 1:
            return tuple(month for month in months for _ in range(size))
    return (-1,) * width


def _named_parts(text: str, years: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Return the months of each column and those to its end, if each column is named as a part of its year."""
    matches = list(_PART.finditer(text))
    if not years or tuple(int(match["year"]) for match in matches) != years:
        return ()
    parts = []
    for match in matches:
        months = 3 if match["quarter"] or match["quarter_word"] else 6
        number = match["quarter"] or match["half"] or match["number"]
        order = int(number) if number else _ORDINALS[match["ordinal"].lower()]
        if months * order > YEAR_MONTHS:
            return ()
        parts.append((months, months * order))
    return tuple(parts)


def _length(match: re.Match[str]) -> int:
    """Return the months of a period that a heading names; -1 if they are not known."""
    if match["months"]:
        return _LENGTHS[match["months"].lower()]
    if match["weeks"]:
        return _WEEKS.get(int(match["weeks"]), -1)
    return YEAR_MONTHS if match["year"] else 3 if match["quarter"] else 6


def _for_each(dates: Sequence[tuple[int, int]], width: int) -> list[tuple[int, int]] | None:
    """Return the day and month of each column; None if the heading does not have one for each."""
    if not dates:
        return None
    if len(set(dates)) == 1:
        return [dates[0]] * width
    if len(dates) >= width:
        return list(dates[-width:])  # a title above can name them too
    months = {month for _, month in dates}
    return [(0, months.pop())] * width if len(months) == 1 else None


def _day_and_month(match: re.Match[str]) -> tuple[int, int]:
    name = match["month1"] or match["month2"] or match["month3"]
    return int(match["day1"] or match["day2"] or 0), _month(name)


def _as_length(match: re.Match[str]) -> str:
    months = (_month(match["last"]) - _month(match["first"])) % 12 + 1
    return f"{months} months ended {match['day']} {match['last']}"


def _month(name: str) -> int:
    return next(number for number, month in enumerate(MONTHS, 1) if month.startswith(name.lower().rstrip(".")[:3]))
