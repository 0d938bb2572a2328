"""Bars in groups: all modalities against one at each learning rate, and BatchNorm before and after re-estimation."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tlkit.analysis import stats
from tlkit.analysis.modalities import MULTI
from tlkit.report import layout
from tlkit.report.pairs import p_text
from tlkit.report.style import BETTER, NAMES, OTHER_COLOURS, colours, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CENTRE = {"ha": "center", "va": "center", "size": 6, "color": "0.25"}  # of a panel
GAP = 0.7  # between two groups, in bars
SINGLE = "one modality"


def modality_bars(
    rows: pd.DataFrame,
    comparisons: pd.DataFrame,
    *,
    names: Mapping[str, str] | None = None,
    alpha: float = 0.05,
    phantom: bool = False,
) -> Figure:
    """Draw Fig. 5: at each learning rate, pretraining on all modalities beside pretraining on one; a panel a task.

    Args: rows: results of one metric a task, with the column challenge; comparisons: of `modalities.comparisons`. Above
    each group stand Student's p as published and p after Holm's correction; those below `alpha` are blue and bold. A
    group without a test says so. Raises ValueError for an empty frame. Source: radiologynet spec 4.3, 4.7.
    """
    names, tests = NAMES | dict(names or {}), comparisons.set_index(["task", "lr"])
    rows = rows.assign(modality=rows["pretraining"].where(rows["pretraining"] == MULTI, SINGLE))
    blocks, palette = layout.by_experiment(rows, ["challenge", "task"], sort=False), {MULTI: colours([MULTI])[MULTI]}
    palette |= {SINGLE: OTHER_COLOURS[0]}
    with style():
        fig, axes = layout.grid(blocks, 2, 33, 8, names)
        for block, places in axes.items():
            for runs, (ax,), edge in zip(blocks[block], places, layout.edges(places), strict=True):
                task = runs["task"].iloc[0]
                groups = _groups(ax, runs, "lr", "modality", palette)
                _head_room(ax, 1.32)
                for lr, x in groups.items():
                    _p_values(ax, x, tests.loc[(task, lr)], alpha)
                ax.set_xticks([*groups.values()], [_power(lr) for lr in groups])
                ax.set_xlabel("learning rate" if edge.lowest else "")
                single = runs.loc[runs["modality"] == SINGLE, "pretraining"].unique()
                against = ", ".join(name.removeprefix(f"{MULTI}_").upper() for name in single)
                if absent := tests.loc[[task], "not_available"].iloc[0]:
                    modality = str(tests.loc[[task], "modality"].iloc[0]).upper()
                    text = textwrap.fill(f"{modality} only is not available: {absent}", 42)
                    ax.text(0.5, 0.5, text, transform=ax.transAxes, **CENTRE)
                architecture = names.get(task, task).split(", ")[-1]  # the block is named after the data set
                ax.set_title(architecture + (f", against {against} only" if against else ""))
                _metric(ax, runs, names, edge)
        _legend(fig, palette, {MULTI: "pretrained on all modalities", SINGLE: "on the task's modality only"})
        return layout.finish(fig, _modality_footer(comparisons, alpha) + _cut(axes), phantom)


def before_after(
    rows: pd.DataFrame,
    *,
    names: Mapping[str, str] | None = None,
    columns: int = 3,
    phantom: bool = False,
) -> Figure:
    """Draw validation values before and after BatchNorm was re-estimated, by share of the training data.

    Args: rows: of `batchnorm.table`, one metric and learning rate: task, pretraining, fraction, seed, metric, before,
    after. A panel a task and pretraining. Raises ValueError for an empty frame, and as `stats.check` does for a run
    that comes twice. Source: radiologynet spec 6.13.
    """
    names, states = NAMES | dict(names or {}), {"before": "0.65", "after": BETTER}
    rows = rows.melt(["task", "pretraining", "fraction", "seed", "metric"], list(states), "state")
    stats.check(rows, ["task", "pretraining", "fraction", "state"])
    blocks = layout.by_experiment(rows, ["task", "pretraining"], sort=False)
    with style():
        fig, axes = layout.grid(blocks, columns, 36, 8, names)
        for block, places in axes.items():
            for runs, (ax,), edge in zip(blocks[block], places, layout.edges(places), strict=True):
                groups, arm = _groups(ax, runs, "fraction", "state", states), runs["pretraining"].iloc[0]
                ax.set_xticks([*groups.values()], [f"{100 * share:g} %" for share in groups])
                ax.set_xlabel("share of the training images" if edge.lowest else "")
                ax.set_title(names.get(arm, arm))
                _metric(ax, runs, names, edge)
                ax.set_ylim(0, max(1, ax.get_ylim()[1]))
        _legend(fig, states, {"before": "as trained", "after": "BatchNorm re-estimated"})
        n = layout.n_range(rows.groupby(["task", "pretraining", "fraction", "state"], observed=True).size())
        footer = f"Bars: mean of the runs on validation, {n} each. Whiskers: sd (ddof = 1). Dots: single runs, in the "
        footer += "same order in both bars. Re-estimated: the running mean and variance of every BatchNorm layer are "
        footer += "computed anew from the training images; no weight changes."
        return layout.finish(fig, footer, phantom)


def _groups(ax: Axes, runs: pd.DataFrame, x: str, hue: str, palette: Mapping[str, str]) -> dict[float, float]:
    """Draw a group of bars, one for each hue, at each value of column `x`, ascending; return the groups' middles."""
    middles = {}
    for i, value in enumerate(sorted(runs[x].unique())):
        left = i * (len(palette) + GAP)
        for j, (name, colour) in enumerate(palette.items()):
            bar = runs[(runs[x] == value) & (runs[hue] == name)].sort_values("seed")
            if bar.empty:
                layout.note(ax, left + j, "no run")
            else:
                layout.mean_bar(ax, left + j, bar["value"], colour)
        middles[value] = left + (len(palette) - 1) / 2
    ax.tick_params(axis="x", length=0)
    _limits(ax, runs)
    return middles


