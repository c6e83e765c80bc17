"""Cite the pages that an answer rests on: those whose passages share most with it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from sra_pipelines.passages import Passage

__all__ = ["Citation", "cite"]

_WORD = re.compile(r"\d[\d.,]*\d|\d|[^\W\d_]{3,}")
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
    """

    document: str
    page_index: int
    page_label: str
    overlap: float

    def __str__(self) -> str:
        return f"{self.document}, page {self.page_label}"


def cite(answer: str, question: str, passages: Sequence[Passage]) -> list[Citation]:
    """Find the pages whose passages hold what the answer says, best first, at most three.

    Words of the question count only where the answer has no others: they stand in every passage that was found
    with them.
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
            best[page] = Citation(passage.document, passage.page_index, passage.page_label, overlap)
    ranked = sorted(best.values(), key=lambda citation: -citation.overlap)
    if not ranked:
        return []
    return [c for c in ranked[:_MOST] if c.overlap >= max(_LEAST, _CLOSE * ranked[0].overlap)]


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}
