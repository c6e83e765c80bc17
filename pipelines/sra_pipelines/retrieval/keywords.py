"""Keyword search with BM25, which finds names, clauses and amounts that dense retrieval misses."""

from __future__ import annotations

from collections.abc import Sequence

import bm25s
import Stemmer

from sra_pipelines.unicode_forms import searchable
from sra_pipelines.values import Passage

__all__ = ["KeywordIndex", "keywords"]

# Letters and digits are separate tokens, so that "2018" matches "FY2018"; numbers keep their separators.
_TOKEN = r"(?u)\d+(?:[.,]\d+)*|[^\W\d_]+"  # noqa: S105 - a pattern, not a secret


def keywords(texts: Sequence[str]) -> list[list[str]]:
    """Tokenize texts into numbers and stemmed, lower-case words in one Unicode form, without English stop words."""
    tokens = bm25s.tokenize(
        [searchable(text) for text in texts],
        token_pattern=_TOKEN,
        stopwords="en",
        stemmer=Stemmer.Stemmer("english"),
        return_ids=False,
        show_progress=False,
    )
    return [list(words) for words in tokens]


class KeywordIndex:
    """BM25 index over passages, including the names of their documents and sections.

    Parameters
    ----------
    passages
        The passages to search.
    """

    def __init__(self, passages: Sequence[Passage]) -> None:
        self.n_passages = len(passages)
        self._bm25 = bm25s.BM25()
        if passages:
            texts = [f"{passage.document} {passage.section} {passage.text}" for passage in passages]
            self._bm25.index(keywords(texts), show_progress=False)

    def search(self, question: str, limit: int) -> list[tuple[int, float]]:
        """Return positions and scores of up to `limit` passages that share words with a question, best first."""
        words = keywords([question])[0]
        if not words or not self.n_passages:
            return []
        scores = self._bm25.get_scores(words)
        best = scores.argsort(kind="stable")[::-1][:limit]
        return [(int(number), float(scores[number])) for number in best if scores[number] > 0]
