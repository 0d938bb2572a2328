"""What can be proved from logs, on counts made by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from panels import tidy

from tlkit.published import discrepancies


def segmentation_logs(seed: int, pixels: int = 4000) -> pd.DataFrame:
    """Precision and recall of a random four-label task, with its regions ET, WT, TC as classes 1, 2, 3."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, pixels)  # background, necrosis, oedema, enhancing
    guess = np.where(rng.random(pixels) < 0.2, rng.integers(0, 4, pixels), truth)
    regions = {0: (0,), 1: (3,), 2: (1, 2, 3), 3: (1, 3)}
    rows = []
    for label, values in regions.items():
        t, g = np.isin(truth, values), np.isin(guess, values)
        rows += [(f"precision_{label}", (t & g).sum() / g.sum()), (f"recall_{label}", (t & g).sum() / t.sum())]
    head = {"experiment": "E1", "task": "BraTS", "run": f"run{seed}"}
    return pd.DataFrame([{**head, "metric": m, "value": v} for m, v in [*rows, ("dice_0", 0.9), ("loss", 0.1)]])


@pytest.mark.parametrize("seed", range(5))
def test_the_class_that_is_all_foreground_mirrors_the_background_exactly(seed):
    found = discrepancies.complement_of_background(segmentation_logs(seed)).set_index("class")["mismatch"]
    assert found[2] < 1e-9
    assert found.drop(2).min() > 0.01


def training(*rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["experiment", "task", "fraction", "batch", "steps_per_epoch"])


def test_a_subset_run_that_saw_all_images_shows():
    table = discrepancies.images_per_epoch(
        training(
            ("E1", "CX8", 1.0, 128, 608),
            ("E2", "CX8S", 0.1, 128, 608),
            ("E2", "LiTSS", 0.1, 128, 27),
            ("E1", "LiTS", 1.0, 128, 277),
            ("E2", "I10", 1.0, 256, 50),
            ("E2", "I10XS", 0.01, 64, 2),
        )
    ).set_index("task")
    assert table.loc["CX8S", ["nominal", "share"]].tolist() == [0.1, 1.0]
    assert table.loc["LiTSS", "share"] == pytest.approx(27 / 277)
    assert table.loc["I10XS", "share"] == pytest.approx(128 / 12800)
    assert table.loc["LiTS", ["images", "share"]].tolist() == [35456, 1]


def test_a_subset_without_its_whole_task_has_no_share():
    assert np.isnan(discrepancies.images_per_epoch(training(("E2", "RXS", 0.01, 256, 50)))["share"].item())


def test_leave_one_out_by_hand():
    # Distances from the cells' medians 3.5 and 11: 2.5, 0.5, 0.5, 1.5 and 1, 0, 2; their median is 1.
    results = tidy({("e", "t", "m"): {"a": (1.0, 3.0, 4.0, 5.0), "b": (10.0, 11.0, 13.0)}})
    found = discrepancies.leave_one_out(results)
    assert found["mean"].tolist() == pytest.approx([3.25] * 4 + [34 / 3] * 3)
    assert found["mean_without"].tolist() == pytest.approx([4, 10 / 3, 3, 8 / 3, 12, 11.5, 10.5])
    assert found["sd_without"][:2].tolist() == pytest.approx([1, np.std([1, 4, 5], ddof=1)])
    away = np.array([3, 1, 1, 2, 2, 0.5, 2.5])
    assert found["distance"].tolist() == pytest.approx(away / 1.4826)
    assert not found["collapsed"].any()
    assert found[results.columns.tolist()].equals(results)


def test_only_the_run_far_below_the_others_has_collapsed():
    panel = {"good": (0.90, 0.91, 0.92, 0.93), "worst": (0.90, 0.40, 0.91, 0.93), "best": (0.90, 0.91, 0.92, 1.5)}
    found = discrepancies.leave_one_out(tidy({("e", "t", "m"): panel}))
    assert found.loc[found["collapsed"], ["pretraining", "seed"]].to_numpy().tolist() == [["worst", 1]]
    assert found["distance"].nlargest(2).index.tolist() == [11, 5]  # far above the others is far, but no collapse


def test_a_run_that_is_low_but_not_much_lower_has_not_collapsed():
    panel = {"a": (0.900, 0.901, 0.902, 0.870), "b": (0.900, 0.901, 0.902, 0.903)}
    found = discrepancies.leave_one_out(tidy({("e", "t", "m"): panel}))
    assert found["distance"][3] > 6 and not found["collapsed"].any()  # 3.4 % below the others


def test_leave_one_out_without_others_or_spread():
    panels = {("e", "t", "m"): {"a": (0.5,)}, ("e", "u", "m"): {"a": (0.5, 0.5, 0.5, 0.1)}}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = discrepancies.leave_one_out(tidy(panels))
    assert found["distance"].isna().all() and not found["collapsed"].any()
    assert np.isnan(found["mean_without"][0]) and found["mean_without"][4] == 0.5
