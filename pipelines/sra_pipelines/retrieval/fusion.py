"""Fuse several rankings by rank: ranks of different searches are comparable, scores are not."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

__all__ = ["reciprocal_rank_fusion"]

Item = TypeVar("Item", bound=Hashable)


def reciprocal_rank_fusion(
    rankings: Sequence[Sequence[Item]], *, weights: Sequence[float] | None = None, k: float = 60.0
) -> list[tuple[Item, float]]:
    """Fuse rankings by reciprocal rank (Cormack, Clarke and Buettcher, 2009): an item scores ``weight / (k + rank)``.

    Parameters
    ----------
    rankings
        The rankings, each with its best item first.
    weights
        One weight per ranking; by default all weights are 1.
    k
        Smoothing constant; the larger it is, the smaller the differences between the first ranks.

    Returns
    -------
    fused
        Items and their summed scores, best first. Ties keep the order of the earlier ranking.
    """
    scores: dict[Item, float] = {}
    for ranking, weight in zip(rankings, weights or [1.0] * len(rankings), strict=True):
        for rank, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + weight / (k + rank)
    return sorted(scores.items(), key=lambda pair: -pair[1])
