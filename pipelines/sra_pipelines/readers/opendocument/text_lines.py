"""The text of an OpenDocument text: paragraphs with their numbers, notes after their paragraph, tables as rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sra_pipelines.readers.notation.superscripts import lowered, raised, struck
from sra_pipelines.readers.opendocument.styles import ListLevel, Styles
from sra_pipelines.readers.tables import Cell, whole_table_lines
from sra_pipelines.readers.word.number_formats import format_number
from sra_pipelines.values import Heading, Page

__all__ = ["Lines", "text_of"]

_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_DRAW = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_P, _H, _LIST, _NOTE = (f"{_TEXT}{name}" for name in ("p", "h", "list", "note"))
_BOX = f"{_DRAW}text-box"
_COMMENT = f"{_OFFICE}annotation"
_PAGE_BREAK = f"{_TEXT}soft-page-break"
# Deleted text, and comments, notes and boxes, which have lines of their own, and indexes of sequences.
_LEFT_OUT = {
    f"{_TEXT}tracked-changes",
    _COMMENT,
    f"{_TEXT}sequence-decls",
    f"{_TEXT}variable-decls",
    f"{_OFFICE}forms",
    _NOTE,
    _BOX,
}
_DEEPEST = 100


def text_of(element: Any, styles: Styles) -> str:
    """Return the text of a paragraph, without its notes and text boxes."""
    parts: list[str] = []
    _collect(element, styles, parts, 0)
    return "".join(parts)


def _collect(element: Any, styles: Styles, parts: list[str], depth: int) -> None:
    if depth > _DEEPEST:
        raise ValueError(f"elements are nested more than {_DEEPEST} deep")
    parts.append(" ".join((element.text or "").split("\n")))
    for child in element:
        tag = child.tag
        if tag == f"{_TEXT}s":
            count = child.get(f"{_TEXT}c", "1")
            parts.append(" " * (min(int(count), 1000) if count.isdecimal() else 1))
        elif tag == f"{_TEXT}tab":
            parts.append("\t")
        elif tag == f"{_TEXT}line-break":
            parts.append("\n")
        elif isinstance(tag, str) and tag not in _LEFT_OUT:
            style = child.get(f"{_TEXT}style-name")
            if not styles.hides(style):
                inner: list[str] = []
                _collect(child, styles, inner, depth + 1)
                text = "".join(inner)
                if tag == f"{_TEXT}ruby-text" and text:
                    text = f"({text})"
                script = styles.script(style) if tag == f"{_TEXT}span" else ""
                before = "".join(parts[-3:])[-20:]
                parts.append(
                    {"super": raised, "sub": lowered, "struck": struck}[script](before, text) if script else text
                )
        parts.append(" ".join((child.tail or "").split("\n")))


class Lines:
    """Collects the pages of a text.

    Parameters
    ----------
    styles
        The styles of the file.
    """

    def __init__(self, styles: Styles) -> None:
        self._styles = styles
        self._pages: list[Page] = []
        self._lines: list[str] = []
        self._headings: list[Heading] = []
        self._counts: dict[str, list[int]] = {}
        self._outline: list[int] = []

    def pages(self, body: Any) -> list[Page]:
        """Return the pages of the body of a text."""
        self._read(body)
        self._end_page()
        return self._pages

    def _read(self, parent: Any) -> None:
        for child in parent:
            if child.tag == _PAGE_BREAK:
                self._end_page()
            elif child.tag in (_P, _H):
                self._paragraph(child, "")
            elif child.tag == _LIST:
                self._list(child, child.get(f"{_TEXT}style-name"), 1)
            elif child.tag == f"{_TABLE}table":
                self._add_all(self._table(child))
            elif isinstance(child.tag, str) and child.tag not in _LEFT_OUT and not _is_hidden(child):
                self._read(child)

    def _paragraph(self, paragraph: Any, mark: str) -> None:
        if self._styles.breaks_before(paragraph.get(f"{_TEXT}style-name")):
            self._end_page()
        if self._styles.hides(paragraph.get(f"{_TEXT}style-name")):
            return
        number = self._outline_number(paragraph) if paragraph.tag == _H and not mark else mark
        text = text_of(paragraph, self._styles).strip()
        if text:
            line = f"{number}{text}"
            if paragraph.tag == _H:
                start = sum(map(len, self._lines)) + len(self._lines)
                self._headings.append(Heading(start, " ".join(line.split())))
            self._lines.append(line)
        self._add_all(self._notes(paragraph))
        self._add_all(self._comments(paragraph))
        for box in paragraph.iter(_BOX):
            if next(box.iterancestors(_BOX), None) is None:
                self._read(box)
        if any(True for _ in paragraph.iter(_PAGE_BREAK)):  # the rest of the paragraph is on the next page
            self._end_page()

    def _notes(self, paragraph: Any) -> Iterator[str]:
        for note in paragraph.iter(_NOTE):
            kind = str(note.get(f"{_TEXT}note-class", "footnote")).capitalize()
            citation = " ".join("".join(t.itertext()) for t in note.iterchildren(f"{_TEXT}note-citation")).strip()
            text = " ".join(text_of(p, self._styles) for p in note.iter(_P))
            yield f"{kind} {citation}: {' '.join(text.split())}"

    def _comments(self, paragraph: Any) -> Iterator[str]:
        for comment in paragraph.iter(_COMMENT):
            text = " ".join(text_of(p, self._styles) for p in comment.iter(_P))
            if text.strip() and next(comment.iterancestors(_BOX), None) is None:
                yield f"Comment: {' '.join(text.split())}"

    def _list(self, element: Any, style: str | None, depth: int) -> None:
        counts = self._counts.setdefault(style or "", [])
        if depth == 1 and element.get(f"{_TEXT}continue-numbering") != "true" and not _continues(element):
            counts.clear()
        del counts[depth:]
        for item in element:
            if item.tag not in (f"{_TEXT}list-item", f"{_TEXT}list-header"):
                continue
            mark = self._mark(item, style, depth, counts) if item.tag.endswith("item") else ""
            for child in item:
                if child.tag == _LIST:
                    self._list(child, child.get(f"{_TEXT}style-name") or style, depth + 1)
                elif child.tag in (_P, _H):
                    self._paragraph(child, mark)
                    mark = ""
                elif isinstance(child.tag, str):
                    self._read([child])

    def _mark(self, item: Any, style: str | None, depth: int, counts: list[int]) -> str:
        if not any(child.tag in (_P, _H) for child in item):  # only a list on the next level
            return ""
        levels = [self._styles.level(style, index) for index in range(1, depth + 1)]
        _count(counts, levels, item.get(f"{_TEXT}start-value"))
        return _number(levels, counts) if levels[-1].kind != "bullet" else "- "

    def _outline_number(self, heading: Any) -> str:
        level = heading.get(f"{_TEXT}outline-level", "1")
        depth = min(int(level), 10) if level.isdecimal() else 1
        levels = [self._styles.outline.get(index, ListLevel("none")) for index in range(1, depth + 1)]
        _count(self._outline, levels, heading.get(f"{_TEXT}start-value"))
        return "" if levels[-1].kind in ("bullet", "none") else _number(levels, self._outline)

    def _table(self, table: Any) -> list[str]:
        rows = []
        for row in table.iter(f"{_TABLE}table-row"):
            if next(row.iterancestors(f"{_TABLE}table")) is not table:
                continue
            header = row.getparent().tag == f"{_TABLE}table-header-rows"
            rows.append([self._cell(cell, header) for cell in row.iterchildren(f"{_TABLE}table-cell")])
        return whole_table_lines(rows)

    def _cell(self, cell: Any, header: bool) -> Cell:
        inner = Lines(self._styles)
        text = " ".join(page.text for page in inner.pages(cell)).replace("\n", " ")
        spans = [cell.get(f"{_TABLE}number-{name}-spanned", "1") for name in ("rows", "columns")]
        rows, columns = (int(span) if span.isdecimal() and len(span) <= 6 else 1 for span in spans)
        return Cell(text, max(1, rows), max(1, columns), header=header)

    def _add_all(self, lines: Iterator[str] | list[str]) -> None:
        self._lines += [line for line in lines if line]

    def _end_page(self) -> None:
        if self._lines:
            index = len(self._pages)
            self._pages.append(Page(index, str(index + 1), "\n".join(self._lines), tuple(self._headings)))
            self._lines, self._headings = [], []


def _is_hidden(section: Any) -> bool:
    return section.get(f"{_TEXT}display") == "none" or section.get(f"{_TEXT}is-hidden") == "true"


def _continues(element: Any) -> bool:
    return element.get(f"{_TEXT}continue-list") is not None


def _count(counts: list[int], levels: list[ListLevel], start: str | None) -> None:
    depth = len(levels)
    while len(counts) < depth - 1:
        counts.append(levels[len(counts)].start)
    if len(counts) < depth:
        counts.append(levels[-1].start)
    else:
        counts[depth - 1] += 1
    if start is not None and start.isdecimal() and len(start) <= 9:
        counts[depth - 1] = int(start)
    del counts[depth:]


def _number(levels: list[ListLevel], counts: list[int]) -> str:
    own = levels[-1]
    first = max(0, len(levels) - own.shown)
    shown = [format_number(counts[i], levels[i].kind) for i in range(first, len(levels)) if levels[i].kind != "bullet"]
    text = f"{own.prefix}{'.'.join(filter(None, shown))}{own.suffix}"
    return f"{text} " if any(shown) else ""
