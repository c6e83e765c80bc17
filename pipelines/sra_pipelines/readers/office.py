"""Reader for PowerPoint files and for the Office formats before 2007 (PPTX, PPT, DOC with office-oxide, XLS with xlrd).

office-oxide reads what it can of a damaged file without an error, so the file is checked first: every part of a PPTX
file must be well-formed, and the streams of an older file must be complete.
"""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lxml import etree

from sra_pipelines.readers.content import require_small
from sra_pipelines.readers.notation.superscripts import lowered, raised
from sra_pipelines.readers.open_xml import transitional
from sra_pipelines.readers.tables import Cell, whole_table_lines
from sra_pipelines.values import DocumentError, Heading, Page
from sra_rag.errors import MissingExtraError

__all__ = ["read"]

_KINDS = {".potx": "pptx", ".ppsx": "pptx", ".dot": "doc", ".xlt": "xls", ".pot": "ppt", ".pps": "ppt"}
_NO_NUMBERS = "automatic numbers of lists and clauses are not read from DOC files; save it as DOCX to have them"
_NO_ROWS = "some tables are read cell by cell, without empty cells; save it as PPTX to have their rows"

Element = Mapping[str, Any]


def read(path: Path, on_page: Callable[[int, int], None] | None = None) -> list[Page]:
    """Read a file: one page for each slide, and one or more for each sheet.

    Raises
    ------
    DocumentError
        If the file is damaged or encrypted, or the extra ``office`` is not installed.
    """
    try:
        pages = _pages(path)
    except ModuleNotFoundError as error:
        missing = MissingExtraError("Reading PPTX, PPT, XLS and DOC files", "office", error.name or "office-oxide")
        raise DocumentError(f"{path}: {missing}, or save the file in another format.") from error
    if on_page is not None:
        on_page(len(pages), len(pages))
    return pages


def _pages(path: Path) -> list[Page]:
    suffix = path.suffix.lower()
    kind = _KINDS.get(suffix, suffix.lstrip("."))
    if kind == "pptx":
        return _slides_or_text(path, kind, _checked_package(path), b"")
    from sra_pipelines.readers.old_office.compound import checked_streams
    from sra_pipelines.readers.sheets.xls import xls_pages

    data, main = checked_streams(path, kind)
    return xls_pages(path, data, main) if kind == "xls" else _slides_or_text(path, kind, data, main)


def _slides_or_text(path: Path, kind: Any, data: bytes, main: bytes) -> list[Page]:
    import office_oxide

    from sra_pipelines.readers.old_office.compound import slide_tables
    from sra_pipelines.readers.old_office.old_word import has_automatic_numbers, with_marks

    notices: tuple[str, ...] = ()
    meaning: dict[int, str] = {}
    if kind == "doc":
        notices = (_NO_NUMBERS,) if has_automatic_numbers(data) else ()
        data, meaning = with_marks(data)
    try:
        with office_oxide.Document.from_bytes(data, kind) as document:
            sections = document.to_ir()["sections"]
    except office_oxide.OfficeOxideError as error:
        if "encrypted" in str(error):
            raise DocumentError(
                f"{path}: the file is encrypted. Open it, remove the password and save a copy."
            ) from error
        raise
    if kind == "ppt" and slide_tables(main) > sum(
        element["type"] == "table" for s in sections for element in s["elements"]
    ):
        notices = (_NO_ROWS,)
    pages = _texts(sections, "Slide" if kind != "doc" else "", meaning)
    return [dataclasses.replace(page, notices=notices if page is pages[0] else ()) for page in pages]


def _checked_package(path: Path) -> bytes:
    """Return a PPTX file after all of its XML parts were parsed, which also checks their checksums."""
    require_small(path)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
    with transitional(path) as file:
        with zipfile.ZipFile(file) as archive:
            for part in archive.infolist():
                data = archive.read(part)
                if part.filename.lower().endswith((".xml", ".rels")):
                    etree.fromstring(data, parser)
        file.seek(0)
        return file.read()


def _texts(sections: Sequence[Element], name: str, meaning: Mapping[int, str]) -> list[Page]:
    pages = []
    for index, section in enumerate(sections):
        lines: list[str] = []
        headings: list[Heading] = []
        elements = list(section["elements"])
        for line, is_heading in _lines(elements):
            if is_heading:
                headings.append(Heading(sum(map(len, lines)) + len(lines), " ".join(line.translate(meaning).split())))
            lines.append(line.translate(meaning))
        notes = [line for line, _ in _lines(section.get("speaker_notes") or ())]
        lines += [f"Notes: {notes[0]}", *notes[1:]] if notes else []
        label = f"{index + 1} (hidden slide)" if name and section.get("hidden") else str(index + 1)
        pages.append(Page(index, label, "\n".join(lines), tuple(headings)))
    return pages


def _lines(elements: Sequence[Element]) -> Iterator[tuple[str, bool]]:
    """Yield the lines of elements, and whether they are headings."""
    for element in elements:
        kind = element.get("type")
        if kind == "table":
            yield from ((line, False) for line in whole_table_lines(_cells(element, True)) if line)
        elif kind in ("paragraph", "heading"):
            for line in _text(element).split("\n"):
                if line.strip():
                    yield " ".join(line.split()), kind == "heading"
        elif kind == "list":
            yield from _items(element)
        else:
            yield from _lines(_children(element))


def _items(element: Element) -> Iterator[tuple[str, bool]]:
    number = int(element.get("start") or 1)
    for item in element.get("items") or ():
        mark = f"{number}. " if element.get("style") in ("numbered", "ordered", "decimal") else "- "
        for line, _ in _lines(_children(item)):
            yield f"{mark}{line}", False
            mark = ""
        number += 1
        nested = item.get("nested") or item.get("sublist")
        if isinstance(nested, Mapping):
            yield from _items(nested)


def _children(element: Element) -> list[Element]:
    children = [child for key in ("content", "elements", "items", "children") for child in element.get(key) or ()]
    return [child for child in children if isinstance(child, Mapping)]


def _cells(table: Element, may_have_headings: bool) -> list[list[Cell]]:
    rows = []
    for row in table.get("rows") or ():
        header = may_have_headings and bool(row.get("repeat_as_header"))
        rows.append(
            [
                Cell(
                    " ".join(line for line, _ in _lines(_children(cell))),
                    max(1, int(cell.get("row_span") or 1)),
                    max(1, int(cell.get("col_span") or 1)),
                    header=header,
                )
                for cell in row.get("cells") or ()
            ]
        )
    return rows


def _text(element: Element) -> str:
    """Return the text of a paragraph."""
    parts: list[str] = []
    for child in element.get("content") or ():
        kind = child.get("type")
        before = "".join(parts[-2:])[-20:]
        if kind == "text":
            text = str(child.get("text") or "")
            position = str(child.get("vertical_align") or child.get("vert_align") or "")
            if child.get("superscript") or position == "superscript":
                text = raised(before, text)
            elif child.get("subscript") or position == "subscript":
                text = lowered(before, text)
            parts.append(text)
        elif kind in ("line_break", "break"):
            parts.append("\n")
        else:
            parts.append(_text(child))
    return "".join(parts)
