"""Nodules the published way: boxes, crops of 96 pixels of which 64 are seen, every tenth series for validation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tlkit import runs
from tlkit.datasets import identity
from tlkit.figures import overlays
from tlkit.training.data import open_data
from tlkit.training.recipes import recipe
from tlkit.training.run import run

PHANTOM = {"seed": 23, "series": 8, "pixels": 96}


@pytest.fixture
def published() -> dict[str, Any]:
    """What the paper scale asks, of a small network with a small decoder."""
    how = recipe("nodule_radiologynet", epochs=1, batch=8, precision="float32", lr=1e-3, decoder="unet")
    return {
        "kind": "finetune",
        "mode": "finetune",
        "task": "LUNA_ResNet10",
        "task_kind": "segmentation",
        "pretraining": "scratch",
        "fraction": 1.0,
        "data": {
            **identity("luna16", PHANTOM),
            "size": 96,
            "split": {"val": 0.125, "test": 0.125, "seed": 0},
            "options": {"mask": "box", "split": "published"},
        },
        "weights": None,
        "backbone": "resnet10",
        "recipe": how.to_dict(),
        "seed": 1,
        "compute": {"threads": 1, "processes": 1},
        "images_per_epoch": 16,
    }


def test_a_run_learns_and_is_judged_on_windows_of_64_pixels(published):
    store, table = open_data(published["data"])
    assert store.images.shape[1:] == (96, 96)
    uids = sorted(table["patient"].unique())
    found = {name: sorted(rows["patient"].unique()) for name, rows in table.groupby("split")}
    assert found["val"] == uids[::10] and set(found) == {"train", "val", "test"}
    folder = run(published)
    metrics = runs.read_json(folder / "metrics.json")
    assert {"dice_1", "val_dice_1", "dice_1_slice"} <= set(metrics) and 0 <= metrics["val_dice_1"] <= 1
    ids = table.loc[table["split"] == "test", "id"].tolist()[:2]
    images, truth = overlays.slices(folder.name, ids)
    assert images.shape == truth.shape == (len(ids), 64, 64)
    assert overlays.predict_masks(folder.name, ids).shape == (len(ids), 64, 64)
    rows = table.set_index("id").loc[ids, "row"].to_numpy()
    assert (truth == np.asarray(store.masks[rows])[:, 16:80, 16:80]).all()
