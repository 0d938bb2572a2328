"""Tables 2 to 6 and S1 to S6 of the RadiologyNET study (Sci Rep 2025): means, best runs and tests of each challenge.

Results are those of one experiment at the chosen learning rates (`rates.choose_rates`): one row per run and metric. A
challenge is the tasks of one data set, one an architecture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from tlkit.config import ConfigError, lookup
from tlkit.names import LOWER, NAMES, Names, in_order
from tlkit.published import ranks
from tlkit.stats import differences

_LABELS = {"precision_macro": "Precision (macro)", "recall_macro": "Recall (macro)", "accuracy": "Accuracy"}
# radiologynet2025 4.6
METRICS = {  # what the tests of a task are made on, and the metrics that its table shows, with their column names
    "dice_1": {"iou_1": "IoU", "dice_1": "Dice"},
    "mae": {"mae": "MAE (months)", "rmse": "RMSE (months)"},
    "f1_macro": _LABELS | {"f1_macro": "F1 (macro)"},
}
LABELS = {metric: label for shown in METRICS.values() for metric, label in shown.items()}
EPOCHS = {"best_epoch": "Epoch of the best", "last_epoch": "Last epoch"}  # counted from 1
PARTS = {"test": "", "val": "val_"}


def choose_metrics(results: pd.DataFrame) -> dict[str, str]:
    """Return the metric that the tests of each task are made on: the first of METRICS that its runs have.

    Raises ConfigError for a task whose runs have none.
    """
    found = {}
    for task, rows in results.groupby("task", observed=True, sort=False):
        there = set(rows["metric"])
        if not (metrics := [m for m in METRICS if m in there]):
            raise ConfigError(f"the runs of {task} have none of {', '.join(METRICS)}; found {sorted(there)}")
        found[task] = metrics[0]
    return found


def statistics(results: pd.DataFrame, prefix: str = "") -> pd.DataFrame:
    """Return the rows of the metric that each task is tested on: Dice, MAE or macro F1; "val_": on validation."""
    return results[results["metric"] == prefix + results["task"].map(choose_metrics(results))]


def table(rows: pd.DataFrame, names: Names = NAMES, part: str = "test") -> pd.DataFrame:
    """Return the table of a challenge's results, one row per task and pretraining, on the "test" or "val" part.

    Columns: Architecture, Pretraining, Learning rate, Runs; mean, sd (ddof=1) and best run of every metric; on the test
    part the epoch with the best validation value and the last one. The best run has the best value of the metric that
    is tested; it was picked by these very images, so its values flatter. Raises ConfigError for a missing metric, for
    tasks that are tested on different ones, and as `differences.check` does for results at several rates.
    """
    prefix, metrics = lookup(part, PARTS, "part"), set(choose_metrics(rows).values())
    if len(metrics) != 1:
        raise ConfigError(f"expected tasks of one kind in a table, found those of {sorted(metrics)}")
    (metric,) = metrics
    labels = {prefix + m: label for m, label in METRICS[metric].items()} | (EPOCHS if part == "test" else {})
    rows = rows[rows["metric"].isin(labels)].astype({"value": float})
    differences.check(rows, ["experiment", "task", "pretraining", "metric"])
    lines = []
    for task, of_task in rows.groupby("task", observed=True, sort=False):
        for source in in_order(of_task["pretraining"], names):
            arm = of_task[of_task["pretraining"] == source]
            head = {"Architecture": names[task], "Pretraining": names[source], "Learning rate": arm["lr"].iloc[0]}
            lines.append(head | _line(arm, labels, prefix + metric))
    return pd.DataFrame(lines)


def _line(arm: pd.DataFrame, labels: Mapping[str, str], statistic: str) -> dict[str, float]:
    """Return Runs and each metric's mean, sd and best run of one pretraining on one task."""
    runs = arm.pivot(index="seed", columns="metric", values="value")
    if absent := [m for m in labels if m not in runs or runs[m].isna().any()]:
        where = arm[["task", "pretraining"]].iloc[0].to_dict()
        raise ConfigError(
            f"{where} has runs without {absent}; found {sorted(runs)}. Delete them to have them made anew"
        )
    values = runs[statistic]
    best = runs.loc[values.idxmin() if statistic.removeprefix("val_") in LOWER else values.idxmax()]
    line: dict[str, float] = {"Runs": len(runs)}
    for metric, label in labels.items():
        line |= {
            label: runs[metric].mean(),
            f"{label}, sd": runs[metric].std(ddof=1),
            f"{label}, best run": best[metric],
        }
    return line


