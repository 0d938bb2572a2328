"""Which network a weights file is of: told by the names and shapes of its tensors, without memory for any weight."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from tlkit.config import TlkitError
from tlkit.models.backbones import backbone
from tlkit.models.key_rules import renamer
from tlkit.models.parts import choose_stem, first_convolution, regrid
from tlkit.models.weights import POSITIONS

Shapes = Mapping[str, tuple[int, ...]]

FAMILIES: dict[str, tuple[str, ...]] = {  # a part of a tensor's name in any style of file: what has it
    r"conv1\.weight|conv2\.0\.weight": (
        "torchvision/resnet18", "torchvision/resnet34", "torchvision/resnet50", "torchvision/resnet101",
        "torchvision/resnet152", "torchvision/wide_resnet50_2", "torchvision/wide_resnet101_2",
        "torchvision/resnext50_32x4d", "torchvision/resnext101_32x8d", "resnet10", "resnet26d", "resnet50d",
    ),
    r"denselayer": (
        "torchvision/densenet121", "torchvision/densenet169", "torchvision/densenet201", "torchvision/densenet161",
    ),
    r"conv_dw\.weight|_depthwise_conv|conv_pw\.weight": (
        "tf_efficientnet_lite0", "efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3",
        "efficientnet_b4", "tf_efficientnetv2_s", "tf_efficientnetv2_b0", "mobilenetv2_100", "mobilenetv3_large_100",
        "mobilenetv3_small_100", "mobilenetv3_small_050",
    ),
    r"block\.\d\.\d\.weight|\.conv\.\d\.\d\.weight": (
        "torchvision/efficientnet_b0", "torchvision/efficientnet_b1", "torchvision/efficientnet_b2",
        "torchvision/efficientnet_b3", "torchvision/efficientnet_b4", "torchvision/efficientnet_v2_s",
        "torchvision/mobilenet_v2", "torchvision/mobilenet_v3_small", "torchvision/mobilenet_v3_large",
    ),
    r"(^|\.)(features|0)\.\d+\.weight": (
        "torchvision/vgg11", "torchvision/vgg16", "torchvision/vgg19", "torchvision/vgg16_bn", "torchvision/alexnet",
    ),
    r"branch_pool|5b\.branch1x1": ("torchvision/inception_v3",),
    r"attn\.qkv\.weight": (
        "vit_tiny_patch16_224", "vit_small_patch16_224", "vit_base_patch16_224", "vit_small_patch8_224",
        "vit_base_patch8_224", "vit_small_patch32_224", "vit_base_patch32_224", "vit_large_patch16_224",
        "deit_tiny_patch16_224", "deit_small_patch16_224", "deit_base_patch16_224", "deit_tiny_distilled_patch16_224",
        "deit_small_distilled_patch16_224", "deit_base_distilled_patch16_224", "deit3_small_patch16_224",
        "deit3_base_patch16_224", "vit_small_patch14_dinov2", "vit_base_patch14_dinov2", "vit_large_patch14_dinov2",
        "vit_small_patch14_reg4_dinov2", "vit_base_patch14_reg4_dinov2", "vit_small_patch16_dinov3",
        "vit_base_patch16_dinov3",
    ),
    r"in_proj_weight": ("torchvision/vit_b_16", "torchvision/vit_b_32"),
    r"relative_position_bias_table": (
        "swin_tiny_patch4_window7_224", "swin_small_patch4_window7_224", "swin_base_patch4_window7_224",
        "torchvision/swin_t", "torchvision/swin_s", "torchvision/swin_b",
    ),
    r"blocks\.\d+\.conv_dw\.weight": (
        "convnext_atto", "convnext_femto", "convnext_pico", "convnext_nano", "convnext_tiny", "convnext_small",
        "convnext_base", "convnextv2_atto", "convnextv2_nano", "convnextv2_tiny", "convnextv2_base",
    ),
    r"layer_scale": ("torchvision/convnext_tiny", "torchvision/convnext_small", "torchvision/convnext_base"),
    r"down\.0\.": ("unet",),
}  # fmt: skip
STYLES = {  # a rule of key_rules, where some name of the file looks like that
    "": r"",
    "children": r"(^|\.)\d+\.",
    "densenet_dots": r"denselayer\d+\.(norm|conv)\.[12]\.",
    "efficientnet_pytorch": r"(^|\.)_blocks\.",
    "block_chunks": r"(^|\.)blocks\.\d+\.\d+\.norm1",
}
ANCHORS = {"efficientnet_pytorch": ("_conv_stem.weight", "_conv_head.weight")}  # names in the file, where a rule says
COUNTER = "num_batches_tracked"
MOST_EXCESS = 0.1  # of the tensors that fit, see weights.LoadReport.deeper
GUESSED = 0.5  # share of an encoder's tensors below which a file is not thought to be of it

SETTLED = ("teacher",)  # which DINO evaluates
BESIDE = ("student", "encoder_k", "momentum", "target", "ema", "key")  # copies that MoCo and BYOL do not evaluate


@dataclass(frozen=True)
class Found:
    """A network that a file fits: the tensors whose names begin with `prefix`, put through `rules`.

    `matched` of the `total` tensors of the encoder have their names and shapes (a first convolution of other channels
    and positions of another grid count); `excess` more are of the same parts. `alike` are other networks with the same
    tensors.
    """

    backbone: str
    prefix: str
    rules: tuple[str, ...]
    matched: int
    total: int
    excess: int
    alike: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether all of the network is in the file, and next to nothing else."""
        return self.matched == self.total and self.excess <= MOST_EXCESS * self.matched

    @property
    def said(self) -> str:
        """Prefix and rules as a study file has them; "" where there is none."""
        told = [f"prefix: '{self.prefix}'"] if self.prefix else []
        return ", ".join(told + ([f"rules: [{', '.join(self.rules)}]"] if self.rules else []))


