"""The supplementary figures of Jonske et al. 2025: each pretraining against each other, as matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tlkit.config import lookup
from tlkit.names import LOWER, NAMES, in_order
from tlkit.report import layout
from tlkit.report.style import BETTER, WORSE, style
from tlkit.stats import differences

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure


def draw(
    pairs: pd.DataFrame,
    *,
    p: str = "p_published",
    order: Sequence[str] | None = None,
    names: Mapping[str, str] | None = None,
    columns: int = 3,
    phantom: bool = False,
) -> Figure:
    """Draw one matrix per (experiment, task, metric): each pretraining (row) against each other (column).

    A cell has delta_pct (positive: the row's mean is higher) above the p-value named by `p`, a column of
    `differences.P_VALUES`; its colour is 1 - p, towards BETTER or WORSE as the row is better or worse. `pairs` is the
    frame of `differences.pairwise`; `order` lists its pretrainings (default: `in_order`). Raises ValueError for an
    empty frame and for pretrainings that `order` lacks, UnknownNameError for another `p`. Source: jonske2025 5.3
    (supplementary figures).
    """
    meaning = lookup(p, differences.P_VALUES, "p-value")
    experiments = layout.split_experiments(pairs, differences.PANEL)
    names = NAMES | (names or {})
    order = list(in_order(pairs["a"], names) if order is None else order)
    if unlisted := sorted(set(pairs["a"]) - set(order)):
        raise ValueError(f"order lists {order} but the pairs also hold {unlisted}; add or drop them")
    with style():
        fig, axes = layout.grid(experiments, columns, 10 + 4.7 * len(order), 16, names)
        for experiment, panels in experiments.items():
            places, present = axes[experiment], set().union(*(panel["a"] for panel in panels))
            shown = [name for name in order if name in present]
            for panel, (ax,), edge in zip(panels, places, layout.edges(places), strict=True):
                _matrix(ax, panel, p, shown, names, edge)
        _colour_bar(fig)
        n = layout.n_range(pairs["n_a"])
        footer = (
            f"Upper number: (mean of the row / mean of the column - 1) in percent. Lower number: {meaning}; {n} each."
        )
        return layout.finish(fig, f"{footer} –: not tested. White: the same pretraining, or not run.", phantom)


def _matrix(
    ax: Axes,
    panel: pd.DataFrame,
    p: str,
    order: list[str],
    names: Mapping[str, str],
    edge: layout.Edge,
) -> None:
    task, metric = panel["task"].iloc[0], panel["metric"].iloc[0]
    better = np.sign(panel["mean_a"] - panel["mean_b"]) * (-1 if metric in LOWER else 1)
    shades = panel.assign(shade=better * (1 - panel[p])).pivot(index="a", columns="b", values="shade")
    colour = _diverging()
    ax.imshow(shades.reindex(index=order, columns=order).astype(float), cmap=colour, vmin=-1, vmax=1, aspect="auto")
    at = {name: i for i, name in enumerate(order)}
    for cell, shade in zip(panel.to_dict("records"), better * (1 - panel[p]), strict=True):
        delta = _delta(cell["delta_pct"])
        fits = {"size": min(5, 31 / len(delta)), "linespacing": 1.15}  # a cell has room for six characters of 5 points
        ink = _ink(colour((shade + 1) / 2)) if np.isfinite(shade) else "0.15"
        ax.text(
            at[cell["b"]],
            at[cell["a"]],
            f"{delta}\n{layout.p_text(cell[p])}",
            ha="center",
            va="center",
            color=ink,
            **fits,
        )
    _lines(ax, len(order))
    layout.title(ax, f"{names.get(task, task)}, {layout.metric_name(task, metric, names)}", 93)
    labels, blank = [names.get(name, name) for name in order], [""] * len(order)
    layout.name_columns(ax, labels if edge.lowest else blank, rotation=60, above_gap=edge.above_gap)
    ax.set_xlim(-0.5, len(order) - 0.5)
    ax.set_yticks(range(len(order)), labels if edge.first else blank)
    ax.tick_params(length=0)


def _lines(ax: Axes, n: int) -> None:
    """Draw white lines between the cells of a matrix, and no frame."""
    ax.set_xticks(np.arange(n - 1) + 0.5, minor=True)
    ax.set_yticks(np.arange(n - 1) + 0.5, minor=True)
    ax.grid(which="minor", color="white", lw=0.8)
    ax.tick_params(which="minor", length=0)
    ax.spines[:].set_visible(False)


def _delta(percent: float) -> str:
    if not np.isfinite(percent):
        return "–"
    text = f"{percent:+.2f}"
    return "±0" if float(text) == 0 else text.replace("-", "−")


def _diverging() -> Colormap:
    from matplotlib.colors import LinearSegmentedColormap

    colour = LinearSegmentedColormap.from_list("worse-better", [WORSE, "#f7f7f7", BETTER])
    return colour.with_extremes(bad="white")


def _ink(colour: Sequence[float]) -> str:
    """Return black or white, whichever has the higher contrast (WCAG 2) on `colour`: always above 4.5."""
    rgb = np.asarray(colour[:3])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    return "black" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "white"


def _colour_bar(fig: Figure) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    scale = ScalarMappable(Normalize(-1, 1), _diverging())
    bar = fig.colorbar(scale, ax=fig.axes, location="bottom", shrink=0.5, aspect=50, pad=0.01)
    words = ["row worse, certain\np = 0", "p = 0.5", "uncertain\np = 1", "p = 0.5", "row better, certain\np = 0"]
    bar.set_ticks([-1, -0.5, 0, 0.5, 1], labels=words)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2)
