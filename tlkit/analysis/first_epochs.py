"""Fig. 6 to 8 of the RadiologyNET study: how far validation has come after each of the first epochs."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from tlkit.analysis.rank_tables import challenge
from tlkit.config import ConfigError

# Macro F1 on validation after the epochs 1 and 10, read by eye from the plots of the authors' repository (spec 4.7):
# RadiologyNET, ImageNet, random weights.
PAPER = {
    ("BTMR_ResNet50", 1): (0.92, 0.85, 0.72),
    ("BTMR_ResNet50", 10): (0.975, 0.963, 0.81),
    ("BTMR_MobileNetV3Small", 1): (0.82, 0.66, 0.10),
    ("BTMR_MobileNetV3Small", 10): (0.96, 0.96, 0.88),
    ("COVID_ResNet18", 1): (0.95, 0.95, 0.64),
    ("COVID_ResNet18", 10): (0.975, 0.985, 0.895),
    ("COVID_MobileNetV3Large", 1): (0.945, 0.925, 0.333),
    ("COVID_MobileNetV3Large", 10): (0.97, 0.85, 0.90),
}
KEYS = ["experiment", "task", "fraction", "metric", "pretraining"]


def published() -> pd.DataFrame:
    """Return PAPER as a frame: task, epoch, pretraining, published (macro F1, 0 to 1, by eye)."""
    arms = ("radiologynet", "imagenet", "scratch")
    rows = [(*key, arm, value) for key, found in PAPER.items() for arm, value in zip(arms, found, strict=True)]
    return pd.DataFrame(rows, columns=["task", "epoch", "pretraining", "published"])


def followed(history: pd.DataFrame, monitors: Mapping[str, tuple[str, int]]) -> dict[str, str]:
    """Return for each task the metric to draw: the one that the paper tests, else the one that chose its epochs.

    A run logs few metrics an epoch: where Dice, MAE or macro F1 is not among them, the task's monitor stands in.
    Raises ConfigError where that is absent too.
    """
    found = {}
    for task, rows in history.groupby("task", observed=True, sort=False):
        metrics = (challenge(task).statistic, monitors[task][0])
        logged = [m for m in metrics if m in rows and rows[m].notna().any()]
        if not logged:
            raise ConfigError(f"the history of {task} has none of {metrics}; found {list(rows.columns)}")
        found[task] = logged[0]
    return found


def curves(history: pd.DataFrame, metrics: Mapping[str, str], epochs: int = 10) -> pd.DataFrame:
    """Return mean and sd (ddof=1) over the runs of each cell after each epoch: KEYS, epoch, mean, sd, n.

    Args: history: `Study.history()`, one learning rate a cell; metrics: each task's. Epochs count from 1 and end at
    `epochs`, or where the first run of a cell ended, so that every point is of the same runs. Raises ConfigError for
    an empty history, and for several rates in a cell: a mean over them would be of different trainings.
    """
    if history.empty:
        raise ConfigError("no epochs to draw; `python -m tlkit status` lists which runs are missing")
    cell = ["experiment", "task", "fraction", "pretraining"]
    rates = history.drop_duplicates(["run", "experiment"]).groupby([*cell, "seed"], observed=True).size()
    if (rates > 1).any():
        raise ConfigError(f"{rates.idxmax()} has {rates.max()} runs; keep one learning rate: grid.of_runs")
    metric = history["task"].map(metrics)
    value = [row.get(name) for row, name in zip(history.to_dict("records"), metric, strict=True)]
    rows = history[[*cell, "run", "epoch"]].assign(metric=metric, value=pd.Series(value, history.index, dtype=float))
    shortest = rows.groupby([*KEYS, "run"], observed=True)["epoch"].max().groupby(KEYS, observed=True).min()
    rows = rows[rows["epoch"] < epochs].assign(epoch=rows["epoch"] + 1)
    found = rows.groupby([*KEYS, "epoch"], observed=True, sort=False)["value"].agg(mean="mean", sd="std", n="count")
    found = found.reset_index()
    last = found[KEYS].merge(shortest.rename("last").reset_index(), on=KEYS, how="left")["last"]
    return found[found["epoch"] <= last + 1].reset_index(drop=True)
