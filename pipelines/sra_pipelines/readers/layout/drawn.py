"""Lines as a page draws them: put each figure beside its label, and lines from the top to the bottom.

Programs draw a table row by row, cell by cell or column by column. A cell of several lines is best read as drawn, so
lines of words stay as they are drawn as long as that goes from left to right. Figures are put beside the label at their
height: read after all labels, they mean nothing.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence

from sra_pipelines.readers.layout.characters import Box

__all__ = ["SAME_LINE", "Line", "rows_in_place"]

SAME_LINE = 0.6  # in character heights
_NEAR = 1.8  # in character heights; the distance of two lines of a cell
_FIGURE = re.compile(
    r"\W*(?:[A-Z]{3}\s|[A-Z]{0,2}[$€£¥]\s?)?\W?\d[\d.,\s]*\W?\s?(?:[^\W\d_]{1,7}\.?)?\W*|[([]\w{1,2}[)\]]|[*†‡—–-]+"  # noqa: RUF001
)
_YEAR = re.compile(r"(?:19|20)\d\d")


@dataclasses.dataclass(slots=True)
class Line:
    """A line as drawn.

    Parameters
    ----------
    start, end
        Its span in the text of the page.
    first, last
        The boxes of its first and last character.
    """

    start: int
    end: int
    first: Box
    last: Box

    @property
    def middle(self) -> float:
        """Height at which its middle is."""
        first, last = self.first, self.last
        return ((first.top + first.bottom) / 2 + (last.top + last.bottom) / 2) / 2

    @property
    def height(self) -> float:
        """Height of the lower of its ends."""
        return min(self.first.height, self.last.height)

    @property
    def is_level(self) -> bool:
        """Whether it goes from left to right, and not up or down the page."""
        first, last = self.first, self.last
        if first.top == last.top and first.bottom == last.bottom:  # most lines
            return first.top > first.bottom
        return self.height > 0 and abs(self.first.middle - self.last.middle) < self.height


Row = list[Line]
Cut = Callable[[Line, float], list[Line]]


def rows_in_place(text: str, rows: Sequence[Row], cut: Cut) -> list[Row] | None:
    """Return rows with each figure beside its label, or None if the order in which they are drawn is no reading order.

    Parameters
    ----------
    text
        Text of the page.
    rows
        Lines that are at the same height and drawn one after the other.
    cut
        Function that cuts a line in two before the first word right of a place, given in points.
    """
    middles = [row[0].middle for row in rows]
    if middles == sorted(middles, reverse=True):  # most pages
        return list(rows)
    from_top = sorted(rows, key=lambda row: -row[0].middle)
    drawn = {row[0].start: number for number, row in enumerate(rows)}
    beside = [group for group in _level_groups(from_top) if len(group) > 1]
    if not beside:  # a footer, or a line that was drawn earlier or later; or columns whose lines are not level
        return list(rows) if any(map(_is_staggered, from_top, from_top[1:])) else from_top
    joined: dict[int, list[Row]] = {}
    moved: set[int] = set()
    for group in beside:
        labels = [row for row in group if not _is_figure(text, rows, drawn[row[0].start])]
        numbers = [drawn[row[0].start] for row in sorted(labels, key=_left)]
        if numbers != sorted(numbers):
            return None  # words on the right were drawn before words on the left
        for row in group:
            if labels and row not in labels:
                label = max((other for other in labels if _left(other) < _left(row)), key=_left, default=labels[0])
                joined.setdefault(label[0].start, [label]).append(row)
                moved.add(row[0].start)
    result = []
    for row in rows:
        if row[0].start not in moved:
            label, *figures = joined.get(row[0].start, [row])
            result.append(_with_figures(label, figures, cut))
    return result


def _with_figures(label: Row, figures: Sequence[Row], cut: Cut) -> Row:
    """Put figures between the words of a label at their places."""
    parts = list(label)
    for figure in figures:
        place = _left(figure)
        parts = [
            piece
            for line in parts
            for piece in (cut(line, place) if line.first.left < place < line.last.left else [line])
        ] + figure
    return sorted(parts, key=lambda line: line.first.left)


def _is_staggered(above: Row, below: Row) -> bool:
    """Return whether two rows are beside each other, one somewhat lower."""
    apart = _left(below) > above[-1].last.right or _left(above) > below[-1].last.right
    return apart and above[0].middle - below[0].middle < min(above[0].height, below[0].height)


def _left(row: Row) -> float:
    return row[0].first.left


def _level_groups(from_top: Sequence[Row]) -> Iterator[list[Row]]:
    group: list[Row] = []
    for row in from_top:
        if group and group[0][0].middle - row[0].middle >= SAME_LINE * min(group[0][0].height, row[0].height):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _is_figure(text: str, rows: Sequence[Row], number: int) -> bool:
    row = rows[number]
    words = text[row[0].start : row[-1].end]
    if not _FIGURE.fullmatch(words):
        return False
    return not (_YEAR.fullmatch(words) and number > 0 and _is_below(rows[number - 1], row))


def _is_below(above: Row, row: Row) -> bool:
    """Return whether a line continues the cell of the line before it, as the year of a date does."""
    distance = above[0].middle - row[0].middle
    overlap = min(above[-1].last.right, row[-1].last.right) - max(_left(above), _left(row))
    return 0 < distance < _NEAR * row[0].height and overlap > 0
