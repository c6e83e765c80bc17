"""Find the passages for a question: by meaning and by words, fused; looked at again where asked; packed."""

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

_CANDIDATES = 200  # passages considered of each search
_WORDS = 20  # passages that the words put forward: beyond the first few, rare words say little
_RERANKED = 50
_WEIGHTS = (2.0, 1.0)  # meaning, words: see docs/retrieval.md


class Retriever:
    """Searches one index. Several threads may use it at once.

    Parameters
    ----------
    index
        What to search. The keyword index is built from its passages at the first question, and again when its
        `revision` changes.
    method
        ``"fused"`` (meaning and words, by reciprocal rank), ``"dense"`` (meaning alone) or ``"keywords"`` (BM25 alone).
    reranker
        Looks at the best 50 again; None for not.
    order, whole_pages
        How passages are packed, see `pack_passages`.

    Raises
    ------
    ConfigError
        If there is no such method.
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
        self._known: _Known | None = None

    def search(self, question: str, limit: int = _CANDIDATES) -> list[Passage]:
        """Return passages for a question, best first, scored by what ranked them last."""
        if self.method == "dense":
            found = self.index.search(question, _CANDIDATES)
        else:
            known = self._passages()
            words = [
                dataclasses.replace(known.passages[number], score=score)
                for number, score in known.keywords.search(
                    question, _CANDIDATES if self.method == "keywords" else _WORDS
                )
            ]
            found = words if self.method == "keywords" else _fused(self.index.search(question, _CANDIDATES), words)
        if self.reranker is not None:
            found = self.reranker.rerank(question, found[:_RERANKED]) + found[_RERANKED:]
        return found[:limit]

    def retrieve(self, question: str, budget: int, count_tokens: Callable[[str], int]) -> list[Passage]:
        """Return what fits into `budget` tokens for a question, merged and in order; see `pack_passages`."""
        pages = self.pages() if self.whole_pages else None
        return pack_passages(self.search(question), budget, count_tokens, order=self.order, pages=pages)

    def pages(self) -> Pages:
        """Return all passages of each page, ``(document, page_index)``."""
        return self._passages().pages

    def _passages(self) -> _Known:
        with self._lock:
            revision = self.index.revision
            if self._known is None or self._known.revision != revision:
                passages = self.index.passages()
                self._known = _Known(revision, passages, KeywordIndex(passages), by_page(passages))
            return self._known


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """What was made of one revision of an index."""

    revision: int
    passages: Sequence[Passage]
    keywords: KeywordIndex
    pages: Pages


def _fused(dense: Sequence[Passage], words: Sequence[Passage]) -> list[Passage]:
    by_key = {passage.key: passage for passage in [*words, *dense]}
    rankings = [[passage.key for passage in ranking] for ranking in (dense, words)]
    fused = reciprocal_rank_fusion(rankings, weights=_WEIGHTS)
    return [dataclasses.replace(by_key[key], score=score) for key, score in fused]
