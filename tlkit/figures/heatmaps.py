"""Figs. S2 to S7 of the RadiologyNET study: test images and, of each pretraining, where its model looked."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tlkit.figures.finished import shorten
from tlkit.figures.gradcam import Heatmaps
from tlkit.names import NAMES
from tlkit.report.lettering import finish
from tlkit.report.style import MM, PAPER_WIDTH, WORSE, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOUR_MAP = "inferno"  # its lightness rises evenly: read with every kind of colour blindness, and in grey
OPACITY = 0.65  # of the hottest place; the coldest is clear, so that the image stays to be seen
ROW, COLUMN = 30, 31  # mm: height of an image with the space above it, and width


def pages(images: int, count: int = 3) -> list[range]:
    """Return the images of each of `count` pages, as even as can be: of 20, 7 and 7 and 6, as published.

    Raises ValueError where there are fewer images than pages.
    """
    if images < count:
        raise ValueError(f"{images} images cannot fill {count} pages: the test set is too small")
    return [range(part[0], part[-1] + 1) for part in np.array_split(np.arange(images), count)]


def draw(
    found: Heatmaps,
    items: range | None = None,
    title: str = "",
    names: Mapping[str, str] | None = None,
    phantom: bool = False,
) -> Figure:
    """Draw one page of `gradcam.explain_runs`: a row per image, and beside it one overlay per pretraining.

    `items`: the images of the page, such as one of `pages` (default: all). Above each overlay stands what its model
    predicted and how sure it was; a wrong class is coloured and crossed.
    Source: Sci Rep 2025 (RadiologyNET), Figs. S2 to S7.
    """
    import matplotlib.pyplot as plt
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    items = range(len(found.images)) if items is None else items
    names = NAMES | (names or {})
    columns = 1 + len(found.maps)
    with style():
        size = (min(PAPER_WIDTH, (columns * COLUMN + 8) * MM), (len(items) * (ROW + 4) + 31) * MM)
        fig, axes = plt.subplots(len(items), columns, figsize=size, squeeze=False, layout="constrained")
        fig.get_layout_engine().set(w_pad=0.6 * MM, h_pad=0.6 * MM, hspace=0, wspace=0)
        for row, item in zip(axes, items, strict=True):
            facts = found.frame[found.frame["item"] == item].set_index("pretraining")
            _image(row[0], found.images[item])
            row[0].set_title(f"true: {facts['true'].iloc[0]}", size=6.5, pad=2)
            row[0].set_ylabel(shorten(facts["id"].iloc[0]), size=5.5)
            for ax, (pretraining, maps) in zip(row[1:], found.maps.items(), strict=True):
                _image(ax, blend(found.images[item], maps[item]))
                _prediction(ax, facts.loc[pretraining])
        for ax, name in zip(axes[0], ("image", *found.maps), strict=True):
            ax.annotate(names.get(name, name), (0.5, 1), (0, 12), "axes fraction", "offset points", ha="center",
                        weight="bold", size=7.5)  # fmt: skip
        place = {"location": "bottom", "fraction": 0.03, "aspect": 40, "pad": 0.01, "shrink": 0.6}
        bar = fig.colorbar(ScalarMappable(Normalize(0, 1), COLOUR_MAP), ax=axes, **place)
        bar.set_label("Grad-CAM of the predicted class, relative to the hottest place of each picture", size=6.5)
        lines = textwrap.wrap(title, int(10 * fig.get_figwidth())) or [""]  # left of the phantom mark, and above names
        fig.suptitle("\n".join(lines if len(lines) > 1 else [*lines, ""]), x=0.012, ha="left", weight="bold", size=8.5)
        return finish(fig, "", phantom)


def blend(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Return [H,W,3] in 0..1: the image under the colours of the map, clear where it is 0.

    Args: image [H,W] or [H,W,3], heat [H,W], both in 0..1. One picture, not two, draws and saves faster.
    """
    from matplotlib import colormaps

    shown = image if image.ndim == 3 else image[..., None].repeat(3, -1)
    share = (OPACITY * heat)[..., None]
    return (1 - share) * shown + share * colormaps[COLOUR_MAP](heat)[..., :3]


def layers(frame: pd.DataFrame) -> str:
    """Return in words which layer the maps of `gradcam.explain_runs` come from, for the caption."""
    found = frame[["layer", "cells"]].drop_duplicates()
    return "; ".join(f"{name} ({cells} cells)" for name, cells in found.itertuples(index=False))


def _image(ax: Axes, image: np.ndarray) -> None:
    ax.imshow(image, cmap="gray", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def _prediction(ax: Axes, facts: pd.Series) -> None:
    wrong = {} if facts["right"] else {"color": WORSE}
    text = f"{'' if facts['right'] else '✗ '}{facts['predicted']}, {facts['probability']:.2f}"
    ax.set_title(text, size=6.5, pad=2, **wrong)
    if facts["empty"]:
        ax.text(0.5, 0.06, "no map", transform=ax.transAxes, ha="center", size=6, color="white", backgroundcolor="0.3")
