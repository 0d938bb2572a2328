"""From the names of the tensors in a published file to those of our encoders."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from torch import nn

from tlkit.config import lookup

Renamer = Callable[[str], str]
Rule = str | tuple[str, str]  # a key of RULES, or (prefix in the file, prefix in the encoder)


def children(encoder: nn.Module) -> Renamer:
    """Take `<i>.` or `backbone.<i>.` for the i-th part of the model, as `nn.Sequential(*model.children())` saves it.

    An assumption about RadImageNet's PyTorch files, from its public example; none could be looked into. Of Inception
    the parts are counted without the auxiliary head, as a Sequential that runs must be.
    """
    names = [n for n, _ in encoder.named_children()]

    def rename(key: str) -> str:
        match = re.match(r"(?:backbone\.)?(\d+)\.", key)
        known = match and int(match[1]) < len(names)
        return f"{names[int(match[1])]}.{key[match.end() :]}" if known else key

    return rename


def densenet_dots(encoder: nn.Module) -> Renamer:
    """Take `denselayer1.norm.1.` for `denselayer1.norm1.`: torchvision's DenseNet files are older than its code."""
    return lambda key: re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", key)


def block_chunks(encoder: nn.Module) -> Renamer:
    """Take `blocks.<chunk>.<i>.` for `blocks.<i>.`: DINOv2's training holds its blocks in chunks."""
    return lambda key: re.sub(r"^blocks\.\d+\.(\d+)\.", r"blocks.\1.", key)


EFFICIENTNET = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
SEPARABLE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
INVERTED = {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2", "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}  # fmt: skip


def efficientnet_pytorch(encoder: nn.Module) -> Renamer:
    """Take the names of the EfficientNet-PyTorch packages, blocks counted through, for timm's, counted by stage."""
    stages = getattr(encoder, "blocks", ())
    flat = [(f"blocks.{s}.{b}", block) for s, stage in enumerate(stages) for b, block in enumerate(stage)]

    def rename(key: str) -> str:
        part, _, rest = key.partition(".")
        if part != "_blocks":
            return f"{EFFICIENTNET.get(part, part)}.{rest}"
        index, layer, tensor = rest.split(".", 2)
        if int(index) >= len(flat):
            return key
        prefix, block = flat[int(index)]
        names = INVERTED if hasattr(block, "conv_pwl") else SEPARABLE
        return f"{prefix}.{names.get(layer, layer)}.{tensor}"

    return rename


RULES: dict[str, Callable[[nn.Module], Renamer]] = {
    "block_chunks": block_chunks,
    "children": children,
    "densenet_dots": densenet_dots,
    "efficientnet_pytorch": efficientnet_pytorch,
}


def renamer(rules: Sequence[Rule], encoder: nn.Module) -> Renamer:
    """Return the function that applies `rules` to a tensor's name, one after the other."""
    steps = [_prefix(*r) if isinstance(r, tuple) else lookup(r, RULES, "key rule")(encoder) for r in rules]

    def rename(key: str) -> str:
        for step in steps:
            key = step(key)
        return key

    return rename


def _prefix(old: str, new: str) -> Renamer:
    return lambda key: new + key.removeprefix(old) if key.startswith(old) else key
