"""Leads, and how often they are false: by hand, and by simulation with true means that are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from tlkit.figures import leads
from tlkit.stats import differences


def frame(metric: str = "accuracy", **groups: tuple[float, ...]) -> pd.DataFrame:
    rows = [("E", "T", metric, name, seed, v) for name, values in groups.items() for seed, v in enumerate(values)]
    return pd.DataFrame(rows, columns=[*differences.PANEL, "pretraining", "seed", "value"])


GROUPS = {"low": (1.0, 1.1), "high": (3.0, 3.2), "middle": (2.0, 2.5)}


def test_leaders_names_the_highest_mean_and_the_next_one():
    found = leads.leaders(differences.pairwise(frame(**GROUPS)))
    assert found[["a", "b"]].to_numpy().tolist() == [["high", "middle"]]
    assert found["delta_pct"].item() == pytest.approx((3.1 / 2.25 - 1) * 100)
    assert list(found)[-3:] == ["p_sound", "p_holm", "p_false_win"]
    wins = leads.false_win([3.1, 2.25, 1.05], np.std(list(GROUPS.values()), axis=1, ddof=1)[[1, 2, 0]], [2, 2, 2])
    assert found["p_false_win"].item() == pytest.approx(wins)


def test_the_lowest_error_leads_and_panels_are_their_own():
    both = pd.concat([frame("mae", **GROUPS), frame("accuracy", **GROUPS)])
    pairs = differences.pairwise(both)
    found = leads.leaders(pairs[pairs["a"] != "nobody"].iloc[::-1]).set_index("metric")
    assert found.loc["mae", ["a", "b"]].tolist() == ["low", "middle"]
    assert found.loc["accuracy", ["a", "b"]].tolist() == ["high", "middle"]
    assert found.loc["mae", "p_false_win"] != found.loc["accuracy", "p_false_win"]


def test_a_false_win_by_hand():
    # The other is known (its spread is tiny): only the leader's own t distribution counts, 2 / (1 / 2) = 4 ses away.
    assert leads.false_win([2, 0], [1, 1e-9], [4, 4]) == pytest.approx(t.sf(4, 3), rel=2e-2)
    assert leads.false_win([0, 0], [1, 1], [4, 4]) == pytest.approx(0.5, abs=1e-3)
    assert leads.false_win([1, 1, 1, 1], [1, 1, 1, 1], [3, 3, 3, 3]) == pytest.approx(0.75, abs=1e-3)
    assert np.isnan(leads.false_win([1, 2], [np.nan, 1], [1, 3])) and np.isnan(leads.false_win([1, 2], [0, 1], [3, 3]))


def simulated(arms: int, runs: int, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what `false_win` says of simulated panels, and whether the win was false.

    True means come from a range much wider than their error, so that no value is likelier than another beforehand.
    """
    rng = np.random.default_rng(arms)
    truth = rng.uniform(-10, 10, (draws, arms)) / np.sqrt(runs)
    values = rng.normal(truth[..., None], 1, (draws, arms, runs))
    means, sds = values.mean(-1), values.std(-1, ddof=1)
    said = [leads.false_win(m, s, [runs] * arms) for m, s in zip(means, sds, strict=True)]
    return np.array(said), means.argmax(1) != truth.argmax(1)


def test_with_many_runs_leads_are_false_as_often_as_it_says():
    said, false = simulated(arms=3, runs=30, draws=1500)
    for low, high in ((0, 0.1), (0.1, 0.6)):
        chosen = (said >= low) & (said < high)
        assert chosen.sum() > 300 and false[chosen].mean() == pytest.approx(said[chosen].mean(), abs=0.04)


def test_with_four_runs_leads_are_false_less_often_than_it_says_but_not_much_less():
    said, false = simulated(arms=4, runs=4, draws=1500)
    assert 0.7 * said.mean() < false.mean() < said.mean()


@pytest.mark.parametrize(("runs", "least"), [(4, 0.7), (30, 0.9)])
def test_a_pair_is_won_falsely_about_as_often_as_half_its_p_says(runs, least):
    rng, draws = np.random.default_rng(1), 40_000
    truth = rng.uniform(-12, 12, draws) / np.sqrt(runs)
    a, b = rng.normal(truth[:, None], 1, (draws, runs)), rng.normal(0, 1, (draws, runs))
    said = differences.contrast([a, b], [1, -1])["p"] / 2
    false = (a.mean(1) > b.mean(1)) != (truth > 0)
    for low, high in ((0.05, 0.2), (0.2, 0.5)):
        chosen = (said >= low) & (said < high)
        assert chosen.sum() > 2000
        assert least * said[chosen].mean() < false[chosen].mean() < said[chosen].mean() + 0.015
