"""The best epoch on held-out rows counts, and without any the last."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tlkit.models import initial_weights
from tlkit.pseudolabels import autoencoder
from tlkit.pseudolabels.autoencoder import Autoencoder, Autoencoding
from tlkit.training import loop
from tlkit.training.recipe import Recipe

ROWS = np.arange(40)
INPUTS = torch.from_numpy(np.random.default_rng(0).uniform(size=(40, 6)).astype(np.float32))


def read(rows: np.ndarray) -> torch.Tensor:
    return INPUTS[torch.from_numpy(rows)]


def model() -> Autoencoder:
    with initial_weights(1):
        return Autoencoder(nn.Linear(6, 3), nn.Linear(3, 6))


def how(**changes) -> Recipe:
    return Recipe(**{"epochs": 6, "batch": 8, "lr": 0.02, "weight_decay": 0.0, "schedule": "constant"} | changes)


def test_the_error_is_the_mean_over_rows_and_columns():
    net = model()
    with torch.inference_mode():
        expected = ((net(INPUTS[30:]) - INPUTS[30:]) ** 2).mean().item()
    job = Autoencoding(net, read, ROWS[:30], ROWS[30:])
    assert job.validate() == {"mse": pytest.approx(expected)}
    assert job.loss(net, job.fetch(np.arange(4)), np.arange(4), 0).item() == pytest.approx(
        ((net(INPUTS[:4]) - INPUTS[:4]) ** 2).mean().item()
    )


@pytest.mark.parametrize("held_out, selected", [(10, "best"), (0, "last")])
def test_the_best_held_out_epoch_counts(tmp_path, held_out, selected):
    job = Autoencoding(model(), read, ROWS[: 40 - held_out], ROWS[40 - held_out :])
    found = loop.fit(job, how(lr=0.5), seed=3, folder=tmp_path)  # a rate that overshoots: the last is not the best
    last = len(found.history) - 1
    best = int(found.history["mse"].idxmin()) if held_out else last
    assert found.selected == best
    assert (best != last) == (selected == "best")


def test_learning_lowers_the_error_and_codes_come_in_order():
    net = model()
    before = Autoencoding(net, read, ROWS, ROWS).validate()["mse"]
    autoencoder.learn(net, read, ROWS[:30], ROWS[30:], how(epochs=20), seed=0)
    assert Autoencoding(net, read, ROWS, ROWS).validate()["mse"] < 0.5 * before
    codes = autoencoder.encode(net.encoder, read, 40)
    with torch.inference_mode():
        assert codes == pytest.approx(net.encoder(INPUTS).numpy(), abs=1e-6)
