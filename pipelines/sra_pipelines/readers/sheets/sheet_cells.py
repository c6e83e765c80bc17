"""Cells of a worksheet with what the workbook stores beside them: merged cells, comments, and bold headings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from openpyxl.utils import get_column_letter

from sra_pipelines.readers.grid.cells import Cell
from sra_pipelines.readers.sheets.stored_parts import Sheet

__all__ = ["BOLD_ROWS", "Placing", "is_bold_heading"]

BOLD_ROWS = 200  # rows at the top of a sheet in which bold texts mark column headings

Row = Sequence[Cell | str]


def is_bold_heading(cells: Iterable[tuple[object, object]]) -> bool:
    """Return whether all of at least two filled cells are bold texts, or bold years.

    Parameters
    ----------
    cells
        The value of each filled cell of a row, and whether it is bold.
    """
    count = 0
    for value, bold in cells:
        if not bold or not (isinstance(value, str) or value in range(1900, 2100)):
            return False
        count += 1
    return count > 1


class Placing:
    """Places the cells of a sheet row by row, with its merged cells and comments.

    Parameters
    ----------
    stored
        The merged cells and comments.
    """

    def __init__(self, stored: Sheet) -> None:
        self._starts: dict[int, dict[int, tuple[int, int]]] = {}
        for (row, column), size in stored.merged.items():
            self._starts.setdefault(row, {})[column] = size
        self._comments: dict[int, dict[int, str]] = {}
        for (row, column), text in stored.comments.items():
            self._comments.setdefault(row, {})[column] = text
        self._open: dict[int, tuple[int, int]] = {}  # first column: last row and columns of a cell from above

    def cells(self, number: int, texts: Sequence[str], is_heading: bool) -> Row:
        """Return the cells of a row.

        Parameters
        ----------
        number
            One-based number of the row.
        texts
            One text for each column.
        is_heading
            Whether its texts are marked as column headings.
        """
        starts, comments = self._starts.get(number, {}), self._comments.get(number, {})
        self._open = {column: span for column, span in self._open.items() if span[0] >= number}
        if not (starts or comments or self._open or is_heading):
            return texts
        cells: list[Cell] = []
        column = 1
        while column <= len(texts):
            if column in self._open:
                column += self._open[column][1]
                continue
            rows, columns = starts.get(column, (1, 1))
            if rows > 1:
                self._open[column] = (number + rows - 1, columns)
            note = f"comment on {get_column_letter(column)}{number}: {comments[column]}" if column in comments else ""
            cells.append(Cell(texts[column - 1], rows, columns, header=is_heading, note=note))
            column += columns
        return cells
