"""Cite the pages that support an answer: those whose passages share the most words and numbers with it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

from sra_pipelines.checks.references import CLAUSE_MARK, names_a_clause
from sra_pipelines.checks.support import Claim, Support, where_claimed
from sra_pipelines.retrieval.merging import merge_passages
from sra_pipelines.retrieval.packing import Pages
from sra_pipelines.values import Passage

__all__ = ["Citation", "cite", "stands"]

_WORD = re.compile(r"\d[\d.,]*\d|\d|[^\W\d_]{3,}")
_LINE = re.compile(r"\S(?:[^\n]*?\S)?(?=\s*\n|\s*$|(?<=[.!?])\s+(?=[A-Z]))")
_FIGURE_WEIGHT = 3.0  # a number identifies the source of an answer better than a word does
_MOST = 3
_PROSE = 5  # words of a line that can be the beginning of a sentence
_CLOSE = 0.75  # a page is cited in addition to the best one if its overlap is at least this share of the best overlap
_LEAST = 0.25  # a smaller overlap does not support an answer


@dataclasses.dataclass(frozen=True, slots=True)
class Citation:
    """A page that supports an answer.

    Parameters
    ----------
    document
        Name of the document.
    page_index, page_label
        Zero-based position of the page, and its label for readers.
    overlap
        Share of the answer's numbers and words (numbers have three times the weight) that are in the passage, in
        [0, 1].
    quote
        The lines of the page that contain most of them.
    start, end
        Span of the quote in the text of the page, in characters.
    """

    document: str
    page_index: int
    page_label: str
    overlap: float
    quote: str = ""
    start: int = 0
    end: int = 0

    def __str__(self) -> str:
        return f"{self.document}, page {self.page_label}"


def cite(
    answer: str,
    question: str,
    passages: Sequence[Passage],
    pages: Pages | None = None,
    best_lines: Mapping[int, str] | None = None,
    support: Support | None = None,
) -> list[Citation]:
    """Find the pages whose passages support an answer, best first, at most three.

    Words of the question are ignored if the answer has other words, because all passages that were retrieved with them
    contain them.

    Parameters
    ----------
    answer, question
        Texts of the answer and the question.
    passages
        The passages in the prompt.
    pages
        All passages of each page, from the index. If given, a citation is omitted if its quote is not on the page at
        the span that it names.
    best_lines
        Of the passages that were chosen as evidence, by index: the best line. Where passages, or lines of a passage,
        have the same words of the answer, these are cited first: a figure alone often is in several.
    support
        Which amounts and dates of the answer are in which passages. With it, "26" is also found as "twenty-six".
    """
    best_lines = best_lines or {}
    # A passage that has an amount as it is written is a better source than one that has it in another way.
    as_written = [_words(_without_marks(passage.text)) for passage in passages]
    claims = [
        claim
        for claim in (() if support is None else support.claims)
        if claim.kind != "name" and claim.passages and not any(_words(claim.text) <= words for words in as_written)
    ]
    words = _words(answer)
    new = words - _words(question)
    weights = {word: _FIGURE_WEIGHT if word[0].isdigit() else 1.0 for word in (new or words)}
    total = sum(weights.values())
    if total == 0:
        return []
    numbers = {word for word in weights if word[0].isdigit()}
    marks_count = names_a_clause(answer)
    best: dict[tuple[str, int], Citation] = {}
    # The sort is stable, and a page is replaced only by a larger overlap.
    for number in sorted(range(len(passages)), key=lambda number: number not in best_lines):
        passage = passages[number]
        text = passage.text if marks_count else _without_marks(passage.text)
        otherwise = [claim for claim in claims if number in claim.passages]
        passage_words = _words(text).union(*(_words(claim.text) for claim in otherwise))
        if numbers and not numbers & passage_words:  # a page without any number of the answer does not support it
            continue
        overlap = sum(weight for word, weight in weights.items() if word in passage_words) / total
        page = passage.document, passage.page_index
        if page not in best or overlap > best[page].overlap:
            start, end = _quote(text, weights, best_lines.get(number, ""), otherwise)
            quote = passage.text[start:end]
            first = _position(passage, start, quote, pages)
            citation = Citation(
                passage.document, passage.page_index, passage.page_label, overlap, quote, first, first + len(quote)
            )
            if pages is None or stands(citation, pages.get(page, ())):
                best[page] = citation
    ranked = sorted(best.values(), key=lambda citation: -citation.overlap)
    if not ranked:
        return []
    return [c for c in ranked[:_MOST] if c.overlap >= max(_LEAST, _CLOSE * ranked[0].overlap)]


def _position(
    passage: Passage, start: int, quote: str, pages: Mapping[tuple[str, int], Sequence[Passage]] | None
) -> int:
    """Return the offset of a quote on its page. A passage of selected rows lacks lines, so the quote is searched."""
    if passage.end - passage.start != len(passage.text):
        for whole in merge_passages((pages or {}).get((passage.document, passage.page_index), ())):
            if quote in whole.text:
                return whole.start + whole.text.index(quote)
    return passage.start + start


def stands(citation: Citation, page: Sequence[Passage]) -> bool:
    """Return whether the quote of a citation is on its page at its span. `page` holds all passages of the page."""
    for passage in merge_passages(page):
        text = passage.text[max(0, citation.start - passage.start) : citation.end - passage.start]
        if passage.start <= citation.start and text.split() == citation.quote.split() != []:
            return True
    return False


def _quote(text: str, weights: Mapping[str, float], best_line: str, otherwise: Sequence[Claim] = ()) -> tuple[int, int]:
    """Return the span of the sentence or line with the most weight, and of a neighbour that adds half as much.

    Lines that a sentence continues on are added while they have further words of the answer: a quote that ends at the
    line end before the amount would not show what it supports.

    Of lines with the same weight, one that is part of the best line of the evidence is preferred. `otherwise` are
    amounts and dates of the answer that the passage has in another writing.
    """
    spans = [match.span() for match in _LINE.finditer(text)] or [(0, len(text))]
    span_words = [{word for word in _words(text[start:end]) if word in weights} for start, end in spans]
    for claim in otherwise:
        for number in where_claimed(claim.text, [text[start:end] for start, end in spans]):
            span_words[number] |= {word for word in _words(claim.text) if word in weights}

    def total_weight(words: set[str]) -> float:
        return sum(weights[word] for word in words)

    best = max(
        range(len(spans)), key=lambda i: (total_weight(span_words[i]), _is_part(text[slice(*spans[i])], best_line))
    )
    first = last = best
    words = span_words[best]
    for neighbour in (best - 1, best + 1):
        if 0 <= neighbour < len(spans) and total_weight(span_words[neighbour] - words) >= 0.5 * total_weight(words):
            first, last = min(first, neighbour), max(last, neighbour)
            words = words | span_words[neighbour]
    lines = [text[start:end] for start, end in spans]
    while first > 0 and _continues(lines[first - 1], lines[first]) and span_words[first - 1] - words:
        first -= 1
        words = words | span_words[first]
    while last + 1 < len(spans) and _continues(lines[last], lines[last + 1]) and span_words[last + 1] - words:
        last += 1
        words = words | span_words[last]
    return spans[first][0], spans[last][1]


def _continues(line: str, following: str) -> bool:
    """Return whether a sentence of prose goes on from one line to the next; rows of tables and headings do not."""
    words = line.split()
    if len(words) < _PROSE or "|" in line + following or line[-1] in ".!?:;":
        return False
    return following[0].islower() or line[-1] == "," or words[-1].islower()


def _without_marks(text: str) -> str:
    """Return a text of the same length in which the numbers of clauses and items are blank: they are no amounts."""
    return CLAUSE_MARK.sub(lambda match: " " * len(match[0]), text)


def _is_part(line: str, best_line: str) -> bool:
    """Return whether one of two lines contains the other; line breaks do not count."""
    one, other = " ".join(line.split()), " ".join(best_line.split())
    return bool(one and other) and (one in other or other in one)


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}
