"""The steps of an epoch: the images of each, what the network gets of them, and the gradient of the loss.

A step's images may be cut into groups that go through the network one after the other, each as if on a GPU of its
own, with BatchNorm statistics of its own, as under DDP without SyncBatchNorm. The loss of a step is the mean over its
groups; where it compares all images of the step, the groups are embedded, compared together, and each gets its part of
the gradient in a second pass (Gao et al. 2021, arXiv:2101.06983). So a batch needs the memory of one group.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from tlkit.config import ConfigError
from tlkit.models import batch_norms
from tlkit.random import random_state, set_random_state
from tlkit.training.feed import Batch, feed_parts
from tlkit.training.processes import rank, take_from_first, world_size
from tlkit.training.recipe import Recipe

TOGETHER = 2**22  # pixels that a GPU augments at once, of several steps where they are small: kernels are slow to start
Views = tuple[Tensor, ...]  # what the network and the loss get; one row per image


class Objective(Protocol):
    """What the loop minimises: a model, its training samples and, if there is one, a validation value.

    A `joint` loss compares images of all groups of a step; then `embed(model, views)` returns one row per image, and
    `compare(embedded)` the loss. The others are means over images.
    """

    model: nn.Module
    size: int  # training samples
    monitor: str | None  # the validation metric that selects (`names.sign`: which way); None without validation
    joint: bool

    def fetch(self, positions: np.ndarray) -> Batch:
        """Return a batch of training samples on the CPU, before anything is drawn."""

    def views(self, batch: Batch, positions: np.ndarray, epoch: int, keys: np.ndarray | None = None) -> Views:
        """Return what the network and the loss get of a batch, drawn by seed, epoch, position and `keys` alone."""

    def loss(self, model: nn.Module, views: Views) -> Tensor:
        """Return the loss of a batch of views, a number."""

    def validate(self) -> dict[str, float]:
        """Return the validation metrics by name, {} without validation."""


class Group(NamedTuple):
    """Some images of a step that go through the network at once."""

    positions: np.ndarray
    key: int  # decides a draw that images share, see `Augment.draw`


def epoch_order(n: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order of the n training samples in one epoch; depends on seed and epoch alone."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(n, generator=generator).numpy()


def batches(order: np.ndarray, batch: int) -> list[np.ndarray]:
    """Cut an epoch into this process's part of each full batch (the rest is dropped, as one batch if n < batch).

    Raises: ConfigError for a batch, or fewer images than one, that do not divide evenly over the processes.
    """
    if batch % world_size():
        raise ConfigError(
            f"recipe.batch is {batch}, which {world_size()} processes cannot share evenly: take a multiple of "
            f"{world_size()}, or other `gpus` in the study."
        )
    batch = min(batch, len(order))
    share, left = divmod(batch, world_size())
    if share == 0:
        raise ConfigError(f"{len(order)} training images are too few for {world_size()} processes: start fewer.")
    if left:
        raise ConfigError(
            f"{len(order)} training images are fewer than recipe.batch, and {world_size()} processes cannot share them "
            f"evenly: {left} would never be trained on. Take a smaller batch, or other `gpus` in the study."
        )
    first = rank() * share
    return [order[i + first : i + first + share] for i in range(0, len(order) - batch + 1, batch)]


def cut_groups(mine: list[np.ndarray], recipe: Recipe) -> list[list[Group]]:
    """Cut this process's part of each step into groups of `recipe.group` images; 0, or fewer images: one group.

    Raises: ConfigError where the part is no multiple of a group, or several processes have less than one each.
    """
    whole = recipe.augment.draw == "batch"
    firsts = take_from_first([int(part[0]) for part in mine]) if whole else [None] * len(mine)
    steps = []
    for part, first in zip(mine, firsts, strict=True):
        size = min(recipe.group or len(part), len(part))
        if len(part) % size or (size < recipe.group and world_size() > 1):
            raise ConfigError(
                f"recipe.group is {recipe.group}, which does not divide the {len(part)} images that a process has of a "
                "step. Take a divisor, or other `batch` or `gpus`."
            )
        cut = np.split(part, len(part) // size)
        steps.append([Group(p, int(p[0]) if first is None else first) for p in cut])
    return steps


def prepare_groups(
    objective: Objective, groups: list[Group], epoch: int, device: torch.device, first: int = 0
) -> Iterator[Views]:
    """Yield what the network gets of each group, from the `first` on, in order, on the device.

    A GPU augments small ones together, the same ones wherever it begins.
    """

    def read(part: list[Group]) -> Batch:
        return objective.fetch(np.concatenate([group.positions for group in part]))

    count = 1
    if device.type != "cpu":
        image = max(t.numel() for t in objective.fetch(groups[0].positions[:1]) if t is not None)
        count = max(1, TOGETHER // (image * len(groups[0].positions)))
    skip = first % count
    for part, batch in feed_parts(
        read, [groups[i : i + count] for i in range(first - skip, len(groups), count)], device
    ):
        sizes = [len(group.positions) for group in part]
        keys = np.repeat([group.key for group in part], sizes)
        views = objective.views(batch, np.concatenate([group.positions for group in part]), epoch, keys)
        yield from islice(zip(*(v.split(sizes) for v in views), strict=True), skip, None)
        skip = 0


def backward(
    objective: Objective,
    model: nn.Module,
    groups: Iterator[Views],
    count: int,
    precision: torch.autocast,
    scale: Callable[[Tensor], Tensor],
    checkpointing: bool = False,
) -> Tensor:
    """Add the gradient of a step, whose views are the next `count` of `groups`, and return its loss, detached.

    Running statistics of BatchNorm are those of the first group alone, as DDP keeps those of the first GPU.
    """
    if count > 1 and objective.joint:
        return _compared(objective, model, list(islice(groups, count)), precision, scale)
    losses = []
    for n, views in enumerate(islice(groups, count)):
        with _in_turn(model, n, count):
            with precision:
                loss = objective.loss(model, views)
            with _still(model, checkpointing):  # layers that compute again have kept their statistics already
                scale(loss / count if count > 1 else loss).backward()
        losses.append(loss.detach())
    return torch.stack(losses).mean() if count > 1 else losses[0]


def _compared(
    objective: Objective,
    model: nn.Module,
    groups: list[Views],
    precision: torch.autocast,
    scale: Callable[[Tensor], Tensor],
) -> Tensor:
    """Do `backward` for a loss that compares the images of all groups."""
    device, states, parts = groups[0][0].device, [], []
    for n, views in enumerate(groups):
        states.append(random_state(device))
        with torch.no_grad(), precision, _still(model, n > 0):
            parts.append(objective.embed(model, views))
    embedded = torch.cat(parts).requires_grad_()
    with precision:
        loss = objective.compare(embedded)
    scale(loss).backward()
    after = random_state(device)
    for n, (views, gradient) in enumerate(zip(groups, embedded.grad.split([len(p) for p in parts]), strict=True)):
        set_random_state(device, states[n])  # dropout as in the first pass
        with _in_turn(model, n, len(groups)), _still(model):
            with precision:
                again = objective.embed(model, views)
            again.backward(gradient)
    set_random_state(device, after)
    return loss.detach()


@contextlib.contextmanager
def _in_turn(model: nn.Module, n: int, count: int) -> Iterator[None]:
    """In the n-th of `count` groups: BatchNorm keeps the statistics of the first, DDP exchanges after the last."""
    together = model.no_sync() if hasattr(model, "no_sync") and n < count - 1 else contextlib.nullcontext()
    with together, _still(model, n > 0):
        yield


@contextlib.contextmanager
def _still(model: nn.Module, still: bool = True) -> Iterator[None]:
    """Let BatchNorm layers keep their running statistics inside, whatever mode they are in."""
    momenta = {norm: norm.momentum for norm in batch_norms(model)} if still else {}
    try:
        for norm in momenta:
            norm.momentum = 0.0
        yield
    finally:
        for norm, momentum in momenta.items():
            norm.momentum = momentum
