"""Augmentation on the CPU: OpenCV, image by image, in as many threads as torch has."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import cv2
import numpy as np
import torch

LUMA = np.array([[0.299, 0.587, 0.114]], np.float32)  # ITU-R BT.601, as torchvision and PIL
THREADED_FROM = 160  # pixels; below it threads lose more by handing over the GIL than they win (2 cores)


@cache
def _pool(threads: int, pid: int) -> ThreadPoolExecutor:
    """Return this process's pool; by `pid`, since a fork has none of its parent's threads."""
    return ThreadPoolExecutor(threads, thread_name_prefix="augment")


def apply(
    images: torch.Tensor,
    levels: tuple[torch.Tensor, torch.Tensor],
    masks: torch.Tensor | None,
    views: dict[str, np.ndarray],
    size: int,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the views ([B, 3, size, size] float32, channels_last) and masks of a batch; see `augment`."""
    if images.is_floating_point():
        images = images.permute(0, 2, 3, 1).squeeze(-1)
    source, low, span = images.numpy(), *(v.numpy() for v in levels)
    views = views | _matrices(views)
    mask_source = None if masks is None else masks.numpy()
    out = np.empty((len(source), size, size, 3), np.float32)
    mask_out = None if masks is None else np.empty((len(source), size, size), mask_source.dtype)

    def work(indices: range) -> None:
        for i in indices:
            view = {k: v[i] for k, v in views.items()}
            _view(source[i], low[i], span[i], view, out[i])
            if mask_out is not None:
                mask_out[i] = _geometry(mask_source[i], view, size, nearest=True)

    cv2.setNumThreads(1)  # the images are the parallel part; OpenCV's own threads would be in the way
    threads = min(torch.get_num_threads(), len(source)) if size >= THREADED_FROM else 1
    if threads == 1:
        work(range(len(source)))
    else:
        list(_pool(threads, os.getpid()).map(work, [range(t, len(source), threads) for t in range(threads)]))
    return torch.from_numpy(out).permute(0, 3, 1, 2), None if masks is None else torch.from_numpy(mask_out)


def _geometry(image: np.ndarray, view: dict, size: int, nearest: bool = False) -> np.ndarray:
    """Rotate, crop, resize and flip one image; a crop that shrinks both ways is averaged over areas."""
    if view["angle"]:
        height, width = image.shape[:2]
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), view["angle"], 1.0)
        flags = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
        image = cv2.warpAffine(image, matrix, (width, height), flags=flags)
    top, left, h, w = view["box"]
    image = image[top : top + h, left : left + w]
    if (h, w) != (size, size):
        smooth = cv2.INTER_AREA if h > size and w > size else cv2.INTER_LINEAR
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_NEAREST_EXACT if nearest else smooth)
    return cv2.flip(image, 1) if view["flip"] else image


def _view(source: np.ndarray, low: np.float32, span: np.float32, view: dict, out: np.ndarray) -> None:
    """Write one view to `out` ([size, size, 3])."""
    if not view["angle"]:  # then only the box needs to become float
        top, left, h, w = view["box"]
        source, view = source[top : top + h, left : left + w], {**view, "box": (0, 0, h, w)}
    if low == 0:  # the same bits in one pass
        image = np.divide(source, span, dtype=np.float32)
    else:
        image = np.subtract(source, low, dtype=np.float32)
        image /= span
    if source.dtype == np.int16 or (low, span) != (0, 255):  # a window cuts before anything is interpolated
        np.clip(image, 0, 1, out=image)
    image = _geometry(image, view, len(out))
    if view["colour"]:
        spare = out if image.ndim == 3 else None
        for step in view["order"]:
            image, spare = STEPS[step](image, spare, view)
    if view["grey"] and image.ndim == 3:
        image = cv2.transform(image, LUMA)
    if view["sigma"]:
        k = 2 * int(view["radius"]) + 1
        image = cv2.GaussianBlur(image, (k, k), view["sigma"], borderType=cv2.BORDER_REFLECT_101)
    if view["sharpen"]:
        image = _sharpen(image)
    (image if image.ndim == 3 else image[..., None]).clip(0, 1, out=out)


def _matrices(views: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what the colour steps multiply by: `mix` [B, 3, 3] of the saturation, `turn` [B, 3, 4] of the hue."""
    factor, hue = views["saturation"][:, None, None], views["hue"]
    turn = np.tile(np.eye(3, 4, dtype=np.float32), (len(hue), 1, 1))
    turn[:, 0, 3] = 360 * (hue % 1)  # OpenCV's hue is in degrees, and must not fall below 0
    return {"mix": factor * np.eye(3, dtype=np.float32) + (1 - factor) * LUMA, "turn": turn}


# The steps of augment.JITTER: (image, spare, view) -> (image, spare). Both arrays are written over, so that none is
# made: at 224 px a new one costs as much as the step. `spare` is None for grey images, which have no colours to change.
Step = tuple[np.ndarray, np.ndarray | None]


def _brightness(image: np.ndarray, spare: np.ndarray | None, view: dict) -> Step:
    factor = view["brightness"]
    if factor != 1:
        _cut(np.multiply(image, factor, out=image), factor)
    return image, spare


def _contrast(image: np.ndarray, spare: np.ndarray | None, view: dict) -> Step:
    factor = float(view["contrast"])
    if factor != 1:
        red, green, blue, _ = cv2.mean(image)
        mean = red if spare is None else 0.299 * red + 0.587 * green + 0.114 * blue
        _cut(cv2.addWeighted(image, factor, image, 0, (1 - factor) * mean, dst=image), factor)
    return image, spare


def _saturation(image: np.ndarray, spare: np.ndarray | None, view: dict) -> Step:
    if spare is None or view["saturation"] == 1:
        return image, spare
    return _cut(cv2.transform(image, view["mix"], dst=spare), view["saturation"]), image


def _hue(image: np.ndarray, spare: np.ndarray | None, view: dict) -> Step:
    if spare is None or view["hue"] == 0:
        return image, spare
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV, dst=spare)
    return cv2.cvtColor(cv2.transform(hsv, view["turn"], dst=hsv), cv2.COLOR_HSV2RGB, dst=image), spare


STEPS = (_brightness, _contrast, _saturation, _hue)


def _cut(image: np.ndarray, factor: float) -> np.ndarray:
    """Cut to [0, 1], in place, what a factor above 1 may have led out of it; below 1 it can't."""
    return image.clip(0, 1, out=image) if factor > 1 else image


def _sharpen(image: np.ndarray) -> np.ndarray:
    """Apply torchvision's sharpness factor 2: twice the image less its 3 x 3 smoothing, borders kept."""
    kernel = -np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13
    kernel[1, 1] += 2
    sharp = image.copy()
    sharp[1:-1, 1:-1] = cv2.filter2D(image, -1, kernel)[1:-1, 1:-1]
    return sharp
