"""Pages, headings, paragraphs and tables of a sample document, set in the PDF core fonts.

Every table row is drawn on one baseline, so that text extraction gives the row as one line: the label,
then the figures. A cell too wide for its column raises instead of running into its neighbour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fpdf import FPDF

MARGIN_MM = 24.0
LINE_MM = 5.1
ROW_MM = 5.0
BODY_POINTS = 10.5
TABLE_POINTS = 9.0
FIGURE_COLUMN_MM = 23.0
INK = (24, 58, 92)
CREATED = datetime(2025, 12, 9, 9, 0, tzinfo=UTC)


class LayoutError(ValueError):
    """Something does not fit where it has to stand."""


@dataclass(frozen=True, slots=True)
class Row:
    """One table row: a label and its cells; `total` rules it off, `group` makes it a sub-heading."""

    label: str
    cells: tuple[str, ...] = ()
    total: bool = False
    group: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table of figures, or of words where `widths` (mm) of the columns are given.

    `right` aligns columns of given width to the right, as figures are.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    widths: tuple[float, ...] = ()
    label_heading: str = ""
    right: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the table of contents."""

    title: str
    page: int
    level: int


@dataclass(frozen=True, slots=True)
class Style:
    """What differs between documents.

    `section_needs_mm` is the room without which a section starts a new page; headings below level 1
    enter the contents only if they begin with `contents_filter`.
    """

    title: str
    running_header: str
    author: str
    section_needs_mm: float = 80.0
    contents_levels: tuple[int, ...] = (1,)
    contents_filter: str = ""


class _Pages(FPDF):
    """FPDF with the running header and the printed page number on every page but the cover."""

    def __init__(self, running_header: str) -> None:
        super().__init__(format="A4")
        self._running_header = running_header

    def header(self) -> None:
        if self.page_no() == 1:
            return
        # Inside a hanging paragraph the left margin is indented; the header does not follow it.
        self.set_xy(MARGIN_MM, 11)
        self.set_font("helvetica", size=8)
        self.set_text_color(90)
        self.cell(0, 4, self._running_header, new_x="LMARGIN", new_y="NEXT")
        self.set_draw_color(160)
        self.line(MARGIN_MM, 16, self.w - MARGIN_MM, 16)
        self.set_text_color(0)
        self.set_y(21)

    def footer(self) -> None:
        if self.page_no() == 1:
            return
        self.set_xy(MARGIN_MM, -15)
        self.set_font("helvetica", size=8)
        self.set_text_color(90)
        self.cell(self.w - 2 * MARGIN_MM, 4, f"Page {self.page_no()}", align="C")
        self.set_text_color(0)


