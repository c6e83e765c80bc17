"""Occurrences of words in passages, by word: what a keyword search computes its scores from."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Integers", "Postings", "Vocabulary"]

Integers = npt.NDArray[np.integer[Any]]

_ROW_BITS = 32  # low bits of a key that is sorted: the passage; the high bits are the word


class Vocabulary:
    """Numbers of words. Revisions of an index share it: a word keeps its number. It is thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[str, int] = {}

    def __iter__(self) -> Iterator[str]:
        """Iterate over the words by number."""
        return iter(list(self._numbers))

    def number(self, word: str) -> int | None:
        """Return the number of a word, or None if it has none."""
        return self._numbers.get(word)

    def numbers(self, words: Iterable[str]) -> list[int]:
        """Return the numbers of words; new words get the next ones."""
        with self._lock:
            numbers = self._numbers
            return [numbers.setdefault(word, len(numbers)) for word in words]


class Postings(NamedTuple):
    """The occurrences of words in some passages, as a sparse matrix with a column for each word that occurs.

    Parameters
    ----------
    words
        Numbers of the words that occur; [words].
    starts
        Where the passages of each word start in `rows` and `counts`, and the end of the last; [words + 1].
    rows
        Passages that contain a word: their positions in these postings, in ascending order for each word.
    counts
        How often each of them contains the word.
    lengths
        Number of words in each passage; [passages].
    """

    words: Integers
    starts: Integers
    rows: Integers
    counts: Integers
    lengths: Integers

    @classmethod
    def of(cls, passages: Sequence[Sequence[int]]) -> Postings:
        """Count the words of passages, each given as the numbers of its words."""
        lengths = np.array([len(words) for words in passages], np.int64)
        keys = np.fromiter(chain.from_iterable(passages), np.int64, count=int(lengths.sum())) << _ROW_BITS
        keys |= np.repeat(np.arange(len(passages)), lengths)
        pairs, counts = np.unique(keys, return_counts=True)
        return _by_word(pairs >> _ROW_BITS, pairs & ((1 << _ROW_BITS) - 1), counts, lengths)

    def order(self) -> Integers:
        """Return the positions in `words` by ascending number, which `of_word` needs; [words]."""
        return self.words.argsort(kind="stable")  # what is sorted already takes one pass

    def of_word(self, number: int, order: Integers) -> slice:
        """Return where the passages that contain a word are in `rows` and `counts`."""
        place = int(self.words.searchsorted(number, sorter=order))
        if place == len(order) or self.words[order[place]] != number:
            return slice(0, 0)
        column = int(order[place])
        return slice(int(self.starts[column]), int(self.starts[column + 1]))

    @classmethod
    def joined(cls, parts: Sequence[tuple[Postings, npt.NDArray[np.bool_]]]) -> Postings:
        """Join postings: the passages of each part that are to be kept, one part after the other.

        The time is linear in the number of occurrences: nothing is sorted.

        Parameters
        ----------
        parts
            Postings, each with whether its passages are kept; bool, [passages].
        """
        present = [part if kept.all() else part._without(~kept) for part, kept in parts]
        n_words = 1 + max((int(part.words.max(initial=-1)) for part in present), default=-1)
        n_passages = np.zeros(n_words, np.int64)  # that contain a word
        for part in present:
            n_passages[part.words] += np.diff(part.starts)
        starts = np.concatenate([[0], np.cumsum(n_passages)])
        rows = np.empty(starts[-1], np.int32)
        counts = np.empty(starts[-1], np.result_type(np.uint8, *(part.counts.dtype for part in present)))
        free, n_rows = starts[:-1].copy(), 0  # of each word: where its next passages are put
        for part in present:
            own = np.diff(part.starts)
            places = np.repeat(free[part.words] - part.starts[:-1], own)
            places += np.arange(len(places))
            rows[places] = part.rows.astype(np.int32) + n_rows
            counts[places] = part.counts
            free[part.words] += own
            n_rows += len(part.lengths)
        words = np.flatnonzero(n_passages)
        return Postings(
            words.astype(np.int32),
            np.append(starts[words], starts[-1]),
            rows,
            counts,
            np.concatenate([part.lengths for part in present]),
        )

    def _without(self, removed: npt.NDArray[np.bool_]) -> Postings:
        """Leave out some passages; words that no other passage contains stay, without passages."""
        chosen = ~removed[self.rows]
        new_rows = np.cumsum(~removed, dtype=np.int32) - 1
        starts = np.concatenate([[0], np.cumsum(chosen)])[self.starts]
        return Postings(self.words, starts, new_rows[self.rows[chosen]], self.counts[chosen], self.lengths[~removed])


def _by_word(words: Integers, rows: Integers, counts: Integers, lengths: Integers) -> Postings:
    """Make postings of occurrences that are sorted by word, in the smallest types that hold them."""
    unique, starts = np.unique(words, return_index=True)
    return Postings(
        unique.astype(np.int32),
        np.append(starts, len(words)),
        rows.astype(np.int32),
        counts.astype(np.min_scalar_type(int(counts.max(initial=0)))),
        lengths.astype(np.int32),
    )
