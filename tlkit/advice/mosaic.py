"""A picture of some images of a store, each with its label: the first thing to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tlkit.datasets.store import Store

MOST, COLUMNS = 32, 8
TILE, TITLE, GAP = 160, 18, 4  # px
OUTLINES = (
    "#56b4e9",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#f0e442",
    "#d55e00",
    "#0072b2",
)  # of masks, by class


def draw(store: Store, members: dict[str, np.ndarray], found: dict[str, Any], file: Path) -> None:
    """Write up to 32 images of a store, as many of each class as there is room for, evenly over its rows.

    `members` says which rows have each class; without any all are one. Masks are outlines, numbers and labels titles.
    """
    from PIL import Image, ImageDraw

    groups = [np.flatnonzero(has) for has in members.values() if has.any()] or [np.arange(len(store))]
    each = max(1, MOST // len(groups))
    rows = [int(i) for g in groups for i in g[np.linspace(0, len(g) - 1, min(each, len(g))).astype(int)]][:MOST]
    high, wide = TILE + TITLE + GAP, TILE + GAP
    sheet = Image.new("RGB", (wide * min(COLUMNS, len(rows)), high * -(-len(rows) // COLUMNS)), "white")
    pen = ImageDraw.Draw(sheet)
    for at, row in enumerate(rows):
        left, top = at % COLUMNS * wide, at // COLUMNS * high
        pen.text((left, top + 2), title(store, row, members, found), fill="black")
        tile = Image.fromarray(np.asarray(store.images[row])).convert("RGB").resize((TILE, TILE))
        if store.masks is not None:
            outline(tile, np.asarray(store.masks[row]))
        sheet.paste(tile, (left, top + TITLE))
    sheet.save(file)


def outline(tile, mask: np.ndarray) -> None:
    """Draw the edges of the classes of a mask [S,S] into a picture."""
    from PIL import Image

    large = np.asarray(Image.fromarray(mask).resize(tile.size, Image.Resampling.NEAREST))
    inner = np.pad(large, 1, mode="edge")
    around = (inner[:-2, 1:-1], inner[2:, 1:-1], inner[1:-1, :-2], inner[1:-1, 2:])
    edge = np.any([side != large for side in around], axis=0)
    for value in np.unique(large[edge & (large > 0)]):
        here = Image.fromarray(((large == value) & edge).astype(np.uint8) * 255)
        tile.paste(OUTLINES[(int(value) - 1) % len(OUTLINES)], mask=here)


def title(store: Store, row: int, members: dict[str, np.ndarray], found: dict[str, Any], most: int = 24) -> str:
    """Return what stands above an image: its labels, or its number; nothing above one with a mask."""
    if found["task"] == "segmentation":
        return ""
    if found["task"] == "regression":
        return f"{store.table[found['classes'][0]].iat[row]:g}"
    text = ", ".join(name for name, has in members.items() if has[row])
    return text if len(text) <= most else text[: most - 3] + "..."
