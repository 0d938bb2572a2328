"""The look of every figure: sizes, colours of the pretrainings, and the phantom mark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tlkit.names import COLOURS, NAMES, Names, free_colours, in_order

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MM = 1 / 25.4  # one millimetre in inches
PAPER_WIDTH = 180 * MM

BETTER, WORSE, SAME = "#0072b2", "#d55e00", "#009e73"
OTHER_COLOURS = COLOURS[7:]  # of what is no pretraining

STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same figure on every machine
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.titley": 1,  # not wherever ticks above a panel would leave room: there are none, and looking takes long
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "figure.dpi": 150,
    "savefig.dpi": 300,
    "svg.hashsalt": "tlkit",  # without it the ids of an SVG are random
    "pdf.fonttype": 42,
}


@contextmanager
def style(*keys: str) -> Iterator[None]:
    """Give every figure that is drawn within the style of the paper: `with report.style(): ...`.

    `keys`: those of STYLE alone. They are put back, nothing else is: a kernel's first figure starts its backend, which
    makes pyplot interactive, and `rc_context` would undo that, so that no plot of the reader's would show.
    """
    import matplotlib as mpl

    before = {key: mpl.rcParams[key] for key in keys or STYLE}
    try:
        mpl.rcParams.update({key: STYLE[key] for key in before})
        yield
    finally:
        mpl.rcParams.update(before)


@contextmanager
def lean_fonts() -> Iterator[None]:
    """Embed fonts in a PDF without their tables for layout, of no use where every letter has its place.

    Reading these tables took half of the time of a PDF. Where fontTools keeps its list elsewhere, they are embedded.
    """
    from fontTools.subset import Options

    before = getattr(Options, "_drop_tables_default", [])
    Options._drop_tables_default = [*before, "GDEF", "GPOS", "GSUB", "MATH", "kern"]
    try:
        yield
    finally:
        Options._drop_tables_default = before


def colours(pretrainings: Iterable[str], names: Names = NAMES) -> dict[str, str]:
    """Return a colour for each pretraining, in the order of `in_order`: that of `names`, else the next that is free."""
    free = free_colours(names.colours.values())
    return {name: names.colours.get(name) or next(free) for name in in_order(pretrainings, names)}


def mark_phantom(fig: Figure) -> None:
    """Write "phantom data" into the upper right corner of the figure, once."""
    if not any(text.get_gid() == "phantom" for text in fig.texts):
        box = {"boxstyle": "round,pad=0.3", "fc": "white", "ec": "#d55e00", "lw": 0.8}
        width, height = fig.get_size_inches()
        corner = {"x": 1 - 1.8 * MM / width, "y": 1 - 1.8 * MM / height, "ha": "right", "va": "top"}
        fig.text(**corner, s="phantom data", color="#d55e00", weight="bold", size=7, bbox=box, gid="phantom")
