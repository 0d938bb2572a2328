"""What a rater sees: an image, and the same under a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

PIXELS = 320  # least side of a picture: smaller images are enlarged
OPACITY = 0.6  # of the hottest place of a heat map
COLOURS = "inferno"  # from black to yellow, evenly lighter, so that all see the same order


def picture(image: np.ndarray, heat: np.ndarray | None = None) -> Image:
    """Return an image [H, W] of uint8 as an RGB picture, under a heat map [H, W] of 0 to 1 where one is given.

    The heat map is the more opaque the hotter, so that cold regions stay an image.
    """
    from matplotlib import colormaps
    from PIL import Image

    rgb = _enlarged(image / 255)[..., None]
    if heat is not None:
        heat = _enlarged(heat)
        alpha = OPACITY * heat[..., None]
        rgb = (1 - alpha) * rgb + alpha * colormaps[COLOURS](heat)[..., :3]
    return Image.fromarray(np.round(255 * np.broadcast_to(rgb, (*rgb.shape[:2], 3))).astype(np.uint8))


def _enlarged(plane: np.ndarray) -> np.ndarray:
    """Return [H, W] of 0 to 1 with a shorter side of at least PIXELS."""
    from PIL import Image

    factor = max(1, PIXELS / min(plane.shape))
    size = [round(factor * side) for side in plane.shape[::-1]]
    resized = Image.fromarray(plane.astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
    return np.clip(np.asarray(resized), 0, 1)
