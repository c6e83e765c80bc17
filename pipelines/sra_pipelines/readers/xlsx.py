"""Reader for Excel workbooks: each sheet is one or more pages, with values as Excel shows them.

Formulas are read as their last saved values; a formula without one is read as its text, and the page says so. Comments
follow their row, and hidden sheets are read with a label that says that they are hidden.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.utils import get_column_letter

from sra_pipelines.readers.content import require_small
from sra_pipelines.readers.open_xml import transitional
from sra_pipelines.readers.sheets.number_format import shown_value
from sra_pipelines.readers.sheets.stored_parts import Sheet, sheets_of
from sra_pipelines.readers.tables import Cell, table_pages
from sra_pipelines.values import Page

__all__ = ["read"]

_BOLD_ROWS = 200  # rows at the top of a sheet in which bold texts mark column headings

Row = Sequence[Cell | str]


def read(path: Path, on_page: Callable[[int, int], None] | None = None) -> list[Page]:
    """Read the worksheets of a workbook; charts and macros are ignored."""
    require_small(path)
    with transitional(path) as file:
        with zipfile.ZipFile(file) as archive:
            stored = sheets_of(archive)
        workbook = _open(file, data_only=True)
        formulas = _open(file, data_only=False) if any(sheet.unsaved for sheet in stored.values()) else None
        try:
            pages: list[Page] = []
            sheets = workbook.worksheets
            for number, sheet in enumerate(sheets, start=1):
                own = stored.get(sheet.title, Sheet())
                rows = _rows(sheet, own, formulas[sheet.title] if formulas is not None and own.unsaved else None)
                label = sheet.title if sheet.sheet_state == "visible" else f"{sheet.title} (hidden sheet)"
                read = list(table_pages([(label, rows)]))
                for page in read:
                    ends = page is read[-1] and own.unsaved
                    text = f"{page.text}\n{_unsaved(own)}" if ends else page.text
                    pages.append(Page(len(pages), page.label, text))
                if on_page is not None:
                    on_page(number, len(sheets))
            return pages
        finally:
            workbook.close()
            if formulas is not None:
                formulas.close()


def _open(file: Any, *, data_only: bool) -> Any:
    file.seek(0)
    return openpyxl.load_workbook(file, read_only=True, data_only=data_only, keep_links=False)


def _unsaved(sheet: Sheet) -> str:
    count = len(sheet.unsaved)
    formulas = "1 formula has no saved value and is" if count == 1 else f"{count} formulas have no saved value and are"
    return f"Note: {formulas} shown as text. Open the workbook in Excel and save it to get the values."


def _rows(sheet: Any, stored: Sheet, formulas: Any | None) -> Iterator[Row]:
    sheet.reset_dimensions()  # the dimensions stated in a file may be wrong
    if formulas is not None:
        formulas.reset_dimensions()
    placing = _Placing(stored)
    was_heading = False
    both = zip(sheet.iter_rows(), repeat(()) if formulas is None else formulas.iter_rows(), strict=False)
    for number, (row, with_formulas) in enumerate(both, start=1):
        texts = [shown_value(cell.value, cell.number_format or "") if cell.value is not None else "" for cell in row]
        for column, cell in enumerate(with_formulas, start=1):
            if (number, column) in stored.unsaved and column <= len(texts) and not texts[column - 1]:
                texts[column - 1] = _formula(cell.value)
        was_heading = number <= _BOLD_ROWS and not was_heading and _is_bold(row)
        yield placing.cells(number, texts, was_heading)


def _formula(value: Any) -> str:
    text = getattr(value, "text", value)  # the formula of an array
    return "" if text is None else str(text)


def _is_bold(row: Sequence[Any]) -> bool:
    """Return whether all of at least two filled cells are bold texts, or bold years."""
    filled = [cell for cell in row if cell.value is not None]
    texts = all(isinstance(cell.value, str) or cell.value in range(1900, 2100) for cell in filled)
    return len(filled) > 1 and texts and all(cell.font.b for cell in filled)


class _Placing:
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
