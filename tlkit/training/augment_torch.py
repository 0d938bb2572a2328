"""Augmentation of the whole batch at once by torch, meant for a GPU.

All steps work element by element (no matrix products, no float sums over an image), so that a view has the
same bits whatever batch it is part of. What they cost is reading and writing the batch, so they work in place, and
images whose next step is the same stand side by side; all numbers go to the device in two copies.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from tlkit.training.feed import send


class Place(NamedTuple):
    """One of the colour steps of all images: the batch is put in the order `rows`, then each step has its slice."""

    rows: np.ndarray  # int64 [B], of the batch as the place before has left it
    slices: dict[str, slice]  # keys of STEPS


def apply(
    images: torch.Tensor, masks: torch.Tensor | None, views: dict[str, np.ndarray], size: int
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the views ([B, 3, size, size] float32, channels_last) and masks of a batch; see `augment`.

    `images`: float32 [B, C, H, W] in [0, 1], as `to_float` returns them; they may be overwritten.
    """
    places = _places(views, images.shape[1])
    on = _sent(_numbers(views, places), images.device)
    x = _colour(_crop(_rotate(images, on), views, on, size), places, on)
    if "grey" in on and x.shape[1] == 3:
        x = _some(x, on["grey"], lambda part: _luma(part).expand_as(part))
    if "blurred" in on:
        radius = views["radius"][views["sigma"] > 0]
        x = _some(x, on["blurred"], lambda part: _blur(part, on["weights"], radius))
    if "sharp" in on:
        x = _some(x, on["sharp"], _sharpen)
    x = x.clamp_(0, 1).expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
    if masks is not None:
        m = _rotate(masks[:, None].float(), on, mode="nearest")
        masks = _crop(m, views, on, size, mode="nearest")[:, 0].to(masks.dtype)
    return x, masks


def _places(views: dict[str, np.ndarray], channels: int) -> list[Place]:
    """Return the colour steps of a batch, each image's in the order that it has drawn; the last puts the batch back.

    What changes nothing (factor 1, shift 0, the colours of a grey image) is no step.
    """
    names = list(STEPS) if channels == 3 else ["brightness", "contrast"]
    at = np.arange(len(views["order"]))
    places = []
    for drawn in views["order"].T if views["colour"].any() else ():
        key = np.full(len(at), len(names))
        for number, name in enumerate(names):
            key[(drawn == number) & (views[name] != UNCHANGED.get(name, 1))] = number
        rows = np.argsort(key, kind="stable")
        ends = np.searchsorted(key[rows], range(len(names) + 1))
        slices = {name: slice(a, b) for name, a, b in zip(names, ends[:-1], ends[1:], strict=True) if b > a}
        if slices:
            places.append(Place(np.argsort(at)[rows], slices))
            at = rows
    return [*places, Place(np.argsort(at), {})]


def _numbers(views: dict[str, np.ndarray], places: list[Place]) -> dict[str, np.ndarray]:
    """Return what the steps need of `views`: float32 numbers, and int64 rows of the images that a step is for."""
    numbers = dict(zip(("top", "left", "height", "width"), views["box"].T, strict=True)) | {"flip": views["flip"]}
    rows = {"turned": np.flatnonzero(views["angle"])}
    radians = np.deg2rad(views["angle"][rows["turned"]])
    numbers |= {"cos": np.cos(radians), "sin": np.sin(radians)}
    at = np.arange(len(views["flip"]))
    for n, place in enumerate(places):
        if not np.array_equal(place.rows, np.arange(len(at))):
            rows[f"place {n}"] = place.rows
        at = at[place.rows]
        numbers |= {f"{name} {n}": views[name][at[part]] for name, part in place.slices.items()}
    blurred = np.flatnonzero(views["sigma"])
    rows["blurred"] = blurred[np.argsort(-views["radius"][blurred], kind="stable")]  # the widest first, see `_blur`
    numbers["weights"] = _weights(views["sigma"][rows["blurred"]], views["radius"][rows["blurred"]])
    rows |= {"grey": np.flatnonzero(views["grey"]), "sharp": np.flatnonzero(views["sharpen"])}
    return {name: values.astype(np.float32) for name, values in numbers.items()} | rows


