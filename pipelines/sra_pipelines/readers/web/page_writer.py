"""Write the elements of an HTML file as lines of pages."""

from __future__ import annotations

import dataclasses
import re

from lxml import etree

from sra_pipelines.readers.notation.equations import equation_text
from sra_pipelines.readers.notation.superscripts import lowered, raised, struck
from sra_pipelines.readers.tables import Cell, whole_table_lines
from sra_pipelines.readers.web.controls import ListNumbers, control_text
from sra_pipelines.readers.web.open_elements import PARTS, OpenElement, opened_element
from sra_pipelines.readers.web.style_sheets import StyleSheets
from sra_pipelines.values import Heading, Page

__all__ = ["PageWriter"]

_HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
_LISTS = {"ol", "ul", "menu", "dir"}
_MOST_ROWS = 65_534
_MOST_COLUMNS = 1_000
_SOFT_HYPHEN = "\u00ad"
_SPACES = re.compile(r"[^\S ]\s*| \s+")  # all but single blanks


def _span(text: str | None, most: int) -> int:
    if text is None:
        return min(1, most)
    digits = text.strip()
    number = int(digits) if digits.isdecimal() and len(digits) <= 6 else 1
    return min(number, most)


def _text_of(cell: Cell | str) -> str:
    return cell if isinstance(cell, str) else cell.text


def _with_single_spaces(line: str) -> str:
    is_so = line.isprintable() and "  " not in line and line == line.strip()  # as most lines
    return line if is_so else " ".join(line.split())


@dataclasses.dataclass(slots=True)
class _Table:
    """A table that is being read.

    Parameters
    ----------
    rows
        Its rows so far.
    page_starts
        Indices of the rows that start a page.
    row, cell
        The open row, and the element of the open cell.
    in_head
        Whether the open row is in the head of the table.
    in_foot
        Whether the open row is in the foot.
    foot
        The rows of the foot, which is shown at the end of the table, wherever it is in the file.
    is_layout
        Whether it contains other tables, so that its cells are no cells but places on the page.
    """

    rows: list[list[Cell | str]] = dataclasses.field(default_factory=list)
    page_starts: set[int] = dataclasses.field(default_factory=set)
    row: list[Cell | str] | None = None
    cell: etree._Element | None = None
    in_head: bool = False
    in_foot: bool = False
    foot: list[list[Cell | str]] = dataclasses.field(default_factory=list)
    is_layout: bool = False


