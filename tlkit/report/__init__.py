"""Figures and tables of the paper: one style, and files that say which runs they were made from."""

from tlkit.report.dots import dots
from tlkit.report.evidence import forest, nulls
from tlkit.report.files import commit, save_figure, save_table, write_csv
from tlkit.report.losses import convergence
from tlkit.report.pairs import P_VALUES, matrices
from tlkit.report.panels import bars, limits
from tlkit.report.style import (
    ESTIMATED,
    NAMES,
    OTHER_COLOURS,
    PAPER_WIDTH,
    PRETRAINING_COLOURS,
    STYLE,
    colours,
    in_order,
    mark_phantom,
    style,
)
from tlkit.report.views import curves, image_grid

__all__ = [
    "ESTIMATED",
    "NAMES",
    "OTHER_COLOURS",
    "PAPER_WIDTH",
    "PRETRAINING_COLOURS",
    "P_VALUES",
    "STYLE",
    "bars",
    "colours",
    "commit",
    "convergence",
    "curves",
    "dots",
    "forest",
    "image_grid",
    "in_order",
    "limits",
    "mark_phantom",
    "matrices",
    "nulls",
    "save_figure",
    "save_table",
    "style",
    "write_csv",
]
