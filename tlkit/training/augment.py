"""Augmentation of a whole batch: parameters drawn by key for each image, then one engine for the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
import torch

from tlkit.config import ConfigError, lookup
from tlkit.random import keyed_uniform
from tlkit.training import augment_opencv, augment_torch

DRAWS = ("image", "batch", "group")
JITTER = ("brightness", "contrast", "saturation", "hue")
ORDERS = np.array(list(permutations(range(len(JITTER)))))


@dataclass(frozen=True)
class Augment:
    """What may happen to an image, and how often; the defaults change nothing.

    Strengths mean what they mean in torchvision: `brightness`, `contrast`, `saturation` s draw a factor from
    [1 - s, 1 + s], `hue` a shift in turns from [-hue, hue], all with probability `p_colour`, one after the other in an
    order that is drawn, each cut to [0, 1]; then grey with probability `p_grey`. `crop_scale` is
    the share of the area, `rotate` the largest angle in degrees, `blur_sigma` is in pixels of the result and
    `blur_kernel` its width (0: out to 3 sigma), `p_sharpen` the chance of sharpness factor 2.
    `draw="batch"` gives all images of a step one set of parameters, whatever processes share it (RadiologyNET);
    "group" one to each group of it (`Recipe.group`), as the several GPUs of Jonske et al. had.
    """

    crop_scale: tuple[float, float] = (1.0, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    p_crop: float = 0.0
    p_flip: float = 0.0
    rotate: float = 0.0
    p_rotate: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    p_colour: float = 0.0
    p_grey: float = 0.0
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    blur_kernel: int = 0
    p_blur: float = 0.0
    p_sharpen: float = 0.0
    draw: str = "image"

    def __post_init__(self) -> None:
        lookup(self.draw, dict.fromkeys(DRAWS), "draw")
        for name, value in vars(self).items():
            if name.startswith("p_") and not 0 <= value <= 1:
                raise ConfigError(f"{name}: expected a probability, found {value}")


AUGMENTS = {
    "none": Augment(),
    # Chen et al. 2020 (arXiv:2002.05709, appendix A) with strength s = 1.
    "simclr": Augment(
        crop_scale=(0.08, 1), p_crop=1, p_flip=0.5, p_colour=0.8, p_grey=0.2, p_blur=0.5,
        brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2,
    ),
    # Jonske et al. 2025, the code behind the paper: no blur, one set of parameters for the part of a GPU.
    "simclr_published": Augment(
        crop_scale=(0.08, 1), p_crop=1, p_flip=0.5, p_colour=0.8, p_grey=0.2, draw="group",
        brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2,
    ),
    # Mild, one step for all domains: the body part stays in view and grey values keep their meaning.
    "finetune": Augment(
        crop_scale=(0.6, 1), p_crop=1, p_flip=0.5, p_colour=0.5,
        brightness=0.2, contrast=0.2, saturation=0.1, hue=0.02,
    ),
    # Jonske et al. 2025, classification, one set for the part of a GPU (grey only for ImageNet; it leaves CT as it is).
    "finetune_published": Augment(
        crop_scale=(0.08, 1), p_crop=0.2, p_flip=0.2, p_colour=0.2, p_grey=0.2, p_blur=0.2, p_sharpen=0.2,
        brightness=0.1, contrast=0.1, saturation=0.1, hue=0.2, blur_kernel=3, draw="group",
    ),
    "segmentation": Augment(
        crop_scale=(0.6, 1), p_crop=1, p_flip=0.5, rotate=10, p_rotate=0.5, p_colour=0.5,
        brightness=0.1, contrast=0.1,
    ),
    # Jonske et al. 2025, LiTS (albumentations, one draw for each slice).
    "segmentation_published": Augment(
        crop_scale=(0.08, 1), p_crop=0.2, p_flip=0.2, p_colour=0.2, p_blur=0.2,
        brightness=0.1, contrast=0.1, saturation=0.1, hue=0.2, blur_kernel=3,
    ),
    # radiologynet2025 1.6: published contrast goes up to 1.3, and its hue and saturation do nothing on grey.
    "radiology": Augment(p_flip=0.5, rotate=15, p_rotate=1, p_colour=1, brightness=0.2, contrast=0.2),
    "radiology_published": Augment(
        p_flip=0.5, rotate=15, p_rotate=1, p_colour=1, brightness=0.2, contrast=0.2, draw="batch",
    ),
    # Hands and nodules (radiologynet2025 2.4, 2.5): crops stand for published shifts, +-20 % scale and both flips.
    "hand": Augment(crop_scale=(0.64, 1), p_crop=1, p_flip=0.5, rotate=20, p_rotate=1),
    "nodule": Augment(crop_scale=(0.64, 1), p_crop=1, p_flip=0.5, rotate=180, p_rotate=1),
    "hand_published": Augment(crop_scale=(0.64, 1), p_crop=1, p_flip=0.5, rotate=20, p_rotate=1, draw="batch"),
    # A window of 64 of 96 px (recipe.crop) is 0.444 of the area; +-20 % of either side of it is 0.284 to 0.64.
    "nodule_published": Augment(
        crop_scale=(0.284, 0.64), crop_ratio=(2 / 3, 3 / 2), p_crop=1, p_flip=0.5, rotate=180, p_rotate=1, draw="batch",
    ),
}  # fmt: skip


def levels(
    images: torch.Tensor, window: tuple[float, float] | None = None, intensity: str = "range"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (low, span), float32 [B] each: the grey values that become 0 and, low + span, 1."""
    lookup(intensity, {"range": None, "minmax": None}, "intensity")
    if images.dtype not in (torch.uint8, torch.int16, torch.float32):
        raise ValueError(f"images: expected uint8, int16 (HU) or float32, found {images.dtype}")
    if intensity == "minmax":
        flat = images.flatten(1)
        low, high = flat.amin(1).float(), flat.amax(1).float()
        return low, torch.where(high > low, high - low, 1.0)  # a constant image becomes 0, not NaN
    if images.dtype != torch.int16:
        window = (0.5, 1.0) if images.is_floating_point() else (127.5, 255.0)  # only HU have a window
    elif window is None:
        raise ValueError("int16 images (HU) need window=(centre, width), e.g. (40, 400) for soft tissue")
    centre, width = window
    low, span = (torch.full((len(images),), v, device=images.device) for v in (centre - width / 2, float(width)))
    return low, span


