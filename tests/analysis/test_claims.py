"""Printed numbers against computed ones, and the words that a contrast allows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tlkit.analysis import claims

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
    quoted = claims.quoted()
    assert quoted["delta_pct"].str.fullmatch(r"\d+\.\d\d").all()
    assert quoted["p"].str.fullmatch(r"0\.\d{3}|<0\.001").all()
    assert (quoted.groupby([*claims.KEY])[["delta_pct", "p"]].nunique() == 1).all(axis=None), "one number a comparison"
    assert quoted["section"].value_counts().to_dict() == {"results": 8, "abstract": 3}
