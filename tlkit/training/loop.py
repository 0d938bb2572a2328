"""The training loop: one for pretraining and fine-tuning, on one device or many, resumable to the bit."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from tlkit import pulse, stopping
from tlkit.config import ConfigError, TlkitError, lookup
from tlkit.names import sign
from tlkit.progress import follow, is_watched
from tlkit.random import random_state, set_random_state
from tlkit.training import checkpoint, processes
from tlkit.training.optim import build_optimizer, learning_rate, plateau_factor
from tlkit.training.processes import autocast, average, distribute, pick_device, rank, share_buffers, world_size
from tlkit.training.recipe import Recipe
from tlkit.training.resume import Keeper, Progress, write_history
from tlkit.training.steps import Objective, backward, batches, cut_groups, epoch_order, prepare_groups

log = logging.getLogger(__name__)
CHECK_EVERY = 100  # steps between two looks at the losses: each look waits for the device


class DivergedError(TlkitError, RuntimeError):
    """The loss became NaN or infinite."""


@dataclass
class Fit:
    """What training leaves: one row per epoch, the selected epoch, and how long the steps took."""

    history: pd.DataFrame
    selected: int
    seconds: float
    cpu_seconds: float
    resumed: bool = False  # some epochs were trained before, perhaps on another machine


def fit(
    objective: Objective,
    recipe: Recipe,
    *,
    seed: int,
    folder: Path,
    per_epoch: int | None = None,
    device: torch.device | None = None,
) -> Fit:
    """Train `objective.model` and leave the selected weights in the model.

    An epoch is all training samples, or `per_epoch` of them, drawn anew each time. Sees training and validation
    samples only. Resumes from `folder/checkpoint` where there is one, and then gives the bits of an unbroken run
    (CPU); an epoch is kept there whenever writing took less than resume.MOST of the time until then, but none in the
    first seconds (resume.FIRST), and the middle of a long one every resume.EVERY seconds, on SIGUSR1, and on SIGTERM,
    which then ends it (stopping.Stopped). Writes `folder/history.csv` (epoch, loss, lr, validation values, seconds).
    Raises: DivergedError with the first bad step, the last epoch that was kept stays on disk; RunDamagedError for a
    resume state that is not as it was written.
    Random: order by (seed, epoch), augmentation by (seed, epoch, sample), layers by torch seeded per epoch.
    """
    device = device or pick_device()
    objective.model.to(device, memory_format=torch.channels_last)
    checkpoint.require_room(folder, objective.model)
    per_epoch = objective.size if per_epoch is None else per_epoch
    if not 0 < per_epoch <= objective.size:
        raise ConfigError(f"images_per_epoch: expected 1 to {objective.size}, the images there, found {per_epoch}")
    with stopping.listening() as asked:
        parts = _Parts(objective, recipe, device, folder, asked)
        state = parts.state
        resumed = bool(state.rows or state.within)
        for epoch in range(len(state.rows), recipe.epochs):
            if _out_of_patience(state, recipe):
                break
            row = _epoch(parts, _lowered(recipe, state, objective.monitor), seed, epoch, per_epoch)
            parts.model.eval()
            share_buffers(parts.model)
            row |= objective.validate()
            chosen = recipe.select == "best" and objective.monitor
            state.add(row, _value(row, objective.monitor) if chosen else None, parts.model)
            parts.keep()
            _say(row, recipe)
    history = pd.DataFrame(state.rows)
    if rank() == 0:
        write_history(folder, state)
    processes.barrier()
    if state.best is not None:
        parts.model.load_state_dict(state.best)
    return Fit(history, state.best_epoch, history["seconds"].sum(), history["cpu_seconds"].sum(), resumed)


class _Parts:
    """What one fit works with: model, optimiser, precision, loss scaler, how far it is, and what keeps that."""

    def __init__(self, objective: Objective, recipe: Recipe, device: torch.device, folder: Path, asked: stopping.Asked):
        self.objective, self.model, self.device, self.asked = objective, objective.model, device, asked
        self.optimizer = build_optimizer(
            self.model, recipe.optimizer, lr=recipe.lr, weight_decay=recipe.weight_decay, exclude=recipe.exclude
        )
        self.autocast = autocast(recipe.precision, device)
        scaled = self.autocast._enabled and self.autocast.fast_dtype == torch.float16
        self.scaler = torch.amp.GradScaler(device.type, enabled=scaled)
        self.trained = distribute(self.model, device, recipe.sync_batchnorm and not recipe.group)
        self.keeper = Keeper(folder, self.model, optimizer=self.optimizer, scaler=self.scaler)
        self.state = self.keeper.resume(device)

    def keep(self, within: Callable[[], dict[str, Any]] | None = None) -> None:
        """Keep the state where that is due or asked for, and end where that is; all by the first process alone.

        The others go on, as it needs them in its step, and end when it is gone. `within` returns where an epoch stands.
        """
        if rank() == 0 and (self.asked.to_keep or self.keeper.is_due(within is not None)):
            self.state.within = within and within()
            self.keeper.keep(self.state)
            self.asked.kept()


def _value(row: dict[str, float], monitor: str) -> float:
    """Return the validation value of an epoch so that higher is better; the worst where it is not defined."""
    value = sign(monitor) * lookup(monitor, row, "validation metric")
    return -math.inf if math.isnan(value) else value


def _lowered(recipe: Recipe, state: Progress, monitor: str | None) -> Recipe:
    """Return the recipe with the rate that the "plateau" schedule has come to; as it is for all other schedules."""
    if recipe.schedule != "plateau" or monitor is None:
        return recipe
    return replace(recipe, lr=recipe.lr * plateau_factor([_value(row, monitor) for row in state.rows]))


def _epoch(parts: _Parts, recipe: Recipe, seed: int, epoch: int, per_epoch: int) -> dict[str, float]:
    """Train for one epoch, or what is left of it, and return its row of the history."""
    objective, model, optimizer, device = parts.objective, parts.trained, parts.optimizer, parts.device
    model.train()
    torch.manual_seed(seed * 1_000_003 + epoch)  # for layers that draw (dropout, stochastic depth)
    start, cpu = time.perf_counter(), time.process_time()
    mine = batches(epoch_order(objective.size, seed, epoch)[:per_epoch], recipe.batch)
    cut = cut_groups(mine, recipe)
    steps = len(mine)
    losses = torch.zeros(steps, device=device)
    first = 0
    if before := parts.state.within:
        first, start, cpu = before["step"], start - before["seconds"], cpu - before["cpu_seconds"]
        losses[:first] = before["losses"]
        set_random_state(device, before["random"].cpu())
    skipped = sum(map(len, cut[:first]))
    groups = prepare_groups(objective, [group for step in cut for group in step], epoch, device, skipped)

    def lasted() -> dict[str, float]:
        return {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}

    def within() -> dict[str, Any]:
        told = {"step": step + 1, "losses": losses[: step + 1].clone(), "random": random_state(device)}
        return told | lasted()

    for step in _progress(range(first, steps), len(mine[0]) * world_size(), epoch, recipe):
        for group in optimizer.param_groups:
            group["lr"] = _rate(recipe, epoch, step, steps)
        loss = backward(
            objective, model, groups, len(cut[step]), parts.autocast, parts.scaler.scale, recipe.checkpointing
        )
        losses[step] = average(loss)
        parts.scaler.step(optimizer)
        parts.scaler.update()
        optimizer.zero_grad(set_to_none=True)
        if step % CHECK_EVERY == CHECK_EVERY - 1:
            _check(losses[: step + 1], epoch, steps)
        pulse.tell(epoch=epoch + 1, epochs=recipe.epochs, step=step + 1, steps=steps)
        parts.keep(within)
    _check(losses, epoch, steps)
    row = {"epoch": epoch, "loss": float(losses.double().mean()), "lr": _rate(recipe, epoch, steps - 1, steps)}
    row |= lasted()
    return row | {"images_per_second": sum(map(len, mine)) * world_size() / row["seconds"]}


def _rate(recipe: Recipe, epoch: int, step: int, steps: int) -> float:
    """Return the learning rate of a step of an epoch that has so many."""
    how = {"warmup": round(recipe.warmup * steps), "decay": recipe.decay, "steps_per_epoch": steps}
    return learning_rate(epoch * steps + step, recipe.epochs * steps, recipe.lr, recipe.schedule, **how)


def _progress(steps: range, images: int, epoch: int, recipe: Recipe) -> Iterable[int]:
    """Return the steps, of so many images each, with a bar where somebody watches."""
    if not is_watched() or rank() != 0:
        return steps
    return follow(steps, steps.stop, f"epoch {epoch + 1}/{recipe.epochs}", "images", images, steps.start)


def _check(losses: torch.Tensor, epoch: int, steps: int) -> None:
    bad = (~torch.isfinite(losses)).nonzero()
    if len(bad):
        step = int(bad[0])
        raise DivergedError(
            f"the loss became {float(losses[step])} at step {epoch * steps + step + 1} (epoch {epoch + 1}). The last "
            "epoch that was kept goes on. Lower recipe.lr, raise recipe.warmup, or set recipe.precision to float32."
        )


def _out_of_patience(state: Progress, recipe: Recipe) -> bool:
    return recipe.patience > 0 and len(state.rows) - 1 - state.best_epoch >= recipe.patience


def _say(row: dict[str, float], recipe: Recipe) -> None:
    """One line per epoch where nobody watches."""
    if is_watched() or rank() != 0:
        return
    values = " ".join(f"{k} {v:.4g}" for k, v in row.items() if k not in ("epoch", "cpu_seconds", "seconds"))
    log.info("epoch %d/%d %s", row["epoch"] + 1, recipe.epochs, values)
