"""What the two autoencoders share: the objective, the training by the project's loop, and the codes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tlkit.training.loop import fit
from tlkit.training.processes import pick_device
from tlkit.training.recipe import Recipe

STEP = 256  # rows encoded at a time
Read = Callable[[np.ndarray], Tensor]


class Autoencoder(nn.Module):
    """An encoder and a decoder; `forward` returns the reconstruction."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


class Autoencoding:
    """The objective of an autoencoder for the training loop: the mean squared error between input and output.

    `read(rows)` returns the inputs of some rows, in [0, 1]. Validation rows select the epoch; without any, the last is
    taken.
    """

    def __init__(self, model: nn.Module, read: Read, train: np.ndarray, val: np.ndarray):
        self.model, self.read, self.train, self.val = model, read, train, val
        self.size, self.monitor = len(train), "mse" if len(val) else None

    def fetch(self, positions: np.ndarray) -> tuple[Tensor]:
        return (self.read(self.train[positions]),)

    def loss(self, model: nn.Module, batch: tuple[Tensor], positions: np.ndarray, epoch: int) -> Tensor:
        return F.mse_loss(model(batch[0]), batch[0])

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        if not len(self.val):
            return {}
        device, total, count = next(self.model.parameters()).device, 0.0, 0
        for rows in _steps(self.val):
            inputs = self.read(rows).to(device)
            total += F.mse_loss(self.model(inputs), inputs, reduction="sum").item()
            count += inputs.numel()
        return {"mse": total / count}


def learn(model: Autoencoder, read: Read, train: np.ndarray, val: np.ndarray, recipe: Recipe, seed: int) -> None:
    """Train `model` to give back the rows `train`, and leave the weights of the best epoch on the rows `val` in it."""
    with tempfile.TemporaryDirectory() as folder:
        fit(Autoencoding(model, read, train, val), recipe, seed=seed, folder=Path(folder))


@torch.inference_mode()
def encode(encoder: nn.Module, read: Read, n: int) -> np.ndarray:
    """Return what `encoder` makes of the rows 0 to n-1, float32 [n, size]."""
    device = pick_device()
    encoder = encoder.to(device).eval()
    return torch.cat([encoder(read(rows).to(device)).float().cpu() for rows in _steps(np.arange(n))]).numpy()


def _steps(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[i : i + STEP] for i in range(0, len(rows), STEP)]
