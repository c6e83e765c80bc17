"""Word files through python-docx: text, tables row by row, headings by style, pages where Word last broke them.

The XML is walked itself, for python-docx passes over what stands in content controls and tracked insertions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docx
from docx.oxml.ns import qn

from sra_pipelines.documents import Heading, Page
from sra_pipelines.readers.content import require_small
from sra_pipelines.readers.rows import join_cells

__all__ = ["read"]

_P, _TBL, _TR, _TC = (qn(f"w:{name}") for name in ("p", "tbl", "tr", "tc"))
_TEXT, _TAB, _BR, _CR, _HYPHEN = (qn(f"w:{name}") for name in ("t", "tab", "br", "cr", "noBreakHyphen"))
_RENDERED_BREAK, _TYPE, _VALUE = qn("w:lastRenderedPageBreak"), qn("w:type"), qn("w:val")
# Tab stops, deleted and moved text, and the second rendering of a drawing for old programs.
_PASSED_OVER = {
    qn("w:pPr"),
    qn("w:rPr"),
    qn("w:del"),
    qn("w:moveFrom"),
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
}
_BREAK = "\f"
_HEADING_STYLE = re.compile(r"title|heading \d", re.IGNORECASE)


def read(path: Path, on_page: Callable[[int, int], None] | None = None) -> list[Page]:
    """Read a Word file; headers, footers, footnotes and automatic numbers of paragraphs are not in it."""
    require_small(path)
    document = docx.Document(str(path))
    heading_styles = {s.style_id for s in document.styles if s.name and _HEADING_STYLE.match(s.name)}
    pages: list[Page] = []
    lines: list[str] = []
    headings: list[Heading] = []

    def end_page() -> None:
        if lines or headings:
            pages.append(Page(len(pages), str(len(pages) + 1), "\n".join(lines), tuple(headings)))
            lines.clear()
            headings.clear()

    for line, is_heading in _lines(document.element.body, heading_styles):
        first, *others = line.split(_BREAK)
        for number, part in enumerate([first, *others]):
            if number:
                end_page()
            text = part.strip()
            if text:
                if is_heading:
                    headings.append(Heading(sum(map(len, lines)) + len(lines), " ".join(text.split())))
                lines.append(text)
    end_page()
    if on_page is not None:
        on_page(len(pages), len(pages))
    return pages


def _lines(parent: Any, heading_styles: set[str]) -> Iterator[tuple[str, bool]]:
    """Yield paragraphs and rows in order, with whether each is a heading; page breaks are form feeds."""
    for child in parent.iterchildren():
        if child.tag == _P:
            yield _text(child), _style(child) in heading_styles
        elif child.tag == _TBL:
            for row in child.iter(_TR):
                if next(row.iterancestors(_TBL)) is child:  # the rows of a table in a cell are in that cell's text
                    cells = [" ".join(line for line, _ in _lines(cell, set())) for cell in row.iterchildren(_TC)]
                    line = join_cells(cell.replace(_BREAK, " ") for cell in cells)
                    yield (_BREAK if any(_BREAK in cell for cell in cells) else "") + line, False
        elif child.tag not in _PASSED_OVER:  # a content control, or whatever else holds paragraphs
            yield from _lines(child, heading_styles)


def _text(element: Any) -> str:
    parts: list[str] = []
    for child in element.iterchildren():
        if child.tag in _PASSED_OVER:
            continue
        if child.tag == _TEXT:
            parts.append(child.text or "")
        elif child.tag == _TAB:
            parts.append("\t")
        elif child.tag == _RENDERED_BREAK or (child.tag == _BR and child.get(_TYPE) == "page"):
            parts.append(_BREAK)
        elif child.tag in (_BR, _CR):
            parts.append("\n")
        elif child.tag == _HYPHEN:
            parts.append("-")
        else:
            parts.append(_text(child))
    return "".join(parts)


def _style(paragraph: Any) -> str | None:
    found = paragraph.find(f"{qn('w:pPr')}/{qn('w:pStyle')}")
    return None if found is None else found.get(_VALUE)
