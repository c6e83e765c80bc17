"""Retrieve the passages for a question: dense and keyword search, fused, optionally re-ranked, and packed."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from typing import Literal, get_args

from sra_pipelines.index.passage_index import PassageIndex
from sra_pipelines.retrieval.fusion import reciprocal_rank_fusion
from sra_pipelines.retrieval.keywords import KeywordIndex
from sra_pipelines.retrieval.merging import by_page
from sra_pipelines.retrieval.packing import Order, Pages, pack_passages
from sra_pipelines.retrieval.reranking import Reranker
from sra_pipelines.values import Passage
from sra_rag.errors import ConfigError

__all__ = ["Method", "Retriever"]

Method = Literal["fused", "dense", "keywords"]

_CANDIDATES = 200  # candidates per search
_WORDS = 20  # candidates of the keyword search: after the first few, matches are weak
_RERANKED = 50
_WEIGHTS = (2.0, 1.0)  # dense, keywords; see docs/retrieval.md


class Retriever:
    """Searches one index. It is thread-safe.

    Parameters
    ----------
    index
        The index to search. The keyword index is built from its passages at the first question, and again when its
        `revision` changes.
    method
        ``"fused"`` (dense and keyword search, fused by reciprocal rank), ``"dense"`` (embeddings only) or
        ``"keywords"`` (BM25 only).
    reranker
        Model that re-ranks the best 50 passages; None for no re-ranking.
    order
        Order of the passages in the prompt, see `pack_passages`.
    whole_pages
        Whether pages are completed as far as the budget allows, see `pages` of `pack_passages`.

    Raises
    ------
    ConfigError
        If `method` or `order` is not one of the allowed values.
    """

    def __init__(
        self,
        index: PassageIndex,
        *,
        method: Method = "fused",
        reranker: Reranker | None = None,
        order: Order = "document",
        whole_pages: bool = True,
    ) -> None:
        if method not in get_args(Method):
            raise ConfigError(f"method={method!r} is not allowed. Use one of {', '.join(get_args(Method))}.")
        if order not in get_args(Order):
            raise ConfigError(f"order={order!r} is not allowed. Use one of {', '.join(get_args(Order))}.")
        self.index = index
        self.method = method
        self.reranker = reranker
        self.order = order
        self.whole_pages = whole_pages
        self._lock = threading.Lock()
        self._cached: _CachedRevision | None = None

    def search(self, question: str, limit: int = _CANDIDATES) -> list[Passage]:
        """Return the passages for a question, best first, with the scores of the last ranking step."""
        if self.method == "dense":
            hits = self.index.search(question, _CANDIDATES)
        else:
            cached = self._passages()
            words = [
                dataclasses.replace(cached.passages[number], score=score)
                for number, score in cached.keywords.search(
                    question, _CANDIDATES if self.method == "keywords" else _WORDS
                )
            ]
            hits = words if self.method == "keywords" else _fused(self.index.search(question, _CANDIDATES), words)
        if self.reranker is not None:
            hits = self.reranker.rerank(question, hits[:_RERANKED]) + hits[_RERANKED:]
        return hits[:limit]

    def retrieve(self, question: str, budget: int, count_tokens: Callable[[str], int]) -> list[Passage]:
        """Return the passages for a question that fit into `budget` tokens, merged and ordered; see `pack_passages`."""
        pages = self.pages() if self.whole_pages else None
        return pack_passages(self.search(question), budget, count_tokens, order=self.order, pages=pages)

    def pages(self) -> Pages:
        """Return all passages by page, ``(document, page_index)``."""
        return self._passages().pages

    def _passages(self) -> _CachedRevision:
        with self._lock:
            revision = self.index.revision
            if self._cached is None or self._cached.revision != revision:
                passages = self.index.passages()
                self._cached = _CachedRevision(revision, passages, KeywordIndex(passages), by_page(passages))
            return self._cached


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _CachedRevision:
    """Data derived from one revision of an index."""

    revision: int
    passages: Sequence[Passage]
    keywords: KeywordIndex
    pages: Pages


def _fused(dense: Sequence[Passage], words: Sequence[Passage]) -> list[Passage]:
    by_key = {passage.key: passage for passage in [*words, *dense]}
    rankings = [[passage.key for passage in ranking] for ranking in (dense, words)]
    fused = reciprocal_rank_fusion(rankings, weights=_WEIGHTS)
    return [dataclasses.replace(by_key[key], score=score) for key, score in fused]
