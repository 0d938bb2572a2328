"""SimCLR pretraining: two views of each image, drawn image by image, and the NT-Xent loss between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from tlkit.models.parts import in_float32
from tlkit.training.contrastive import ProjectionHead, nt_xent
from tlkit.training.feed import Batch, send
from tlkit.training.recipe import Recipe
from tlkit.training.steps import Views
from tlkit.training.supervised import Samples, random_view


class SimCLRModel(nn.Module):
    """An encoder and the projection head that is thrown away after pretraining."""

    def __init__(self, encoder: nn.Module, published_head: bool):
        super().__init__()
        self.encoder = encoder
        width = encoder.num_features
        self.projection = ProjectionHead(width, width, 256 if published_head else 128, published=published_head)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return in_float32(self.projection, self.encoder(images))


class Contrastive:
    """The SimCLR objective for the training loop, over the images of one store or of several.

    Needs no labels; there is no validation value. With several, positions run through the stores in turn, so an
    epoch's order mixes them; each image is read and augmented as its own store needs (dtype, channels), and the views
    are joined. Where a recipe's images share a draw, those of all stores do.
    """

    monitor = None

    def __init__(self, model: SimCLRModel, train: Sequence[Samples], recipe: Recipe, seed: int):
        self.model, self.train, self.recipe, self.seed = model, train, recipe, seed
        self.starts = np.cumsum([0, *map(len, train)])
        self.size = int(self.starts[-1])

    def fetch(self, positions: np.ndarray) -> Batch:
        """Return one batch of images a store, in the order of `positions`; None for a store without any."""
        return tuple(
            samples.store.take(samples.rows[positions[at] - start])[0] if len(at) else None
            for samples, start, at in zip(self.train, self.starts, self._shares(positions), strict=False)
        )

    @property
    def joint(self) -> bool:
        """Whether negatives come from all groups of a step."""
        negatives, group = self.recipe.negatives, self.recipe.group
        return not negatives or bool(group % negatives)

    def views(self, batch: Batch, positions: np.ndarray, epoch: int, keys: np.ndarray | None = None) -> Views:
        keys = np.full(len(positions), positions[0]) if keys is None else keys
        return tuple(self._view(batch, positions, epoch, keys, v) for v in (0, 1))

    def embed(self, model: nn.Module, views: Views) -> torch.Tensor:
        """Return the embeddings [B,2,D] of both views of each image."""
        return torch.stack(model(torch.cat(views)).chunk(2), dim=1)

    def compare(self, embedded: torch.Tensor) -> torch.Tensor:
        """Return the NT-Xent loss of embeddings [B,2,D]."""
        return nt_xent(*embedded.unbind(1), self.recipe.temperature, group=self.recipe.negatives)

    def loss(self, model: nn.Module, views: Views) -> torch.Tensor:
        return self.compare(self.embed(model, views))

    def _shares(self, positions: np.ndarray) -> list[np.ndarray]:
        """Return, for each store, where in `positions` its images stand."""
        owner = np.searchsorted(self.starts, positions, side="right") - 1
        return [np.flatnonzero(owner == k) for k in range(len(self.train))]

    def _view(self, batch: Batch, positions: np.ndarray, epoch: int, keys: np.ndarray, view: int) -> torch.Tensor:
        """Return one view of each image, in the order of `positions`: neighbours share negatives, so it matters."""
        shares = self._shares(positions)
        parts = [
            random_view(images, self.recipe, self.seed, epoch, positions[at], keys[at], view=view)[0]
            for images, at in zip(batch, shares, strict=True)
            if images is not None
        ]
        if len(parts) == 1:
            return parts[0]
        return torch.cat(parts)[send(np.concatenate(shares).argsort(), parts[0].device)]

    def validate(self) -> dict[str, float]:
        return {}
