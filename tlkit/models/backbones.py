"""Encoders by name: one module, and so one set of state-dict keys, for classification and segmentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, partial
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tlkit import plugins
from tlkit.config import ConfigError, TlkitError, UnknownNameError, nearest
from tlkit.models.parts import batch_norms, eval_mode, initial_weights


class NoPyramidError(TlkitError, ValueError):
    """The encoder has no halving feature maps, so no U-Net can be put on it."""


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


BACKBONES = {"resnet10": _resnet10, "unet": "tlkit.published.vanilla_unet:VanillaUNet"}


def backbone(name: str, seed: int | None = None, **options: Any) -> nn.Module:
    """Return an untrained encoder: float [B,3,H,W] -> pooled features [B, encoder.num_features].

    `name`: "resnet10" (ours: 1.2 million parameters, 256 features), "unet" (see published.vanilla_unet), any name of
    `timm.list_models()` (timm's resnet50 is torchvision's, key by key), or "torchvision/<name>". `options` go
    to the library's constructor, e.g. img_size for a ViT. `seed` decides the weights without touching the
    global generators. No encoder subtracts a mean or divides by a deviation: that is the recipe's part.
    Nothing is ever downloaded: pretrained weights come by `load_encoder` and `load_card` of tlkit.models.
    Raises UnknownNameError, with the nearest name.
    """
    check_name(name)
    with initial_weights(seed):
        if name in BACKBONES:
            return plugins.find(name, BACKBONES, "backbone")(**options)
        if name.startswith("torchvision/"):
            return _torchvision(name.removeprefix("torchvision/"), **options)
        return _timm(name, **options)


@cache
def check_name(name: str) -> None:
    """Raise UnknownNameError, with the nearest name, for a backbone that there is not."""
    library, _, model = name.rpartition("/")
    if name in BACKBONES or (library in ("", "torchvision") and _registered(library or "timm", model)):
        return
    if name.startswith("torchvision/"):
        from torchvision import models

        names = [f"torchvision/{n}" for n in models.list_models(module=models)]
        if name not in names:
            raise _unknown(name, names)
        return
    import timm

    if not timm.is_model(name):
        raise _unknown(name, [*BACKBONES, *timm.list_models()])


def _registered(library: str, name: str) -> bool:
    """Tell whether a library's source registers a model, without the import, which takes seconds; False: ask it."""
    there = find_spec(library)
    wanted = re.compile(rf"^@register_model.*\n(?:@.*\n)*def {re.escape(name)}\(".encode(), re.MULTILINE)
    files = Path(there.origin).parent.glob("models/*.py") if there and there.origin else ()
    return any(wanted.search(file.read_bytes()) for file in files)


def _unknown(name: str, allowed: list[str]) -> UnknownNameError:
    return UnknownNameError(
        f"unknown backbone '{name}'.{nearest(name, allowed)} Allowed: {', '.join(BACKBONES)}, every name of "
        f"timm.list_models(), and 'torchvision/' before every name of torchvision.models.list_models()."
    )


def _timm(name: str, **options: Any) -> nn.Module:
    import timm

    options = options if "img_size" in options else free_size(name) | options
    model = timm.create_model(name, pretrained=False, num_classes=0, **options)
    model.num_features = model.head_hidden_size  # MobileNetV3 and VGG widen behind the last map
    return _ones(model)


def free_size(name: str) -> dict[str, Any]:
    """Return the options with which timm's model takes images of any size: a ViT's grid is stretched, Swin's padded.

    Images of the size that it was made for give the same output as without. {} where none is needed.
    """
    import timm

    said, module = timm.get_pretrained_cfg(name), timm.models.model_entrypoint(name).__module__
    if not (said and said.fixed_input_size):
        return {}
    if module not in _FREE:  # the models of a module are of one class
        _FREE[module] = next(options for options in FREE if _takes(name, options))
    return _FREE[module]


FREE = ({"dynamic_img_size": True, "dynamic_img_pad": True}, {"strict_img_size": False}, {})
_FREE: dict[str, dict[str, Any]] = {}


def _takes(name: str, options: dict[str, Any]) -> bool:
    import timm

    try:
        with torch.device("meta"):
            timm.create_model(name, pretrained=False, num_classes=0, **options)
    except TypeError:
        return False
    return True


def checkpoint_activations(encoder: nn.Module) -> nn.Module:
    """Let a timm encoder compute its activations again for the gradient: less memory, about a third more time.

    Raises ConfigError for an encoder that can't.
    """
    try:
        encoder.set_grad_checkpointing(True)
    except (AttributeError, AssertionError) as error:
        raise ConfigError(
            f"recipe.checkpointing is true, but {type(encoder).__name__} can't compute activations again. Say false, "
            "or take a backbone of timm; recipe.group saves memory with any."
        ) from error
    return encoder


def _ones(model: nn.Module) -> nn.Module:
    """Start every BatchNorm at 1 as torchvision does: timm's zeros would never move under published LARS."""
    for norm in batch_norms(model):
        if norm.weight is not None and not norm.weight.is_meta and not norm.weight.any():
            nn.init.ones_(norm.weight)
    return model


