"""Column headings: which rows of a table name its columns, and which rows a heading applies to.

A wrong name is worse than none, because it moves a value to another column. So a row is a heading only if the format
marks it, or if its cells differ in kind from the values below it; a table that may be a list of names and values gets
no names, and a heading applies to rows after a blank row only if their values have the same kinds.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence

from sra_pipelines.readers.grid.cells import GridRow
from sra_pipelines.readers.grid.kinds import (
    VALUES,
    Kind,
    begins_as_label,
    is_amount,
    is_column_name,
    is_unit,
    is_value,
    kind_of,
    may_name_columns,
)
from sra_pipelines.readers.grid.wide_rows import LONGEST_LINE, SEPARATOR, row_text

__all__ = ["LOOK_AHEAD", "ColumnNames", "Heading", "find_heading"]

LOOK_AHEAD = 12  # rows below a row that show whether it is a heading
_MOST_LEVELS = 4
_LONGEST_NAME = 80
_MISSING = (Kind.EMPTY, Kind.PLACEHOLDER)
_NAMES = (Kind.TEXT, Kind.PERIOD, Kind.DATE)
_WORD = re.compile(r"[^\W\d_]*[^\W\d_A-Z][^\W\d_]*")


@dataclasses.dataclass(frozen=True, slots=True)
class Heading:
    """The rows of a heading.

    Parameters
    ----------
    names
        The names of the columns that it gives.
    rows
        Number of its rows.
    """

    names: ColumnNames
    rows: int


class ColumnNames:
    """The names of the columns of a table.

    Parameters
    ----------
    levels
        The rows of the heading, from top to bottom; names of several levels are joined: ``2023 Actual``.
    """

    def __init__(self, levels: Sequence[GridRow]) -> None:
        self.texts = _names(levels)
        width = len(self.texts)
        last = levels[-1]
        self._groups = [
            last.owners[c] if c < len(last.owners) and last.texts[last.owners[c]] else c for c in range(width)
        ]
        self._prefixes = [f"{name}: " if name else "" for name in self.texts]
        self._is_simple = self._groups == list(range(width))
        self._size = width
        self._template = SEPARATOR.join(prefix.replace("%", "%%") + "%s" for prefix in self._prefixes)
        self._amounts: set[int] = set()  # columns in which the rows so far have amounts
        self._others = list(range(width))  # all other ones
        self._width = width
        self._rows = 0
        self._amount = -1  # a column that had an amount; the last one at first

    @property
    def line(self) -> str:
        """The heading as a line, or several if it is long."""
        return row_text([name for column, name in enumerate(self.texts) if name and self._groups[column] == column])

    @property
    def amounts(self) -> frozenset[int]:
        """Columns with amounts so far."""
        return frozenset(self._amounts)

    def row_of_amounts(self, row: GridRow) -> str | None:
        """Return a row as a line if it has an amount where an earlier one had it, as most rows have; otherwise None."""
        if not row.is_plain:
            return None
        column, texts = self._amount, row.texts
        if not texts or column >= len(texts) or kind_of(texts[column]) is not Kind.AMOUNT:
            return None
        if self._is_simple and len(texts) == self._size and "" not in texts:
            line = self._template % tuple(texts)
            if len(line) <= LONGEST_LINE:  # most rows
                self._rows += 1
                for column in self._others:
                    text = texts[column] if column < self._size else ""  # an earlier row was wider
                    if not begins_as_label(text[:4]) and is_value(text):
                        self._note_amounts(texts)
                        break
                return line
        return self.name(row)

    def name(self, row: GridRow) -> str:
        """Return a row as a line, or several if it is long, with the name of its column before each cell."""
        self._rows += 1
        texts = row.texts
        self._note_amounts(texts)
        if self._is_simple and row.is_simple and len(texts) <= self._size:
            filled = row.filled
            cells = [self._prefixes[column] + texts[column] for column in filled]
            return row_text(cells, [texts[column] for column in filled])
        pieces: list[tuple[int, str, str]] = []  # group, name, text
        for column in row.filled:
            text = texts[column]
            group = self._groups[column] if column < self._size else -1 - column
            end = column + 1 if row.is_plain else row.end(column)
            name = self.texts[column] if end == column + 1 and column < self._size else self._name(column, end)
            if pieces and pieces[-1][0] == group and name == pieces[-1][1]:
                both = is_amount(pieces[-1][2]) and is_amount(text)
                pieces[-1] = (group, name, f"{pieces[-1][2]}{' | ' if both else ' '}{text}")
            else:
                pieces.append((group, name, text))
        cells = [f"{name}: {text}" if name else text for _, name, text in pieces]
        return row_text(cells, [text for _, _, text in pieces])

    def _note_amounts(self, texts: Sequence[str]) -> None:
        if len(texts) > self._width:
            self._others += range(self._width, len(texts))
            self._width = len(texts)
        is_new = False
        for column in self._others:
            if column < len(texts) and is_value(texts[column]):
                is_new = True
                self._amounts.add(column)
                if kind_of(texts[column]) is Kind.AMOUNT:
                    self._amount = column
        if is_new:
            self._others = [column for column in self._others if column not in self._amounts]

    def applies_to(self, row: GridRow) -> bool:
        """Return whether a row after a blank row can belong to the same table."""
        if not self._rows:
            return True
        kinds = {column: kind_of(row.texts[column]) for column in row.filled}
        under = [kind for column, kind in kinds.items() if column in self._amounts]
        if any(column >= len(self.texts) for column in kinds) or Kind.TEXT in under:
            return False
        return any(kind is not Kind.PLACEHOLDER for kind in under)

    def _name(self, first: int, end: int) -> str:
        if end == first + 1:
            return self.texts[first] if first < len(self.texts) else ""
        covered = dict.fromkeys(name for name in self.texts[first:end] if name)
        return ", ".join(covered)


def find_heading(
    row: GridRow,
    below: Sequence[GridRow],
    current: ColumnNames | None,
    *,
    starts: bool,
    first_row_names: bool,
    in_list: bool = False,
) -> Heading | None:
    """Return the heading that starts with a row; None if the row is not a heading.

    Parameters
    ----------
    row
        A row with text.
    below
        The next rows.
    current
        The names that apply to the rows above; None for none.
    starts
        Whether the row is the first of a table, or follows a blank row or a title.
    first_row_names
        Whether by convention the first row of such a table names its columns, as in CSV files.
    in_list
        Whether the row above has two cells without names, as in a list of names and values.
    """
    if not _may_be_heading(row):
        return None
    levels = _levels(row, below)
    last = levels[-1]
    rest = _until_blank(below[len(levels) - 1 :])
    if not levels or not _can_be_heading(levels, rest):
        return None
    marked = all(level.marked for level in levels)
    if not marked:
        if current is not None and not starts and not _replaces(last, current, rest):
            return None
        convention = first_row_names and current is None and starts
        if not _differs(last, rest) and not (convention and _covers(last, rest)):
            return None
        if _is_list(last, rest, in_list):
            return None
    elif not rest and current is not None:
        return None
    return Heading(ColumnNames(levels), len(levels))


def _may_be_heading(row: GridRow) -> bool:
    """Return whether a row is a heading as far as its own cells show; most rows have an amount, usually at the end."""
    if row.filled == [0]:
        return False
    texts = row.texts
    if row.marked:
        return True
    if row.filled and kind_of(texts[row.filled[-1]]) not in _NAMES:
        return False
    return all(kind_of(texts[column]) in _NAMES for column in reversed(row.filled[:-1]))


def _levels(row: GridRow, below: Sequence[GridRow]) -> list[GridRow]:
    """Return a row and those directly below it that continue it as a heading."""
    levels = [row]
    for index, following in enumerate(below[: _MOST_LEVELS - 1]):
        if following.is_empty or not _joins(levels, following, below[index + 1 :]):
            break
        levels.append(following)
    if len(levels) > 1 and not _is_sparse(levels[0]):
        return levels
    return [_spread(level, levels[-1]) for level in levels[:-1]] + levels[-1:]


def _joins(levels: Sequence[GridRow], row: GridRow, below: Sequence[GridRow]) -> bool:
    above = levels[-1]
    if row.filled == [0]:  # the title of a part of the table
        return False
    if row.marked and above.marked:
        return True
    new = [column for column in row.filled if column not in row.below]
    if not new or any(kind_of(row.texts[column]) not in _NAMES for column in new):
        return False
    if 0 not in new and all(is_unit(row.texts[column]) for column in new) and len(above.filled) > 1:
        return True
    wide = any(above.end(column) > column + 1 for column in above.filled if column) or bool(row.below)
    repeated = len({row.texts[column] for column in new}) < len(new) and _is_sparse(above)
    starts_first = above.filled[:1] == [0] and (len(above.filled) == 1 or above.end(0) > 1)
    if starts_first or not (wide or repeated) or len(new) < 2:
        return False
    rest = _until_blank(below)
    return above.marked or row.marked or _differs(row, rest)


def _is_sparse(row: GridRow) -> bool:
    """Return whether texts are followed by empty columns, as in a heading whose merged cells were lost."""
    filled = row.filled
    return bool(filled) and all(row.owners[c] == c for c in range(len(row.owners))) and len(filled) < len(row.texts)


def _spread(level: GridRow, last: GridRow) -> GridRow:
    """Return a level whose texts also apply to the empty columns after them, if it has no spans."""
    if not _is_sparse(level) or level.below:
        return level
    texts = list(level.texts) + [""] * (len(last.texts) - len(level.texts))
    owners = list(range(len(texts)))
    for column in range(1, len(texts)):
        if not texts[column] and owners[column - 1] > 0 and last.text(column):
            owners[column] = owners[column - 1]
        elif not texts[column]:
            owners[column] = 0 if column == 0 else column
    return GridRow(texts, owners, level.below, level.marked, level.notes)


def _can_be_heading(levels: Sequence[GridRow], rest: Sequence[GridRow]) -> bool:
    if not all(level.marked for level in levels):
        names = [name for name in _names(levels) if name]
        texts = [level.texts[column] for level in levels for column in level.filled]
        if any(kind_of(text) not in _NAMES or len(text) > _LONGEST_NAME or text.endswith(":") for text in texts):
            return False
        if (len(names) > 1 and len(set(names)) == 1) or not may_name_columns(texts):
            return False
    filled = levels[-1].filled
    if len(filled) > 1 or len(levels) > 1:
        return True
    # One name: the only column of values beside the labels.
    return bool(filled) and filled[0] > 0 and any(_values_in(filled[0], rest))


def _values_in(column: int, rows: Sequence[GridRow]) -> list[bool]:
    """Return for each value below a heading whether it is an amount or a day."""
    kinds = [kind_of(row.text(column)) for row in rows]
    return [kind in VALUES for kind in kinds if kind not in _MISSING]


def _differs(row: GridRow, rest: Sequence[GridRow]) -> bool:
    """Return whether a column has a name above and only amounts or days below."""
    for column in row.filled:
        end = row.end(column)
        kinds = (kind_of(r.text(c)) for r in rest for c in range(column, end))
        own = kind_of(row.texts[column])
        if own is Kind.TEXT and _are_values(kinds):
            return True
        if own is Kind.PERIOD and Kind.AMOUNT in kinds:
            return True
        if own is Kind.DATE and set(kinds).difference(_MISSING) == {Kind.AMOUNT}:
            return True
    return False


def _are_values(kinds: Iterable[Kind]) -> bool:
    """Return whether there are amounts, days or periods, and no texts."""
    present = False
    for kind in kinds:
        if kind is Kind.TEXT:
            return False
        present = present or kind not in _MISSING
    return present


def _covers(row: GridRow, rest: Sequence[GridRow]) -> bool:
    """Return whether a row has a name for each column of at least three with values below."""
    used = {column for other in rest for column in other.filled} - {0}
    if len(row.filled) < 3 or not rest or not used <= set(row.filled):
        return False
    # A day or year above others is a value like them.
    dated = [column for column in row.filled if kind_of(row.texts[column]) is not Kind.TEXT]
    return not any(kind_of(other.text(c)) is kind_of(row.texts[c]) for c in dated for other in rest)


def _is_list(row: GridRow, rest: Sequence[GridRow], continues: bool) -> bool:
    """Return whether two columns may be a list of names and values, such as ``Tenant | Brisk Ltd``."""
    width = max([len(row.filled), *(len(other.filled) for other in rest)])
    if width != 2 or len(row.filled) < 2:
        return False
    if continues:
        return True
    first, second = row.filled
    if kind_of(row.texts[first]) is Kind.TEXT and _values_in(first, rest) and all(_values_in(first, rest)):
        return False  # names and values would have texts on the left
    return not all(_values_in(second, rest)) or not is_column_name(row.texts[first], row.texts[second])


def _replaces(row: GridRow, current: ColumnNames, rest: Sequence[GridRow]) -> bool:
    """Return whether a row within a table starts another one: names above columns that have had amounts so far."""
    columns = current.amounts
    texts = [row.text(column) for column in sorted(columns)]
    if not columns or not all(texts) or len(set(texts)) < len(texts) or row.filled[0] != 0:
        return False
    periods = all(kind_of(text) is Kind.PERIOD for text in texts)
    words = all(kind_of(text) is Kind.TEXT and _WORD.search(text) for text in texts)
    dimension = is_column_name(row.texts[0], "") or row.texts[0] == current.texts[0]
    return (periods or words) and dimension and any(any(_values_in(column, rest)) for column in columns)


def _until_blank(rows: Sequence[GridRow]) -> list[GridRow]:
    taken: list[GridRow] = []
    for row in rows:
        if row.is_empty:
            if taken:
                break
            continue
        taken.append(row)
    return taken


def _names(levels: Sequence[GridRow]) -> list[str]:
    """Return the names of the columns, without those that are repeated in several levels."""
    names = []
    for column in range(max(len(level.texts) for level in levels)):
        parts = dict.fromkeys(text for level in levels if (text := level.text(column)))
        names.append(" ".join(parts).removesuffix(":"))
    return names
