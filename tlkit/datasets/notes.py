"""What is worth knowing of images that are used: rows of kind "note" in the table of rejects."""

from __future__ import annotations

import numpy as np
import pandas as pd

FEW = 5  # images of a class, below which a split of it says nothing
NARROW = 0.1  # shorter side over longer side, below which an image is told as elongated


def note_classes(samples: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Return a note (path, reason, "note") for each class of very few images; none where samples have no classes."""
    sizes = samples["class"].value_counts().sort_index() if "class" in samples else {}
    return [
        (f"class {name}", f"only {n} image{'s' * (n > 1)} of this class, too few to be split and tested", "note")
        for name, n in sizes.items()
        if n < FEW
    ]


def note_shape(image: np.ndarray) -> str:
    """Return a note on an image [H,W] or [H,W,3] that becomes a square from a strip; "" for any other."""
    height, width = image.shape[:2]
    if min(height, width) >= NARROW * max(height, width):
        return ""
    return f"very elongated: {width} x {height} px are squashed to a square"
