"""Fig. 5 of the RadiologyNET study: pretraining on all modalities against the one modality of the task."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tlkit.config import ConfigError
from tlkit.figures import grids, panels
from tlkit.figures.bars import list_baselines, tell_baselines
from tlkit.names import GREY, LOWER, NAMES
from tlkit.published import ranks
from tlkit.report import lettering
from tlkit.report.style import BETTER, OTHER_COLOURS, colours, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CENTRE = {"ha": "center", "va": "center", "size": 6, "color": "0.25"}  # of a panel
ALL, SINGLE = "all modalities", "one modality"
WITHIN = ["task", "metric", "lr"]
SIDES = {f"{c}_{old}": f"{c}_{new}" for c in ("n", "mean", "sd") for old, new in (("a", "multi"), ("b", "single"))}
VERDICTS = ("multi better", "single better", "no difference", "not tested")
# What the paper says of its 27 tests: its sentence, and the sum of its counts by modality, which does not agree
# (radiologynet2025 5).
PAPER = {"paper, its sum": (13, 4, 10, 0), "paper, by modality": (14, 4, 9, 0)}
PAPER_BY_MODALITY = {"mr": (5, 0, 1, 0), "cr": (9, 4, 5, 0), "ct": (0, 0, 3, 0)}


def compare(
    rows: pd.DataFrame, modality: Mapping[str, str], alpha: float = 0.05, unavailable: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return one row per task and learning rate: all modalities against one, tested as published and corrected.

    Args: rows: one metric a task at every learning rate (`Study.results()`); modality: that of each pretraining, "" for
    all (`Study.modalities`); unavailable: task, pretraining and cause of what cannot be made from these data
    (`studies.Shown.unavailable`).
    Columns: task, metric, lr, modality, n_multi, n_single, mean_multi, mean_single, sd_multi, sd_single, difference
    (multi - single) with ci_low, ci_high (Welch), p_student (as published), p_welch, p_holm (Student's, over all rows),
    cliffs_delta with delta_low, delta_high, published and corrected (of VERDICTS, at `alpha`), not_available (why a
    side cannot be had; else ""). A rate that only one of both has runs of stays, "not tested". Raises ConfigError for
    no rows, for a task with two pretrainings of one modality, and as `differences.check`.
    Source: radiologynet2025 4.3.
    """
    if rows.empty:
        raise ConfigError("no runs of single- against multi-modality; `python -m tlkit plan` lists what is missing")
    rows = rows.assign(value=rows["value"].astype(float), modality=rows["pretraining"].map(dict(modality)))
    _check_arms(rows)
    order = [ALL, *sorted(set(rows["modality"]) - {""})]
    sides = rows.assign(pretraining=rows["modality"].replace("", ALL))
    pairs = ranks.student(sides, WITHIN, order)
    pairs = pairs.merge(ranks.mann_whitney(sides, WITHIN, order)[[*WITHIN, "a", "b", "u"]], on=[*WITHIN, "a", "b"])
    pairs = ranks.cliffs_delta(pairs[pairs["a"] == ALL])
    found = _every_rate(rows).merge(pairs, on=WITHIN, how="left").rename(columns=SIDES)
    single = rows[rows["modality"] != ""].groupby("task", observed=True)["modality"].first()
    absent = unavailable if unavailable is not None else pd.DataFrame(columns=["task", "pretraining", "cause"])
    absent = absent.drop_duplicates("task").set_index("task")
    named = found["b"].astype(object).fillna(found["task"].map(single))
    found.insert(3, "modality", named.fillna(found["task"].map(absent["pretraining"].map(dict(modality)))))
    found["difference"] = found["mean_multi"] - found["mean_single"]
    found["p_holm"] = ranks.holm(found["p_student"])
    for name, p in (("published", "p_student"), ("corrected", "p_holm")):
        found[name] = _verdicts(found, p, alpha)
    found["not_available"] = found["task"].map(absent["cause"].to_dict()).astype(object).fillna("")
    return found.drop(columns=["a", "b", "u"])


def _check_arms(rows: pd.DataFrame) -> None:
    arms = rows.drop_duplicates(["task", "pretraining"])
    wrong = arms[arms["modality"].isna() | arms.duplicated(["task", "modality"], keep=False)]
    if len(wrong):
        raise ConfigError(
            "single against multi-modality: expected for each task one pretraining on all modalities and one on a "
            "modality (`where: {modality: MR}` in the study file), found "
            f"{', '.join(wrong['pretraining'].unique())} of {wrong['task'].iloc[0]}"
        )


