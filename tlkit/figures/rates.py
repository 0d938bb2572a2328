"""The grid of learning rates: which one each arm does best at, by validation alone, and what the others gave.

Results are the tidy frame of `Study.results()`: one row per run and metric, validation metrics as "val_<metric>".
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tlkit.config import ConfigError, lookup
from tlkit.names import Names

CELL = ["experiment", "task", "pretraining", "fraction"]
RATES = [*CELL, "metric", "lr", "mean", "sd", "n", "chosen", "edge", "note"]
MOST = 6  # choices that a caption names one by one
Monitors = Mapping[str, tuple[str, int]]


def choose_rates(results: pd.DataFrame, monitors: Monitors) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (results at the chosen learning rates, the choice): by the mean validation value, ties to the smaller.

    Args: monitors: each task's (metric, sign), sign 1 where higher is better and -1 where lower is.
    The choice has one row per cell (CELL) and rate that any arm of its task ran at: metric, lr, mean, sd (ddof=1), n,
    chosen, edge ("largest" or "smallest" where the chosen rate is that of several), and a note that names seeds without
    a finite value: missing, failed or diverged. Only rates with the most finished runs of a cell compete, so that none
    wins by those of its runs that did not diverge.
    Raises ConfigError for empty results and a metric or sign that does not fit. Source: radiologynet2025 2.0.
    """
    values = _validation(results, monitors)
    rows = []
    for _, task in values.groupby(["experiment", "task", "fraction"], observed=True, sort=False):
        for _, arm in task.groupby("pretraining", observed=True, sort=False):
            rows += _rates(arm, sorted(task["lr"].unique()), set(task["seed"]), monitors)
    choice = pd.DataFrame(rows, columns=RATES)
    kept = choice.loc[choice["chosen"], [*CELL, "lr"]]
    return results.merge(kept, on=[*CELL, "lr"]), choice


def say_edges(choice: pd.DataFrame, names: Mapping[str, str] | None = None) -> str:
    """Return a sentence on the chosen rates at the edge of their grid, beyond which better ones may lie.

    Args: choice: what `choose_rates` gives; names: display names of tasks and pretrainings.
    """
    kept, shown = choice[choice["chosen"]], Names(names or {})
    at = kept.loc[kept["edge"] != "", ["pretraining", "task", "edge", "lr"]]
    if (choice.groupby(["experiment", "task", "fraction"], observed=True)["lr"].nunique() < 2).all():
        return "One learning rate was run for each task, so none was chosen."
    if at.empty:
        return "No chosen learning rate is at the edge of its grid."
    listed = dict.fromkeys(f"{shown[a]} on {shown[t]} ({edge}, {lr:g})" for a, t, edge, lr in at.to_numpy())
    which = f": {'; '.join(listed)}" if len(listed) <= MOST else ""
    return (
        f"{len(at)} of {len(kept)} chosen learning rates are the largest or smallest that was run, so that better ones "
        f"may lie beyond{which}."
    )


def choose_rates_by(
    results: pd.DataFrame, monitors: Monitors, sources: Mapping[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return `choose_rates` of some experiments, each at the rates that its source chose for task and pretraining.

    Args: sources: experiment to the one whose choice counts: itself, or another that has seen all training images
    (published for less data). Raises ConfigError for a pair of task and pretraining without a run at that rate, and as
    `choose_rates`.
    """
    parts = []
    for experiment, source in sources.items():
        rows = results[results["experiment"] == experiment]
        if source != experiment:
            _, choice = choose_rates(results[results["experiment"] == source], monitors)
            rates = choice.loc[choice["chosen"], ["task", "pretraining", "lr"]]
            kept = rows.merge(rates, on=["task", "pretraining", "lr"])
            pairs, left = ({*zip(f["task"], f["pretraining"], strict=True)} for f in (rows, kept))
            if lost := sorted(pairs - left):
                raise ConfigError(
                    f"{experiment} takes the learning rates that {source} chose, and has no finished run at that of "
                    f"{', '.join(map(' from '.join, lost))}. Make those runs, or take `rates_of` out of the study file."
                )
            rows = kept
        parts.append(rows)
    return choose_rates(pd.concat(parts), monitors)


def keep_runs(history: pd.DataFrame, results: pd.DataFrame) -> pd.DataFrame:
    """Return the epochs (`Study.history()`) of the runs in `results`, each in the experiments it has there."""
    return history.merge(results[["experiment", "run"]].drop_duplicates(), on=["experiment", "run"])


def _validation(results: pd.DataFrame, monitors: Monitors) -> pd.DataFrame:
    """Return one row per run with the validation value that its task is judged by."""
    needed = [*CELL, "run", "seed", "lr", "metric", "value"]
    if missing := [c for c in needed if c not in results]:
        raise ConfigError(f"results need the columns {missing}; found {list(results.columns)}")
    if results.empty:
        raise ConfigError("no results to choose from; `python -m tlkit plan` lists which runs are missing")
    parts = []
    for task, rows in results.groupby("task", observed=True, sort=False):
        metric, sign = lookup(task, monitors, "task with a monitor")
        if sign not in (1, -1):
            raise ConfigError(f"the monitor of {task} has sign {sign}; expected 1 (higher is better) or -1")
        found = rows[rows["metric"] == f"val_{metric}"]
        if absent := sorted(set(rows["run"]) - set(found["run"])):
            raise ConfigError(
                f"{len(absent)} runs of {task} have no val_{metric}, first {absent[0]}; found "
                f"{sorted(rows['metric'].unique())}"
            )
        parts.append(found)
    values = pd.concat(parts)[needed]
    return values.assign(value=values["value"].astype(float).where(np.isfinite(values["value"].astype(float))))


def _rates(arm: pd.DataFrame, rates: list[float], seeds: set[int], monitors: Monitors) -> list[dict]:
    """Return the rows of one cell, the chosen rate marked."""
    head = {c: arm[c].iloc[0] for c in CELL}
    metric, sign = monitors[head["task"]]
    rows = []
    for lr in rates:
        runs = arm[arm["lr"] == lr].dropna(subset="value")
        lost = sorted(seeds - set(runs["seed"]))
        what = "no finished run" if runs.empty else f"missing or diverged: seeds {', '.join(map(str, lost))}"
        found = {"mean": runs["value"].mean(), "sd": runs["value"].std(ddof=1), "n": len(runs)}
        rows.append(head | {"metric": f"val_{metric}", "lr": lr, **found, "note": what if lost else ""})
    most = max(row["n"] for row in rows)
    if not most:
        raise ConfigError(f"no run of {head} has a finite val_{metric}; look at their history.csv, or lower the rates")
    able = [row for row in rows if row["n"] == most]
    best = max(sign * row["mean"] for row in able)
    ties = [row["lr"] for row in able if np.isclose(sign * row["mean"], best, rtol=1e-12, atol=0)]
    edge = {rates[-1]: "largest", rates[0]: "smallest"} if len(rates) > 1 else {}
    picks = [row["lr"] == min(ties) for row in rows]
    return [r | {"chosen": p, "edge": edge.get(r["lr"], "") if p else ""} for r, p in zip(rows, picks, strict=True)]
