"""Find quarters and halves of a year: ``Q4``, ``4Q23``, ``fourth quarter``, ``H1``, ``first half``."""

from __future__ import annotations

import re

__all__ = ["find_periods"]

Period = tuple[tuple[str, int], int, int]
"""``("quarter", 4)`` or ``("half", 1)``, and start and end in characters."""

_WORDS = {
    "first": 1,
    "1st": 1,
    "second": 2,
    "2nd": 2,
    "third": 3,
    "3rd": 3,
    "fourth": 4,
    "4th": 4,
    "final": 4,
    "last": 4,
}
_IN_SHORT = re.compile(
    r"(?<![\w.,])(?:(?P<kind>[QH])\s?(?P<number>[1-4])|(?P<first>[1-4])(?P<after>[QH]))(?=\W|\d\d(?!\d)|$)"
)
_IN_WORDS = re.compile(
    rf"\b(?P<word>{'|'.join(_WORDS)})[\s-]+(?:(?:fiscal|financial|calendar)\s+)?(?P<kind>quarter|half)(?!\s+of\s+(?:a|an)\b)\b"
    r"|\bquarter\s+(?P<number>[1-4]|one|two|three|four)\b",
    re.IGNORECASE,
)
_HALVES_OF_A_YEAR = re.compile(
    r"[\s-]+(?:of\s+)?(?:the\s+)?(?:(?:fiscal|financial|calendar)\s+)?(?:year|FY|20\d\d|19\d\d)", re.IGNORECASE
)
_NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4}


def find_periods(text: str) -> list[Period]:
    """Return the quarters and halves of years in a text. A half counts if a year follows it, or in short."""
    periods: list[Period] = []
    for match in _IN_SHORT.finditer(text):
        kind = "quarter" if (match["kind"] or match["after"]) == "Q" else "half"
        number = int(match["number"] or match["first"])
        if kind == "quarter" or number <= 2:
            periods.append(((kind, number), *match.span()))
    for match in _IN_WORDS.finditer(text):
        if match["number"] is not None:
            number = _NUMBERS.get(match["number"].lower()) or int(match["number"])
            periods.append((("quarter", number), *match.span()))
            continue
        kind, number = match["kind"].lower(), _WORDS[match["word"].lower()]
        if kind == "half":
            number = 2 if number == 4 else number
            if number > 2 or not _HALVES_OF_A_YEAR.match(text, match.end()):
                continue
        periods.append(((kind, number), *match.span()))
    return sorted(periods, key=lambda period: period[1])
