"""BraTS from phantom files to a finished run: three int16 channels, regions, patients held out by number."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tlkit import runs
from tlkit.config import ConfigError
from tlkit.datasets import DATASETS, identity
from tlkit.training.recipes import recipe
from tlkit.training.run import open_data, run
from tlkit.training.tasks import task

PHANTOM = {"seed": 3, "patients": 8, "pixels": 40, "slices": 16}
MR = (2000.0, 4000.0)


@pytest.fixture(scope="module", autouse=True)
def runs_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("brats")
    (root / "runs").mkdir()
    return root / "runs"


@pytest.fixture(autouse=True)
def same_runs(own_folders, runs_root, monkeypatch):
    monkeypatch.setenv("TLKIT_RUNS", str(runs_root))


def config(**changes) -> dict:
    made = {"epochs": 2, "batch": 8, "window": MR, "class_weights": (1, 5, 5, 5), **changes}
    return {
        "kind": "finetune", "mode": "finetune", "task": "BraTS", "task_kind": "segmentation", "pretraining": "scratch",
        "fraction": 1.0, "weights": None, "backbone": "resnet10", "seed": 1,
        "data": {**identity("brats", PHANTOM), "size": 32, "split": {"val": 2, "test": 2, "seed": 0}},
        "recipe": recipe("segment", **made).to_dict(), "compute": {"threads": 1, "processes": 1},
    }  # fmt: skip


@pytest.mark.parametrize("changes", [{}, {"intensity": "minmax", "window": None}], ids=["volume", "published"])
def test_two_epochs_end_to_end(changes):
    made = config(**changes)
    folder = run(made)
    found = runs.read_json(folder / "metrics.json")
    assert {f"dice_{i}{pool}" for i in (1, 2, 3) for pool in ("", "_slice", "_batch")} <= set(found)
    kept = pd.read_parquet(folder / "predictions_test.parquet")
    counts = {c: np.stack(kept[c].to_numpy()) for c in ("target", "output", "overlap")}
    assert kept["patient"].nunique() == 2 and counts["target"].shape[1] == 4
    for both in (counts["target"], counts["output"]):
        _, et, whole, core = both.T
        assert (et <= core).all() and (core <= whole).all() and (both[:, 0] + whole == 32 * 32).all()
    assert (counts["overlap"] <= np.minimum(counts["target"], counts["output"])).all()
    table = pd.read_parquet(open_data(made["data"])[0].path / "table.parquet").set_index("id").loc[kept["id"]]
    assert counts["target"][:, 1].tolist() == table["et_px"].tolist()
    assert counts["target"][:, 3].tolist() == (table["et_px"] + table["ncr_px"]).tolist()
    card = DATASETS["brats"]
    again = task("segmentation", card.classes, regions=card.options["regions"]).metrics(kept)
    assert again == pytest.approx({k: found[k] for k in again}, nan_ok=True)


def test_images_and_masks_lie_on_each_other():
    store, _ = open_data(config()["data"])
    images, masks = (v.numpy() for v in store.take(np.arange(len(store))))
    assert images.shape[1:] == (32, 32, 3) and images.dtype == np.int16
    _, t1ce, flair = (images[..., c] for c in range(3))
    normal = (masks == 0) & (images > 0).all(-1)
    assert np.median(flair[masks == 2]) > 1.1 * np.median(flair[normal])
    assert np.median(t1ce[masks == 3]) > 1.1 * np.median(t1ce[normal])


def test_the_window_of_ct_is_refused():
    with pytest.raises(ConfigError, match=r"recipe.window is \(40.0, 400.0\), but the grey values of 'brats' need"):
        run(config(window=(40.0, 400.0)))
