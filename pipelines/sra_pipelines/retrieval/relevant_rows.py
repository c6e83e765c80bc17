"""Shorten the page of a statement to its headings, its columns and the rows that a question asks for."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence

from sra_pipelines.retrieval.keywords import keywords
from sra_pipelines.retrieval.packing import format_passages
from sra_pipelines.structure.page_lines import Line, page_lines, plain_label
from sra_pipelines.values import Passage

__all__ = ["GAP", "select_rows"]

GAP = "..."  # stands for omitted rows
_MOST_HEADING = 8  # lines above the first row, without those that are the date of a column
_LEAST_ROWS = 3  # rows that are kept even if they fit badly
_LEAST_SCORE = 0.3
_NEEDED, _AROUND = 3.0, 2.0  # more than the score of any other row
_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_DATE = re.compile(rf"(?:{_MONTHS}) \d{{1,2}},?|(?:19|20)\d\d", re.IGNORECASE)
_COLUMNS = re.compile(
    rf"\b(?:19|20)\d\d\b|(?:in|of) (?:thousands|millions|billions)|ended|\bas (?:of|at)\b|\b(?:{_MONTHS}) \d", re.I
)


def select_rows(
    page: Passage,
    phrases: Sequence[str],
    question: str,
    budget: int,
    count_tokens: Callable[[str], int],
    needed: re.Pattern[str] | None = None,
) -> Passage | None:
    """Return a page with its headings and its most relevant rows, within a token budget.

    Parameters
    ----------
    page
        The whole page as one passage.
    phrases
        What documents write for the topics of the question, such as ``"total current assets"``.
    question
        The question.
    budget
        Maximum number of tokens, including the heading of the passage.
    count_tokens
        Function that returns the number of tokens of a text.
    needed
        Pattern of the labels of rows that precede all others, in the form of `plain_label`.

    Returns
    -------
    passage or None
        The shortened page, in which `GAP` stands for omitted lines; None if not even its headings and one row fit.
    """
    lines = page_lines(page.text)
    columns = next((number for number, line in enumerate(lines) if _COLUMNS.search(line.text)), -1)
    # "Years ended December 31" looks like a row, and names columns; "Page 11 of 15" above them is not a row either.
    rows = (n for n, line in enumerate(lines) if line.label and n > columns and not _COLUMNS.search(line.text))
    first = next(rows, len(lines))
    heading = _heading_lines(lines, first)
    wanted = [set(words) for words in keywords(list(phrases))]
    asked = set(keywords([question])[0])
    scores = {n: _score(line, wanted, asked, needed) for n, line in enumerate(lines) if line.label and n >= first}
    scores |= _around_parts(scores, len(lines))
    scored = sorted((-score, number) for number, score in scores.items())
    kept, best = set(heading), None
    for place, (score, number) in enumerate(scored):
        if score == 0 or (place >= _LEAST_ROWS and -score < _LEAST_SCORE):
            break
        candidate = _shortened(page, lines, kept | {number})
        if count_tokens(format_passages([candidate])) > budget:
            break
        kept.add(number)
        best = candidate
    return best


def _around_parts(scores: Mapping[int, float], n_lines: int) -> dict[int, float]:
    """Return scores for the lines around needed rows that are next to each other.

    They can be the parts of a sum, and the lines around show that no part is left out.
    """
    needed = {number for number, score in scores.items() if score == _NEEDED}
    parts = {number for number in needed if number - 1 in needed or number + 1 in needed}
    around = {other for number in parts for other in (number - 1, number + 1)} - needed
    return {number: _AROUND for number in around if 0 <= number < n_lines}


def _heading_lines(lines: Sequence[Line], first: int) -> list[int]:
    """Return the lines above the first row: the title of the statement, its unit and its columns."""
    start, counted = first, 0
    while start > 0 and counted < _MOST_HEADING:
        start -= 1
        counted += not _DATE.fullmatch(lines[start].text)
    above = range(start, first)
    columns = [number for number in above if _COLUMNS.search(lines[number].text)]
    return list(range(above.start, columns[-1] + 1 if columns else first))


def _score(line: Line, wanted: Sequence[set[str]], asked: set[str], needed: re.Pattern[str] | None) -> float:
    """Return how well a row fits: the best share of a phrase in its label, and the words of the question."""
    if needed is not None and needed.fullmatch(plain_label(line.label)):
        return _NEEDED
    label = set(keywords([line.label])[0])
    if not label:
        return 0.0
    phrase = max((len(label & words) ** 2 / (len(words) * len(label)) for words in wanted if words), default=0.0)
    own = len(label & asked) ** 2 / len(label) / max(1, len(label))
    return max(phrase, own) + 0.1 * min(phrase, own)


def _shortened(page: Passage, lines: Sequence[Line], kept: set[int]) -> Passage:
    parts: list[str] = []
    last = -1
    for number in sorted(kept):
        if number > last + 1 and parts:
            parts.append(GAP)
        parts.append(lines[number].text)
        last = number
    if last < len(lines) - 1:
        parts.append(GAP)
    return dataclasses.replace(page, text="\n".join(parts))
