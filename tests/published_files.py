"""Small files with the tensor names and shapes of published weights: every tensor is one number, repeated."""

from __future__ import annotations

import tarfile
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision import models

from tlkit.models import backbone


def tensors(arch: str, **options) -> dict[str, Tensor]:
    """Return the state dict of torchvision's whole `arch` with a different number in each tensor.

    A tensor takes the bytes of one number, whatever its shape. VGG's first dense layer is left out: read back it
    would take 400 MB.
    """
    if arch == "inception_v3":
        options = {"init_weights": False} | options
    with torch.device("meta"):
        whole = models.get_model(arch, weights=None, **options).state_dict()
    whole.pop("classifier.0.weight" if arch == "vgg16" else "", None)
    return {k: torch.tensor(i, dtype=v.dtype).expand(v.shape) for i, (k, v) in enumerate(whole.items())}


def empty(name: str) -> nn.Module:
    """Return a backbone with whatever lies in memory as weights: made in no time."""
    with torch.device("meta"):
        encoder = backbone(name)
    encoder.to_empty(device="cpu")
    for tensor in encoder.state_dict().values():
        tensor.fill_(-1)
    return encoder


def checkpoint(state: dict[str, Tensor], model_name: str) -> dict:
    """Return the dict that RadiologyNET's training wrote (radiologynet2025 1.9), with some of Adam's state."""
    moment = {"step": torch.tensor(3.0), "exp_avg": torch.zeros(4), "exp_avg_sq": torch.zeros(4)}
    return {
        "time": "2023-05-01 12:00:00",
        "model_state": state,
        "model_name": model_name,
        "optimizer_state": {"state": {0: moment}, "param_groups": [{"lr": 1e-4, "betas": (0.9, 0.999), "params": [0]}]},
        "optimizer_name": "AdamW",
        "epoch": 12,
    }


def pack(archive: Path, *members: tuple[str, Path]) -> Path:
    """Write a .tar.gz of files under the names given."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w:gz") as tar:
        for name, path in members:
            tar.add(path, arcname=name)
    return archive
