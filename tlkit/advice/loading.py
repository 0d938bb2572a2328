"""How to load the winner's weights without tlkit: a few lines of plain PyTorch, timm or torchvision."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tlkit.config import NotAvailableError
from tlkit.models.backbones import BACKBONES, TORCHVISION, free_size
from tlkit.training.recipe import Recipe

POOLED = ("vgg", "alexnet")  # whose dense layers are taken off: their features are the mean over the map


def write_code(
    file: Path, backbone: str, options: Mapping[str, Any] | None = None, config: Mapping[str, Any] | None = None
) -> str:
    """Return Python that loads a finished run's `model.safetensors`; it names the file without its folder.

    `model` is encoder and head (classes, labels, a number); of a segmentation the encoder, as its decoder is tlkit's.
    With the `config` of the run, `prepare` takes images of the size that it says to what `model` takes. Raises
    NotAvailableError for a backbone that tlkit builds itself: no library knows it.
    """
    from safetensors import safe_open

    with safe_open(str(file), "pt") as kept:
        shapes = {name: tuple(kept.get_slice(name).get_shape()) for name in kept.keys()}  # noqa: SIM118
    library, build = _encoder(backbone, dict(options or {}))
    lines = [
        f"import {library}, torch",
        "from safetensors.torch import load_file",
        "",
        f"tensors = load_file({Path(file).name!r})",
        "part = lambda p: {k[len(p):]: v for k, v in tensors.items() if k.startswith(p)}",
        *build,
        'encoder.load_state_dict(part("encoder."))',
        *_head(shapes),
    ]
    if not lines[-1].startswith("head."):
        lines.append("model = encoder.eval()")
    elif "unit" in shapes:
        lines.append('model = lambda x: tensors["unit"][0] + tensors["unit"][1] * head(encoder.eval()(x))')
    else:
        lines.append("model = torch.nn.Sequential(encoder, head).eval()")
    return "\n".join(lines + (_prepare(config) if config else [])) + "\n"


def _prepare(config: Mapping[str, Any]) -> list[str]:
    """Return the line that brings images to what the network of a run was trained on, with a comment on them."""
    recipe, size = Recipe.from_dict(config["recipe"]), config["data"]["size"]
    how, what = recipe.normalisation, f"x: float [B,3,{size},{size}]"
    values = "each image's own range brought to [0,1]" if recipe.intensity == "minmax" else "values in [0,1]"
    grey = ", grey three times" if how.channels == "grey" else " (grey: three times the same)"
    mean, std = (f"torch.tensor({[round(v, 6) for v in part]}).view(3, 1, 1)" for part in (how.mean, how.std))
    return [f"# {what}, {values}{grey}", f"prepare = lambda x: (x - {mean}) / {std}  # then model(prepare(x))"]


def _encoder(backbone: str, options: dict[str, Any]) -> tuple[str, list[str]]:
    """Return the library and the lines that build the encoder."""
    if backbone in BACKBONES:
        raise NotAvailableError(
            f"the backbone '{backbone}' is tlkit's own, so no library can load it; use tlkit.figures.finished.load."
        )
    if not backbone.startswith("torchvision/") and "img_size" not in options:
        options = free_size(backbone) | options
    more = "".join(f", {k}={v!r}" for k, v in options.items())
    if not backbone.startswith("torchvision/"):
        return "timm", [f"encoder = timm.create_model({backbone!r}, num_classes=0{more})"]
    name = backbone.removeprefix("torchvision/")
    more = "".join(f", {k}={v!r}" for k, v in (TORCHVISION.get(name, {}) | options).items())
    lines = [f"encoder = torchvision.models.get_model({name!r}{more})"]
    if name.startswith(POOLED):
        lines += ["encoder.avgpool = torch.nn.AdaptiveAvgPool2d(1)", "encoder.classifier = torch.nn.Flatten(1)"]
    else:
        lines += [f"encoder.set_submodule({_last_layer(name)!r}, torch.nn.Identity())"]
    return "torchvision", lines


def _last_layer(name: str) -> str:
    """Return the name of a torchvision model's last linear layer, without memory for its weights."""
    import torch
    from torchvision import models

    with torch.device("meta"):
        model = models.get_model(name, weights=None)
    return [n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)][-1]


def _head(shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Return the lines that build the head; nothing for one on a decoder, or on more than the image."""
    weights = {n: s for n, s in shapes.items() if n.startswith("head.") and n.endswith("weight")}
    others = [n for n in shapes if not n.startswith(("encoder.", "head.", "unit"))]
    if others or not weights or any(len(shape) != 2 for shape in weights.values()):
        return []
    built = [
        f"torch.nn.Linear({n_in}, {n_out}{'' if name.removesuffix('weight') + 'bias' in shapes else ', bias=False'})"
        for name, (n_out, n_in) in sorted(weights.items())
    ]
    model = built[0] if len(built) == 1 else f"torch.nn.Sequential({', torch.nn.ReLU(), '.join(built)})"
    return [f"head = {model}", 'head.load_state_dict(part("head."))']
