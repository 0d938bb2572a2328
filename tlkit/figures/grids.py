"""Means in groups, one for each hue, at each value of a column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tlkit.figures import panels
from tlkit.report import lettering

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GAP = 0.7  # between two groups, in places


def draw_groups(ax: Axes, runs: pd.DataFrame, x: str, hue: str, palette: Mapping[str, str]) -> dict[float, float]:
    """Draw a group of means, one for each hue, at each value of column `x`, ascending; return the groups' middles."""
    middles = {}
    for i, value in enumerate(sorted(runs[x].unique())):
        left = i * (len(palette) + GAP)
        for j, (name, colour) in enumerate(palette.items()):
            cell = runs[(runs[x] == value) & (runs[hue] == name)].sort_values("seed")
            if cell.empty:
                panels.note(ax, left + j, "no run")
            else:
                panels.mean_point(ax, left + j, cell["value"], colour)
        middles[value] = left + (len(palette) - 1) / 2
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.7, left + len(palette) - 0.3)
    ax.margins(y=0.1)
    ax.grid(axis="y", lw=0.4, color="0.92")
    ax.set_axisbelow(True)
    return middles


def name_metric(ax: Axes, runs: pd.DataFrame, names: Mapping[str, str], edge: panels.Edge) -> None:
    """Write the metric of a panel's runs at the axis of the first column, and some five ticks."""
    metric = runs["metric"].iloc[0].removeprefix("val_")
    ax.set_ylabel(lettering.metric_name(runs["task"].iloc[0], metric, names) if edge.first else "")
    ax.locator_params(axis="y", nbins=5)


def add_legend(fig: Figure, palette: Mapping[str, str], labels: Mapping[str, str]) -> None:
    """Put the dots of all names in one row above a figure."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], marker="o", ls="", color=c, label=labels[name]) for name, c in palette.items()]
    fig.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False)


def power_of_ten(lr: float) -> str:
    """Return a learning rate as a power of ten for Matplotlib where it is one, else as "0.003"."""
    exponent = np.log10(lr)
    return f"$10^{{{exponent:.0f}}}$" if np.isclose(exponent, round(exponent)) else f"{lr:g}"
