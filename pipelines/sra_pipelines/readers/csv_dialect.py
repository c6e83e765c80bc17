"""Find the separator and the quotation mark of a CSV file.

`csv.Sniffer` counts how often a separator occurs in each line, which works well without quoted cells. For quoted cells
its regular expressions take minutes for some samples of 20 kB, and it assumes that the file has no doubled quotation
marks unless it sees some. So quoted cells are found here, in linear time, and the sniffer gets text without
quotation marks.
"""

from __future__ import annotations

import csv
import dataclasses
import re
from collections import Counter

__all__ = ["Dialect", "dialect_of", "stated_separator"]

_SEPARATORS = ",;\t|"
_SAMPLE = 20_000  # characters
_MOST_LINES = 1_000  # of the sample; the sniffer takes a millisecond for a few of them
_QUOTES = "\"'"
_STATED = re.compile(r'"?sep=(?P<separator>[^\n])"?[ \t]*(?:\n|\Z)', re.IGNORECASE)
# A cell that begins and ends with the mark: what is before it, a space, and what is after it. Possessive: the end of a
# cell is the first mark that is not doubled.
_QUOTED = {
    mark: re.compile(
        rf"(^|[{_SEPARATORS}])( ?){mark}(?:[^{mark}]++|{mark}{mark})*+{mark}(?=([{_SEPARATORS}]|$))",
        re.MULTILINE,
    )
    for mark in _QUOTES
}


@dataclasses.dataclass(frozen=True, slots=True)
class Dialect:
    """How the cells of a file are written, as `csv.reader` takes it.

    Parameters
    ----------
    delimiter
        Character between two cells.
    quotechar
        Mark around a cell; it is doubled within one.
    skipinitialspace
        Whether a space after the delimiter does not belong to the cell.
    """

    delimiter: str
    quotechar: str = '"'
    skipinitialspace: bool = False


def stated_separator(text: str) -> tuple[str | None, str]:
    """Return the separator that a first line such as ``sep=;`` states for Excel, and the table below this line."""
    match = _STATED.match(text)
    return (None, text) if match is None else (match["separator"], text[match.end() :])


def dialect_of(text: str, usual: str) -> Dialect:
    """Return the dialect of a table.

    Parameters
    ----------
    text
        The table; its first 20,000 characters are looked at.
    usual
        Separator of a table that does not show one, such as a single column.
    """
    sample = text[:_SAMPLE]
    quoted = {mark: pattern.findall(sample) if mark in sample else [] for mark, pattern in _QUOTED.items()}
    mark = max(_QUOTES, key=lambda mark: len(quoted[mark]))
    cells = quoted[mark]
    counts = Counter([side for before, _, after in cells for side in (before, after)])
    del counts[""]
    if counts:
        delimiter = counts.most_common(1)[0][0]
        spaces = [space for before, space, _ in cells if before == delimiter]
        return Dialect(delimiter, mark, bool(spaces) and all(spaces))
    lines = sample.replace('"', "").replace("'", "").split("\n")[:_MOST_LINES]
    even = _even_separator(lines)
    if even is not None:
        has_spaces = all(line.count(even) == line.count(f"{even} ") for line in lines)
        return Dialect(even, mark if cells else '"', has_spaces)
    try:
        found = csv.Sniffer().sniff("\n".join(lines), delimiters=_SEPARATORS)
    except csv.Error:  # one column, or too little data
        return Dialect(usual)
    return Dialect(found.delimiter, mark if cells else '"', found.skipinitialspace)


def _even_separator(lines: list[str]) -> str | None:
    """Return the separator that is in all lines equally often if it is more frequent than any other such one."""
    whole = [line for line in lines[:-1] if line.strip()] or lines  # the sample may end within its last line
    counts = {mark: {line.count(mark) for line in whole} for mark in _SEPARATORS}
    even = sorted(
        (number, mark) for mark, numbers in counts.items() if len(numbers) == 1 for number in numbers if number
    )
    return even[-1][1] if len(even) > 1 and even[-1][0] > even[-2][0] else None
