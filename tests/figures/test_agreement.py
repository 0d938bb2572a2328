"""Who is right where: hand-counted cases, the identity, and the tests against statsmodels and sklearn."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sealed import seal
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from tlkit import runs
from tlkit.config import ConfigError
from tlkit.figures import agreement

X = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 0], bool)
Y = np.array([1, 1, 1, 1, 0, 0, 1, 0, 0, 0], bool)


def frame(*columns: np.ndarray, seeds: tuple[int, ...] = (42, 1)) -> pd.DataFrame:
    """Return runs of the pretrainings a, b, c ... with the seeds in turn."""
    keys = [("abcdef"[i // len(seeds)], seeds[i % len(seeds)]) for i in range(len(columns))]
    index = pd.MultiIndex.from_tuples(keys, names=["pretraining", "seed"])
    return pd.DataFrame(np.stack(columns, axis=1), columns=index)


def finished(rid: str, target: list[int], guess: list[int], kind: str = "multiclass", first: int = 0) -> str:
    where = runs.folder(rid)
    where.mkdir(parents=True)
    (where / "config.json").write_text(json.dumps({"task_kind": kind}))
    output = [np.eye(3)[g].tolist() for g in guess]
    ids = [f"image {i + first}" for i in range(len(target))]
    pd.DataFrame({"id": ids, "patient": ids, "target": target, "output": output}).to_parquet(
        where / "predictions_test.parquet"
    )
    seal(rid)
    return rid


def test_correctness_of_finished_runs():
    ids = {("a", 42): finished("one", [0, 1, 2], [0, 2, 2]), ("b", 42): finished("two", [0, 1, 2], [1, 1, 2])}
    right = agreement.correctness(ids)
    assert right["a", 42].tolist() == [True, False, True] and right["b", 42].tolist() == [False, True, True]
    assert right.index.tolist() == ["image 0", "image 1", "image 2"]


def test_runs_that_cannot_be_compared_are_named():
    one, other = finished("one", [0, 1], [0, 1]), finished("other", [0, 1], [0, 1], first=5)
    with pytest.raises(ConfigError, match="other was tested on other images or truths than one"):
        agreement.correctness({("a", 1): one, ("b", 1): other})
    with pytest.raises(ConfigError, match=r"expected a multiclass run, found masks \(segmentation\)"):
        agreement.correctness({("a", 1): finished("masks", [0], [0], kind="segmentation")})
    with pytest.raises(FileNotFoundError, match="run nobody is not done"):
        agreement.correctness({("a", 1): "nobody"})


def test_combinations_by_hand():
    found = agreement.combinations(pd.DataFrame({"a": X, "b": Y})).set_index("right")
    assert found["count"].to_dict() == {"none": 3, "a": 2, "b": 1, "a + b": 4}
    # accuracies 0.6 and 0.5: independent models are both right on 0.3 of the images
    assert found["expected"].to_dict() == pytest.approx({"none": 0.2, "a": 0.3, "b": 0.2, "a + b": 0.3})
    assert found.loc["a + b", "se"] == pytest.approx(0.2) and found.loc["a + b", "share"] == 0.4
    assert found.loc["a", ["a", "b"]].tolist() == [True, False]


@given(st.lists(st.tuples(*[st.booleans()] * 4), min_size=1, max_size=60))
def test_shares_and_expectations_sum_to_one_and_keep_the_accuracies(rows):
    right = pd.DataFrame(rows, columns=list("abcd"))
    found = agreement.combinations(right)
    assert len(found) == 16 and found["count"].sum() == len(right)
    assert found["share"].sum() == pytest.approx(1) and found["expected"].sum() == pytest.approx(1)
    for model in "abcd":
        for column in ("share", "expected"):
            assert found.loc[found[model], column].sum() == pytest.approx(right[model].mean())


def test_the_expectation_is_the_published_formula():
    # Test accuracies behind panel a (ImageNet, all four right): their product is the hatched bar, 0.22655.
    accuracy, n = (0.6946, 0.6964, 0.6804, 0.6884), 100_000
    right = pd.DataFrame({i: np.arange(n) < round(a * n) for i, a in enumerate(accuracy)})
    assert agreement.combinations(right)["expected"].iloc[-1] == pytest.approx(0.22655, abs=2e-5)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80))
def test_the_difference_of_the_two_bars_is_the_difference_of_the_accuracies(rows):
    x, y = np.array(rows, bool).T
    row = agreement.pairs(frame(x, y, seeds=(42,))).iloc[0]
    assert row["only_a"] - row["only_b"] == pytest.approx(row["acc_a"] - row["acc_b"])
    assert row[["only_a", "only_b", "both", "neither"]].sum() == pytest.approx(1)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=80))
def test_kappa_and_mcnemar_are_those_of_the_libraries(rows):
    x, y = np.array(rows, bool).T
    if len(set(x) | set(y)) == 2:
        assert agreement.error_consistency(x, y) == pytest.approx(cohen_kappa_score(x, y, labels=[False, True]))
    table = pd.crosstab(pd.Categorical(x, [True, False]), pd.Categorical(y, [True, False]), dropna=False)
    if (x != y).any():
        assert agreement.mcnemar(x, y) == pytest.approx(mcnemar(table, exact=True).pvalue)


def test_kappa_and_mcnemar_by_hand():
    # agree on 7 of 10; by chance 0.6 * 0.5 + 0.4 * 0.5 = 0.5: kappa = 0.2 / 0.5. Discordant 2 and 1: p = 1.
    assert agreement.error_consistency(X, Y) == pytest.approx(0.4)
    assert agreement.mcnemar(X, Y) == pytest.approx(1)
    eight = np.array([1] * 8 + [0] * 2, bool)
    assert agreement.mcnemar(eight, np.zeros(10, bool)) == pytest.approx(2 / 2**8)
    assert agreement.mcnemar(X, X) == 1 and agreement.error_consistency(X, X) == 1
    assert agreement.error_consistency(X, ~X) < 0
    assert np.isnan(agreement.error_consistency(np.ones(4, bool), np.ones(4, bool)))


def test_pairs_know_what_they_differ_in():
    compared = agreement.pairs(frame(X, Y, ~X, X))  # a: 42, 1; b: 42, 1
    kinds = {tuple(row[:4]): row[4] for row in compared[[*agreement.PAIR, "kind"]].to_numpy().tolist()}
    assert kinds == {
        ("a", "a", 42, 1): "seed",
        ("a", "b", 42, 42): "pretraining",
        ("a", "b", 42, 1): "both",
        ("a", "b", 1, 42): "both",
        ("a", "b", 1, 1): "pretraining",
        ("b", "b", 42, 1): "seed",
    }


def test_holm_spans_the_planned_pairs_of_the_whole_frame():
    rng = np.random.default_rng(0)
    panels = [agreement.pairs(frame(*(rng.random((4, 50)) < level))) for level in (0.5, 0.8)]
    both = agreement.add_holm(pd.concat(panels, ignore_index=True))
    planned = both[both["kind"] == "pretraining"]
    assert len(planned) == 4 and both["p_holm"].notna().sum() == 4
    assert planned["p_holm"].to_numpy() == pytest.approx(multipletests(planned["p_mcnemar"], method="holm")[1])
    assert (planned["p_holm"] >= panels[0]["p_holm"].dropna().to_list() + panels[1]["p_holm"].dropna().to_list()).all()


def test_agreement_is_set_against_the_seeds():
    # Both pretrainings know their own images: two seeds agree well, two pretrainings do not at all.
    rng = np.random.default_rng(0)
    own = [rng.random(4000) < 0.5 for _ in "ab"]
    columns = [np.where(rng.random(4000) < 0.1, ~mine, mine) for mine in own for _ in range(2)]
    row = agreement.compare_with_seeds(agreement.pairs(frame(*columns))).iloc[0]
    # a seed flips one in ten: two of them agree on 0.82 of the images, kappa 0.64
    assert row["seeds_a"] == pytest.approx(0.64, abs=0.05) and row["seeds_b"] == pytest.approx(0.64, abs=0.05)
    assert row["kappa"] == pytest.approx(0, abs=0.05) and row["lost"] == pytest.approx(0.64, abs=0.07)
    assert (row["n_pairs"], row["n_seeds"]) == (2, 2)


def test_one_seed_has_no_baseline():
    compared = agreement.pairs(frame(X, Y, seeds=(42,)))
    assert agreement.compare_with_seeds(compared).empty and compared["p_holm"].notna().all()
    assert agreement.pairs(frame(X, seeds=(42,))).empty


def test_the_figure_has_two_panels_a_task_and_says_what_one_seed_lacks():
    rng = np.random.default_rng(0)
    right = frame(*(rng.random((4, 60)) < 0.6))
    fig = agreement.draw({"first": right, "second": right.xs(42, axis=1, level="seed", drop_level=False)})
    assert len(fig.axes) == 6
    said = [[t.get_text() for t in ax.texts] for ax in fig.axes]
    assert said.count(["one seed only"] * 3) == 1
    with pytest.raises(ValueError, match="no multiclass runs"):
        agreement.draw({})


def test_seeds_that_some_pretraining_lacks_are_left_out():
    right = frame(X, Y, X, Y, X).drop(columns=("b", 1))  # a, b and c with the seeds 42 and 1; c has 42 alone
    assert agreement.complete_seeds(right).columns.tolist() == [("a", 42), ("b", 42), ("c", 42)]
    assert agreement.complete_seeds(right.drop(columns=("b", 42))).columns.tolist() == [("a", 42), ("c", 42)]


def test_where_no_seed_is_complete_pretrainings_are_left_out():
    right = frame(X, Y, X, Y, X).drop(columns=[("b", 42), ("c", 42)])
    assert agreement.complete_seeds(right).columns.tolist() == [("a", 1), ("b", 1)]
    fig = agreement.draw({"task": frame(X, Y, X, Y, X)})
    assert [len(ax.lines) > 0 for ax in fig.axes[:2]] == [True, True]
