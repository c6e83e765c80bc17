"""Reader for OpenDocument texts and spreadsheets (ODT, ODS), as LibreOffice writes them.

The file stores the text that each cell of a spreadsheet shows, so number formats need no interpretation.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

from lxml import etree

from sra_pipelines.readers.content import require_small
from sra_pipelines.readers.opendocument.styles import Styles
from sra_pipelines.readers.opendocument.text_lines import Lines, text_of
from sra_pipelines.readers.tables import Cell, table_pages
from sra_pipelines.values import DocumentError, Page

__all__ = ["read"]

_MOST_REPEATED = 10_000  # equal rows or cells with text; a manipulated file states more
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_TEXT_P = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}p"
_VALUES = ("value", "date-value", "time-value", "boolean-value", "string-value")


def read(path: Path, on_page: Callable[[int, int], None] | None = None) -> list[Page]:
    """Read a text or a spreadsheet.

    Raises
    ------
    DocumentError
        If the file is encrypted.
    """
    require_small(path)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if "META-INF/manifest.xml" in names and b"encryption-data" in archive.read("META-INF/manifest.xml"):
            raise DocumentError(f"{path}: the file is encrypted. Open it, remove the password and save a copy.")
        content = _parse(archive, "content.xml")
        styles = Styles(content, _parse(archive, "styles.xml") if "styles.xml" in names else None)
    body = next(content.iter(f"{_OFFICE}spreadsheet", f"{_OFFICE}text"))
    pages = _sheets(body, styles) if body.tag == f"{_OFFICE}spreadsheet" else Lines(styles).pages(body)
    if on_page is not None:
        on_page(len(pages), len(pages))
    return pages


def _parse(archive: zipfile.ZipFile, part: str) -> Any:
    with archive.open(part) as file:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
        return etree.parse(file, parser).getroot()


def _sheets(body: Any, styles: Styles) -> list[Page]:
    pages: list[Page] = []
    for table in body.iterchildren(f"{_TABLE}table"):
        name = table.get(f"{_TABLE}name") or str(len(pages) + 1)
        label = f"{name} (hidden sheet)" if styles.hides(table.get(f"{_TABLE}style-name")) else name
        for page in table_pages([(label, _rows(table, styles))]):
            pages.append(Page(len(pages), page.label, page.text))
    return pages


def _rows(table: Any, styles: Styles) -> Iterator[list[Cell]]:
    for row in table.iter(f"{_TABLE}table-row"):
        cells = list(_cells(row, styles))
        while cells and not (cells[-1].text or cells[-1].note) and cells[-1].rows == 1:
            cells.pop()
        count = _count(row, "number-rows-repeated")
        yield from repeat(cells, _few(count) if cells else 1)


def _cells(row: Any, styles: Styles) -> Iterator[Cell]:
    for cell in row.iterchildren(f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"):
        count = min(_count(cell, "number-columns-repeated"), 16_384)
        if cell.tag.endswith("}covered-table-cell"):
            continue
        notes = [" ".join(text_of(p, styles) for p in note.iter(_TEXT_P)) for note in cell.iter(f"{_OFFICE}annotation")]
        text = " ".join(text_of(part, styles) for part in cell.iterchildren(_TEXT_P)) or _value(cell)
        rows, columns = _count(cell, "number-rows-spanned"), _count(cell, "number-columns-spanned")
        note = f"comment: {' '.join(notes)}" if any(notes) else ""
        yield from repeat(Cell(text, rows, columns, note=note), _few(count) if text else count)


def _value(cell: Any) -> str:
    """Return the value of a cell without a text, or its formula if it has no value."""
    formula = cell.get(f"{_TABLE}formula", "").removeprefix("of:")
    return next((cell.get(f"{_OFFICE}{name}") for name in _VALUES if cell.get(f"{_OFFICE}{name}")), formula)


def _few(count: int) -> int:
    if count > _MOST_REPEATED:
        raise ValueError(f"{count} equal rows or cells with text")
    return count


def _count(element: Any, name: str) -> int:
    text = element.get(f"{_TABLE}{name}", "1")
    return max(1, int(text)) if text.isdecimal() and len(text) <= 7 else 1
