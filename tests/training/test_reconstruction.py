"""Reconstruction: the error is a mean over all values, the view is what is painted, the best held-out epoch counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tlkit.models import initial_weights
from tlkit.training import loop
from tlkit.training.recipe import Recipe
from tlkit.training.reconstruction import STEP, Reconstruction

STORED = torch.randint(0, 256, (STEP + 44, 6), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
ROWS = np.arange(len(STORED))


def read(rows: np.ndarray) -> torch.Tensor:
    return STORED[torch.from_numpy(rows)]


def view(stored: torch.Tensor) -> torch.Tensor:
    return stored.float() / 255


def model() -> nn.Module:
    with initial_weights(1):
        return nn.Sequential(nn.Linear(6, 3), nn.Linear(3, 6))


def how(**changes) -> Recipe:
    return Recipe(**{"epochs": 6, "batch": 8, "lr": 0.02, "weight_decay": 0.0, "schedule": "constant"} | changes)


def test_the_error_is_the_mean_over_rows_and_columns_of_the_view():
    net = model()
    val, train = np.split(ROWS, [STEP + 4])  # a last step of four rows must not count as much as the first
    job = Reconstruction(net, read, train, val, how(), view)

    def error(rows: np.ndarray) -> float:
        with torch.inference_mode():
            return ((net(view(STORED[rows])) - view(STORED[rows])) ** 2).mean().item()

    assert job.validate() == {"mse": pytest.approx(error(val))}
    positions = np.array([3, 0, 7])
    assert job.fetch(positions)[0].dtype == torch.uint8  # as stored: four times less to bring to the device
    assert job.loss(net, job.views(job.fetch(positions), positions, 0)).item() == pytest.approx(error(train[positions]))


@pytest.mark.parametrize("held_out, selected", [(10, "best"), (0, "last")])
def test_the_best_held_out_epoch_counts(tmp_path, held_out, selected):
    recipe = how(lr=2.0)  # a rate that overshoots: the last epoch is not the best
    job = Reconstruction(model(), read, ROWS[: 40 - held_out], ROWS[40 - held_out : 40], recipe, view)
    found = loop.fit(job, recipe, seed=3, folder=tmp_path)
    last = len(found.history) - 1
    best = int(found.history["mse"].idxmin()) if held_out else last
    assert found.selected == best
    assert (best != last) == (selected == "best")
