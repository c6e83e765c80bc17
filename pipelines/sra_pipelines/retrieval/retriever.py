"""Retrieve the passages for a question: dense and keyword search, fused, optionally re-ranked, and packed."""

from __future__ import annotations

import dataclasses
import re
import threading
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, get_args

from sra_pipelines.index.passage_index import PassageIndex
from sra_pipelines.presets import load_preset
from sra_pipelines.retrieval.named_documents import prefer_documents
from sra_pipelines.retrieval.packing import Order, Pages, PlacedPage, pack_passages, ranks_of, tokens_needed
from sra_pipelines.retrieval.placing import PlacedStatement, needed_statements, place_statements, statements_among
from sra_pipelines.retrieval.reranking import Reranker
from sra_pipelines.retrieval.revision import Revision
from sra_pipelines.retrieval.topic_fusion import TopicSettings, about, add_topics, fuse
from sra_pipelines.retrieval.vocabulary import Expansion, VocabularyEntry, expand
from sra_pipelines.unicode_forms import composed
from sra_pipelines.values import Passage
from sra_rag.errors import ConfigError

__all__ = ["Method", "Retrieved", "Retriever"]

Method = Literal["fused", "dense", "keywords"]

_CANDIDATES = 200  # candidates per search
_CANDIDATES_NAMED = 2000  # of the dense search, if a document is named: it may have few of the best passages
_WORDS = 20  # candidates of the keyword search: after the first few, matches are weak
_RERANKED = 50
_SHORTEST_OF = 20  # best passages, of which the shortest is named if none fits


class Retrieved(NamedTuple):
    """The result of a search.

    Parameters
    ----------
    passages
        The passages, merged and ordered.
    expansion
        What the vocabulary added to the search; None if nothing.
    closest
        Cosine of the question and the passage closest in meaning; None if the search was by keywords only.
    statements
        Which pages of the passages are statements; empty if the topics of the question need none.
    least
        Number of tokens that the shortest of the best passages needs, if passages were found and none of them fits.
    ranks
        The rank of the best part of each passage in the search; 0 is the best.
    """

    passages: list[Passage]
    expansion: Expansion | None
    closest: float | None
    statements: Sequence[PlacedStatement] = ()
    least: int | None = None
    ranks: Sequence[int] = ()


class _Ranking(NamedTuple):
    """A ranking, the topics that changed it, and the cosine of the passage closest in meaning."""

    hits: list[Passage]
    entries: list[VocabularyEntry]
    closest: float | None


class Retriever:
    """Searches one index. It is thread-safe.

    Parameters
    ----------
    index
        The index to search. The keyword index is built from its passages at the first question, and updated when its
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

    vocabulary
        What people ask and what documents write for it, used by the method ``"fused"``. A question that matches an
        entry is also searched for the phrases of the entry, and the statements that the entry names are included; other
        questions are not affected. By default the vocabulary of all presets of the package; empty for none.
    topics
        How much the vocabulary counts; by default `TopicSettings()`.

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
        vocabulary: Sequence[VocabularyEntry] | None = None,
        topics: TopicSettings | None = None,
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
        self.vocabulary = load_preset("general").vocabulary if vocabulary is None else tuple(vocabulary)
        self.topics = topics or TopicSettings()
        self._lock = threading.Lock()
        self._cached: Revision | None = None

    def search(self, question: str, limit: int = _CANDIDATES) -> list[Passage]:
        """Return the passages for a question, best first, with the scores of the last ranking step."""
        return self._ranked(question).hits[:limit]

    def retrieve(self, question: str, budget: int, count_tokens: Callable[[str], int]) -> list[Passage]:
        """Return the passages for a question that fit into `budget` tokens, merged and ordered; see `pack_passages`."""
        return self.retrieve_expanded(question, budget, count_tokens).passages

    def retrieve_expanded(
        self,
        question: str,
        budget: int,
        count_tokens: Callable[[str], int],
        needed_rows: re.Pattern[str] | None = None,
    ) -> Retrieved:
        """Return the result of `retrieve`, with what the vocabulary added and how close the closest passage is.

        `needed_rows` is a pattern of the labels of rows of statements that a shortened page has before others.
        """
        hits, entries, closest = self._ranked(question)
        hits = hits[:_CANDIDATES]
        placed: Sequence[PlacedPage] = ()
        if entries and budget >= self.topics.least_budget:
            placed = place_statements(question, entries, hits, self._revision(), count_tokens, needed_rows)
        pages = self.pages() if self.whole_pages else None
        packed = pack_passages(
            hits, budget, count_tokens, order=self.order, pages=pages, placed=placed, ahead=self.topics.ahead
        )
        statements = statements_among(packed, self._revision()) if needed_statements(entries) else ()
        least = None
        if hits and not packed:
            least = min(tokens_needed(passage, count_tokens) for passage in hits[:_SHORTEST_OF])
        expansion = Expansion.of(entries) if entries else None
        return Retrieved(packed, expansion, closest, statements, least, ranks_of(packed, hits))

    def expansion(self, question: str) -> Expansion | None:
        """Return what the vocabulary adds to the search for a question; None if nothing."""
        entries = self._ranked(question).entries
        return Expansion.of(entries) if entries else None

    def pages(self) -> Pages:
        """Return all passages by page, ``(document, page_index)``."""
        return self._revision().pages

    def word_weights(self, question: str) -> dict[str, float]:
        """Return the weight of each keyword of a question, see `KeywordIndex.weights`."""
        return self._revision().keywords.weights(question)

    def _ranked(self, question: str) -> _Ranking:
        question = composed(question)
        if self.method == "dense":
            hits = self.index.search(question, _CANDIDATES)
            ranking = _Ranking(hits, [], _best_score(hits))
        elif self.method == "keywords":
            ranking = _Ranking(self._by_words(question, _CANDIDATES), [], None)
        else:
            ranking = self._with_topics(question)
        if self.reranker is not None:
            hits = ranking.hits
            ranking = ranking._replace(hits=self.reranker.rerank(question, hits[:_RERANKED]) + hits[_RERANKED:])
        return ranking

    def _with_topics(self, question: str) -> _Ranking:
        revision = self._revision()
        named = revision.names.in_question(question)
        dense = self.index.search(question, _CANDIDATES_NAMED if named else _CANDIDATES)
        words = self._by_words(question, _WORDS)
        own = prefer_documents(fuse(dense, words), named)
        entries = [entry for entry in expand(question, self.vocabulary) if about(entry, own, revision)]
        closest = _best_score(dense)
        if not entries:
            return _Ranking(own, entries, closest)
        kept = own[: self.topics.kept]
        keys = {passage.key for passage in kept}
        with_topics = prefer_documents(add_topics(dense, words, entries, revision, self.topics), named)
        ranked = kept + [passage for passage in with_topics if passage.key not in keys]
        return _Ranking(ranked, entries, closest)

    def _by_words(self, question: str, limit: int) -> list[Passage]:
        revision = self._revision()
        return [
            dataclasses.replace(revision.passages[number], score=score)
            for number, score in revision.keywords.search(question, limit)
        ]

    def _revision(self) -> Revision:
        with self._lock:
            if self._cached is None or self._cached.number != self.index.revision:
                self._cached = Revision(self.index, self.vocabulary, self._cached)
            return self._cached


def _best_score(hits: Sequence[Passage]) -> float | None:
    return hits[0].score if hits else None
