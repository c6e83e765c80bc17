"""Read the amounts of a page with their row, period and unit, from its tables and sentences.

Nothing is inferred. A period comes from a heading that has a column for each amount of the row, or from the sentence; a
unit comes from the amount itself or from the heading of the table. If they are ambiguous, both are empty.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from sra_pipelines.checks.amounts import Amount, find_amounts
from sra_pipelines.checks.dates import find_dates
from sra_pipelines.retrieval.relevant_rows import GAP

__all__ = ["EMPTY_CELL", "PageAmount", "read_amounts", "unit_of"]

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
_YEAR_BEFORE = re.compile(rf"\b({_YEAR}):\s*$")  # "(2024: 58.0)"
_YEAR_AFTER = re.compile(
    rf"\W*(?:in|for)\s+(?:the\s+)?(?:fiscal\s+|financial\s+)?(?:year\s+)?({_YEAR})\b(?!\s+financial)"
)
_OTHER_UNIT = re.compile(r"\((?:p|pence|cents|%)\)|\b(?:per|employees|headcount|shares|number|ratio|days)\b", re.I)
EMPTY_CELL = re.compile(r"(?<=\s)(?:[-\u2013\u2014]|nil|n/a)(?=\s|$)|(?<=\|) (?=\|)")
_LETTER = re.compile(r"[^\W\d_]")
_LONGEST_HEADING = 70  # characters; a longer line without amounts is a sentence


@dataclasses.dataclass(frozen=True, slots=True)
class PageAmount:
    """An amount on a page, with its label, period and unit.

    Parameters
    ----------
    amount
        The amount as written; its span refers to its line.
    label
        The text before the amount in its row; empty for an amount in a sentence.
    heading
        The lines above its row that name the table and its part.
    period
        The period, such as ``"2025"`` or ``"Q1 2025"``; empty if the page does not state it.
    unit
        The unit, such as ``"£ million"``; empty if the page does not state it.
    start, end
        Span of the line in the text, in characters.
    """

    amount: Amount
    label: str
    heading: tuple[str, ...]
    period: str
    unit: str
    start: int
    end: int


@dataclasses.dataclass(slots=True)
class _Table:
    """The headings and columns above a row."""

    title: list[str] = dataclasses.field(default_factory=list)
    group: str = ""
    columns: tuple[str, ...] = ()
    unit: str = ""


def read_amounts(text: str) -> list[PageAmount]:
    """Return the amounts of a page or passage in reading order, without years and dates."""
    amounts: list[PageAmount] = []
    table = _Table()
    for start, line in _lines(text):
        if line == GAP:  # rows were left out; the columns stay the same
            continue
        periods = _columns(line)
        values = _values(line)
        if named := list(_named_row(line, start, table)):
            amounts += named
        elif periods is not None:
            above = [*table.title, table.group][-2:] if not table.columns else [table.group]
            unit = unit_of(line) or next((u for u in map(unit_of, reversed(above)) if u), "")
            table = _Table([title for title in above if title], "", periods, unit)
        elif not values or not _LETTER.search(line):
            if len(line.strip()) > _LONGEST_HEADING or line.rstrip().endswith((".", ";", ",")):
                table = _Table()
            elif table.columns:
                table.group = line.strip()
            else:
                table.title = [*table.title, line.strip()][-2:]
        elif _is_row(line, values):
            amounts += _row(line, start, values, table)
        else:
            table = _Table()
            amounts += _sentence(line, start, values)
    return amounts


def _lines(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    for line in text.split("\n"):
        yield start, line
        start += len(line) + 1


def _named_row(line: str, start: int, table: _Table) -> Iterator[PageAmount]:
    """Yield the amounts of a row whose cells have the names of their columns: ``Item: Rent | 2025: 82,400``."""
    first, *cells = line.split(" | ")
    if not cells:
        return
    position = len(first)
    for cell in cells:
        name, value, offset = _named(cell, position + len(" | "))
        position += len(" | ") + len(cell)
        own = _values(value)
        if not name or len(own) != 1 or _LETTER.search(value.replace(own[0].text, " ")):
            continue
        amount = dataclasses.replace(own[0], start=own[0].start + offset, end=own[0].end + offset)
        periods = {" ".join(match[0].split()) for match in _PERIOD.finditer(name)}
        unit = _own_unit(amount) or unit_of(name)
        if not unit and not _OTHER_UNIT.search(f"{name} {first}"):
            unit = table.unit
        label = _named(first, 0)[1].strip()
        heading = tuple(text for text in (*table.title, table.group) if text)
        period = periods.pop() if len(periods) == 1 else ""
        yield PageAmount(amount, label, heading, period, unit, start, start + len(line))


def _named(cell: str, start: int) -> tuple[str, str, int]:
    """Return the name and the value of a cell, and where the value starts."""
    name, separator, value = cell.rpartition(": ")
    return name, value, start + len(name) + len(separator)


def _columns(line: str) -> tuple[str, ...] | None:
    """Return the period of each column if the line is a column heading; ``""`` for a last column such as Total."""
    periods = [" ".join(match[0].split()) for match in _PERIOD.finditer(line)]
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
        _without_dash(amount)
        for amount in find_amounts(line)
        if not re.fullmatch(_YEAR, amount.text) and not any(first <= amount.start < last for first, last in taken)
    ]


def _without_dash(amount: Amount) -> Amount:
    """Remove a dash that is followed by a space: it is an empty cell before the amount, not a sign."""
    dash = re.match(r"[-\u2212]\s+", amount.text)
    if dash is None:
        return amount
    length = dash.end()
    return dataclasses.replace(amount, text=amount.text[length:], start=amount.start + length, value=abs(amount.value))


def _is_row(line: str, amounts: list[Amount]) -> bool:
    """Return whether the line is a label followed by amounts and empty cells only."""
    cells = line[_first(line, amounts) :]
    for amount in reversed(_values(cells)):
        cells = cells[: amount.start] + cells[amount.end :]
    return not _LETTER.search(EMPTY_CELL.sub(" ", f" {cells}"))


def _first(line: str, amounts: list[Amount]) -> int:
    """Return where the cells of a row start: at the first amount, or at an empty cell before it."""
    empty = EMPTY_CELL.search(line)
    return min([amounts[0].start, *([empty.start()] if empty else [])])


def _row(line: str, start: int, amounts: list[Amount], table: _Table) -> Iterator[PageAmount]:
    cells = sorted([amount.start for amount in amounts] + [empty.start() for empty in EMPTY_CELL.finditer(line)])
    has_columns = len(cells) == len(table.columns)
    label = line[: _first(line, amounts)].strip(" |$€£¥")
    heading = tuple(text for text in (*table.title, table.group) if text)
    for amount in amounts:
        period = table.columns[cells.index(amount.start)] if has_columns else ""
        unit = _own_unit(amount) or ("" if _OTHER_UNIT.search(label) else table.unit)
        yield PageAmount(amount, label, heading, period, unit, start, start + len(line))


def _sentence(line: str, start: int, amounts: list[Amount]) -> Iterator[PageAmount]:
    for amount in amounts:
        year = _YEAR_BEFORE.search(line[: amount.start]) or _YEAR_AFTER.match(line[amount.end :])
        yield PageAmount(amount, "", (), year[1] if year else "", _own_unit(amount), start, start + len(line))


def _own_unit(amount: Amount) -> str:
    if amount.percent:
        return "%"
    unit = unit_of(re.sub(r"[\d.,()\u2212-]+", " ", amount.text))
    return unit if amount.scale else ""


def unit_of(text: str) -> str:
    """Return the unit that a heading states, such as ``"$ million"``; empty if it states none."""
    match = _UNIT.search(text)
    if match is None:
        return ""
    if match["currency"]:
        scale = match["scale"] or _scale_word(text)
        return f"{match['currency']} {scale.lower()}".strip() if scale else str(match["currency"])
    return " ".join(part for part in (match["of"] or "", match["word"].lower().removesuffix("s")) if part)


def _scale_word(text: str) -> str:
    scale = re.search(r"\b(thousand|million|billion)s?\b", text, re.IGNORECASE)
    return scale[1] if scale else ""
