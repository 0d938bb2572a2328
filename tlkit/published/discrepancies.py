"""What published logs prove about the text beside them, computed from the logs alone.

The other checks of notebook 50 need nothing of their own: `adjusted.error_inflation`, `convergence.times`,
`differences.summarise`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tlkit.published.jonske2025 import find_whole
from tlkit.stats import differences

if TYPE_CHECKING:
    from pandas.api.typing import SeriesGroupBy

COLLAPSED = 6, 0.05  # robust sds and share below the others; in published cells of four, either alone flags sound runs


def images_per_epoch(training: pd.DataFrame) -> pd.DataFrame:
    """Return what share of the training data each task was trained on, by the steps in its logs.

    Columns: experiment, task, nominal (the share that the task's name stands for), steps, batch, images
    (steps * batch, the most that an epoch can show), share (of the images of the undivided task, in the same tree).
    Args: training: one row per training log with experiment, task, fraction, batch, steps_per_epoch. A task whose
    undivided one is not among the logs has share NaN.
    """
    cells = training.groupby(["experiment", "task"], observed=True)
    table = cells.agg(
        nominal=("fraction", "first"), steps=("steps_per_epoch", "median"), batch=("batch", "first")
    ).reset_index()
    table["images"] = table["steps"] * table["batch"]
    once = table.drop_duplicates("task")
    whole = dict(zip(once["task"], once["images"], strict=True))
    table["share"] = table["images"] / [whole.get(find_whole(task), np.nan) for task in table["task"]]
    return table


def complement_of_background(results: pd.DataFrame) -> pd.DataFrame:
    """Return for each run and foreground class how far it is from being all that is not background.

    A pixel wrongly called background is one that the whole foreground misses, so the ratio of false positives to
    false negatives of the background is the inverse of the foreground's: with precision p and recall r it is
    (1/p - 1) / (1/r - 1). `mismatch` = |log2(ratio of the class * ratio of class 0)|: 0 for the class that holds
    all foreground labels (up to the pooling over batches), larger for its parts.
    Columns: experiment, run, task, class, mismatch. Args: results: metrics precision_k and recall_k, k = 0 ...
    """
    parts = results["metric"].str.extract(r"^(precision|recall)_(\d+)$")
    kept = results.assign(kind=parts[0], label=pd.to_numeric(parts[1])).dropna(subset="kind")
    odds = kept.assign(value=1 / kept["value"] - 1, label=kept["label"].astype(int))
    wide = odds.pivot_table(index=["experiment", "task", "run", "label"], columns="kind", values="value", observed=True)
    ratio = (wide["precision"] / wide["recall"]).unstack("label")
    mismatch = np.log2(ratio.drop(columns=0).mul(ratio[0], axis=0)).abs()
    return mismatch.rename_axis(columns="class").stack().dropna().rename("mismatch").reset_index()


def leave_one_out(results: pd.DataFrame, within: Sequence[str] = differences.PANEL) -> pd.DataFrame:
    """Return `results` (real runs) with what each run does to its cell, a pretraining of a panel.

    Columns added: mean (of the cell), mean_without, sd_without (ddof=1; the run left out), distance, collapsed.
    distance = |value - median of the cell's other runs| in robust sds of the panel: 1.4826 times the median, over all
    its runs, of |value - median of the cell|; NaN where that is 0. Medians, so that a run that failed does not widen
    its own measure. collapsed: below that median by more than COLLAPSED, in these sds and as a share of it (where
    higher is better). Raises ValueError as `differences.check` does.
    """
    by = [*within, "pretraining"]
    differences.check(results, by)
    runs = results.reset_index(drop=True)
    cell = runs.groupby(by, observed=True, dropna=False)["value"]
    spread = (runs["value"] - cell.transform("median")).abs()
    unit = 1.4826 * spread.groupby([runs[c] for c in within], observed=True, dropna=False).transform("median")
    others = _others(cell, "median")
    above = (runs["value"] - others) / unit.where(unit > 0)
    return runs.assign(
        mean=cell.transform("mean"),
        mean_without=_others(cell, "mean"),
        sd_without=_others(cell, "std"),
        distance=above.abs(),
        collapsed=(above < -COLLAPSED[0]) & (runs["value"] < (1 - COLLAPSED[1]) * others),
    )


def _others(cell: SeriesGroupBy, how: str) -> pd.Series:
    """Return for each run the mean, std or median (`how`) of the other runs of its cell; NaN where there are none."""
    return cell.transform(lambda v: [getattr(v.drop(i), how)() for i in v.index])