def print_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return `table` as the paper prints it, "mean ± sd (best run)" in one column per metric.

    Three decimals; two for months, one for mean epochs. "–" for the sd of a single run.
    """
    shown = table.copy()
    for label in [c.removesuffix(", sd") for c in table if c.endswith(", sd")]:
        epochs, form = label in EPOCHS.values(), ".2f" if "months" in label else ".3f"
        forms = (".1f", ".1f", ".0f") if epochs else (form, form, form)
        columns = [label, f"{label}, sd", f"{label}, best run"]
        texts = [[format(v, f) for v, f in zip(row, forms, strict=True)] for row in table[columns].to_numpy(float)]
        shown[label] = [f"{mean} ± {sd.replace('nan', '–')} ({best})" for mean, sd, best in texts]
        shown = shown.drop(columns=columns[1:])
    return shown


def tests(rows: pd.DataFrame, order: Sequence[str], family: Sequence[str] = ("metric",)) -> pd.DataFrame:
    """Return every pair of pretrainings of each task: the published chain of tests, and beside it what stands up.

    Columns: task, metric, p_levene, p_kruskal, a, b, n_a, n_b, mean_a, mean_b, u, p_mwu, p_bonferroni (times the pairs
    of the panel, as published), p_mwu_holm (over the family); better (a, b or ""; fewer epochs are better), difference
    (mean_a - mean_b) with ci_low, ci_high, p_welch, p_welch_holm, p_false_win (of `differences.pairwise`);
    cliffs_delta with delta_low, delta_high. `order`: of the pretrainings, a before b; `family`: the columns within
    which Holm's correction counts tests; none: over all rows. The paper made pairwise tests only where p_kruskal was
    small; all are here. Raises as `differences.check`. Source: radiologynet2025 4.1, 4.2.
    """
    rows = rows.astype({"value": float})
    panel, pair = list(differences.PANEL), [*differences.PANEL, "a", "b"]
    found = ranks.cliffs_delta(ranks.mann_whitney(rows, order=order)).rename(columns={"p": "p_mwu"})
    welch = differences.pairwise(rows, order=order, family=())
    welch = welch.rename(columns={"p_sound": "p_welch"})[[*pair, "p_welch", "ci_low", "ci_high", "p_false_win"]]
    found = found.merge(ranks.omnibus(rows)[[*panel, "p_levene", "p_kruskal"]], on=panel).merge(welch, on=pair)
    found["difference"] = found["mean_a"] - found["mean_b"]
    higher = (found["difference"] > 0) != found["metric"].isin([*LOWER, *EPOCHS])
    found["better"] = found["a"].where(higher, found["b"]).where(found["difference"] != 0, "")
    groups = found.groupby(list(family), observed=True) if family else found.groupby(lambda _: 0)
    for p in ("p_mwu", "p_welch"):
        found[f"{p}_holm"] = groups[p].transform(ranks.holm)
    columns = ["task", "metric", "p_levene", "p_kruskal", "a", "b", "n_a", "n_b", "mean_a", "mean_b", "u", "p_mwu"]
    columns += ["p_bonferroni", "p_mwu_holm", "better", "difference", "ci_low", "ci_high", "p_welch", "p_welch_holm"]
    return found[[*columns, "p_false_win", "cliffs_delta", "delta_low", "delta_high"]]
