"""Reader for Excel workbooks: each sheet is one or more pages, with values as Excel shows them.

Formulas are read as their last saved values; a formula without one is read as its text, and the page says so. Comments
follow their row, and hidden sheets are read with a label that says that they are hidden.
"""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

from openpyxl.cell.rich_text import CellRichText, TextBlock

from sra_pipelines.readers.content import require_small
from sra_pipelines.readers.notation.superscripts import lowered, raised
from sra_pipelines.readers.open_xml import transitional
from sra_pipelines.readers.sheets.number_format import shown_value
from sra_pipelines.readers.sheets.sheet_cells import BOLD_ROWS, Placing, is_bold_heading
from sra_pipelines.readers.sheets.stored_parts import Sheet, has_raised_text, sheets_of
from sra_pipelines.readers.sheets.workbook import open_workbook
from sra_pipelines.readers.tables import Cell, table_pages
from sra_pipelines.values import Page

__all__ = ["read"]

Row = Sequence[Cell | str]


def read(path: Path, on_page: Callable[[int, int], None] | None = None) -> list[Page]:
    """Read the worksheets of a workbook with the titles of charts, whose values are in cells; macros are ignored."""
    require_small(path)
    with transitional(path) as file:
        with zipfile.ZipFile(file) as archive:
            stored = sheets_of(archive)
            rich_text = has_raised_text(archive) or any(sheet.has_raised_text for sheet in stored.values())
        workbook = open_workbook(file, data_only=True, rich_text=rich_text)
        formulas = open_workbook(file, data_only=False) if any(sheet.unsaved for sheet in stored.values()) else None
        try:
            pages: list[Page] = []
            sheets = workbook.worksheets
            for number, sheet in enumerate(sheets, start=1):
                own = stored.get(sheet.title, Sheet())
                rows = _rows(sheet, own, formulas[sheet.title] if formulas is not None and own.unsaved else None)
                label = sheet.title if sheet.sheet_state == "visible" else f"{sheet.title} (hidden sheet)"
                read = list(table_pages([(label, rows)]))
                for page in read:
                    ending = _ending(own) if page is read[-1] else ()
                    text = "\n".join(filter(None, [page.text, *ending]))
                    pages.append(Page(len(pages), page.label, text))
                if on_page is not None:
                    on_page(number, len(sheets))
            if pages:
                notices = _left_out(stored.values(), len(workbook.chartsheets))
                pages[0] = dataclasses.replace(pages[0], notices=tuple(notices))
            return pages
        finally:
            workbook.close()
            if formulas is not None:
                formulas.close()


def _left_out(sheets: Collection[Sheet], chart_sheets: int) -> Iterator[str]:
    """Yield what is not read, and what is read though Excel does not show it."""
    pictures = sum(sheet.pictures for sheet in sheets)
    rows, columns = (sum(sheet.hidden[index] for sheet in sheets) for index in range(2))
    for count, one, many in (
        (pictures, "picture is not read", "pictures are not read"),
        (chart_sheets, "sheet with only a chart is not read", "sheets with only a chart are not read"),
        (rows, "hidden row is read", "hidden rows are read"),
        (columns, "hidden column is read", "hidden columns are read"),
    ):
        if count:
            yield f"{count:,} {one if count == 1 else many}"


def _ending(sheet: Sheet) -> Iterator[str]:
    """Yield the lines after the rows of a sheet."""
    yield from (f"Text box: {text}" for text in sheet.boxes)
    yield from (f"Chart: {title}" for title in sheet.charts if title)
    if count := len(sheet.unsaved):
        are = "1 formula has no saved value and is" if count == 1 else f"{count} formulas have no saved value and are"
        yield f"Note: {are} shown as text. Open the workbook in Excel and save it to get the values."


def _rows(sheet: Any, stored: Sheet, formulas: Any | None) -> Iterator[Row]:
    placing = Placing(stored)
    formats: dict[int, str] = {}
    was_heading = False
    both = zip(sheet.iter_rows(), repeat(()) if formulas is None else formulas.iter_rows(), strict=False)
    for number, (row, with_formulas) in enumerate(both, start=1):
        texts = ["" if (value := cell.value) is None else _shown(value, cell, formats) for cell in row]
        for column, cell in enumerate(with_formulas, start=1):
            if (number, column) in stored.unsaved and column <= len(texts):
                texts[column - 1] = _formula(cell.value)
        was_heading = number <= BOLD_ROWS and not was_heading and _is_bold(row)
        yield placing.cells(number, texts, was_heading)


def _shown(value: Any, cell: Any, formats: dict[int, str]) -> str:
    """Return a value as Excel shows it; `formats` keeps the number format of each style of cells."""
    if not isinstance(value, CellRichText):
        style = cell._style_id
        if style not in formats:
            formats[style] = cell.number_format or ""
        return shown_value(value, formats[style])
    text = ""
    for part in value:
        position = part.font.vertAlign if isinstance(part, TextBlock) else None
        write = {"superscript": raised, "subscript": lowered}.get(position or "")
        text += write(text, part.text) if write is not None else str(part)
    return text


def _formula(value: Any) -> str:
    text = getattr(value, "text", value)  # the formula of an array
    return "" if text is None else str(text)


def _is_bold(row: Sequence[Any]) -> bool:
    return is_bold_heading((cell.value, cell.font.b) for cell in row if cell.value is not None)
