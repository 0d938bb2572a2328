"""Figures and tables of the paper: one style, and files that say which runs they were made from."""

from tlkit.report.files import commit, save_figure, save_table
from tlkit.report.panels import bars, limits
from tlkit.report.style import (
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
    "NAMES",
    "OTHER_COLOURS",
    "PAPER_WIDTH",
    "PRETRAINING_COLOURS",
    "STYLE",
    "bars",
    "colours",
    "commit",
    "curves",
    "image_grid",
    "in_order",
    "limits",
    "mark_phantom",
    "save_figure",
    "save_table",
    "style",
]