def to_float(images: torch.Tensor, window: tuple[float, float] | None = None, intensity: str = "range") -> torch.Tensor:
    """Return float32 [B, 1 or 3, H, W] in [0, 1] (channels_last) of a store's batch.

    `images`: uint8 [B, H, W] or [B, H, W, 3] (divided by 255), or int16 [B, H, W] in HU, clipped to
    `window=(centre, width)`. `intensity="minmax"` stretches each image from its least to its greatest value
    instead (Jonske et al. 2025). A float batch [B, C, H, W] is taken to lie in [0, 1].
    Raises ValueError for other types and for HU without a window.
    """
    if not images.is_floating_point():
        images = images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2)
    if images.dtype == torch.uint8 and window is None and intensity == "range":
        return images.float().div_(255)  # the bits of the general way, in fewer passes
    low, span = (v.view(-1, 1, 1, 1) for v in levels(images, window, intensity))
    return ((images - low) / span).clamp_(0, 1)


def draw(
    spec: Augment,
    *,
    seed: int,
    epoch: int,
    index: torch.Tensor,
    view: int,
    height: int,
    width: int,
    keys: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Draw the parameters of one view of each image: numpy arrays [B, ...], the same for both engines.

    box (top, left, height, width in whole source pixels), flip, angle (degrees, counter-clockwise), colour (bool: any
    of the four is drawn), brightness, contrast, saturation (factors, 1: none), hue (turns, 0: none), order [B, 4] (of
    JITTER), grey, sigma (0: none), radius, sharpen.
    """
    index = torch.as_tensor(index).cpu()
    count = len(index)
    if spec.draw != "image":
        index = torch.as_tensor(np.full(count, index[0]) if keys is None else keys)
    u = keyed_uniform(seed, epoch, index, 24, stream=view).numpy().astype(np.float64)
    happens = {
        name: u[:, i] < getattr(spec, f"p_{name}")
        for i, name in enumerate(("crop", "flip", "rotate", "colour", "grey", "blur", "sharpen"))
    }
    u = u[:, 7:]

    def factor(column: int, strength: float) -> np.ndarray:
        low = max(0.0, 1 - strength)
        return np.where(happens["colour"], low + u[:, column] * (1 + strength - low), 1.0)

    colour = {name: factor(i, getattr(spec, name)) for i, name in enumerate(JITTER[:3])}
    colour["hue"] = np.where(happens["colour"], (2 * u[:, 3] - 1) * spec.hue, 0.0)
    low, high = spec.blur_sigma
    sigma = np.where(happens["blur"], low + u[:, 4] * (high - low), 0.0)
    radius = np.full(count, spec.blur_kernel // 2) if spec.blur_kernel else np.ceil(3 * sigma).astype(int)
    return {
        "box": _boxes(spec, happens["crop"], u[:, 7:], height, width),
        "flip": happens["flip"],
        "angle": np.where(happens["rotate"], (2 * u[:, 5] - 1) * spec.rotate, 0.0),
        "colour": happens["colour"],
        **{name: values.astype(np.float32) for name, values in colour.items()},
        "order": ORDERS[(u[:, 6] * len(ORDERS)).astype(int)],
        "grey": happens["grey"],
        "sigma": sigma,
        "radius": radius,
        "sharpen": happens["sharpen"],
    }


def _boxes(spec: Augment, crop: np.ndarray, u: np.ndarray, height: int, width: int) -> np.ndarray:
    """Draw torchvision's RandomResizedCrop boxes: of four tries the first that fits, else the last, cut."""
    (a0, a1), (r0, r1) = spec.crop_scale, np.log(spec.crop_ratio)
    area = height * width * (a0 + u[:, 0:4] * (a1 - a0))
    ratio = np.exp(r0 + u[:, 4:8] * (r1 - r0))
    w = np.rint(np.sqrt(area * ratio)).astype(int).clip(1)
    h = np.rint(np.sqrt(area / ratio)).astype(int).clip(1)
    fits = (w <= width) & (h <= height)
    first = np.where(fits.any(1), fits.argmax(1), 3)
    rows = np.arange(len(u))
    h = np.where(crop, h[rows, first].clip(max=height), height)
    w = np.where(crop, w[rows, first].clip(max=width), width)
    top = np.floor(u[:, 8] * (height - h + 1)).astype(int)
    left = np.floor(u[:, 9] * (width - w + 1)).astype(int)
    return np.stack([top, left, h, w], axis=1)


def augment(
    images: torch.Tensor,
    spec: Augment | str,
    *,
    seed: int,
    epoch: int,
    index: torch.Tensor,
    view: int = 0,
    keys: np.ndarray | None = None,
    masks: torch.Tensor | None = None,
    size: int | None = None,
    window: tuple[float, float] | None = None,
    intensity: str = "range",
    engine: str = "auto",
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return a random view of each image, float32 [B, 3, size, size] in [0, 1] (channels_last), and its mask.

    `images`: what `to_float` takes (a store's batch, with `window`, `intensity`) or returns; `masks`: uint8
    [B, H, W], same geometry, nearest neighbour. `index` [B]: sample indices; a view depends on (seed, epoch,
    index, view) alone, not on batch or threads; where `Augment.draw` shares a draw, on `keys` [B] instead of index
    (default: the first one, for all). Grey images stay one channel until
    the end. `engine`: "opencv" (image by image, the default on the CPU) or "torch" (the batch at once, the
    default elsewhere). They agree to about 1e-3 where a crop is not shrunk; where it is, opencv averages
    areas and torch a few taps. Source: SimCLR's view pipeline, Chen et al. 2020, appendix A.
    """
    spec = lookup(spec, AUGMENTS, "augmentation") if isinstance(spec, str) else spec
    if len(index) != len(images):
        raise ValueError(f"index: expected one for each of {len(images)} images, found {len(index)}")
    if engine == "auto":
        engine = "opencv" if images.device.type == "cpu" else "torch"
    chosen = lookup(engine, {"opencv": augment_opencv, "torch": augment_torch}, "engine")
    height, width = images.shape[2:] if images.is_floating_point() else images.shape[1:3]
    views = draw(spec, seed=seed, epoch=epoch, index=index, view=view, height=height, width=width, keys=keys)
    size = size or height
    views["radius"] = views["radius"].clip(max=size - 1)  # a reflected border is at most that wide
    if engine == "torch":
        return chosen.apply(to_float(images, window, intensity), masks, views, size)
    return chosen.apply(images, levels(images, window, intensity), masks, views, size)
