"""The look of every figure: sizes, colours of the pretrainings, and the phantom mark."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tlkit.names import in_order

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from matplotlib.figure import Figure

MM = 1 / 25.4  # one millimetre in inches
PAPER_WIDTH = 180 * MM

# Okabe-Ito, and Tol's muted ones: told apart with every kind of colour blindness.
PRETRAINING_COLOURS = {
    "scratch": "#8c8c8c",
    "imagenet": "#e69f00",
    "radnet": "#56b4e9",
    "radnet_lb": "#399ed7",  # estimates between radnet and radnet12m: so are their colours
    "radnet_ub": "#1d88c4",
    "radnet12m_equal_steps": "#44aa99",
    "radnet12m": "#0072b2",
    "mixed_sequential": "#117733",
    "mixed_together": "#882255",
    "radiologynet": "#009e73",
}
BETTER, WORSE, SAME = "#0072b2", "#d55e00", "#009e73"
OTHER_COLOURS = ("#cc79a7", "#d55e00", "#f0e442", "#7a5195", "#a6761d", "#999933")


STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same figure on every machine
    "font.size": 7,
    "axes.titlesize": 7.5,
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


def style() -> AbstractContextManager[None]:
    """Return a context in which every figure has the style of the paper: `with report.style(): ...`."""
    import matplotlib as mpl

    return mpl.rc_context(STYLE)


def colours(pretrainings: Iterable[str]) -> dict[str, str]:
    """Return a colour for each pretraining, in the order of `in_order`; unknown names take OTHER_COLOURS."""
    names = in_order(pretrainings)
    others = [name for name in names if name not in PRETRAINING_COLOURS]
    extra = {name: OTHER_COLOURS[i % len(OTHER_COLOURS)] for i, name in enumerate(others)}
    return {name: (PRETRAINING_COLOURS | extra)[name] for name in names}


def mark_phantom(fig: Figure) -> None:
    """Write "phantom data" into the upper right corner of the figure, once."""
    if not any(text.get_gid() == "phantom" for text in fig.texts):
        box = {"boxstyle": "round,pad=0.3", "fc": "white", "ec": "#d55e00", "lw": 0.8}
        width, height = fig.get_size_inches()
        corner = {"x": 1 - 1.8 * MM / width, "y": 1 - 1.8 * MM / height, "ha": "right", "va": "top"}
        fig.text(**corner, s="phantom data", color="#d55e00", weight="bold", size=7, bbox=box, gid="phantom")
