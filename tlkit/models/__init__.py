"""Encoders, heads, U-Nets, and the weights that go into them."""

from tlkit.models.backbones import (
    BACKBONES,
    NoPyramidError,
    backbone,
    batch_norms,
    initial_weights,
    pyramid,
    pyramid_levels,
)
from tlkit.models.heads import FREEZING, TransferModel, classifier, freeze
from tlkit.models.unet import UPSAMPLING, UNet, default_widths
from tlkit.models.weights import (
    LoadReport,
    WeightsMismatchError,
    load_encoder,
    read_tensors,
    save_weights,
    weights_hash,
)

__all__ = [
    "BACKBONES",
    "FREEZING",
    "UPSAMPLING",
    "LoadReport",
    "NoPyramidError",
    "TransferModel",
    "UNet",
    "WeightsMismatchError",
    "backbone",
    "batch_norms",
    "classifier",
    "default_widths",
    "freeze",
    "initial_weights",
    "load_encoder",
    "pyramid",
    "pyramid_levels",
    "read_tensors",
    "save_weights",
    "weights_hash",
]
