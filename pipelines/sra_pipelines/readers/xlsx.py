"""Reader for Excel workbooks: each sheet is one or more pages; formulas are read as their last saved values."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openpyxl

from sra_pipelines.readers.content import require_small
from sra_pipelines.readers.tables import table_pages
from sra_pipelines.values import Page

__all__ = ["read"]


def read(path: Path, on_page: Callable[[int, int], None] | None = None) -> list[Page]:
    """Read the worksheets of a workbook; charts and macros are ignored."""
    require_small(path)
    workbook = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
    try:
        pages: list[Page] = []
        sheets = workbook.worksheets
        for number, sheet in enumerate(sheets, start=1):
            for page in table_pages([(sheet.title, _rows(sheet))]):
                pages.append(Page(len(pages), page.label, page.text))
            if on_page is not None:
                on_page(number, len(sheets))
        return pages
    finally:
        workbook.close()


def _rows(sheet: Any) -> Iterator[list[str]]:
    sheet.reset_dimensions()  # the dimensions stated in a file may be wrong
    for row in sheet.iter_rows():
        yield [_shown(cell.value, cell.number_format or "") if cell.value is not None else "" for cell in row]


def _shown(value: Any, number_format: str) -> str:
    """Return a value as text, approximately as Excel displays it."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime.datetime):
        return str(value.date()) if value.time() == datetime.time() else value.isoformat(" ", "minutes")
    if isinstance(value, int | float):
        if "%" in number_format:
            return f"{value * 100:.10g}%"
        if isinstance(value, float) and not value.is_integer():
            return (f"{value:,.6f}" if "," in number_format else f"{value:.6f}").rstrip("0").rstrip(".") or "0"
        return f"{int(value):,}" if "," in number_format else str(int(value))
    return str(value)
