"""The keywords of the passages of one document, counted, and as bytes that an index stores."""

from __future__ import annotations

import hashlib
import unicodedata
import zlib
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import Stemmer

from sra_pipelines.retrieval.keywords import Stems, split_words
from sra_pipelines.retrieval.languages import (
    LANGUAGES,
    LONGEST,
    first_words,
    language_of_passage,
    languages_of,
    stop_words,
)
from sra_pipelines.retrieval.postings import Integers, Postings, Vocabulary
from sra_pipelines.unicode_forms import searchable
from sra_pipelines.values import Passage

__all__ = ["CountsBlock", "KeywordCounter", "KeywordCounts", "PackedCounts", "counting_rules"]

_RULES = 1  # version of the rules for keywords; increase it when they change: earlier counts are then made again
_FAST = 1  # level of compression: higher ones are slower, and save hardly more


@cache
def counting_rules() -> str:
    """Return the version of the rules for keywords, with all that they depend on: stop words, stemmer and Unicode."""
    stopped = hashlib.sha256(repr([stop_words(name) for name in LANGUAGES]).encode()).hexdigest()
    return f"{_RULES}, stop words {stopped[:8]}, Snowball {Stemmer.version()}, Unicode {unicodedata.unidata_version}"


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

    @classmethod
    def joined(cls, parts: Sequence[tuple[KeywordCounts, npt.NDArray[np.bool_]]]) -> KeywordCounts:
        """Join counts: the passages of each part that are to be kept, one part after the other.

        Words that none of these passages contains are left out.

        Parameters
        ----------
        parts
            Counts, each with whether its passages are kept; bool, [passages].
        """
        vocabulary = Vocabulary()
        postings = Postings.joined([
            (own.postings._replace(words=np.array(vocabulary.numbers(own.words), np.int32)), kept)
            for own, kept in parts
        ])  # fmt: skip
        words = list(vocabulary)
        return cls(
            [words[number] for number in postings.words.tolist()],
            postings._replace(words=np.arange(len(postings.words), dtype=np.int32)),
            np.concatenate([own.languages[kept] for own, kept in parts]),
        )

    def pack(self) -> bytes:
        """Return the counts as bytes, the same on all machines, compressed."""
        return zlib.compress(self.to_bytes(), _FAST)

    def to_bytes(self) -> bytes:
        """Return the counts as bytes, the same on all machines."""
        postings = self.postings
        arrays = [
            _narrow(own)
            for own in (np.diff(postings.starts), postings.rows, postings.counts, postings.lengths, self.languages)
        ]
        header = np.array([len(self.words), len(self.languages), *(own.itemsize for own in arrays)], "<u4")
        return b"".join([header.tobytes(), *(own.tobytes() for own in arrays), "\n".join(self.words).encode()])

    @classmethod
    def unpack(cls, packed: bytes) -> KeywordCounts:
        """Return the counts that `pack` has written."""
        return cls.from_bytes(zlib.decompress(packed))

    @classmethod
    def from_bytes(cls, content: bytes) -> KeywordCounts:
        """Return the counts that `to_bytes` has written. Their occurrences are read from these bytes, not copied."""
        n_words, n_passages, *sizes = np.frombuffer(content, "<u4", 7).tolist()
        end = 28

        def take(number: int, size: int) -> npt.NDArray[np.unsignedinteger[Any]]:
            nonlocal end
            first, end = end, end + number * size
            return np.frombuffer(content, f"<u{size}", number, first)

        starts = np.concatenate([[0], np.cumsum(take(n_words, sizes[0]), dtype=np.int64)])
        rows, counts = (take(int(starts[-1]), size) for size in sizes[1:3])
        lengths, languages = (take(n_passages, size) for size in sizes[3:])
        words = content[end:].decode().split("\n") if n_words else []
        postings = Postings(np.arange(n_words, dtype=np.int32), starts, rows, counts, lengths.astype(np.int32))
        return cls(words, postings, languages.astype(np.uint8))


class PackedCounts(NamedTuple):
    """The counts of a document as they are stored, and its passages, which they count."""

    passages: Sequence[Passage]
    packed: bytes


class CountsBlock(NamedTuple):
    """The counts of several documents together, as bytes (see `KeywordCounts.to_bytes`), and their passages.

    Parameters
    ----------
    documents
        The passages of each document, which are counted one document after the other.
    content
        The counts.
    """

    documents: Sequence[Sequence[Passage]]
    content: bytes


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


def _narrow(values: Integers) -> Integers:
    """Return values that are not negative in the smallest type that holds them, the low byte first."""
    return values.astype(np.min_scalar_type(int(values.max(initial=0))).newbyteorder("<"))


def _words_and_language(text: str) -> tuple[list[str], str | None]:
    """Split the text of a passage, and return its language by its words, if they tell."""
    normal = searchable(text)
    words = split_words(normal)
    if normal == text and len(text) <= LONGEST:  # so these are also the words that `language_of` would find
        return words, language_of_passage(words)
    return words, language_of_passage(first_words(text))
