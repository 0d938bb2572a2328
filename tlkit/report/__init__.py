"""Figures and tables of the paper: one style, and files that say which runs they were made from."""

from tlkit.names import in_order
from tlkit.report.dots import dots
from tlkit.report.files import commit, save_figure, save_table, write_csv
from tlkit.report.pairs import P_VALUES, matrices
from tlkit.report.panels import bars, limits
from tlkit.report.style import OTHER_COLOURS, PAPER_WIDTH, STYLE, colours, mark_phantom, style
from tlkit.report.views import curves, image_grid

__all__ = [
    "OTHER_COLOURS",
    "PAPER_WIDTH",
    "P_VALUES",
    "STYLE",
    "bars",
    "colours",
    "commit",
    "curves",
    "dots",
    "image_grid",
    "in_order",
    "limits",
    "mark_phantom",
    "matrices",
    "save_figure",
    "save_table",
    "style",
    "write_csv",
]
