"""Means with their intervals: Wilson's for shares of 0 and 1, else a bootstrap over examples."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = ["Estimate", "estimate", "estimate_columns", "estimate_difference"]

_RESAMPLES = 2000
_TAILS = (2.5, 97.5)


@dataclasses.dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, its 95% interval (NaN where `n` is 1 and the values are no shares of 0 and 1), and of how many."""

    value: float
    low: float
    high: float
    n: int


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of values of examples.

    Raises
    ------
    ValueError
        If there are none.
    """
    if not len(values):
        raise ValueError("There are no values to take the mean of; at least one is needed.")
    numbers = np.asarray(values, dtype=float)
    if np.isin(numbers, (0.0, 1.0)).all():
        found = stats.binomtest(int(numbers.sum()), len(numbers)).proportion_ci(method="wilson")
        return Estimate(float(numbers.mean()), float(found.low), float(found.high), len(numbers))
    return estimate_columns(numbers[:, None])[0]


def estimate_difference(baseline: Sequence[float], other: Sequence[float]) -> Estimate:
    """Return the mean of other minus baseline, example by example."""
    return estimate_columns((np.asarray(other, dtype=float) - np.asarray(baseline, dtype=float))[:, None])[0]


def estimate_columns(values: NDArray[np.float64]) -> list[Estimate]:
    """Return the mean of each column by a bootstrap that draws whole rows.

    Parameters
    ----------
    values
        ``(examples, columns)``.
    """
    n = len(values)
    means = values.mean(axis=0)
    if n == 1:
        return [Estimate(float(mean), math.nan, math.nan, 1) for mean in means]
    low, high = np.percentile(_weights(n) @ values, _TAILS, axis=0)
    return [Estimate(float(m), float(a), float(b), n) for m, a, b in zip(means, low, high, strict=True)]


@lru_cache(maxsize=16)
def _weights(n: int) -> NDArray[np.float64]:
    """How much each example counts in each resample, ``(resamples, n)``; the same every time."""
    return np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=_RESAMPLES) / n
