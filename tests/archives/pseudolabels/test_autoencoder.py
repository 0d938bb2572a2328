"""Learning lowers the error of held-out rows, and codes come in the order of the rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tlkit.archives.pseudolabels import autoencoder
from tlkit.archives.pseudolabels.autoencoder import Autoencoder
from tlkit.models import initial_weights
from tlkit.training.recipe import Recipe

N = autoencoder.STEP + 44
INPUTS = torch.from_numpy(np.random.default_rng(0).uniform(size=(N, 6)).astype(np.float32))
ROWS = np.arange(N)


def read(rows: np.ndarray) -> torch.Tensor:
    return INPUTS[torch.from_numpy(rows)]


def model() -> Autoencoder:
    with initial_weights(1):
        return Autoencoder(nn.Linear(6, 3), nn.Linear(3, 6))


@torch.inference_mode()
def error(net: nn.Module) -> float:
    return ((net(INPUTS[30:]) - INPUTS[30:]) ** 2).mean().item()


def test_learning_lowers_the_error():
    net = model()
    before = error(net)
    how = Recipe(epochs=20, batch=8, lr=0.02, weight_decay=0.0, schedule="constant")
    autoencoder.learn(net, read, ROWS[:30], ROWS[30:], how, seed=0)
    assert error(net) < 0.5 * before


def test_codes_come_in_order_and_none_is_lost():
    encoder = model().encoder
    with torch.inference_mode():
        expected = encoder(INPUTS).numpy()
    assert autoencoder.encode(encoder, read, N) == pytest.approx(expected, abs=1e-6)
