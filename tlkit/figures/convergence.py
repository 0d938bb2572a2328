"""Time to convergence and loss curves: by the rule in the published code, and by the one in its caption.

A frame of epochs has one row per run and epoch: experiment, task, pretraining, seed, run, epoch (from 0), loss, and
validation metrics.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

CELL = ["experiment", "task", "pretraining"]
TRACKED = ("accuracy", "auc", "dice_1")  # the first of these that a task has decides (jonske2025 5.5)
NEVER = 100  # what the published code writes for a run that does not settle


def settling_epoch(values: np.ndarray, tolerance: float = 0.005, last: int = 10) -> tuple[int, bool]:
    """Return (epoch, reached): the first epoch whose value lies within `tolerance` of the mean of the `last` ones.

    Epochs count from 0. Where none does up to epoch n - 5 of n, it is (100, False), whatever n is.
    Source: the published code behind Fig. 4 (jonske2025 5.5); its caption says something else: `patience_epoch`.
    """
    values = np.asarray(values, dtype=float)
    reference = values[-last:].mean()
    near = np.abs(values[: max(len(values) - 4, 0)] - reference) <= tolerance * reference
    return (int(near.argmax()), True) if near.any() else (NEVER, False)


def patience_epoch(values: np.ndarray, gain: float = 0.005, patience: int = 10) -> tuple[int, bool]:
    """Return (epoch, reached): the first epoch at which `patience` epochs went by without a gain on the best value.

    A gain is a value at least (1 + `gain`) times the best one so far, which only a gain replaces (as in early
    stopping with a least gain). Epochs count from 0. A run that ends before is (its number of epochs, False): a
    lower bound. Source: the caption of Fig. 4.
    """
    values = np.asarray(values, dtype=float)
    best, since = values[0], 0
    for epoch, value in enumerate(values):
        if value >= best * (1 + gain) and epoch:
            best, since = value, epoch
        if epoch - since >= patience:
            return epoch, True
    return len(values), False


RULES: dict[str, Callable[[np.ndarray], tuple[int, bool]]] = {
    "published": settling_epoch,
    "patience": patience_epoch,
}


def times(epochs: pd.DataFrame) -> pd.DataFrame:
    """Return the time to convergence of every run by every rule of RULES, one row per run and rule.

    Columns: experiment, task, metric (the first of TRACKED that the task has), pretraining, seed, run, rule, epoch,
    reached, epochs (that the run had). Values are taken in the order of `epoch`, and higher is better. Raises
    ValueError for a task without any of TRACKED.
    """
    rows = []
    for (experiment, task, pretraining), cell in epochs.groupby(CELL, observed=True, sort=False):
        metric = next((m for m in TRACKED if m in cell and cell[m].notna().any()), None)
        if metric is None:
            raise ValueError(f"no value to follow for {task}: expected one of {TRACKED} in {list(epochs.columns)}")
        for (seed, run), history in cell.groupby(["seed", "run"], observed=True):
            values = history.sort_values("epoch")[metric].to_numpy(float)
            head = (experiment, task, metric, pretraining, seed, run)
            rows += [(*head, name, *rule(values), len(values)) for name, rule in RULES.items()]
    columns = ["experiment", "task", "metric", "pretraining", "seed", "run", "rule", "epoch", "reached", "epochs"]
    return pd.DataFrame(rows, columns=columns)


def summary(times: pd.DataFrame) -> pd.DataFrame:
    """Return one row per cell of `times`: n and, for each rule, ttc_<rule> (mean), its sd (ddof=1) and n reached.

    The mean counts an unsettled run with the number that its rule writes (100, or its number of epochs), as
    published; reached_<rule> says how many of the n runs did settle.
    """
    cell = ["experiment", "task", "metric", "pretraining"]
    by_rule = times.groupby([*cell, "rule"], observed=True)
    values = by_rule.agg(n=("run", "size"), ttc=("epoch", "mean"), sd=("epoch", "std"), reached=("reached", "sum"))
    wide = values.unstack("rule")
    found = pd.DataFrame({"n": wide["n"].max(axis=1)}, index=wide.index)
    for rule in RULES:
        for name, column in (("ttc", "ttc_{}"), ("sd", "ttc_{}_sd"), ("reached", "reached_{}")):
            found[column.format(rule)] = wide[name, rule]
    return found.reset_index()


def mean_curves(losses: pd.DataFrame) -> pd.DataFrame:
    """Return the mean training loss of the runs of each cell, row by row: CELL, n, samples, loss.

    Args: losses: one row per run and step (or epoch), in order, with CELL, run, samples (images seen), loss. Where runs
    differ in length, only the rows that all of them have are kept. Source: jonske2025 5.5 (Fig. 4; no smoothing).
    """
    rows = losses.assign(row=losses.groupby([*CELL, "run"], observed=True).cumcount())
    runs = rows.groupby(CELL, observed=True)["run"].transform("nunique")
    means = rows.assign(runs=runs).groupby([*CELL, "row"], observed=True)
    curves = means.agg(n=("run", "size"), runs=("runs", "first"), samples=("samples", "mean"), loss=("loss", "mean"))
    whole = curves[curves["n"] == curves["runs"]]
    return whole.reset_index()[[*CELL, "n", "samples", "loss"]]


def make_relative(curves: pd.DataFrame) -> pd.DataFrame:
    """Return `curves` with loss_relative: the loss over the largest of its own curve, as published.

    Each curve is divided by its own maximum, so that heights cannot be compared between pretrainings; `loss` can.
    """
    return curves.assign(loss_relative=curves["loss"] / curves.groupby(CELL, observed=True)["loss"].transform("max"))
