"""Which blocks of passages are joined, in memory and in an index, so that there are few and a change costs little."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["MOST_PASSAGES", "blocks_to_join"]

MOST_PASSAGES = 16_384  # of joined blocks: a change of an index writes no more than this again
_RATIO = 4  # a block is joined with the one before it unless that has more than this times as many passages


def blocks_to_join(sizes: Iterable[int]) -> list[range]:
    """Divide a sequence of blocks, given by their numbers of passages, into runs of which each is to be one block.

    So the number of small blocks grows with the logarithm of the number of passages, and a passage is seldom written
    again. Blocks that together would have more than `MOST_PASSAGES` stay.
    """
    runs: list[range] = []
    passages: list[int] = []  # of each run
    for number, size in enumerate(sizes):
        runs.append(range(number, number + 1))
        passages.append(size)
        while len(runs) > 1 and passages[-2] <= min(_RATIO * passages[-1], MOST_PASSAGES - passages[-1]):
            runs[-2:] = [range(runs[-2].start, number + 1)]
            passages[-2:] = [sum(passages[-2:])]
    return runs
