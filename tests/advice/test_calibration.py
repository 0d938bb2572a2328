"""How often the words are wrong: counted by hand, over simulated runs, and over halves of runs."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlkit.advice import calibration

SMALL = {"no difference": {"effects": (0.0, 0.0)}, "large": {"effects": (0.0, 0.5)}}


def test_without_a_difference_every_word_is_wrong_and_a_large_one_is_found():
    found = calibration.calibrate(6, SMALL, draws=40).set_index(["case", "word"])
    none = found.loc["no difference"]
    assert (none["said"] == none["wrong"]).all()
    assert found.loc[("large", "clear"), "said"] == 6 and found.loc["large", "wrong"].sum() == 0
    again = calibration.calibrate(6, SMALL, draws=40).set_index(["case", "word"])
    pd.testing.assert_frame_equal(found, again)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 20), st.integers(0, 20))
def test_the_share_is_of_all_repetitions_and_inside_its_interval(wrong, right):
    rows = [("c", "clear", True)] * wrong + [("c", "clear", False)] * right + [("c", "open", True)]
    row = calibration.count_words(pd.DataFrame(rows, columns=["case", "word", "wrong"]), "case").iloc[0]
    assert (row["repetitions"], row["said"], row["wrong"]) == (wrong + right + 1, wrong + right, wrong)
    assert row["share"] == pytest.approx(wrong / (wrong + right + 1)) and 0 <= row["low"] <= row["share"] <= row["high"]


def test_the_interval_is_wilsons():
    rows = [("c", "clear", i < 3) for i in range(10)]
    row = calibration.count_words(pd.DataFrame(rows, columns=["case", "word", "wrong"]), "case").iloc[0]
    assert (row["low"], row["high"]) == (pytest.approx(0.1078, abs=1e-4), pytest.approx(0.6032, abs=1e-4))


@pytest.mark.parametrize(("seeds", "halves"), [(2, 0), (3, 3), (4, 6), (6, 20)])
def test_halves_of_the_seeds_in_all_ways_or_some(seeds, halves):
    runs = calibration.simulate_runs({"a": 0.0, "b": 0.5}, seeds=seeds)
    found = calibration.halve_runs(runs, "auc", draws=20)
    assert len(found) == halves and not found["wrong"].any()
    assert set(found["leader"]) <= {"b"} and set(found["word"]) <= {"clear", "likely", "open"}


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 100))
def test_no_seed_and_no_patient_is_in_both_halves(seed):
    seen = []

    def decide(runs, *_):
        patients = {p for kept in runs["predictions"] for p in kept["patient"]}
        seen.append((set(zip(runs["split"], runs["seed"], strict=True)), patients))
        return {"confidence": "open", "leader": "a"}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration.deciding, "decide", decide)
        calibration.halve_runs(
            calibration.simulate_runs({"a": 0.0, "b": 0.0}, seeds=2, splits=2, patients=9), "auc", seed=seed
        )
    assert len(seen) == 12
    for one, other in zip(seen[::2], seen[1::2], strict=True):
        assert len(one[0] | other[0]) == 4 and not one[0] & other[0]
        assert len(one[1] | other[1]) == 9 and not one[1] & other[1]


def test_the_sentences_say_both():
    simulated = calibration.calibrate(2, {"no difference, 2": {"effects": (0.0, 0.0)}}, draws=20)
    told = calibration.say(simulated, pd.DataFrame([("clear", True)], columns=["word", "wrong"]))
    assert told[0].startswith("simulated without a difference: clear was wrong in") and len(told) == 4
    assert "clear was said 1 times, and contradicted 1" in told[2]