def _sent(arrays: dict[str, np.ndarray], device: torch.device) -> dict[str, torch.Tensor]:
    """Return the arrays that are not empty on a device, in one copy for each type."""
    found = {}
    for dtype in {values.dtype for values in arrays.values()}:
        some = {name: values for name, values in arrays.items() if values.dtype == dtype and values.size}
        if some:
            flat = send(np.concatenate([values.ravel() for values in some.values()]), device)
            parts = flat.split([values.size for values in some.values()])
            found |= {name: part.view(some[name].shape) for name, part in zip(some, parts, strict=True)}
    return found


def _some(x: torch.Tensor, rows: torch.Tensor, step: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Return the batch with a step done to the images in `rows`, in place."""
    return x.index_copy_(0, rows, step(x[rows]))


def _sample(x: torch.Tensor, px: torch.Tensor, py: torch.Tensor, mode: str, padding: str) -> torch.Tensor:
    """Sample at pixel positions px, py (shapes that broadcast to [B, h, w]); 0 is the centre of the first pixel."""
    height, width = x.shape[2:]
    grid = torch.broadcast_tensors((2 * px + 1) / width - 1, (2 * py + 1) / height - 1)
    return F.grid_sample(x, torch.stack(grid, dim=-1), mode=mode, padding_mode=padding, align_corners=False)


def _rotate(x: torch.Tensor, on: dict[str, torch.Tensor], mode: str = "bilinear") -> torch.Tensor:
    """Rotate the images with an angle about their centres, 0 outside; the others are passed on untouched."""
    if "turned" not in on:
        return x
    height, width = x.shape[2:]
    cos, sin = (on[name].view(-1, 1, 1) for name in ("cos", "sin"))
    dy = (torch.arange(height, device=x.device) - (height - 1) / 2)[:, None]
    dx = (torch.arange(width, device=x.device) - (width - 1) / 2)[None, :]
    px, py = cos * dx - sin * dy + (width - 1) / 2, sin * dx + cos * dy + (height - 1) / 2
    return _some(x, on["turned"], lambda part: _sample(part, px, py, mode, "zeros"))


def _crop(
    x: torch.Tensor, views: dict[str, np.ndarray], on: dict[str, torch.Tensor], size: int, mode: str = "bilinear"
) -> torch.Tensor:
    """Crop, resize and flip; where s source pixels become one, n taps spread over s - 1 pixels are averaged.

    That is bilinear interpolation up to s = 1 and the exact mean of areas at each whole s <= n.
    """
    height, width = x.shape[2:]
    if (height, width) == (size, size) and (views["box"][:, 2:] == size).all() and not views["flip"].any():
        return x
    top, left, h, w, flip = (on[name].view(-1, 1, 1) for name in ("top", "left", "height", "width", "flip"))
    at = torch.arange(size, device=x.device, dtype=torch.float32)
    at_x = torch.where(flip > 0, size - 1 - at, at)  # [B, 1, size]
    centre_x = (at_x + 0.5) * (w / size) - 0.5
    centre_y = (at + 0.5)[:, None] * (h / size) - 0.5  # [B, size, 1]
    n = 1 if mode == "nearest" else math.ceil(max(height, width) / size)
    taps = [(t + 0.5) / n - 0.5 if n == 1 else t / (n - 1) - 0.5 for t in range(n)]
    spread_x, spread_y = (w / size - 1).clamp(min=0), (h / size - 1).clamp(min=0)
    sampled = (
        # held inside the box, as if it had been cut out first
        _sample(
            x,
            left + torch.minimum((centre_x + tx * spread_x).clamp(min=0), w - 1),
            top + torch.minimum((centre_y + ty * spread_y).clamp(min=0), h - 1),
            mode,
            "border",
        )
        for ty in taps
        for tx in taps
    )
    total = next(sampled)
    for another in sampled:
        total += another
    return total if n == 1 else total.div_(n**2)


def _colour(x: torch.Tensor, places: list[Place], on: dict[str, torch.Tensor]) -> torch.Tensor:
    """Do each image's colour steps in its own order."""
    for n, place in enumerate(places):
        if f"place {n}" in on:
            x = x[on[f"place {n}"]]
        for name, part in place.slices.items():
            STEPS[name](x[part], on[f"{name} {n}"].view(-1, 1, 1, 1))
    return x


def _luma(x: torch.Tensor) -> torch.Tensor:
    """Return [B, 1, H, W]: the luma of colours (ITU-R BT.601, as torchvision and PIL); grey as it is."""
    if x.shape[1] == 1:
        return x
    return (0.299 * x[:, 0:1]).add_(x[:, 1:2], alpha=0.587).add_(x[:, 2:3], alpha=0.114)


def _brightness(x: torch.Tensor, factor: torch.Tensor) -> None:
    x.mul_(factor).clamp_(0, 1)


def _contrast(x: torch.Tensor, factor: torch.Tensor) -> None:
    whole = (_luma(x) * 2**20).int()  # a sum of whole numbers has the same bits in any order
    mean = whole.sum((2, 3), keepdim=True) / (2**20 * whole[0].numel())
    torch.lerp(mean, x, factor, out=x).clamp_(0, 1)


def _saturation(x: torch.Tensor, factor: torch.Tensor) -> None:
    torch.lerp(_luma(x).expand_as(x), x, factor, out=x).clamp_(0, 1)


def _hue(x: torch.Tensor, turn: torch.Tensor) -> None:
    """Shift the hue in HSV by so many turns; value and saturation stay (Smith 1978, doi:10.1145/800248.807361)."""
    low, value = torch.aminmax(x, dim=1, keepdim=True)
    chroma = value - low
    r, g, b = x.split(1, 1)
    ahead = torch.where(r == value, g - b, torch.where(g == value, b - r, r - g))
    sixth = torch.where(r == value, 0.0, torch.where(g == value, 2.0, 4.0))
    hue = ahead.div_(torch.where(chroma > 0, chroma, 1.0)).add_(sixth).add_(6 * turn).remainder_(6)
    # red is |hue - 3| - 1, green 2 - |hue - 2|, blue 2 - |hue - 4|, each cut to [0, 1]
    centre, sign, start = (per_channel(values, x.device) for values in ((3, 2, 4), (1, -1, -1), (-1, 2, 2)))
    full = torch.addcmul(start, (hue - centre).abs_(), sign).clamp_(0, 1)
    torch.addcmul(low, chroma, full, out=x)


@cache
def per_channel(values: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """Return float32 [C, 1, 1] on a device; kept, since sending it would wait for a GPU."""
    with torch.inference_mode(False):  # whoever asks first, training will ask too
        return torch.tensor(values, dtype=torch.float32, device=device).view(-1, 1, 1)


UNCHANGED = {"hue": 0}  # of the others: factor 1
STEPS = {"brightness": _brightness, "contrast": _contrast, "saturation": _saturation, "hue": _hue}  # as augment.JITTER


def _weights(sigma: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Return the weights [B, r + 1] of a pixel and those 1 to r beside it: Gaussians, cut at each image's radius."""
    offsets = np.arange(radius.max(initial=0) + 1)
    weights = np.exp(-0.5 * (offsets / sigma[:, None]) ** 2) * (offsets <= radius[:, None])
    return weights / (2 * weights.sum(1, keepdims=True) - 1)


def _blur(x: torch.Tensor, weights: torch.Tensor, radius: np.ndarray) -> torch.Tensor:
    """Blur each image with its own Gaussian: shifted copies, weighted and added, of those that it is wide enough for.

    The images stand by falling radius; `radius` in any order.
    """
    r = weights.shape[1] - 1
    weights = weights.view(*weights.shape, 1, 1, 1)
    for dim, pad in ((3, (r, r, 0, 0)), (2, (0, 0, r, r))):
        length, padded = x.shape[dim], F.pad(x, pad, mode="reflect")
        x = weights[:, 0] * x
        for k in range(1, r + 1):
            n = int((radius >= k).sum())
            for start in (r - k, r + k):
                x[:n].addcmul_(weights[:n, k], padded[:n].narrow(dim, start, length))
    return x


def _sharpen(x: torch.Tensor) -> torch.Tensor:
    """Apply torchvision's sharpness factor 2: twice the image less its 3 x 3 smoothing, borders kept."""
    height, width = x.shape[2:]
    around = sum(x[:, :, i : i + height - 2, j : j + width - 2] for i in range(3) for j in range(3))
    inner = x[:, :, 1:-1, 1:-1]
    sharp = x.clone()
    sharp[:, :, 1:-1, 1:-1] = 2 * inner - (around + 4 * inner) / 13
    return sharp
