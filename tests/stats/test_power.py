"""The power of the contrast: by simulation with the test itself, and against statsmodels where that is exact."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_ind

from tlkit.config import ConfigError
from tlkit.stats import differences, power


@pytest.mark.parametrize(
    ("sds", "runs", "within"),
    [
        ((1, 1), (4, 4), 0.005),
        ((1, 3), (4, 4), 0.005),
        ((0.01, 0.02), (5, 3), 0.005),
        ((1, 1), (10, 10), 0.005),
        ((1, 1), (2, 2), 0.015),
        ((1, 2), (5, 2), 0.015),
    ],
)
def test_welchs_test_finds_the_smallest_difference_with_its_power(sds, runs, within):
    # 100,000 draws: the share found has a standard error of 0.0013.
    rng, difference = np.random.default_rng(0), power.smallest_difference(sds, runs)
    a, b = (rng.normal(0, sd, (100_000, n)) for sd, n in zip(sds, runs, strict=True))
    found = (ttest_ind(a + difference, b, axis=1, equal_var=False).pvalue < 0.05).mean()
    assert found == pytest.approx(0.8, abs=within)


def test_a_contrast_of_three_is_found_with_its_power():
    sds, runs, weights = (1, 2, 1.5), (4, 4, 5), (0.7, 0.3, -1)
    rng, difference = np.random.default_rng(1), power.smallest_difference(sds, runs, weights, power=0.9)
    groups = [rng.normal(0, sd, (100_000, n)) for sd, n in zip(sds, runs, strict=True)]
    found = differences.contrast([groups[0], groups[1], groups[2] - difference], weights)
    assert (found["p"] < 0.05).mean() == pytest.approx(0.9, abs=0.005)


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize("n", [3, 4, 10, 60])
def test_one_group_that_varies_is_the_one_sample_test_of_statsmodels(n, level):
    from statsmodels.stats.power import TTestPower

    expected = TTestPower().solve_power(nobs=n, alpha=0.05, power=level)
    assert power.smallest_difference((0.5, 0), (n, 9), power=level) == pytest.approx(0.5 * expected, rel=1e-3)
    assert power.power(expected, (1, 0), (n, 9)) == pytest.approx(level, abs=1e-3)


def test_with_many_runs_it_is_the_two_sample_test_of_statsmodels():
    from statsmodels.stats.power import TTestIndPower

    expected = TTestIndPower().solve_power(nobs1=200, alpha=0.05, power=0.8)
    assert power.smallest_difference((1, 1), (200, 200)) == pytest.approx(expected, rel=1e-3)


def test_four_runs_need_more_than_the_degrees_of_freedom_of_a_pooled_test_say():
    from statsmodels.stats.power import TTestIndPower

    pooled = TTestIndPower().solve_power(nobs1=4, alpha=0.05, power=0.8)
    assert power.smallest_difference((1, 1), (4, 4)) > 1.04 * pooled
    assert power.power(pooled, (1, 1), (4, 4)) == pytest.approx(0.756, abs=0.005)


def test_the_power_for_no_difference_is_the_rate_of_false_positives():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 100_000, 4))
    assert power.power(0, (1, 1), (4, 4)) == pytest.approx(
        (ttest_ind(a, b, axis=1, equal_var=False).pvalue < 0.05).mean(), abs=0.003
    )


def test_it_scales_with_the_unit_and_ignores_groups_of_weight_zero():
    plain = power.smallest_difference((1, 2), (4, 5))
    assert power.smallest_difference((0.01, 0.02, 7), (4, 5, 3), (1, -1, 0)) == pytest.approx(0.01 * plain)
    assert power.power(0.01 * plain, (0.01, 0.02), (4, 5)) == pytest.approx(0.8)


def test_without_spread_there_is_none_and_one_run_has_no_spread():
    assert np.isnan(power.smallest_difference((0, 0), (4, 4))) and np.isnan(power.power(1, (0, 0), (4, 4)))
    with pytest.raises(ConfigError, match=r"groups of \[4, 1\] runs"):
        power.smallest_difference((1, 1), (4, 1))
