"""Questions to start with, made from the headings of the documents."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import zip_longest

from sra_pipelines.values import Passage

__all__ = ["suggested_questions"]

_NUMBERING = re.compile(
    r"^(?:(?:section|article|part|chapter|note)\s+)?(?:\d+(?:\.\d+)*|[IVXLC]+)[.):]?\s+", re.IGNORECASE
)
_MOST_WORDS = 6
_WORDS = re.compile(r"[A-Za-z][\w,&'\u2019/-]*(?: [\w,&'\u2019/-]+)*")
_DULL = {"contents", "table of contents", "index", "introduction", "appendix", "definitions", "signatures", "general"}


def suggested_questions(passages: Iterable[Passage], most: int = 3) -> list[str]:
    """Return questions about sections of the documents, from different documents if possible.

    Parameters
    ----------
    passages
        All passages of the documents, in reading order.
    most
        Maximum number of questions.
    """
    headings: dict[str, dict[str, None]] = {}
    for passage in passages:
        heading = _usable(passage.section)
        if heading:
            headings.setdefault(passage.document, {})[heading] = None
    by_document = [list(_spread(document, list(names), most)) for document, names in headings.items()]
    in_turn = [question for round_ in zip_longest(*by_document) for question in round_ if question]
    return in_turn[:most]


def _usable(section: str) -> str:
    heading = _NUMBERING.sub("", " ".join(section.split()))
    words = heading.split()
    if not _WORDS.fullmatch(heading) or not 1 <= len(words) <= _MOST_WORDS or len(heading) < 5:
        return ""
    return "" if heading.lower() in _DULL else heading


def _spread(document: str, headings: list[str], most: int) -> Iterator[str]:
    """Yield questions about headings that are spread over a document."""
    step = max(1, len(headings) // most)
    for heading in headings[step // 2 :: step]:
        heading = heading.capitalize() if heading.isupper() else heading
        yield f"What does {document} say about \u201c{heading}\u201d?"
