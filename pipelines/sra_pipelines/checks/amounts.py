"""Find amounts and dates in a text, and compare amounts."""

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
_BETWEEN = re.compile(r"\w[-\u2212]|[\d)%]\s[-\u2212]\s")  # the dash of a range or a subtraction, which is not a sign
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
    """A number in a text, with its currency, sign and unit.

    Parameters
    ----------
    text
        The amount as written, from the sign or currency to the unit.
    start, end
        Span of the amount in the text, in characters.
    value
        The number as written, without its scale; negative if it has a minus sign or is in parentheses.
    scale
        The power of ten of the scale word, such as 6 for "million"; 0 without a scale word.
    percent
        Whether the amount is written as a percentage.
    """

    text: str
    start: int
    end: int
    value: Decimal
    scale: int = 0
    percent: bool = False


def find_amounts(text: str) -> list[Amount]:
    """Return the amounts in a text, including the numbers in dates."""
    amounts = []
    for match in _AMOUNT.finditer(text):
        value = Decimal(match["number"].replace(",", ""))
        enclosed = match["open"] and (match["close"] or text[match.end() : match.end() + 1] == ")")
        dash_of_a_range = match["minus"] and _BETWEEN.search(
            text, max(0, match.start("minus") - 2), match.end("minus") + 1
        )
        if enclosed or match["minus2"] or (match["minus"] and not dash_of_a_range):
            value = -value
        word = (match["scale"] or match["short"] or "").lower()
        start, end = match.span()
        if dash_of_a_range or (match["open"] and not enclosed):
            start = match.start("number")
        if match["close"] and not enclosed:
            end = match.end("number")
        start += len(text[start:end]) - len(text[start:end].lstrip())
        amounts.append(Amount(text[start:end], start, end, value, _SCALES.get(word, 0), bool(match["percent"])))
    return amounts


def find_dates(text: str) -> list[tuple[datetime.date, int, int]]:
    """Return the complete dates (day, month and year) in a text, each with its start and end in characters."""
    dates = []
    for pattern in _DATES:
        for match in pattern.finditer(text):
            month = match["month"].lower()
            try:
                date = datetime.date(int(match["year"]), _MONTHS.get(month) or int(month), int(match["day"]))
            except ValueError:  # the 31st of February
                continue
            dates.append((date, match.start(), match.end()))
    return sorted(dates, key=lambda item: item[1])


def same_amount(claimed: Amount, written: Amount) -> bool:
    """Return whether an amount in an answer agrees with an amount in a document.

    A percentage differs from an amount that is not a percentage if both state their kind, by a percent sign or a scale
    word. An amount with a scale word ("8.7 billion") agrees with one without a scale word that is 10^3, 10^6 or 10^9
    times larger or smaller (tables state their scale in a heading), if that amount rounds to it. A positive amount in
    the answer agrees with a negative one in the document (tables show outflows and losses in parentheses), but not the
    reverse.
    """
    if claimed.value < 0 and written.value > 0:
        return False
    if claimed.percent != written.percent and (claimed.percent or claimed.scale) and (written.percent or written.scale):
        return False
    claimed_value, value = abs(claimed.value), abs(written.value)
    if (claimed.scale == written.scale or not (claimed.scale and written.scale)) and claimed_value == value:
        return True
    if claimed.scale == written.scale or claimed.percent or written.percent:
        return False
    powers = [written.scale - claimed.scale] if claimed.scale and written.scale else [-9, -6, -3, 3, 6, 9]
    places = Decimal(1).scaleb(min(0, int(claimed.value.as_tuple().exponent)))
    return any(value.scaleb(power).quantize(places) == claimed_value for power in powers)
