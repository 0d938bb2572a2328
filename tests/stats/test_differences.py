"""Hand-computed cases, scipy and statsmodels as independent routes, and properties. All numbers are made up."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from panels import tidy

from tlkit.config import TlkitError
from tlkit.figures.leads import leaders
from tlkit.stats import differences
from tlkit.stats.power import smallest_difference

GROUPS = ([0.71, 0.74, 0.72, 0.75], [0.80, 0.86, 0.81], [0.90, 0.77, 0.83, 0.85, 0.88])
WEIGHTS = (0.7, 0.3, -1.0)
KEYS = ("estimate", "se", "df", "p", "ci_low", "ci_high", "hedges_g", "p_equivalent")
RESULTS_OF_TESTS = [c for c in differences.TESTS if c != "equivalent"]


def two(a: list[float], b: list[float]) -> pd.DataFrame:
    return differences.pairwise(tidy({("e", "t", "m"): {"a": tuple(a), "b": tuple(b)}}))


def family_tree(weight: float = 0.25) -> tuple[pd.DataFrame, dict[str, dict[str, float]]]:
    """Return results of two panels with a mixture of small and large, and its weights."""
    panels = {}
    for k, panel in enumerate([("e", "t", "m"), ("e", "u", "m")]):
        small, large = np.array([1.0, 2.0, 4.0, 5.0]) + k, np.array([3.0, 4.0, 7.0, 8.0 + k])
        mean = (1 - weight) * small.mean() + weight * large.mean()
        mixed = tuple(mean + 3 * (large - large.mean()))
        panels[panel] = {"other": (6.0, 7.0, 9.0), "small": tuple(small), "mixed": mixed, "large": tuple(large)}
    return tidy(panels), {"mixed": {"small": 1 - weight, "large": weight}}


def row_of(pairs: pd.DataFrame, a: str, b: str, task: str = "t") -> pd.Series:
    (row,) = pairs[(pairs["a"] == a) & (pairs["b"] == b) & (pairs["task"] == task)].to_dict("records")
    return row


# --- summarise ---


def test_summarise_by_hand():
    results = tidy({("e", "t", "m"): {"a": (1.0, 2.0, 6.0), "b": (5.0,)}})
    frame = differences.summarise(results)
    assert list(frame)[-3:] == ["mean", "sd", "n"]
    assert frame["mean"].tolist() == [3.0, 5.0]
    assert frame["n"].tolist() == [3, 1]
    assert frame["sd"][0] == pytest.approx(np.sqrt((4 + 1 + 9) / 2))
    assert np.isnan(frame["sd"][1])
    assert differences.summarise(results, ddof=0)["sd"].tolist() == pytest.approx([np.sqrt((4 + 1 + 9) / 3), 0])


# --- contrast ---


def test_a_contrast_of_three_by_hand():
    # Means 2, 5, 1; variances 1, 4, 2 (n 3, 3, 2); weights 0.5, 0.5, -1: terms 1/12, 4/12, 1.
    found = differences.contrast([[1, 2, 3], [3, 5, 7], [0, 2]], [0.5, 0.5, -1])
    total = 1 / 12 + 4 / 12 + 1
    assert found["estimate"] == pytest.approx(2.5)
    assert found["se"] == pytest.approx(np.sqrt(total))
    assert found["df"] == pytest.approx(total**2 / ((1 / 12) ** 2 / 2 + (4 / 12) ** 2 / 2 + 1**2 / 1))
    pooled = (2 * 1 + 2 * 4 + 1 * 2) / 5
    assert found["hedges_g"] == pytest.approx((1 - 3 / 19) * 2.5 / np.sqrt(pooled))
    assert np.isnan(found["p_equivalent"])


def test_a_difference_of_two_is_welchs_test():
    from scipy.stats import ttest_ind
    from statsmodels.stats.meta_analysis import effectsize_smd
    from statsmodels.stats.weightstats import CompareMeans, DescrStatsW, ttost_ind

    a, b, _ = map(np.array, GROUPS)
    found = differences.contrast([a, b], [1, -1], level=0.9, margin=0.15)
    test = ttest_ind(a, b, equal_var=False)
    assert (found["p"], found["df"]) == pytest.approx((test.pvalue, test.df))
    assert found["estimate"] / found["se"] == pytest.approx(test.statistic)
    limits = CompareMeans(DescrStatsW(a), DescrStatsW(b)).tconfint_diff(alpha=0.1, usevar="unequal")
    assert (found["ci_low"], found["ci_high"]) == pytest.approx(limits)
    assert found["p_equivalent"] == pytest.approx(ttost_ind(a, b, -0.15, 0.15, usevar="unequal")[0])
    g, _ = effectsize_smd(a.mean(), a.std(ddof=1), a.size, b.mean(), b.std(ddof=1), b.size)
    assert found["hedges_g"] == pytest.approx(g)


def test_unequal_weights_are_welchs_test_of_scaled_groups():
    from scipy.stats import ttest_ind

    a, b, _ = map(np.array, GROUPS)
    found, test = differences.contrast([a, b], [0.5, -2]), ttest_ind(0.5 * a, 2 * b, equal_var=False)
    assert (found["p"], found["df"]) == pytest.approx((test.pvalue, test.df))


def test_the_error_of_a_contrast_is_that_of_a_regression_with_unequal_variances():
    import statsmodels.api as sm

    label = np.repeat([0, 1, 2], [len(g) for g in GROUPS])
    model = sm.OLS(np.concatenate(GROUPS), np.eye(3)[label]).fit(cov_type="HC2")
    test = model.t_test(np.array(WEIGHTS))
    found = differences.contrast(GROUPS, WEIGHTS)
    assert found["estimate"] == pytest.approx(test.effect.item())
    assert found["se"] == pytest.approx(test.sd.item())


def test_leading_axes_are_problems_of_their_own():
    rng = np.random.default_rng(0)
    groups = [rng.normal(size=(2, 3, n)) for n in (4, 2, 5)]
    groups[0][0, 0] = groups[1][0, 0, :1] = groups[2][0, 0] = 1.5
    groups[1][0, 0] = 1.5
    found = differences.contrast(groups, WEIGHTS, margin=0.5)
    assert found["p"].shape == (2, 3)
    assert np.isnan(found["p"][0, 0]) and np.isfinite(found["p"].ravel()[1:]).all()
    for i, j in np.ndindex(2, 3):
        one = differences.contrast([g[i, j] for g in groups], WEIGHTS, margin=0.5)
        assert [found[k][i, j] for k in KEYS] == pytest.approx([one[k] for k in KEYS], nan_ok=True)


def test_a_group_of_weight_zero_drops_out():
    single = [0.5]  # too few runs to be tested, were it part of the contrast
    with_it, without = (
        differences.contrast([*GROUPS[:2], single], [1, -1, 0]),
        differences.contrast(GROUPS[:2], [1, -1]),
    )
    assert [with_it[k] for k in KEYS[:-1]] == [without[k] for k in KEYS[:-1]]


@pytest.mark.parametrize("margin", [0, -0.01, np.nan])
def test_a_margin_is_a_positive_number(margin):
    with pytest.raises(TlkitError, match="expected a number above 0"):
        differences.contrast(GROUPS[:2], [1, -1], margin=margin)


values = st.lists(st.integers(0, 1000), min_size=2, max_size=5).map(lambda v: [x / 1000 for x in v])


@settings(max_examples=40, deadline=None)
@given(groups=st.tuples(values, values, values), shift=st.integers(-5, 5), scale=st.sampled_from([0.1, 3, 40]))
def test_a_contrast_does_not_depend_on_the_unit_or_the_origin(groups, shift, scale):
    assume(any(len(set(g)) > 1 for g in groups))
    plain = differences.contrast(groups, WEIGHTS, margin=0.02)
    moved = differences.contrast([[scale * x + shift for x in g] for g in groups], WEIGHTS, margin=0.02 * scale)
    for key in ("df", "p", "hedges_g", "p_equivalent"):
        assert moved[key] == pytest.approx(plain[key], rel=1e-5, abs=1e-9)
    for key in ("estimate", "se", "ci_low", "ci_high"):
        assert moved[key] == pytest.approx(scale * plain[key], rel=1e-6, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(a=values, b=values)
def test_p_agrees_with_the_interval_and_equivalence_with_the_margin(a, b):
    assume(len(set(a)) > 1 or len(set(b)) > 1)
    found = differences.contrast([a, b], [1, -1], margin=0.1)
    back = differences.contrast([b, a], [1, -1], margin=0.1)
    assert (found["p"], found["p_equivalent"]) == (back["p"], back["p_equivalent"])
    assert (found["ci_low"], found["hedges_g"]) == pytest.approx((-back["ci_high"], -back["hedges_g"]))
    if abs(found["p"] - 0.05) > 1e-6:
        assert (found["p"] < 0.05) == (not found["ci_low"] <= 0 <= found["ci_high"])
    # Two one-sided tests at 0.05 are the 90 % interval within the margins.
    wide = differences.contrast([a, b], [1, -1], level=0.9)
    if abs(found["p_equivalent"] - 0.05) > 1e-6:
        assert (found["p_equivalent"] < 0.05) == (wide["ci_low"] > -0.1 and wide["ci_high"] < 0.1)


# --- pairwise ---


def test_pairwise_by_hand():
    # Means 2 and 5, variances 1 and 4, n 3: t = -3 / sqrt(5/3), df = (5/3)^2 / ((1/9 + 16/9) / 2) = 2.941.
    row = two([1, 2, 3], [3, 5, 7]).iloc[0]
    assert (row["mean_a"], row["mean_b"], row["sd_a"], row["sd_b"]) == (2, 5, 1, 2)
    assert row["delta_pct"] == pytest.approx(-60)
    assert row["hedges_g"] == pytest.approx(-3 / np.sqrt(2.5) * (1 - 3 / 15))
    from scipy.stats import t

    df, error = (25 / 9) / (17 / 18), np.sqrt(5 / 3)
    assert row["p_published"] == row["p_sound"] == pytest.approx(2 * t.sf(3 / error, df))
    assert (row["ci_low"] + row["ci_high"]) / 2 == pytest.approx(-3)
    assert (row["ci_high"] - row["ci_low"]) / 2 == pytest.approx(t.ppf(0.975, df) * error)
    assert row["p_equivalent"] == pytest.approx(t.sf((0.01 - 3) / error, df))
    assert row["mdd"] == pytest.approx(smallest_difference([1, 2], [3, 3]))
    assert row["p_false_win"] == row["p_sound"] / 2


def test_columns_and_every_pair_in_both_directions():
    results, _ = family_tree()
    pairs = differences.pairwise(results, order=["large", "small", "mixed", "other"])
    after = [*differences.SIDES, "delta_pct", *differences.TESTS]
    assert list(pairs) == [*differences.PANEL, *after]
    assert len(pairs) == 2 * 4 * 3
    assert pairs[["a", "b"]].to_numpy().tolist()[:3] == [["large", "small"], ["small", "large"], ["large", "mixed"]]


def test_panels_come_as_they_first_appear_and_other_columns_do_no_harm():
    results, _ = family_tree()
    results["task"] = pd.Categorical(results["task"], ["u", "never", "t"], ordered=True)
    results = results.sort_values("task", kind="stable")
    pairs = differences.pairwise(results.assign(run="x", fraction=1.0))
    assert pairs["task"].drop_duplicates().tolist() == ["u", "t"]
    assert pairs["task"].dtype == results["task"].dtype
    assert leaders(pairs)["task"].tolist() == ["u", "t"]


def test_equivalent_where_the_means_lie_within_the_margin():
    pairs = differences.pairwise(tidy({("e", "t", "m"): {"a": (0.5, 0.502, 0.501), "b": (0.501, 0.5, 0.503)}}))
    assert pairs["equivalent"].tolist() == [True, True]
    assert pairs["equivalent"].dtype == bool
    narrow = differences.pairwise(
        tidy({("e", "t", "m"): {"a": (0.5, 0.502, 0.501), "b": (0.501, 0.5, 0.503)}}), margin=0.001
    )
    assert not narrow["equivalent"].any()


def test_a_mixture_is_tested_by_the_runs_behind_it():
    results, mixtures = family_tree(0.25)
    pairs = differences.pairwise(results, mixtures=mixtures)
    small, large, other, mixed = (
        results[(results["task"] == "t") & (results["pretraining"] == p)]["value"].to_numpy()
        for p in ("small", "large", "other", "mixed")
    )
    from scipy.stats import ttest_ind

    row = row_of(pairs, "mixed", "other")
    assert row["p_published"] == pytest.approx(ttest_ind(mixed, other, equal_var=False).pvalue)
    sound = differences.contrast([small, large, other], [0.75, 0.25, -1], margin=0.01)
    for ours, theirs in {"p_sound": "p", **{c: c for c in ("ci_low", "ci_high", "hedges_g", "p_equivalent")}}.items():
        assert row[ours] == pytest.approx(sound[theirs])
    assert row["p_sound"] != pytest.approx(row["p_published"], rel=0.01)
    assert (row["n_a"], row["sd_a"]) == (4, pytest.approx(mixed.std(ddof=1)))
    # Against a parent, the parent's weights add up: mixed - small = 0.25 (large - small).
    against, parents = row_of(pairs, "mixed", "small"), row_of(pairs, "large", "small")
    assert against["p_sound"] == pytest.approx(parents["p_sound"])
    assert against["hedges_g"] == pytest.approx(0.25 * parents["hedges_g"])
    assert (against["ci_low"], against["mdd"]) == pytest.approx((0.25 * parents["ci_low"], 0.25 * parents["mdd"]))


def test_without_mixtures_sound_is_published():
    results, _ = family_tree()
    pairs = differences.pairwise(results)
    assert pairs["p_sound"].tolist() == pairs["p_published"].tolist()


def test_a_mixture_without_a_parent_is_refused():
    results, mixtures = family_tree()
    lacking = results[(results["pretraining"] != "large") | (results["task"] == "t")]
    with pytest.raises(ValueError, match=r"mixed is an estimate from .*'task': 'u'.*no runs of \['large'\]"):
        differences.pairwise(lacking, mixtures=mixtures)
    without = lacking[(lacking["pretraining"] != "mixed") | (lacking["task"] == "t")]
    assert len(differences.pairwise(without, mixtures=mixtures)) == 12 + 2


def test_a_mixture_whose_rows_are_of_other_weights_is_refused():
    results, _ = family_tree(0.25)
    with pytest.raises(ValueError, match=r"mixed have the mean 3.625 .* give 4.25"):
        differences.pairwise(results, mixtures={"mixed": {"small": 0.5, "large": 0.5}})


def holm(p: list[float]) -> list[float]:
    order = np.argsort(p)
    steps = np.maximum.accumulate(np.array(p)[order] * np.arange(len(p), 0, -1))
    return np.minimum(1, steps[np.argsort(order)]).tolist()


def test_holm_spans_the_unordered_pairs_of_the_whole_frame():
    results, _ = family_tree()
    pairs = differences.pairwise(results)
    once = pairs.iloc[::2]
    assert len(once) == 12
    assert once["p_holm"].tolist() == pytest.approx(holm(once["p_sound"].tolist()))
    assert pairs["p_holm"].tolist()[::2] == pairs["p_holm"].tolist()[1::2]


def test_holm_counts_proportional_contrasts_once():
    results, mixtures = family_tree()
    once = differences.pairwise(results, mixtures=mixtures).iloc[::2]
    related = once["a"].isin(["small", "mixed", "large"]) & once["b"].isin(["small", "mixed", "large"])
    assert related.sum() == 6 and once.loc[related, "p_sound"].round(12).nunique() == 2
    distinct = pd.concat([once[~related], once[related & (once["a"] == "small") & (once["b"] == "large")]])
    assert len(distinct) == 8
    assert distinct["p_holm"].tolist() == pytest.approx(holm(distinct["p_sound"].tolist()))
    for task, at in once[related].groupby("task"):
        assert at["p_holm"].nunique() == 1, task


def test_holm_within_families():
    results, _ = family_tree()
    by_task = differences.pairwise(results, family=("task",))
    for task in ("t", "u"):
        once = by_task[by_task["task"] == task].iloc[::2]
        assert once["p_holm"].tolist() == pytest.approx(holm(once["p_sound"].tolist()))
    with pytest.raises(ValueError, match=r"family names \['figure'\]"):
        differences.pairwise(results, family=("figure",))


@pytest.mark.parametrize(
    ("a", "b"),
    [([1.0], [2.0, 3.0]), ([1.0], [2.0]), ([1.0, 1.0], [2.0, 2.0]), ([0.3] * 3, [0.3, 0.3, 0.1 + 0.2])],
)
def test_no_test_without_two_runs_or_any_spread(a, b):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pairs = two(a, b)
    assert pairs[RESULTS_OF_TESTS].isna().all(axis=None)
    assert not pairs["equivalent"].any()
    assert pairs["delta_pct"].notna().all()


def test_one_side_without_spread_is_tested_in_silence():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pairs = two([1.0, 1.0, 1.0], [2.0, 3.0, 4.0])
    # Welch with one zero variance is the one-sample test of b against 1: t = 2 / (1 / sqrt(3)), df = 2.
    assert pairs["p_sound"].tolist() == pytest.approx([0.07417990022744853] * 2)


def test_an_untestable_pair_does_not_enter_holm():
    results = tidy({("e", "t", "m"): {"a": (1.0, 2.0), "b": (3.0, 5.0), "single": (4.0,)}})
    pairs = differences.pairwise(results)
    assert len(pairs) == 6
    tested = pairs.dropna(subset="p_sound")
    assert len(tested) == 2
    assert tested["p_holm"].tolist() == tested["p_sound"].tolist()


def test_a_zero_mean_has_no_delta():
    pairs = two([1.0, 2.0], [-1.0, 1.0])
    assert np.isnan(pairs["delta_pct"][0])
    assert pairs["delta_pct"][1] == -100


def test_one_pretraining_has_no_pairs():
    assert differences.pairwise(tidy({("e", "t", "m"): {"a": (1.0, 2.0)}})).empty


def test_pooled_fractions_are_refused():
    results = tidy({("e", "t", "m"): {"a": (1.0, 2.0), "b": (3.0, 4.0)}})
    both = pd.concat([results.assign(fraction=1.0), results.assign(fraction=0.1)])
    with pytest.raises(ValueError, match=r"4 values share their group and seed.*fraction"):
        differences.pairwise(both)
    assert len(differences.pairwise(both, within=(*differences.PANEL, "fraction"))) == 4


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
        differences.pairwise(change(results), order=["a"])


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
    for c in ("p_published", "p_sound", "p_holm", "p_equivalent", "mdd"):
        assert forth[c] == pytest.approx(back[c], nan_ok=True)


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_the_rows_decides_the_order_of_the_panels_alone(random):
    results, mixtures = family_tree()
    order = ["other", "small", "mixed", "large"]
    expected = differences.pairwise(results, order=order, mixtures=mixtures)
    shuffled = results.iloc[random.sample(range(len(results)), len(results))]
    found = differences.pairwise(shuffled, order=order, mixtures=mixtures)
    assert found["task"].drop_duplicates().tolist() == shuffled["task"].drop_duplicates().tolist()
    found = found.sort_values("task", kind="stable", ignore_index=True)
    pd.testing.assert_frame_equal(found, expected.sort_values("task", kind="stable", ignore_index=True))
