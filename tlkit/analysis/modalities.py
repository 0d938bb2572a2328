"""Fig. 5 of the RadiologyNET study: pretraining on all modalities against the one modality of the task."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tlkit.analysis import ranks
from tlkit.config import ConfigError
from tlkit.report.style import LOWER_IS_BETTER

MULTI = "radiologynet"
ALL = f"{MULTI}_all"  # pretrained on the very archive of the single modalities, where MULTI are weights of others
WITHIN = ["task", "metric", "lr"]
SIDES = {f"{c}_{old}": f"{c}_{new}" for c in ("n", "mean", "sd") for old, new in (("a", "multi"), ("b", "single"))}
VERDICTS = ("multi better", "single better", "no difference", "not tested")
# What the paper says of its 27 tests: its sentence, and the sum of its counts by modality. They do not agree (spec 5).
PAPER = {"paper, its sum": (13, 4, 10, 0), "paper, by modality": (14, 4, 9, 0)}
PAPER_BY_MODALITY = {"mr": (5, 0, 1, 0), "cr": (9, 4, 5, 0), "ct": (0, 0, 3, 0)}


def of_one_archive(rows: pd.DataFrame) -> pd.DataFrame:
    """Return results with ALL in the place of MULTI in tasks that have it: then both sides have seen one archive."""
    own = set(rows.loc[rows["pretraining"] == ALL, "task"])
    kept = rows[(rows["pretraining"] != MULTI) | ~rows["task"].isin(own)]
    return kept.assign(pretraining=kept["pretraining"].replace(ALL, MULTI))


def comparisons(rows: pd.DataFrame, alpha: float = 0.05, unavailable: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return one row a task and learning rate: all modalities against one, tested as published and corrected.

    Args: rows: one metric a task at every learning rate, pretrainings MULTI and MULTI_<modality> (`Study.results()`);
    unavailable: task, pretraining and cause of what cannot be made from these data (`studies.Shown.unavailable`).
    Columns: task, metric, lr, modality, n_multi, n_single, mean_multi, mean_single, sd_multi, sd_single, difference
    (multi - single) with ci_low, ci_high (Welch), p_student (as published), p_welch, p_holm (Student's, over all rows),
    cliffs_delta with delta_low, delta_high, published and corrected (of VERDICTS, at `alpha`), not_available (why a
    side cannot be had; else ""). A rate that only one of both has runs of stays, "not tested". Raises ConfigError for
    no rows or another pretraining, and as `stats.check`.
    Source: radiologynet spec 4.3.
    """
    if rows.empty:
        raise ConfigError("no runs of single- against multi-modality; `python -m tlkit status` lists what is missing")
    if foreign := sorted({p for p in rows["pretraining"] if p != MULTI and not p.startswith(f"{MULTI}_")}):
        raise ConfigError(f"single against multi-modality: expected {MULTI} and {MULTI}_<modality>, found {foreign}")
    rows = rows.assign(value=rows["value"].astype(float), modality=rows["pretraining"].str.removeprefix(MULTI).str[1:])
    order = [MULTI, *sorted(set(rows["pretraining"]) - {MULTI})]
    pairs = ranks.student(rows, WITHIN, order)
    pairs = pairs.merge(ranks.mann_whitney(rows, WITHIN, order)[[*WITHIN, "a", "b", "u"]], on=[*WITHIN, "a", "b"])
    pairs = ranks.cliffs_delta(pairs[pairs["a"] == MULTI])
    found = _every_rate(rows).merge(pairs, on=WITHIN, how="left").rename(columns=SIDES)
    single = rows[rows["modality"] != ""].groupby("task", observed=True)["modality"].first()
    found.insert(3, "modality", found["b"].str.removeprefix(f"{MULTI}_").fillna(found["task"].map(single)))
    absent = unavailable if unavailable is not None else pd.DataFrame(columns=["task", "pretraining", "cause"])
    absent = absent.drop_duplicates("task").set_index("task")
    named = found["task"].map(absent["pretraining"].str.removeprefix(f"{MULTI}_"))
    found["modality"] = found["modality"].astype(object).fillna(named.astype(object))
    found["difference"] = found["mean_multi"] - found["mean_single"]
    found["p_holm"] = ranks.holm(found["p_student"])
    for name, p in (("published", "p_student"), ("corrected", "p_holm")):
        found[name] = _verdicts(found, p, alpha)
    found["not_available"] = found["task"].map(absent["cause"].to_dict()).astype(object).fillna("")
    return found.drop(columns=["a", "b", "u"])


def counts(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Return how many comparisons end in which of VERDICTS: ours by both p-values, and the paper's two counts of 27."""
    ours = {name: comparisons[name].value_counts() for name in ("published", "corrected")}
    table = pd.DataFrame(ours).reindex(VERDICTS).fillna(0).astype(int).T
    table.index = ["ours, Student's p as published", "ours, after Holm's correction"]
    printed = pd.DataFrame.from_dict(PAPER, orient="index", columns=list(VERDICTS))
    return pd.concat([table, printed]).assign(tests=lambda t: t.sum(axis=1)).rename_axis("counted")


def by_modality(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Return the counts of VERDICTS for each modality, by Student's p as published, ours and the paper's."""
    ours = pd.crosstab(comparisons["modality"], comparisons["published"]).reindex(columns=VERDICTS, fill_value=0)
    printed = pd.DataFrame.from_dict(PAPER_BY_MODALITY, orient="index", columns=list(VERDICTS))
    return pd.concat({"ours": ours, "paper": printed}, names=["source", "modality"]).swaplevel().sort_index()


def _every_rate(rows: pd.DataFrame) -> pd.DataFrame:
    """Return WITHIN of all rows: tasks as they first appear, learning rates ascending."""
    places = {task: i for i, task in enumerate(rows["task"].unique())}
    every = rows[WITHIN].drop_duplicates().sort_values("lr")
    return every.sort_values("task", key=lambda tasks: tasks.map(places), kind="stable")


def _verdicts(found: pd.DataFrame, p: str, alpha: float) -> np.ndarray:
    higher = (found["difference"] > 0) != found["metric"].isin(LOWER_IS_BETTER)
    kinds = [found[p].isna(), found[p] >= alpha, higher]
    return np.select(kinds, ["not tested", "no difference", "multi better"], "single better")
