"""Statistics of a run: means with their intervals, and the paired comparison of two settings; the methods are SciPy's.

An interval of values that are all 0 or 1 is Wilson's. Every other interval comes from one bootstrap over examples
(bias-corrected and accelerated, BCa), with the same seed everywhere: the tables, plots and verdicts of a report agree.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = [
    "Estimate",
    "PairedDifference",
    "adjusted",
    "estimate",
    "estimate_columns",
    "estimate_difference",
    "paired_difference",
]

_RESAMPLES = 5000
_VALUES_A_BATCH = 2_000_000  # numbers that the bootstrap keeps in memory at a time


@dataclasses.dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95% interval.

    Parameters
    ----------
    value
        Mean over the examples.
    low, high
        Bounds of the interval; NaN if `n` is 1 and the value is neither 0 nor 1.
    n
        Number of examples.
    """

    value: float
    low: float
    high: float
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class PairedDifference:
    """How a metric differs between two settings.

    Parameters
    ----------
    n
        Number of examples that both settings have.
    baseline, other
        Mean of the metric under each setting.
    difference, low, high
        Mean of other minus baseline and its 95% interval (BCa bootstrap over examples); the interval is NaN if n is 1.
    p_value
        Two-sided, for the hypothesis of no difference: McNemar's exact test if all values are 0 or 1, else Wilcoxon's
        signed-rank test.
    more, less
        Number of examples on which the other setting has a greater value, and a smaller one.
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
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of one value per example, with its interval.

    Raises
    ------
    ValueError
        If there is no value.
    """
    if not len(values):
        raise ValueError("There are no values to take the mean of; at least one is needed.")
    numbers = np.asarray(values, dtype=float)
    if np.isin(numbers, (0.0, 1.0)).all():
        interval = stats.binomtest(int(numbers.sum()), len(numbers)).proportion_ci(method="wilson")
        return Estimate(float(numbers.mean()), float(interval.low), float(interval.high), len(numbers))
    return estimate_columns(numbers[:, None])[0]


def estimate_difference(baseline: Sequence[float], other: Sequence[float]) -> Estimate:
    """Return the mean of other minus baseline over the same examples, with its interval."""
    return estimate_columns((np.asarray(other, dtype=float) - np.asarray(baseline, dtype=float))[:, None])[0]


def estimate_columns(values: NDArray[np.float64], seed: int = 0) -> list[Estimate]:
    """Return the mean of each column, with its interval; the bootstrap draws whole rows.

    Parameters
    ----------
    values
        One row per example, ``(examples, columns)``.
    seed
        Seed of the bootstrap.
    """
    n = len(values)
    means = values.mean(axis=0)
    low, high = means.copy(), means.copy()
    varying = np.ptp(values, axis=0) > 0
    if n == 1:
        low[:] = high[:] = math.nan
    elif varying.any():  # BCa is not defined where all values are equal: there the interval is the mean alone
        interval = stats.bootstrap(
            (values[:, varying],),
            np.mean,
            axis=0,
            n_resamples=_RESAMPLES,
            batch=max(1, _VALUES_A_BATCH // int(varying.sum() * n)),
            rng=np.random.default_rng(seed),
            method="BCa",
        ).confidence_interval
        low[varying], high[varying] = interval.low, interval.high
    return [Estimate(float(m), float(a), float(b), n) for m, a, b in zip(means, low, high, strict=True)]


def paired_difference(baseline: Sequence[float], other: Sequence[float], seed: int = 0) -> PairedDifference:
    """Compare two settings example by example.

    Parameters
    ----------
    baseline, other
        Values of one metric, in the order of the same examples.
    seed
        Seed of the bootstrap.

    Raises
    ------
    ValueError
        If there is no example, or the two have different numbers of values.
    """
    if len(baseline) != len(other) or not baseline:
        raise ValueError(
            f"{len(baseline)} and {len(other)} values were given; the same number of each is needed, and at least one."
        )
    before, after = np.asarray(baseline, dtype=float), np.asarray(other, dtype=float)
    differences = after - before
    [mean] = estimate_columns(differences[:, None], seed)
    more, less = int((differences > 0).sum()), int((differences < 0).sum())
    return PairedDifference(
        n=len(differences),
        baseline=float(before.mean()),
        other=float(after.mean()),
        difference=mean.value,
        low=mean.low,
        high=mean.high,
        p_value=_p_value(before, after, more, less),
        more=more,
        less=less,
    )


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Correct the p-values of several settings (Benjamini and Hochberg, which controls the false discovery rate)."""
    return [float(p) for p in stats.false_discovery_control(p_values)] if p_values else []


def _p_value(before: NDArray[np.float64], after: NDArray[np.float64], more: int, less: int) -> float:
    if more + less == 0:
        return 1.0
    if np.isin(before, (0.0, 1.0)).all() and np.isin(after, (0.0, 1.0)).all():
        return float(stats.binomtest(more, more + less).pvalue)
    return float(stats.wilcoxon(after - before).pvalue)
