"""The rank tests: every p-value that five against five runs can give in the tables of the study, by its U and ties."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, ttest_ind

from tlkit.published import ranks
from tlkit.stats import differences

TENS = [10, 11, 12, 13, 14]


def panel(**groups: list[float]) -> pd.DataFrame:
    rows = [("e", "t", "m", name, seed, value) for name, values in groups.items() for seed, value in enumerate(values)]
    return pd.DataFrame(rows, columns=[*differences.PANEL, "pretraining", "seed", "value"])


def pair(a: list[float], b: list[float]) -> pd.Series:
    """Return the row of a against b, one of three pairs."""
    return ranks.mann_whitney(panel(a=a, b=b, c=TENS)).iloc[0]


@pytest.mark.parametrize(
    ("b", "u", "p"),
    [
        ([6, 7, 8, 9, 10], 0, "0.024"),  # 2 / C(10, 5), times 3: the smallest possible
        ([4.5, 7, 8, 9, 10], 1, "0.048"),
        ([3.5, 7, 8, 9, 10], 2, "0.095"),
        ([2.5, 7, 8, 9, 10], 3, "0.167"),
        ([1.5, 7, 8, 9, 10], 4, "0.286"),
        ([1.5, 2.5, 4.5, 9, 10], 8, "1.000"),
        ([-1, 0, 1.5, 9, 10], 14, "1.000"),
    ],
)
def test_exact_p_without_ties(b, u, p):
    row = pair([1, 2, 3, 4, 5], b)
    assert row["u"] == u
    assert f"{row['p_bonferroni']:.3f}" == p


@pytest.mark.parametrize(
    ("a", "b", "u", "p"),
    [
        ([0, 0, 1, 1, 1], [2, 2, 2, 2, 2], 0, "0.020"),
        ([0, 1, 2, 3, 4], [5, 5, 5, 5, 5], 0, "0.022"),  # one side always the same epoch
        ([0, 1, 1, 2, 2], [3, 4, 4, 4, 4], 0, "0.028"),
        ([0, 1, 2, 3, 4], [5, 6, 7, 7, 7], 0, "0.033"),
        ([0, 1, 2, 3, 4], [5, 6, 6, 7, 7], 0, "0.035"),
        ([0, 1, 2, 3, 4], [5, 6, 7, 8, 8], 0, "0.036"),
        ([0, 1, 2, 3, 4], [4, 5, 6, 7, 7], 0.5, "0.047"),
        ([0, 1, 2, 2, 4], [3, 5, 5, 5, 5], 1, "0.052"),
        ([0, 1, 2, 3, 4], [4, 4, 4, 5, 5], 1.5, "0.070"),
        ([0, 1, 2, 4, 5], [3, 6, 7, 7, 7], 2, "0.103"),
    ],
)
def test_approximate_p_with_ties(a, b, u, p):
    row = pair(a, b)
    assert row["u"] == u
    assert f"{row['p_bonferroni']:.3f}" == p


def test_u_and_its_p_by_hand():
    # b beats a in 23 of 25 comparisons. With ties the normal deviate is (|U - 12.5| - 0.5) / sd, sd^2 = 25 / 12 * 11
    # without ties, less the sum of t^3 - t over the ties times 25 / (12 * 10 * 9).
    row = pair([1, 1, 2, 5, 6], [3, 7, 8, 9, 10])
    assert row["u"] == 2
    from scipy.stats import norm

    sd = np.sqrt(25 / 12 * 11 - 25 * (2**3 - 2) / (12 * 10 * 9))
    assert row["p"] == pytest.approx(2 * norm.sf(10 / sd))
    assert row["p_bonferroni"] == pytest.approx(3 * row["p"])


def test_bonferroni_counts_the_pairs_of_the_panel_and_the_order_is_kept():
    found = ranks.mann_whitney(panel(a=[1, 2, 3], b=[4, 5, 6], c=[7, 8, 9], d=[0]), order=["d", "c", "b", "a"])
    assert found[["a", "b"]].to_numpy().tolist()[:3] == [["d", "c"], ["d", "b"], ["d", "a"]]
    assert list(found) == [*differences.PANEL, *differences.SIDES, "u", "p", "p_bonferroni"]
    assert found["p_bonferroni"].tolist() == pytest.approx(np.minimum(1, 6 * found["p"]).tolist())
    assert found["p"].tolist()[3] == pytest.approx(2 / 20)


@pytest.mark.parametrize(
    ("groups", "p"),
    [
        # Rank sums 52, 47, 21: H = 12 / (15 * 16) * (52^2 + 47^2 + 21^2) / 5 - 3 * 16 = 5.54; the others alike.
        (([5, 6, 12, 14, 15], [7, 8, 9, 10, 13], [1, 2, 3, 4, 11]), "0.063"),
        (([4, 7, 8, 14, 15], [5, 6, 9, 11, 13], [1, 2, 3, 10, 12]), "0.326"),
        (([1, 2, 3, 4, 5], [6, 7, 8, 9, 10], [11, 12, 13, 14, 15]), "0.002"),  # the smallest possible
    ],
)
def test_kruskal_wallis_over_three_groups_of_five(groups, p):
    row = ranks.omnibus(panel(a=groups[0], b=groups[1], c=groups[2])).iloc[0]
    h = 12 / (15 * 16) * sum(sum(g) ** 2 for g in groups) / 5 - 3 * 16
    assert row["h"] == pytest.approx(h)
    assert row["p_kruskal"] == pytest.approx(chi2.sf(h, 2)) == pytest.approx(np.exp(-h / 2))
    assert f"{row['p_kruskal']:.3f}" == p
    assert (row["groups"], row["n"]) == (3, 15)


def test_levene_is_an_f_test_of_the_distances_from_the_medians():
    groups = [[1, 2, 4, 9, 3], [5, 5.5, 6, 5.2, 5.1], [0, 10, 20, 30, 45]]
    from scipy.stats import f_oneway

    distances = [np.abs(np.array(g) - np.median(g)) for g in groups]
    row = ranks.omnibus(panel(a=groups[0], b=groups[1], c=groups[2])).iloc[0]
    assert row["p_levene"] == pytest.approx(f_oneway(*distances).pvalue)


@pytest.mark.parametrize("groups", [{"a": [1, 2]}, {"a": [3, 3], "b": [3, 3]}])
def test_no_omnibus_test_of_one_group_or_without_spread(groups):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        row = ranks.omnibus(panel(**groups)).iloc[0]
    assert row[["p_levene", "h", "p_kruskal"]].isna().all()


def test_groups_that_do_not_vary_inside_have_no_levene_test():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        row = ranks.omnibus(panel(a=[1, 1], b=[2, 2])).iloc[0]
    assert np.isnan(row["p_levene"]) and np.isfinite(row["p_kruskal"])


def test_pairs_of_runs_have_no_levene_test():
    # Their distances from the median differ by rounding alone, which would make p as small as 1e-41.
    row = ranks.omnibus(panel(a=[0.1, 0.31], b=[0.2, 0.43], c=[0.7, 0.83])).iloc[0]
    assert np.isnan(row["p_levene"]) and np.isfinite(row["p_kruskal"])


def test_one_row_a_panel_in_the_order_of_the_tasks():
    two = pd.concat([panel(a=[1, 2], b=[3, 4]), panel(a=[1, 2], b=[3, 5]).assign(task="s")])
    two["task"] = pd.Categorical(two["task"], ["t", "s"], ordered=True)
    for test in (ranks.omnibus, ranks.mann_whitney, ranks.student):
        assert test(two)["task"].tolist() == ["t", "s"]


def test_student_by_hand_and_welch_beside():
    # Means 2 and 5, variances 1 and 4, n 3: pooled variance 2.5, t = -3 / sqrt(2.5 * 2 / 3), df 4.
    from scipy.stats import t

    row = ranks.student(panel(single=[1, 2, 3], multi=[3, 5, 7])).iloc[0]
    assert row["p_student"] == pytest.approx(2 * t.sf(3 / np.sqrt(5 / 3), 4))
    assert row["p_welch"] == pytest.approx(ttest_ind([1, 2, 3], [3, 5, 7], equal_var=False).pvalue)
    assert (row["a"], row["b"], row["sd_b"]) == ("single", "multi", 2)
    assert row["ci_low"] < -3 < row["ci_high"]


def test_student_with_one_or_both_sides_without_spread():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = ranks.student(panel(a=[1, 1, 1], b=[2, 2, 2], c=[2, 3, 4]))
    assert found["p_student"].isna().tolist() == found["p_welch"].isna().tolist() == [True, False, False]
    assert found["p_student"][1] == pytest.approx(2 * 0.0128242, abs=1e-4)  # t = 2 / sqrt(0.5 * 2 / 3) = 3.4641, df 4


@pytest.mark.parametrize(
    ("b", "delta"),
    [([6, 7, 8, 9, 10], -1), ([0, 0.1, 0.2, 0.3, 0.4], 1), ([3, 3, 3, 3, 3], 0), ([1, 2, 3, 4, 5], 0)],
)
def test_cliffs_delta_counts_wins_less_losses(b, delta):
    row = ranks.cliffs_delta(ranks.mann_whitney(panel(a=[1, 2, 3, 4, 5], b=b))).iloc[0]
    assert row["cliffs_delta"] == delta
    assert -1 <= row["delta_low"] <= delta <= row["delta_high"] <= 1


def test_the_interval_of_delta_is_where_newcombes_error_says():
    # 23 wins of 25; at each bound t: (t - 0.92)^2 = 1.96^2 t (1 - t) (1 + 4 ((1 - t) / (2 - t) + t / (1 + t))) / 25.
    row = ranks.cliffs_delta(ranks.mann_whitney(panel(a=[1, 7, 8, 9, 10], b=[0, 0.5, 2, 3, 0.7]))).iloc[0]
    assert row["u"] == 23
    for bound in (row["delta_low"], row["delta_high"]):
        t = (bound + 1) / 2
        error = t * (1 - t) * (1 + 4 * ((1 - t) / (2 - t) + t / (1 + t))) / 25
        assert (t - 0.92) ** 2 == pytest.approx(1.959964**2 * error, rel=1e-4)


def test_complete_separation_keeps_an_interval_that_excludes_no_effect():
    row = ranks.cliffs_delta(ranks.mann_whitney(panel(a=TENS, b=[1, 2, 3, 4, 5]))).iloc[0]
    assert row["delta_high"] == 1
    assert 0.2 < row["delta_low"] < 0.4  # not a point, as by an estimated variance
    one = ranks.cliffs_delta(ranks.mann_whitney(panel(a=[2], b=[1]))).iloc[0]
    assert one["cliffs_delta"] == 1 and np.isnan(one["delta_low"])


def test_the_interval_covers_the_truth_as_often_as_it_says():
    from scipy.stats import norm

    rng, delta = np.random.default_rng(0), 2 * norm.cdf(1 / np.sqrt(2)) - 1
    draws = [panel(a=rng.normal(1, 1, 5), b=rng.normal(0, 1, 5)).assign(task=f"t{i}") for i in range(400)]
    found = ranks.cliffs_delta(ranks.mann_whitney(pd.concat(draws)))
    covered = (found["delta_low"] <= delta) & (delta <= found["delta_high"])
    assert 0.92 < covered.mean() < 0.99


def test_holm_leaves_out_tests_that_were_not_made():
    p = pd.Series([0.01, np.nan, 0.04, 0.03], index=[3, 1, 7, 5])
    assert ranks.holm(p).dropna().tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert ranks.holm(p).index.tolist() == [3, 1, 7, 5]
    assert ranks.holm(pd.Series([np.nan])).isna().all()


@pytest.mark.parametrize(("n", "p"), [(5, 2 / 252), (3, 0.1), (1, 1.0)])
def test_the_smallest_p_is_that_of_complete_separation(n, p):
    assert ranks.smallest_p(n, n) == pytest.approx(p)
    row = ranks.mann_whitney(panel(a=range(n), b=range(100, 100 + n))).iloc[0]
    assert row["p"] == pytest.approx(p)
