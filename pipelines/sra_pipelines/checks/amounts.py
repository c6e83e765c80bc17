"""Figures and dates as they stand in text, and whether two of them say the same."""

from __future__ import annotations

import calendar
import dataclasses
import datetime
import re
from decimal import Decimal

__all__ = ["Amount", "find_amounts", "find_dates", "same_amount"]

_SCALES = {
    "thousand": 3, "k": 3, "million": 6, "millions": 6, "mn": 6, "m": 6, "billion": 9, "billions": 9, "bn": 9, "b": 9,
    "trillion": 12,
}  # fmt: skip
_AMOUNT = re.compile(
    r"(?P<open>\()?(?P<minus>[-\u2212])?\s?(?P<currency>[$€£¥])?\s?(?P<minus2>[-\u2212](?=[\d.]))?"
    r"(?<![\d.,])(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)(?![\d]|[.,]\d)"
    r"(?P<close>\))?(?:\s?(?P<percent>%|percent\b|per\s?cent\b)|\s?(?P<scale>thousand|millions?|billions?|trillion)\b"
    r"|\s?(?P<short>bn|mn|[kKmMbB])\b)?",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"\w[-\u2212]|[\d)%]\s[-\u2212]\s")  # of a range or a subtraction: no sign
_MONTHS = {
    name: number
    for number, month in enumerate(calendar.month_name[1:], start=1)
    for name in (month.lower(), month[:3].lower())
} | {"sept": 9}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DATES = (
    re.compile(
        rf"\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<month>{_MONTH})\.?,?\s+(?P<year>\d{{4}})\b", re.I
    ),
    re.compile(rf"\b(?P<month>{_MONTH})\.?\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year>\d{{4}})\b", re.I),
    re.compile(r"\b(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})\b"),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Amount:
    """A number as it stands in a text.

    Parameters
    ----------
    text
        As written, from sign or currency to unit.
    start, end
        The characters that it takes.
    value
        As written, without its scale; negative where a minus or parentheses say so.
    scale
        The power of ten of its scale word, 0 without one.
    percent
        Whether it is written as a percentage.
    """

    text: str
    start: int
    end: int
    value: Decimal
    scale: int = 0
    percent: bool = False


def find_amounts(text: str) -> list[Amount]:
    """Find the figures of a text; those of dates are among them."""
    figures = []
    for found in _AMOUNT.finditer(text):
        value = Decimal(found["number"].replace(",", ""))
        enclosed = found["open"] and (found["close"] or text[found.end() : found.end() + 1] == ")")
        dash_of_a_range = found["minus"] and _BETWEEN.search(
            text, max(0, found.start("minus") - 2), found.end("minus") + 1
        )
        if enclosed or found["minus2"] or (found["minus"] and not dash_of_a_range):
            value = -value
        word = (found["scale"] or found["short"] or "").lower()
        start, end = found.span()
        if dash_of_a_range or (found["open"] and not enclosed):
            start = found.start("number")
        if found["close"] and not enclosed:
            end = found.end("number")
        start += len(text[start:end]) - len(text[start:end].lstrip())
        figures.append(Amount(text[start:end], start, end, value, _SCALES.get(word, 0), bool(found["percent"])))
    return figures


def find_dates(text: str) -> list[tuple[datetime.date, int, int]]:
    """Find whole dates (day, month, year), and the characters that each takes."""
    dates = []
    for pattern in _DATES:
        for found in pattern.finditer(text):
            month = found["month"].lower()
            try:
                date = datetime.date(int(found["year"]), _MONTHS.get(month) or int(month), int(found["day"]))
            except ValueError:  # the 31st of February
                continue
            dates.append((date, found.start(), found.end()))
    return sorted(dates, key=lambda item: item[1])


def same_amount(said: Amount, written: Amount) -> bool:
    """Whether what an answer says stands in a document so.

    A percentage is none of the other kind only if both say what they are. A figure with a scale word ("8.7 billion") is
    the same as one without, 10^3, 10^6 or 10^9 apart (tables say their scale in a heading), if that one rounds to it.
    A figure without a sign may be negative in the document (tables put outflows and losses into parentheses), not the
    other way round.
    """
    if said.value < 0 and written.value > 0:
        return False
    if said.percent != written.percent and (said.percent or said.scale) and (written.percent or written.scale):
        return False
    said_value, value = abs(said.value), abs(written.value)
    if (said.scale == written.scale or not (said.scale and written.scale)) and said_value == value:
        return True
    if said.scale == written.scale or said.percent or written.percent:
        return False
    powers = [written.scale - said.scale] if said.scale and written.scale else [-9, -6, -3, 3, 6, 9]
    places = Decimal(1).scaleb(min(0, int(said.value.as_tuple().exponent)))
    return any(value.scaleb(power).quantize(places) == said_value for power in powers)
