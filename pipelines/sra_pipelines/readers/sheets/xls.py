"""Workbooks in the format before 2007 (XLS), with xlrd: values as Excel shows them, comments and merged cells."""

from __future__ import annotations

import dataclasses
import io
import struct
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import xlrd
from openpyxl.styles.numbers import is_date_format, is_timedelta_format
from openpyxl.utils.datetime import MAC_EPOCH, WINDOWS_EPOCH, from_excel

from sra_pipelines.readers.notation.superscripts import lowered, raised
from sra_pipelines.readers.sheets.number_format import shown_value
from sra_pipelines.readers.sheets.sheet_cells import BOLD_ROWS, Placing, Row, is_bold_heading
from sra_pipelines.readers.sheets.stored_parts import Sheet
from sra_pipelines.readers.tables import table_pages
from sra_pipelines.values import DocumentError, Page

__all__ = ["xls_pages"]

_FORMULA, _OBJECT, _TEXT_OBJECT = 0x0006, 0x005D, 0x01B6  # kinds of records
_EMPTY_RESULT = b"\3"  # of a formula, in the first of eight bytes whose last two are 255
_CHART, _NOTE = b"\5\0", b"\x19\0"  # kinds of drawn objects
_NO_VALUES = (
    "Note: no formula of this workbook has a saved value, so none is shown. Open the workbook in Excel and save it to "
    "get the values."
)


def xls_pages(path: Path, data: bytes, records: bytes) -> list[Page]:
    """Return the worksheets of a workbook as pages.

    Parameters
    ----------
    path
        The file, for error messages.
    data
        The file.
    records
        Its stream of records.

    Raises
    ------
    DocumentError
        If it is encrypted.
    """
    try:
        return _pages(data, records)
    except xlrd.XLRDError as error:
        if "encrypted" in str(error):
            raise DocumentError(
                f"{path}: the file is encrypted. Open it, remove the password and save a copy."
            ) from error
        raise


def _pages(data: bytes, records: bytes) -> list[Page]:
    with xlrd.open_workbook(file_contents=data, formatting_info=True, logfile=io.StringIO(), on_demand=True) as book:
        pages: list[Page] = []
        for number in range(book.nsheets):
            sheet = book.sheet_by_index(number)
            label = f"{sheet.name} (hidden sheet)" if sheet.visibility else sheet.name
            for page in table_pages([(label, _rows(book, sheet))]):
                pages.append(Page(len(pages), page.label, page.text))
            book.unload_sheet(number)
    if pages and _lacks_values(records):
        pages[-1] = dataclasses.replace(pages[-1], text=f"{pages[-1].text}\n{_NO_VALUES}".strip())
    if pages:
        pages[0] = dataclasses.replace(pages[0], notices=_left_out(records))
    return pages


def _rows(book: Any, sheet: Any) -> Iterator[Row]:
    merged = {(top + 1, left + 1): (bottom - top, right - left) for top, bottom, left, right in sheet.merged_cells}
    comments = {
        (row + 1, column + 1): " ".join(note.text.split()) for (row, column), note in sheet.cell_note_map.items()
    }
    placing = Placing(Sheet(merged, comments={place: text for place, text in comments.items() if text}))
    was_heading = False
    for row in range(sheet.nrows):
        cells = sheet.row(row)
        texts = [_shown(book, sheet, row, column, cell) for column, cell in enumerate(cells)]
        filled = ((cell.value, _font(book, cell).bold) for cell, text in zip(cells, texts, strict=True) if text)
        was_heading = row < BOLD_ROWS and not was_heading and is_bold_heading(filled)
        yield placing.cells(row + 1, texts, was_heading)


def _font(book: Any, cell: Any) -> Any:
    return book.font_list[book.xf_list[cell.xf_index].font_index]


def _shown(book: Any, sheet: Any, row: int, column: int, cell: Any) -> str:
    if cell.ctype in (xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK):
        return ""
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return str(xlrd.error_text_from_code.get(cell.value, "#ERROR!"))
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return shown_value(bool(cell.value), "General")
    number_format = book.format_map[book.xf_list[cell.xf_index].format_key].format_str or "General"
    if cell.ctype == xlrd.XL_CELL_TEXT:
        runs = sheet.rich_text_runlist_map.get((row, column))
        text = _with_scripts(book, cell, runs) if runs else cell.value
        return shown_value(text, number_format)
    value = int(cell.value) if cell.value.is_integer() and abs(cell.value) < 1e15 else cell.value
    if is_date_format(number_format):
        epoch = MAC_EPOCH if book.datemode else WINDOWS_EPOCH
        try:
            return shown_value(from_excel(value, epoch, timedelta=is_timedelta_format(number_format)), number_format)
        except (OverflowError, ValueError):  # outside the range of dates
            return shown_value(value, "General")
    return shown_value(value, number_format)


def _with_scripts(book: Any, cell: Any, runs: list[tuple[int, int]]) -> str:
    """Return a text with several fonts, with its superscripts and subscripts as such."""
    starts = [(0, book.xf_list[cell.xf_index].font_index), *runs, (len(cell.value), 0)]
    text = ""
    for (start, font), (end, _) in pairwise(starts):
        write = {1: raised, 2: lowered}.get(book.font_list[font].escapement)
        part = cell.value[start:end]
        text += write(text, part) if write is not None else part
    return text


def _lacks_values(records: bytes) -> bool:
    """Return whether a workbook has formulas, and the saved values of all are empty texts, as of one never computed."""
    results = [content[6:14] for kind, content in _each(records) if kind == _FORMULA]
    return bool(results) and all(result[:1] == _EMPTY_RESULT and result[6:] == b"\xff\xff" for result in results)


def _left_out(records: bytes) -> tuple[str, ...]:
    """Return a notice of the text boxes and charts that are drawn on the sheets, which xlrd does not read."""
    boxes = charts = 0
    drawn_kind = b""
    for kind, content in _each(records):
        if kind == _OBJECT:
            drawn_kind = content[4:6]
            charts += drawn_kind == _CHART
        elif kind == _TEXT_OBJECT and drawn_kind != _NOTE:
            boxes += any(content[10:12])  # its number of characters
    counts = (boxes, "text box", "text boxes"), (charts, "chart", "charts")
    drawn = [f"{count} {name if count == 1 else names}" for count, name, names in counts if count]
    return (f"{' and '.join(drawn)} not read; save it as XLSX to have their texts",) if drawn else ()


def _each(records: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place + 4 <= len(records):
        kind, length = struct.unpack_from("<HH", records, place)
        yield kind, records[place + 4 : place + 4 + length]
        place += 4 + length
