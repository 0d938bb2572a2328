"""Bars in groups, one for each hue, at each value of a column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tlkit.report import layout

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GAP = 0.7  # between two groups, in bars


def grouped_bars(ax: Axes, runs: pd.DataFrame, x: str, hue: str, palette: Mapping[str, str]) -> dict[float, float]:
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
    limit(ax, runs)
    return middles


def limit(ax: Axes, runs: pd.DataFrame) -> None:
    """Leave out the empty part below the lowest run, where it is more than half of the panel."""
    low, high = runs["value"].min(), max(runs["value"].max(), ax.get_ylim()[1])
    if low > 0.5 * high:
        ax.set_ylim(low - 0.5 * (high - low), high)


def add_head_room(ax: Axes, factor: float) -> None:
    low, high = ax.get_ylim()
    ax.set_ylim(low, low + factor * (high - low))


def name_metric(ax: Axes, runs: pd.DataFrame, names: Mapping[str, str], edge: layout.Edge) -> None:
    metric = runs["metric"].iloc[0].removeprefix("val_")
    ax.set_ylabel(layout.metric_name(runs["task"].iloc[0], metric, names) if edge.first else "")
    ax.locator_params(axis="y", nbins=5)


def add_legend(fig: Figure, palette: Mapping[str, str], labels: Mapping[str, str]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=labels[name]) for name, colour in palette.items()]
    fig.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False)


def tell_cut(axes: Mapping[str, list[list[Axes]]]) -> str:
    cut = any(ax.get_ylim()[0] > 0 for places in axes.values() for (ax,) in places)
    return " Some vertical axes do not start at 0." if cut else ""


def power_of_ten(lr: float) -> str:
    exponent = np.log10(lr)
    return f"$10^{{{exponent:.0f}}}$" if np.isclose(exponent, round(exponent)) else f"{lr:g}"
