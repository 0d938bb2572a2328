"""What picture files are by their headers, and a few by their pixels: grey or colour, which range of 16 bits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.datasets import bounds
from tlkit.datasets.cards import UnreadableFile
from tlkit.layouts import folders

LOOKED_AT = 40  # files whose pixels are read to see whether RGB holds greys, and what range deep greys have
GREY = {"1", "L", "LA", "La"}


def header(root: Path, path: str) -> dict[str, Any] | None:
    """Return format, mode, width, height and bytes of a picture file, None for one that cannot be opened."""
    try:
        with bounds.reading(bounds.quote_error), folders.open_picture(root / path) as image:
            facts = {"format": image.format, "mode": image.mode, "width": image.width, "height": image.height}
            return facts | {"bytes": (root / path).stat().st_size}
    except UnreadableFile:
        return None


def options(root: Path, paths: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the options `channels` and `range` that fit pictures, and what was seen in words.

    Pictures are grey where the headers say so, or where all of the looked at ones in colour hold nothing but greys. The
    range of greys of more than 8 bits is the least of 2^n - 1 that holds those looked at; of signed or floating ones,
    from the least to the largest.
    """
    modes = {path: facts["mode"] for path in paths if (facts := header(root, path))}
    colour = [p for p, mode in modes.items() if mode not in GREY and mode[0] not in "IF"]
    deep = [p for p, mode in modes.items() if mode[0] in "IF"]
    found: dict[str, Any] = {}
    said = []
    looked = _spread(colour)
    if not any(map(_coloured, (pixels for p in looked if (pixels := _pixels(root, p, "RGB")) is not None))):
        found["channels"] = 1
        said.append(
            "grey images" + (f" ({len(looked)} of {len(colour)} in colour modes were looked at)" if colour else "")
        )
    else:
        said.append("colour images" + (" and grey ones" if len(colour) < len(modes) else ""))
    values = [pixels for p in _spread(deep) if (pixels := _pixels(root, p, None)) is not None]
    if values:
        finite = [v[np.isfinite(v)] for v in values]
        finite = [v for v in finite if v.size] or [np.zeros(1)]
        low, high = min(float(v.min()) for v in finite), max(float(v.max()) for v in finite)
        if low >= 0 and all(v.dtype.kind in "iu" for v in values):
            low, high = 0.0, float(max(255, 2 ** int(high).bit_length() - 1))
        if low < high:
            found["range"] = [low, high]
            said.append(f"more than 8 bits: {low:g} is black, {high:g} white (`range`; {len(values)} files looked at)")
    return found, said


def _spread(paths: Sequence[str]) -> list[str]:
    return [paths[i] for i in sorted({round(i) for i in np.linspace(0, len(paths) - 1, LOOKED_AT)})] if paths else []


def _pixels(root: Path, path: str, mode: str | None) -> np.ndarray | None:
    try:
        with bounds.reading(bounds.quote_error), folders.open_picture(root / path) as image:
            image = image.convert("RGBA").convert(mode) if mode and image.mode == "P" else image
            return np.asarray(image.convert(mode) if mode else image)
    except UnreadableFile:
        return None


def _coloured(pixels: np.ndarray) -> bool:
    """Tell whether RGB pixels differ between channels by more than JPEG does."""
    values = pixels.astype(np.int16)
    return bool((np.abs(values - values[..., :1]) > 8).mean() > 0.01)
