"""Dates, times and durations of spreadsheet cells."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["DATE_TOKEN", "DatePlan", "shown_date"]

DATE_TOKEN = r"y{2,4}|y|m{1,5}|d{1,4}|h{1,2}|s{1,2}(?:\.0{1,3})?|AM/PM|A/P"  # noqa: S105 - a pattern, not a secret
_MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December"]  # fmt: skip
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_ELAPSED = {"h": 3600, "m": 60, "s": 1}  # seconds
_MIDNIGHT = datetime.time()

Tokens = Sequence[tuple[str, str]]


class DatePlan(NamedTuple):
    """What a format shows of dates.

    Parameters
    ----------
    has_codes
        Whether it is a format of dates, times or durations.
    is_formatted
        Whether it has the name of a month or only a part of a day, and so is without doubt.
    shows_time
        Whether it shows a time.
    """

    has_codes: bool
    is_formatted: bool
    shows_time: bool

    @classmethod
    def of(cls, tokens: Tokens) -> DatePlan:
        """Return what the parts of a format show, see `shown_date`."""
        codes = [text.lower() for kind, text in tokens if kind in ("date", "elapsed")]
        months = any(len(code) > 2 and code[0] == "m" for code in codes)
        days = [code for code in codes if code[0] == "d"]
        years = [code for code in codes if code[0] == "y"]
        by_name = months or not (days and years)
        is_formatted = by_name and bool(months or years or days or has_clock(codes))
        return cls(bool(codes), bool(codes) and is_formatted, has_clock(codes) if codes else True)


def shown_date(value: datetime.date | datetime.time | datetime.timedelta, tokens: Tokens, plan: DatePlan) -> str:
    """Return a date, time or duration in a format.

    Parameters
    ----------
    value
        The value.
    tokens
        Kind and text of the parts of the format, with ``"elapsed"`` for hours that may exceed a day.
    plan
        What they show.
    """
    if isinstance(value, datetime.timedelta):
        return _duration(value, tokens)
    has_day, has_time = not isinstance(value, datetime.time), type(value) is not datetime.date
    if plan.is_formatted or (not has_day and plan.has_codes):
        return _formatted(value, tokens)
    if not has_time or not isinstance(value, datetime.datetime):
        return str(value)
    if not plan.shows_time or value.time() == _MIDNIGHT:
        return str(value.date())
    return value.isoformat(" ", "minutes" if not value.second else "seconds")


def has_clock(codes: Sequence[str]) -> bool:
    """Return whether a format shows a time."""
    return any(code[0] in "hs" for code in codes)


def _formatted(value: datetime.date | datetime.time, tokens: Tokens) -> str:
    codes = [(kind, text.lower() if kind == "date" else text) for kind, text in tokens]
    half = any(kind == "date" and text in ("am/pm", "a/p") for kind, text in codes)
    parts: list[str] = []
    for index, (kind, code) in enumerate(codes):
        if kind != "date":
            parts.append(code if kind in ("literal", "slash", "point", "comma") else "")
        elif code[0] in "hs" or code in ("am/pm", "a/p") or (code[0] == "m" and _is_minute(codes, index)):
            parts.append(_clock(value, code, half))
        else:
            parts.append(_day(value, code))
    return re.sub(r"\s+", " ", "".join(parts)).strip()


def _is_minute(codes: Tokens, index: int) -> bool:
    """Return whether an ``m`` is for minutes: after hours or before seconds."""
    before = next((code for kind, code in reversed(codes[:index]) if kind == "date"), "")
    after = next((code for kind, code in codes[index + 1 :] if kind == "date"), "")
    return len(codes[index][1]) <= 2 and (before[:1] == "h" or after[:1] == "s")


def _clock(value: datetime.date | datetime.time, code: str, half: bool) -> str:
    time = value if isinstance(value, datetime.time) else getattr(value, "time", datetime.time)()
    if code in ("am/pm", "a/p"):
        return ("AM" if time.hour < 12 else "PM")[: 1 if code == "a/p" else 2]
    hour = (time.hour % 12 or 12) if half else time.hour
    number = {"h": hour, "m": time.minute, "s": time.second}[code[0]]
    return f"{number:02}" if len(code) > 1 else str(number)


def _day(value: datetime.date | datetime.time, code: str) -> str:
    if not isinstance(value, datetime.date):
        return ""
    if code[0] == "y":
        return f"{value.year % 100:02}" if len(code) <= 2 else str(value.year)
    if code[0] == "m":
        name = _MONTHS[value.month - 1]
        return (str(value.month), f"{value.month:02}", name[:3], name, name[0])[len(code) - 1]
    name = _DAYS[value.weekday()]
    return (str(value.day), f"{value.day:02}", name[:3], name)[len(code) - 1]


def _duration(value: datetime.timedelta, tokens: Tokens) -> str:
    """Return a duration as hours, minutes and, unless the format omits them, seconds."""
    total = round(value.total_seconds())
    sign, total = ("-", -total) if total < 0 else ("", total)
    if any(kind == "literal" and any(map(str.isalpha, text)) for kind, text in tokens):
        return sign + _worded_duration(total, tokens)
    codes = [text.lower() for kind, text in tokens if kind in ("date", "elapsed")]
    first = next((code[0] for code in codes if code[0] in _ELAPSED), "h")
    seconds = any(code[0] == "s" for code in codes)
    if first == "s":
        return f"{sign}{total}"
    if first == "m":
        return f"{sign}{total // 60}" + (f":{total % 60:02}" if seconds else "")
    if not any(code[0] == "m" for code in codes):
        return f"{sign}{total // 3600}"
    hours = f"{total // 3600:02}" if "hh" in codes else str(total // 3600)
    return f"{sign}{hours}:{total % 3600 // 60:02}" + (f":{total % 60:02}" if seconds else "")


def _worded_duration(total: int, tokens: Tokens) -> str:
    """Return seconds in a format with words, such as ``[h] "hours" mm "minutes"``."""
    parts: list[str] = []
    larger = 0  # seconds of the larger unit before
    for kind, text in tokens:
        if kind in ("date", "elapsed") and (unit := _ELAPSED.get(text[0].lower(), 0)):
            number = total % larger // unit if kind == "date" and larger else total // unit
            larger = unit
            parts.append(str(number).zfill(len(text)))
        elif kind in ("literal", "point", "comma", "slash"):
            parts.append(text)
    return " ".join("".join(parts).split())
