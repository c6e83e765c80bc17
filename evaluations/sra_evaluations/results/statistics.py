"""Paired comparison of two settings on the same examples, from SciPy: intervals, tests, corrections."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

__all__ = ["PairedDifference", "adjusted", "paired_difference"]

_RESAMPLES = 5000


@dataclasses.dataclass(frozen=True, slots=True)
class PairedDifference:
    """How a metric differs between two settings.

    Parameters
    ----------
    n
        Examples that both have.
    baseline, other
        Means.
    difference, low, high
        Mean of other minus baseline and its 95% interval (bias-corrected bootstrap over examples); the interval is NaN
        where n is 1.
    p_value
        Of no difference, two-sided: McNemar's exact test where all values are 0 or 1, else Wilcoxon's signed-rank test.
    more, less
        Examples on which the other setting is greater, and less.
    """

    n: int
    baseline: float
    other: float
    difference: float
    low: float
    high: float
    p_value: float
    more: int
    less: int

    @property
    def shown(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


def paired_difference(baseline: Sequence[float], other: Sequence[float], seed: int = 0) -> PairedDifference:
    """Compare two settings example by example.

    Parameters
    ----------
    baseline, other
        Values of one metric, in the order of the same examples.
    seed
        Of the bootstrap.

    Raises
    ------
    ValueError
        If there is no example, or the numbers of them differ.
    """
    if len(baseline) != len(other) or not baseline:
        raise ValueError(f"{len(baseline)} and {len(other)} values came; as many of each are needed, and at least one.")
    one, two = np.asarray(baseline, dtype=float), np.asarray(other, dtype=float)
    differences = two - one
    low = high = mean = float(differences.mean())
    if len(differences) == 1:
        low = high = math.nan
    elif np.ptp(differences) > 0:
        found = stats.bootstrap(
            (differences,), np.mean, n_resamples=_RESAMPLES, rng=np.random.default_rng(seed), method="BCa"
        ).confidence_interval
        low, high = float(found.low), float(found.high)
    more, less = int((differences > 0).sum()), int((differences < 0).sum())
    return PairedDifference(
        n=len(differences),
        baseline=float(one.mean()),
        other=float(two.mean()),
        difference=mean,
        low=low,
        high=high,
        p_value=_p_value(one, two, more, less),
        more=more,
        less=less,
    )


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Correct the p-values of several settings (Benjamini and Hochberg: share of false discoveries)."""
    return [float(p) for p in stats.false_discovery_control(p_values)] if p_values else []


def _p_value(one: np.ndarray, two: np.ndarray, more: int, less: int) -> float:
    if more + less == 0:
        return 1.0
    if np.isin(one, (0.0, 1.0)).all() and np.isin(two, (0.0, 1.0)).all():
        return float(stats.binomtest(more, more + less).pvalue)
    return float(stats.wilcoxon(two - one).pvalue)
