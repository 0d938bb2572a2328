"""Image arrays on disk and in size: an .npy file that grows, reading its rows, resizing."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np


class NpyWriter:
    """An .npy file that grows by one array of the same shape and dtype at a time.

    Plain writes, not a memory map: a full disk is then an error and not the end of the process. The header is
    written again at the end; numpy pads it so that its length does not depend on the number of rows.
    """

    def __init__(self, path: Path, sample: np.ndarray):
        self.shape, self.dtype, self.n = sample.shape, sample.dtype, 0
        self.file = path.open("wb")
        self._header()
        self.start = self.file.tell()

    def append(self, array: np.ndarray) -> None:
        if array.shape != self.shape or array.dtype != self.dtype:
            raise ValueError(
                f"one store holds one kind of image: expected {self.dtype} {self.shape}, "
                f"found {array.dtype} {array.shape}"
            )
        self.file.write(np.ascontiguousarray(array).data)
        self.n += 1

    def finish(self) -> None:
        self.file.seek(0)
        self._header()
        if self.file.tell() != self.start:
            raise AssertionError("the .npy header changed its length")
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()

    def _header(self) -> None:
        head = np.lib.format.header_data_from_array_1_0(np.empty((0, *self.shape), self.dtype))
        np.lib.format.write_array_header_1_0(self.file, head | {"shape": (self.n, *self.shape)})


def read_rows(array: np.memmap, file: int, index: np.ndarray) -> np.ndarray:
    """Return a copy of `array[index]`, read from the open file descriptor and not through the map.

    Pages of a map, and their neighbours, count as memory of the process once they are touched, so an epoch
    would grow by the store's size; read calls leave them in the system's cache. One call a run of neighbours.
    """
    if not hasattr(os, "preadv"):  # Windows
        return np.take(np.asarray(array), index, axis=0)
    out = np.empty((len(index), *array.shape[1:]), array.dtype)
    row, flat = array[:1].nbytes, memoryview(out.reshape(-1).view(np.uint8))
    starts = np.flatnonzero(np.diff(index, prepend=-2) != 1).tolist()
    for start, stop in zip(starts, [*starts[1:], len(index)], strict=False):
        target, offset = flat[start * row : stop * row], array.offset + int(index[start]) * row
        while len(target):  # a call may return less than was asked for
            n = os.preadv(file, [target], offset)
            if n == 0:
                raise EOFError(f"{array.filename} ends early: it was cut or replaced while open")
            target, offset = target[n:], offset + n
    return out


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
