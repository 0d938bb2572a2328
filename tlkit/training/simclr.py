"""SimCLR pretraining: two views of each image, drawn image by image, and the NT-Xent loss between them."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from tlkit.training.contrastive import ProjectionHead, nt_xent
from tlkit.training.recipe import Recipe
from tlkit.training.supervised import Samples, random_view


class SimCLRModel(nn.Module):
    """An encoder and the projection head that is thrown away after pretraining."""

    def __init__(self, encoder: nn.Module, published_head: bool):
        super().__init__()
        self.encoder = encoder
        width = encoder.num_features
        self.projection = ProjectionHead(width, width, 256 if published_head else 128, published=published_head)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.projection(self.encoder(images))


class Contrastive:
    """The SimCLR objective for the training loop. Needs no labels; there is no validation value."""

    monitor = None

    def __init__(self, model: SimCLRModel, train: Samples, recipe: Recipe, seed: int):
        self.model, self.train, self.recipe, self.seed, self.size = model, train, recipe, seed, len(train)

    def fetch(self, positions: np.ndarray) -> tuple[torch.Tensor | None, ...]:
        return (self.train.store.take(self.train.rows[positions])[0],)

    def loss(self, model: nn.Module, batch: tuple, positions: np.ndarray, epoch: int) -> torch.Tensor:
        views = [random_view(batch[0], self.recipe, self.seed, epoch, positions, view=v)[0] for v in (0, 1)]
        z1, z2 = model(torch.cat(views)).chunk(2)
        return nt_xent(z1, z2, self.recipe.temperature, group=self.recipe.negatives)

    def validate(self) -> dict[str, float]:
        return {}
