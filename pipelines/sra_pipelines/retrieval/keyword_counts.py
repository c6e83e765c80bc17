"""The keywords of the passages of one document, counted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sra_pipelines.retrieval.keywords import Stems, split_words
from sra_pipelines.retrieval.languages import LANGUAGES, LONGEST, first_words, language_of_passage, languages_of
from sra_pipelines.retrieval.postings import Postings
from sra_pipelines.unicode_forms import searchable
from sra_pipelines.values import Passage

__all__ = ["KeywordCounter", "KeywordCounts"]


class KeywordCounts(NamedTuple):
    """How often the passages of a document contain keywords.

    Parameters
    ----------
    words
        The keywords of the document.
    postings
        Their occurrences; the number of a word is its position in `words`.
    languages
        Language of each passage, as its position in `LANGUAGES`; uint8, [passages].
    """

    words: list[str]
    postings: Postings
    languages: npt.NDArray[np.uint8]


class KeywordCounter:
    """Counts the keywords of documents. A word that several documents contain is stemmed once."""

    def __init__(self) -> None:
        self._stems: dict[str, Stems] = {}

    def count(self, passages: Sequence[Passage]) -> KeywordCounts:
        """Count the keywords of the passages of one document, which include the names of the document and its sections.

        The words of a passage are stemmed in its language, see `languages_of`.
        """
        texts = [_words_and_language(passage.text) for passage in passages]
        languages = languages_of([language for _, language in texts])
        names = [f"{passage.document} {passage.section}" for passage in passages]
        words_of_names = {name: split_words(searchable(name)) for name in set(names)}
        vocabulary: dict[str, int] = {}
        number_in = {name: _Numbers(self._stems_of(name), vocabulary).__getitem__ for name in set(languages)}
        postings = Postings.of(
            [
                list(filter(None, map(number_in[language], chain(words_of_names[name], words))))
                for name, (words, _), language in zip(names, texts, languages, strict=True)
            ]
        )
        return KeywordCounts(
            list(vocabulary),
            postings._replace(words=postings.words - 1),
            np.array([LANGUAGES.index(name) for name in languages], np.uint8),
        )

    def _stems_of(self, language: str) -> Stems:
        if language not in self._stems:
            self._stems[language] = Stems(language)
        return self._stems[language]


class _Numbers(dict[str, int]):
    """Numbers of the keywords of words of one language, from 1, in a vocabulary that grows; 0 for stop words."""

    def __init__(self, stems: Stems, vocabulary: dict[str, int]) -> None:
        self._stems, self._vocabulary = stems, vocabulary

    def __missing__(self, word: str) -> int:
        stem = self._stems[word]
        number = self[word] = self._vocabulary.setdefault(stem, len(self._vocabulary) + 1) if stem else 0
        return number


def _words_and_language(text: str) -> tuple[list[str], str | None]:
    """Split the text of a passage, and return its language by its words, if they tell."""
    normal = searchable(text)
    words = split_words(normal)
    if normal == text and len(text) <= LONGEST:  # so these are also the words that `language_of` would find
        return words, language_of_passage(words)
    return words, language_of_passage(first_words(text))
