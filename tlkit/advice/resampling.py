"""Fine-tuned runs drawn anew: other test patients, other splits, other seeds, for all arms alike.

A table of runs has one row a run: arm, rate, seed, split, and `predictions`, a frame of what the run kept of its test
images: patient and, for a metric that is a mean, `score` (one a row), else what the metric reads. Runs of one split
were tested on the same patients.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tlkit.advice.measures import Measure
from tlkit.config import TlkitError

COLUMNS = ["arm", "rate", "seed", "split", "predictions"]
DRAWS = 400  # of which only the spread is taken: it is known to 4 %
Metric = Callable[[pd.DataFrame], float]


class RunsError(TlkitError, ValueError):
    """A table of runs that cannot be compared."""


class Resampled(NamedTuple):
    """The metric of each run, as it is and over other patients; a run is an arm in a cell, which is (split, seed)."""

    arms: list[str]
    cells: list[tuple[Any, Any]]
    values: np.ndarray  # [arms, cells], NaN where there is no run
    draws: np.ndarray  # [draws, arms, cells]: the same patients for all runs of a draw
    counts: np.ndarray  # [draws, cells]: how often a cell is drawn
    patients: int  # that test, in all splits


class Spread(NamedTuple):
    """A mean over runs, and its variance over other patients and over other runs."""

    mean: float
    of_patients: float
    of_runs: float
    patients: int  # that test
    units: int  # that the runs' part is found from: runs, or splits
    runs: int

    @property
    def variance(self) -> float:
        """The variance of the mean: of patients and of runs."""
        return self.of_patients + self.of_runs

    def factors(self, level: float = 0.95) -> tuple[float, float]:
        """Return Student's t of the patients and of the runs."""
        from scipy.stats import t

        return tuple(
            float(t.ppf((1 + level) / 2, n - 1)) if n > 1 else float("nan") for n in (self.patients, self.units)
        )

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return low and high: the half widths of both parts, each by its own Student's t, add in quadrature.

        NaN for a single run, whose luck is unknown, and for one patient.
        """
        by_patients, by_runs = self.factors(level)
        half = (by_patients**2 * self.of_patients + by_runs**2 * self.of_runs) ** 0.5
        return self.mean - half, self.mean + half


def row_scores(predictions: pd.DataFrame, kind: str, metric: str) -> pd.DataFrame:
    """Return predictions with `score`, where the metric of the task is a mean over rows: many times faster to draw."""
    if kind not in ("multiclass", "binary", "regression") or metric not in ("accuracy", "log_loss", "mae", "mse"):
        return predictions
    target, output = predictions["target"].to_numpy(), np.stack(predictions["output"].to_numpy())
    if kind == "regression":
        score = np.abs(output - target) ** (2 if metric == "mse" else 1)
    elif metric == "accuracy":
        score = ((output > 0.5) if kind == "binary" else output.argmax(axis=1)) == target
    else:
        p = np.where(target == 1, output, 1 - output) if kind == "binary" else output[np.arange(len(output)), target]
        score = -np.log(np.clip(p.astype(np.float64), 1e-7, 1))
    return predictions.assign(score=score.astype(float))


def mean_score(predictions: pd.DataFrame) -> float:
    """Return the mean of the column `score`: the value of runs that have one score a patient."""
    return float(predictions["score"].mean())


def resample(runs: pd.DataFrame, metric: Metric = mean_score, draws: int = DRAWS, seed: int = 0) -> Resampled:
    """Return the runs with their test patients, splits and seeds drawn anew `draws` times.

    A draw takes as many patients as there are, with replacement and once for all splits; then one split less than
    there are and of each one seed less, or the only one: drawing all of few levels would make them vary too little
    (Rao and Wu, JASA 1988). `metric` of rows without `score`. Deterministic by `seed`. Raises as `check`.
    """
    check(runs)
    rng = np.random.default_rng(seed)
    arms, cells = list(dict.fromkeys(runs["arm"])), sorted({*zip(runs["split"], runs["seed"], strict=True)}, key=str)
    every = pd.Index(pd.concat([p["patient"].astype(str) for p in runs["predictions"]]).unique()).sort_values()
    taken = rng.multinomial(len(every), np.full(len(every), 1 / len(every)), size=draws)
    values = np.full((len(arms), len(cells)), np.nan)
    drawn = np.full((draws, len(arms), len(cells)), np.nan)
    for run in runs.itertuples():
        place = arms.index(run.arm), cells.index((run.split, run.seed))
        kept = run.predictions
        codes = every.get_indexer(kept["patient"].astype(str))
        values[place] = mean_score(kept) if "score" in kept else metric(kept)
        drawn[:, place[0], place[1]] = _drawn(kept, taken[:, codes], metric)
    return Resampled(arms, cells, values, drawn, _cell_counts(cells, draws, rng), len(every))


def check(runs: pd.DataFrame) -> None:
    """Raise RunsError for missing columns, no run, two of one cell, several rates, and splits of different patients."""
    if missing := [c for c in COLUMNS if c not in runs]:
        raise RunsError(f"a table of runs needs the columns {', '.join(missing)}; found {', '.join(map(str, runs))}.")
    if runs.empty:
        raise RunsError("there is no finished run to compare; raise --budget, or look which runs failed.")
    rates = runs.groupby("arm")["rate"].nunique()
    if (rates > 1).any():
        raise RunsError(
            f"arm '{rates.idxmax()}' has runs at {rates.max()} rates; choose one by validation first "
            "(tlkit.figures.rates.choose_rates)."
        )
    twice = runs[runs.duplicated(["arm", "split", "seed"])]
    if len(twice):
        arm, split, seed = twice.iloc[0][["arm", "split", "seed"]]
        raise RunsError(f"arm '{arm}' has two runs of split {split} and seed {seed}; expected one.")
    for split, part in runs.groupby("split"):
        tested = {tuple(sorted(p["patient"].astype(str))) for p in part["predictions"]}
        if len(tested) > 1:
            raise RunsError(f"runs of split {split} were tested on different patients, so they are not comparable.")


def spread(found: Resampled, values: np.ndarray, draws: np.ndarray) -> Spread:
    """Return the mean over cells of `values` [cells] and its spread, by their `draws` [draws, cells]; NaN: no run.

    The patients' part is the variance over the draws. Two seeds or splits are too few to be drawn from, so the runs'
    part is the variance of their mean: over all runs or over the splits' means, whichever is larger. Its units are the
    splits, where there are three or more, else the runs. Splits vary by their patients, too, which counts these twice
    where each split tests others: intervals are rather too wide.
    """
    there, nan = ~np.isnan(values), float("nan")
    runs = int(there.sum())
    if not runs:
        return Spread(nan, nan, nan, found.patients, 0, 0)
    names = [str(found.cells[i][0]) for i in np.flatnonzero(there)]
    splits = pd.Series(values[there]).groupby(names).mean()
    parts = [x.var(ddof=1) / len(x) for x in (values[there], splits.to_numpy()) if len(x) > 1]
    means = draws[:, there].mean(axis=1)
    of_patients = float(np.nanvar(means, ddof=1)) if np.isfinite(means).sum() > 1 else nan
    units = len(splits) if len(splits) > 2 else runs
    return Spread(float(values[there].mean()), of_patients, float(max(parts, default=nan)), found.patients, units, runs)


def _drawn(kept: pd.DataFrame, repeats: np.ndarray, metric: Metric) -> np.ndarray:
    """Return the metric of predictions whose rows come `repeats` [draws, rows] times; NaN where none does."""
    if "score" in kept:
        total = repeats.sum(axis=1)
        sums = repeats @ kept["score"].to_numpy(float)
        return np.divide(sums, total, out=np.full(len(total), np.nan), where=total > 0)
    if isinstance(metric, Measure):
        return metric.drawn(kept, repeats)
    rows = np.arange(len(kept))
    return np.array([metric(kept.iloc[np.repeat(rows, n)]) if n.any() else np.nan for n in repeats])


def _cell_counts(cells: list[tuple[Any, Any]], draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return how often each cell is drawn [draws, cells]: splits first, then seeds within each."""
    splits = list(dict.fromkeys(split for split, _ in cells))
    members = [[i for i, (split, _) in enumerate(cells) if split == s] for s in splits]
    counts = np.zeros((draws, len(cells)))
    chosen = _fewer(len(splits), draws, rng)
    for number, inside in enumerate(members):
        seeds = _fewer(len(inside), draws, rng)
        counts[:, inside] = chosen[:, [number]] * seeds / seeds.sum(axis=1, keepdims=True)
    return counts


def _fewer(count: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    return rng.multinomial(max(1, count - 1), np.full(count, 1 / count), size=draws)
