"""Read the figures of a page with their row, their period and their unit, as its tables and sentences say them.

Only what stands there counts: a period comes from a heading that has a column for each figure of the row, or from the
sentence; a unit from the figure itself or from the table's heading. Where that is in doubt both stay empty.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from sra_pipelines.checks.amounts import Amount, find_amounts, find_dates

__all__ = ["PageAmount", "read_amounts"]

_YEAR = r"(?:19|20)\d\d"
_PERIOD = re.compile(
    rf"(?:(?:Q[1-4]|H[12]|FY)\s?)?\b{_YEAR}\b|\bFY\s?{_YEAR}\b|\bFY\d\d\b",
    re.IGNORECASE,
)
_UNIT = re.compile(
    r"(?P<currency>[$€£¥])\s?(?P<scale>thousands?|millions?|billions?|bn|mn|m|k|'?000s?)?(?!\w)"
    r"|\b(?:in\s+)?(?P<word>thousands|millions|billions)\b(?:\s+of\s+(?P<of>\w+))?",
    re.IGNORECASE,
)
_BEFORE = re.compile(rf"\b({_YEAR}):\s*$")  # "(2024: 58.0)"
_BEHIND = re.compile(rf"\W*(?:in|for)\s+(?:the\s+)?(?:fiscal\s+|financial\s+)?(?:year\s+)?({_YEAR})\b(?!\s+financial)")
_OTHER_UNIT = re.compile(r"\((?:p|pence|cents|%)\)|\b(?:per|employees|headcount|shares|number|ratio|days)\b", re.I)
_EMPTY = re.compile(r"(?<=\s)(?:[-\u2013\u2014]|nil|n/a)(?=\s|$)")
_LETTER = re.compile(r"[^\W\d_]")
_LONGEST_HEADING = 70  # characters; a longer line without figures is a sentence


@dataclasses.dataclass(frozen=True, slots=True)
class PageAmount:
    """A figure of a page, with what the page says about it.

    Parameters
    ----------
    figure
        As written; its place is in the text.
    label
        What stands before it in its row; of a sentence nothing.
    heading
        The lines above its row that name the table and its part.
    period
        Such as ``"2025"`` or ``"Q1 2025"``, empty where the page does not say.
    unit
        Such as ``"£ million"``, empty where the page does not say.
    start, end
        The characters of its line in the text.
    """

    figure: Amount
    label: str
    heading: tuple[str, ...]
    period: str
    unit: str
    start: int
    end: int


@dataclasses.dataclass(slots=True)
class _Table:
    """What has been read above a row."""

    title: list[str] = dataclasses.field(default_factory=list)
    group: str = ""
    columns: tuple[str, ...] = ()
    unit: str = ""


def read_amounts(text: str) -> list[PageAmount]:
    """Return the figures of a page or passage, years and dates left out, in reading order."""
    found: list[PageAmount] = []
    table = _Table()
    for start, line in _lines(text):
        periods = _columns(line)
        figures = _values(line)
        if periods is not None:
            above = [*table.title, table.group][-2:] if not table.columns else [table.group]
            unit = _unit(line) or next((u for u in map(_unit, reversed(above)) if u), "")
            table = _Table([one for one in above if one], "", periods, unit)
        elif not figures or not _LETTER.search(line):
            if len(line.strip()) > _LONGEST_HEADING or line.rstrip().endswith((".", ";", ",")):
                table = _Table()
            elif table.columns:
                table.group = line.strip()
            else:
                table.title = [*table.title, line.strip()][-2:]
        elif _is_row(line, figures):
            found += _row(line, start, figures, table)
        else:
            table = _Table()
            found += _sentence(line, start, figures)
    return found


def _lines(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    for line in text.split("\n"):
        yield start, line
        start += len(line) + 1


def _columns(line: str) -> tuple[str, ...] | None:
    """Return the period of each column if the line is a heading of columns; ``""`` for a last one such as Total."""
    periods = [" ".join(found[0].split()) for found in _PERIOD.finditer(line)]
    rest = _PERIOD.sub(" ", line)
    for _, first, last in find_dates(line):
        rest = rest.replace(line[first:last], " ")
    if not periods or re.search(r"\d", re.sub(r"'?000s?", "", _without_dates(rest))):
        return None
    tail = line[list(_PERIOD.finditer(line))[-1].end() :].strip(" |)")
    if len(line.strip()) > 2 * _LONGEST_HEADING or line.rstrip().endswith((".", ",", ";", ":")):
        return None
    between = [part for part in _PERIOD.split(line)[1:-1] if len(part.split()) > 4]
    if between or len(tail.split()) > 2:
        return None
    return (*periods, "") if tail else tuple(periods)


def _without_dates(text: str) -> str:
    return re.sub(r"\b\d{1,2}\b(?=\s+[A-Z][a-z]+)|(?<=[a-z]\s)\d{1,2}(?=,|\s|$)", " ", text)


def _values(line: str) -> list[Amount]:
    taken = [(first, last) for _, first, last in find_dates(line)]
    return [
        _without_dash(one)
        for one in find_amounts(line)
        if not re.fullmatch(_YEAR, one.text) and not any(first <= one.start < last for first, last in taken)
    ]


def _without_dash(figure: Amount) -> Amount:
    """Take a dash with a space behind it for the empty cell before the figure, not for its sign."""
    dash = re.match(r"[-\u2212]\s+", figure.text)
    if dash is None:
        return figure
    length = dash.end()
    return dataclasses.replace(figure, text=figure.text[length:], start=figure.start + length, value=abs(figure.value))


def _is_row(line: str, figures: list[Amount]) -> bool:
    """Whether the figures stand at the end of the line, behind a label, with nothing but empty cells among them."""
    behind = line[_first(line, figures) :]
    for one in reversed(_values(behind)):
        behind = behind[: one.start] + behind[one.end :]
    return not _LETTER.search(_EMPTY.sub(" ", f" {behind}"))


def _first(line: str, figures: list[Amount]) -> int:
    """Return where the cells of a row begin: at its first figure, or at an empty cell before it."""
    empty = _EMPTY.search(line)
    return min([figures[0].start, *([empty.start()] if empty else [])])


def _row(line: str, start: int, figures: list[Amount], table: _Table) -> Iterator[PageAmount]:
    cells = sorted([one.start for one in figures] + [e.start() for e in _EMPTY.finditer(line)])
    known = len(cells) == len(table.columns)
    label = line[: _first(line, figures)].strip(" |$€£¥")
    heading = tuple(one for one in (*table.title, table.group) if one)
    for one in figures:
        period = table.columns[cells.index(one.start)] if known else ""
        unit = _own_unit(one) or ("" if _OTHER_UNIT.search(label) else table.unit)
        yield PageAmount(one, label, heading, period, unit, start, start + len(line))


def _sentence(line: str, start: int, figures: list[Amount]) -> Iterator[PageAmount]:
    for one in figures:
        found = _BEFORE.search(line[: one.start]) or _BEHIND.match(line[one.end :])
        yield PageAmount(one, "", (), found[1] if found else "", _own_unit(one), start, start + len(line))


def _own_unit(figure: Amount) -> str:
    if figure.percent:
        return "%"
    unit = _unit(re.sub(r"[\d.,()\u2212-]+", " ", figure.text))
    return unit if figure.scale else ""


def _unit(text: str) -> str:
    found = next((one for one in _UNIT.finditer(text)), None)
    if found is None:
        return ""
    if found["currency"]:
        scale = found["scale"] or _scale_behind(text)
        return f"{found['currency']} {scale.lower()}".strip() if scale else str(found["currency"])
    return " ".join(part for part in (found["of"] or "", found["word"].lower().removesuffix("s")) if part)


def _scale_behind(text: str) -> str:
    scale = re.search(r"\b(thousand|million|billion)s?\b", text, re.IGNORECASE)
    return scale[1] if scale else ""
