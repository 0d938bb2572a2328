"""How far a fit is, and its resume state on the disk, written as often as that is cheap beside the training."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import pandas as pd
import torch
from torch import nn

from tlkit import files
from tlkit.training import checkpoint

log = logging.getLogger(__name__)
LAST = Path("checkpoint", "last.pt")
MOST = 0.05  # of the time may go into writing the resume state, so short epochs are not each kept
FIRST = 3.0  # seconds of training that are done again rather than kept: many small runs take no longer
EVERY = 300.0  # seconds between two states in the middle of an epoch


@dataclass
class Progress:
    """The epochs so far, and the best of them; of an epoch that has begun, `within` says where it stands."""

    rows: list[dict[str, float]]
    best_value: float = -math.inf
    best_epoch: int = -1
    best: dict[str, torch.Tensor] | None = None  # the weights of that epoch; None: those of the model
    within: dict[str, Any] | None = None  # step, losses, seconds, cpu_seconds, random (the state of the generator)

    def add(self, row: dict[str, float], value: float | None, model: nn.Module) -> None:
        """Add an epoch with its validation value (higher is better); without one, the last epoch is the best."""
        if value is None or value > self.best_value or self.best_epoch < 0:
            self.best_value, self.best_epoch = self.best_value if value is None else value, len(self.rows)
            self.best = None if value is None else _copy(model)
        self.rows.append(row)
        self.within = None


class Keeper:
    """The resume state of one fit in its folder: the model and what else has a state (optimiser, scaler)."""

    def __init__(self, folder: Path, model: nn.Module, **parts: Any):
        self.folder, self.model, self.parts = folder, model, parts
        start = monotonic()
        self.due, self.inside = start + FIRST, start + EVERY

    def resume(self, device: torch.device) -> Progress:
        """Put everything back to where it was kept, if it was, and return how far that is. Raises RunDamagedError."""
        saved = checkpoint.load(self.folder / LAST, device)
        if saved is None:
            return Progress([])
        try:
            self.model.load_state_dict(saved["model"])
            for name, part in self.parts.items():
                part.load_state_dict(saved[name])
            best = _copy(self.model) if saved["best_is_model"] else saved["best"]
            progress = Progress(saved["rows"], saved["best_value"], saved["best_epoch"], best, saved.get("within"))
        except torch.OutOfMemoryError:
            raise
        except (KeyError, ValueError, RuntimeError) as error:  # whole, but written by another version of the code
            why = f"is not of this model and optimizer ({str(error).splitlines()[0]})"
            raise checkpoint.unusable(self.folder / LAST, why) from error
        log.info("resuming after epoch %d, step %d", len(progress.rows), (progress.within or {"step": 0})["step"])
        return progress

    def is_due(self, inside: bool) -> bool:
        """Tell whether to keep a state: not where that was done lately and would take much of the time."""
        return monotonic() >= (self.inside if inside else self.due)

    def keep(self, progress: Progress) -> None:
        """Write the history and the resume state."""
        start = monotonic()
        write_history(self.folder, progress)
        now_best = progress.best is not None and progress.best_epoch == len(progress.rows) - 1 and not progress.within
        state = {"model": self.model.state_dict(), **{name: part.state_dict() for name, part in self.parts.items()}}
        state |= {"rows": progress.rows, "best_value": progress.best_value, "best_epoch": progress.best_epoch}
        state |= {"best": None if now_best else progress.best, "best_is_model": now_best}  # not written twice
        state["within"] = progress.within
        checkpoint.save(self.folder / LAST, state)
        end = monotonic()
        self.due = end + (end - start) / MOST
        self.inside = max(self.due, end + EVERY)


def write_history(folder: Path, progress: Progress) -> pd.DataFrame:
    """Write `history.csv`, one row per epoch, and return it."""
    history = pd.DataFrame(progress.rows)
    with files.replacing(folder / "history.csv") as part:
        history.to_csv(part, index=False)
    return history


def _copy(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
