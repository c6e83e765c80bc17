"""Keyword search with BM25, which finds names, clauses and amounts that dense retrieval misses."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import NamedTuple

import bm25s
import Stemmer

from sra_pipelines.retrieval.languages import ENGLISH, language_of, languages_of, stop_words
from sra_pipelines.unicode_forms import searchable
from sra_pipelines.values import Passage

__all__ = ["KeywordIndex", "keywords"]

# Letters and digits are separate tokens, so that "2018" matches "FY2018"; numbers keep their separators.
_TOKEN = r"(?u)\d+(?:[.,]\d+)*|[^\W\d_]+"  # noqa: S105 - a pattern, not a secret


def keywords(texts: Sequence[str], language: str = ENGLISH) -> list[list[str]]:
    """Tokenize texts into numbers and stemmed, lower-case words in one Unicode form, without the stop words.

    Parameters
    ----------
    texts
        The texts.
    language
        Their language, one of `LANGUAGES`.
    """
    tokens = bm25s.tokenize(
        [searchable(text) for text in texts],
        token_pattern=_TOKEN,
        stopwords=list(stop_words(language)),
        stemmer=Stemmer.Stemmer(language),
        return_ids=False,
        show_progress=False,
    )
    return [list(words) for words in tokens]


class KeywordIndex:
    """BM25 index over passages, including the names of their documents and sections.

    The words of a passage are stemmed in its language, see `languages_of`.

    Parameters
    ----------
    passages
        The passages to search.
    before
        The index over an earlier revision of the passages: those that both have (the same objects) are not tokenized
        again.
    """

    def __init__(self, passages: Sequence[Passage], before: KeywordIndex | None = None) -> None:
        self.n_passages = len(passages)
        known = {} if before is None else before._tokenized
        read = {id(new.passage): new for new in _tokenize([p for p in passages if id(p) not in known])}
        self._tokenized: dict[int, _Tokenized] = {
            id(passage): known.get(id(passage)) or read[id(passage)] for passage in passages
        }
        of_passages = [self._tokenized[id(passage)] for passage in passages]
        self._languages = list(dict.fromkeys(tokenized.language for tokenized in of_passages)) or [ENGLISH]
        self._bm25 = bm25s.BM25()
        if passages:
            self._bm25.index([tokenized.words for tokenized in of_passages], show_progress=False)

    def weights(self, question: str) -> dict[str, float]:
        """Return the weight of each keyword of a question: the fewer passages contain it, the more it weighs."""
        weights = {}
        for word in set(keywords([question])[0]):
            count = self._n_containing(word)
            weights[word] = math.log(1 + (self.n_passages - count + 0.5) / (count + 0.5))
        return weights

    def _n_containing(self, word: str) -> int:
        """Return the number of passages that contain a word: they are the entries of its column of scores."""
        number = self._bm25.vocab_dict.get(word) if self.n_passages else None
        if number is None:
            return 0
        starts = self._bm25.scores["indptr"]
        return int(starts[number + 1] - starts[number])

    def search(self, question: str, limit: int) -> list[tuple[int, float]]:
        """Return positions and scores of up to `limit` passages that share words with a question, best first.

        The words of the question are stemmed in its language, if passages have it, and otherwise in each language of
        the passages.
        """
        words = self._words(question)
        if not words or not self.n_passages:
            return []
        scores = self._bm25.get_scores(words)
        best = scores.argsort(kind="stable")[::-1][:limit]
        return [(int(number), float(scores[number])) for number in best if scores[number] > 0]

    def _words(self, question: str) -> list[str]:
        language = self._languages[0]
        if len(self._languages) > 1:
            own = language_of(question, {*self._languages, ENGLISH})
            if own is None or own not in self._languages:
                every = [keywords([question], name)[0] for name in self._languages]
                return list(dict.fromkeys(word for words in every for word in words))
            language = own
        return keywords([question], language)[0]


class _Tokenized(NamedTuple):
    passage: Passage  # kept, so that its identity stays its own
    language: str
    words: list[str]


def _tokenize(passages: Sequence[Passage]) -> list[_Tokenized]:
    """Tokenize passages in the language of each; equal words are one string."""
    languages = languages_of([passage.text for passage in passages], [passage.document for passage in passages])
    tokenized: dict[int, _Tokenized] = {}
    for language in dict.fromkeys(languages):
        numbers = [number for number, name in enumerate(languages) if name == language]
        chosen = [passages[number] for number in numbers]
        texts = [f"{passage.document} {passage.section} {passage.text}" for passage in chosen]
        for number, words in zip(numbers, keywords(texts, language), strict=True):
            tokenized[number] = _Tokenized(passages[number], language, [sys.intern(word) for word in words])
    return [tokenized[number] for number in range(len(passages))]
