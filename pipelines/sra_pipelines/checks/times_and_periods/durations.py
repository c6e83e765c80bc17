"""Find lengths of time in several parts or without a number: ``2 hours 30 minutes``, ``an hour and a half``."""

from __future__ import annotations

import re
from decimal import Decimal

from sra_pipelines.checks.amounts import Amount
from sra_pipelines.checks.worded_numbers import SMALL_WORDS, small_number

__all__ = ["find_durations", "find_written_durations"]

_NUMBER = rf"(?:\d{{1,3}}|{SMALL_WORDS}|an?)"
_IN_PARTS = re.compile(
    rf"(?<![\d.,])\b(?:(?P<hours>{_NUMBER})\s+hours?,?\s+(?:and\s+)?(?P<minutes>\d{{1,2}}|{_NUMBER})\s+min(?:ute)?s?\b"
    rf"|(?P<h>\d{{1,2}})\s?h\s?(?P<m>[0-5]\d)(?:\s?min)?\b"
    rf"|(?P<years>{_NUMBER})\s+years?,?\s+(?:and\s+)?(?P<months>{_NUMBER})\s+months?\b)",
    re.IGNORECASE,
)
_AND_A_HALF = re.compile(
    r"\b(?:an?|one)\s+(?P<unit>year|month|week|day|hour)\s+and\s+a\s+(?P<part>half|quarter)\b", re.IGNORECASE
)
_PART_OF = re.compile(
    r"\b(?:a\s+)?(?P<part>half|quarter(?=\s+of)|three(?=[\s-]quarters\s+of))(?:[\s-]quarters)?(?:\s+of)?\s+an?\s+(?P<unit>year|hour|day|kilogram|kilo|litre|mile|tonne)\b",
    re.IGNORECASE,
)
_NAMED = re.compile(rf"\b(?P<number>{_NUMBER})\s+(?P<unit>fortnight|decade)s?\b", re.IGNORECASE)
_ONE = r"(?P<number>an?)\s+(?P<unit>year|month|week|day|hour|minute|second)\b(?!\s+and\s+a\b)"
_ONE_UNIT = re.compile(rf"\b(?:within|after|lasts?|takes?|least|most|than)\s+{_ONE}", re.IGNORECASE)
_WRITTEN_UNIT = re.compile(rf"\b{_ONE}", re.IGNORECASE)
_PARTS = {"half": Decimal("0.5"), "quarter": Decimal("0.25"), "three": Decimal("0.75")}
_NAMES = {"fortnight": ("week", 2), "decade": ("year", 10)}
_UNITS = {"kilo": "kilogram"}


def find_durations(text: str) -> list[Amount]:
    """Return the lengths of time in an answer that are not a number before a unit, and parts of a unit."""
    durations = []
    for match in _IN_PARTS.finditer(text):
        if match["years"] is not None:
            value, unit = 12 * _number(match["years"]) + _number(match["months"]), "month"
        else:
            hours, minutes = (match["h"], match["m"]) if match["h"] else (match["hours"], match["minutes"])
            value, unit = 60 * _number(hours) + _number(minutes), "minute"
        durations.append(Amount(match[0], *match.span(), Decimal(value), unit=unit))
    for match in _AND_A_HALF.finditer(text):
        whole = 1 + _PARTS[match["part"].lower()]
        durations.append(Amount(match[0], *match.span(), whole, unit=match["unit"].lower()))
    for match in _PART_OF.finditer(text):
        part, unit = _PARTS[match["part"].lower()], match["unit"].lower()
        durations.append(Amount(match[0], *match.span(), part, unit=_UNITS.get(unit, unit)))
    for match in _NAMED.finditer(text):
        unit, times = _NAMES[match["unit"].lower()]
        durations.append(Amount(match[0], *match.span(), Decimal(times * _number(match["number"])), unit=unit))
    durations += _single(_ONE_UNIT, text)
    return sorted(durations, key=lambda amount: amount.start)


def find_written_durations(text: str) -> list[Amount]:
    """Return the lengths of time in a passage, where "a week" is one week before any noun."""
    return [*find_durations(text), *_single(_WRITTEN_UNIT, text)]


def _single(pattern: re.Pattern[str], text: str) -> list[Amount]:
    return [
        Amount(
            text[match.start("number") : match.end()],
            match.start("number"),
            match.end(),
            Decimal(1),
            unit=match["unit"].lower(),
        )
        for match in pattern.finditer(text)
    ]


def _number(text: str) -> int:
    return 1 if text.lower() in ("a", "an") else small_number(text)
