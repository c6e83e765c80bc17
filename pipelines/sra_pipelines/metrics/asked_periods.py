"""Find the periods that a question asks for: financial years, quarters and half-years, dates, and what is compared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from sra_pipelines.metrics.periods import YEAR_MONTHS, Period
from sra_pipelines.metrics.statement_headings import DATE, date_values

__all__ = ["AskedPeriods", "asked_periods", "compares"]

_YEAR = r"(?:19|20)\d\d"
_YEAR_WORDS = (
    r"(?:(?:the )?(?:fiscal|financial)?[ -]?years? (?:ended |ending |end )?|fiscal |FY ?"
    r"|(?:im |des |dem )?(?:Geschäfts)?jahre?s? |(?:l['\u2019])?(?:exercice|année) )?"
)
_WHOLE_YEAR = re.compile(
    rf"(?<!\w){_YEAR_WORDS}['\u2019]?(?P<year>{_YEAR})(?!\d|[.,]\d|/\d)|\bFY ?['\u2019]?(?P<short>\d\d)\b",
    re.IGNORECASE,
)
_RANGE = re.compile(rf"({_YEAR})\s*(?:-|\u2013|to|through|until|bis|à)\s*(?:FY ?|fiscal )?({_YEAR})", re.I)
_OF_YEAR = (
    rf"['\u2019 ]*(?:(?:of|in|for|des|im|de|du|le|l['\u2019]) ?)*(?:the )?(?P<fiscal>FY|fiscal(?: year)?|financial year"
    rf"|Geschäftsjahre?s?|exercice)?[ '\u2019]*"
    rf"(?P<year>{_YEAR}|(?<=FY)\d\d|(?<=['\u2019])\d\d|(?<=FY )\d\d|(?<=\dQ)\d\d)(?!\d|[.,]\d)"
)
_ORDINALS = {
    "first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4,
    "erst": 1, "1.": 1, "zweit": 2, "2.": 2, "dritt": 3, "3.": 3, "viert": 4, "4.": 4,
    "premier": 1, "1er": 1, "deuxième": 2, "second ": 2, "2e": 2, "troisième": 3, "3e": 3, "quatrième": 4, "4e": 4,
}  # fmt: skip
_ORDINAL = rf"(?P<ordinal>{'|'.join(map(re.escape, sorted(_ORDINALS, key=len, reverse=True)))})(?:e[nrs]?)? ?"
_FISCAL_WORD = r"(?P<own_fiscal>fiscal |financial )?"
_QUARTER = re.compile(
    rf"(?<!\w)(?:the |im |au )?(?:[QT](?P<quarter>[1-4])|(?P<quarter2>[1-4])Q"
    rf"|{_ORDINAL}{_FISCAL_WORD}(?:quarter|quartals?|trimestre)){_OF_YEAR}",
    re.IGNORECASE,
)
_HALF = re.compile(
    rf"(?<!\w)(?:the |im |au )?(?:[HS](?P<quarter>[12])|(?P<quarter2>[12])H"
    rf"|{_ORDINAL}{_FISCAL_WORD}(?:half(?:[ -]year)?|halbjahre?s?|semestre)){_OF_YEAR}",
    re.IGNORECASE,
)
_FIRST_MONTHS = re.compile(
    rf"\b(?:the )?(?:first|ersten|premiers) (?P<months>six|nine|sechs|neun|neuf) (?:months|monaten?|mois){_OF_YEAR}",
    re.IGNORECASE,
)
_MONTHS = {"three": 3, "six": 6, "nine": 9, "twelve": 12, "3": 3, "6": 6, "9": 9, "12": 12}
_ENDED = re.compile(
    rf"\b(?:the )?(?:(?P<months>{'|'.join(_MONTHS)})[ -]months?(?: period)?|(?P<quarter>quarter)(?:ly period)?"
    rf"|(?P<half>half[ -]year)|(?P<whole>(?:fiscal |financial )?year)) (?:ended|ending|to|through)(?: on)? {DATE}",
    re.IGNORECASE,
)
_AT_DATE = re.compile(rf"\b(?:as of|as at|at|on|per|zum|au) (?:the (?:close|end) of )?{DATE}", re.IGNORECASE)
_SHORTER = re.compile(
    r"\b(?:Q[1-4]|H[12]|[1-4]Q)(?!\w)|\bQ[1-4](?=\d)|\bquarter(?:s|ly)?\b|\b(?:half|first|second)[ -]years?\b"
    r"|\b\d* ?(?:months?|weeks?)\b|\byear[ -]to[ -]date\b|\bYTD\b|\binterim\b|\b(?:TTM|LTM)\b"
    r"|\b\w*(?:quartale?n?|halbjahre?n?|monate?n?|trimestres?|semestres?|mois)\b",
    re.IGNORECASE,
)
_SEQUENTIAL = re.compile(r"\bquarter[- ](?:over|on|to)[- ]quarter\b|\bqoq\b|\bq/q\b|\bsequential\w*", re.IGNORECASE)
_COMPARED = re.compile(
    r"\b(?:improv|declin|increas|decreas|drop|chang|gr[eo]w|trend|compar|differ|ris(?:e|ing)|rose|fell|fall|higher|lower"
    r"|better|worse|year[ -](?:over|on)[ -]year|yoy|evol|develop|expand|contract|shr[aiu]nk"
    r"|vorjahr|précédent|gestiegen|gesunken|verändert|verbessert|gewachsen|stieg|sank|wuchs|zurückgegangen|entwickelt"
    r"|augment|diminu|progress|baiss|hausse|recul|chang|amélior|évolu|vari)\w*",
    re.IGNORECASE,
)
_AVERAGED = re.compile(r"\baverage\b|\bmean\b|\bdurchschnitt\w*|\bmoyenne?\b", re.IGNORECASE)


class AskedPeriods(NamedTuple):
    """The periods of a question.

    Parameters
    ----------
    periods
        The periods, in ascending order; with the one a year earlier, if one is compared with nothing else.
    averaged
        Whether the mean over the periods is asked for.
    spans
        The places in the question that name them.
    problem
        Why the periods cannot be used; empty if they can.
    """

    periods: tuple[Period, ...]
    averaged: bool
    spans: tuple[tuple[int, int], ...]
    problem: str


def asked_periods(asked: str) -> AskedPeriods:
    """Return the periods of a question."""
    parts = list(_parts(asked))
    rest = _blanked(asked, [span for _, span in parts])
    years = {int(match["year"] or 0) or 2000 + int(match["short"]) for match in _WHOLE_YEAR.finditer(rest)}
    averaged = _AVERAGED.search(asked) is not None and len(years) + len(parts) > 1
    if averaged and (span := _RANGE.search(rest)):
        years |= set(range(int(span[1]), int(span[2]) + 1))
    periods = {period for period, _ in parts} | {Period(year) for year in years}
    if len(periods) == 1 and compares(asked):
        periods |= {period.before(1) for period in periods}
    spans = [span for _, span in parts]
    spans += [match.span() for pattern in (_WHOLE_YEAR, _SHORTER) for match in pattern.finditer(rest)]
    spans += [match.span() for match in _AVERAGED.finditer(asked)] if averaged else []
    problem = ""
    if _SEQUENTIAL.search(asked):
        problem = "consecutive quarters are not compared"
    elif _SHORTER.search(rest):
        problem = "the question names a part of a year, but not which part of which year"
    return AskedPeriods(tuple(sorted(periods, key=_order)), averaged, tuple(spans), problem)


def compares(asked: str) -> bool:
    """Return whether a question compares periods."""
    return _COMPARED.search(asked) is not None


def _parts(asked: str) -> Iterator[tuple[Period, tuple[int, int]]]:
    """Yield the parts of years, dates, and periods with a date, each with its span."""
    taken: list[tuple[int, int]] = []
    for pattern, months in ((_ENDED, 0), (_FIRST_MONTHS, 0), (_QUARTER, 3), (_HALF, 6), (_AT_DATE, 0)):
        for match in pattern.finditer(asked):
            if any(match.start() < end and start < match.end() for start, end in taken):
                continue
            taken.append(match.span())
            yield _period(match, pattern, months), match.span()


def _period(match: re.Match[str], pattern: re.Pattern[str], months: int) -> Period:
    if pattern is _AT_DATE or pattern is _ENDED:
        year, month, day = date_values(match)
        if pattern is _ENDED:
            named = {"quarter": 3, "half": 6, "whole": YEAR_MONTHS}
            months = next((named[name] for name in named if match[name]), 0) or _MONTHS[match["months"].lower()]
        return Period(year, months, YEAR_MONTHS, month, day)
    year = int(match["year"])
    year = year if year > 99 else 2000 + year
    if pattern is _FIRST_MONTHS:
        months = 6 if match["months"].lower() in ("six", "sechs") else 9
        return Period(year, months, months, is_fiscal=bool(match["fiscal"]))
    digit = match["quarter"] or match["quarter2"]
    number = int(digit) if digit else _ORDINALS[match["ordinal"].lower()]
    is_fiscal = bool(match["fiscal"] or match["own_fiscal"])
    return Period(year, months, min(number * months, YEAR_MONTHS), is_fiscal=is_fiscal)


def _blanked(text: str, spans: list[tuple[int, int]]) -> str:
    blank = list(text)
    for start, end in spans:
        blank[start:end] = " " * (end - start)
    return "".join(blank)


def _order(period: Period) -> tuple[int, int, int, int]:
    return period.year, period.end_month or period.through, period.end_day, -period.months
