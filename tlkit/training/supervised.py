"""Fine-tuning and linear evaluation: the objective of a labelled task, and the one evaluation after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from tlkit.config import ConfigError
from tlkit.datasets.store import Store
from tlkit.training.augment import AUGMENTS, augment, to_float
from tlkit.training.augment_opencv import LUMA
from tlkit.training.augment_torch import per_channel
from tlkit.training.feed import Batch, feed_parts
from tlkit.training.processes import autocast, rank, world_size
from tlkit.training.recipe import NORMALISE, Recipe
from tlkit.training.steps import Views


@dataclass(frozen=True)
class Samples:
    """Some rows of a store."""

    store: Store
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def table(self) -> pd.DataFrame:
        """The rows of the store's table, in the order of `rows`."""
        return self.store.table.iloc[self.rows]


class Supervised:
    """The objective of a task for the training loop: augmented training images, a task loss, validation metrics."""

    joint = False

    def __init__(self, model: nn.Module, task: Any, train: Samples, val: Samples | None, recipe: Recipe, seed: int):
        self.model, self.task, self.train, self.val = model, task, train, val
        self.recipe, self.seed, self.size = recipe, seed, len(train)
        self.monitor = (recipe.monitor or task.monitor) if val is not None else None
        self.labels = None if task.masks else task.targets(train.table)
        self.inputs = covariates(train.table, task)

    def fetch(self, positions: np.ndarray) -> Batch:
        """Return images, targets and, where the task has such, the columns that the model gets beside the image."""
        images, masks = self.train.store.take(self.train.rows[positions])
        at = torch.from_numpy(positions)
        target = masks if self.labels is None else self.labels[at]
        return images, target, *(columns[at] for columns in self.inputs)

    def views(self, batch: Batch, positions: np.ndarray, epoch: int, keys: np.ndarray | None = None) -> Views:
        images, target, *inputs = batch
        masks = target if self.task.masks else None
        views, masks = random_view(images, self.recipe, self.seed, epoch, positions, keys, masks=masks)
        return views, masks if self.task.masks else target, *inputs

    def loss(self, model: nn.Module, views: Views) -> torch.Tensor:
        images, target, *inputs = views
        return self.task.loss(model(images, *inputs), target)

    def validate(self) -> dict[str, float]:
        if self.val is None:
            return {}
        return self.task.metrics(predict(self.model, self.task, self.val, self.recipe), full=False)


def covariates(table: pd.DataFrame, task: Any) -> tuple[torch.Tensor, ...]:
    """Return (float32 [N,K],) of the task's `inputs` in a store's table; nothing for a task of images alone."""
    return (torch.tensor(table[list(task.inputs)].to_numpy(np.float32)),) if task.inputs else ()


def random_view(
    images: torch.Tensor,
    recipe: Recipe,
    seed: int,
    epoch: int,
    positions: np.ndarray,
    keys: np.ndarray | None = None,
    view: int = 0,
    masks: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return a store's batch as the network sees it in training, and its masks: augmented, else as `plain_view`.

    Random: by (seed, epoch, position, view); where the recipe's images share a draw, by `keys` (see `augment`).
    With `recipe.crop` the boxes of the augmentation, which are shares of the stored image, become that many pixels.
    """
    if recipe.augment == AUGMENTS["none"]:
        return plain_view(images, recipe), cut_middle(masks, recipe)
    views, masks = augment(
        images,
        recipe.augment,
        seed=seed,
        epoch=epoch,
        index=torch.from_numpy(positions),
        view=view,
        keys=keys,
        masks=masks,
        size=recipe.crop or None,
        window=recipe.window,
        intensity=recipe.intensity,
    )
    return normalise(views, recipe), masks


def plain_view(images: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Return a store's batch as the network sees it in evaluation: float32 [B,3,H,W], channels_last.

    In [0,1], or with the recipe's mean taken off and divided by its standard deviation.
    """
    return normalise(repeat_grey(to_float(cut_middle(images, recipe), recipe.window, recipe.intensity)), recipe)


def cut_middle(images: torch.Tensor | None, recipe: Recipe) -> torch.Tensor | None:
    """Return the middle window of `recipe.crop` pixels of a store's images or masks [B,H,W] or [B,H,W,3]."""
    if images is None or not recipe.crop:
        return images
    top, left = ((n - recipe.crop) // 2 for n in images.shape[1:3])
    if min(top, left) < 0:
        raise ConfigError(f"recipe.crop is {recipe.crop} px, of images of {images.shape[1]} x {images.shape[2]} px.")
    return images[:, top : top + recipe.crop, left : left + recipe.crop]


def normalise(views: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Return float32 [B,3,H,W] in [0,1] as `recipe.normalise` says."""
    how = recipe.normalisation
    if how.channels == "grey":
        views = repeat_grey((views * per_channel(tuple(LUMA[0]), views.device)).sum(1, True))
    if (how.mean, how.std) == (NORMALISE["none"].mean, NORMALISE["none"].std):
        return views
    return (views - per_channel(how.mean, views.device)) / per_channel(how.std, views.device)


def predict(model: nn.Module, task: Any, samples: Samples, recipe: Recipe) -> pd.DataFrame:
    """Return one row per sample, in table order: id, patient, and what the task keeps (target, output ...).

    No augmentation. Several processes share the samples and all get the whole frame.
    """
    device = next(model.parameters()).device
    mine = samples.rows[rank() :: world_size()]
    step = max(1, min(4 * recipe.batch, 256))  # without gradients four batches need less memory than one with
    table = samples.store.table.iloc[mine]
    targets = None if task.masks else task.targets(table)
    inputs = covariates(table, task)
    model.eval()
    parts = []

    def read(part: slice) -> Batch:
        images, masks = samples.store.take(mine[part])
        labels = cut_middle(masks, recipe) if targets is None else targets[part]
        return images, labels, *(columns[part] for columns in inputs)

    slices = [slice(start, start + step) for start in range(0, len(mine), step)]
    with torch.inference_mode(), autocast(recipe.precision, device):
        for part, (images, labels, *beside) in feed_parts(read, slices, device):
            kept = task.keep(model(plain_view(images, recipe), *beside), labels)
            parts.append(pd.DataFrame({"row": mine[part], **kept}))
    frame = _gathered(parts).sort_values("row")
    named = samples.store.table.iloc[frame.pop("row").to_numpy()]
    frame.insert(0, "id", named["id"].to_numpy())
    frame.insert(1, "patient", named["patient"].to_numpy())
    return frame.reset_index(drop=True)


def repeat_grey(images: torch.Tensor) -> torch.Tensor:
    """Return [B,3,H,W], channels_last; one grey channel is repeated."""
    return images.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)


def _gathered(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the frames of all processes as one; a process may have none."""
    if world_size() > 1:
        everyone: list = [None] * world_size()
        torch.distributed.all_gather_object(everyone, parts)
        parts = [frame for found in everyone for frame in found]
    return pd.concat(parts)
