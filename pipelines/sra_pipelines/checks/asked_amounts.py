"""Find the amounts for the calculation that a question asks for, by the words of rows and the years of columns.

A row matches only if each word of its label is in the question, and each word of the question is in its label, in the
headings above it, or in the names of the page and the document. If several rows match and differ, none is used.
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
_PARTS = (  # dividend and divisor, in the phrases of a question
    re.compile(r"\bratio of (?P<a>.+?) to (?P<b>.+)", re.IGNORECASE),
    re.compile(r"\b(?:per ?cent(?:age)?|share|proportion) of (?P<b>.+?) (?:was|were|is|are) (?P<a>.+)", re.IGNORECASE),
    re.compile(r"(?P<a>.+?) as a (?:per ?cent(?:age)?|share|proportion) of (?P<b>.+)", re.IGNORECASE),
)
_IGNORED = (  # words of a question that do not identify a row
    "how much many what which was were is are did do does by in of the a an and or from to between for at on its it "
    "per percent percentage cent change changed difference increase increased decrease decreased rise rose risen fall "
    "fell fallen grow grew grown growth decline declined rate average mean sum total combined together ratio share "
    "margin proportion year years annual yearly fiscal financial period company group report reported consolidated "
    "ended end over across than more less calculate compute give amount value figure 's s"
)
_IGNORED_WORDS = frozenset(keywords([_IGNORED])[0]) | frozenset(_IGNORED.split())


def asked_amounts(question: str, operation: Operation, passages: Sequence[Passage]) -> list[Operand]:
    """Return the amounts for the calculation that a question asks for; empty if the question or pages are ambiguous.

    Parameters
    ----------
    question
        The question, such as "By how much did revenue rise from 2024 to 2025?". A difference or growth in a single year
        is relative to the previous year.
    operation
        The operation to compute. Sums are not supported, and return an empty list.
    passages
        Passages in which the amounts are searched.
    """
    years = sorted(set(_YEAR.findall(question)))
    if span := _RANGE.search(question):
        whole = [str(year) for year in range(int(span[1]), int(span[2]) + 1)]
        years = whole if operation == "average" else [span[1], span[2]]
    if operation == "ratio":
        parts = next((match for pattern in _PARTS if (match := pattern.search(question))), None)
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
    """Return the amounts of one row, one for each year."""
    words = _words(asked)
    best: list[tuple[int, list[Operand]]] = []
    for passage in passages:
        around = _words(passage.document) | _words(passage.text.lstrip().split("\n", 1)[0]) | _words(passage.section)
        for _, cells in groupby(read_amounts(passage.text), key=lambda amount: amount.start):
            row = list(cells)
            label = _words(row[0].label)
            above = _words(" ".join(row[0].heading))
            own = [[cell for cell in row if _YEAR.fullmatch(cell.period) and cell.period.endswith(y)] for y in years]
            fits = bool(label) and label <= words and words - label <= above | around
            if fits and all(len(cells) == 1 for cells in own):
                best.append((len(label), [_operand(cells[0], passage) for cells in own]))
    most = max((length for length, _ in best), default=0)
    rows = [row for length, row in best if length == most]
    values = {tuple((operand.figure.value, operand.figure.percent, operand.unit) for operand in row) for row in rows}
    return rows[0] if len(values) == 1 else []


def _operand(amount: PageAmount, passage: Passage) -> Operand:
    return Operand.of(amount.label, amount, passage)


def _words(text: str) -> set[str]:
    return {word for word in keywords([_YEAR.sub(" ", text)])[0] if word not in _IGNORED_WORDS}
