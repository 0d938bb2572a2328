"""Pretraining by reconstruction: the network paints the image that it is shown, through an hourglass."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tlkit.training.processes import autocast
from tlkit.training.recipe import Recipe
from tlkit.training.supervised import Samples, plain_view


class Reconstruction:
    """The objective of a network [B,3,H,W] -> [B,3,H,W]: mean squared error to its input (radiologynet 1.12).

    Without augmentation, as published. Skip connections make the copy nearly free, so a low error promises little.
    """

    monitor = "mse"

    def __init__(self, model: nn.Module, train: Samples, val: Samples, recipe: Recipe):
        self.model, self.train, self.val, self.recipe = model, train, val, recipe
        self.size = len(train)

    def fetch(self, positions: np.ndarray) -> tuple[torch.Tensor | None, ...]:
        return (self.train.store.take(self.train.rows[positions])[0],)

    def loss(self, model: nn.Module, batch: tuple, positions: np.ndarray, epoch: int) -> torch.Tensor:
        views = plain_view(batch[0], self.recipe)
        return F.mse_loss(model(views).float(), views)

    def validate(self) -> dict[str, float]:
        """Return the mean squared error of the validation images; every process looks at all of them."""
        device, squared = next(self.model.parameters()).device, 0.0
        step = min(self.recipe.batch, 256)
        with torch.inference_mode(), autocast(self.recipe.precision, device):
            for start in range(0, len(self.val), step):
                rows = self.val.rows[start : start + step]
                views = plain_view(self.val.store.take(rows)[0].to(device), self.recipe)
                squared += float(F.mse_loss(self.model(views).float(), views)) * len(rows)
        return {"mse": squared / len(self.val)}
