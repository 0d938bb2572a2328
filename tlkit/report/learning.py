"""Fig. 6 to 8 of the RadiologyNET study: validation after each of the first epochs, by pretraining."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING

import pandas as pd

from tlkit.report import layout
from tlkit.report.style import LOWER_IS_BETTER, NAMES, colours, in_order, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = "osD^vP*X"  # as well as colours: for print in grey
APART = 0.09  # epochs between the whiskers of two pretrainings


def first_epochs(
    curves: pd.DataFrame,
    *,
    panel: Sequence[str] = ("challenge", "task"),
    names: Mapping[str, str] | None = None,
    columns: int = 2,
    phantom: bool = False,
) -> Figure:
    """Draw the mean over runs after each epoch as a line and its sd (ddof=1) as whiskers, one line a pretraining.

    Args: curves: of `analysis.first_epochs.curves`, with the columns named by `panel`: the first one's values head a
    block of panels with one vertical scale, the second one's are their titles (display names by `names`). Blocks and
    panels come as they first appear. Raises ValueError for an empty frame. Source: radiologynet spec 4.7, Fig. 6 to 8.
    """
    from matplotlib.lines import Line2D

    blocks, names = layout.by_experiment(curves, panel, sort=False), NAMES | dict(names or {})
    order = in_order(curves["pretraining"])
    with style():
        fig, axes = layout.grid(blocks, columns, 40, 8, names)
        for block, places in axes.items():
            wide = _wide(pd.concat(blocks[block]))
            for rows, (ax,), edge in zip(blocks[block], places, layout.edges(places), strict=True):
                _lines(ax, rows, order)
                title, metric = rows[panel[1]].iloc[0], rows["metric"].iloc[0]
                ax.set_title(names.get(title, title).split(", ")[-1])  # the block is named after the data set
                label = layout.metric_name(rows["task"].iloc[0], metric, names) + (", log scale" if wide else "")
                ax.set_ylabel(label if edge.first else "")
                if wide:
                    ax.set_yscale("log", subs=[1, 3])
                    ax.yaxis.set_major_formatter("{x:g}")
                    ax.yaxis.set_minor_formatter("")
                ax.set_xlabel("epoch" if edge.lowest else "")
            _one_scale([place[0] for place in places])
        palette = colours(order)
        looks = [{"color": palette[n], "marker": MARKERS[i % len(MARKERS)]} for i, n in enumerate(order)]
        handles = [Line2D([], [], **look, ms=3, label=names.get(n, n)) for n, look in zip(order, looks, strict=True)]
        fig.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False)
        return layout.finish(fig, _footer(curves, panel), phantom)


def _lines(ax: Axes, rows: pd.DataFrame, order: Sequence[str]) -> None:
    palette = colours(order)
    for i, name in enumerate(order):
        line = rows[rows["pretraining"] == name].sort_values("epoch")
        at = line["epoch"] + APART * (i - (len(order) - 1) / 2)
        look = {"marker": MARKERS[i % len(MARKERS)], "ms": 2.6, "lw": 1, "elinewidth": 0.7, "capsize": 1.5}
        ax.errorbar(at, line["mean"], line["sd"], color=palette[name], **look)
    last = int(rows["epoch"].max())
    ax.set_xticks(range(1, last + 1, ceil(last / 10)))
    ax.locator_params(axis="y", nbins=5, min_n_ticks=3)


def _wide(rows: pd.DataFrame) -> bool:
    """Tell whether an error spans so many orders that all but the largest would lie on the axis."""
    return rows["metric"].iloc[0] in LOWER_IS_BETTER and rows["mean"].max() > 10 * rows["mean"].min() > 0


def _one_scale(axes: Sequence[Axes]) -> None:
    low, high = (pick(ax.get_ylim()[i] for ax in axes) for i, pick in enumerate((min, max)))
    for ax in axes:
        ax.set_ylim(low, high)


def _footer(curves: pd.DataFrame, panel: Sequence[str]) -> str:
    text = f"Lines: mean of the runs on validation, {layout.n_range(curves['n'])} each. Whiskers: sd (ddof = 1), "
    text += "moved sideways so that none hides another. "
    last = curves.groupby([*panel, "pretraining"], observed=True)["epoch"].max()
    if last.nunique() > 1:
        text += "A line ends where the first of its runs ended. "
    return f"{text}Panels of one block share their vertical axis, which need not start at 0."
