"""Fig. 5 of Jonske et al. 2025: feature reuse of the early layers, beside what two seeds have in common."""

from __future__ import annotations

from collections.abc import Mapping
from string import ascii_lowercase
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tlkit.report import layout
from tlkit.report.style import MM, NAMES, PAPER_WIDTH, colours, in_order, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEASURES = {
    "weights_rbf": "CKA of weights\n(RBF, as published)",
    "displacement": "weight displacement\n|after - before| / |before|",
    "activations_linear": "CKA of activations\n(linear, unbiased)",
    "activations_rbf": "CKA of activations\n(RBF, unbiased)",
}
FOOTER = (
    "White dots: single runs. Coloured: their mean, whisker: sd (ddof = 1). Grey: the same measure between two runs "
    "that differ in their seed only (mean of all pairs). L1 to L3: the first three convolutions; pooled: the features "
    "that the head sees."
)


def feature_reuse(
    reuse: pd.DataFrame, baseline: pd.DataFrame, *, names: Mapping[str, str] | None = None, phantom: bool = False
) -> Figure:
    """Draw one panel a (measure, task): each layer's value by pretraining, with the seed-to-seed baseline.

    `reuse` and `baseline` are the frames of `analysis.reuse` (the baseline may be empty), of one experiment; rows of
    panels share their vertical axis. The layers are L1, L2, L3 (the first three convolutions) and the pooled features.
    Raises ValueError for an empty `reuse`. Source: Jonske et al. 2025, Fig. 5 (its weights only).
    """
    import matplotlib.pyplot as plt

    if reuse.empty:
        raise ValueError("no runs to draw; `python -m tlkit status` lists which runs are missing")
    names, order = NAMES | dict(names or {}), in_order(reuse["pretraining"])
    measures = [m for m in MEASURES if m in set(reuse["measure"])]
    tasks, layers = list(reuse["task"].unique()), list(reuse["layer"].unique())
    with style():
        size = (PAPER_WIDTH, (14 + 36 * len(measures)) * MM)
        fig, grid = plt.subplots(
            len(measures), len(tasks), figsize=size, sharey="row", squeeze=False, layout="constrained"
        )
        for i, measure in enumerate(measures):
            for j, task in enumerate(tasks):
                found, seeds = (f[_of(f, measure, task)] for f in (reuse, baseline))
                _panel(grid[i, j], found, seeds, [x for x in layers if x in set(found["layer"])], order)
                grid[i, j].set_title(ascii_lowercase[(i * len(tasks) + j) % 26], loc="left", weight="bold")
            grid[i, 0].set_ylabel(MEASURES[measure])
            values = pd.concat([f.loc[f["measure"] == measure, "value"] for f in (reuse, baseline) if len(f)])
            top = 1.04 if measure != "displacement" else 1.08 * values.max()
            grid[i, 0].set_ylim(min(0, values.min() - 0.03) if measure != "displacement" else 0, top)
        for ax, task in zip(grid[0], tasks, strict=True):
            ax.set_title(names.get(task, task))
        handles = [plt.Line2D([], [], marker="o", ls="", color=colours(order)[p], label=names.get(p, p)) for p in order]
        fig.legend(handles=handles, loc="outside upper left", ncols=len(order), frameon=False)
        return layout.finish(fig, FOOTER, phantom)


def _of(frame: pd.DataFrame, measure: str, task: str) -> pd.Series | slice:
    return (frame["measure"] == measure) & (frame["task"] == task) if len(frame) else slice(0)


def _panel(ax: Axes, reuse: pd.DataFrame, seeds: pd.DataFrame, layers: list[str], order: list[str]) -> None:
    palette, step = colours(order), 0.8 / len(order)
    for x, layer in enumerate(layers):
        for i, name in enumerate(order):
            at = x + (i - (len(order) - 1) / 2) * step
            values = _values(reuse, layer, name)
            if len(values) == 0:
                continue
            baseline = _values(seeds, layer, name) if len(seeds) else []
            if len(baseline):
                ax.plot([at - 0.36 * step, at + 0.36 * step], [np.mean(baseline)] * 2, color="0.6", lw=2.4, zorder=1)
            sd = np.std(values, ddof=1) if len(values) > 1 else None
            ax.errorbar(at, np.mean(values), sd, fmt="o", ms=3.4, color=palette[name], lw=0.9, zorder=3)
            ax.plot([at] * len(values), values, "o", ms=1.6, mfc="white", mec="0.3", mew=0.4, zorder=4, gid="runs")
    ax.set_xticks(range(len(layers)), [f"L{i + 1}" if x != "features" else "pooled" for i, x in enumerate(layers)])
    ax.set_xlim(-0.6, len(layers) - 0.4)
    for x in range(1, len(layers)):
        ax.axvline(x - 0.5, color="0.9", lw=0.6, zorder=0)


def _values(frame: pd.DataFrame, layer: str, pretraining: str) -> np.ndarray:
    return frame.loc[(frame["layer"] == layer) & (frame["pretraining"] == pretraining), "value"].to_numpy(float)
