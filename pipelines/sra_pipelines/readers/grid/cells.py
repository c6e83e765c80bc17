"""The cells of a table, and their places in a grid of rows and columns.

A cell that spans rows is repeated in each of them, so that every row states to which label it belongs. A cell that
spans columns is written once.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

__all__ = ["Cell", "GridRow", "compacted", "laid_out"]

_MOST_COLUMNS = 16_384  # as in Excel; a manipulated file may state more
# Longer texts and more cells in a row are not labels, and repeating them multiplies the size of a manipulated file.
_LONGEST_REPEATED = 200  # characters
_MOST_REPEATED = 20  # cells of a row
_CLOSING = frozenset(first + second for first in ")%]" for second in ("", ")", "%", "]"))
_LONGEST_SIGN = 4  # characters
_CURRENCY = re.compile(r"[$€£¥₹₽₩]|[A-Z]{0,3}\$|CHF|EUR|USD|GBP|CZK|Kč")


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """A cell as the format states it.

    Parameters
    ----------
    text
        Text of the cell.
    rows, columns
        Number of rows and columns that it spans.
    above
        Whether it continues the cell above it; its own text is then ignored.
    header
        Whether the format marks it as a column heading.
    note
        A comment on the cell, which follows its row.
    """

    text: str
    rows: int = 1
    columns: int = 1
    above: bool = False
    header: bool = False
    note: str = ""


@dataclasses.dataclass(slots=True)
class GridRow:
    """A row of the grid.

    Parameters
    ----------
    texts
        One text for each column; empty for a column that belongs to the cell on its left.
    owners
        For each column, the first column of its cell.
    below
        Columns whose cell continues from the row above.
    marked
        Whether the format marks all filled cells as column headings.
    notes
        Comments on its cells.
    is_plain
        Whether it is known that each cell is in one column, without spans, marks and comments.
    """

    texts: list[str]
    owners: list[int]
    below: frozenset[int] = frozenset()
    marked: bool = False
    notes: tuple[str, ...] = ()
    is_plain: bool = False
    _filled: list[int] | None = dataclasses.field(default=None, init=False, repr=False, compare=False)

    @property
    def filled(self) -> list[int]:
        """First columns of the cells with text; the texts must not change after this was read."""
        if self._filled is None:
            if self.is_plain and "" not in self.texts:
                self._filled = self.owners
            else:
                self._filled = [column for column, text in enumerate(self.texts) if text]
        return self._filled

    @property
    def is_empty(self) -> bool:
        """Whether there is no text except that of cells from the rows above."""
        if self.is_plain:
            return not any(self.texts)
        if not self.below:
            return not any(self.texts) and not self.notes
        return not self.notes and all(column in self.below for column, text in enumerate(self.texts) if text)

    @property
    def is_simple(self) -> bool:
        """Whether each cell is in one column."""
        return self.is_plain or self.owners == list(range(len(self.owners)))

    def text(self, column: int) -> str:
        """Return the text of the cell in a column; empty if the row is shorter."""
        return self.texts[self.owners[column]] if column < len(self.texts) else ""

    def end(self, column: int) -> int:
        """Return the column after the cell that starts in a column."""
        end = column + 1
        while end < len(self.owners) and self.owners[end] == column:
            end += 1
        return end


def laid_out(rows: Iterable[Sequence[Cell | str]]) -> Iterator[GridRow]:
    """Yield the rows of a table with each cell in its columns.

    Parameters
    ----------
    rows
        The cells of each row in order, without the places that are covered by cells which span rows, unless they are
        given as cells that continue the cell `above`.
    """
    spans: dict[int, _Span] = {}
    last = GridRow([], [])  # the last one with cells
    owners: list[int] = []  # of rows without spans, shared by those of equal length
    for row in rows:
        texts = None if spans else _plain_texts(row)
        if texts is not None:
            if len(owners) != len(texts):
                owners = list(range(len(texts)))
            placed = GridRow(texts, owners, is_plain=True)
        else:
            placed = _Placing(spans, last).place(row)
        last = placed if placed.texts else last
        yield placed


def _plain_texts(row: Sequence[Cell | str]) -> list[str] | None:
    """Return the texts of a row in which each cell is in one column and has no marks, with single spaces; or None."""
    try:
        joined = "|".join(row)  # type: ignore[arg-type]  # strings in most rows
        texts: list[str] = list(row)  # type: ignore[arg-type]
    except TypeError:
        plain = [_plain_text(cell) for cell in row]
        texts = [text for text in plain if text is not None]
        if len(texts) < len(plain):
            return None
        joined = "|".join(texts)
    return texts if _has_single_spaces(joined) else [" ".join(text.split()) for text in texts]


def _has_single_spaces(joined: str) -> bool:
    """Return whether texts that are joined with a sign have no whitespace but single spaces within; most rows have."""
    if not joined.isprintable():  # other whitespace is not printable
        return False
    if " " not in joined:
        return True
    whole = f"|{joined}|"
    return "  " not in whole and "| " not in whole and " |" not in whole


def _plain_text(cell: Cell | str) -> str | None:
    if isinstance(cell, str):
        return cell
    is_plain = cell.rows == cell.columns == 1 and not (cell.above or cell.header or cell.note)
    return cell.text if is_plain else None


@dataclasses.dataclass(slots=True)
class _Span:
    """A cell that continues in the rows below."""

    rows: int
    text: str
    columns: int


class _Placing:
    """Places the cells of one row."""

    def __init__(self, spans: dict[int, _Span], last: GridRow) -> None:
        self._spans = spans
        self._open = dict(spans)  # those that began in earlier rows
        self._last = last
        self._row = GridRow([], [])
        self._below: set[int] = set()

    def place(self, cells: Sequence[Cell | str]) -> GridRow:
        if not any(cell if isinstance(cell, str) else cell.text or cell.note for cell in cells):
            for column in list(self._open):
                self._end_row_of(column)
            return self._row
        headers: list[bool] = []
        notes: list[str] = []
        for given in cells:
            cell = Cell(given) if isinstance(given, str) else given
            self._continue_spans()
            notes += [cell.note] if cell.note else []
            text = " ".join(cell.text.split())
            column = len(self._row.texts)
            if cell.above:
                text = self._last.text(column)
                self._below.add(column)
            elif text:
                headers.append(cell.header)
            self._put(text if not cell.above or len(text) <= _LONGEST_REPEATED else "", max(1, cell.columns))
            if cell.rows > 1 and column < len(self._row.texts):
                short = text if len(text) <= _LONGEST_REPEATED else ""
                self._spans[column] = _Span(cell.rows - 1, short, max(1, cell.columns))
        self._continue_spans()
        while self._open:
            self._put_empty(min(self._open) - len(self._row.texts))
            self._continue_spans()
        self._row.below = frozenset(self._below)
        self._row.notes = tuple(notes)
        self._row.marked = bool(headers) and all(headers)
        return self._row

    def _put(self, text: str, columns: int) -> None:
        first = len(self._row.texts)
        columns = max(0, min(columns, _MOST_COLUMNS - first))
        self._row.texts += [text, *[""] * (columns - 1)][:columns]
        self._row.owners += [first] * columns

    def _put_empty(self, columns: int) -> None:
        for _ in range(columns):
            self._put("", 1)

    def _continue_spans(self) -> None:
        if not self._open:
            return
        for column in [column for column in self._open if column < len(self._row.texts)]:
            self._end_row_of(column)  # overlapped by a cell of this row
        while (column := len(self._row.texts)) in self._open:
            span = self._open[column]
            self._below.add(column)
            self._put(span.text if len(self._below) <= _MOST_REPEATED else "", span.columns)
            self._end_row_of(column)

    def _end_row_of(self, column: int) -> None:
        span = self._open.pop(column)
        span.rows -= 1
        if not span.rows:
            del self._spans[column]


def compacted(rows: Sequence[GridRow]) -> list[GridRow]:
    """Return the rows of a whole table without columns for layout, as in the tables of company filings.

    A closing bracket or percent sign in a column of its own belongs to the amount before it; a column of currency signs
    that is empty in some rows belongs to the amounts after it; empty columns are removed.
    """
    width = max((len(row.texts) for row in rows), default=0)
    signs: set[int] = set()
    for row in rows:
        for column, text in enumerate(row.texts):
            if not text or len(text) > _LONGEST_SIGN:
                continue
            before = row.owners[column - 1] if column else 0
            if column and text in _CLOSING and row.texts[before]:
                row.texts[before] += text
                row.texts[column] = ""
            elif _is_currency(text):
                signs.add(column)
    for column in sorted(signs):
        _join_currency(rows, column)
    used = {column for row in rows for column, text in enumerate(row.texts) if text}
    if len(used) == width:
        return list(rows)
    kept = sorted(used)
    return [_with_columns(row, kept) for row in rows]


@lru_cache(maxsize=1024)
def _is_currency(text: str) -> bool:
    return _CURRENCY.fullmatch(text) is not None


def _join_currency(rows: Sequence[GridRow], column: int) -> None:
    holding = [row for row in rows if column < len(row.texts) and row.owners[column] == column and row.texts[column]]
    signs: list[GridRow] = []
    rest: list[GridRow] = []
    for row in holding:
        (signs if _is_currency(row.texts[column]) else rest).append(row)
    if not signs or any(row.end(column) <= column + 1 for row in rest):  # a heading may span sign and amount
        return
    amounts = [row for row in rows if column + 1 < len(row.texts) and row.texts[column + 1]]
    if all(row.texts[column] for row in amounts if row.owners[column] == column) and not rest:
        return
    for row in signs:
        if column + 1 < len(row.texts) and row.texts[column + 1]:
            row.texts[column + 1] = f"{row.texts[column]} {row.texts[column + 1]}"
            row.texts[column] = ""


def _with_columns(row: GridRow, kept: Sequence[int]) -> GridRow:
    if row.is_plain:
        if kept and kept[-1] >= len(row.texts):
            kept = [column for column in kept if column < len(row.texts)]
        all_texts = row.texts
        kept_texts = [all_texts[column] for column in kept]
        return GridRow(kept_texts, list(range(len(kept_texts))), is_plain=True)
    texts: list[str] = []
    owners: list[int] = []
    below: set[int] = set()
    places: dict[int, int] = {}
    for column in kept:
        if column >= len(row.texts):
            break
        owner = row.owners[column]
        first = places.setdefault(owner, len(texts))
        texts.append(row.texts[owner] if first == len(texts) else "")
        owners.append(first)
        if owner in row.below:
            below.add(first)
    return GridRow(texts, owners, frozenset(below), row.marked, row.notes)