class TwoEncodersError(TlkitError, ValueError):
    """A file holds several encoders, and nothing says which one is meant; `.found` are they."""

    def __init__(self, found: Sequence[Found]):
        which = ", ".join(f"'{f.prefix}' ({f.backbone})" for f in found)
        super().__init__(f"holds {len(found)} encoders and nothing says which one is meant: {which}.")
        self.found = found


class _Still(TorchFunctionMode):
    """Leaves the values of tensors alone: weights without memory need no draw, which takes most of a network's time."""

    DRAWS = ("add_", "clamp_", "div_", "erfinv_", "fill_", "mul_", "normal_", "uniform_", "zero_")

    def __torch_function__(self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if getattr(function, "__name__", "") in self.DRAWS:
            return args[0] if args else kwargs["tensor"]
        return function(*args, **(kwargs or {}))


@cache
def fingerprint(name: str) -> tuple[nn.Module, dict[str, tuple[int, ...]], str]:
    """Return a backbone without memory, the shapes of its tensors by name, and the name of its first convolution."""
    with torch.device("meta"), _Still():
        model = backbone(name)
    shapes = {k: tuple(v.shape) for k, v in model.state_dict().items() if not k.endswith(COUNTER)}
    return model, shapes, first_convolution(model)


def candidates(shapes: Shapes, hint: str = "") -> list[str]:
    """Return the networks that a file may be of, first those whose names stand in `hint`, such as its own name."""
    names = "\n".join(shapes)
    found = [n for marker, of in FAMILIES.items() if re.search(marker, names, re.MULTILINE) for n in of]
    found = list(dict.fromkeys(found))
    return list(dict.fromkeys([*find_named(hint, found), *found]))


def find_named(hint: str, among: Iterable[str]) -> list[str]:
    """Return the networks, of `among` and of timm, that a text names, the longest name first."""
    if not hint:
        return []
    import timm

    text = _plain(hint)
    said = [n for n in (*among, *timm.list_models()) if len(bare := _plain(n.rpartition("/")[2])) > 4 and bare in text]
    longest = max((len(n.rpartition("/")[2]) for n in said), default=0)
    return [n for n in dict.fromkeys(said) if len(n.rpartition("/")[2]) == longest]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower())


def search(tensors: Mapping[str, Tensor], hint: str = "", only: str = "", prefix: str | None = None) -> list[Found]:
    """Return what a file fits at all, the best first: one network for every prefix of names.

    `hint` is the name of the file; `only`, a backbone, and `prefix` are looked at alone where they are said. Raises
    UnknownNameError for a backbone that there is not.
    """
    shapes = {k: tuple(v.shape) for k, v in tensors.items()}
    found: dict[str, list[Found]] = {}
    for name in [only] if only else candidates(shapes, hint):
        for each in _fits(name, shapes, prefix):
            found.setdefault(each.prefix, []).append(each)
    best = [_best(each) for each in found.values()]
    return sorted(best, key=_worth, reverse=True)


