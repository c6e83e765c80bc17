"""Read a statement as a table: its rows, and the year and length of the period of each column.

Nothing is inferred. A row has amounts only if it has one cell for each column. Columns without a year, or with the same
year twice, are reported as a problem.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from sra_pipelines.metrics.fiscal_calendar import FiscalCalendar
from sra_pipelines.metrics.period_columns import period_column
from sra_pipelines.metrics.periods import Period
from sra_pipelines.metrics.row_cells import Cells, RowLine, decimal_sign, read_row, spaced_cells, with_decimal_sign
from sra_pipelines.metrics.statement_headings import (
    PERIOD,
    YEAR,
    Columns,
    heading_unit,
    is_comma_language,
    plain_heading,
    read_columns,
)
from sra_pipelines.retrieval.relevant_rows import GAP
from sra_pipelines.structure.page_lines import plain_label

__all__ = ["StatementRow", "StatementTable", "heading_lines", "read_tables"]

_REFERENCE = re.compile(r"\(?\d{1,2}\)?")  # of a footnote, or of a note in a column of its own
_NOTES = re.compile(r"\bnotes?\b|\banhang\b|\bannexes?\b", re.IGNORECASE)
_INTERIM = re.compile(
    r"unaudited|condensed|interim|quarter|ungeprüft|verkürzt|zwischen|semestriel|non audit", re.IGNORECASE
)
_MOST_HEADING = 14  # lines above the first row
_LONGEST_GROUP = 80  # characters; a longer line without amounts is a sentence


@dataclasses.dataclass(frozen=True, slots=True)
class StatementRow:
    """A row of a statement.

    Parameters
    ----------
    label
        The label in lower case, without marks of footnotes.
    written
        The label as written.
    group
        The last line without amounts above the row, in lower case, such as ``"current assets"``.
    line
        The line of the page.
    cells
        The amount of each column, None for an empty cell; empty if the row does not have one cell for each column.
    complete_above, complete_below
        Whether the lines directly above and below are in the text; false if rows were left out there.
    """

    label: str
    written: str
    group: str
    line: str
    cells: Cells
    complete_above: bool = True
    complete_below: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class StatementTable:
    """The rows and columns of a statement.

    Parameters
    ----------
    rows
        The rows.
    columns
        Years, lengths and ends of the columns.
    unit
        Unit of the heading, such as ``"$ million"``; empty if it has none.
    heading
        The lines of the heading, see `plain_heading`.
    """

    rows: tuple[StatementRow, ...]
    columns: Columns
    unit: str
    heading: tuple[str, ...]

    def column(self, period: Period, calendar: FiscalCalendar, *, is_period: bool) -> int | str:
        """Return the column of a period, or why there is none.

        Parameters
        ----------
        period
            The period; for an amount at a date, its end.
        calendar
            When the financial years of the company end.
        is_period
            Whether the amounts are those of a period, as in an income statement, and not those at a date.
        """
        return period_column(self.columns, period, calendar, is_period=is_period, may_be_interim=self._may_be_interim())

    def _may_be_interim(self) -> bool:
        """Return whether the heading is that of a statement that is not audited, such as that of a quarter."""
        return any(map(_INTERIM.search, self.heading))


def read_tables(text: str, continued: StatementTable | None = None) -> list[StatementTable]:
    """Return the tables of a page of a statement, in reading order.

    Parameters
    ----------
    text
        Text of the page.
    continued
        The last table of the page before. If the page names no columns, it continues this table.
    """
    tables = _read_tables(text, [])
    return tables if tables or continued is None else _read_tables(text, list(continued.heading))


class _Line(NamedTuple):
    """A line of a page, and what it is if it is a row."""

    text: str
    row: RowLine | None


def _read_tables(text: str, heading: list[str]) -> list[StatementTable]:
    tables: list[StatementTable] = []
    rows: list[tuple[StatementRow, str]] = []
    above: list[str] = []  # the lines since the last row: the title and unit of another table
    group, complete = "", True
    lines = [_Line(stripped, read_row(stripped)) for line in text.split("\n") if (stripped := line.strip())]
    for number, (line, parsed) in enumerate(lines):
        if line == GAP:
            if rows:
                rows[-1] = dataclasses.replace(rows[-1][0], complete_below=False), rows[-1][1]
            complete = False
            continue
        if parsed is not None and (parsed.label or rows) and any(map(YEAR.search, heading)):
            label = _whole_label(lines, number, parsed.label)
            row = StatementRow(plain_label(label), label, group, line, parsed.cells, complete)
            rows.append((row, parsed.region))
            above = []
        elif parsed is not None and not parsed.label:
            pass  # a number of a page
        else:
            if rows and _names_columns(line):
                tables.append(_table(heading, rows))
                heading, rows, group = above, [], ""
            above = [*above, plain_heading(line)] if rows else []
            if not rows:
                heading = [*heading, plain_heading(line)][-_MOST_HEADING:]
            group = line.strip("| ").lower().rstrip(":") if not rows or len(line) <= _LONGEST_GROUP else group
        complete = True
    return [*tables, _table(heading, rows)] if rows else tables


def _whole_label(lines: Sequence[_Line], number: int, label: str) -> str:
    """Return the label of a row with its first line, if it has two lines, or if the line above is all of it."""
    before = lines[number - 1] if number else None
    if before is None or before.row is not None or before.text == GAP:
        return label
    if label[:1].islower():
        return f"{before.text} {label}"
    following = lines[number + 1].row if number + 1 < len(lines) else None
    stands_alone = number > 1 and lines[number - 2].row is not None and (following is None or following.label)
    return before.text if not label and stands_alone and not before.text.endswith(":") else label


def heading_lines(text: str) -> list[str]:
    """Return the first lines of a page: those before the first that has a year or is a row. They name the company."""
    lines: list[str] = []
    for line in text.split("\n"):
        row = read_row(line.strip())
        if YEAR.search(line) or (row is not None and row.label):
            break
        lines.append(line)
    return lines[:_MOST_HEADING]


def _names_columns(line: str) -> bool:
    return len(line) <= _LONGEST_GROUP and bool(YEAR.search(line) or PERIOD.search(line)) and not line.endswith(".")


def _table(heading: Sequence[str], rows: Sequence[tuple[StatementRow, str]]) -> StatementTable:
    has_notes = any(map(_NOTES.search, heading))
    is_comma = is_comma_language([*heading, *(row.label for row, _ in rows)])
    amounts = (cell.text for row, _ in rows for cell in row.cells if cell is not None)
    sign = decimal_sign(amounts, has_comma_language=is_comma)
    counts = Counter(len(_without_shares(row.cells)) for row, _ in rows if row.label)
    columns = read_columns(heading, counts or Counter([0]), has_notes=has_notes)
    fitted = []
    for row, region in rows:
        cells = _fitted(row, _without_shares(row.cells), columns.width)
        if not cells and sign == ",":
            cells = _fitted(row, spaced_cells(region, columns.width), columns.width)
        fitted.append(dataclasses.replace(row, cells=with_decimal_sign(cells, sign)))
    return StatementTable(tuple(fitted), columns, heading_unit(heading), tuple(heading))


def _without_shares(cells: Cells) -> Cells:
    """Leave out percentages beside amounts: the share of a row of the first row."""
    amounts = tuple(cell for cell in cells if cell is None or not cell.percent)
    return amounts if any(amounts) else cells


def _fitted(row: StatementRow, cells: Cells, width: int) -> Cells:
    """Return the cells of a row, one for each column, without a reference to a note; none if it has others."""
    if len(cells) == width + 1:
        first = cells[0]
        if "|" in row.line if first is None else _REFERENCE.fullmatch(first.text):
            cells = cells[1:]
    return cells if len(cells) == width else ()