def counts(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Return how many comparisons end in which of VERDICTS: ours by both p-values, and the paper's two counts of 27."""
    ours = {name: comparisons[name].value_counts() for name in ("published", "corrected")}
    table = pd.DataFrame(ours).reindex(VERDICTS).fillna(0).astype(int).T
    table.index = ["ours, Student's p as published", "ours, after Holm's correction"]
    printed = pd.DataFrame.from_dict(PAPER, orient="index", columns=list(VERDICTS))
    return pd.concat([table, printed]).assign(tests=lambda t: t.sum(axis=1)).rename_axis("counted")


def count_by_modality(comparisons: pd.DataFrame) -> pd.DataFrame:
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
    higher = (found["difference"] > 0) != found["metric"].isin(LOWER)
    kinds = [found[p].isna(), found[p] >= alpha, higher]
    return np.select(kinds, ["not tested", "no difference", "multi better"], "single better")


def draw(
    rows: pd.DataFrame,
    comparisons: pd.DataFrame,
    modality: Mapping[str, str],
    *,
    names: Mapping[str, str] | None = None,
    alpha: float = 0.05,
    phantom: bool = False,
    baselines: pd.DataFrame | None = None,
) -> Figure:
    """Draw Fig. 5: at each learning rate, pretraining on all modalities beside pretraining on one; a panel per task.

    Args: rows: results of one metric a task, with the column challenge; comparisons: of `compare`; modality: as there;
    baselines: of `stats.baselines`, drawn as dotted lines. Below each group stand p after Holm's correction, bold where
    it is below `alpha`, and smaller Student's p as published. A group without a test says so. Raises ValueError for an
    empty frame. Source: radiologynet2025 4.3, 4.7.
    """
    names, tests = NAMES | (names or {}), comparisons.set_index(["task", "lr"])
    rows = rows.assign(modality=rows["pretraining"].map(dict(modality)))
    rows = rows.assign(side=rows["modality"].map(lambda name: SINGLE if name else ALL))
    multi = rows.loc[rows["side"] == ALL, "pretraining"].unique()
    palette = {ALL: next(iter(colours(multi, names).values()), GREY), SINGLE: OTHER_COLOURS[0]}
    blocks = lettering.split_experiments(rows, ["challenge", "task"])
    with style():
        fig, axes = panels.grid(blocks, 2, 40, 6, names)
        for block, places in axes.items():
            for runs, (ax,), edge in zip(blocks[block], places, panels.edges(places), strict=True):
                task = runs["task"].iloc[0]
                groups = grids.draw_groups(ax, runs, "lr", "side", palette)
                for lr, x in groups.items():
                    _p_values(ax, x, tests.loc[(task, lr)], alpha)
                ax.set_xticks([*groups.values()], [grids.power_of_ten(lr) for lr in groups])
                ax.set_xlabel("learning rate" if edge.lowest else "", labelpad=20)
                ax.tick_params(axis="x", pad=2)
                against = ", ".join(name.upper() for name in runs["modality"].unique() if name)
                if absent := tests.loc[[task], "not_available"].iloc[0]:
                    lacking = str(tests.loc[[task], "modality"].iloc[0]).upper()
                    text = textwrap.fill(f"{lacking} only is not available: {absent}", 42)
                    ax.text(0.5, 0.5, text, transform=ax.transAxes, **CENTRE)
                architecture = names.get(task, task).split(", ")[-1]  # the block is named after the data set
                ax.set_title(architecture + (f", against {against} only" if against else ""))
                grids.name_metric(ax, runs, names, edge)
                tell_baselines(ax, list_baselines(runs, baselines))
        grids.add_legend(fig, palette, {ALL: "pretrained on all modalities", SINGLE: "on the task's modality only"})
        return lettering.finish(fig, _modality_footer(comparisons, alpha), phantom)


def _modality_footer(comparisons: pd.DataFrame, alpha: float) -> str:
    n = lettering.n_range(comparisons[["n_multi", "n_single"]].stack())
    return (
        f"Large dots: mean of the runs on test, {n} each. Whiskers: sd (ddof = 1). Small: single runs. Holm: p of "
        f"Student's t-test of the two, corrected for all tests of this figure ({comparisons['p_student'].notna().sum()}"
        f"); bold below {alpha:g}. p: the same, not corrected, as published. Dotted: without a network."
    )


def _p_values(ax: Axes, x: float, test: pd.Series, alpha: float) -> None:
    """Write below a group what its test says: the corrected p first, and the published one small."""
    below = {"xycoords": ax.get_xaxis_transform(), "textcoords": "offset points", "ha": "center", "va": "top"}
    if not np.isfinite(test["p_student"]):
        ax.annotate("not tested", (x, 0), (0, -12), size=6, color="0.45", **below)
        return
    look = {"color": BETTER, "weight": "bold"} if test["p_holm"] < alpha else {"color": "0.15"}
    ax.annotate(f"Holm {lettering.p_text(test['p_holm'])}", (x, 0), (0, -12), size=6.5, **look, **below)
    ax.annotate(f"p {lettering.p_text(test['p_student'])}", (x, 0), (0, -21), size=5.5, color="0.45", **below)
