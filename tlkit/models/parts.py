"""What all models share: initial weights by seed, modes, BatchNorm layers, float32 heads, maps of equal size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def initial_weights(seed: int | None) -> Iterator[None]:
    """Let `seed` alone decide the weights made inside; the global generators are left as they were."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # not torch.manual_seed: that one reseeds the GPUs too
        yield


@contextmanager
def eval_mode(module: nn.Module) -> Iterator[None]:
    """Put `module` into evaluation mode inside; afterwards each of its parts is in the mode that it was in."""
    modes = {m: m.training for m in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def batch_norms(module: nn.Module) -> list[nn.Module]:
    """Return every BatchNorm layer of `module`."""
    return [m for m in module.modules() if isinstance(m, _BatchNorm)]


def first_convolution(encoder: nn.Module) -> str:
    """Return the name of the weight of the encoder's first convolution; "" where there is none."""
    return next((f"{name}.weight" for name, m in encoder.named_modules() if isinstance(m, nn.Conv2d)), "")


def choose_stem(found: Sequence[int], wanted: Sequence[int]) -> str:
    """Return which of STEMS brings a convolution [outputs, inputs, h, w] to another number of inputs."""
    if len(found) != 4 or found[1] == wanted[1] or (found[0], *found[2:]) != (wanted[0], *wanted[2:]):
        return ""
    return "sum" if wanted[1] == 1 else "repeat" if found[1] == 1 else ""


def regrid(tensor: Tensor, wanted: Sequence[int]) -> Tensor | None:
    """Return a ViT's learned positions [1,N,D] for another grid of patches, as timm stretches them.

    Both hold as many tokens (class, registers) before square grids; None where N is none of such.
    """
    from timm.layers import resample_abs_pos_embed

    if tensor.ndim != 3 or len(wanted) != 3 or (tensor.shape[0], tensor.shape[2]) != (wanted[0], wanted[2]):
        return None
    for before in range(6):
        old, new = ((n - before) ** 0.5 if n > before else 0.5 for n in (tensor.shape[1], wanted[1]))
        if old % 1 == new % 1 == 0:
            return resample_abs_pos_embed(tensor, [int(new)] * 2, num_prefix_tokens=before)
    return None


def in_float32(head: nn.Module, x: Tensor) -> Tensor:
    """Return `head(x)`, under autocast computed in float32.

    Mixed precision is for the encoder: bfloat16 keeps 8 bits of an output, which makes whole months of a bone age, and
    ties of probabilities that AUC and the chosen class depend on.
    """
    kind = x.device.type
    if not (torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)):
        return head(x)
    with torch.autocast(kind, enabled=False):
        return head(x.float())


def fit(x: Tensor, like: Tensor) -> Tensor:
    """Crop or edge-pad `x` at the right and bottom to the size of `like`: odd sizes do not double exactly."""
    h, w = like.shape[-2:]
    x = x[..., :h, :w]
    if x.shape[-2:] == (h, w):
        return x
    return F.pad(x, (0, w - x.shape[-1], 0, h - x.shape[-2]), mode="replicate")
