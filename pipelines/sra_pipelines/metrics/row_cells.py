"""Read a line of a statement as a row: its label and its cells, with amounts as the whole statement writes them.

``1.234`` and ``1,234`` have two readings. The other amounts of the statement show which one is meant; if they do not,
the amount has no reading.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from sra_pipelines.checks.amounts import Amount, find_amounts
from sra_pipelines.checks.table_amounts import EMPTY_CELL
from sra_pipelines.metrics.statement_headings import MONTHS, YEAR

__all__ = ["Cells", "RowLine", "decimal_sign", "read_row", "spaced_cells", "with_decimal_sign"]

Cells = tuple[Amount | None, ...]
DecimalSign = Literal[",", ".", ""]

_DATES = re.compile(  # "December 3,", "Years ended December 31, 2022 2021": dates of columns
    rf"(?:.*\b)?(?:{'|'.join(MONTHS)})(?:(?:\s+\d{{1,2}},?)?(?:\s+(?:19|20)\d\d)*)", re.IGNORECASE
)
_CELL = re.compile(
    r"[$\u20ac\u00a3\u00a5(\u2212+-]*\d[\d,.\u00a0]*\)?%?\)?|[-\u2013\u2014$\u20ac\u00a3\u00a5%)(]+|nil|n/?a",
    re.IGNORECASE,
)
_BEFORE_OWN_AMOUNT = {"and", "of", "at", "to"}  # words before an amount that belongs to the label
_CURRENCIES = {"$", "\u20ac", "\u00a3", "\u00a5"}
_GROUPED = re.compile(r"(?<![\d.,])\d{1,3}(?: \d{3})+(?![\d ]*\d)")  # "1 234,5" in a cell of its own
_COMMA_DECIMALS = re.compile(
    r"(?<![\d,])\d+,\d{1,2}(?![\d,])|\.\d{3},\d|\d{1,3}(?:\.\d{3}){2,}(?!\d)|\d[\u00a0\u202f]\d{3}"
)
_POINT_DECIMALS = re.compile(r"(?<![\d.])\d+\.\d{1,2}(?![\d.])|,\d{3}\.\d|\d{1,3}(?:,\d{3}){2,}(?!\d)")
_POINT_GROUP = re.compile(r"[^\d.,]*[1-9]\d{0,2}\.\d{3}[^\d.,]*")
_COMMA_GROUP = re.compile(r"[^\d.,]*[1-9]\d{0,2},\d{3}[^\d.,]*")


class RowLine(NamedTuple):
    """A line that is a row.

    Parameters
    ----------
    label
        The label as written; empty if the line has amounts only.
    cells
        The cells in their order.
    region
        The text of the cells.
    """

    label: str
    cells: Cells
    region: str


def read_row(line: str) -> RowLine | None:
    """Return a line as a row; None if it is not one with at least one amount."""
    return _piped(line) if "|" in line else _spaced(line)


def _piped(line: str) -> RowLine | None:
    first, *rest = line.strip("|").split("|")
    cells = [_GROUPED.sub(lambda match: match[0].replace(" ", "\u00a0"), cell) for cell in rest]
    if any(re.search(r"[^\W\d_]", EMPTY_CELL.sub(" ", f" {cell} ")) for cell in cells):
        return None
    amounts = [find_amounts(cell) for cell in cells]
    if any(len(own) > 1 for own in amounts) or not any(amounts):
        return None
    if all(YEAR.fullmatch(own[0].text) for own in amounts if own):
        return None  # a heading
    return RowLine(first.strip(), tuple(own[0] if own else None for own in amounts), "|".join(cells))


def _spaced(line: str) -> RowLine | None:
    words = list(re.finditer(r"\S+", line))
    first_cell = len(words)
    while first_cell and _CELL.fullmatch(words[first_cell - 1][0]):
        first_cell -= 1
    if first_cell == len(words):
        return None
    if first_cell and words[first_cell - 1][0].lower() in _BEFORE_OWN_AMOUNT:
        first_cell += 1 + (words[first_cell][0] in _CURRENCIES)  # "net of allowances of $95 and $103 5,020 4,911"
    if first_cell >= len(words):
        return None
    start = words[first_cell].start()
    label, region = line[:start].rstrip(), f" {line[start:]} "
    cells = _cells(region)
    amounts = [cell for cell in cells if cell is not None]
    if not amounts or all(YEAR.fullmatch(amount.text) for amount in amounts) or _DATES.fullmatch(line):
        return None  # a heading
    if label and not re.search(r"[^\W\d_]", label):
        return None
    return RowLine(label, cells, region)


def _cells(region: str) -> Cells:
    found = find_amounts(region)
    spans = [(amount.start, amount.end) for amount in found]
    empty = [m.start() for m in EMPTY_CELL.finditer(region) if not any(a <= m.start() < b for a, b in spans)]
    ordered: list[tuple[int, Amount | None]] = [(amount.start, amount) for amount in found]
    ordered += [(position, None) for position in empty]
    return tuple(amount for _, amount in sorted(ordered, key=lambda pair: pair[0]))


def spaced_cells(region: str, width: int) -> Cells:
    """Return the cells of a text with spaces between groups of digits, if it can be read as `width` cells in one way.

    Parameters
    ----------
    region
        The text of the cells, such as ``"1 234 5 678"``.
    width
        Number of columns.
    """
    readings = [cells for text in _joined(region.split()) if len(cells := _cells(f" {text} ")) == width]
    return readings[0] if len(readings) == 1 else ()


def _joined(words: Sequence[str]) -> Iterator[str]:
    """Yield each way to join groups of three digits to what precedes them."""
    if not words:
        yield ""
        return
    first, *rest = words
    for end in range(len(rest) + 1):
        if end and not (re.fullmatch(r"[(\u2212-]?[1-9]\d{0,2}", first) and re.match(r"\d{3}(?!\d)", rest[end - 1])):
            return
        joined = "\u00a0".join([first, *rest[:end]])
        for other in _joined(rest[end:]):
            yield f"{joined} {other}" if other else joined
        if end and not re.fullmatch(r"\d{3}", rest[end - 1]):
            return


def decimal_sign(texts: Iterable[str], *, has_comma_language: bool) -> DecimalSign:
    """Return the decimal sign that amounts show; empty if they do not, or differ.

    Parameters
    ----------
    texts
        The amounts as written.
    has_comma_language
        Whether the statement is in German or French, whose decimal sign is a comma.
    """
    comma = point = False
    for text in texts:
        comma |= _COMMA_DECIMALS.search(text) is not None
        point |= _POINT_DECIMALS.search(text) is not None
    if comma != point:
        return "," if comma else "."
    return "," if has_comma_language and not comma else ""


def with_decimal_sign(cells: Cells, sign: DecimalSign) -> Cells:
    """Return cells with the reading that the decimal sign of the statement gives them; none if there is none.

    ``1,234`` without other amounts is a thousand: English statements have few decimals.
    """
    read: list[Amount | None] = []
    for cell in cells:
        if cell is None or cell.other is None:
            read.append(cell)
        elif _POINT_GROUP.fullmatch(cell.text):
            if sign == "":
                return ()
            read.append(dataclasses.replace(cell, value=cell.other, other=None) if sign == "," else cell)
        elif _COMMA_GROUP.fullmatch(cell.text) and sign == ",":
            return ()
        else:
            read.append(cell)
    return tuple(read)
