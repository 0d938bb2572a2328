"""The task of a number for the whole image."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from tlkit.config import ConfigError
from tlkit.training.tasks.classes import Labels


class Regression(Labels):
    """A number per image, in the unit of its column, from the image and the columns `inputs`. Selects on the MAE.

    The model works on targets of mean 0 and sd 1, by the training images' mean and sd (`fit`), and puts out the unit.
    """

    monitor = "mae"
    monitors = ("mae", "mse")
    reported = ("mae",)
    counts = (1, 1)

    def __init__(self, classes: tuple[str, ...], weights=None, target: str = "target", inputs: tuple[str, ...] = ()):
        super().__init__(classes, weights)
        self.column, self.inputs = target, tuple(inputs)
        self.mean, self.sd = 0.0, 1.0

    def fit(self, table: pd.DataFrame) -> Regression:
        """Take mean and sd of the training images, and return the task.

        Raises ConfigError for a target or an input that never changes, or is no finite number.
        """
        for name in (self.column, *self.inputs):
            values = table[name].unique() if name in table else []
            if len(values) < 2:
                raise ConfigError(
                    f"column '{name}': expected values that differ between the training images, found "
                    f"{list(values) or f'no such column among {list(table)}'}. See how the reader parses it."
                )
            if not (pd.api.types.is_numeric_dtype(table[name]) and np.isfinite(table[name]).all()):
                raise ConfigError(
                    f"column '{name}': expected a finite number for every training image, found {values[:5].tolist()}. "
                    "Classes are no numbers: their task is `multiclass`."
                )
        self.mean, self.sd = float(table[self.column].mean()), float(table[self.column].std(ddof=0))
        return self

    def model(self, encoder: nn.Module) -> nn.Module:
        """Return a regressor of pooled features and `inputs`, in units of the training mean and sd."""
        from tlkit.models.heads import regressor

        return regressor(encoder, len(self.inputs), self.mean, self.sd)

    def targets(self, table: pd.DataFrame) -> torch.Tensor:
        """Return the target of every row of a store's table, float32 [N]."""
        return torch.tensor(table[self.column].to_numpy(np.float32))

    def loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the mean squared error of outputs [B,1] and targets [B], in squared standard deviations."""
        return F.mse_loss(output[:, 0].float() / self.sd, target / self.sd)

    def keep(self, output: torch.Tensor, target: torch.Tensor) -> dict[str, list]:
        """Return target and output, both in the unit of the target, of each image."""
        return {"target": target.cpu().tolist(), "output": output[:, 0].float().cpu().tolist()}

    def metrics(self, kept: pd.DataFrame, full: bool = True) -> dict[str, float]:
        """Return MAE, MSE and, if `full`, RMSE (unit of the target) and R2; R2 is NaN where the target is constant."""
        target, output = (kept[c].to_numpy(np.float64) for c in ("target", "output"))
        error, spread = output - target, ((target - target.mean()) ** 2).mean()
        values = {"mae": float(np.abs(error).mean()), "mse": float((error**2).mean())}
        if full:
            values["rmse"] = values["mse"] ** 0.5
            values["r2"] = float(1 - values["mse"] / spread) if spread else float("nan")
        return values
