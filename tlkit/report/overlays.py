"""Fig. 7 of Jonske et al. 2025: where in a slice one model is right and the other wrong, errors on background too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tlkit.analysis.overlays import KINDS
from tlkit.report.style import MM, PAPER_WIDTH, mark_phantom, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#e69f00", "#9bd4f5", "#f7dc9c", "#cc79a7")  # in the order of KINDS
LABELS = (
    "target, only {a} is right",
    "target, only {b} is right",
    "background, only {a} is right",
    "background, only {b} is right",
    "both are wrong",
)


def overlays(
    images: np.ndarray,
    truths: np.ndarray,
    kinds: np.ndarray,
    chosen: pd.DataFrame,
    names: Sequence[str],
    phantom: bool = False,
) -> Figure:
    """Draw the slices of `overlays.choose`, first those where model a is better, then those where b is.

    Args: images [n,H,W] grey; truths [n,H,W] labels, outlined (white: class 1, black: higher ones); kinds [n,H,W] of
    `overlays.pixel_kinds`; `names` of models a and b. A side without slices says so, and
    both do where the runs have the same Dice on every slice. Source: Jonske et al. 2025, Fig. 7 (target pixels only).
    """
    import matplotlib.pyplot as plt
    from matplotlib.patches import Patch

    columns = max(1, *(int((chosen["better"] == better).sum()) for better in "ab"))
    wide = PAPER_WIDTH / max(columns, 4)
    with style():
        size = (PAPER_WIDTH, 2 * (wide + 8 * MM) + 18 * MM)
        fig, grid = plt.subplots(2, columns, figsize=size, squeeze=False, layout="constrained")
        for ax in grid.ravel():
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        for axes, better in zip(grid, "ab", strict=True):
            rows = np.flatnonzero(chosen["better"] == better)
            of = chosen["of"].iloc[rows[0]] if len(rows) else 0
            axes[0].set_ylabel(f"{names['ab'.index(better)]} better\n({of} slices)", weight="bold")
            for ax, i in zip(axes, rows, strict=False):
                _slice(ax, images[i], truths[i], kinds[i])
                row = chosen.iloc[i]
                ax.set_title(f"{row['id']} (quantile {row['quantile']:g})", size=6)
                ax.set_xlabel(f"Dice {row['dice_a']:.2f} / {row['dice_b']:.2f}", size=6, labelpad=2)
        marks = [Patch(color=c, label=t.format(a=names[0], b=names[1])) for c, t in zip(COLOURS, LABELS, strict=True)]
        fig.legend(handles=marks, loc="outside lower left", ncols=3, frameon=False)
        heading = f"Dice of {names[0]} / {names[1]} below each slice. Outline: truth."
        fig.suptitle(heading, x=0.012, ha="left", size=6.5, color="0.25")
        if phantom:
            mark_phantom(fig)
        plt.close(fig)
    return fig


def _slice(ax: Axes, image: np.ndarray, truth: np.ndarray, kinds: np.ndarray) -> None:
    from matplotlib.colors import BoundaryNorm, ListedColormap

    ax.imshow(image, cmap="gray", interpolation="nearest")
    norm = BoundaryNorm(np.arange(len(KINDS) + 1) + 0.5, len(KINDS))
    shown = np.ma.masked_equal(kinds, 0)
    ax.imshow(shown, cmap=ListedColormap(COLOURS), norm=norm, interpolation="nearest", alpha=0.8)
    for label in range(1, int(truth.max()) + 1):
        if (truth == label).any():
            ax.contour(truth == label, [0.5], colors="white" if label == 1 else "black", linewidths=0.7)
