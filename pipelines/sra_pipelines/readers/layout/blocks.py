"""Bring the pieces of a page into reading order by their positions: rows of tables, and columns of text."""

from __future__ import annotations

import dataclasses
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from sra_pipelines.readers.layout.characters import Box

__all__ = ["Run", "by_position", "reading_order"]

_SAME_ROW = 0.5  # in heights of the lower of two runs
_TRIED = 60  # places of a gap between two columns
_MARGIN = 0.15  # share of the width of the text in which no such gap is looked for
_LEAST_LINES = 3  # of a column of text
_LEAST_LETTERS = 15  # in the mean of its lines
_LEAST_SHARE = 0.65  # of letters in a column of text
_MOST_CROSSING = 0.35  # share of the lines that may cross the gap, such as titles


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """Words beside each other without a wide gap.

    Parameters
    ----------
    text
        The words.
    box
        Their place on the page.
    """

    text: str
    box: Box


def by_position(runs: Sequence[Run]) -> str:
    """Return the text of runs: columns of text one after the other, everything else row by row."""
    return "\n".join(_ordered(list(runs)))


def reading_order(runs: Sequence[Run]) -> str | None:
    """Return the text of runs in reading order, or None if they are in this order as they were drawn.

    A page whose columns of text were drawn one after the other is in order, though its lines go up once.
    """
    drawn = [run.text for run in runs]
    ordered = _ordered(list(runs))
    return None if " ".join(ordered) == " ".join(drawn) else "\n".join(ordered)


def _ordered(runs: list[Run]) -> list[str]:
    gap = _column_gap(runs)
    if gap is None:
        return _rows(runs)
    lines: list[str] = []
    left: list[Run] = []
    right: list[Run] = []
    for run in sorted(runs, key=lambda run: -run.box.middle):
        if run.box.right <= gap:
            left.append(run)
        elif run.box.left >= gap:
            right.append(run)
        else:  # a line across both columns ends them
            lines += [*_ordered(left), *_ordered(right), *_rows([run])]
            left, right = [], []
    return [*lines, *_ordered(left), *_ordered(right)]


def _rows(runs: Sequence[Run]) -> list[str]:
    rows: list[list[Run]] = []
    for run in sorted(runs, key=lambda run: -run.box.middle):
        last = rows[-1][0].box if rows else None
        if last is not None and last.middle - run.box.middle < _SAME_ROW * max(1.0, min(last.height, run.box.height)):
            rows[-1].append(run)
        else:
            rows.append([run])
    return [" ".join(run.text for run in sorted(row, key=lambda run: run.box.left)) for row in rows]


def _column_gap(runs: Sequence[Run]) -> float | None:
    """Return where the gap between two columns of text is, or None if there are none."""
    if len(runs) < 2 * _LEAST_LINES:
        return None
    start, end = min(run.box.left for run in runs), max(run.box.right for run in runs)
    width = end - start
    # Runs that cross a place start before it and do not end before it.
    boxes = [run.box for run in runs if run.box.left < run.box.right]
    lefts, rights = sorted(box.left for box in boxes), sorted(box.right for box in boxes)
    best: tuple[int, float] | None = None
    for step in range(_TRIED + 1):
        place = start + width * (_MARGIN + (1 - 2 * _MARGIN) * step / _TRIED)
        crossing = bisect_left(lefts, place) - bisect_right(rights, place)
        if (best is None or crossing < best[0]) and _are_columns(runs, place, crossing):
            best = crossing, place
    return None if best is None else best[1]


def _are_columns(runs: Sequence[Run], place: float, crossing: int) -> bool:
    if crossing > _MOST_CROSSING * len(runs):
        return False
    sides = [run for run in runs if run.box.right <= place], [run for run in runs if run.box.left >= place]
    return all(_is_text(side) for side in sides)


def _is_text(runs: Sequence[Run]) -> bool:
    """Return whether runs are lines of text, and not the cells of a table."""
    letters = sum(sum(map(str.isalpha, run.text)) for run in runs)
    signs = sum(len(run.text) - run.text.count(" ") for run in runs)
    return len(runs) >= _LEAST_LINES and letters >= _LEAST_LETTERS * len(runs) and letters >= _LEAST_SHARE * signs
