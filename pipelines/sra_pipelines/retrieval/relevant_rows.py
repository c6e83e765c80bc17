"""Shorten the page of a statement to its headings, its columns and the rows that a question asks for."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence

from sra_pipelines.retrieval.keywords import keywords
from sra_pipelines.retrieval.packing import format_passages
from sra_pipelines.structure.page_lines import Line, page_lines
from sra_pipelines.values import Passage

__all__ = ["GAP", "select_rows"]

GAP = "..."  # stands for omitted rows
_MOST_HEADING = 8  # lines above the first row
_LEAST_ROWS = 3  # rows that are kept even if they fit badly
_LEAST_SCORE = 0.3
_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_COLUMNS = re.compile(
    rf"\b(?:19|20)\d\d\b|(?:in|of) (?:thousands|millions|billions)|ended|\bas (?:of|at)\b|\b(?:{_MONTHS}) \d", re.I
)


def select_rows(
    page: Passage, phrases: Sequence[str], question: str, budget: int, count_tokens: Callable[[str], int]
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

    Returns
    -------
    passage or None
        The shortened page, in which `GAP` stands for omitted lines; None if not even its headings and one row fit.
    """
    lines = page_lines(page.text)
    # "Years ended December 31" looks like a row, and names columns.
    rows = (number for number, line in enumerate(lines) if line.label and not _COLUMNS.search(line.text))
    first = next(rows, len(lines))
    heading = _heading_lines(lines, first)
    wanted = [set(words) for words in keywords(list(phrases))]
    asked = set(keywords([question])[0])
    scored = sorted(
        (-_score(line, wanted, asked), number) for number, line in enumerate(lines) if line.label and number >= first
    )
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


def _heading_lines(lines: Sequence[Line], first: int) -> list[int]:
    """Return the lines above the first row: the title of the statement, its unit and its columns."""
    above = range(max(0, first - _MOST_HEADING), first)
    columns = [number for number in above if _COLUMNS.search(lines[number].text)]
    return list(range(above.start, columns[-1] + 1 if columns else first))


def _score(line: Line, wanted: Sequence[set[str]], asked: set[str]) -> float:
    """Return how well a row fits: the best share of a phrase in its label, and the words of the question."""
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
