"""Pictures small enough for a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from PIL import Image

WIDTH = {".webp": 740, ".jpg": 1000}  # pixels: for pages, and for the PDF, which takes no WebP as it is
QUALITY = {".webp": 38, ".jpg": 70}


def shrink(source: Path, target: Path) -> None:
    """Write a picture as small as its kind allows: .webp for pages, .jpg for the PDF."""
    small = narrow(source, WIDTH[target.suffix])
    target.parent.mkdir(parents=True, exist_ok=True)
    small.save(target, quality=QUALITY[target.suffix])


def narrow(source: Path | BinaryIO, width: int) -> Image.Image:
    """Return a picture in RGB, at most so many pixels wide."""
    from PIL import Image

    with Image.open(source) as image:
        small = image.convert("RGB")
    if small.width <= width:
        return small
    return small.resize((width, round(small.height * width / small.width)), Image.Resampling.LANCZOS)