class PageWriter:
    """Collects the lines, headings and pages of an HTML file while its elements are traversed.

    Parameters
    ----------
    sheets
        The style sheets of the file; None if they have no rules that matter.
    """

    def __init__(self, sheets: StyleSheets | None = None) -> None:
        self._sheets = sheets
        self.lines: list[str] = []
        self.headings: list[tuple[int, str]] = []  # line and text
        self.pages: list[tuple[list[str], list[tuple[int, str]]]] = []
        self.piece: list[str] = []
        self.tables: list[_Table] = []  # the open tables, the innermost last
        self.lists: list[ListNumbers] = []
        self.mark = ""  # the number of an item whose text has not begun
        self.scripts: list[int] = []  # for each open superscript or subscript, where it starts in the piece
        self.open: list[OpenElement] = []
        self.hidden = 0
        self.skipped = 0  # depth within an element whose text was taken as a whole
        self.preformatted = 0

    @property
    def in_cell(self) -> bool:
        """Whether the text is that of a cell of a table of values."""
        return bool(self.tables) and self.tables[-1].cell is not None and not self.tables[-1].is_layout

    def end(self, event: str, element: etree._Element) -> None:
        """Take the end of an element, or a comment."""
        if event == "end":
            opened = self.open.pop()
            if self.skipped:
                self.skipped -= 1
            elif not self.hidden and not opened.is_plain:
                if opened.is_part and self.tables:
                    self._close_part(opened.tag)
                else:
                    self._close(opened)
            if opened.hidden:
                self.hidden -= 1
        if not self.hidden and not self.skipped and (tail := element.tail):
            self._add(tail)

    def start(self, element: etree._Element) -> None:
        """Take the start of an element."""
        opened = opened_element(element, self._sheets)
        self.open.append(opened)
        if opened.hidden:
            self.hidden += 1
        if self.skipped or opened.is_whole:
            if not self.hidden and not self.skipped:
                self._add(equation_text(element) if opened.tag == "math" else f" {control_text(element)} ")
            self.skipped += 1
        elif not self.hidden:
            if opened.is_part and self.tables:
                self._open_part(opened.tag, element)
            elif not opened.is_plain:
                self._open(opened, element)
            if text := element.text:
                self._add(text)

    def _open(self, opened: OpenElement, element: etree._Element) -> None:
        tag = opened.tag
        if opened.style.page_break == "before":
            self._break_page()
        if self.tables and tag in PARTS:
            self._open_part(tag, element)
            return
        if tag == "table":
            self._begin_table()
        elif opened.is_block:
            self._end_line()
        if tag in _LISTS:
            self.lists.append(ListNumbers(element, opened.style.numbering))
        elif tag == "li":
            self.mark = self.lists[-1].mark(element, opened.style.numbering) if self.lists else "- "
            self.piece.append(self.mark)
        elif opened.script:
            self.scripts.append(len(self.piece))
        elif tag in ("q", "rt"):
            self.piece.append("\u201c" if tag == "q" else "(")
        self.preformatted += tag == "pre"

    def _close(self, opened: OpenElement) -> None:
        tag = opened.tag
        if self.tables and tag in PARTS:
            self._close_part(tag)
        else:
            self._close_other(tag, opened)
        if opened.style.page_break == "after":
            self._break_page()

    def _close_other(self, tag: str, opened: OpenElement) -> None:
        if tag in _HEADINGS and self.piece and not self.in_cell:
            self.headings.append((len(self.lines), " ".join("".join(self.piece).split())))
        if opened.script and self.scripts:
            start = self.scripts.pop()
            if not self.scripts:  # otherwise it is within another one
                self._end_script(opened.script, start)
        elif tag in ("q", "rt"):
            self.piece.append("\u201d" if tag == "q" else ")")
        if tag == "table" and self.tables:
            self._end_table()
        elif opened.is_block:
            self.mark = "" if tag == "li" else self.mark
            self._end_line()
        if tag in _LISTS and self.lists:
            self.lists.pop()
        self.preformatted -= tag == "pre"

    def _begin_table(self) -> None:
        if self.in_cell:  # the table around it is for layout: what was read of it are lines
            outer = self.tables[-1]
            texts = [_text_of(cell) for cell in outer.row or ()]
            self._write_rows(outer)
            outer.is_layout = True
            outer.row = None
            self.lines += [" | ".join(filter(None, (" ".join(text.split()) for text in texts)))] if any(texts) else []
        self._end_line()
        self.tables.append(_Table())

    def _end_table(self) -> None:
        if self.tables[-1].row is not None:
            self._close_part("tr")
        self._end_line()
        self._write_rows(self.tables.pop())

    def _write_rows(self, table: _Table) -> None:
        table.rows += table.foot
        table.foot = []
        if all(len(row) <= 1 for row in table.rows):  # a frame around text
            lines = ["\n".join(line for cell in row for line in _text_of(cell).split("\n")) for row in table.rows]
        else:
            lines = whole_table_lines(table.rows)
        for index, line in enumerate(lines):
            if index in table.page_starts:
                self._end_page()
            self.lines += filter(None, map(_with_single_spaces, line.split("\n")))
        table.rows, table.page_starts = [], set()

    def _open_part(self, tag: str, element: etree._Element) -> None:
        table = self.tables[-1]
        if table.is_layout:
            self._end_line()
        elif tag == "thead":
            table.in_head = True
        elif tag == "tfoot":
            table.in_foot = True
        elif tag == "tr":
            if table.row is not None:
                self._close_part("tr")
            self._end_line()
            table.row = []
        else:
            if table.cell is not None:
                self._close_part("td")
            if table.row is None:
                self._end_line()
                table.row = []
            table.cell = element
            self.piece = []

    def _close_part(self, tag: str) -> None:
        table = self.tables[-1]
        if table.is_layout:
            self._end_line()
        elif tag == "thead":
            table.in_head = False
        elif tag == "tfoot":
            table.in_foot = False
        elif tag == "tr" and table.row is not None:
            if table.cell is not None:
                self._close_part("td")
            (table.foot if table.in_foot else table.rows).append(table.row)
            table.row = None
        elif tag in ("td", "th") and table.cell is not None and table.row is not None:
            cell, table.cell = table.cell, None
            text, self.piece = "".join(self.piece), []
            header = table.in_head or (cell.tag == "th" and cell.get("scope") not in ("row", "rowgroup"))
            stated, across = cell.get("rowspan"), cell.get("colspan")
            if stated is None and across is None and not header:
                table.row.append(text)
                return
            rows = _MOST_ROWS if stated == "0" else _span(stated, _MOST_ROWS)
            columns = max(1, _span(across, _MOST_COLUMNS))
            table.row.append(Cell(text, max(1, rows), columns, header=header))

    def _end_script(self, tag: str, start: int) -> None:
        if start <= len(self.piece):
            write = {"sup": raised, "sub": lowered, "struck": struck}[tag]
            before, text = "".join(self.piece[max(0, start - 20) : start]), "".join(self.piece[start:])
            self.piece[start:] = [write(before[-20:], text)]

    def _add(self, text: str) -> None:
        if text.isprintable() and "  " not in text:  # most texts: without soft hyphens, line breaks and wide spaces
            self.piece.append(text)
            return
        if not text.isascii():
            text = text.replace(_SOFT_HYPHEN, "")
        if self.preformatted and not self.in_cell:
            first, *others = text.split("\n")
            self.piece.append(first)
            for other in others:
                self._end_line()
                self.piece.append(other)
        else:
            self.piece.append(_SPACES.sub(" ", text))

    def _end_line(self) -> None:
        if self.in_cell:
            self.piece.append("\n")
            return
        text = "".join(self.piece)
        if self.mark and text.strip() == self.mark.strip():
            return  # a block within the item follows
        self.mark = ""
        text = text.rstrip() if self.preformatted else " ".join(text.split())
        if text and text != "-":
            self.lines.append(text)
        self.piece = []

    def _break_page(self) -> None:
        if self.in_cell:
            return
        if self.tables and not self.tables[-1].is_layout:
            self.tables[-1].page_starts.add(len(self.tables[-1].rows))
        else:
            self._end_page()

    def _end_page(self) -> None:
        self._end_line()
        if self.lines:
            self.pages.append((self.lines, self.headings))
            self.lines, self.headings = [], []

    def finish(self) -> list[Page]:
        """Return the pages."""
        while self.tables:
            self._end_table()
        self._end_page()
        pages = []
        for index, (lines, headings) in enumerate(self.pages):
            starts = [0]
            for line in lines:
                starts.append(starts[-1] + len(line) + 1)
            marks = tuple(Heading(starts[line], text) for line, text in headings if text and line < len(lines))
            pages.append(Page(index, str(index + 1), "\n".join(lines), marks))
        return pages
