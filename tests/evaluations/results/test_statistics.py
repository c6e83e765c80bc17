"""Paired statistics, held to what SciPy and a pencil say."""

import math

import numpy as np
import pytest
from scipy import stats
from sra_evaluations.results.statistics import (
    adjusted,
    estimate,
    estimate_columns,
    estimate_difference,
    paired_difference,
)


def test_right_and_wrong_are_compared_by_mcnemar():
    baseline = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0] * 4
    other = [1, 1, 0, 0, 0, 1, 1, 0, 1, 0, 1, 0] * 4
    found = paired_difference(baseline, other)
    assert (found.n, found.more, found.less) == (48, 16, 4)
    assert found.p_value == pytest.approx(stats.binomtest(16, 20).pvalue)
    assert found.difference == pytest.approx(12 / 48)
    assert found.low < 12 / 48 < found.high
    assert found.shown


def test_quantities_are_compared_by_signed_ranks_and_an_interval_that_covers():
    one = [0.1 * n for n in range(30)]
    other = [value + 0.05 * (n % 3) for n, value in enumerate(one)]
    found = paired_difference(one, other)
    assert found.p_value < 0.001
    assert found.low > 0
    swapped = paired_difference(other, one)
    assert swapped.difference == pytest.approx(-found.difference)
    assert swapped.p_value == pytest.approx(found.p_value)


def test_the_same_is_the_same():
    found = paired_difference([1.5, 2.5], [1.5, 2.5])
    assert (found.difference, found.low, found.high, found.p_value, found.shown) == (0, 0, 0, 1, False)


def test_one_example_has_no_interval():
    found = paired_difference([0.0], [1.0])
    assert math.isnan(found.low)
    assert not found.shown


def test_the_bootstrap_is_seeded():
    one, other = [1.0, 2.0, 3.0, 5.0], [1.5, 1.0, 4.0, 9.0]
    assert paired_difference(one, other) == paired_difference(one, other)


@pytest.mark.parametrize(("one", "other"), [([], []), ([1.0], [1.0, 2.0])])
def test_what_is_no_pair_is_refused(one, other):
    with pytest.raises(ValueError, match="values were given"):
        paired_difference(one, other)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng, held = np.random.default_rng(0), 0
    for _ in range(100):
        one = rng.normal(0, 1, 40)
        found = paired_difference(one.tolist(), (one + rng.normal(0.3, 1, 40)).tolist())
        held += found.low <= 0.3 <= found.high
    assert 88 <= held <= 100


def test_many_settings_are_corrected_for():
    assert adjusted([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 4 * 0.04 / 3, 4 * 0.04 / 3, 0.5])
    assert adjusted([]) == []


def test_intervals_are_wilsons_for_shares_and_hold_the_mean_otherwise():
    found = estimate([1.0, 0.0, 0.0, 0.0])
    # Wilson's interval of 1 of 4, from its formula.
    z, n, p = 1.959963984540054, 4, 0.25
    scale = 1 + z * z / n
    centre, half = (p + z * z / (2 * n)) / scale, z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / scale
    assert (found.low, found.high) == pytest.approx((centre - half, centre + half))
    values = np.random.default_rng(1).normal(5, 2, size=(400, 2))
    for column, one in zip(values.T, estimate_columns(values), strict=True):
        standard_error = column.std() / 20
        assert (one.low, one.high) == pytest.approx(
            (column.mean() - 1.96 * standard_error, column.mean() + 1.96 * standard_error), abs=0.03
        )
    with pytest.raises(ValueError, match="no values"):
        estimate([])


def test_columns_are_resampled_by_whole_rows_and_each_as_it_would_be_alone():
    values = np.random.default_rng(2).gamma(2.0, size=(12, 3))
    values[:, 1] = 4.0
    columns = estimate_columns(values)
    for at in (0, 2):
        alone = estimate_difference([0.0] * 12, values[:, at].tolist())
        assert (columns[at].low, columns[at].high) == pytest.approx((alone.low, alone.high), rel=1e-12)
    assert (columns[1].low, columns[1].value, columns[1].high) == (4.0, 4.0, 4.0)
    both = estimate_columns(np.stack([values[:, 0], -values[:, 0]], axis=1))
    assert (both[0].low, both[0].high) == pytest.approx((-both[1].high, -both[1].low), abs=0.02)


def test_the_interval_is_scipys_bca():
    values = np.random.default_rng(3).exponential(size=15)
    interval = stats.bootstrap(
        (values,), np.mean, n_resamples=5000, rng=np.random.default_rng(0), method="BCa"
    ).confidence_interval
    mean = estimate(values.tolist())
    assert (mean.low, mean.high) == pytest.approx((interval.low, interval.high))
