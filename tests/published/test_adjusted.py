"""The size-adjusted estimate: its weights and spreads by hand, its pseudo-runs, and its tests under the null."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, kstest

from tlkit.config import TlkitError
from tlkit.published import adjusted, jonske2025
from tlkit.stats import differences

PARENTS = ("radnet", "radnet12m")
SIMPLE = adjusted.SizeAdjustment(100, 300, PARENTS, {"middle": 2})  # halfway: weight 0.5
PAPER = adjusted.SizeAdjustment(**jonske2025.ADJUSTMENT)


def results(*panels: dict[str, list[float]]) -> pd.DataFrame:
    rows = [
        ("e", f"t{k}", "m", name, seed, f"{k}/{name}/{seed}", value)
        for k, panel in enumerate(panels)
        for name, values in panel.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=[*differences.PANEL, "pretraining", "seed", "run", "value"])


def test_the_published_weights():
    assert PAPER.weight("radnet_lb") == pytest.approx(0.0162, abs=5e-5)
    assert PAPER.weight("radnet_ub") == pytest.approx(0.3344, abs=5e-5)
    assert SIMPLE.mixtures() == {"middle": {"radnet": 0.5, "radnet12m": 0.5}}


def test_the_weights_are_those_of_the_line_through_both_sizes():
    adjustment, means = PAPER, np.array([0.6, 0.9])
    slope, intercept = np.polyfit([adjustment.small, adjustment.large], means, 1)
    for name, weights in adjustment.mixtures().items():
        expected = slope * adjustment.small * adjustment.factors[name] + intercept
        assert np.dot(list(weights.values()), means) == pytest.approx(expected)


def test_standard_deviations_by_hand():
    # Slope sd 5 / 200, intercept sd sqrt(4^2 + 7.5^2) = 8.5, at 200 images: sqrt(5^2 + 8.5^2).
    assert SIMPLE.published_sd(3, 4, "middle") == pytest.approx(np.hypot(5, 8.5))
    assert SIMPLE.independent_sd(3, 4, "middle") == pytest.approx(2.5)


def test_independent_sd_is_that_of_simulated_runs():
    small, large = np.random.default_rng(0).normal(size=(2, 100_000)) * [[0.02], [0.05]]
    w = PAPER.weight("radnet_ub")
    drawn = ((1 - w) * small + w * large).std()
    assert PAPER.independent_sd(0.02, 0.05, "radnet_ub") == pytest.approx(drawn, rel=0.01)


@pytest.mark.parametrize("sizes", [(100, 100), (0, 100), (300, 100)])
def test_sizes_must_grow(sizes):
    with pytest.raises(TlkitError, match="expected 0 < small < large"):
        adjusted.SizeAdjustment(*sizes, PARENTS, {})


def test_an_unknown_estimate_is_named():
    with pytest.raises(TlkitError, match="Allowed: radnet_lb, radnet_ub"):
        PAPER.weight("radnet_up")


def test_pseudo_runs_have_the_adjusted_mean_and_the_published_sd():
    found = adjusted.add_pseudo_runs(
        results({"radnet": [0.2, 0.4], "radnet12m": [0.5, 0.6, 1.0], "imagenet": [0.3]}), SIMPLE
    )
    pseudo = found[found["pretraining"] == "middle"]
    assert len(found) == 6 + 3
    assert pseudo["value"].mean() == pytest.approx(0.5 * 0.3 + 0.5 * 0.7)
    sds = np.std([0.2, 0.4]), np.std([0.5, 0.6, 1.0])
    assert pseudo["value"].std(ddof=0) == pytest.approx(SIMPLE.published_sd(*sds, "middle"))
    assert pseudo["value"].rank().tolist() == [1, 2, 3]
    assert pseudo["run"].tolist() == [f"0/radnet12m/{seed}" for seed in range(3)]
    assert pseudo["seed"].tolist() == [0, 1, 2]


def test_panels_without_both_parents_stay_as_they_are():
    one = results({"radnet": [0.2, 0.4], "imagenet": [0.5, 0.6]}, {"radnet12m": [0.2], "imagenet": [0.5]})
    pd.testing.assert_frame_equal(adjusted.add_pseudo_runs(one, SIMPLE), one)
    assert adjusted.error_inflation(one, SIMPLE).empty


def test_an_ordered_task_stays_ordered():
    given = results({"radnet": [0.2, 0.4], "radnet12m": [0.5, 0.6]}, {"radnet": [0.2, 0.4], "radnet12m": [0.5, 0.6]})
    given["task"] = pd.Categorical(given["task"], ["t1", "t0"], ordered=True)
    found = adjusted.add_pseudo_runs(given, SIMPLE)
    assert found["task"].dtype == given["task"].dtype
    assert adjusted.error_inflation(given, SIMPLE)["task"].tolist() == ["t1", "t0"]


def test_parents_that_do_not_vary_give_pseudo_runs_that_do_not():
    given = results({"radnet": [0.2, 0.4], "radnet12m": [0.5, 0.5]}, {"radnet": [0.2], "radnet12m": [0.5]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = adjusted.add_pseudo_runs(given, SIMPLE)
        still = adjusted.error_inflation(given.query("task == 't1'"), SIMPLE)
    assert found.loc[found["pretraining"] == "middle", "value"].tolist() == pytest.approx([0.4, 0.4, 0.35])
    assert still["ratio"].isna().all()


def test_pairwise_takes_the_pseudo_runs_with_their_mixtures():
    found = adjusted.add_pseudo_runs(
        results({"radnet": [0.2, 0.4, 0.3], "radnet12m": [0.5, 0.6, 0.9], "imagenet": [0.3, 0.5]}), SIMPLE
    )
    pairs = differences.pairwise(found, mixtures=SIMPLE.mixtures()).set_index(["a", "b"])
    row = pairs.loc["middle", "imagenet"]
    assert row["p_sound"] == pytest.approx(
        differences.contrast([[0.2, 0.4, 0.3], [0.5, 0.6, 0.9], [0.3, 0.5]], [0.5, 0.5, -1])["p"]
    )
    assert row["p_sound"] < row["p_published"]


def test_error_inflation_by_hand():
    # Population sds 3 and 4.
    table = adjusted.error_inflation(results({"radnet": [-3, 3], "radnet12m": [1, 9]}), SIMPLE)
    row = table.iloc[0]
    assert list(table) == [*differences.PANEL, "pretraining", "sd_published", "sd_independent", "ratio"]
    assert (row["sd_published"], row["sd_independent"]) == pytest.approx((np.hypot(5, 8.5), 2.5))
    assert row["ratio"] == pytest.approx(np.hypot(5, 8.5) / 2.5)


@pytest.mark.parametrize("sds", [(1, 1, 1), (1, 2, 1), (1, 1, 3)])
def test_only_the_sound_p_values_are_uniform_under_the_null(sds):
    n_sim = 4000
    p = adjusted.null_p_values(n_sim, 0, PAPER, "radnet_ub", sds=sds)
    assert p.shape == (n_sim, 2) and p.notna().all(axis=None)
    low, high = binom.ppf([0.001, 0.999], n_sim, 0.05) / n_sim
    assert low <= (p["p_sound"] < 0.05).mean() <= high
    assert kstest(p["p_sound"], "uniform").pvalue > 0.001
    # Published: too large, so that a difference that is there is missed.
    assert (p["p_published"] < 0.05).mean() < 0.03
    assert kstest(p["p_published"], "uniform", alternative="less").pvalue < 1e-6


def test_the_simulation_is_that_of_single_panels():
    p = adjusted.null_p_values(5, 7, SIMPLE, "middle", n=3, sds=(1, 2, 3))
    small, large, other = np.random.default_rng(7).normal(size=(3, 5, 3)) * np.reshape([1, 2, 3], (3, 1, 1))
    for k in range(5):
        given = results({"radnet": small[k], "radnet12m": large[k], "other": other[k]})
        pairs = differences.pairwise(adjusted.add_pseudo_runs(given, SIMPLE), mixtures=SIMPLE.mixtures())
        row = pairs.set_index(["a", "b"]).loc["middle", "other"]
        assert p.loc[k].tolist() == pytest.approx(row[["p_published", "p_sound"]].tolist())
