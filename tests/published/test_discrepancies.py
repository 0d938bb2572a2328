"""What can be proved from logs, on counts made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

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
