"""Fig. 6 to 8 of the RadiologyNET study: how far validation has come after each of the first epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING

import pandas as pd

from tlkit.config import ConfigError
from tlkit.figures import panels
from tlkit.figures.rank_tables import METRICS
from tlkit.names import LOWER, NAMES
from tlkit.report import lettering
from tlkit.report.style import colours, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KEYS = ["experiment", "task", "fraction", "metric", "pretraining"]
LAST = 10  # epoch drawn


def published(values: Mapping[str, Mapping[str, Sequence[float]]]) -> pd.DataFrame:
    """Return what a paper shows after the first and the last epoch drawn: task, epoch, pretraining, published.

    Args: values: task -> pretraining -> (after epoch 1, after epoch LAST), as a study file has them. Source:
    radiologynet2025 4.7.
    """
    rows = [
        (task, epoch, arm, value)
        for task, arms in values.items()
        for arm, pair in arms.items()
        for epoch, value in zip((1, LAST), pair, strict=True)
    ]
    return pd.DataFrame(rows, columns=["task", "epoch", "pretraining", "published"])


def choose_metrics(history: pd.DataFrame, monitors: Mapping[str, tuple[str, int]]) -> dict[str, str]:
    """Return for each task the metric to draw: the one that the paper tests, else the one that chose its epochs.

    A run logs few metrics an epoch: where Dice, MAE or macro F1 is not among them, the task's monitor stands in.
    Raises ConfigError where that is absent too.
    """
    found = {}
    for task, rows in history.groupby("task", observed=True, sort=False):
        metrics = (*METRICS, monitors[task][0])
        logged = [m for m in metrics if m in rows and rows[m].notna().any()]
        if not logged:
            raise ConfigError(f"the history of {task} has none of {metrics}; found {list(rows.columns)}")
        found[task] = logged[0]
    return found


def curves(history: pd.DataFrame, metrics: Mapping[str, str], epochs: int = LAST) -> pd.DataFrame:
    """Return mean and sd (ddof=1) over the runs of each cell after each epoch: KEYS, epoch, mean, sd, n.

    Args: history: `Study.history()`, one learning rate a cell; metrics: each task's. Epochs count from 1 and end at
    `epochs`, or where the first run of a cell ended, so that every point is of the same runs. Raises ConfigError for
    an empty history, and for several rates in a cell: a mean over them would be of different trainings.
    """
    if history.empty:
        raise ConfigError("no epochs to draw; `python -m tlkit plan` lists which runs are missing")
    cell = ["experiment", "task", "fraction", "pretraining"]
    rates = history.drop_duplicates(["run", "experiment"]).groupby([*cell, "seed"], observed=True).size()
    if (rates > 1).any():
        raise ConfigError(f"{rates.idxmax()} has {rates.max()} runs; keep one learning rate: grid.of_runs")
    metric = history["task"].map(metrics)
    value = [row.get(name) for row, name in zip(history.to_dict("records"), metric, strict=True)]
    rows = history[[*cell, "run", "epoch"]].assign(metric=metric, value=pd.Series(value, history.index, dtype=float))
    shortest = rows.groupby([*KEYS, "run"], observed=True)["epoch"].max().groupby(KEYS, observed=True).min()
    rows = rows[rows["epoch"] < epochs].assign(epoch=rows["epoch"] + 1)
    found = rows.groupby([*KEYS, "epoch"], observed=True, sort=False)["value"].agg(mean="mean", sd="std", n="count")
    found = found.reset_index()
    last = found[KEYS].merge(shortest.rename("last").reset_index(), on=KEYS, how="left")["last"]
    return found[found["epoch"] <= last + 1].reset_index(drop=True)


MARKERS = "osD^vP*X"  # as well as colours: for print in grey
APART = 0.09  # epochs between the whiskers of two pretrainings


def draw(
    curves: pd.DataFrame,
    *,
    panel: Sequence[str] = ("challenge", "task"),
    names: Mapping[str, str] | None = None,
    columns: int = 2,
    phantom: bool = False,
) -> Figure:
    """Draw the mean over runs after each epoch as a line and its sd (ddof=1) as whiskers, one line per pretraining.

    Args: curves: of `curves`, with the columns named by `panel`: the first one's values head a
    block of panels with one vertical scale, the second one's are their titles (display names by `names`). Blocks and
    panels come as they first appear. Raises ValueError for an empty frame. Source: radiologynet2025 4.7 (Fig. 6 to 8).
    """
    from matplotlib.lines import Line2D

    blocks, names = lettering.split_experiments(curves, panel), NAMES | (names or {})
    palette = colours(curves["pretraining"], names)
    with style():
        fig, axes = panels.grid(blocks, columns, 40, 8, names)
        for block, places in axes.items():
            wide = _wide(pd.concat(blocks[block]))
            for rows, (ax,), edge in zip(blocks[block], places, panels.edges(places), strict=True):
                _lines(ax, rows, palette)
                title, metric = rows[panel[1]].iloc[0], rows["metric"].iloc[0]
                ax.set_title(names.get(title, title).split(", ")[-1])  # the block is named after the data set
                label = lettering.metric_name(rows["task"].iloc[0], metric, names) + (", log scale" if wide else "")
                ax.set_ylabel(label if edge.first else "")
                if wide:
                    ax.set_yscale("log", subs=[1, 3])
                    ax.yaxis.set_major_formatter("{x:g}")
                    ax.yaxis.set_minor_formatter("")
                ax.set_xlabel("epoch" if edge.lowest else "")
            _one_scale([place[0] for place in places])
        looks = [{"color": c, "marker": MARKERS[i % len(MARKERS)]} for i, c in enumerate(palette.values())]
        handles = [Line2D([], [], **look, ms=3, label=names.get(n, n)) for n, look in zip(palette, looks, strict=True)]
        fig.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False)
        return lettering.finish(fig, _footer(curves, panel), phantom)


def _lines(ax: Axes, rows: pd.DataFrame, palette: Mapping[str, str]) -> None:
    for i, (name, colour) in enumerate(palette.items()):
        line = rows[rows["pretraining"] == name].sort_values("epoch")
        at = line["epoch"] + APART * (i - (len(palette) - 1) / 2)
        look = {"marker": MARKERS[i % len(MARKERS)], "ms": 2.6, "lw": 1, "elinewidth": 0.7, "capsize": 1.5}
        ax.errorbar(at, line["mean"], line["sd"], color=colour, **look)
    last = int(rows["epoch"].max())
    ax.set_xticks(range(1, last + 1, ceil(last / 10)))
    ax.locator_params(axis="y", nbins=5, min_n_ticks=3)


def _wide(rows: pd.DataFrame) -> bool:
    """Tell whether an error spans so many orders that all but the largest would lie on the axis."""
    return rows["metric"].iloc[0] in LOWER and rows["mean"].max() > 10 * rows["mean"].min() > 0


def _one_scale(axes: Sequence[Axes]) -> None:
    low, high = (pick(ax.get_ylim()[i] for ax in axes) for i, pick in enumerate((min, max)))
    for ax in axes:
        ax.set_ylim(low, high)


def _footer(curves: pd.DataFrame, panel: Sequence[str]) -> str:
    text = f"Lines: mean of the runs on validation, {lettering.n_range(curves['n'])} each. Whiskers: sd (ddof = 1), "
    text += "moved sideways so that none hides another. "
    last = curves.groupby([*panel, "pretraining"], observed=True)["epoch"].max()
    if last.nunique() > 1:
        text += "A line ends where the first of its runs ended. "
    return f"{text}Panels of one block share their vertical axis, which need not start at 0."
