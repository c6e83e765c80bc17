"""Read a statement as a table: its rows, and the year and length of the period of each column.

Nothing is inferred. A row has amounts only if it has one cell for each column. Columns without a year, or with the same
year twice, are reported as a problem.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from sra_pipelines.checks.amounts import Amount, find_amounts
from sra_pipelines.checks.table_amounts import EMPTY_CELL, unit_of
from sra_pipelines.retrieval.relevant_rows import GAP
from sra_pipelines.structure.page_lines import plain_label

__all__ = ["StatementRow", "StatementTable", "heading_lines", "read_tables"]

_YEAR = re.compile(r"(?<![\d.,])(?:19|20)\d\d(?![\d%]|[.,]\d)")
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july",
    "august", "september", "october", "november", "december",
)  # fmt: skip
_MONTH = re.compile(
    rf"\b(?:{'|'.join(month[:3] + f'(?:{month[3:]})?' for month in _MONTHS)})\b\.?(?=\s+\d)", re.IGNORECASE
)
_ONLY_MONTH = re.compile(rf"(?:{'|'.join(_MONTHS)})", re.IGNORECASE)  # "December 3,": the date of a column
_LENGTHS = {"three": 3, "six": 6, "nine": 9, "twelve": 12, "3": 3, "6": 6, "9": 9, "12": 12}
_WEEKS = {12: 3, 13: 3, 14: 3, 16: 3, 24: 6, 25: 6, 26: 6, 27: 6, 39: 9, 40: 9, 52: 12, 53: 12}  # months by weeks
_PERIOD = re.compile(
    r"\b(?P<months>three|six|nine|twelve|3|6|9|12)[ -]months?\b|\b(?P<weeks>\d\d)[ -]weeks?\b"
    r"|\b(?P<quarter>quarters?)\b|\b(?P<half>half[ -]years?)\b"
    r"|\b(?P<year>(?:fiscal |financial )?years?)(?= ended| ending)",
    re.IGNORECASE,
)
_CELL = re.compile(
    r"[$\u20ac\u00a3\u00a5(\u2212+-]*\d[\d,.\u00a0]*\)?%?\)?|[-\u2013\u2014$\u20ac\u00a3\u00a5%)(]+|nil|n/?a",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"\(?\d{1,2}\)?")  # of a footnote, or of a note in a column of its own
_BEFORE_OWN_AMOUNT = {"and", "of", "at", "to"}  # words before an amount that belongs to the label
_CURRENCIES = {"$", "\u20ac", "\u00a3", "\u00a5"}
_MOST_HEADING = 14  # lines above the first row
_EARLY = {1, 2}  # months: a year that ends in them is named after the year before by some companies
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
    cells: tuple[Amount | None, ...]
    complete_above: bool = True
    complete_below: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class StatementTable:
    """The rows and columns of a statement.

    Parameters
    ----------
    rows
        The rows.
    years
        The year of each column; empty if the heading does not have one for each column.
    months
        Length of the period of each column in months; 0 where the heading does not state it.
    end_months
        The months (1 to 12) that the heading names.
    unit
        Unit of the heading, such as ``"$ million"``; empty if it has none.
    heading
        The lines of the heading.
    """

    rows: tuple[StatementRow, ...]
    years: tuple[int, ...]
    months: tuple[int, ...]
    end_months: tuple[int, ...]
    unit: str
    heading: tuple[str, ...]

    def column(self, year: int, *, is_period: bool) -> int | str:
        """Return the column of a financial year, or why there is none.

        Parameters
        ----------
        year
            The financial year.
        is_period
            Whether the amounts are those of a period, as in an income statement, and not those at a date.
        """
        if not self.years:
            return "the heading does not have a year for each column"
        own = [number for number, other in enumerate(self.years) if other == year]
        if is_period:
            whole = [number for number in own if self.months[number] in (0, 12)]
            if own and not whole:
                return _other_length(year, self.months[own[0]])
            own = whole
        if not own:
            return f"there is no column for {year}"
        if len(own) > 1:
            return f"several columns are for {year}"
        if self.end_months and not _close(self.end_months):
            return f"the columns end in different months, so it is not certain which one is the financial year {year}"
        if set(self.end_months) & _EARLY:
            return (
                f"the year of the column {year} ends early in {year}, so it is not certain whether it is the financial "
                f"year {year} or {year - 1}"
            )
        return own[0]


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


def _read_tables(text: str, heading: list[str]) -> list[StatementTable]:
    tables: list[StatementTable] = []
    rows: list[StatementRow] = []
    group, before, complete = "", "", True
    for line in (*text.split("\n"), "\0"):  # the last line ends the last table
        stripped = line.strip()
        parsed = None if line == "\0" else _row(stripped)
        if stripped == GAP:
            if rows:
                rows[-1] = dataclasses.replace(rows[-1], complete_below=False)
            complete = False
            continue
        if parsed is None or not any(map(_YEAR.search, heading)):
            if rows and (line == "\0" or _names_columns(stripped)):
                tables += _table(heading, rows)
                heading, rows, group = [], [], ""
            if rows:
                group = stripped.lower().rstrip(":") if 0 < len(stripped) <= _LONGEST_GROUP else group
            else:
                heading = [*heading, stripped][-_MOST_HEADING:]
                group = stripped.lower().rstrip(":")
        else:
            label, cells = parsed
            if label[:1].islower() and before:
                label = f"{before} {label}"  # the label has two lines
            rows.append(StatementRow(plain_label(label), label, group, stripped, cells, complete))
        before, complete = ("" if parsed is not None else stripped), True
    return tables


def heading_lines(text: str) -> list[str]:
    """Return the first lines of a page: those before the first that has a year or is a row. They name the company."""
    lines: list[str] = []
    for line in text.split("\n"):
        if _YEAR.search(line) or _row(line.strip()) is not None:
            break
        lines.append(line)
    return lines[:_MOST_HEADING]


def _row(line: str) -> tuple[str, tuple[Amount | None, ...]] | None:
    """Return the label and the cells of a line; None if it is not a row with at least one amount."""
    if "|" in line:
        first, *rest = line.strip("|").split("|")
        label, cells = first.strip(), rest
        if any(re.search(r"[^\W\d_]", EMPTY_CELL.sub(" ", f" {cell} ")) for cell in cells):
            return None
        amounts = [find_amounts(cell) for cell in cells]
        if any(len(own) > 1 for own in amounts) or not any(amounts) or not label:
            return None
        return label, tuple(own[0] if own else None for own in amounts)
    words = list(re.finditer(r"\S+", line))
    first_cell = len(words)
    while first_cell and _CELL.fullmatch(words[first_cell - 1][0]):
        first_cell -= 1
    if first_cell in (0, len(words)):
        return None
    if words[first_cell - 1][0].lower() in _BEFORE_OWN_AMOUNT:  # "net of allowances of $95 and $103 5,020 4,911"
        first_cell += 1 + (words[first_cell][0] in _CURRENCIES)
    if first_cell >= len(words):
        return None
    start = words[first_cell].start()
    label, region = line[:start].rstrip(), f" {line[start:]} "
    found = find_amounts(region)
    spans = [(amount.start, amount.end) for amount in found]
    empty = [m.start() for m in EMPTY_CELL.finditer(region) if not any(a <= m.start() < b for a, b in spans)]
    if all(_YEAR.fullmatch(amount.text) for amount in found) or _ONLY_MONTH.fullmatch(label):
        return None  # a heading
    if not re.search(r"[^\W\d_]", label):
        return None
    ordered: list[tuple[int, Amount | None]] = [(amount.start, amount) for amount in found]
    ordered += [(position, None) for position in empty]
    return label, tuple(amount for _, amount in sorted(ordered, key=lambda pair: pair[0]))


def _names_columns(line: str) -> bool:
    return len(line) <= _LONGEST_GROUP and bool(_YEAR.search(line) or _PERIOD.search(line)) and not line.endswith(".")


def _table(heading: Sequence[str], rows: Sequence[StatementRow]) -> Iterator[StatementTable]:
    has_notes = any(re.search(r"\bnotes?\b", line, re.IGNORECASE) for line in heading)
    plain = [dataclasses.replace(row, cells=_without_shares(row.cells)) for row in rows]
    width, years = _columns(heading, Counter(len(row.cells) for row in plain), has_notes=has_notes)
    text = " ".join(heading)
    months = [_length(match) for match in _PERIOD.finditer(text)]
    if months and width % len(months) == 0:
        lengths = tuple(month for month in months for _ in range(width // len(months)))
    else:
        lengths = tuple(-1 if months else 0 for _ in range(width))
    ends = tuple(dict.fromkeys(_month(match[0]) for match in _MONTH.finditer(text)))
    unit = next(filter(None, map(unit_of, heading)), "")
    yield StatementTable(tuple(_fitted(row, width) for row in plain), years, lengths, ends, unit, tuple(heading))


def _without_shares(cells: tuple[Amount | None, ...]) -> tuple[Amount | None, ...]:
    """Leave out percentages beside amounts: the share of a row of the first row."""
    amounts = tuple(cell for cell in cells if cell is None or not cell.percent)
    return amounts if any(amounts) else cells


def _fitted(row: StatementRow, width: int) -> StatementRow:
    """Return a row with one cell for each column, without a reference to a note; without cells if it has others."""
    cells = row.cells
    if len(cells) == width + 1:
        first = cells[0]
        if "|" in row.line if first is None else _REFERENCE.fullmatch(first.text):
            cells = cells[1:]
    return dataclasses.replace(row, cells=cells if len(cells) == width else ())


def _columns(heading: Sequence[str], counts: Counter[int], *, has_notes: bool) -> tuple[int, tuple[int, ...]]:
    """Return the number of columns and their years: the most frequent number of cells for which there are years."""
    frequent = sorted(counts, key=lambda count: (-counts[count], count))
    for count in frequent:
        for width in (count, count - 1) if has_notes and count > 1 else (count,):
            if years := _years(heading, width):
                return width, years
    return frequent[0], ()


def _years(heading: Sequence[str], width: int) -> tuple[int, ...]:
    """Return the years of the columns, from the last lines of the heading that have one for each column."""
    years: list[int] = []
    for line in reversed(heading):
        years = [*(int(year) for year in _YEAR.findall(line)), *years]
        if len(years) >= width:
            break
    return tuple(years) if len(years) == width else ()


def _length(match: re.Match[str]) -> int:
    """Return the months of a period that a heading names; -1 if they are not known."""
    if match["months"]:
        return _LENGTHS[match["months"].lower()]
    if match["weeks"]:
        return _WEEKS.get(int(match["weeks"]), -1)
    return 12 if match["year"] else 3 if match["quarter"] else 6


def _month(name: str) -> int:
    return next(number for number, month in enumerate(_MONTHS, 1) if month.startswith(name.lower().rstrip(".")[:3]))


def _other_length(year: int, months: int) -> str:
    if months < 0:
        return f"the heading does not say how long the period of the column {year} is"
    return f"the column {year} is for {months} months, not for a year"


def _close(months: Sequence[int]) -> bool:
    """Return whether months are at most one apart: a year of 52 weeks can end in the next month."""
    return all(min((a - b) % 12, (b - a) % 12) <= 1 for a in months for b in months)
