"""Fig. 2 and 3 of Jonske et al. 2025: the mean of each pretraining as a dot, its spread, and every single run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import pandas as pd

from tlkit.figures import panels
from tlkit.names import LOWER, NAMES, Names, in_order
from tlkit.report import lettering
from tlkit.report.style import colours, style
from tlkit.stats import differences

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHANCE = {"auc": 0.5}  # of metrics that have one whatever the data are


def draw(
    results: pd.DataFrame,
    *,
    names: Mapping[str, str] | None = None,
    estimated: Collection[str] = (),
    columns: int = 4,
    phantom: bool = False,
    baselines: pd.DataFrame | None = None,
) -> Figure:
    """Draw one panel per (experiment, task, metric): mean, sd (ddof=1) and every run of each pretraining.

    The dashed line is the best mean. The paper has bars on axes that leave out 0 (jonske2025 5.4), where a small
    difference looks large; dots need no 0. `results` is the tidy frame of `stats`; `names` adds display names to NAMES
    ("task/metric" names one task's metric); `estimated` pretrainings are hollow, as their rows are pseudo-runs; each
    experiment starts a new row of at most `columns` panels. `baselines` (of `stats.baselines`), and else chance where
    the metric has one, are dotted lines with their names. Raises ValueError for an empty frame, and as
    `differences.check` does. Source: Jonske et al. 2025, Fig. 2 and 3.
    """
    experiments = lettering.split_experiments(results, differences.PANEL)
    names = NAMES | (names or {})
    order, n = in_order(results["pretraining"], names), differences.summarise(results)["n"]
    with style():
        fig, axes = panels.grid(experiments, columns, 38, 16, names)
        for experiment, frames in experiments.items():
            places = axes[experiment]
            for runs, (ax,), edge in zip(frames, places, panels.edges(places), strict=True):
                _panel(ax, runs, order, names, estimated, edge)
                tell_baselines(ax, list_baselines(runs, baselines))
        return lettering.finish(fig, _footer(n, set(estimated) & set(order)), phantom)


def _panel(
    ax: Axes,
    runs: pd.DataFrame,
    order: list[str],
    names: Names,
    estimated: Collection[str],
    edge: panels.Edge,
) -> None:
    summary, palette = differences.summarise(runs).set_index("pretraining"), colours(order, names)
    many_n = summary["n"].nunique() > 1
    labels = []
    for x, name in enumerate(order):
        labels.append(names.get(name, name))
        if name not in summary.index:
            panels.note(ax, x, "not run")
            continue
        values = runs[runs["pretraining"] == name].sort_values("seed")["value"]
        panels.mean_point(ax, x, values, palette[name], estimate=name in estimated)
        if many_n:
            labels[-1] += f", n = {len(values)}"
    task, metric = summary["task"].iloc[0], summary["metric"].iloc[0]
    best = summary["mean"].min() if metric in LOWER else summary["mean"].max()
    ax.axhline(best, ls=(0, (4, 2)), lw=0.7, color="0.55", zorder=0.5)
    panels.title(ax, names.get(task, task), 96)
    ax.set_ylabel(lettering.metric_name(task, metric, names))
    close = len(order) * ax.get_gridspec().ncols >= 24
    shown = labels if edge.lowest or many_n else [""] * len(labels)
    panels.name_columns(ax, shown, rotation=60 if close else 35, above_gap=edge.above_gap)
    ax.margins(y=0.08)
    ax.grid(axis="y", lw=0.4, color="0.92")
    ax.set_axisbelow(True)
    ax.locator_params(axis="y", nbins=5, min_n_ticks=3)


def list_baselines(runs: pd.DataFrame, baselines: pd.DataFrame | None) -> dict[str, float]:
    """Return what the task and metric of a panel give without a network, by name."""
    task, metric = runs["task"].iloc[0], runs["metric"].iloc[0].removeprefix("val_")
    if baselines is None or baselines.empty:
        return {"chance": CHANCE[metric]} if metric in CHANCE else {}
    found = baselines[(baselines["task"] == task) & (baselines["metric"] == metric)]
    return dict(zip(found["baseline"], found["value"], strict=True))


def tell_baselines(ax: Axes, found: Mapping[str, float]) -> None:
    """Draw dotted lines at the values, within the axis, each with its name at its end, where room is made for it."""
    if not found:
        return
    left, right = ax.get_xlim()
    ax.margins(y=0.22)  # the name of the lowest one stays above the axis
    for name, value in found.items():
        ax.axhline(value, ls=":", lw=0.9, color="0.25", zorder=0.6, gid="baseline")
        text = ax.text(right, value, name.replace(" ", "\n"), ha="left", va="center", size=6, color="0.25")
        text.set_bbox({"fc": "white", "ec": "none", "pad": 0.6})
        text.set_in_layout(False)
    ax.set_xlim(left, right + 0.1 * max(2, ax.get_gridspec().ncols) * (right - left))


def _footer(n: pd.Series, estimated: Collection[str]) -> str:
    each = f"Large dots: mean of the runs, {lettering.n_range(n)} each."
    spread = "Whiskers: sd (ddof = 1)." if n.max() > 1 else "One run has no spread."
    text = f"{each} {spread} Small: single runs. Dashed: best mean."
    if estimated:
        text += " Hollow, with squares: estimates made from the runs of other pretrainings, not runs of their own."
    return text + " Dotted: the task without a network (one answer for all; a linear model of grey values), or chance."
