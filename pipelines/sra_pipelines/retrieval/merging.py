"""Merge passages of a page that overlap or are adjacent, so that no text is repeated in a prompt."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from sra_pipelines.values import Passage

__all__ = ["PagesOfDocuments", "by_page", "merge_passages"]

_TOUCHING = 3  # characters: splitters drop the white space between two passages


def by_page(passages: Iterable[Passage]) -> dict[tuple[str, int], list[Passage]]:
    """Group passages by their page, ``(document, page_index)``; the order within a page is kept."""
    pages: dict[tuple[str, int], list[Passage]] = {}
    for passage in passages:
        pages.setdefault((passage.document, passage.page_index), []).append(passage)
    return pages


class PagesOfDocuments(Mapping[tuple[str, int], Sequence[Passage]]):
    """The passages of documents by page, ``(document, page_index)``, as `by_page` groups them.

    Parameters
    ----------
    documents
        The passages of each document. They are grouped when a page of the document is first asked for.
    grouped
        Pages of documents that are grouped already, see `grouped`.
    """

    def __init__(
        self,
        documents: Mapping[str, Sequence[Passage]],
        grouped: Mapping[str, Mapping[int, Sequence[Passage]]] | None = None,
    ) -> None:
        self._documents = documents
        self._grouped = dict(grouped or {})

    def grouped(self, documents: Collection[str]) -> dict[str, Mapping[int, Sequence[Passage]]]:
        """Return the pages that have been grouped so far, of some of the documents, by page index."""
        return {name: pages for name, pages in self._grouped.copy().items() if name in documents}

    def __getitem__(self, page: tuple[str, int]) -> Sequence[Passage]:
        document, page_index = page
        return self._pages(document)[page_index]

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return ((document, page_index) for document in self._documents for page_index in self._pages(document))

    def __len__(self) -> int:
        return sum(len(self._pages(document)) for document in self._documents)

    def _pages(self, document: str) -> Mapping[int, Sequence[Passage]]:
        pages = self._grouped.get(document)
        if pages is None:  # two threads may both group it, with the same result
            pages = {page_index: own for (_, page_index), own in by_page(self._documents[document]).items()}
            self._grouped[document] = pages
        return pages


def merge_passages(passages: Sequence[Passage]) -> list[Passage]:
    """Merge the passages of one page that overlap or are adjacent, and return them in reading order.

    A merged passage has the best score, the first section and the whole span of its parts. White space that was dropped
    between two passages is restored as a line break. Passages with an unknown span (``end - start`` differs from the
    length of the text) are returned unchanged.
    """
    merged: list[Passage] = []
    for passage in sorted(passages, key=lambda p: (p.start, p.end)):
        joined = _join(merged[-1], passage) if merged else None
        if joined is None:
            merged.append(passage)
        else:
            merged[-1] = joined
    return merged


def _join(first: Passage, second: Passage) -> Passage | None:
    if any(p.end - p.start != len(p.text) or not p.text for p in (first, second)):
        return None
    shared = first.end - second.start
    if shared < -_TOUCHING:
        return None
    if shared > 0 and not first.text[second.start - first.start :].startswith(second.text[:shared]):
        return None  # the span of one of the two is wrong
    gap = "\n".ljust(-shared) if shared < 0 else ""
    return dataclasses.replace(
        first,
        text=first.text + gap + second.text[max(0, shared) :],
        end=max(first.end, second.end),
        score=max(first.score, second.score),
        section=first.section or second.section,
    )
