"""Published values of Jonske et al. 2025 from their per-run results, hand-computed cases, and properties."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlkit.analysis import stats

# Test metric of each of the four published runs (seeds 42, 1, 2, 3), rounded to four decimals;
# exact for two of ImageNet, as their means lie within the rounding error.
PUBLISHED = {
    ("fine-tuning", "R", "accuracy"): {
        "Scratch": (0.9178, 0.9313, 0.8620, 0.9073),
        "I1k": (0.9385, 0.9311, 0.9470, 0.9250),
        "R": (0.9446, 0.9357, 0.9328, 0.9331),
        "RF": (0.9476, 0.9452, 0.9478, 0.9410),
    },
    ("fine-tuning", "I1k", "accuracy"): {
        "Scratch": (0.6946, 0.69084, 0.69732, 0.69364),
        "I1k": (0.6964, 0.692, 0.69048, 0.69516),
        "R": (0.6804, 0.6868, 0.6870, 0.6863),
        "RF": (0.6884, 0.6972, 0.6946, 0.6956),
    },
    ("fine-tuning", "LiTS", "dice_lesion"): {
        "Scratch": (0.8428, 0.4296, 0.8176, 0.8447),
        "I1k": (0.8529, 0.8501, 0.8548, 0.8624),
        "R": (0.8547, 0.8501, 0.8514, 0.8605),
        "RF": (0.8606, 0.8545, 0.8678, 0.8572),
    },
    ("linear evaluation", "LiTS", "dice_liver"): {
        "I1k": (0.9439, 0.9444, 0.9450, 0.9481),
        "R": (0.9476, 0.9525, 0.9481, 0.9517),
        "RF": (0.9477, 0.9521, 0.9521, 0.9526),
    },
}
DELTA_AND_P = [
    ("fine-tuning", "R", "I1k", "Scratch", 3.40, 0.130),
    ("fine-tuning", "R", "RF", "R", 0.94, 0.040),
    ("fine-tuning", "R", "RF", "I1k", 1.07, 0.124),
    ("fine-tuning", "R", "R", "I1k", 0.12, 0.844),
    ("fine-tuning", "I1k", "R", "I1k", -1.21, 0.008),
    ("fine-tuning", "I1k", "RF", "R", 1.29, 0.013),
    ("fine-tuning", "I1k", "I1k", "Scratch", -0.09, 0.768),
    ("fine-tuning", "LiTS", "I1k", "Scratch", 16.54, 0.318),
    ("fine-tuning", "LiTS", "RF", "R", 0.68, 0.166),
    ("linear evaluation", "LiTS", "R", "I1k", 0.49, 0.027),
    ("linear evaluation", "LiTS", "RF", "I1k", 0.61, 0.009),
]


def tidy(panels: dict[tuple[str, str, str], dict[str, tuple[float, ...]]]) -> pd.DataFrame:
    rows = [
        (*panel, name, seed, value)
        for panel, groups in panels.items()
        for name, values in groups.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["experiment", "task", "metric", "pretraining", "seed", "value"])


def two(a: list[float], b: list[float]) -> pd.DataFrame:
    return stats.pairwise(tidy({("e", "t", "m"): {"a": tuple(a), "b": tuple(b)}}))


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return stats.pairwise(tidy(PUBLISHED), order=["Scratch", "I1k", "R", "RF"])


@pytest.mark.parametrize(("experiment", "task", "a", "b", "delta", "p"), DELTA_AND_P)
def test_published_delta_and_p(published, experiment, task, a, b, delta, p):
    row = published.query("experiment == @experiment and task == @task and a == @a and b == @b")
    assert len(row) == 1
    # The inputs are rounded to 1e-4, which moves delta by about 0.01 and p by about 0.002.
    assert row["delta_pct"].item() == pytest.approx(delta, abs=0.011)
    assert row["p_welch"].item() == pytest.approx(p, abs=0.003)


def test_every_pair_stands_in_both_directions(published):
    assert len(published) == 3 * 4 * 3 + 3 * 2
    assert list(published.loc[:1, ["a", "b"]].itertuples(index=False, name=None)) == [
        ("Scratch", "I1k"),
        ("I1k", "Scratch"),
    ]


def test_holm_spans_the_unordered_pairs_of_the_whole_frame(published):
    once = published.drop_duplicates(["experiment", "task", "metric", "p_welch"]).sort_values("p_welch")
    m = len(once)
    assert m == 21
    expected = np.minimum(1, np.maximum.accumulate(once["p_welch"] * np.arange(m, 0, -1)))
    assert once["p_holm"].to_numpy() == pytest.approx(expected.to_numpy())


def test_summarise_by_hand():
    frame = stats.summarise(tidy({("e", "t", "m"): {"a": (1.0, 2.0, 6.0), "b": (5.0,)}}))
    assert frame["mean"].tolist() == [3.0, 5.0]
    assert frame["n"].tolist() == [3, 1]
    assert frame["sd"][0] == pytest.approx(np.sqrt((4 + 1 + 9) / 2))
    assert np.isnan(frame["sd"][1])


def test_pairwise_by_hand():
    # Means 2 and 5, variances 1 and 4, n 3: t = -3 / sqrt(5/3), df = (5/3)^2 / ((1/9 + 16/9) / 2) = 2.941.
    row = two([1, 2, 3], [3, 5, 7]).iloc[0]
    assert (row["mean_a"], row["mean_b"], row["sd_a"], row["sd_b"]) == (2, 5, 1, 2)
    assert row["delta_pct"] == pytest.approx(-60)
    assert row["hedges_g"] == pytest.approx(-3 / np.sqrt(2.5) * (1 - 3 / 15))
    from scipy.stats import t

    df, error = (25 / 9) / (17 / 18), np.sqrt(5 / 3)
    assert row["p_welch"] == pytest.approx(2 * t.sf(3 / error, df))
    assert (row["ci_low"] + row["ci_high"]) / 2 == pytest.approx(-3)
    assert (row["ci_high"] - row["ci_low"]) / 2 == pytest.approx(t.ppf(0.975, df) * error)


@pytest.mark.parametrize(
    ("a", "b"),
    [([1.0], [2.0, 3.0]), ([1.0], [2.0]), ([1.0, 1.0], [2.0, 2.0]), ([0.3] * 3, [0.3, 0.3, 0.1 + 0.2])],
)
def test_no_test_without_two_runs_or_any_spread(a, b):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pairs = two(a, b)
    assert pairs[[*stats.TESTS, "p_holm"]].isna().all(axis=None)
    assert pairs["delta_pct"].notna().all()


def test_one_side_without_spread_is_tested_in_silence():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pairs = two([1.0, 1.0, 1.0], [2.0, 3.0, 4.0])
    # Welch with one zero variance is the one-sample test of b against 1: t = 2 / (1 / sqrt(3)), df = 2.
    assert pairs["p_welch"].tolist() == pytest.approx([0.07417990022744853] * 2)


def test_an_untestable_pair_does_not_enter_holm():
    results = tidy({("e", "t", "m"): {"a": (1.0, 2.0), "b": (3.0, 5.0), "single": (4.0,)}})
    pairs = stats.pairwise(results)
    assert len(pairs) == 6
    tested = pairs.dropna(subset="p_welch")
    assert len(tested) == 2
    assert tested["p_holm"].tolist() == tested["p_welch"].tolist()


def test_a_zero_mean_has_no_delta():
    pairs = two([1.0, 2.0], [-1.0, 1.0])
    assert np.isnan(pairs["delta_pct"][0])
    assert pairs["delta_pct"][1] == -100


def test_one_pretraining_has_no_pairs():
    assert stats.pairwise(tidy({("e", "t", "m"): {"a": (1.0, 2.0)}})).empty


def test_pooled_fractions_are_refused():
    results = tidy({("e", "t", "m"): {"a": (1.0, 2.0), "b": (3.0, 4.0)}})
    both = pd.concat([results.assign(fraction=1.0), results.assign(fraction=0.1)])
    with pytest.raises(ValueError, match=r"4 values share their group and seed.*fraction"):
        stats.pairwise(both)
    assert len(stats.pairwise(both, within=(*stats.PANEL, "fraction"))) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.drop(columns="seed"), r"need the columns \['seed'\]"),
        (
            lambda r: r.assign(value=[0.5, np.nan]),
            r"1 of 2 values are not finite, first .*'pretraining': 'b'",
        ),
        (lambda r: r, r"also hold \['b'\]"),
    ],
)
def test_errors_say_what_was_found(change, message):
    results = tidy({("e", "t", "m"): {"a": (0.5,), "b": (0.6,)}})
    with pytest.raises(ValueError, match=message):
        stats.pairwise(change(results), order=["a"])


scores = st.lists(st.floats(0.01, 1, allow_subnormal=False), min_size=1, max_size=5)


@settings(max_examples=40, deadline=None)
@given(a=scores, b=scores)
def test_directions_mirror_each_other(a, b):
    forth, back = two(a, b).to_dict("records")
    assert (forth["a"], forth["b"]) == (back["b"], back["a"])
    for c in ("n", "mean", "sd"):
        assert forth[f"{c}_a"] == pytest.approx(back[f"{c}_b"], nan_ok=True)
    assert (1 + forth["delta_pct"] / 100) * (1 + back["delta_pct"] / 100) == pytest.approx(1)
    assert forth["delta_pct"] == pytest.approx((np.mean(a) / np.mean(b) - 1) * 100)
    for mine, other in (("ci_low", "ci_high"), ("ci_high", "ci_low"), ("hedges_g", "hedges_g")):
        assert forth[mine] == pytest.approx(-back[other], nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(a=scores, b=scores)
def test_p_is_symmetric_and_agrees_with_the_interval(a, b):
    x, y = stats.welch(a, b), stats.welch(b, a)
    assert x["p_welch"] == pytest.approx(y["p_welch"], nan_ok=True)
    assert x["ci_low"] == pytest.approx(-y["ci_high"], nan_ok=True)
    if not np.isnan(x["p_welch"]) and abs(x["p_welch"] - 0.05) > 1e-6:
        assert (x["p_welch"] < 0.05) == (not x["ci_low"] <= 0 <= x["ci_high"])


def test_leaders_names_the_highest_mean_and_the_next_one():
    values = {"low": [1.0, 1.1], "high": [3.0, 3.2], "middle": [2.0, 2.5]}
    frame = pd.DataFrame(
        [("E", "T", "accuracy", name, seed, v) for name, vs in values.items() for seed, v in enumerate(vs)],
        columns=["experiment", "task", "metric", "pretraining", "seed", "value"],
    )
    found = stats.leaders(stats.pairwise(frame))
    assert found[["a", "b"]].to_numpy().tolist() == [["high", "middle"]]
    assert found["delta_pct"].item() == pytest.approx((3.1 / 2.25 - 1) * 100)
