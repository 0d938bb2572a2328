"""The course's own plots: plain, one idea each, with room above for the phantom mark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tlkit.names import NAMES, Names
from tlkit.report.lettering import finish
from tlkit.report.style import MM, colours, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLAIN = "#0072b2"  # of rows that are no arm
ABOVE = 8  # mm for the phantom mark


def dots(
    frame: pd.DataFrame,
    x: str,
    row: str,
    label: str,
    *,
    names: Names = NAMES,
    line: tuple[float, str] | None = None,
    means: bool = True,
    phantom: bool = True,
) -> Figure:
    """Draw every value of column `x` as a dot in its `row`, in the order of the frame, and `means` of rows as ticks.

    A row that begins with the display name of an arm (`names`) has its colour. `line`: a place and its name, such as
    (0.4, "one answer for all images"), drawn across all rows.
    """
    rows = list(dict.fromkeys(frame[row]))
    known = {names[arm]: colour for arm, colour in names.colours.items()}
    fig, ax = _figure(120, 14 + 8 * len(rows))
    with style():
        for place, name in enumerate(rows):
            values = frame.loc[frame[row] == name, x]
            colour = next((c for arm, c in known.items() if name.startswith(arm)), PLAIN)
            ax.plot(values, [place] * len(values), "o", ms=4, mfc="none", mec=colour, mew=1.2)
            if means:
                ax.plot([values.mean()] * 2, [place - 0.28, place + 0.28], color=colour, lw=2)
        if line:
            ax.axvline(line[0], color="0.4", lw=0.8, ls=":")
            at = {"xycoords": ax.get_xaxis_transform(), "textcoords": "offset points"}
            ax.annotate(line[1], (line[0], 1), (0, 2), ha="center", size=6.5, color="0.3", **at)
        ax.set_yticks(range(len(rows)), rows)
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.grid(axis="x", lw=0.4, color="0.92")
        ax.set_xlabel(f"{label} ({len(frame)} values{'; tick: mean' * means})")
        return finish(fig, "", phantom)


def by_amount(frame: pd.DataFrame, x: str, y: str, row: str, names: Names, *, phantom: bool = True) -> Figure:
    """Draw every run as a dot over a logarithmic `x`, and a line through the means of each arm (`row`)."""
    from matplotlib.ticker import NullLocator

    known = {names[name]: colour for name, colour in names.colours.items()}
    fig, ax = _figure(120, 70)
    with style():
        for name, colour in colours(frame[row].unique(), Names({}, known)).items():
            of = frame[frame[row] == name]
            ax.plot(of[x], of[y], "o", ms=3.5, mfc="none", mec=colour)
            means = of.groupby(x)[y].mean()
            ax.plot(means.index, means, "-", color=colour, label=name)
        ax.set_xscale("log")
        ticks = sorted(frame[x].unique())
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set(xlabel=f"labelled {x} (logarithmic)", ylabel="accuracy on test images")
        ax.legend(frameon=False, loc="lower right")
        return finish(fig, "", phantom)


def _figure(width: float, height: float) -> tuple:
    """Return a figure of a size in mm, ABOVE more, and its axes below that room."""
    import matplotlib.pyplot as plt

    whole = height + ABOVE
    with style():
        fig, ax = plt.subplots(figsize=(width * MM, whole * MM), layout="constrained")
        fig.get_layout_engine().set(rect=(0, 0, 1, height / whole))
    return fig, ax


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Return an image [H,W] in 0..1 with a heat map [H,W] in 0..1 over it, as float [3,H,W]."""
    from matplotlib import colormaps

    colour = colormaps["inferno"](heat)[..., :3]
    return (0.5 * image[..., None] + 0.5 * colour).transpose(2, 0, 1)
