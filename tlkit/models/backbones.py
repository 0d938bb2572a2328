"""Encoders by name: one module, and so one set of state-dict keys, for classification and segmentation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tlkit.config import TlkitError, UnknownNameError, nearest


class NoPyramidError(TlkitError, ValueError):
    """The encoder has no halving feature maps, so no U-Net can be put on it."""


@contextmanager
def initial_weights(seed: int | None) -> Iterator[None]:
    """Let `seed` alone decide the weights made inside; the global generators are left as they were."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # not torch.manual_seed: that one reseeds the GPUs too
        yield


def _resnet10(**options: Any) -> nn.Module:
    from timm.models.resnet import BasicBlock, ResNet

    widths = (32, 64, 128, 256)
    model = ResNet(BasicBlock, [1, 1, 1, 1], channels=widths, num_classes=0, **options)
    # timm's stem is always 64 wide; at half that, a training step on the CPU takes two thirds of the time.
    model.conv1 = nn.Conv2d(model.conv1.in_channels, 32, 7, stride=2, padding=3, bias=False)
    model.bn1 = nn.BatchNorm2d(32)
    model.layer1[0] = BasicBlock(32, 32)
    model.feature_info[0]["num_chs"] = 32
    model.init_weights()
    return _ones(model)


def batch_norms(module: nn.Module) -> list[nn.Module]:
    """Return every BatchNorm layer of `module`."""
    return [m for m in module.modules() if isinstance(m, _BatchNorm)]


BACKBONES = {"resnet10": _resnet10}


def backbone(name: str, seed: int | None = None, **options: Any) -> nn.Module:
    """Return an untrained encoder: float [B,3,H,W] -> pooled features [B, encoder.num_features].

    `name`: "resnet10" (ours: 1.2 million parameters, 256 features), any name of `timm.list_models()` (timm's
    resnet50 is torchvision's, key by key), or "torchvision/<name>". `options` go to the library's
    constructor, e.g. img_size for a ViT. `seed` decides the weights without touching the global generators.
    Nothing is ever downloaded: pretrained weights come by `tlkit.models.load_encoder`.
    Raises UnknownNameError, with the nearest name.
    """
    with initial_weights(seed):
        if name in BACKBONES:
            return BACKBONES[name](**options)
        if name.startswith("torchvision/"):
            return _torchvision(name.removeprefix("torchvision/"), **options)
        return _timm(name, **options)


def _unknown(name: str, allowed: list[str]) -> UnknownNameError:
    return UnknownNameError(
        f"unknown backbone '{name}'.{nearest(name, allowed)} Allowed: {', '.join(BACKBONES)}, every name of "
        f"timm.list_models(), and 'torchvision/' before every name of torchvision.models.list_models()."
    )


def _timm(name: str, **options: Any) -> nn.Module:
    import timm

    if not timm.is_model(name):
        raise _unknown(name, [*BACKBONES, *timm.list_models()])
    model = timm.create_model(name, pretrained=False, num_classes=0, **options)
    model.num_features = model.head_hidden_size  # MobileNetV3 and VGG widen behind the last map
    return _ones(model)


def _ones(model: nn.Module) -> nn.Module:
    """Start every BatchNorm at 1 as torchvision does: timm's zeros would never move under published LARS."""
    for norm in batch_norms(model):
        if norm.weight is not None and not norm.weight.any():
            nn.init.ones_(norm.weight)
    return model


def _torchvision(name: str, **options: Any) -> nn.Module:
    from torchvision import models

    names = models.list_models(module=models)
    if name not in names:
        raise _unknown(f"torchvision/{name}", [f"torchvision/{n}" for n in names])
    model = models.get_model(name, weights=None, **options)
    part = next((p for p in ("fc", "classifier", "heads", "head") if hasattr(model, p)), None)
    linear = next((m for m in getattr(model, part or "", model).modules() if isinstance(m, nn.Linear)), None)
    if part is None or linear is None:
        raise ValueError(f"torchvision/{name} ends in no linear classifier that could be taken off.")
    pool, cells = getattr(model, "avgpool", None), 1
    if isinstance(pool, nn.AdaptiveAvgPool2d) and isinstance(pool.output_size, tuple):
        cells = pool.output_size[0] * pool.output_size[1]  # VGG and AlexNet flatten 7 x 7 or 6 x 6 cells
        model.avgpool = nn.AdaptiveAvgPool2d(1)
    model.num_features = linear.in_features // cells
    setattr(model, part, nn.Flatten(1))
    return model


def pyramid(encoder: nn.Module, x: Tensor) -> list[Tensor]:
    """Return the encoder's feature maps from fine to coarse, the last one of each resolution.

    For a ResNet: after the first ReLU (1/2), then layer1 (1/4) to layer4 (1/32). The last map is what
    Grad-CAM needs. Raises NoPyramidError for an encoder whose forward pass is not a row of stages.
    """
    if hasattr(encoder, "forward_intermediates"):
        maps = encoder.forward_intermediates(x, intermediates_only=True)
    else:
        maps = list(_walk(encoder, x))
    return [a for a, b in pairwise(maps) if a.shape[-1] != b.shape[-1]] + maps[-1:]


def _walk(encoder: nn.Module, x: Tensor) -> Iterator[Tensor]:
    """Yield what each step of a torchvision model puts out."""
    if hasattr(encoder, "features"):
        steps = list(encoder.features)
    elif hasattr(encoder, "layer4"):
        names = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
        steps = [getattr(encoder, n) for n in names]
    else:
        raise NoPyramidError(f"{type(encoder).__name__} is not a row of stages; take a ResNet.")
    for step in steps:
        x = step(x)
        yield x


def pyramid_levels(encoder: nn.Module, size: int = 64) -> list[tuple[int, int]]:
    """Return (channels, reduction) of each map of `pyramid`, e.g. [(64, 2), ..., (2048, 32)] for a ResNet-50.

    Found by one pass of a blank image of `size` pixels in evaluation mode, so no BatchNorm statistic moves.
    Raises NoPyramidError where the maps do not halve step by step (plain ViTs).
    """
    modes = {m: m.training for m in encoder.modules()}
    first = next(encoder.parameters())
    encoder.eval()
    try:
        with torch.no_grad():
            maps = pyramid(encoder, torch.zeros(1, 3, size, size, device=first.device, dtype=first.dtype))
    except (AssertionError, RuntimeError) as error:  # ViTs of another fixed size, Inception
        raise NoPyramidError(f"{type(encoder).__name__} can't map an image of {size} pixels: {error}") from error
    finally:
        for module, mode in modes.items():
            module.training = mode
    levels = [(m.shape[1], size // m.shape[-1]) for m in maps]
    halving = all(b[1] == 2 * a[1] for a, b in pairwise(levels))
    if len(levels) < 2 or not halving or levels[0][1] not in (1, 2, 4):
        raise NoPyramidError(
            f"{type(encoder).__name__} gives maps of reduction {[r for _, r in levels]}; a U-Net needs maps "
            f"that halve step by step. Take a convolutional encoder such as 'resnet10' or 'resnet50'."
        )
    return levels
