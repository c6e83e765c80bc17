"""Fuse the rankings for a question with those for the phrases and pages of its topics."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from sra_pipelines.retrieval.fusion import reciprocal_rank_fusion
from sra_pipelines.retrieval.revision import Revision
from sra_pipelines.retrieval.vocabulary import VocabularyEntry
from sra_pipelines.values import Passage

__all__ = ["TopicSettings", "about", "add_topics", "fuse"]

_WEIGHTS = (2.0, 1.0)  # dense, keywords; see docs/retrieval.md

_DECIDING = 3  # best passages whose documents decide which vocabulary is used
_DECIDING_IN_LANGUAGE = 5  # of topics of one language, for which one passage is enough; see docs/retrieval.md


@dataclasses.dataclass(frozen=True, slots=True)
class TopicSettings:
    """How the topics of a question change its search; how the values were chosen is in docs/retrieval.md.

    Parameters
    ----------
    dense, keywords
        Weights of the rankings for the phrases of the topics by meaning and by words, for all topics together. The
        ranking of the question by meaning has weight 2, by words 1.
    pages
        Weight of the ranking of the passages that are on pages of the topics.
    kept
        Number of passages that stay first: the best for the question itself.
    ahead
        Number of passages that precede the statements when passages are packed, see `pack_passages`.
    least_budget
        Number of tokens below which no statements are included: they would leave no space for passages.
    """

    dense: float = 2.0
    keywords: float = 0.5
    pages: float = 0.5
    kept: int = 2
    ahead: int = 4
    least_budget: int = 400


def fuse(dense: Sequence[Passage], words: Sequence[Passage]) -> list[Passage]:
    """Return the fused ranking of a question by meaning and by words, with the fused scores."""
    return _fused([dense, words], _WEIGHTS)


def add_topics(
    dense: Sequence[Passage],
    words: Sequence[Passage],
    entries: Sequence[VocabularyEntry],
    revision: Revision,
    settings: TopicSettings,
) -> list[Passage]:
    """Return the ranking of a question fused with those of its topics.

    Parameters
    ----------
    dense, words
        The passages for the question by meaning and by words, best first.
    entries
        The topics that the question matches, at least one.
    revision
        The index.
    settings
        Weights of the rankings of the topics.
    """
    rankings, weights = [dense, words], list(_WEIGHTS)
    for entry in entries:
        rankings += revision.rankings(entry)
        weights += [settings.dense / len(entries), settings.keywords / len(entries)]
    ranked = [passage for passage, _ in _ranked(rankings, weights)]
    rankings.append(_on_pages_of(entries, ranked, revision))
    return _fused(rankings, [*weights, settings.pages])


def about(entry: VocabularyEntry, ranked: Sequence[Passage], revision: Revision) -> bool:
    """Return whether most of the best passages for a question are in documents that a topic is for.

    For a topic of one language, one of the five best passages is enough: the question is in this language, and the best
    passages are then often any that are in it, whatever they are about.
    """
    best = ranked[: _DECIDING_IN_LANGUAGE if entry.language else _DECIDING]
    n_of_type = sum(revision.is_of_type(passage.document, entry.documents) for passage in best)
    return n_of_type > 0 if entry.language else 2 * n_of_type > len(best)


def _fused(rankings: Sequence[Sequence[Passage]], weights: Sequence[float]) -> list[Passage]:
    return [dataclasses.replace(passage, score=score) for passage, score in _ranked(rankings, weights)]


def _ranked(rankings: Sequence[Sequence[Passage]], weights: Sequence[float]) -> list[tuple[Passage, float]]:
    """Return the fused ranking without the cost of new passages: their scores are those of their first ranking."""
    by_key = {passage.key: passage for ranking in reversed(rankings) for passage in ranking}
    fused = reciprocal_rank_fusion([[passage.key for passage in ranking] for ranking in rankings], weights=weights)
    return [(by_key[key], score) for key, score in fused]


def _on_pages_of(entries: Sequence[VocabularyEntry], ranked: Sequence[Passage], revision: Revision) -> list[Passage]:
    """Return the passages of a ranking that are on the pages of the topics."""
    pages = {
        (document, kind.page_index)
        for document in {passage.document for passage in ranked}
        for kind in revision.kinds(document)
        if any(entry.describes(kind) for entry in entries)
    }
    return [passage for passage in ranked if (passage.document, passage.page_index) in pages]
