"""Fig. 4 of Jonske et al. 2025: how the training loss falls, and when a pretraining has converged."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tlkit.config import lookup
from tlkit.figures import panels
from tlkit.names import NAMES, Names, in_order
from tlkit.report import lettering
from tlkit.report.style import colours, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = ["experiment", "task"]
POINTS = 600  # of a line: as many as its width in print has dots
RULES = {
    "published": "the first epoch within 0.5 % of the mean of the last 10 epochs",
    "patience": "10 epochs without a gain of 0.5 %",
}
UNREACHED = {
    "published": "the published code counts them as 100 epochs",
    "patience": "the table counts them with these",
}


def draw(
    curves: pd.DataFrame,
    times: pd.DataFrame,
    *,
    relative: bool = True,
    limits: Mapping[str, float] | None = None,
    names: Mapping[str, str] | None = None,
    columns: int = 3,
    phantom: bool = False,
) -> Figure:
    """Draw for each (experiment, task) the training loss over the images seen, and the epochs until convergence.

    `curves`: of `stats.convergence` (mean_curves; relative where loss_relative is to be drawn). Of a curve each k-th
    row is drawn, k the least for at most POINTS rows; nothing is smoothed. `limits` ends a task's horizontal axis
    (images seen; jonske2025 5.5). `times`: of `convergence.times`, one rule: mean and sd (ddof=1) where all runs
    converged; one that did not is a triangle at the epochs that it had. A panel without training logs says so. Raises
    ValueError for an empty frame or several rules. Source: Jonske et al. 2025, Fig. 4.
    """
    from matplotlib.lines import Line2D

    experiments, loss = lettering.split_experiments(times, PANEL), "loss_relative" if relative else "loss"
    _check(curves, times, loss)
    lines = dict(list(curves.assign(y=curves[loss]).groupby(PANEL, observed=True)))
    names = NAMES | (names or {})
    order = in_order([*curves["pretraining"], *times["pretraining"]], names)
    with style():
        fig, axes = panels.grid(experiments, columns, 34, 17, names, widths=(1.5, 1))
        for experiment, places in axes.items():
            for runs, (left, right), edge in zip(experiments[experiment], places, panels.edges(places), strict=True):
                task = runs["task"].iloc[0]
                _lines(left, lines.get((experiment, task)), colours(order, names), (limits or {}).get(task))
                _name_axes(left, task, relative, names, edge)
                _times(right, runs, order, names, edge)
        handles = [Line2D([], [], color=colour, lw=2) for colour in colours(order, names).values()]
        labels = [names.get(name, name) for name in order]
        fig.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
        return lettering.finish(fig, _footer(curves, times, relative), phantom)


def _lines(ax: Axes, curves: pd.DataFrame | None, palette: Mapping[str, str], limit: float | None) -> None:
    if curves is None:
        ax.text(0.5, 0.5, "no training logs", transform=ax.transAxes, ha="center", color="0.45", size=6)
        return
    there = set(curves["pretraining"])
    for name in (name for name in palette if name in there):
        curve = curves[curves["pretraining"] == name]
        shown = curve[curve["samples"] <= (limit or np.inf)]
        step = max(1, int(np.ceil(len(shown) / POINTS)))
        ax.plot(shown["samples"][::step], shown["y"][::step], color=palette[name], lw=0.7, label=name, gid="loss")
    ax.set_xlim(0, limit or curves["samples"].max())
    ax.set_ylim(bottom=0)


def _name_axes(ax: Axes, task: str, relative: bool, names: Mapping[str, str], edge: panels.Edge) -> None:
    from matplotlib.ticker import EngFormatter

    ax.set_title(names.get(task, task))
    ax.set_ylabel("relative\n" * relative + "training loss" if edge.first else "")
    ax.set_xlabel("images seen" if edge.lowest else "")
    ax.xaxis.label.set_in_layout(not edge.above_gap)
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.locator_params(nbins=3)


def _times(ax: Axes, times: pd.DataFrame, order: list[str], names: Names, edge: panels.Edge) -> None:
    palette, present = colours(order, names), set(times["pretraining"])
    for x, name in enumerate(order):
        if name not in present:
            panels.note(ax, x, "not run")
            continue
        runs = times[times["pretraining"] == name].sort_values("seed")
        settled, others = runs[runs["reached"]], runs[~runs["reached"]]
        if others.empty:
            panels.mean_point(ax, x, runs["epoch"], palette[name])
        else:  # a mean would be of numbers that a rule made up
            ax.plot([x] * len(settled), settled["epoch"], "o", ms=2.4, mfc="white", mec=palette[name], gid="runs")
            at = x + np.linspace(-0.2, 0.2, len(others)) if len(others) > 1 else [x]
            ax.plot(at, others["epochs"], "^", ms=3.2, color=palette[name], gid="not reached")
    ax.set_ylim(0, 1.1 * max(1, times["epoch"].where(times["reached"], times["epochs"]).max()))
    ax.locator_params(axis="y", nbins=4, integer=True)
    ax.set_ylabel("epochs")
    metric = lettering.metric_name(times["task"].iloc[0], times["metric"].iloc[0], names)
    ax.set_title(fill(metric, 16), size=6.5)  # the axes are narrow
    labels = [names.get(name, name) for name in order]
    panels.name_columns(ax, labels if edge.lowest else [""] * len(order), rotation=60, above_gap=edge.above_gap)


def _check(curves: pd.DataFrame, times: pd.DataFrame, loss: str) -> None:
    if loss not in curves:
        raise ValueError(f"curves lack {loss}: pass convergence.make_relative(curves), or relative=False")
    if len(rules := times["rule"].unique()) > 1:
        raise ValueError(f"times hold the rules {sorted(rules)}; select one: times[times['rule'] == 'published']")


def _footer(curves: pd.DataFrame, times: pd.DataFrame, relative: bool) -> str:
    rule, cell = times["rule"].iloc[0], ["experiment", "task", "pretraining"]
    runs = times.groupby(cell, observed=True).size()
    n = f", {lettering.n_range(curves['n'])}" if len(curves) else ""
    text = f"Lines: mean of the training loss{n}"
    text += ", over its own maximum, so heights of two lines cannot be compared. " if relative else ". "
    text += f"At most {POINTS} evenly spaced steps of a line are drawn, without smoothing. "
    text += f"Right: epochs (from 0) to convergence, that is {lookup(rule, RULES, 'rule')}; mean, sd (ddof = 1) and "
    text += f"single runs, {lettering.n_range(runs)}."
    if not times["reached"].all():
        text += " Triangles: runs that did not converge in the epochs that they had, and no mean beside them; "
        text += f"{UNREACHED[rule]}."
    return text
