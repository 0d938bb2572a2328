"""What figures share: names of experiments and metrics, numbers in words, the footer."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tlkit.report.style import PAPER_WIDTH, mark_phantom

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOOTER_CHARACTERS = 145  # of one line over the width of the page


def split_experiments(frame: pd.DataFrame, panel: Sequence[str]) -> dict[str, list[pd.DataFrame]]:
    """Return for each experiment the frames of its panels, all as they first appear.

    `panel` lists the columns that tell panels apart, the experiment first. Raises ValueError for an empty frame.
    """
    if frame.empty:
        raise ValueError("no results to draw; `python -m tlkit plan` lists which runs are missing")
    panels: dict[str, list[pd.DataFrame]] = {}
    for (experiment, *_), rows in frame.groupby(list(panel), observed=True, sort=False):
        panels.setdefault(experiment, []).append(rows)
    return panels


def finish(fig: Figure, footer: str, phantom: bool) -> Figure:
    """Write the footer, if any, below the figure and the phantom mark, close the figure and return it."""
    import matplotlib.pyplot as plt

    add_footer(fig, footer)
    if phantom:
        mark_phantom(fig)
    plt.close(fig)  # a notebook would show it a second time at the end of the cell
    return fig


def add_footer(fig: Figure, text: str) -> None:
    """Write a text, if any, below the figure, after what stands there already; once."""
    there = " ".join(fig.get_supxlabel().split())
    if text and text not in there:
        characters = int(FOOTER_CHARACTERS * fig.get_figwidth() / PAPER_WIDTH)
        fig.supxlabel(textwrap.fill(f"{there} {text}".strip(), characters), x=0.012, ha="left", size=6.5, color="0.25")


def heading(experiment: str, names: Mapping[str, str]) -> str:
    """Return the display name of an experiment with a capital."""
    name = names.get(experiment, experiment)
    return name[:1].upper() + name[1:]


def metric_name(task: str, metric: str, names: Mapping[str, str]) -> str:
    """Return the display name of a task's metric: "task/metric", else "metric", else the metric in words."""
    return names.get(f"{task}/{metric}", names.get(metric, metric.replace("_", " ")))


def n_range(n: pd.Series) -> str:
    """Return "n = 4", or "n = 3 to 4" where they differ."""
    return f"n = {n.min():.0f}" if n.min() == n.max() else f"n = {n.min():.0f} to {n.max():.0f}"


def p_text(value: float) -> str:
    """Return a p-value with three decimals, "<0.001" below that, "–" for NaN."""
    return "–" if not np.isfinite(value) else "<0.001" if value < 0.001 else f"{value:.3f}"
