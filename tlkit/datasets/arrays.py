"""Images in size."""

from __future__ import annotations

import numpy as np

FITS = ("squash", "pad", "crop")


def resize(image: np.ndarray, size: int, nearest: bool = False, fit: str = "squash") -> np.ndarray:
    """Return `image` [H,W] or [H,W,3] as `size` x `size` px, of the same dtype.

    `fit` says what becomes of one that is not square: "squash" both sides to `size`; "pad" keeps the aspect, the longer
    side becomes `size` and the rest is black (0; of images with negative values, such as HU, the least one), as much on
    either side; "crop" takes the middle square. Averaged over areas where it shrinks, linear where it grows, and
    rounded; `nearest` for masks.
    """
    import cv2

    if fit == "pad" and image.shape[0] != image.shape[1]:
        image = square(image)
    elif fit == "crop":
        image = _middle(image)
    if image.shape[:2] == (size, size):
        return np.ascontiguousarray(image)
    if nearest:
        return cv2.resize(image, (size, size), interpolation=cv2.INTER_NEAREST_EXACT)
    how = cv2.INTER_AREA if min(image.shape[:2]) >= size else cv2.INTER_LINEAR
    if image.dtype in (np.uint8, np.int16, np.uint16):
        return cv2.resize(image, (size, size), interpolation=how)
    return np.rint(cv2.resize(image.astype(np.float32), (size, size), interpolation=how)).astype(image.dtype)


def square(image: np.ndarray) -> np.ndarray:
    """Return an image in the middle of a black square (see `resize`) as wide as its longer side."""
    left = [max(image.shape[:2]) - n for n in image.shape[:2]]
    widths = [(n // 2, n - n // 2) for n in left] + [(0, 0)] * (image.ndim - 2)
    return np.pad(image, widths, constant_values=min(0, image.min()))


def _middle(image: np.ndarray) -> np.ndarray:
    """Return the square in the middle of an image, as wide as its shorter side."""
    side = min(image.shape[:2])
    top, left = ((n - side) // 2 for n in image.shape[:2])
    return image[top : top + side, left : left + side]
