"""Pretraining runs as units: by hand, against a mixed model, and by simulation of false positives."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind

from tlkit.config import TlkitError
from tlkit.figures import nested
from tlkit.stats import differences
from tlkit.studies.arms import say_arms

ARMS = {"a": "a", "a_2": "a", "b": "b", "b_2": "b", "b_3": "b"}


def frame(values: dict[str, list[float]]) -> pd.DataFrame:
    rows = [("e", "t", "m", name, seed, v) for name, runs in values.items() for seed, v in enumerate(runs)]
    return pd.DataFrame(rows, columns=[*differences.PANEL, "pretraining", "seed", "value"])


RUNS = {"scratch": [0.0, 0.5], "a": [1.0, 3.0], "a_2": [5.0, 7.0], "b": [8.0], "b_2": [9.0, 11.0], "b_3": [12.0]}


def test_units_are_the_means_of_pretraining_runs_and_random_weights_keep_their_runs():
    found = nested.units(frame(RUNS), ARMS)
    assert found[["pretraining", "seed", "value"]].to_numpy().tolist() == [
        ["a", "a", 2], ["a", "a_2", 6], ["b", "b", 8], ["b", "b_2", 10], ["b", "b_3", 12],
        ["scratch", 0, 0], ["scratch", 1, 0.5],
    ]  # fmt: skip
    pair = differences.pairwise(found).set_index(["a", "b"]).loc[("a", "b")]
    assert pair["p_sound"] == pytest.approx(ttest_ind([2, 6], [8, 10, 12], equal_var=False).pvalue)
    assert (pair["n_a"], pair["n_b"]) == (2, 3)


def test_spreads_by_hand():
    # Of a: within (2 + 2) / 2 = 2; the means 2 and 6 have variance 8, of which 2 / 2 is that of two runs each.
    found = nested.spreads(frame(RUNS), ARMS).set_index("arm")
    assert found.loc["a", ["pretrainings", "runs", "mean"]].tolist() == [2, 4, 4]
    assert found.loc["a", "sd_within"] == pytest.approx(np.sqrt(2))
    assert found.loc["a", "sd_between"] == pytest.approx(np.sqrt(8 - 1))
    assert found.loc["b", "sd_within"] == pytest.approx(np.sqrt(2))
    assert found.loc["b", "sd_between"] == pytest.approx(np.sqrt(4 - 2 * (1 + 1 / 2 + 1) / 3))
    single = nested.spreads(frame({"a": [1.0, 3.0]}), ARMS).iloc[0]
    assert single["sd_within"] == pytest.approx(np.sqrt(2)) and np.isnan(single["sd_between"])
    alike = nested.spreads(frame({"a": [1.0, 3.0], "a_2": [1.0, 3.1]}), ARMS).iloc[0]
    assert alike["sd_between"] == 0


def test_spreads_of_equal_numbers_are_those_of_a_mixed_model():
    from statsmodels.formula.api import mixedlm

    rng = np.random.default_rng(0)
    values = {f"p{i}": list(rng.normal(rng.normal(0, 2), 1, 5)) for i in range(12)}
    results = frame(values)
    fit = mixedlm("value ~ 1", results, groups=results["pretraining"]).fit(reml=True)
    found = nested.spreads(results, dict.fromkeys(values, "arm")).iloc[0]
    assert found["sd_within"] == pytest.approx(np.sqrt(fit.scale), rel=1e-3)
    assert found["sd_between"] == pytest.approx(np.sqrt(fit.cov_re.iloc[0, 0]), rel=1e-3)


def test_only_units_keep_the_rate_of_false_positives_where_pretraining_runs_differ():
    # Two equal arms of three pretraining runs, four downstream runs each; both spreads are 1.
    rng, draws = np.random.default_rng(1), 5000
    runs = rng.normal(size=(2, draws, 3, 1)) + rng.normal(size=(2, draws, 3, 4))
    pooled = ttest_ind(*runs.reshape(2, draws, 12), axis=1, equal_var=False).pvalue
    means = differences.contrast(runs.mean(axis=-1), [1, -1])["p"]
    assert (pooled < 0.05).mean() > 0.15
    assert (means < 0.05).mean() < 0.06


def test_the_sd_that_undoes_a_difference_brings_its_interval_to_0():
    pairs = pd.DataFrame({"ci_low": [0.03, -0.01, -0.05, np.nan], "ci_high": [0.05, 0.02, -0.03, np.nan]})
    found = nested.undoing_sd(pairs)
    assert found[1] == 0 and np.isnan(found[3]) and found[0] == pytest.approx(found[2])
    assert np.hypot(0.01, nested.NORMAL * np.sqrt(2) * found[0]) == pytest.approx(0.04)


def test_the_sentence_counts_pretraining_runs():
    results = frame(RUNS)
    assert say_arms(results[results["pretraining"].isin(["scratch", "a", "b"])], ARMS).startswith("One pre")
    assert "Pretraining runs an arm: A 2, b 3; arms are" in say_arms(results, ARMS, {"a": "A"})
    part = results[results["pretraining"] != "a_2"]
    assert say_arms(part, ARMS).endswith("An arm with one cannot be tested so.")
    assert say_arms(results[results["pretraining"] == "scratch"], ARMS) == ""


def test_pooled_panels_are_refused():
    with pytest.raises(TlkitError, match="share their group and seed"):
        nested.units(pd.concat([frame(RUNS), frame(RUNS)]), ARMS)
