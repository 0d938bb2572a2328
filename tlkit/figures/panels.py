"""What the figures of many panels share: the grid by experiment, names of panels, means of runs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from string import ascii_lowercase
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tlkit.report.lettering import heading
from tlkit.report.style import MM, PAPER_WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEADING, ABOVE = "heading", 20  # of an experiment, in points above its first panel


def balance_rows(experiments: Mapping[str, Sequence], columns: int) -> tuple[int, list[int]]:
    """Return the columns and each experiment's rows: five panels in four columns become 3 + 2, not 4 + 1."""
    most = max(map(len, experiments.values()))
    columns = int(np.ceil(most / np.ceil(most / columns)))
    return columns, [int(np.ceil(len(panels) / columns)) for panels in experiments.values()]


def grid(
    experiments: Mapping[str, Sequence],
    columns: int,
    height: float,
    foot: float,
    names: Mapping[str, str],
    widths: Sequence[float] = (1,),
) -> tuple[Figure, dict[str, list[list[Axes]]]]:
    """Return a figure and, for each experiment, the axes of each of its panels: one for each of `widths`.

    Each experiment starts a new row, with its name above it; panels are lettered through the figure. `height` is
    that of a row in mm, `foot` what the lowest row of an experiment needs more, for the names that `edges` puts
    there. To be called within `style()`; ends with `finish`.
    """
    import matplotlib.pyplot as plt

    columns, rows = balance_rows(experiments, columns)
    fig = plt.figure(figsize=(PAPER_WIDTH, (8 + height * sum(rows) + foot * len(rows)) * MM), layout="constrained")
    fig.get_layout_engine().set(w_pad=2 * MM)
    ratios = {"width_ratios": list(widths) * columns}
    axes = fig.subplots(sum(rows), columns * len(widths), squeeze=False, gridspec_kw=ratios)
    letters, found = _letters(), {}
    for (experiment, panels), block in zip(experiments.items(), np.split(axes, np.cumsum(rows)[:-1]), strict=True):
        places = block.reshape(-1, len(widths)).tolist()
        found[experiment] = places[: len(panels)]
        for place in found[experiment]:
            place[0].set_title(next(letters), loc="left", ha="right", x=-0.2, weight="bold")  # clear of long titles
        for ax in block.ravel()[len(panels) * len(widths) :]:
            ax.remove()
        _heading(places[0][0], heading(experiment, names))
    return fig, found


class Edge(NamedTuple):
    """Where a panel stands in its experiment: names of rows and columns are written at the edges only."""

    first: bool  # of its row
    lowest: bool  # of its column
    above_gap: bool  # the last row is shorter and leaves the place below it empty


def edges(places: Sequence[Sequence[Axes]]) -> list[Edge]:
    """Return for each panel of an experiment at which edges it stands."""
    rows = [place[0].get_subplotspec().rowspan for place in places]
    columns, lowest = rows.count(rows[0]), [i + rows.count(rows[0]) >= len(rows) for i in range(len(rows))]
    return [Edge(i % columns == 0, low, low and rows[i] != rows[-1]) for i, low in enumerate(lowest)]


def title(ax: Axes, text: str, characters: int) -> None:
    """Write the title of a panel, in lines that leave room for its neighbours: `characters` fit across the figure."""
    width = characters // ax.get_gridspec().ncols
    lines = textwrap.wrap(text.replace(" %", "\N{NO-BREAK SPACE}%"), width)
    ax.set_title("\n".join(lines))
    for above in ax.texts:
        if above.get_gid() == HEADING:
            above.xyann = (0, ABOVE + 9 * (len(lines) - 1))


def mean_point(ax: Axes, x: float, values: Sequence[float], colour: str, *, estimate: bool = False) -> np.ndarray:
    """Draw the mean of `values` as a dot at `x`, its sd (ddof=1) as a whisker, and each beside it; return their places.

    Small dots stand in the order of `values`: sorted by seed, a run can be followed from group to group. NaN is left
    out and keeps its place. An estimate is hollow, its small dots are squares.
    """
    values = np.asarray(values, dtype=float)
    at = x + 0.2 + (np.linspace(-0.09, 0.09, len(values)) if len(values) > 1 else np.zeros(1))
    there = np.isfinite(values)
    if there.any():
        mean, sd = values[there].mean(), values[there].std(ddof=1) if there.sum() > 1 else None
        look = {"color": colour, "mfc": "white" if estimate else colour, "gid": "mean"}
        ax.errorbar(x - 0.12, mean, sd, fmt="o", ms=5, mew=1.2, capsize=2.2, elinewidth=1.4, capthick=1, **look)
        marker, gid = ("s", "pseudo-runs") if estimate else ("o", "runs")
        ax.plot(at[there], values[there], marker, ms=2.4, mfc="white", mec=colour, mew=0.7, zorder=3, gid=gid)
    return at


def name_columns(ax: Axes, labels: Sequence[str], *, rotation: float = 35, above_gap: bool = False) -> None:
    """Name the places or columns at 0, 1, ... of a panel; above a gap in the last row the names reach into it."""
    ax.set_xticks(range(len(labels)), labels, rotation=rotation, ha="right", rotation_mode="anchor")
    for text in ax.get_xticklabels():
        text.set_in_layout(not above_gap)
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.6, len(labels) - 0.4)


def note(ax: Axes, x: float, text: str) -> None:
    """Write `text` upright where the dot at `x` would stand."""
    at_foot = {"transform": ax.get_xaxis_transform(), "ha": "center", "va": "bottom", "rotation": 90}
    clear = {"fc": "white", "ec": "none", "pad": 0.6}  # of lines that cross it
    ax.text(x, 0.03, text, **at_foot, color="0.45", size=6, bbox=clear)


def _heading(ax: Axes, name: str) -> None:
    above = {"xycoords": "axes fraction", "xytext": (0, ABOVE), "textcoords": "offset points"}
    above |= {"size": 8.5, "gid": HEADING}
    text = ax.annotate(name, (0, 1), **above, weight="bold")
    text.set_in_layout(False)  # a long heading must not widen its panel's column, only take its height:
    ax.annotate("X", (0, 1), **above, alpha=0)


def _letters() -> Iterator[str]:
    """Yield a, b, ... z, aa, bb, ..."""
    return (letter * times for times in count(1) for letter in ascii_lowercase)