# Without auxiliary heads, and Inception without its hidden re-scaling of the input (radiologynet2025 1.8, 2.4): what
# the published weights need of the input is on their card.
_PLAIN = {"aux_logits": False, "init_weights": True}
TORCHVISION = {"inception_v3": _PLAIN | {"transform_input": False}, "googlenet": _PLAIN | {"transform_input": False}}
SMALLEST = {"inception_v3": 75, "densenet121": 29, "vgg16": 32}  # pixels; a map of fewer would vanish on the way


def _torchvision(name: str, **options: Any) -> nn.Module:
    """Return a torchvision model without its last linear layer; what lies before that (dropout, MobileNet's
    hidden layer) stays. VGG's and AlexNet's three dense layers go: their features are the mean over the map.
    """
    from torchvision import models

    model = models.get_model(name, weights=None, **TORCHVISION.get(name, {}) | options)
    part = next((p for p in ("fc", "classifier", "heads", "head") if hasattr(model, p)), "none")
    linear = [n for n, m in model.named_modules() if isinstance(m, nn.Linear) and n.split(".")[0] == part]
    if not linear:
        raise ConfigError(f"torchvision/{name} ends in no linear classifier that could be taken off.")
    pool = getattr(model, "avgpool", None)
    size = getattr(pool, "output_size", 1)
    if isinstance(pool, nn.AdaptiveAvgPool2d) and size not in (1, (1, 1)):  # 7 x 7 or 6 x 6 cells
        model.avgpool = nn.AdaptiveAvgPool2d(1)
        model.num_features = model.get_submodule(linear[0]).in_features // (size[0] * size[1])
        setattr(model, part, nn.Flatten(1))
    else:
        model.num_features = model.get_submodule(linear[-1]).in_features
        model.set_submodule(linear[-1], nn.Identity())
    model.smallest = smallest(f"torchvision/{name}")
    model.register_forward_pre_hook(partial(_at_least, name))
    return model


def smallest(name: str) -> int:
    """Return the fewest pixels of an image that a backbone takes, as far as that is known; else 1."""
    return SMALLEST.get(name.removeprefix("torchvision/"), 1) if name.startswith("torchvision/") else 1


def _at_least(name: str, model: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    size = min(inputs[0].shape[-2:])
    if size < model.smallest:
        raise ConfigError(
            f"{name} needs images of at least {model.smallest} pixels, found {size}. Raise `size` in the study file, "
            "or take another backbone."
        )


def pyramid(encoder: nn.Module, x: Tensor) -> list[Tensor]:
    """Return the encoder's feature maps from fine to coarse, the last one of each resolution.

    For a ResNet: after the first ReLU (1/2), then layer1 (1/4) to layer4 (1/32). The last map is what
    Grad-CAM needs. Raises NoPyramidError for an encoder whose forward pass is not a row of stages.
    """
    maps = stages(encoder, x)
    return [a for a, b in pairwise(maps) if a.shape[-1] != b.shape[-1]] + maps[-1:]


def stages(encoder: nn.Module, x: Tensor) -> list[Tensor]:
    """Return what every stage of the encoder puts out, also several of one resolution, from the first to the last."""
    if hasattr(encoder, "forward_intermediates"):
        return encoder.forward_intermediates(x, intermediates_only=True)
    return list(_walk(encoder, x))


def _walk(encoder: nn.Module, x: Tensor) -> Iterator[Tensor]:
    """Yield what each step of a torchvision model puts out."""
    if hasattr(encoder, "features"):
        steps = list(encoder.features)
        if isinstance(steps[-1], nn.BatchNorm2d):
            steps.append(nn.ReLU())  # DenseNet's last one lies outside its features
    elif hasattr(encoder, "layer4"):
        names = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
        steps = [getattr(encoder, n) for n in names]
    elif hasattr(encoder, "Mixed_7c"):  # Inception-v3
        steps = [m for n, m in encoder.named_children() if n not in ("avgpool", "dropout", "fc")]
    else:
        raise NoPyramidError(f"{type(encoder).__name__} is not a row of stages; take a ResNet.")
    for step in steps:
        x = step(x)
        yield x


def pyramid_levels(encoder: nn.Module, size: int = 64) -> list[tuple[int, int]]:
    """Return (channels, reduction) of each map of `pyramid`, e.g. [(64, 2), ..., (2048, 32)] for a ResNet-50.

    Found by one pass of a blank image of `size` pixels (or the fewest it takes) in evaluation mode, so no BatchNorm
    statistic moves.
    Raises NoPyramidError where the maps do not halve step by step (plain ViTs).
    """
    first = next(encoder.parameters())
    size = max(size, getattr(encoder, "smallest", 1))
    try:
        with torch.no_grad(), eval_mode(encoder):
            maps = pyramid(encoder, torch.zeros(1, 3, size, size, device=first.device, dtype=first.dtype))
    except (AssertionError, RuntimeError) as error:  # ViTs of another fixed size
        raise NoPyramidError(f"{type(encoder).__name__} can't map an image of {size} pixels: {error}") from error
    levels = [(m.shape[1], size // m.shape[-1]) for m in maps]
    halving = all(b[1] == 2 * a[1] for a, b in pairwise(levels))
    if len(levels) < 2 or not halving or levels[0][1] not in (1, 2, 4):
        raise NoPyramidError(
            f"{type(encoder).__name__} gives maps of reduction {[r for _, r in levels]}; a U-Net needs maps "
            f"that halve step by step. Take a convolutional encoder such as 'resnet10' or 'resnet50'."
        )
    return levels
