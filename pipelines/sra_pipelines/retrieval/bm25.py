"""BM25 scores that are computed when a question is asked, so that a change of the passages costs little.

The scores are those of bm25s with its default settings (Lucene's variant). bm25s computes them in advance for all
passages and words, but each change of the number of passages or of their mean length changes all of them. Here the
counts of words are kept instead. Passages that are added form a block of their own, blocks of similar size are joined,
and removed passages are left out when a block is joined. The number and the mean length of the passages, and the number
that contain a word, are always those of the present passages.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sra_pipelines.retrieval.block_sizes import blocks_to_join
from sra_pipelines.retrieval.postings import Integers, Postings

__all__ = ["Bm25"]

_K1, _B = 1.5, 0.75  # how much repeated words, and the length of a passage, count
_REMOVED = -1  # position of a passage that was removed


class _Block(NamedTuple):
    """Postings of passages that were added together, or of joined blocks.

    Parameters
    ----------
    postings
        The occurrences of words.
    positions
        Position of each of its passages among all passages of the index, or `_REMOVED`; int32.
    n_present
        Number of passages that were not removed.
    order
        See `Postings.order`.
    """

    postings: Postings
    positions: npt.NDArray[np.int32]
    n_present: int
    order: Integers


class Bm25:
    """Scores of the passages of one revision of an index. It does not change; `changed` returns the next revision."""

    def __init__(self, blocks: Sequence[_Block] = ()) -> None:
        self.n_passages = sum(block.n_present for block in blocks)
        self._blocks = _joined(blocks)
        lengths = np.zeros(self.n_passages, np.int64)
        for block in self._blocks:
            present = block.positions >= 0
            lengths[block.positions[present]] = block.postings.lengths[present]
        # The formula of bm25s, in its order and types, so that the scores are the same bits.
        mean = lengths.mean() if self.n_passages else 0.0
        self._norms = _K1 * ((1 - _B) + _B * lengths / mean) if mean else np.full(self.n_passages, _K1)

    def changed(
        self, positions: npt.NDArray[np.int32], added: Iterable[tuple[Postings, npt.NDArray[np.int32]]]
    ) -> Bm25:
        """Return the scores of the next revision.

        Parameters
        ----------
        positions
            The new position of each passage of this revision, or -1 if it is removed; int32, [passages].
        added
            Postings of new passages, each with the positions of these passages; int32.
        """
        blocks = [
            _moved(block, np.where(block.positions >= 0, positions[block.positions], _REMOVED))
            for block in self._blocks
        ]
        return Bm25([*blocks, *(_block(postings, own) for postings, own in added)])

    def n_containing(self, word: int) -> int:
        """Return the number of passages that contain a word, given by its number."""
        return len(self._containing(word)[0])

    def scores(self, words: Iterable[int]) -> npt.NDArray[np.float32]:
        """Return the scores of all passages for the words of a question, given by their numbers; [passages]."""
        scores = np.zeros(self.n_passages, np.float32)
        for word in words:
            positions, counts = self._containing(word)
            rarity = float(np.float32(self.rarity(len(positions))))
            norms = self._norms[positions]
            norms += counts
            scores[positions] += (rarity * (counts / norms)).astype(np.float32)
        return scores

    def rarity(self, n_containing: int, *, among: int = 0) -> float:
        """Return the weight of a word that `n_containing` passages contain: its inverse document frequency.

        With fewer passages than `among`, as if there were so many.
        """
        n_passages = max(self.n_passages, among)
        return math.log(1 + (n_passages - n_containing + 0.5) / (n_containing + 0.5))

    def _containing(self, word: int) -> tuple[npt.NDArray[np.int32], Integers]:
        """Return the positions of the passages that contain a word, and how often they do."""
        containing: list[tuple[npt.NDArray[np.int32], Integers]] = []
        for block in self._blocks:
            place = block.postings.of_word(word, block.order)
            if place.stop == place.start:
                continue
            positions, counts = block.positions[block.postings.rows[place]], block.postings.counts[place]
            if block.n_present < len(block.positions):
                present = positions >= 0
                positions, counts = positions[present], counts[present]
            containing.append((positions, counts))
        if len(containing) == 1:
            return containing[0]
        if not containing:
            return np.empty(0, np.int32), np.empty(0, np.uint8)
        return np.concatenate([own for own, _ in containing]), np.concatenate([own for _, own in containing])


def _block(postings: Postings, positions: npt.NDArray[np.int32]) -> _Block:
    return _Block(postings, positions, int(np.count_nonzero(positions >= 0)), postings.order())


def _moved(block: _Block, positions: npt.NDArray[np.int32]) -> _Block:
    return block._replace(positions=positions, n_present=int(np.count_nonzero(positions >= 0)))


def _joined(blocks: Sequence[_Block]) -> list[_Block]:
    """Join blocks as `blocks_to_join` says, and rewrite those of which most passages were removed."""
    present = [block for block in blocks if block.n_present]
    runs = [present[run.start : run.stop] for run in blocks_to_join(block.n_present for block in present)]
    return [_join(run) if len(run) > 1 or _is_mostly_removed(run[0]) else run[0] for run in runs]


def _is_mostly_removed(block: _Block) -> bool:
    return 2 * block.n_present <= len(block.positions)


def _join(blocks: Sequence[_Block]) -> _Block:
    present = [block.positions >= 0 for block in blocks]
    postings = Postings.joined([(block.postings, kept) for block, kept in zip(blocks, present, strict=True)])
    return _block(postings, np.concatenate([b.positions[kept] for b, kept in zip(blocks, present, strict=True)]))
