"""Learning by reconstruction: a network gives back what it is shown, through a narrow middle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tlkit.training.feed import Batch
from tlkit.training.processes import autocast
from tlkit.training.recipe import Recipe
from tlkit.training.steps import Views

STEP = 256  # validation rows at a time


class Reconstruction:
    """The objective of a network that paints its input: the mean squared error (radiologynet2025 0.2, 0.3, 1.12).

    `read(rows)` returns what is stored of some rows, `view(stored)` what the network sees of it; that is made on the
    device, without augmentation, as published. The validation rows select the epoch; without any, the last counts.
    With skip connections the copy is nearly free, so a low error promises little.
    """

    joint = False

    def __init__(
        self,
        model: nn.Module,
        read: Callable[[np.ndarray], Tensor],
        train: np.ndarray,
        val: np.ndarray,
        recipe: Recipe,
        view: Callable[[Tensor], Tensor] = lambda stored: stored,
    ):
        self.model, self.read, self.train, self.val = model, read, train, val
        self.recipe, self.view = recipe, view
        self.size, self.monitor = len(train), "mse" if len(val) else None

    def fetch(self, positions: np.ndarray) -> Batch:
        return (self.read(self.train[positions]),)

    def views(self, batch: Batch, positions: np.ndarray, epoch: int, keys: np.ndarray | None = None) -> Views:
        return (self.view(batch[0]),)

    def loss(self, model: nn.Module, views: Views) -> Tensor:
        return F.mse_loss(model(views[0]).float(), views[0])

    def validate(self) -> dict[str, float]:
        """Return the mean squared error of the validation rows; every process looks at all of them."""
        if not len(self.val):
            return {}
        device, squared, count = next(self.model.parameters()).device, 0.0, 0
        with torch.inference_mode(), autocast(self.recipe.precision, device):
            for start in range(0, len(self.val), STEP):
                inputs = self.view(self.read(self.val[start : start + STEP]).to(device))
                squared += F.mse_loss(self.model(inputs).float(), inputs, reduction="sum").item()
                count += inputs.numel()
        return {"mse": squared / count}
