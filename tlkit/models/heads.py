"""Encoder plus head, and which part of them may learn."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tlkit.config import ConfigError, lookup
from tlkit.models.parts import batch_norms, in_float32, initial_weights

FREEZING = {  # what is frozen -> the BatchNorm policies it can have, the default first
    "none": ("train", "frozen"),
    "encoder": ("frozen", "adapt"),
}


class TransferModel(nn.Module):
    """An encoder with a head, which is computed in float32; `train()` keeps to what `freeze` decided."""

    def __init__(self, encoder: nn.Module, head: nn.Module):
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.freezing = ("none", "train")

    def forward(self, x: Tensor) -> Tensor:
        return in_float32(self.head, self.encoder(x))

    def train(self, mode: bool = True) -> TransferModel:
        """Set the mode and return itself; what keeps its BatchNorm statistics stays in evaluation."""
        super().train(mode)
        what, bn = self.freezing
        if (what, bn) == ("encoder", "frozen"):
            self.encoder.eval()
        elif bn == "frozen":
            for norm in batch_norms(self.encoder):
                norm.eval()
        return self


def freeze(model: TransferModel, what: str = "none", bn: str | None = None) -> TransferModel:
    """Decide what learns, and return `model`; holds until the next call, whatever `train()` is told.

    what="none": all parameters learn. bn="train" (default), or "frozen": the encoder's BatchNorm layers keep
    statistics and affine parameters. what="encoder": only the rest learns. bn="frozen" (default): the encoder
    is in evaluation mode and keeps every bit; "adapt" (the published "linear evaluation", jonske2025 3.3):
    its BatchNorm affine parameters learn and its statistics move. Raises ConfigError for other pairs.
    """
    bn = check_frozen(what, bn)
    model.freezing = (what, bn)
    model.encoder.requires_grad_(what == "none")
    if bn != "train":
        for norm in batch_norms(model.encoder):
            norm.requires_grad_(bn == "adapt")
    return model.train(model.training)


def check_frozen(what: str, bn: str | None) -> str:
    """Return the BatchNorm policy that `freeze` takes, the default for None; raise ConfigError for other pairs."""
    allowed = lookup(what, FREEZING, "freezing")
    bn = allowed[0] if bn is None else bn
    if bn not in allowed:
        raise ConfigError(f"freeze={what!r} takes bn={' or '.join(map(repr, allowed))}, not bn={bn!r}.")
    return bn


def classifier(encoder: nn.Module, classes: int, bias: bool = True, seed: int | None = None) -> TransferModel:
    """Return `encoder` with a linear head: [B,3,H,W] -> logits [B,classes].

    bias=False is the published head (jonske2025 3.1). `seed` decides the head's initial weights.
    """
    with initial_weights(seed):
        return TransferModel(encoder, nn.Linear(encoder.num_features, classes, bias=bias))


class Regressor(TransferModel):
    """[B,3,H,W] and covariates [B,K] -> [B,1] in the target's unit: the head's output times `sd` plus `mean`."""

    def __init__(self, encoder: nn.Module, head: nn.Module, covariates: nn.Module | None, mean: float, sd: float):
        super().__init__(encoder, head)
        self.covariates = covariates
        self.register_buffer("unit", torch.tensor([mean, sd]))

    def forward(self, x: Tensor, inputs: Tensor | None = None) -> Tensor:
        features = self.encoder(x)
        if self.covariates is not None:
            features = torch.cat([features, in_float32(self.covariates, inputs)], dim=1)
        return self.unit[0] + self.unit[1] * in_float32(self.head, features)


def regressor(
    encoder: nn.Module, inputs: int = 0, mean: float = 0.0, sd: float = 1.0, seed: int | None = None, hidden: int = 1000
) -> Regressor:
    """Return `encoder` with the published head for bone age (radiologynet2025 2.4) on pooled features.

    `inputs` covariates (such as sex) pass a linear layer of 128; then two hidden layers with ReLU and one output.
    Published, the feature map was flattened without pooling, which makes a head of 130 million parameters.
    """
    with initial_weights(seed):
        covariates = nn.Linear(inputs, 128) if inputs else None
        width = encoder.num_features + (128 if inputs else 0)
        head = nn.Sequential(
            nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )
        return Regressor(encoder, head, covariates, mean, sd)
