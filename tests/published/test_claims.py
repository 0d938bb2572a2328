"""Printed numbers against computed ones, and the words that a contrast allows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tlkit.published import claims

ROW = {
    "experiment": "E1", "task": "R", "metric": "accuracy", "a": "radnet_ub", "b": "imagenet", "mean_a": 0.9,
    "mean_b": 0.8,
    "n_a": 4, "n_b": 4, "delta_pct": 12.504, "p_published": 0.0412, "p_sound": 0.03, "p_holm": 0.2, "ci_low": 0.01,
    "ci_high": 0.19, "equivalent": False, "mdd": 0.05,
}  # fmt: skip


def pairs(**changes) -> pd.DataFrame:
    return pd.DataFrame([{**ROW, **changes}])


def claim(delta="12.50", p="0.041", **changes) -> pd.DataFrame:
    key = {k: ROW[k] for k in claims.KEY}
    return pd.DataFrame([{"section": "results", "statement": "x", **key, "delta_pct": delta, "p": p, **changes}])


@pytest.mark.parametrize(
    ("delta", "p", "agrees"),
    [("12.50", "0.041", "yes"), ("12.51", "0.041", "no"), ("12.50", "0.042", "no"), ("12.50", "<0.001", "no")],
)
def test_a_claim_agrees_when_both_numbers_round_to_what_is_printed(delta, p, agrees):
    (row,) = claims.check(claim(delta, p), pairs()).to_dict("records")
    assert (row["agrees"], row["delta_ours"], row["p_ours"]) == (agrees, "12.50", "0.041")
    assert row["difference"] == pytest.approx(0.1)


def test_a_claim_about_another_panel_or_the_other_direction_has_no_data():
    for other in ({"experiment": "E2"}, {"a": "imagenet", "b": "radnet_ub"}):
        (row,) = claims.check(claim(**other), pairs()).to_dict("records")
        assert (row["agrees"], row["holds"]) == ("no data", "no data")


@pytest.mark.parametrize(("p", "text"), [(0.0004, "<0.001"), (0.0006, "0.001"), (0.5406, "0.541"), (np.nan, "")])
def test_p_is_printed_as_in_the_paper(p, text):
    assert claims.printed_p(p) == text


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"p_holm": 0.01}, "higher, also after correction"),
        ({"p_holm": 0.01, "mean_b": 0.95}, "lower, also after correction"),
        ({}, "higher, but not after correction"),
        ({"p_holm": 0.01, "equivalent": True}, "higher, by less than the margin, also after correction"),
        ({"p_sound": 0.5, "equivalent": True}, "equal within the margin"),
        ({"p_sound": 0.5}, "undecided: only 5.0 points or more would have shown"),
        ({"p_sound": np.nan}, "no data"),
    ],
)
def test_the_verdict_says_no_more_than_the_contrast(changes, text):
    assert claims.verdict(pairs(**changes).iloc[0]) == text


def test_the_scoreboard_counts_panels_by_direction():
    table = pd.concat([pairs(), pairs(task="I1k", p_holm=0.01), pairs(task="CX8", mean_a=0.7, equivalent=True)])
    (row,) = claims.scoreboard(table).to_dict("records")
    assert row["panels"] == 3 and row["higher"] == 2 and row["equivalent"] == 1
    assert (row["published"], row["sound"], row["holm"]) == (2, 2, 1)


def test_every_quoted_number_of_the_paper_is_there_in_printed_form():
    quoted = claims.read_quoted()
    assert quoted["delta_pct"].str.fullmatch(r"\d+\.\d\d").all()
    assert quoted["p"].str.fullmatch(r"0\.\d{3}|<0\.001").all()
    assert (quoted.groupby([*claims.KEY])[["delta_pct", "p"]].nunique() == 1).all(axis=None), "one number a comparison"
    assert quoted["section"].value_counts().to_dict() == {"results": 8, "abstract": 3}


# --- numbers and sentences ---


@pytest.mark.parametrize(
    ("paper", "disagree"),
    [
        ("radiologynet2025", [("27", 36), ("13", 14), ("10", 9), ("5", 4)]),
        ("jonske2025", [("108948", 112120), ("32717", 30805)]),
    ],
)
def test_printed_counts_beside_what_other_numbers_give(paper, disagree):
    table = claims.numbers(paper)
    other = table[table["agrees"] == "no"]
    assert list(zip(other["printed"], other["value"], strict=True)) == disagree
    assert (table["statement"] != "").all() and (other["note"] != "").all()
    assert set(table["agrees"]) == {"yes", "no"}


def test_the_numbers_are_those_of_the_data_cards():
    from tlkit.datasets.cards import DATASETS

    ours, theirs = (claims.numbers(p).set_index("statement") for p in ("radiologynet2025", "jonske2025"))
    bones, chests = DATASETS["rsna-bone-age"].counts, DATASETS["chestxray"].counts
    assert (
        int(ours.loc["bone age images", "printed"])
        == bones["images"]
        == sum(bones[k] for k in ("train", "val", "test"))
    )
    assert int(ours.loc["brain MR images", "printed"]) == DATASETS["brain-tumor-mri"].counts["images"]
    balanced = "images with osteopenia, balanced against as many without"
    assert ours.loc[balanced, "value"] == 2 * DATASETS["grazpedwri"].counts["osteopenia"]
    assert theirs.loc["ChestX-ray images", "value"] == chests["images"]
    assert theirs.loc["ChestX-ray patients", "value"] == chests["patients"]
    epoch = theirs.loc["batches of an epoch of chest X-rays (by the training logs)", "value"]
    assert epoch * 128 == pytest.approx(0.9 * chests["train"])


def test_what_is_told_of_tasks_by_name():
    table = pd.concat([pairs(), pairs(task="BraTS", mean_a=0.7, p_holm=0.01), pairs(task="BraTSS", a="scratch")])
    table = table.assign(p_false_win=0.015)
    found = claims.list_allowed(table, "radnet_ub", "imagenet", "BraTS")
    assert found[["task", "holds"]].to_numpy().tolist() == [["BraTS", "lower, also after correction"]]
    assert found["difference"].item() == pytest.approx(-0.1)


def test_growth_by_hand_and_against_a_regression_with_unequal_variances():
    import statsmodels.api as sm

    cells = {("E1", "R", "own"): [5, 6, 8], ("E1", "R", "other"): [4, 5, 5]}
    cells |= {("E4", "R", "own"): [9, 10, 12], ("E4", "R", "other"): [3, 1, 2]}
    rows = [(*k[:2], "m", k[2], seed, float(v)) for k, runs in cells.items() for seed, v in enumerate(runs)]
    results = pd.DataFrame(rows, columns=["experiment", "task", "metric", "pretraining", "seed", "value"])
    steps = [(("E1", "R"), ("E4", "R")), (("E1", "R"), ("E2", "RS"))]
    (row,) = claims.growth(results, steps, "own", "other", {}).to_dict("records")
    assert (row["easier"], row["harder"]) == ("E1 R", "E4 R")
    assert (row["gap_easier"], row["gap_harder"]) == pytest.approx((19 / 3 - 14 / 3, 31 / 3 - 2))
    assert row["growth"] == pytest.approx(row["gap_harder"] - row["gap_easier"])
    groups = list(cells.values())
    model = sm.OLS(np.concatenate(groups), np.eye(4)[np.repeat(range(4), 3)]).fit(cov_type="HC2")
    half = (row["ci_high"] - row["ci_low"]) / 2
    assert half == pytest.approx(model.t_test([-1, 1, 1, -1]).sd.item() * 2.6, rel=0.2)  # 6 df: t is 2.4 to 2.8
    assert row["p_holm"] == row["p"] < 0.01


def test_growth_of_a_mixture_is_that_of_its_parents():
    rng = np.random.default_rng(0)
    names = [(e, p) for e in ("E1", "E4") for p in ("small", "large", "other")]
    rows = [(e, "R", "m", p, s, v) for e, p in names for s, v in enumerate(rng.normal(size=4))]
    results = pd.DataFrame(rows, columns=["experiment", "task", "metric", "pretraining", "seed", "value"])
    means = results.groupby(["experiment", "pretraining"])["value"].mean()
    mixtures = {"mixed": {"small": 0.7, "large": 0.3}}
    (row,) = claims.growth(results, [(("E1", "R"), ("E4", "R"))], "mixed", "other", mixtures).to_dict("records")
    gaps = [0.7 * means[e, "small"] + 0.3 * means[e, "large"] - means[e, "other"] for e in ("E1", "E4")]
    assert (row["gap_easier"], row["gap_harder"], row["growth"]) == pytest.approx((*gaps, gaps[1] - gaps[0]))
    (back,) = claims.growth(results, [(("E1", "R"), ("E4", "R"))], "other", "mixed", mixtures).to_dict("records")
    assert (back["growth"], back["p"]) == pytest.approx((-row["growth"], row["p"]))


def test_the_steps_to_harder_panels_of_the_published_runs():
    from tlkit.published import jonske2025

    steps = jonske2025.list_harder()
    assert (("E1", "R"), ("E2", "RXS")) in steps["ct"] and (("E1", "LiTS"), ("E4", "LiTS")) in steps["ct"]
    assert (("E2", "I100"), ("E2", "I100S")) in steps["natural"] and (("E1", "I1k"), ("E2", "I1kXS")) in steps[
        "natural"
    ]
    assert {len(part) for part in steps.values()} == {7}
