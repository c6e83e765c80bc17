"""Find times of day, in figures and in words: ``14:30``, ``2.30 p.m.``, ``9 am``, ``half past seven``, ``noon``."""

from __future__ import annotations

import re

from sra_pipelines.checks.worded_numbers import SMALL_WORDS, small_number

__all__ = ["find_times", "find_written_times"]

Time = tuple[int, int, int]
"""Minutes since midnight, and start and end in characters."""

_HALF_DAY = r"(?P<half>[ap])\.?\s?m\b\.?"
_CLOCK = re.compile(
    rf"(?<![\d.,:/-])(?P<hour>\d{{1,2}})(?:(?P<mark>[:.h])(?P<minute>[0-5]\d))?(?::[0-5]\d)?\s?{_HALF_DAY}"
    r"|(?<![\d.,:/-])(?P<hour2>[01]?\d|2[0-4])[:](?P<minute2>[0-5]\d)(?::[0-5]\d)?(?![\d:])",
    re.IGNORECASE,
)
_NUMBER = rf"(?:{SMALL_WORDS}|\d{{1,2}})"
_SIDE = rf"(?P<side>past|to)\s+(?P<hour>{_NUMBER})"
_END = r"(?=\s*(?:[.,;!?)]|$|[ap]\.?\s?m\b|in\s+the\s|at\s+night))"  # "five to ten days" is no time
_WORDED = (
    re.compile(rf"\b(?P<part>half|(?:a\s+)?quarter|{_NUMBER}\s+minutes)\s+{_SIDE}\b(?:\s+{_HALF_DAY})?", re.IGNORECASE),
    re.compile(rf"\b(?P<part>five|ten|twenty(?:[\s-]five)?)\s+{_SIDE}\b{_END}(?:\s+{_HALF_DAY})?", re.IGNORECASE),
    re.compile(rf"\b(?P<hour>{_NUMBER})\s+o['\u2019]clock\b(?P<part>)(?P<side>)(?:\s+{_HALF_DAY})?", re.IGNORECASE),
)
_NAMED = re.compile(r"\b(?P<name>noon|midday|midnight)\b", re.IGNORECASE)
_CLOSING = r"(?P<{0}>\d{{1,2}})(?:[.:](?P<{0}_minute>[0-5]\d))?"
_HOURS = re.compile(
    rf"\b(?:from|between|open)\s+{_CLOSING.format('first')}\s*(?:-|\u2013|to|and|until)\s*{_CLOSING.format('last')}"
    r"(?!\d|[.,:]\d|\s?%|\s+per\s?cent)",
    re.IGNORECASE,
)
_NAMES = {"noon": 720, "midday": 720, "midnight": 0}
_DAY, _HALF = 1440, 720


def find_times(text: str) -> list[Time]:
    """Return the times of day in a text; one that may be before or after noon is returned twice with the same span."""
    times = []
    for start, end, minutes, is_open in _times(text):
        times.append((minutes % _DAY, start, end))
        if is_open:
            times.append(((minutes + _HALF) % _DAY, start, end))
    return sorted(times, key=lambda time: time[1])


def find_written_times(text: str) -> list[Time]:
    """Return the times of day in a passage.

    A time without "am" and "pm" is read as written, since "9:00" does not say "9 pm". Hours of opening may have
    no minutes, as in "open from 9 to 17".
    """
    times = [(minutes % _DAY, start, end) for start, end, minutes, _ in _times(text)]
    for match in _HOURS.finditer(text):
        for group in ("first", "last"):
            if int(match[group]) < 24:
                times.append((60 * int(match[group]) + int(match[f"{group}_minute"] or 0), *match.span(group)))
    return times


def _times(text: str) -> list[tuple[int, int, int, bool]]:
    """Return start, end, minutes since midnight, and whether the time may be before or after noon."""
    times = []
    for match in _CLOCK.finditer(text):
        hour, minute = int(match["hour"] or match["hour2"]), int(match["minute"] or match["minute2"] or 0)
        if match["half"] is not None and not 1 <= hour <= 12:
            continue
        is_open = match["half"] is None and 1 <= hour <= 12 and len(match["hour2"]) == len(str(hour))
        times.append((*match.span(), 60 * _hour(hour, match["half"]) + minute, is_open))
    for match in (match for pattern in _WORDED for match in pattern.finditer(text)):
        hour = small_number(match["hour"])
        minutes = _minutes(match["part"]) if match["part"] else 0
        if not 1 <= hour <= 12 or minutes > 59:
            continue
        offset = -minutes if match["side"].lower() == "to" else minutes
        times.append((*match.span(), 60 * _hour(hour, match["half"]) + offset, match["half"] is None))
    times += [(*match.span(), _NAMES[match["name"].lower()], False) for match in _NAMED.finditer(text)]
    return times


def _hour(hour: int, half: str | None) -> int:
    if half is None:
        return hour
    return hour % 12 + (12 if half.lower() == "p" else 0)


def _minutes(part: str) -> int:
    lowered = part.lower()
    if lowered == "half":
        return 30
    if lowered.endswith("quarter"):
        return 15
    if lowered.startswith("twenty"):
        return 25 if lowered.endswith("five") else 20
    return small_number(lowered.removesuffix("minutes").strip())
