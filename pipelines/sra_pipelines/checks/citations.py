"""Cite the pages that an answer rests on: those whose passages share most with it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

from sra_pipelines.retrieval.merging import merge_passages
from sra_pipelines.retrieval.packing import Pages
from sra_pipelines.values import Passage

__all__ = ["Citation", "cite", "stands"]

_WORD = re.compile(r"\d[\d.,]*\d|\d|[^\W\d_]{3,}")
_LINE = re.compile(r"\S(?:[^\n]*?\S)?(?=\s*\n|\s*$|(?<=[.!?])\s+(?=[A-Z]))")
_FIGURE_WEIGHT = 3.0  # a figure says more about where an answer comes from than a word does
_MOST = 3
_CLOSE = 0.75  # a page is cited beside the best one if it shares at least so much as that one
_LEAST = 0.25  # an answer that shares less with every passage rests on none


@dataclasses.dataclass(frozen=True, slots=True)
class Citation:
    """A page that an answer rests on.

    Parameters
    ----------
    document
        Name of the document.
    page_index, page_label
        Zero-based position of the page, and what a reader calls it.
    overlap
        Share of the answer's figures and words (figures weigh three times) that stand in the passage, in [0, 1].
    quote
        The lines of the page that hold most of them.
    start, end
        The characters of the page's text that the quote takes.
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


def cite(answer: str, question: str, passages: Sequence[Passage], pages: Pages | None = None) -> list[Citation]:
    """Find the pages whose passages hold what the answer says, best first, at most three.

    Words of the question count only where the answer has no others: they stand in every passage that was found
    with them.

    Parameters
    ----------
    answer, question, passages
        What was answered, asked and given.
    pages
        All passages of each page, as the index has them. Where given, a citation whose quote does not stand on its
        page, at the place that it names, is left out.
    """
    words = _words(answer)
    new = words - _words(question)
    weights = {word: _FIGURE_WEIGHT if word[0].isdigit() else 1.0 for word in (new or words)}
    total = sum(weights.values())
    if total == 0:
        return []
    figures = {word for word in weights if word[0].isdigit()}
    best: dict[tuple[str, int], Citation] = {}
    for passage in passages:
        held = _words(passage.text)
        if figures and not figures & held:  # an answer in figures does not rest on a page that has none of them
            continue
        overlap = sum(weight for word, weight in weights.items() if word in held) / total
        page = passage.document, passage.page_index
        if page not in best or overlap > best[page].overlap:
            start, end = _quote(passage.text, weights)
            citation = Citation(
                passage.document,
                passage.page_index,
                passage.page_label,
                overlap,
                passage.text[start:end],
                passage.start + start,
                passage.start + end,
            )
            if pages is None or stands(citation, pages.get(page, ())):
                best[page] = citation
    ranked = sorted(best.values(), key=lambda citation: -citation.overlap)
    if not ranked:
        return []
    return [c for c in ranked[:_MOST] if c.overlap >= max(_LEAST, _CLOSE * ranked[0].overlap)]


def stands(citation: Citation, page: Sequence[Passage]) -> bool:
    """Whether the quote of a citation stands on its page where it says; `page` are all passages of the page."""
    for passage in merge_passages(page):
        held = passage.text[max(0, citation.start - passage.start) : citation.end - passage.start]
        if passage.start <= citation.start and held.split() == citation.quote.split() != []:
            return True
    return False


def _quote(text: str, weights: Mapping[str, float]) -> tuple[int, int]:
    """Find the sentence or line that holds most, with a neighbour that adds half as much again."""
    spans = [found.span() for found in _LINE.finditer(text)] or [(0, len(text))]
    held = [{word for word in _words(text[start:end]) if word in weights} for start, end in spans]

    def worth(words: set[str]) -> float:
        return sum(weights[word] for word in words)

    best = max(range(len(spans)), key=lambda i: worth(held[i]))
    start, end = spans[best]
    words = held[best]
    for neighbour in (best - 1, best + 1):
        if 0 <= neighbour < len(spans) and worth(held[neighbour] - words) >= 0.5 * worth(words):
            start, end = min(start, spans[neighbour][0]), max(end, spans[neighbour][1])
            words = words | held[neighbour]
    return start, end


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}
