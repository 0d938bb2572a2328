"""Fig. 9 of the RadiologyNET study: which ratings the heat maps of each pretraining got from each rater."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pandas as pd

from tlkit.names import NAMES, Names, in_order
from tlkit.report.lettering import finish
from tlkit.report.style import MM, PAPER_WIDTH, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Brewer's brown to blue-green: two sides of a grey middle, told apart with every kind of colour blindness.
RATING_COLOURS = {1: "#a6611a", 2: "#dfc27d", 3: "#e0e0e0", 4: "#80cdc1", 5: "#018571"}
DARK = (1, 5)  # colours on which numbers are white
LEAST_SHARE = 0.045  # narrower parts of a bar have no room for their number


def draw(frame: pd.DataFrame, *, names: Names = NAMES, phantom: bool = False, planted: str | None = None) -> Figure:
    """Draw for each rater (a row of panels; one column per task) and pretraining the shares of the ratings 1 to 5.

    Args: frame: as `figures.ratings.read` gives it; planted: of phantom raters, what their answers were made up with
    (None: the raters are people). n and the mean stand beside each bar. Raises ValueError for an empty frame.
    """
    import matplotlib.pyplot as plt

    if frame.empty:
        raise ValueError("no ratings to draw; the notebook 44_rate_heatmaps collects them")
    order = in_order(frame["pretraining"], names)
    raters, tasks = sorted(frame["rater"].unique()), list(frame["task"].unique())
    with style():
        height = (20 + (12 + 6 * len(order)) * len(raters)) * MM
        size = {"figsize": (PAPER_WIDTH, height), "layout": "constrained"}
        fig, axes = plt.subplots(len(raters), len(tasks), squeeze=False, sharex=True, sharey=True, **size)
        for row, rater in zip(axes, raters, strict=True):
            for ax, task in zip(row, tasks, strict=True):
                _bars(ax, frame[(frame["rater"] == rater) & (frame["task"] == task)], order)
                who = rater if planted is None else f"phantom rater {rater.removeprefix('phantom-')}"
                title = f"{who}, {names.get(task, task)}" if task else who
                ax.set_title(textwrap.fill(title, 96 // len(tasks)), loc="left")
        axes[0][0].set_yticks(range(len(order)), [names.get(p, p) for p in order])
        axes[0][0].set_ylim(len(order) - 0.5, -0.5)
        for ax in axes[-1]:
            ax.set_xlabel("share of the heat maps (%)")
        handles = [plt.Rectangle((0, 0), 1, 1, color=c) for c in RATING_COLOURS.values()]
        labels = ["1 only irrelevant regions", "2", "3", "4", "5 only relevant regions"]
        fig.legend(handles, labels, loc="outside upper left", ncols=5, frameon=False, handlelength=1.2)
        raters = "blinded raters" if planted is None else f"phantom raters, made up by a program with {planted}"
        return finish(fig, f"Ratings by {raters}; beside each bar its mean and n, the rated heat maps.", phantom)


def _bars(ax: Axes, rows: pd.DataFrame, order: list[str]) -> None:
    for at, pretraining in enumerate(order):
        given = rows.loc[rows["pretraining"] == pretraining, "rating"]
        left = 0.0
        for rating, colour in RATING_COLOURS.items():
            share = (given == rating).mean() if len(given) else 0.0
            ax.barh(at, 100 * share, left=100 * left, height=0.72, color=colour, gid=f"{pretraining} {rating}")
            if share >= LEAST_SHARE:
                ink = "white" if rating in DARK else "black"
                ax.text(100 * (left + share / 2), at, f"{100 * share:.0f}", ha="center", va="center", color=ink, size=6)
            left += share
        text = f"{given.mean():.2f}  (n = {len(given)})" if len(given) else "n = 0"
        ax.text(102, at, text, va="center", size=6.5)
    ax.set_xlim(0, 100)
    ax.tick_params(axis="y", length=0)
