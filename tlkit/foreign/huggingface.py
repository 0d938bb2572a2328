"""Weights of Hugging Face's transformers: its ViT, DeiT and DINOv2 by the names and shapes of timm's."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

MARK = re.compile(r"(^|\.)encoder\.layer\.\d+\.attention\.attention\.query\.weight$")
OTHERS = re.compile(  # names of its other families, and of those whose parts timm names otherwise
    r"(^|\.)(vision_model\.encoder\.layers|embedder\.embedder\.convolution|encoder\.stages\.\d+\.layers"
    r"|attention\.self\.query|layer\.\d+\.attention\.q_proj)"
)
BLOCK = {  # behind encoder.layer.N.
    "layernorm_before": "norm1", "layernorm_after": "norm2", "norm1": "norm1", "norm2": "norm2",
    "attention.output.dense": "attn.proj", "intermediate.dense": "mlp.fc1", "output.dense": "mlp.fc2",
    "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2", "mlp.weights_in": "mlp.fc1", "mlp.weights_out": "mlp.fc2",
}  # fmt: skip
TOP = {
    "embeddings.cls_token": "cls_token", "embeddings.distillation_token": "dist_token",
    "embeddings.position_embeddings": "pos_embed", "embeddings.register_tokens": "reg_token",
    "embeddings.patch_embeddings.projection.weight": "patch_embed.proj.weight",
    "embeddings.patch_embeddings.projection.bias": "patch_embed.proj.bias",
    "layernorm.weight": "norm.weight", "layernorm.bias": "norm.bias",
    "classifier.weight": "head.weight", "classifier.bias": "head.bias",
}  # fmt: skip


def as_timm(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a ViT, DeiT or DINOv2 of transformers as timm names them; those of others as they are."""
    marked = next((m for key in tensors if (m := MARK.search(key))), None)
    if marked is None:
        return dict(tensors)
    before = marked.string[: marked.start() + len(marked[1])]
    found = {_renamed(key.removeprefix(before)): tensor for key, tensor in tensors.items()}
    for key in [key for key in found if key.endswith(".attn.query.weight")]:
        for kind in ("weight", "bias"):
            parts = [
                found.pop(key.replace("query.weight", f"{part}.{kind}"), None) for part in ("query", "key", "value")
            ]
            if all(part is not None for part in parts):
                found[key.replace("query.weight", f"qkv.{kind}")] = torch.cat(parts)
    if "reg_token" in found and {"pos_embed", "cls_token"} <= found.keys():  # timm adds a position to patches alone
        found["cls_token"] = found["cls_token"] + found["pos_embed"][:, :1]
        found["pos_embed"] = found["pos_embed"][:, 1:]
    return found


def _renamed(key: str) -> str:
    if key in TOP:
        return TOP[key]
    block = re.fullmatch(r"encoder\.layer\.(\d+)\.(.+)\.(\w+)", key)
    if not block:
        return key
    number, part, kind = block.groups()
    if scale := re.fullmatch(r"layer_scale(\d)", part):
        return f"blocks.{number}.ls{scale[1]}.{'gamma' if kind == 'lambda1' else kind}"
    if inner := re.fullmatch(r"attention\.attention\.(query|key|value)", part):
        return f"blocks.{number}.attn.{inner[1]}.{kind}"
    return f"blocks.{number}.{BLOCK.get(part, part)}.{kind}"


def say_not_converted(names: Mapping[str, Tensor]) -> str:
    """Return what to say of names of transformers that are not converted; "" for other names."""
    found = next((m[0].strip(".") for key in names if (m := OTHERS.search(key))), "")
    return found and (
        f"`{found}` is a name of Hugging Face's transformers, of which ViT, DeiT and DINOv2 are converted: load it "
        "there, and save the tensors as timm or torchvision names them. "
    )
