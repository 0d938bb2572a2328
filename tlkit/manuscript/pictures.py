"""Pictures small enough for a page."""

from __future__ import annotations

from pathlib import Path

WIDTH = 1500  # pixels: 210 mm at 180 dpi
COLOURS = 96


def shrink(source: Path, target: Path, width: int = WIDTH) -> None:
    """Write a picture as PNG of at most `width` pixels and few colours, which lines and text lose nothing by."""
    from PIL import Image

    with Image.open(source) as image:
        small = image.convert("RGB")
        if small.width > width:
            small = small.resize((width, round(small.height * width / small.width)), Image.Resampling.LANCZOS)
        target.parent.mkdir(parents=True, exist_ok=True)
        small.quantize(COLOURS, dither=Image.Dither.NONE).save(target, format="PNG", optimize=True)
