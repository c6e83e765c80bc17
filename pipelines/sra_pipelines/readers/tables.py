"""Write the rows of a table as lines that can be read alone: each cell with the name of its column.

All formats with tables use it, so that a table is read equally from CSV, Excel, Word and HTML. See
`sra_pipelines.readers.grid` for spans and column headings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from sra_pipelines.readers.grid.cells import Cell, GridRow, compacted, laid_out
from sra_pipelines.readers.grid.headers import LOOK_AHEAD, ColumnNames, find_heading
from sra_pipelines.readers.grid.wide_rows import row_text
from sra_pipelines.values import Page

__all__ = ["Cell", "table_lines", "table_pages", "whole_table_lines"]

_ROWS_A_PAGE = 100
_READ_AHEAD = 100  # rows

Rows = Iterable[Sequence[Cell | str]]


def table_lines(rows: Rows, *, first_row_names: bool = True) -> Iterator[str]:
    """Return the rows of a table as lines, which are read one by one.

    A row that is too long for a passage has several lines in one text. Below a heading, cells have the name of their
    column: ``Item: Revenue | 2023: 82,400``. Other rows keep their empty cells.

    Parameters
    ----------
    rows
        The rows, which may contain several tables.
    first_row_names
        Whether the first row of three or more texts names the columns, even if the format does not mark it and the
        values are texts too.
    """
    return filter(None, _lines(laid_out(rows), first_row_names))


def whole_table_lines(rows: Rows) -> list[str]:
    """Return the rows of one table of a text document, one line for each row.

    Columns for layout are removed. The line is empty for a row without text, and for all rows of a heading but the
    first.
    """
    return list(_lines(iter(compacted(list(laid_out(rows)))), first_row_names=False))


def table_pages(tables: Iterable[tuple[str, Rows]]) -> Iterator[Page]:
    """Yield tables as pages of at most a hundred rows.

    Parameters
    ----------
    tables
        Name and rows of each table; with an empty name, the pages are labelled with numbers.
    """
    index = 0
    for name, rows in tables:
        lines = list(table_lines(rows))
        for start in range(0, max(1, len(lines)), _ROWS_A_PAGE):
            part = lines[start : start + _ROWS_A_PAGE]
            label = name or str(index + 1)
            if name and len(lines) > _ROWS_A_PAGE:
                label = f"{name}, rows {start + 1}-{start + len(part)}"
            yield Page(index, label, "\n".join(part))
            index += 1


def _lines(grid: Iterator[GridRow], first_row_names: bool) -> Iterator[str]:
    rows = list(islice(grid, _READ_AHEAD))
    index, last = 0, len(rows) - LOOK_AHEAD
    names: ColumnNames | None = None
    starts, in_list = True, False
    margin = _margin(rows[:LOOK_AHEAD])
    while index < len(rows):
        row = rows[index]
        index += 1
        if index > last:
            rows, index = [*rows[index:], *islice(grid, _READ_AHEAD)], 0
            last = len(rows) - LOOK_AHEAD
        if names is not None and not (starts or margin) and (line := names.row_of_amounts(row)):
            # Only for speed: most rows. A row with an amount is no heading.
            in_list = False
            yield line
            continue
        if row.is_empty:
            starts = True
            yield ""
            continue
        below = rows[index : index + LOOK_AHEAD]
        heading = find_heading(
            row, below, names, starts=starts, first_row_names=first_row_names, in_list=in_list and not starts
        )
        in_list = heading is None and names is None and len(row.filled) == 2
        if heading is not None:
            names, starts = heading.names, False
            yield _with_notes(names.line, row)
            for level in rows[index : index + heading.rows - 1]:
                yield _with_notes("", level)
            index += heading.rows - 1
            continue
        if _is_title(row, names, starts):
            starts = True
            yield _with_notes(row.texts[row.filled[0]], row)
            continue
        if starts and names is not None and not names.applies_to(row):
            names = None
        starts = False
        if margin and row.filled:
            margin = min(margin, row.filled[0])
        line = _plain(row, margin) if names is None else names.name(row)
        yield _with_notes(line, row) if row.notes else line


def _with_notes(line: str, row: GridRow) -> str:
    if not row.notes:
        return line
    return " ".join(filter(None, [line, *(f"({note})" for note in row.notes)]))


def _is_title(row: GridRow, names: ColumnNames | None, starts: bool) -> bool:
    """Return whether a row is the title of a table or of a part of it."""
    if len(row.filled) != 1:
        return False
    return (names is None and starts) or row.end(row.filled[0]) > row.filled[0] + 1


def _margin(rows: Iterable[GridRow]) -> int:
    """Return the number of empty columns on the left."""
    return min((row.filled[0] for row in rows if row.filled), default=0)


def _plain(row: GridRow, margin: int) -> str:
    cells = [text for column, text in enumerate(row.texts) if row.owners[column] == column]
    return row_text(cells[margin:], cells[margin:])
