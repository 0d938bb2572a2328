"""The first epochs: mean and spread over the same runs at every point."""

from __future__ import annotations

import grid_frames
import numpy as np
import pandas as pd
import pytest

from tlkit.config import ConfigError
from tlkit.figures import first_epochs, rates

TASK = "COVID_ResNet18"


def history(values: dict[int, list[float]], **columns: object) -> pd.DataFrame:
    """Return the epochs of one arm: the F1 of every seed, epoch by epoch."""
    rows = [
        {"run": f"r{seed}", "seed": seed, "epoch": epoch, "f1_macro": value, "accuracy": value + 0.1, "lr": 1e-4}
        for seed, found in values.items()
        for epoch, value in enumerate(found)
    ]
    head = {"experiment": "main", "task": TASK, "fraction": 1.0, "pretraining": "scratch"}
    return pd.DataFrame(rows).assign(**head | columns)


def test_mean_and_sd_by_hand_with_epochs_from_one():
    found = first_epochs.curves(history({1: [0.1, 0.4], 2: [0.3, 0.8]}), {TASK: "f1_macro"})
    assert found["epoch"].tolist() == [1, 2]
    assert found["mean"].tolist() == pytest.approx([0.2, 0.6])
    assert found["sd"].tolist() == pytest.approx([0.1 * np.sqrt(2), 0.2 * np.sqrt(2)])
    assert found["n"].tolist() == [2, 2] and set(found["metric"]) == {"f1_macro"}


def test_only_the_first_ten_epochs_and_never_fewer_runs_than_at_the_start():
    found = first_epochs.curves(history({1: [0.1] * 20, 2: [0.2] * 20}), {TASK: "f1_macro"})
    assert found["epoch"].max() == 10
    short = first_epochs.curves(history({1: [0.1] * 4, 2: [0.2] * 7}), {TASK: "f1_macro"})
    assert short["epoch"].tolist() == [1, 2, 3, 4] and set(short["n"]) == {2}


def test_f1_is_followed_where_it_is_logged_and_the_monitor_elsewhere():
    whole = history({1: [0.1]})
    monitors = {TASK: ("accuracy", 1)}
    assert first_epochs.choose_metrics(whole, monitors) == {TASK: "f1_macro"}
    assert first_epochs.choose_metrics(whole.assign(f1_macro=np.nan), monitors) == {TASK: "accuracy"}
    with pytest.raises(ConfigError, match="has none of"):
        first_epochs.choose_metrics(whole.drop(columns=["f1_macro", "accuracy"]), monitors)


def test_each_task_has_its_own_metric_and_each_share_its_own_curve():
    results = grid_frames.results(tasks=("PBA_InceptionV3", "GRAZ_DenseNet121"), seeds=(1, 2, 3))
    found, _ = rates.choose_rates(results, grid_frames.MONITORS)
    epochs = rates.keep_runs(grid_frames.history(results), found)
    curves = first_epochs.curves(epochs, first_epochs.choose_metrics(epochs, grid_frames.MONITORS))
    assert curves.groupby("task")["metric"].unique().map(list).to_dict() == {
        "PBA_InceptionV3": ["mae"],
        "GRAZ_DenseNet121": ["f1_macro"],
    }
    less = curves[curves["experiment"] == "less_data"]
    assert len(less) == 3 * 3 * 10 and set(less["n"]) == {3}
    one = epochs.query("experiment == 'less_data' and fraction == 0.25 and pretraining == 'imagenet' and epoch == 4")
    row = less.query("fraction == 0.25 and pretraining == 'imagenet' and epoch == 5").iloc[0]
    assert row["mean"] == pytest.approx(one["f1_macro"].mean())


def test_published_values_are_those_after_the_first_and_the_last_epoch():
    found = first_epochs.published({"T": {"a": [0.5, 0.9], "b": [0.4, 0.8]}})
    rows = [["T", 1, "a", 0.5], ["T", 10, "a", 0.9], ["T", 1, "b", 0.4], ["T", 10, "b", 0.8]]
    assert found.to_numpy().tolist() == rows
    assert first_epochs.published({}).empty


def test_two_rates_in_one_curve_are_an_error():
    both = pd.concat([history({1: [0.1]}), history({1: [0.2]}, run="other", lr=1e-3)])
    with pytest.raises(ConfigError, match="keep one learning rate"):
        first_epochs.curves(both, {TASK: "f1_macro"})
    with pytest.raises(ConfigError, match="python -m tlkit plan"):
        first_epochs.curves(both.iloc[:0], {TASK: "f1_macro"})
