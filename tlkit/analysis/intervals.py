"""How sure a test result is about patients: intervals over the patients of the test set, beside the spread of seeds.

Seeds say how much training varies on these very images. Another sample of patients would vary as well, and in small
test sets by more: that is what these intervals hold.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from tlkit.analysis import finished, stats
from tlkit.training.tasks import task

DRAWS = 200
CELL = [*stats.PANEL, "pretraining"]


def over_patients(results: pd.DataFrame, draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
    """Return the 95 % interval of each cell's mean over its runs, were the test patients drawn anew.

    `results` is the tidy frame of `stats` with the `run` of each row; pseudo-runs, which have none, are left out. A
    percentile bootstrap: whole patients (images where nobody knows patients; copies are one) are drawn with
    replacement, the same for all runs tested on the same images; each run's metric is computed again from its
    predictions, and the mean over the runs taken. A draw on which the metric is undefined is left out.
    Columns: CELL, mean (of the runs as they are), low, high, patients, n (runs). One `seed`, the same draws.
    """
    rows = []
    for cell, part in results[results["run"].map(bool)].groupby(CELL, observed=True, sort=False):
        drawn = [_drawn(rid, cell[CELL.index("metric")], draws, seed) for rid in part["run"]]
        low, high = np.nanpercentile(np.nanmean(drawn, axis=0), [2.5, 97.5])
        patients = finished.predictions(part["run"].iloc[0])["patient"].nunique()
        rows.append((*cell, part["value"].mean(), low, high, patients, len(part)))
    return pd.DataFrame(rows, columns=[*CELL, "mean", "low", "high", "patients", "n"])


def _drawn(rid: str, metric: str, draws: int, seed: int) -> np.ndarray:
    """Return a test metric of a run on `draws` sets of its test patients, drawn with replacement."""
    kept, kind = finished.predictions(rid), finished.config_of(rid)["task_kind"]
    job = task(kind, finished.class_names(rid), **finished.options_of(rid))
    code, patients = pd.factorize(kept["patient"], sort=True)
    of = [np.flatnonzero(code == k) for k in range(len(patients))]
    rng, values = np.random.default_rng(seed), []
    for _ in range(draws):
        chosen = rng.integers(0, len(of), len(of))
        rows = np.concatenate([of[k] for k in chosen])
        again = np.repeat(np.arange(len(chosen)), [len(of[k]) for k in chosen])  # one drawn twice is two patients
        values.append(job.metrics(kept.iloc[rows].assign(patient=again), full=False)[metric])
    return np.array(values)
