"""Keywords of texts: numbers and stemmed words, as keyword search and the checks of answers compare them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import Stemmer

from sra_pipelines.retrieval.languages import ENGLISH, stop_words
from sra_pipelines.unicode_forms import searchable

__all__ = ["Stems", "keywords", "split_words"]

# Letters and digits are separate tokens, so that "2018" matches "FY2018"; numbers keep their separators.
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+")


class Stems(dict[str, str]):
    """Stems of the words of one language, each found when it is first looked up; of stop words the empty string."""

    def __init__(self, language: str) -> None:
        super().__init__(dict.fromkeys(stop_words(language), ""))
        self._stem = Stemmer.Stemmer(language).stemWord

    def __missing__(self, word: str) -> str:
        stem = self[word] = self._stem(word)
        return stem


def keywords(texts: Sequence[str], language: str = ENGLISH) -> list[list[str]]:
    """Tokenize texts into numbers and stemmed, lower-case words in one Unicode form, without the stop words.

    Parameters
    ----------
    texts
        The texts.
    language
        Their language, one of `LANGUAGES`.
    """
    stems = Stems(language)
    return [[stem for word in split_words(searchable(text)) if (stem := stems[word])] for text in texts]


def split_words(text: str) -> list[str]:
    """Split a text in the form of `searchable` into its numbers and lower-case words."""
    return _TOKEN.findall(text.lower())