def best(tensors: Mapping[str, Tensor]) -> Found | None:
    """Return the first of `search`, or None where nothing fits by half."""
    return next((f for f in search(tensors) if f.matched >= GUESSED * f.total), None)


def _worth(found: Found) -> tuple:
    return found.whole, found.matched / found.total, found.matched, -found.excess


def _best(found: Sequence[Found]) -> Found:
    first = max(found, key=_worth)  # of equals the first
    alike = [f.backbone for f in found if f.backbone != first.backbone and _worth(f) == _worth(first)]
    return Found(**(vars(first) | {"alike": tuple(dict.fromkeys(alike))}))


def _fits(name: str, shapes: Shapes, only: str | None) -> Iterable[Found]:
    """Yield how the tensors fit one network, for every prefix and style of names that has anything of it."""
    model, target, first = fingerprint(name)
    parts = {n.partition(".")[0] for n in target}
    for style, marker in STYLES.items():
        if marker and not any(re.search(marker, key) for key in shapes):
            continue
        rename = renamer([style] if style else [], model)
        for prefix in _prefixes(shapes, _anchors(model, target, style)) if only is None else [only]:
            mine = {rename(k.removeprefix(prefix)): v for k, v in shapes.items() if k.startswith(prefix)}
            hits = sum(mine.get(n) == shape for n, shape in target.items())
            hits += first in mine and _other_channels(mine[first], target[first])
            hits += sum(n.endswith(POSITIONS) and _other_grid(mine.get(n, ()), s) for n, s in target.items())
            more = (n for n in mine if n not in target and n.partition(".")[0] in parts and not n.endswith(COUNTER))
            if hits:
                yield Found(name, prefix, (style,) if style else (), hits, len(target), len(list(more)))


def _other_channels(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return bool(choose_stem(found, wanted))


def _other_grid(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    moved = found != wanted and len(found) == 3 and regrid(torch.zeros(found), wanted)
    return moved is not False and moved is not None


def _anchors(model: nn.Module, target: Shapes, style: str) -> list[str]:
    """Return the names in a file of some tensors all over the network."""
    if style in ANCHORS:
        return list(ANCHORS[style])
    names = list(target)
    some = [names[0], names[len(names) // 3], names[2 * len(names) // 3], names[-1]]
    if style == "children":
        places = [name for name, _ in model.named_children()]
        some = [f"{places.index(n.partition('.')[0])}.{n.partition('.')[2]}" for n in some if "." in n]
    return some


def _prefixes(shapes: Shapes, anchors: Iterable[str]) -> list[str]:
    found = (k.removesuffix(a) for a in anchors for k in shapes if k == a or k.endswith(f".{a}"))
    return list(dict.fromkeys(found))


def choose(found: Sequence[Found], tensors: Mapping[str, Tensor]) -> Found | None:
    """Return what of `search` a file is of, or None where nothing fits by half.

    Of several whole encoders with other weights each: the teacher's, else the one that is no slowly moving copy, as
    their authors evaluate them. Raises TwoEncodersError where more than one is left.
    """
    whole = _different([f for f in found if f.whole], tensors)
    if not whole:
        return next((f for f in found if f.matched >= GUESSED * f.total), None)
    ranked = [(min(_rank(f.prefix) for f in whole) == _rank(f.prefix), f) for f in whole]
    left = [f for first, f in ranked if first]
    if len(left) > 1:
        raise TwoEncodersError(left)
    return left[0]


def _rank(prefix: str) -> int:
    if any(word in prefix for word in SETTLED):
        return 0
    return 2 if any(re.search(rf"(^|[._]){word}", prefix) for word in BESIDE) else 1


def _different(found: Sequence[Found], tensors: Mapping[str, Tensor]) -> list[Found]:
    """Return the encoders without those whose tensors are all those of an earlier one."""
    kept: dict[tuple, Found] = {}
    for each in found:
        mine = [v for k, v in tensors.items() if k.startswith(each.prefix) and v.ndim > 1][:: max(1, each.total // 20)]
        kept.setdefault((each.backbone, *(float(v.double().sum()) for v in mine)), each)
    return list(kept.values())
