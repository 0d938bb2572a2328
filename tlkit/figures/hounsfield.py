"""The Hounsfield units of a CT store, and the part of them that a recipe keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tlkit.report.lettering import finish
from tlkit.report.style import MM, PAPER_WIDTH, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SPAN, BINS, IMAGES = (-1100, 1500), 130, 200


def draw(images: np.ndarray, centre: float, width: float, *, title: str = "", phantom: bool = False) -> Figure:
    """Draw how often each value occurs in up to 200 images [N,H,W] in HU, and shaded the window (centre, width)."""
    import matplotlib.pyplot as plt

    some = np.clip(images[:: max(1, len(images) // IMAGES)].ravel(), *SPAN)
    with style():
        fig, ax = plt.subplots(figsize=(0.75 * PAPER_WIDTH, 55 * MM), layout="constrained")
        ax.hist(some, BINS, SPAN, histtype="stepfilled", color="0.75", ec="0.25", lw=0.8)
        ax.axvspan(centre - width / 2, centre + width / 2, color="#56b4e9", alpha=0.3, label="window of the recipe")
        ax.set(xlabel="HU", ylabel="pixels (log scale)", yscale="log", xlim=SPAN)
        ax.set_title(f"{title}: window centre {centre:.0f}, width {width:.0f} HU".removeprefix(": "))
        ax.legend(frameon=False, loc="upper right")
        return finish(fig, f"n = {len(some):,} pixels; values beyond the axis are counted at its ends.", phantom)
