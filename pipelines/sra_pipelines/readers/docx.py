"""Reader for Word files: text, tables row by row, headings by style, and the page breaks that Word saved last.

The XML is read directly, because python-docx skips content controls and tracked insertions. Numbers of paragraphs
precede their text, and notes and comments follow the paragraph or table that refers to them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import docx
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import parse_xml
from docx.oxml.ns import qn

from sra_pipelines.readers.content import require_small
from sra_pipelines.readers.notation.charts import CHART, chart_lines, diagram_lines
from sra_pipelines.readers.open_xml import transitional
from sra_pipelines.readers.tables import Cell, whole_table_lines
from sra_pipelines.readers.word.notes import Notes
from sra_pipelines.readers.word.numbering import BULLET, Numbering
from sra_pipelines.readers.word.runs import TEXT_BOX, Runs, text_boxes
from sra_pipelines.readers.word.xml_values import BREAK, NOTE_MARK, is_on, is_passed_over, number_of, value_of
from sra_pipelines.values import Heading, Page

__all__ = ["read"]

_P, _TBL, _TR, _TC = (qn(f"w:{name}") for name in ("p", "tbl", "tr", "tc"))
_TRPR, _TCPR, _MERGED, _SECTION_END = qn("w:trPr"), qn("w:tcPr"), qn("w:vMerge"), f"{qn('w:pPr')}/{qn('w:sectPr')}"
_CONTROLS = (qn("w:sdt"), qn("w:sdtContent"), qn("w:customXml"))
_END_MARK, _DELETED_ENDS = f"{qn('w:pPr')}/{qn('w:rPr')}", (qn("w:del"), qn("w:moveFrom"))
_DELETED_ROW = f"{qn('w:trPr')}/{qn('w:del')}"
_PICTURES = (qn("a:blip"), "{urn:schemas-microsoft-com:vml}imagedata")
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds"
_DRAWINGS = {RELATIONSHIP_TYPE.CHART: chart_lines, RELATIONSHIP_TYPE.DIAGRAM_DATA: diagram_lines}
_MOST_COLUMNS = 1_000
_HEADING_STYLE = re.compile(r"title|heading \d", re.IGNORECASE)


def read(path: Path, on_page: Callable[[int, int], None] | None = None) -> list[Page]:
    """Read a Word file, without headers and footers."""
    require_small(path)
    with transitional(path) as file:
        document = docx.Document(file)
    heading_styles = {s.style_id for s in document.styles if s.name and _HEADING_STYLE.match(s.name)}
    numbering = Numbering(_part(document, RELATIONSHIP_TYPE.NUMBERING), document.styles.element)
    runs = Runs(document.styles.element)
    kinds = {
        "footnote": RELATIONSHIP_TYPE.FOOTNOTES,
        "endnote": RELATIONSHIP_TYPE.ENDNOTES,
        "comment": RELATIONSHIP_TYPE.COMMENTS,
    }
    parts = {kind: part for kind, of in kinds.items() if (part := _part(document, of)) is not None}
    notes = Notes(document.element.body, parts, document.settings.element, runs)
    pages: list[Page] = []
    lines: list[str] = []
    headings: list[Heading] = []

    def end_page() -> None:
        if lines or headings:
            pages.append(Page(len(pages), str(len(pages) + 1), "\n".join(lines), tuple(headings)))
            lines.clear()
            headings.clear()

    drawings = {
        identity: _DRAWINGS[relationship.reltype](parse_xml(relationship.target_part.blob))
        for identity, relationship in document.part.rels.items()
        if relationship.reltype in _DRAWINGS and not relationship.is_external
    }
    for line, style in _Body(numbering, runs, drawings).lines(document.element.body):
        for number, part in enumerate(line.split(BREAK)):
            if number:
                end_page()
            text, below = notes.take(part)
            text = text.strip()
            if text:
                if style in heading_styles:
                    headings.append(Heading(sum(map(len, lines)) + len(lines), " ".join(text.split())))
                lines.append(text)
            lines += below
    end_page()
    if pages and (count := _pictures(document.element.body)):
        notice = "1 picture is not read" if count == 1 else f"{count:,} pictures are not read"
        pages[0] = dataclasses.replace(pages[0], notices=(notice,))
    if on_page is not None:
        on_page(len(pages), len(pages))
    return pages


def _pictures(body: Any) -> int:
    """Return the number of pictures that are shown, without the copies for old applications."""
    pictures = (picture for picture in body.iter(*_PICTURES) if not any(map(is_passed_over, picture.iterancestors())))
    return sum(1 for _ in pictures)


def _part(document: Any, kind: str) -> Any | None:
    """Return the root of a part of the document, parsed here because python-docx does not parse notes."""
    for relationship in document.part.rels.values():
        if relationship.reltype == kind and not relationship.is_external:
            return parse_xml(relationship.target_part.blob)
    return None


class _Body:
    """Reads the paragraphs and tables of a document.

    Parameters
    ----------
    numbering
        Counts numbered paragraphs.
    runs
        Reads the text of paragraphs.
    drawings
        The lines of each chart and diagram, by the name that refers to it.
    """

    def __init__(self, numbering: Numbering, runs: Runs, drawings: Mapping[str, Sequence[str]]) -> None:
        self._drawings = drawings
        self._numbering = numbering
        self._runs = runs

    def lines(self, parent: Any) -> Iterator[tuple[str, str | None]]:
        """Yield paragraphs with their style, and rows, in order, with form feeds for page breaks and marks for notes.

        The paragraphs of a text box follow the paragraph that it is anchored to.
        """
        kept = ""  # text of paragraphs whose end was deleted; it belongs to the next paragraph
        for child in parent.iterchildren():
            if child.tag == _P:
                text = kept + self._runs.text(child)
                if not text and self._runs.is_hidden(child):
                    continue
                boxes = list(text_boxes(child)) if next(child.iter(TEXT_BOX), None) is not None else []
                if not boxes and _has_deleted_end(child):
                    kept = text
                    continue
                kept = ""
                yield _numbered(child, text, self._numbering), value_of(child, "w:pPr/w:pStyle")
                for box in boxes:
                    yield from self.lines(box)
                for drawing in child.iter(CHART, _DIAGRAM) if self._drawings else ():
                    name = drawing.get(qn("r:id")) or drawing.get(qn("r:dm")) or ""
                    yield from ((line, None) for line in self._drawings.get(name, ()))
            elif not is_passed_over(child) and len(child):
                if kept:
                    yield kept, None
                    kept = ""
                if child.tag == _TBL:
                    yield from ((row, None) for row in self._rows(child))
                else:  # a content control or another container of paragraphs
                    yield from self.lines(child)
        if kept:
            yield kept, None

    def _rows(self, table: Any) -> Iterator[str]:
        """Yield rows as lines, and the marks of their notes after the last row of a page or of the table."""
        rows = [list(self._cells(row)) for row in _rows_of(table)]
        texts = whole_table_lines([[_without_marks(cell) for cell in cells] for cells in rows])
        marks = ""
        for cells, text in zip(rows, texts, strict=True):
            begins_page = any(BREAK in cell.text for cell in cells)
            if begins_page:
                yield marks
                marks = ""
            marks += "".join(mark[0] for cell in cells for mark in NOTE_MARK.finditer(cell.text))
            yield (BREAK if begins_page else "") + text
        yield marks

    def _cells(self, row: Any) -> Iterator[Cell]:
        properties = row.find(_TRPR)
        is_heading = is_on(properties, "w:tblHeader")
        before = number_of(properties, "w:gridBefore") or 0  # columns that the row does not have
        yield from [Cell("")] * (before if 0 < before <= _MOST_COLUMNS else 0)
        for cell in _cells_of(row):
            properties = cell.find(_TCPR)
            width = max(1, min(number_of(properties, "w:gridSpan") or 1, _MOST_COLUMNS))
            if self._is_covered(cell, properties):
                yield Cell("", columns=width, above=True)
            else:
                yield Cell(" ".join(line for line, _ in self.lines(cell)), columns=width, header=is_heading)

    def _is_covered(self, cell: Any, properties: Any | None) -> bool:
        """Return whether a cell is merged into the cell above it, so that its paragraphs are not shown or numbered."""
        merged = None if properties is None else properties.find(_MERGED)
        return merged is not None and merged.get(qn("w:val")) != "restart" and not self._runs.text(cell).strip()


def _has_deleted_end(paragraph: Any) -> bool:
    mark = paragraph.find(_END_MARK)
    return mark is not None and next(mark.iterchildren(*_DELETED_ENDS), None) is not None


def _rows_of(table: Any) -> Iterator[Any]:
    """Yield the rows of a table that are not deleted; those of a nested table are part of the text of their cell."""
    rows = (row for row in table.iter(_TR) if next(row.iterancestors(_TBL)) is table)
    return (row for row in rows if row.find(_DELETED_ROW) is None)


def _cells_of(row: Any) -> Iterator[Any]:
    """Yield the cells of a row, including those in content controls."""
    for child in row.iterchildren():
        if child.tag == _TC:
            yield child
        elif child.tag in _CONTROLS:
            yield from _cells_of(child)


def _without_marks(cell: Cell) -> Cell:
    if BREAK not in cell.text and "\x02" not in cell.text:
        return cell
    return dataclasses.replace(cell, text=NOTE_MARK.sub("", cell.text).replace(BREAK, " "))


def _numbered(paragraph: Any, text: str, numbering: Numbering) -> str:
    """Prepend the number of a paragraph to its text, on the page on which the text starts."""
    body = text.lstrip(BREAK)
    empty = not body.strip()
    if empty and paragraph.find(_SECTION_END) is not None:  # Word does not number a paragraph that only ends a section
        return text
    number = numbering.number(paragraph)
    if not number or (empty and number == BULLET):
        return text
    breaks = BREAK * (len(text) - len(body))
    return breaks + number + (body.lstrip(" \t") if number.endswith(" ") else body)
