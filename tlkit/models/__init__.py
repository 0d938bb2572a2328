"""Encoders, heads, U-Nets, and the weights that go into them."""

from tlkit.models.backbones import BACKBONES, NoPyramidError, backbone, pyramid, pyramid_levels, stages
from tlkit.models.heads import FREEZING, TransferModel, classifier, freeze, regressor
from tlkit.models.parts import batch_norms, initial_weights
from tlkit.models.unet import DECODERS, UNet, default_widths, reconstructor, segmenter
from tlkit.models.weight_cards import MissingWeightsError, WeightsCard, load_card
from tlkit.models.weight_list import WEIGHTS
from tlkit.models.weights import (
    LoadReport,
    WeightsFileError,
    WeightsMismatchError,
    load_encoder,
    read_tensors,
    save_weights,
    weights_hash,
)

__all__ = [
    "BACKBONES",
    "DECODERS",
    "FREEZING",
    "WEIGHTS",
    "LoadReport",
    "MissingWeightsError",
    "NoPyramidError",
    "TransferModel",
    "UNet",
    "WeightsCard",
    "WeightsFileError",
    "WeightsMismatchError",
    "backbone",
    "batch_norms",
    "classifier",
    "default_widths",
    "freeze",
    "initial_weights",
    "load_card",
    "load_encoder",
    "pyramid",
    "pyramid_levels",
    "read_tensors",
    "reconstructor",
    "regressor",
    "save_weights",
    "segmenter",
    "stages",
    "weights_hash",
]
