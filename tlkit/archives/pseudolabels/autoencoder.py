"""What the two autoencoders share: training by the project's loop, and the codes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tlkit.training.loop import fit
from tlkit.training.processes import pick_device
from tlkit.training.recipe import Recipe
from tlkit.training.reconstruction import Reconstruction

STEP = 256  # rows encoded at a time
Read = Callable[[np.ndarray], Tensor]


class Autoencoder(nn.Module):
    """An encoder and a decoder; `forward` returns the reconstruction."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


def learn(model: Autoencoder, read: Read, train: np.ndarray, val: np.ndarray, recipe: Recipe, seed: int) -> None:
    """Train `model` to give back the rows `train`, and leave the weights of the best epoch on the rows `val` in it."""
    with tempfile.TemporaryDirectory() as folder:
        fit(Reconstruction(model, read, train, val, recipe), recipe, seed=seed, folder=Path(folder))


@torch.inference_mode()
def encode(encoder: nn.Module, read: Read, n: int) -> np.ndarray:
    """Return what `encoder` makes of the rows 0 to n-1, float32 [n, size]."""
    device = pick_device()
    encoder = encoder.to(device).eval()
    steps = [np.arange(i, min(i + STEP, n)) for i in range(0, n, STEP)]
    return torch.cat([encoder(read(rows).to(device)).float().cpu() for rows in steps]).numpy()
