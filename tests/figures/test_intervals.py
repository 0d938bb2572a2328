"""Intervals over the patients of the test set."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tlkit import runs
from tlkit.figures import intervals
from tlkit.training.tasks import Multiclass


def configs(config) -> dict[str, dict]:
    short = {"recipe": {"epochs": 1}}
    return {"one": config(**short), "two": config(**short, seed=2), "masks": config(dataset="lits", **short)}


def frame(ids: dict[str, str], names: list[str], metric: str) -> pd.DataFrame:
    rows = [(runs.read_json(runs.folder(ids[n]) / "metrics.json")[metric], ids[n]) for n in names]
    table = pd.DataFrame(rows, columns=["value", "run"])
    return table.assign(experiment="E1", task="t", metric=metric, pretraining="scratch", seed=range(len(rows)))


def test_the_mean_lies_in_the_interval_and_the_same_seed_deals_the_same(ids):
    results = frame(ids, ["one", "two"], "accuracy")
    (row,) = intervals.resample_patients(results, groups=10).to_dict("records")
    assert row["low"] <= row["mean"] <= row["high"] and row["low"] < row["high"] and row["n"] == 2
    assert row["mean"] == pytest.approx(results["value"].mean()) and row["patients"] > 1
    pd.testing.assert_frame_equal(intervals.resample_patients(results, 10), intervals.resample_patients(results, 10))


def test_of_one_patient_there_is_no_interval(ids):
    (row,) = intervals.resample_patients(frame(ids, ["masks"], "dice_1"), groups=5).to_dict("records")
    assert row["patients"] == 1 and np.isnan(row["low"]) and np.isnan(row["high"]) and row["mean"] > 0


def test_the_interval_holds_the_truth_as_often_as_it_says(monkeypatch):
    """60 patients of 5 equal images each, right with probability 0.7: about 95 of 100 intervals hold 0.7.

    Of images, all taken for independent, the intervals would be less than half as wide, and hold it 65 times.
    """
    names, trials = [f"p{k:02d}" for k in range(60)], 300
    monkeypatch.setattr(intervals.finished, "task_of", lambda rid: Multiclass(("a", "b")))
    results = pd.DataFrame({"run": ["x"], "value": 0.7, "experiment": "E1", "task": "t", "metric": "accuracy"})
    rng, held = np.random.default_rng(0), 0
    for trial in range(trials):
        right = np.repeat(rng.random(60) < 0.7, 5)
        kept = pd.DataFrame({"patient": np.repeat(names, 5), "target": 0})
        kept["output"] = list(np.stack([right, ~right], axis=1).astype(float))
        monkeypatch.setattr(intervals.finished, "predictions", lambda rid, kept=kept: kept)
        cell = results.assign(value=right.mean(), pretraining="scratch")
        (row,) = intervals.resample_patients(cell, seed=trial).to_dict("records")
        held += row["low"] <= 0.7 <= row["high"]
    assert 0.91 <= held / trials <= 0.98
