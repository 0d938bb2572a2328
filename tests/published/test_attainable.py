"""Which p-values five runs against five can give: all weak orderings, with scipy as the referee."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from scipy.stats import kruskal, mannwhitneyu

from tlkit.published import attainable, claims, ranks


@pytest.mark.parametrize(("n", "m", "count"), [(1, 1, 3), (2, 1, 8), (2, 2, 26), (5, 5, 26_928)])
def test_every_weak_ordering_is_there_once(n, m, count):
    # 1 against 1: below, above or equal. The 26,928 of 5 against 5 hold the one in which all ten are equal.
    x, y = attainable.orderings(n, m)
    assert len(x) == len(y) == count == len(np.unique(np.concatenate([x, y], axis=1), axis=0))
    assert (attainable.mann_whitney(n, m)["tied"] == 0).sum() == comb(n + m, n)


def test_the_orderings_of_two_against_one_by_hand():
    x, y = attainable.orderings(2, 1)
    found = {(*a, "|", *b) for a, b in zip(x.tolist(), y.tolist(), strict=True)}
    assert found == {(0, 0, "|", 0), (0, 0, "|", 1), (1, 1, "|", 0), (0, 1, "|", 0), (0, 1, "|", 1), (0, 1, "|", 2),
                     (0, 2, "|", 1), (1, 2, "|", 0)}  # fmt: skip


def test_p_values_of_a_sample_of_orderings_are_scipys():
    x, y = attainable.orderings(5, 5)
    table = attainable.mann_whitney(5, 5)
    for i in np.random.default_rng(0).choice(len(x), 200, replace=False):
        if len({*x[i], *y[i]}) == 1:
            continue
        test = mannwhitneyu(x[i], y[i])
        plain = mannwhitneyu(x[i], y[i], method="asymptotic", use_continuity=False)
        row = table.iloc[i]
        assert (row["u"], row["default"], row["plain"]) == pytest.approx((test.statistic, test.pvalue, plain.pvalue))
        assert row["tied"] == sum([*x[i], *y[i]].count(v) > 1 for v in [*x[i], *y[i]])


@pytest.mark.parametrize(
    ("printed", "u", "least_tied"),
    [
        ("0.024", "0", 0), ("0.095", "2", 0), ("1.00", "7.5 to 12.5", 0), ("0.048", "0.5 to 1", 0),
        ("0.047", "0.5", 4), ("0.035", "0 to 0.5", 4), ("0.036", "0", 2), ("0.033", "0", 3), ("0.028", "0", 6),
        ("0.022", "0", 5), ("0.020", "0", 8), ("0.052", "1", 6), ("0.103", "2 to 2.5", 3), ("0.07", "1.5 to 2.5", 4),
    ],
)  # fmt: skip
def test_each_printed_value_with_the_fewest_ties_that_it_needs(printed, u, least_tied):
    found = attainable.pair(printed, 5, 5, times=3)
    assert (found["u"], found["least_tied"], found["untied"]) == (u, least_tied, least_tied == 0)
    x, y = (list(map(int, side.split())) for side in found["example"].split(" / "))
    digits = len(printed.split(".")[1])
    assert f"{min(1, 3 * mannwhitneyu(x, y).pvalue):.{digits}f}" == printed


def test_what_no_runs_can_give_is_said():
    assert attainable.pair("0.010", 5, 5, times=3) == {
        "methods": [], "ways": 0, "untied": False, "least_tied": None, "u": "", "example": ""
    }  # fmt: skip
    assert attainable.pair("0.008", 5, 5)["untied"] and not attainable.pair("0.008", 4, 5)["untied"]
    assert attainable.kruskal("0.001", (5, 5, 5), most_tied=3)["least_tied"] is None


@pytest.mark.parametrize(("printed", "least_tied"), [("0.063", 0), ("0.326", 0), ("0.199", 4)])
def test_kruskal_wallis_over_three_groups_of_five(printed, least_tied):
    found = attainable.kruskal(printed, (5, 5, 5))
    assert found["least_tied"] == least_tied and found["untied"] == (least_tied == 0)
    groups = [list(map(int, side.split())) for side in found["example"].split(" / ")]
    assert f"{kruskal(*groups).pvalue:.3f}" == printed and list(map(len, groups)) == [5, 5, 5]


def test_kruskal_wallis_of_unequal_groups():
    p = kruskal([1, 2], [3, 4, 5], [6]).pvalue
    assert attainable.kruskal(f"{p:.6f}", (2, 3, 1))["untied"]


def test_the_epochs_of_resnet18_go_together_only_with_continuity_correction():
    ways = attainable.pair_with_constant("0.103", "0.020", "0.022", 5, times=3)
    assert len(ways) == 12
    for way in ways:
        samples, place = way.split("; all z at ")
        x, y = (list(map(float, side.split())) for side in samples.split(" / "))
        z = [float(place)] * 5
        printed = [f"{min(1, 3 * mannwhitneyu(*two).pvalue):.3f}" for two in ((x, y), (z, x), (z, y))]
        assert printed == ["0.103", "0.020", "0.022"]
    assert attainable.pair_with_constant("0.103", "0.020", "0.022", 5, times=3, method="plain") == []
    assert attainable.pair_with_constant("0.103", "0.020", "0.020", 5, times=3, method="exact") == []


def test_the_ladder_begins_at_the_smallest_p():
    found = attainable.ladder(5, 5)
    untied = found.loc[found["runs"] == "without ties", "p"]
    assert untied.min() == pytest.approx(ranks.smallest_p(5, 5)) and len(untied) == 13
    assert found["p"].is_unique or set(found["runs"]) == {"without ties", "with ties"}
    assert (found["p"] <= 1).all() and attainable.ladder(5, 5, times=3)["p"].max() == 1


def test_every_printed_p_value_can_be_had_and_which_need_ties():
    quoted = claims.read_quoted("radiologynet2025")
    assert len(quoted) == 27 and quoted["p"].str.fullmatch(r"[01]\.\d{2,3}").all()
    found = attainable.check(quoted)
    assert (found["attainable"] == "yes").all()
    tied = found[found["untied"] == "no"]
    assert sorted(tied.loc[tied["metric"] == "f1_macro", "p"]) == ["0.035", "0.036", "0.047"]
    assert (tied["metric"] == "epochs").sum() == 9 and len(tied) == 12
