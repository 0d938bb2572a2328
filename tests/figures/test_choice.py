"""The run of each pretraining that pictures show."""

from types import SimpleNamespace

import pandas as pd
import pytest

from tlkit.config import ConfigError, UnknownNameError
from tlkit.figures.choice import chosen_runs


def shown(**values: dict[str, float]) -> SimpleNamespace:
    """Return what a figure shows of a study with one task; values: "pretraining/seed/rate" -> validation accuracy."""
    rows = []
    for key, value in values.items():
        pretraining, seed, lr = key.split("/")
        row = {"experiment": "main", "task": "T", "pretraining": pretraining, "fraction": 1.0, "seed": int(seed)}
        for metric in ("val_accuracy", "accuracy"):
            rows.append(row | {"run": key, "lr": float(lr), "metric": metric, "value": value})
    study = SimpleNamespace(
        name="study",
        seeds=[7, 1],
        results=lambda: pd.DataFrame(rows),
        monitors=lambda: {"T": ("accuracy", 1)},
    )
    return SimpleNamespace(study=study, tasks=lambda: ["T"], rows=lambda frame: frame)


def test_the_shown_run_is_of_the_chosen_rate_and_the_first_shared_seed():
    one = {"a/7/0.1": 0.9, "a/1/0.1": 0.2, "a/7/0.01": 0.6, "a/1/0.01": 0.6}  # 0.01 has the better mean
    other = {"b/7/0.1": 0.9, "b/1/0.1": 0.9, "b/7/0.01": 0.1, "b/1/0.01": 0.1}
    assert chosen_runs(shown(**one, **other), "T", ["a", "b"]) == {"a": "a/7/0.01", "b": "b/7/0.1"}
    later = {"b/1/0.1": 0.9, "b/1/0.01": 0.1}
    assert chosen_runs(shown(**one, **later), "T", ["b", "a"]) == {"b": "b/1/0.1", "a": "a/1/0.01"}


def test_missing_runs_are_named():
    there = shown(**{"a/7/0.1": 0.9, "b/1/0.1": 0.9})
    with pytest.raises(ConfigError, match="no run of T from c is done"):
        chosen_runs(there, "T", ["a", "c"])
    with pytest.raises(ConfigError, match="no seed is done from all of a, b"):
        chosen_runs(there, "T", ["a", "b"])
    with pytest.raises(UnknownNameError, match="unknown task"):
        chosen_runs(there, "U", ["a"])
