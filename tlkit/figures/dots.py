"""Single values in rows: the plain plot for checking a statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from tlkit.names import NAMES, Names
from tlkit.report.lettering import finish
from tlkit.report.style import MM, OTHER_COLOURS, PAPER_WIDTH, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(
    frame: pd.DataFrame,
    x: str,
    y: str,
    hue: str = "",
    *,
    label: str = "",
    log: bool = False,
    names: Names = NAMES,
    phantom: bool = False,
) -> Figure:
    """Draw every value of column `x` as a dot in the row of its `y`, coloured by `hue`; rows as they first appear.

    A hue that is a pretraining's display name (`names`) takes its colour. A second hue lies beside the first, so that
    none is hidden. The number of dots stands under the axis. Raises ValueError for an empty frame.
    """
    import matplotlib.pyplot as plt
    import seaborn as sns

    if frame.empty:
        raise ValueError(f"no rows with {x} and {y} to draw")
    kinds = list(frame[hue].astype(str).unique()) if hue else []
    named = {names[k]: colour for k, colour in names.colours.items()}
    palette = {k: named.get(k, OTHER_COLOURS[i % len(OTHER_COLOURS)]) for i, k in enumerate(kinds)}
    data = frame.assign(**{c: frame[c].astype(str) for c in (y, hue) if c})
    rows = data[y].nunique()
    with style():
        height = (16 + 7 * rows * max(1, 0.45 * len(kinds))) * MM
        fig, ax = plt.subplots(figsize=(0.75 * PAPER_WIDTH, height), layout="constrained")
        marks = {"size": 4, "edgecolor": "0.2", "linewidth": 0.4, "jitter": False, "log_scale": log or None}
        colour = {"hue": hue, "palette": palette, "dodge": len(kinds) > 1} if hue else {"color": "#0072b2"}
        sns.stripplot(data, x=x, y=y, orient="h", ax=ax, **marks, **colour)
        for edge in range(rows - 1):
            ax.axhline(edge + 0.5, lw=0.4, color="0.85", zorder=0)
        ax.grid(axis="x", lw=0.4, color="0.92")
        ax.set_axisbelow(True)
        ax.set_xlabel(f"{label or x} ({len(data)} values)")
        ax.set_ylabel("")
        if hue:
            ax.legend(title="", frameon=False, loc="center left", bbox_to_anchor=(1, 0.45))
        return finish(fig, "", phantom)
