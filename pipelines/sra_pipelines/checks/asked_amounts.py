"""Find the figures that a question asks to compute with, by the words of rows and the years of columns.

A row is taken only if each word of its label stands in the question, and each word of the question in its label, the
headings above it, or what the page and the document are called. Where two rows fit and differ, none is taken.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from sra_pipelines.checks.calculations import Operand, Operation
from sra_pipelines.checks.table_amounts import PageAmount, read_amounts
from sra_pipelines.retrieval.keywords import keywords
from sra_pipelines.values import Passage

__all__ = ["asked_amounts"]

_YEAR = re.compile(r"\b(?:FY\s?)?((?:19|20)\d\d)\b")
_RANGE = re.compile(r"\b((?:19|20)\d\d)\s*(?:to|-|\u2013|through|until)\s*((?:19|20)\d\d)\b")
_PARTS = (  # dividend and divisor, as a question puts them
    re.compile(r"\bratio of (?P<a>.+?) to (?P<b>.+)", re.IGNORECASE),
    re.compile(r"\b(?:per ?cent(?:age)?|share|proportion) of (?P<b>.+?) (?:was|were|is|are) (?P<a>.+)", re.IGNORECASE),
    re.compile(r"(?P<a>.+?) as a (?:per ?cent(?:age)?|share|proportion) of (?P<b>.+)", re.IGNORECASE),
)
_SAID = (  # words that ask, and words that any report would do without
    "how much many what which was were is are did do does by in of the a an and or from to between for at on its it "
    "per percent percentage cent change changed difference increase increased decrease decreased rise rose risen fall "
    "fell fallen grow grew grown growth decline declined rate average mean sum total combined together ratio share "
    "margin proportion year years annual yearly fiscal financial period company group report reported consolidated "
    "ended end over across than more less calculate compute give amount value figure 's s"
)
_SAID_WORDS = frozenset(keywords([_SAID])[0]) | frozenset(_SAID.split())


def asked_amounts(question: str, operation: Operation, passages: Sequence[Passage]) -> list[Operand]:
    """Return the figures that a question asks to compute with; none where it or the pages leave a doubt.

    Parameters
    ----------
    question
        Such as "By how much did revenue rise from 2024 to 2025?". A difference or growth in one year is that against
        the year before.
    operation
        What is to be computed; of a sum nothing is found here.
    passages
        Where the figures are looked for.
    """
    years = sorted(set(_YEAR.findall(question)))
    if span := _RANGE.search(question):
        whole = [str(year) for year in range(int(span[1]), int(span[2]) + 1)]
        years = whole if operation == "average" else [span[1], span[2]]
    if operation == "ratio":
        parts = next((found for pattern in _PARTS if (found := pattern.search(question))), None)
        if parts is None or len(years) != 1:
            return []
        sides = [_row(parts[side], years, passages) for side in ("a", "b")]
        return [side[0] for side in sides if side] if all(sides) else []
    if operation in ("difference", "growth") and len(years) == 1:
        years = [str(int(years[0]) - 1), years[0]]
    if operation == "sum" or len(years) < 2 or (operation != "average" and len(years) != 2):
        return []
    return _row(question, years, passages)


def _row(asked: str, years: Sequence[str], passages: Sequence[Passage]) -> list[Operand]:
    """Return the figures of one row for each of the years."""
    words = _words(asked)
    best: list[tuple[int, list[Operand]]] = []
    for passage in passages:
        around = _words(passage.document) | _words(passage.text.lstrip().split("\n", 1)[0]) | _words(passage.section)
        for _, cells in groupby(read_amounts(passage.text), key=lambda one: one.start):
            row = list(cells)
            label = _words(row[0].label)
            above = _words(" ".join(row[0].heading))
            own = [[one for one in row if _YEAR.fullmatch(one.period) and one.period.endswith(y)] for y in years]
            fits = bool(label) and label <= words and words - label <= above | around
            if fits and all(len(cells) == 1 for cells in own):
                best.append((len(label), [_operand(cells[0], passage) for cells in own]))
    most = max((length for length, _ in best), default=0)
    rows = [row for length, row in best if length == most]
    values = {tuple((one.figure.value, one.figure.percent, one.unit) for one in row) for row in rows}
    return rows[0] if len(values) == 1 else []


def _operand(found: PageAmount, passage: Passage) -> Operand:
    return Operand.of(found.label, found, passage)


def _words(text: str) -> set[str]:
    return {word for word in keywords([_YEAR.sub(" ", text)])[0] if word not in _SAID_WORDS}
