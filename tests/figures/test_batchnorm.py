"""BatchNorm statistics estimated again: exact on a toy, helpful where they are stale, and never on the test set."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from sealed import seal
from torch import nn

from tlkit import runs
from tlkit.config import ConfigError
from tlkit.figures import batchnorm, finished
from tlkit.models import batch_norms
from tlkit.training import data
from tlkit.training.supervised import Samples, Supervised, plain_view

FROZEN = {"mode": "lineval", "recipe": {"epochs": 1, "freeze": "encoder", "bn": "frozen"}}


def configs(config) -> dict[str, dict]:
    return {
        "tuned": config(recipe={"epochs": 4}),
        "few": config(recipe={"epochs": 1}, fraction=0.5, seed=2),
        "frozen": config(**FROZEN),
        "masks": config(dataset="lits", recipe={"epochs": 1}),
    }


class Toy:
    """An objective whose model is one BatchNorm, and whose images are numbers."""

    def __init__(self, images: torch.Tensor, batch: int):
        self.model, self.images, self.size, self.seed = nn.BatchNorm2d(1, momentum=0.01), images, len(images), 3
        self.recipe = SimpleNamespace(batch=batch)

    def fetch(self, positions):
        return (self.images[torch.from_numpy(positions)],)

    def views(self, batch, positions, epoch):
        return batch

    def loss(self, model, views):
        return model(views[0]).mean()


def test_the_statistics_are_the_mean_over_the_batches():
    images = torch.arange(24.0).view(6, 1, 2, 2)
    toy = Toy(images, batch=6)
    toy.model.running_mean.fill_(99)
    batchnorm.reestimate(toy)
    assert toy.model.running_mean.item() == pytest.approx(images.mean().item())
    assert toy.model.running_var.item() == pytest.approx(images.var().item())  # unbiased, as torch keeps it
    assert toy.model.momentum == 0.01 and not toy.model.training
    toy = Toy(images, batch=2)
    batchnorm.reestimate(toy)
    assert toy.model.running_mean.item() == pytest.approx(images.mean().item())  # whatever the batch
    assert toy.model.num_batches_tracked == 3


def test_the_estimate_gives_back_what_stale_statistics_took(ids):
    """Judged by what the network says in training mode, where each batch brings its own statistics."""
    found = finished.load(ids["tuned"])
    train = Samples(found.store, found.training_rows())
    stale = copy.deepcopy(found.model)
    for norm in batch_norms(stale):
        norm.reset_running_stats()  # as they were before the first step
    objective = Supervised(stale, found.job, train, None, found.recipe, 1)
    images = plain_view(train.store.take(train.rows)[0], found.recipe)
    with torch.no_grad():
        trained = copy.deepcopy(found.model).train()(images)
        before = stale(images)
        batchnorm.reestimate(objective)
        after = stale(images)
    assert (after - trained).abs().mean() < 0.5 * (before - trained).abs().mean()
    assert all(torch.equal(a, b) for a, b in zip(stale.parameters(), found.model.parameters(), strict=True))


def test_before_is_what_the_run_logged_and_the_test_set_is_not_touched(ids, monkeypatch):
    asked = []
    rows = data.chosen_rows
    monkeypatch.setattr(data, "chosen_rows", lambda d, table, s: asked.append(s) or rows(d, table, s))
    weights = (runs.folder(ids["few"]) / "model.safetensors").read_bytes()
    found = batchnorm.compare_statistics(ids["few"])
    logged = runs.read_json(runs.folder(ids["few"]) / "metrics.json")
    assert found["before"] == pytest.approx({k: logged[f"val_{k}"] for k in found["before"]})
    assert set(found["after"]) == set(found["before"]) and set(asked) == {"val", "train"}
    assert (runs.folder(ids["few"]) / "model.safetensors").read_bytes() == weights
    assert found == batchnorm.compare_statistics(ids["few"])


def test_the_table_has_a_row_a_metric(ids):
    frame = batchnorm.table([ids["few"], ids["masks"]], images=16)
    assert set(frame["run"]) == {ids["few"], ids["masks"]} and {"dice_1", "accuracy"} <= set(frame["metric"])
    there = frame[frame["after"].notna() & frame["before"].notna()]
    assert np.allclose(there["change"], there["after"] - there["before"]) and len(there) > 4


def test_what_has_nothing_stale_is_said(ids):
    with pytest.raises(ConfigError, match="on purpose"):
        batchnorm.compare_statistics(ids["frozen"])
    with pytest.raises(FileNotFoundError, match="run nobody is not done"):
        batchnorm.compare_statistics("nobody")


def test_an_image_that_tips_over_is_rounding_and_other_weights_are_not(ids):
    """A metric of few images jumps when one class tips over; the probabilities behind it hardly move."""
    run = ids["tuned"]
    kept = runs.folder(run) / "predictions_val.parquet"
    frame, metrics = pd.read_parquet(kept), runs.folder(run) / "metrics.json"
    nudged = frame.assign(output=[np.asarray(o) + 0.015 * np.resize([1, -1], len(o)) for o in frame["output"]])
    nudged.to_parquet(kept)
    runs.write_json(metrics, runs.read_json(metrics) | {"val_accuracy": 0.01})
    seal(run)
    assert set(batchnorm.compare_statistics(run)) == {"before", "after"}
    frame.assign(output=[np.roll(o, 1) for o in frame["output"]]).to_parquet(kept)
    seal(run)
    with pytest.raises(finished.PredictionChangedError, match="differ by up to"):
        batchnorm.compare_statistics(run)


def test_the_estimate_is_torchs_update_bn():
    from torch.optim.swa_utils import update_bn

    images = torch.randn(12, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    toy, other = Toy(images, batch=12), nn.BatchNorm2d(1, momentum=0.01)
    batchnorm.reestimate(toy)
    update_bn([images], other)
    for ours, theirs in ((toy.model.running_mean, other.running_mean), (toy.model.running_var, other.running_var)):
        assert torch.allclose(ours, theirs, rtol=1e-6)