class Booklet:
    """A document being laid out, top to bottom.

    Parameters
    ----------
    style
        Titles and spacing.
    """

    def __init__(self, style: Style) -> None:
        self._style = style
        self._pdf = _Pages(style.running_header)
        pdf = self._pdf
        # Uncompressed and with fixed metadata, the bytes depend on the text and on fpdf2 alone.
        pdf.set_compression(False)
        pdf.set_creation_date(CREATED)
        pdf.set_producer(style.author)
        pdf.set_title(" ".join(style.title.split()))
        pdf.set_author(style.author)
        pdf.set_margins(MARGIN_MM, 21, MARGIN_MM)
        pdf.set_auto_page_break(True, margin=21)
        self.entries: list[Entry] = []

    @property
    def _room(self) -> float:
        return self._pdf.h - 21 - self._pdf.get_y()

    def cover(self, title: str, lines: Sequence[str]) -> None:
        """Draw the cover: a title and the lines below it."""
        pdf = self._pdf
        pdf.add_page()
        pdf.set_fill_color(*INK)
        pdf.rect(0, 0, pdf.w, 118, style="F")
        pdf.set_text_color(255)
        pdf.set_y(58)
        pdf.set_font("helvetica", "B", 27)
        pdf.multi_cell(0, 12, title, align="L", new_x="LMARGIN", new_y="NEXT")
        pdf.set_text_color(0)
        pdf.set_y(134)
        pdf.set_font("times", size=13)
        for line in lines:
            pdf.multi_cell(0, 7, line, align="L", new_x="LMARGIN", new_y="NEXT")
            pdf.ln(2)

    def contents_page(self, entries: Sequence[Entry]) -> None:
        """Draw the table of contents on a page of its own."""
        pdf = self._pdf
        pdf.add_page()
        self._big_heading("Contents")
        row = min(6.4, self._room / (len(entries) + 1))
        for entry in entries:
            pdf.set_font("times", "" if entry.level > 1 else "B", 10.5)
            indent = 8 * (entry.level - 1)
            pdf.set_x(MARGIN_MM + indent)
            width = pdf.w - 2 * MARGIN_MM - indent - 14
            pdf.cell(width, row, entry.title)
            pdf.cell(14, row, str(entry.page), align="R", new_x="LMARGIN", new_y="NEXT")
        pdf.add_page()

    def heading(self, level: int, text: str, new_page: bool = False) -> None:
        """Draw a heading of level 1 to 3 and keep it with what follows."""
        pdf = self._pdf
        needed = {1: self._style.section_needs_mm, 2: 28.0}.get(level, 22.0)
        wanted = new_page or self._room < needed
        # A page that holds only its running header is already a new page.
        if pdf.page == 0 or (wanted and pdf.get_y() > 24):
            pdf.add_page()
        listed = level == 1 or text.startswith(self._style.contents_filter)
        if level in self._style.contents_levels and listed:
            self.entries.append(Entry(text, pdf.page_no(), level))
        if level == 1:
            self._big_heading(text)
            return
        pdf.ln(1.5)
        pdf.set_font("helvetica", "B", 11 if level == 2 else 9.5)
        pdf.set_text_color(*INK)
        pdf.multi_cell(0, 6, text, align="L", new_x="LMARGIN", new_y="NEXT")
        pdf.set_text_color(0)
        pdf.ln(0.8)

    def _big_heading(self, text: str) -> None:
        pdf = self._pdf
        if pdf.get_y() > 30:
            pdf.ln(4)
        pdf.set_font("helvetica", "B", 15)
        pdf.set_text_color(*INK)
        pdf.multi_cell(0, 8, text, align="L", new_x="LMARGIN", new_y="NEXT")
        pdf.set_text_color(0)
        pdf.ln(2)

    def paragraph(self, text: str, mark: str = "", indent: float = 0.0, hang: float = 0.0) -> None:
        """Draw a paragraph, with `mark` (a bullet, a clause number) hanging before it."""
        pdf = self._pdf
        if self._room < 2 * LINE_MM:
            pdf.add_page()
        pdf.set_font("times", size=BODY_POINTS)
        top = pdf.get_y()
        if mark:
            pdf.set_xy(MARGIN_MM + indent, top)
            pdf.cell(hang, LINE_MM, mark)
        left = MARGIN_MM + indent + hang
        pdf.set_left_margin(left)
        pdf.set_xy(left, top)
        pdf.multi_cell(0, LINE_MM, text, align="J", markdown=True, new_x="LMARGIN", new_y="NEXT")
        pdf.set_left_margin(MARGIN_MM)
        pdf.set_x(MARGIN_MM)
        pdf.ln(2.1)

    def table(self, table: Table) -> None:
        """Draw a table, whole on one page.

        Raises
        ------
        LayoutError
            Where a cell is wider than its column, or a row has too many cells.
        """
        pdf = self._pdf
        height = ROW_MM * (len(table.rows) + 2) + 9
        if self._room < height:
            pdf.add_page()
        widths = table.widths or (FIGURE_COLUMN_MM,) * len(table.columns)
        label_width = pdf.w - 2 * MARGIN_MM - sum(widths)
        pdf.ln(1)
        pdf.set_font("helvetica", "B", 9)
        pdf.cell(0, ROW_MM + 1, table.title, new_x="LMARGIN", new_y="NEXT")
        pdf.set_fill_color(226, 234, 242)
        align = "R" if table.right or not table.widths else "L"
        self._row(table.label_heading, table.columns, label_width, widths, align, "B", fill=True)
        for row in table.rows:
            if row.total:
                pdf.set_draw_color(120)
                pdf.line(MARGIN_MM, pdf.get_y(), pdf.w - MARGIN_MM, pdf.get_y())
            style = "B" if row.total or row.group else ""
            self._row(row.label, row.cells, label_width, widths, align, style)
        pdf.set_draw_color(120)
        pdf.line(MARGIN_MM, pdf.get_y(), pdf.w - MARGIN_MM, pdf.get_y())
        pdf.ln(4)

    def _row(
        self,
        label: str,
        cells: Sequence[str],
        label_width: float,
        widths: Sequence[float],
        align: str,
        style: str,
        fill: bool = False,
    ) -> None:
        pdf = self._pdf
        pdf.set_font("helvetica", style, TABLE_POINTS)
        if len(cells) > len(widths):
            raise LayoutError(f"row {label!r} has {len(cells)} cells for {len(widths)} columns")
        label_room = label_width if cells else pdf.w - 2 * MARGIN_MM
        spans = [(label, label_room, "L"), *zip(cells, widths, (align,) * len(cells), strict=False)]
        for text, width, side in spans:
            if pdf.get_string_width(text) > width - 1.5:
                raise LayoutError(f"{text!r} is wider than its column of {width} mm")
            pdf.cell(width, ROW_MM, text, align=side, fill=fill)
        pdf.ln(ROW_MM)

    def save(self, path: Path) -> None:
        """Write the PDF."""
        self._pdf.output(str(path))