def _modality_footer(comparisons: pd.DataFrame, alpha: float) -> str:
    n = layout.n_range(comparisons[["n_multi", "n_single"]].stack())
    return (
        f"Bars: mean of the runs on test, {n} each. Whiskers: sd (ddof = 1). Dots: single runs. p: Student's t-test of "
        "the two bars, not corrected, as published; Holm: the same, corrected for all tests of this figure "
        f"({comparisons['p_student'].notna().sum()}). Blue and bold: below {alpha:g}."
    )


def _limits(ax: Axes, runs: pd.DataFrame) -> None:
    """Leave out the empty part below the lowest run, where it is more than half of the panel."""
    low, high = runs["value"].min(), max(runs["value"].max(), ax.get_ylim()[1])
    if low > 0.5 * high:
        ax.set_ylim(low - 0.5 * (high - low), high)


def _head_room(ax: Axes, factor: float) -> None:
    low, high = ax.get_ylim()
    ax.set_ylim(low, low + factor * (high - low))


def _p_values(ax: Axes, x: float, test: pd.Series, alpha: float) -> None:
    at = {"transform": ax.get_xaxis_transform(), "ha": "center", "va": "top", "size": 6}
    if not np.isfinite(test["p_student"]):
        ax.text(x, 1, "not tested", color="0.45", **at)
        return
    for y, label, p in ((1.0, "p", test["p_student"]), (0.9, "Holm", test["p_holm"])):
        look = {"color": BETTER, "weight": "bold"} if p < alpha else {"color": "0.3"}
        ax.text(x, y, f"{label} {p_text(p)}", **at, **look)


def _metric(ax: Axes, runs: pd.DataFrame, names: Mapping[str, str], edge: layout.Edge) -> None:
    metric = runs["metric"].iloc[0].removeprefix("val_")
    ax.set_ylabel(layout.metric_name(runs["task"].iloc[0], metric, names) if edge.first else "")
    ax.locator_params(axis="y", nbins=5)


def _legend(fig: Figure, palette: Mapping[str, str], labels: Mapping[str, str]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=labels[name]) for name, colour in palette.items()]
    fig.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False)


def _cut(axes: Mapping[str, list[list[Axes]]]) -> str:
    cut = any(ax.get_ylim()[0] > 0 for places in axes.values() for (ax,) in places)
    return " Some vertical axes do not start at 0." if cut else ""


def _power(lr: float) -> str:
    exponent = np.log10(lr)
    return f"$10^{{{exponent:.0f}}}$" if np.isclose(exponent, round(exponent)) else f"{lr:g}"
