"""Several rankings made one, by rank alone: scores of different searches cannot be compared, ranks can."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

__all__ = ["reciprocal_rank_fusion"]

Item = TypeVar("Item", bound=Hashable)


def reciprocal_rank_fusion(
    rankings: Sequence[Sequence[Item]], *, weights: Sequence[float] | None = None, k: float = 60.0
) -> list[tuple[Item, float]]:
    """Fuse rankings (Cormack, Clarke and Buettcher, 2009): each gives its items ``weight / (k + rank)``.

    Parameters
    ----------
    rankings
        Each best first.
    weights
        One per ranking; by default all count alike.
    k
        How little the first ranks stand out.

    Returns
    -------
    fused
        Items and scores, best first; of equals, the one that an earlier ranking placed first.
    """
    scores: dict[Item, float] = {}
    for ranking, weight in zip(rankings, weights or [1.0] * len(rankings), strict=True):
        for rank, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + weight / (k + rank)
    return sorted(scores.items(), key=lambda pair: -pair[1])
