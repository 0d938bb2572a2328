"""The course's own plots: plain, one idea each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tlkit.names import Names
from tlkit.report.layout import finish
from tlkit.report.style import MM, colours, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def by_amount(frame: pd.DataFrame, x: str, y: str, arm: str, names: Names, *, phantom: bool = False) -> Figure:
    """Draw every run as a dot over a logarithmic `x`, and a line through the means of each arm (a display name)."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullLocator

    known = {names[name]: colour for name, colour in names.colours.items()}
    palette = colours(frame[arm].unique(), Names({}, known))
    with style():
        fig, ax = plt.subplots(figsize=(120 * MM, 70 * MM), layout="constrained")
        for name, colour in palette.items():
            of = frame[frame[arm] == name]
            ax.plot(of[x], of[y], "o", ms=3.5, mfc="white", mec=colour)
            means = of.groupby(x)[y].mean()
            ax.plot(means.index, means, "-", color=colour, label=name)
        ax.set_xscale("log")
        ticks = sorted(frame[x].unique())
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set(xlabel=f"labelled {x} (logarithmic)", ylabel="accuracy on test images")
        ax.legend(frameon=False)
        return finish(fig, "", phantom)


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Return an image [H,W] in 0..1 with a heat map [H,W] in 0..1 over it, as float [3,H,W]."""
    from matplotlib import colormaps

    colour = colormaps["inferno"](heat)[..., :3]
    return (0.5 * image[..., None] + 0.5 * colour).transpose(2, 0, 1)
