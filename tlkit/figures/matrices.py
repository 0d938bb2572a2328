"""The supplementary figures of Jonske et al. 2025: each pretraining against each other, as matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tlkit.config import lookup
from tlkit.figures import panels
from tlkit.names import LOWER, NAMES, in_order
from tlkit.report import lettering
from tlkit.report.style import BETTER, WORSE, style
from tlkit.stats import differences

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure


ALPHA, PALE = 0.05, 0.22  # PALE: the shade of a cell whose corrected p is not below ALPHA


def draw(
    pairs: pd.DataFrame,
    *,
    p: str = "p_holm",
    order: Sequence[str] | None = None,
    names: Mapping[str, str] | None = None,
    columns: int = 0,
    phantom: bool = False,
) -> Figure:
    """Draw one matrix per (experiment, task, metric): each pretraining (row) against each other (column).

    A cell has delta_pct (positive: the row's mean is higher) above the p-value named by `p`, a column of
    `differences.P_VALUES`. Whatever p it shows, its colour is that of the corrected one: strong and bold where p_holm
    is below ALPHA, pale elsewhere, BETTER or WORSE as the row is better or worse. `pairs` is the
    frame of `differences.pairwise`; `order` lists its pretrainings (default: `in_order`). Raises ValueError for an
    empty frame and for pretrainings that `order` lacks, UnknownNameError for another `p`. Source: jonske2025 5.3
    (supplementary figures).
    """
    meaning = lookup(p, differences.P_VALUES, "p-value")
    experiments = lettering.split_experiments(pairs, differences.PANEL)
    names = NAMES | (names or {})
    order = list(in_order(pairs["a"], names) if order is None else order)
    if unlisted := sorted(set(pairs["a"]) - set(order)):
        raise ValueError(f"order lists {order} but the pairs also hold {unlisted}; add or drop them")
    with style():
        many = max(map(len, experiments.values())) > 8  # a page has no room for so many that are read with ease
        fig, axes = panels.grid(
            experiments, columns or (3 if many else 2), 10 + (5.6 if many else 7.5) * len(order), 20, names
        )
        for experiment, frames in experiments.items():
            places, present = axes[experiment], set().union(*(panel["a"] for panel in frames))
            shown = [name for name in order if name in present]
            for panel, (ax,), edge in zip(frames, places, panels.edges(places), strict=True):
                _matrix(ax, panel, p, shown, names, edge)
        _legend(fig)
        n = lettering.n_range(pairs["n_a"])
        footer = (
            f"Upper number: (mean of the row / mean of the column - 1) in percent. Lower number: {meaning}; {n} each. "
            f"Strong colour: below {ALPHA:g} after Holm's correction over all pairs of the figure; a pale cell shows "
            "no difference, which is not to say that there is none."
        )
        return lettering.finish(fig, f"{footer} –: not tested. White: the same pretraining, or not run.", phantom)


def _matrix(
    ax: Axes,
    panel: pd.DataFrame,
    p: str,
    order: list[str],
    names: Mapping[str, str],
    edge: panels.Edge,
) -> None:
    task, metric = panel["task"].iloc[0], panel["metric"].iloc[0]
    better = np.sign(panel["mean_a"] - panel["mean_b"]) * (-1 if metric in LOWER else 1)
    clear = panel["p_holm"] < ALPHA
    better = better.mask((panel["delta_pct"].map(_delta) == "±0") & ~clear, 0)
    shade = (better * np.where(clear, 1.0, PALE)).where(panel[p].notna())
    shades = panel.assign(shade=shade).pivot(index="a", columns="b", values="shade")
    colour = _diverging()
    ax.imshow(shades.reindex(index=order, columns=order).astype(float), cmap=colour, vmin=-1, vmax=1, aspect="auto")
    at = {name: i for i, name in enumerate(order)}
    for cell, strong, own in zip(panel.to_dict("records"), clear, shade, strict=True):
        delta = _delta(cell["delta_pct"])
        fits = {
            "size": min(6.5, 42 / len(delta)) if ax.get_gridspec().ncols < 3 else min(5, 31 / len(delta)),
            "linespacing": 1.2,
            "weight": "bold" if strong else "normal",
        }
        ink = _ink(colour((own + 1) / 2)) if np.isfinite(own) else "0.15"
        text = f"{delta}\n{lettering.p_text(cell[p])}"
        ax.text(at[cell["b"]], at[cell["a"]], text, ha="center", va="center", color=ink, **fits)
    _lines(ax, len(order))
    panels.title(ax, f"{names.get(task, task)}, {lettering.metric_name(task, metric, names)}", 93)
    labels, blank = [names.get(name, name) for name in order], [""] * len(order)
    panels.name_columns(ax, labels if edge.lowest else blank, rotation=60, above_gap=edge.above_gap)
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


def _legend(fig: Figure) -> None:
    from matplotlib.patches import Patch

    shades = {f"row worse, p < {ALPHA:g}": -1, "row worse, not clear": -PALE, "row better, not clear": PALE}
    shades |= {f"row better, p < {ALPHA:g}": 1}
    colour = _diverging()
    marks = [Patch(color=colour((shade + 1) / 2), label=text) for text, shade in shades.items()]
    fig.legend(handles=marks, loc="outside upper left", ncols=4, frameon=False)
