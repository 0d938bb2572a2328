"""Figures and tables of the paper: one style, and files that say which runs they were made from."""

from tlkit.names import in_order
from tlkit.report.alt import describe, show
from tlkit.report.saving import commit, save_figure, save_table, write_csv
from tlkit.report.style import OTHER_COLOURS, PAPER_WIDTH, STYLE, colours, mark_phantom, style
from tlkit.report.views import curves, image_grid

__all__ = [
    "OTHER_COLOURS",
    "PAPER_WIDTH",
    "STYLE",
    "colours",
    "commit",
    "curves",
    "describe",
    "image_grid",
    "in_order",
    "mark_phantom",
    "save_figure",
    "save_table",
    "show",
    "style",
    "write_csv",
]
