"""How sure a test result is about patients: intervals over the patients of the test set, beside the spread of seeds.

Seeds say how much training varies on these very images. Another sample of patients would vary as well, and in small
test sets by more: that is what these intervals hold.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from tlkit.figures import finished
from tlkit.stats import differences

GROUPS = 20
CELL = [*differences.PANEL, "pretraining"]


def resample_patients(results: pd.DataFrame, groups: int = GROUPS, seed: int = 0) -> pd.DataFrame:
    """Return the 95 % interval of each cell's mean over its runs, had other patients been tested.

    `results` is the tidy frame of `stats` with the `run` of each row, without pseudo-runs: they tested nothing. A
    grouped jackknife (Shao and Tu, The Jackknife and Bootstrap, 1995): the test patients (images where nobody knows
    patients; copies are one) are dealt at random to `groups`, each run's metric is computed again from its predictions
    without each group in turn, and the mean over the runs taken; Student's t with groups - 1 degrees of freedom.
    Columns: CELL, mean (of the runs as they are), low, high (NaN for one patient), patients, n (runs). One `seed` deals
    in one way, for all runs that were tested on the same patients. The interval may leave the metric's range.
    """
    from scipy.stats import t

    without, rows = {rid: _without_each(rid, groups, seed) for rid in results["run"].unique()}, []
    for cell, part in results.groupby(CELL, observed=True, sort=False):
        values = np.mean([without[rid][cell[CELL.index("metric")]] for rid in part["run"]], axis=0)
        values, mean = values[~np.isnan(values)], part["value"].mean()
        g = len(values)
        half = t.ppf(0.975, g - 1) * np.sqrt((g - 1) / g * ((values - values.mean()) ** 2).sum()) if g > 1 else np.nan
        patients = finished.predictions(part["run"].iloc[0])["patient"].nunique()
        rows.append((*cell, mean, mean - half, mean + half, patients, len(part)))
    return pd.DataFrame(rows, columns=[*CELL, "mean", "low", "high", "patients", "n"])


def _without_each(rid: str, groups: int, seed: int) -> pd.DataFrame:
    """Return a run's test metrics without each group of its test patients, one row per group; NaN for one patient."""
    kept, job = finished.predictions(rid), finished.task_of(rid)
    code, patients = pd.factorize(kept["patient"], sort=True)
    dealt = np.random.default_rng(seed).permutation(len(patients)) % min(groups, len(patients))
    parts = [kept[dealt[code] != group] for group in range(dealt.max() + 1)]
    found = job.metrics(kept, full=False)
    return pd.DataFrame(
        [job.metrics(part, full=False) if len(part) else dict.fromkeys(found, np.nan) for part in parts]
    )
