"""Closing sentences say what the values say, whichever way they fall, and never more than the corrected tests do."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from looks import PAPER

from tlkit.figures import closings, leads
from tlkit.stats import differences

NAMES = PAPER | {"R": "RadNet body part", "E1": "fine-tuning"}


def pairs(gap: float, spread: float = 0.01, metric: str = "accuracy") -> pd.DataFrame:
    """Return every pair of three arms, of which radnet leads by `gap`."""
    rng = np.random.default_rng(0)
    rows = [
        {"figure": "f", "experiment": "E1", "task": "R", "metric": metric, "pretraining": arm, "seed": seed}
        | {"value": 0.6 + lead * gap + spread * rng.standard_normal()}
        for arm, lead in (("scratch", 0), ("imagenet", 0), ("radnet", 1))
        for seed in range(5)
    ]
    within = ("figure", *differences.PANEL)
    return differences.pairwise(pd.DataFrame(rows), within, ["scratch", "imagenet", "radnet"], {}, 0.01, ("figure",))


def test_a_large_gap_is_named_with_its_values():
    said = " ".join(closings.say_pairs(pairs(0.3), NAMES))
    assert "Of 3 pairs, 2 have p < 0.05 uncorrected" in said and "2 after Holm's correction" in said
    assert "RadNet better than random weights on RadNet body part, fine-tuning (accuracy 0.8" in said
    assert "no finding" not in said


def test_of_an_error_the_smaller_is_better():
    said = " ".join(closings.say_pairs(pairs(0.3, metric="mae"), NAMES))
    assert "random weights better than RadNet" in said and "ImageNet better than RadNet" in said
    assert closings.say_ahead(pairs(0.3, metric="mae"), "radnet", "scratch", NAMES).endswith("clearly behind in 1.")


def test_no_gap_is_no_finding():
    found = pairs(0.0)
    said = " ".join(closings.say_pairs(found, NAMES))
    assert "none after Holm's correction" in said and "the order of the dots is no finding" in said
    assert "Clear:" not in said
    assert "Clear after correction are none of these leads" in closings.say_leaders(leads.leaders(found), NAMES)


@settings(max_examples=25, deadline=None)
@given(gap=st.floats(-0.3, 0.3), spread=st.floats(0.001, 0.2))
def test_sentences_and_corrected_tests_agree(gap, spread):
    found = pairs(gap, spread)
    clear = int((found["p_holm"].iloc[::2] < 0.05).sum())
    said = " ".join(closings.say_pairs(found, NAMES))
    assert f"{clear or 'none'} after Holm" in said and ("no finding" in said) == (clear == 0)


def test_data_are_named_first():
    shown = closings.tell(SimpleNamespace(phantom=True, scale="quick"), "One.", ["Two.", "Three."]).data.splitlines()
    assert shown[0].startswith("- Phantom data at scale quick") and shown[1:] == ["- One.", "- Two.", "- Three."]
    assert closings.say_data(False, "course") == "Real data at scale course."


@pytest.mark.parametrize(
    ("error", "words"), [(0.001, "100 times smaller"), (0.09, "little better than"), (0.2, "no better than")]
)
def test_a_reconstruction_copies_or_does_not(error, words):
    assert words in closings.say_copying(error, 0.1, 0.3)


@pytest.mark.parametrize(("end", "words"), [(6.9, "barely begun"), (6.0, "on its way"), (5.0, "most of the way")])
def test_how_far_a_loss_came(end, words):
    losses = pd.DataFrame({"start": [6.93], "floor": [4.94], "last epoch": [end]}, index=["ours"])
    said = closings.say_far(losses, "ours")
    assert words in said and f"{100 * (6.93 - end) / 1.99:.0f} %" in said


def test_accuracy_is_set_against_the_largest_class():
    kept = pd.DataFrame({"accuracy": [0.31, 0.4, 0.95], "epoch": [0, 3, 3]}, index=["a", "b", "c"])
    first, second, third = closings.say_above_chance(kept, 0.3)
    assert "no better than" in first and "is the first one" in first
    assert "above naming" in second and "well above" in third


def test_runs_that_did_not_settle_say_nothing_of_speed():
    times = pd.DataFrame({"rule": ["published"] * 4, "reached": [True, False, False, False], "epochs": [7, 7, 7, 8]})
    said = closings.say_settled(times)
    assert said[0] == "By the rule 'published' 1 of 4 runs settled within 7 to 8 epochs."
    assert "too short" in said[1] and "can be compared" in closings.say_settled(times.assign(reached=True))[1]


def test_who_is_hard():
    hard = pd.DataFrame([[False, False], [True, False]], columns=["a", "b"])
    hard.index = pd.MultiIndex.from_tuples([("R", 1), ("R", 2)], names=["task", "id"])
    (said,) = closings.say_hard(hard, NAMES)
    assert "RadNet body part: all models fail on 1 of 2 hard images" in said
    assert closings.say_hard(hard[:0], NAMES) == ["Every model is right on every image: none is hard."]


def test_ratings_of_phantom_raters_say_nothing_of_heat_maps():
    tests = pd.DataFrame([{"task": "R", "a": "scratch", "b": "radnet", "difference": -0.6, "p_holm": 0.01}])
    people, *_ = closings.say_ratings(tests, NAMES, made_up=False)
    assert people == "After correction the raters prefer RadNet over random weights on RadNet body part (0.60 points)."
    assert "planted" in closings.say_ratings(tests, NAMES, made_up=True)[1]
    assert "no pretraining" in closings.say_ratings(tests.assign(p_holm=0.5), NAMES, made_up=False)[0]


def test_gains_stand_with_their_interval():
    found = pairs(0.3)
    said = closings.say_gains(found, {"more images": ["radnet", "imagenet"], "none": ["a", "b"]}, NAMES)
    assert len(said) == 1 and said[0].startswith("more images, RadNet body part")
    assert ", clear after correction: p <0.001; n = 5 and 5" in said[0]
    single = found.assign(ci_low=np.nan, ci_high=np.nan)
    assert "too few runs" in closings.say_gains(single, {"x": ["radnet", "imagenet"]}, NAMES)[0]


def test_what_is_reused_is_told_of_likeness_alone():
    rows = [
        (measure, "L1", "R", arm, mean, 0.1, 3, 0.5)
        for measure, shift in (("weights_rbf", 0.0), ("displacement", 0.9), ("activations_rbf", 0.0))
        for arm, mean in (("scratch", 0.9 + shift), ("radnet", 0.4 + shift))
    ]
    columns = ["measure", "layer", "task", "pretraining", "mean", "sd", "n", "two_seeds"]
    table = pd.DataFrame(rows, columns=columns).set_index(columns[:4])
    first, second = closings.say_reuse(table, "scratch", NAMES)
    assert "in 1 of 1 layers and tasks" in first and second.startswith("In 2 of 4 values")
