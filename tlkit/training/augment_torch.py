"""Augmentation of the whole batch at once by torch, meant for a GPU.

All steps work element by element (no matrix products, no float sums over an image), so that a view has the
same bits whatever batch it is part of.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F


def apply(
    images: torch.Tensor, masks: torch.Tensor | None, views: dict[str, np.ndarray], size: int
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the views ([B, 3, size, size] float32, channels_last) and masks of a batch; see `augment`.

    `images`: float32 [B, C, H, W] in [0, 1], as `to_float` returns them.
    """
    x = _crop(_rotate(images, views["angle"]), views, size)
    x = _colour(x, views)
    chosen = np.flatnonzero(views["sigma"])
    if len(chosen):
        at = _on(chosen, x.device)
        x[at] = _blur(x[at], views["sigma"][chosen], views["radius"][chosen])
    if views["sharpen"].any():
        x = torch.where(_column(views["sharpen"], x), _sharpen(x), x)
    x = x.clamp(0, 1).expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
    if masks is not None:
        m = _rotate(masks[:, None].float(), views["angle"], mode="nearest")
        masks = _crop(m, views, size, mode="nearest")[:, 0].to(masks.dtype)
    return x, masks


def _on(values: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return values on a device, without waiting for a GPU."""
    tensor = torch.as_tensor(np.ascontiguousarray(values))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def _column(values: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    """Return [B] as a [B, 1, 1, 1] tensor on the device of `like`."""
    return _on(values, like.device).view(-1, 1, 1, 1)


def _sample(x: torch.Tensor, px: torch.Tensor, py: torch.Tensor, mode: str, padding: str) -> torch.Tensor:
    """Sample at pixel positions px, py ([B, h, w]), where 0 is the centre of the first pixel."""
    height, width = x.shape[2:]
    grid = torch.stack([(2 * px + 1) / width - 1, (2 * py + 1) / height - 1], dim=-1)
    return F.grid_sample(x, grid, mode=mode, padding_mode=padding, align_corners=False)


def _rotate(x: torch.Tensor, angle: np.ndarray, mode: str = "bilinear") -> torch.Tensor:
    """Rotate the images with an angle about their centres, 0 outside; the others are passed on untouched."""
    chosen = np.flatnonzero(angle)
    if not len(chosen):
        return x
    height, width = x.shape[2:]
    radians = np.deg2rad(angle[chosen])
    cos, sin = (_column(f(radians).astype(np.float32), x)[..., 0] for f in (np.cos, np.sin))
    dy = (torch.arange(height, device=x.device) - (height - 1) / 2)[:, None]
    dx = (torch.arange(width, device=x.device) - (width - 1) / 2)[None, :]
    px, py = cos * dx - sin * dy + (width - 1) / 2, sin * dx + cos * dy + (height - 1) / 2
    x, at = x.clone(), _on(chosen, x.device)
    x[at] = _sample(x[at], px, py, mode, "zeros")
    return x


def _crop(x: torch.Tensor, views: dict[str, np.ndarray], size: int, mode: str = "bilinear") -> torch.Tensor:
    """Crop, resize and flip; where s source pixels become one, n taps spread over s - 1 pixels are averaged.

    That is bilinear interpolation up to s = 1 and the exact mean of areas at each whole s <= n.
    """
    height, width = x.shape[2:]
    if (height, width) == (size, size) and (views["box"][:, 2:] == size).all() and not views["flip"].any():
        return x
    top, left, h, w = (_column(v.astype(np.float32), x)[..., 0] for v in views["box"].T)
    at = torch.arange(size, device=x.device, dtype=torch.float32)
    flip = _column(views["flip"], x)[..., 0]
    at_x = torch.where(flip, size - 1 - at, at)  # [B, 1, size]
    centre_x = (at_x + 0.5) * (w / size) - 0.5
    centre_y = (at + 0.5)[:, None] * (h / size) - 0.5  # [B, size, 1]
    n = 1 if mode == "nearest" else math.ceil(max(height, width) / size)
    taps = [(t + 0.5) / n - 0.5 if n == 1 else t / (n - 1) - 0.5 for t in range(n)]
    spread_x, spread_y = (w / size - 1).clamp(min=0), (h / size - 1).clamp(min=0)
    total = torch.zeros((), device=x.device)
    for ty in taps:
        for tx in taps:
            # held inside the box, as if it had been cut out first
            px = left + torch.minimum((centre_x + tx * spread_x).clamp(min=0), w - 1)
            py = top + torch.minimum((centre_y + ty * spread_y).clamp(min=0), h - 1)
            px, py = torch.broadcast_tensors(px, py)
            total = total + _sample(x, px, py, mode, "border")
    return total / n**2


def _colour(x: torch.Tensor, views: dict[str, np.ndarray]) -> torch.Tensor:
    """Do each image's four steps in its own order, then grey; images whose next step is the same go together."""
    for place in range(len(STEPS)) if views["colour"].any() else ():
        for number, (name, step) in enumerate(STEPS.items()):
            none = 0 if name == "hue" else 1
            x = _some(x, step, views[name], (views["order"][:, place] == number) & (views[name] != none))
    return _some(x, _grey, views["brightness"], views["grey"])


def _some(x: torch.Tensor, step: Callable, values: np.ndarray, which: np.ndarray) -> torch.Tensor:
    """Return the batch with one step done to the images that `which` [B] names, in place; grey ones have no colours."""
    chosen = np.flatnonzero(which)
    if not len(chosen) or (x.shape[1] == 1 and step not in (_brightness, _contrast)):
        return x
    if len(chosen) == len(x):
        return step(x, _column(values, x))
    at = _on(chosen, x.device)
    x[at] = step(x[at], _column(values[chosen], x))
    return x


def _luma(x: torch.Tensor) -> torch.Tensor:
    """Return [B, 1, H, W]: the luma of colours (ITU-R BT.601, as torchvision and PIL); grey as it is."""
    return x if x.shape[1] == 1 else 0.299 * x[:, 0:1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:3]


def _grey(x: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    return _luma(x).repeat(1, 3, 1, 1)


def _brightness(x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    return (factor * x).clamp(0, 1)


def _contrast(x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    luma = _luma(x)  # a sum of whole numbers has the same bits in any order
    mean = (luma * 2**20).long().sum((2, 3), keepdim=True) / (2**20 * luma[0].numel())
    return (factor * x + (1 - factor) * mean).clamp(0, 1)


def _saturation(x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    return (factor * x + (1 - factor) * _luma(x)).clamp(0, 1)


def _hue(x: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """Shift the hue in HSV by so many turns; value and saturation stay (Smith 1978, doi:10.1145/800248.807361)."""
    value, at = x.max(1, keepdim=True)
    chroma = value - x.amin(1, keepdim=True)
    r, g, b = x.split(1, 1)
    ahead = torch.where(at == 0, g - b, torch.where(at == 1, b - r, r - g)) / torch.where(chroma > 0, chroma, 1.0)
    sector = ahead + 2 * at + 6 * turn
    return torch.cat([value - chroma * _ramp(sector + n) for n in (5, 3, 1)], dim=1)


def _ramp(k: torch.Tensor) -> torch.Tensor:
    k = k.remainder(6)
    return torch.minimum(k, 4 - k).clamp(0, 1)


STEPS = {"brightness": _brightness, "contrast": _contrast, "saturation": _saturation, "hue": _hue}  # as augment.JITTER


def _blur(x: torch.Tensor, sigma: np.ndarray, radius: np.ndarray) -> torch.Tensor:
    """Blur each image with its own Gaussian, cut at its radius: shifted copies, weighted and added."""
    r = int(radius.max())
    offsets = np.abs(np.arange(-r, r + 1))
    weights = np.exp(-0.5 * (offsets / sigma[:, None]) ** 2) * (offsets <= radius[:, None])
    weights = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    for dim, pad in ((3, (r, r, 0, 0)), (2, (0, 0, r, r))):
        length, padded = x.shape[dim], F.pad(x, pad, mode="reflect")
        x = sum(_column(weights[:, k], x) * padded.narrow(dim, k, length) for k in range(2 * r + 1))
    return x


def _sharpen(x: torch.Tensor) -> torch.Tensor:
    """Apply torchvision's sharpness factor 2: twice the image less its 3 x 3 smoothing, borders kept."""
    height, width = x.shape[2:]
    around = sum(x[:, :, i : i + height - 2, j : j + width - 2] for i in range(3) for j in range(3))
    inner = x[:, :, 1:-1, 1:-1]
    sharp = x.clone()
    sharp[:, :, 1:-1, 1:-1] = 2 * inner - (around + 4 * inner) / 13
    return sharp
