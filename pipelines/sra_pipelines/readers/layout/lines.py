"""The text of a PDF page in lines: rows of tables on one line, and lines from the top to the bottom.

PDFium returns text in the order in which it was drawn. That is nearly always the order in which it is read, so the
positions of a few characters are enough to see that it is. Only if they show another order, the whole page is laid
out from the positions of all its characters (`sra_pipelines.readers.layout.blocks`), which takes longer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pypdfium2

from sra_pipelines.readers.layout.blocks import Run, by_position, reading_order
from sra_pipelines.readers.layout.characters import Box, Characters
from sra_pipelines.readers.layout.drawn import SAME_LINE, Line, rows_in_place

__all__ = ["HYPHEN", "page_lines"]

HYPHEN = "\ufffe"  # PDFium's mark for a hyphen at the end of a line
_BREAK = re.compile(f"\r\n|(?<={HYPHEN})")
_GAP = 1.2  # in character heights; the space between two columns, and more than between two words
_SAMPLED = 6  # lines
_LEAST_LETTERS = 12  # on each side of a gap between two columns of text
_LONG = 40  # characters
_BLANK = " \t\xa0"
_UPRIGHT = 1.3  # height of a digit or letter by its width; in text that runs up or down the page it is below 1
_WORDS = re.compile(r"\S+")
_SPACES = re.compile(r"(?<=\S)\s+(?=\S)")


def page_lines(text_page: pypdfium2.PdfTextPage, fields: Sequence[Run] = (), hidden: Sequence[Box] = ()) -> str:
    """Return the text of a page. Text at the same height is on one line, so that a row of a table is one line.

    Words that are broken at the end of a line have `HYPHEN` and a line break inside.

    Parameters
    ----------
    text_page
        Text page of PDFium.
    fields
        Text that is not in the content of the page, such as the values of fields, with its places.
    hidden
        Rectangles whose own text is left out, such as the glyph that draws a tick.
    """
    characters = Characters(text_page)
    if not characters.placed:
        return "\n".join([characters.text.replace("\r\n", "\n"), *(field.text for field in fields)])
    text = characters.with_raised_digits()
    lines = _drawn_lines(text, characters)
    rows = _joined(lines)
    if fields or hidden:
        return by_position([*_runs(text, characters, lines, hidden), *fields])
    if all(line.is_level for line in lines):
        placed = rows_in_place(text, rows, lambda line, place: _cut(text, characters, line, place))
        if placed is None or _has_columns(text, characters, rows):
            laid_out = reading_order(_runs(text, characters, lines, ()))
            if laid_out is not None:
                return laid_out
        rows = placed or rows
    return "\n".join(" ".join(text[line.start : line.end] for line in row) for row in rows)


def _drawn_lines(text: str, characters: Characters) -> list[Line]:
    lines: list[Line] = []
    box = characters.box
    start = 0
    for match in [*_BREAK.finditer(text), None]:
        end = len(text) if match is None else match.start()
        first, last = start, end
        while first < end and text[first] in _BLANK:
            first += 1
        while last > first and text[last - 1] in _BLANK:
            last -= 1
        if last > first:
            line = Line(first, last, box(first), box(last - 1))
            lines += [line] if line.first.bottom == line.last.bottom else _level_parts(text, characters, line)
        if match is not None:
            start = match.end()
    return lines


def _level_parts(text: str, characters: Characters, line: Line) -> list[Line]:
    """Cut a line where it continues below itself: PDFium takes figures in a column for one number, such as 21 and 7."""
    if line.first.middle - line.last.middle < SAME_LINE * line.height and line.is_level:  # its end is raised or lowered
        return [line]
    parts: list[Line] = []
    start, last = line.start, line.first
    for index in range(line.start + 1, line.end):
        if text[index] in _BLANK:
            continue
        box = characters.box(index)
        is_upright = last.height > _UPRIGHT * (last.right - last.left)
        is_lower = last.middle - box.middle >= SAME_LINE * min(last.height, box.height)
        if is_upright and is_lower and box.left < (last.left + last.right) / 2:
            end = line.start + len(text[line.start : index].rstrip())
            parts.append(Line(start, end, characters.box(start), characters.box(end - 1)))
            start = index
        last = box
    return [*parts, Line(start, line.end, characters.box(start), line.last)]


def _cut(text: str, characters: Characters, line: Line, place: float) -> list[Line]:
    for match in re.finditer(r"(?<=\s)\S+", text[line.start : line.end]):
        start = line.start + match.start()
        first = characters.box(start)
        if first.left > place:
            end = line.start + len(text[line.start : start].rstrip())
            return [Line(line.start, end, line.first, characters.box(end - 1)), Line(start, line.end, first, line.last)]
    return [line]


def _joined(lines: Sequence[Line]) -> list[list[Line]]:
    """Join lines that are at the same height and drawn one after the other."""
    rows: list[list[Line]] = []
    last: Box | None = None
    for line in lines:
        if last is not None and _continues(last, line.first):
            rows[-1].append(line)
        else:
            rows.append([line])
        last = line.last
    return rows


def _continues(left: Box, right: Box) -> bool:
    left_height = left.top - left.bottom
    if right.left < left.right - left_height:  # most lines: the next one starts at the margin
        return False
    height = min(left_height, right.height)
    return height > 0 and abs(left.middle - right.middle) < SAME_LINE * height and right.left >= left.right - height


def _has_columns(text: str, characters: Characters, rows: Sequence[Sequence[Line]]) -> bool:
    """Return whether most of some long lines have a gap with words on both sides, as two columns of text have."""
    spans = [(row[0].start, row[-1].end) for row in rows]
    long = [(start, end) for start, end in spans if end - start > _LONG]
    sample = long[:: max(1, len(long) // _SAMPLED)][:_SAMPLED]
    if len(sample) < 3:
        return False
    gaps = others = 0
    for start, end in sample:
        if _has_gap(text, characters, start, end):
            gaps += 1
        else:
            others += 1
        if 2 * max(gaps, others) > len(sample):
            break
    return 2 * gaps > len(sample)


def _has_gap(text: str, characters: Characters, start: int, end: int) -> bool:
    spaces = [match.span() for match in _SPACES.finditer(text, start + _LEAST_LETTERS, end - _LEAST_LETTERS + 1)]
    for last, first in characters.gaps(spaces, _GAP):
        before, after = _letters(text[start:last]), _letters(text[first:end])
        if before + after < (end - start) / 2 or after < _LEAST_LETTERS:
            return False
        if before >= _LEAST_LETTERS:
            return True
    return False


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def _runs(text: str, characters: Characters, lines: Sequence[Line], hidden: Sequence[Box]) -> list[Run]:
    """Cut lines where there is a wide gap between two words, or where the height changes."""
    runs: list[Run] = []
    for line in lines:
        box: Box | None = None
        start = line.start
        for match in _WORDS.finditer(text[line.start : line.end]):
            first, last = line.start + match.start(), line.start + match.end()
            left, right = characters.box(first), characters.box(last - 1)
            word = Box(left.left, min(left.bottom, right.bottom), right.right, max(left.top, right.top))
            if any(area.holds(word) for area in hidden):
                continue
            if box is not None and _continues(box, word) and word.left - box.right < _GAP * box.height:
                box = Box(box.left, box.bottom, word.right, box.top)
                runs[-1] = Run(text[start:last], box)
            else:
                box, start = word, first
                runs.append(Run(text[first:last], box))
    return runs
