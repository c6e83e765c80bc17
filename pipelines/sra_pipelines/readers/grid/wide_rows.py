"""Write rows that are longer than a passage as several lines, each of which states whose row it is.

Documents are split into passages at the ends of lines. A row that does not fit is cut between its cells, and a cell
that does not fit at a sentence or between words; the label of the row is repeated in each line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from sra_pipelines.readers.grid.kinds import Kind, kind_of

__all__ = ["LONGEST_LINE", "SEPARATOR", "join_cells", "row_text"]

SEPARATOR = " | "
LONGEST_LINE = 400  # characters, below 220 tokens also for rows of amounts
_LONGEST_CELL = 700  # characters; a longer text does not fit in a passage
_LONGEST_PART = 300  # of such a text, beside the label
_LONGEST_LABEL = 120
_SENTENCE = re.compile(r"[.!?;]\s")


def join_cells(cells: Sequence[str]) -> str:
    """Return cells on one line, with empty ones between others: ``Revenue | | 79,100``."""
    if all(cells):
        return " | ".join(cells)
    texts = list(cells)
    while texts and not texts[-1]:
        texts.pop()
    return re.sub(r"\|  (?=\|)", "| ", " | ".join(texts)).strip()


def row_text(cells: Sequence[str], texts: Sequence[str] = ()) -> str:
    """Return a row on one line, or on several if it is too long for a passage.

    Parameters
    ----------
    cells
        The cells, each with the name of its column if it has one.
    texts
        Their texts without names. Empty for a row without a label, such as a heading.
    """
    line = join_cells(cells)
    if len(line) <= LONGEST_LINE:
        return line
    label = [cell for cell in cells[: _label_size(texts)] if cell] if texts else []
    if len(join_cells(label)) > _LONGEST_LABEL:
        label = []
    return "\n".join(_lines(list(cells), label))


def _label_size(texts: Sequence[str]) -> int:
    """Return how many of the first cells are the label of their row: the first, and a second one that is no amount."""
    if len(texts) > 2 and texts[1] and len(texts[1]) <= _LONGEST_LABEL // 2:
        return 2 if kind_of(texts[1]) in (Kind.TEXT, Kind.PERIOD) and not texts[1].isdecimal() else 1
    return 1


def _lines(cells: list[str], label: list[str]) -> Iterator[str]:
    line: list[str] = []
    length = 0
    for cell in cells:
        is_whole = len(cell) <= _LONGEST_CELL and not cell.endswith(": ")
        for part in (cell,) if is_whole else _parts(cell):
            if line and length + len(part) > LONGEST_LINE:
                yield join_cells(line)
                line = list(label)
                length = len(join_cells(line))
            line.append(part)
            length += len(part) + 3
    if line != label:
        yield join_cells(line)


def _parts(cell: str) -> Iterator[str]:
    """Yield a cell, or its parts with the name of its column if it is too long."""
    name, separator, text = cell.partition(": ")
    named = f"{name}{separator}" if separator and len(name) <= _LONGEST_LABEL else ""
    rest = text if named else cell
    is_long = len(rest) > _LONGEST_CELL
    while is_long and len(rest) > _LONGEST_PART:
        ends = [match.end() for match in _SENTENCE.finditer(rest, _LONGEST_PART // 2, _LONGEST_PART)]
        end = ends[-1] if ends else rest.rfind(" ", _LONGEST_PART // 2, _LONGEST_PART) + 1
        if not end:  # a word of that length is no text: it is not cut here
            space = re.compile(r"\s").search(rest, _LONGEST_PART)
            end = space.end() if space is not None else len(rest)
        yield f"{named}{rest[:end].rstrip()}"
        rest = rest[end:]
    if rest or not named:
        yield f"{named}{rest}"
