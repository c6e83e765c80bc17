"""Keyword search with BM25, which finds names, clauses and amounts that dense retrieval misses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from operator import is_not

import numpy as np
import numpy.typing as npt

from sra_pipelines.retrieval.bm25 import Bm25
from sra_pipelines.retrieval.keyword_counts import CountsBlock, KeywordCounter, KeywordCounts, PackedCounts
from sra_pipelines.retrieval.keywords import keywords
from sra_pipelines.retrieval.languages import ENGLISH, LANGUAGES, language_of
from sra_pipelines.retrieval.postings import Postings, Vocabulary
from sra_pipelines.values import Passage

__all__ = ["KeywordIndex"]

_LEAST_PASSAGES = 50  # from which how rare a word is says something about the word


class KeywordIndex:
    """BM25 index over passages, including the names of their documents and sections.

    The words of a passage are stemmed in its language, see `languages_of`.

    Parameters
    ----------
    passages
        The passages to search.
    before
        The index over an earlier revision of the passages: those that both have (the same objects) are not tokenized
        again, and their words are not counted again.
    counted
        Counts of documents, by name, that were made before. They are used for the passages that they count; words of
        other passages are counted here.
    blocks
        Counts of many documents together, which are used first if there is no index before. Documents of a block that
        has other passages of them are not taken from there.
    """

    def __init__(
        self,
        passages: Sequence[Passage],
        before: KeywordIndex | None = None,
        counted: Mapping[str, PackedCounts] | None = None,
        blocks: Sequence[CountsBlock] = (),
    ) -> None:
        self.n_passages = len(passages)
        self._passages = tuple(passages)
        self._vocabulary: Vocabulary = Vocabulary() if before is None else before._vocabulary
        old = () if before is None else before._passages
        positions, added = _moves(old, self._passages)
        self._language_numbers = np.zeros(len(passages), np.int8)  # of each passage, in `LANGUAGES`
        if before is not None:
            kept = positions >= 0
            self._language_numbers[positions[kept]] = before._language_numbers[kept]
        bm25 = Bm25() if before is None else before._bm25
        self._bm25: Bm25 = bm25.changed(
            positions, self._counted(added, counted or {}, () if before is not None else blocks)
        )
        present = np.flatnonzero(np.bincount(self._language_numbers, minlength=1))
        self._languages = [LANGUAGES[number] for number in present] or [ENGLISH]

    def weights(self, question: str) -> dict[str, float]:
        """Return the weight of each keyword of a question: the fewer passages contain it, the more it weighs.

        An index of fewer than 50 passages counts as one of 50: in one of a single passage every word that it contains
        would be worth a fifth of one that it does not.
        """
        weights = {}
        for word in set(keywords([question])[0]):
            number = self._vocabulary.number(word)
            weights[word] = self._bm25.rarity(
                0 if number is None else self._bm25.n_containing(number), among=_LEAST_PASSAGES
            )
        return weights

    def search(self, question: str, limit: int) -> list[tuple[int, float]]:
        """Return positions and scores of up to `limit` passages that share words with a question, best first.

        The words of the question are stemmed in its language, if passages have it, and otherwise in each language of
        the passages.
        """
        numbers = [self._vocabulary.number(word) for word in self._words(question)]
        scores = self._bm25.scores(number for number in numbers if number is not None)
        return [(int(position), float(scores[position])) for position in _best(scores, limit)]

    def _words(self, question: str) -> list[str]:
        language = self._languages[0]
        if len(self._languages) > 1:
            own = language_of(question, {*self._languages, ENGLISH})
            if own is None or own not in self._languages:
                every = [keywords([question], name)[0] for name in self._languages]
                return list(dict.fromkeys(word for words in every for word in words))
            language = own
        return keywords([question], language)[0]

    def _counted(
        self, added: Sequence[int], counted: Mapping[str, PackedCounts], blocks: Sequence[CountsBlock]
    ) -> list[tuple[Postings, npt.NDArray[np.int32]]]:
        """Count the words of the passages at some positions, and set their languages."""
        of_documents: dict[str, list[int]] = {}
        for position in added:
            of_documents.setdefault(self._passages[position].document, []).append(position)
        joined = [part for block in blocks if (part := self._of_block(block, of_documents)) is not None]
        counter = KeywordCounter()
        parts = []
        for name, own in of_documents.items():
            passages, known = [self._passages[position] for position in own], counted.get(name)
            if known is not None and len(known.passages) == _equal(known.passages, passages, len(passages)):
                counts = KeywordCounts.unpack(known.packed)
            else:
                counts = counter.count(passages)
            self._language_numbers[own] = counts.languages
            parts.append((self._numbered(counts), np.ones(len(own), np.bool_)))
        positions = np.array([position for own in of_documents.values() for position in own], np.int32)
        return [*joined, (Postings.joined(parts), positions)] if parts else joined

    def _of_block(
        self, block: CountsBlock, of_documents: dict[str, list[int]]
    ) -> tuple[Postings, npt.NDArray[np.int32]] | None:
        """Return the postings of a block and the positions of its passages, -1 for those that are not searched.

        Documents that the block counts are removed from `of_documents`. None is returned if there is none.
        """
        positions: list[int] = []
        covered = []
        for passages in block.documents:
            name = passages[0].document
            own = of_documents.get(name, [])
            same = len(own) == len(passages) == _equal(map(self._passages.__getitem__, own), passages, len(own))
            positions += own if same else [-1] * len(passages)
            if same:
                covered.append(name)
        if not covered:
            return None
        for name in covered:
            del of_documents[name]
        counts, places = KeywordCounts.from_bytes(block.content), np.array(positions, np.int32)
        self._language_numbers[places[places >= 0]] = counts.languages[places >= 0]
        return self._numbered(counts), places

    def _numbered(self, counts: KeywordCounts) -> Postings:
        """Return the postings of counts, with the numbers of the vocabulary."""
        return counts.postings._replace(words=np.array(self._vocabulary.numbers(counts.words), np.int32))


def _moves(old: Sequence[Passage], new: Sequence[Passage]) -> tuple[npt.NDArray[np.int32], Sequence[int]]:
    """Return the new position of each old passage, or -1, and the new positions of the others.

    Documents are added and removed at few places, so most passages are in the equal beginnings and ends of the two.
    """
    if not old:
        return np.empty(0, np.int32), range(len(new))
    shorter = min(len(old), len(new))
    first = _equal(old, new, shorter)
    last = _equal(reversed(old), reversed(new), shorter - first)
    positions = np.full(len(old), -1, np.int32)
    positions[:first] = np.arange(first)
    positions[len(old) - last :] = np.arange(len(new) - last, len(new))
    changed = {id(passage): position for position, passage in enumerate(old[first : len(old) - last], first)}
    added = []
    for position, passage in enumerate(new[first : len(new) - last], first):
        before = changed.pop(id(passage), None)
        if before is None:
            added.append(position)
        else:
            positions[before] = position
    return positions, added


def _equal(one: Iterable[Passage], other: Iterable[Passage], most: int) -> int:
    """Return how many passages at the beginning of two sequences are the same objects, at most `most`."""
    return next(compress(range(most), map(is_not, one, other)), most)


def _best(scores: npt.NDArray[np.float32], limit: int) -> npt.NDArray[np.intp]:
    """Return the positions of up to `limit` highest scores above 0, best first, the last first of equal ones."""
    positions = np.flatnonzero(scores > 0)
    if 0 < limit < len(positions):
        own = scores[positions]
        positions = positions[own >= np.partition(own, len(own) - limit)[len(own) - limit]]
    return positions[scores[positions].argsort(kind="stable")][::-1][:limit]
