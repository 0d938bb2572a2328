"""Images as vectors: a convolutional autoencoder as published, or the features of a SimCLR encoder."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tlkit import runs
from tlkit.archives.pseudolabels.autoencoder import Autoencoder, encode, learn
from tlkit.config import ConfigError
from tlkit.datasets.store import Store
from tlkit.models import backbone, initial_weights
from tlkit.models.weights import load_encoder
from tlkit.training.augment import to_float
from tlkit.training.loop import fit
from tlkit.training.recipe import Recipe
from tlkit.training.recipes import recipe
from tlkit.training.simclr import Contrastive, SimCLRModel
from tlkit.training.supervised import Samples, plain_view

WIDTHS = (8, 16, 32)
BACKBONE = "resnet10"


def autoencoder(
    store: Store, val: np.ndarray, epochs: int, seed: int = 0, pixels: int = 32, size: int = 64
) -> np.ndarray:
    """Return float32 [N, size], the codes of a convolutional autoencoder of the store's images (grey, 0 to 1).

    Three times: 3 x 3 convolution, ReLU, max-pool; a linear layer to the code and one back; mirrored, with nearest
    upsampling and a sigmoid at the end; mean squared error; Adam; the best epoch on the rows `val` (booleans [N])
    counts. Images are brought to `pixels` (a multiple of 8); learning rate 1e-3 (published: 1e-2, batches of 1024, the
    first frame of a file alone). Source: radiologynet2025 0.3.
    """
    if pixels % 8:
        raise ConfigError(f"image_pixels: expected a multiple of 8, found {pixels}")
    with initial_weights(seed):
        model = _convolutional(pixels, size)

    def read(rows: np.ndarray) -> torch.Tensor:
        grey = to_float(store.take(rows)[0]).mean(dim=1, keepdim=True)
        return F.interpolate(grey, size=(pixels, pixels), mode="bilinear", antialias=True, align_corners=False)

    how = Recipe(epochs=epochs, batch=64, lr=1e-3, weight_decay=0.0, schedule="constant")
    learn(model, read, np.flatnonzero(~val), np.flatnonzero(val), how, seed)
    return encode(model.encoder, read, len(store))


def _convolutional(pixels: int, size: int) -> Autoencoder:
    def block(inputs: int, outputs: int, resize: nn.Module) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), resize]

    a, b, c = WIDTHS
    side = pixels // 8
    flat = c * side**2
    down = [*block(1, a, nn.MaxPool2d(2)), *block(a, b, nn.MaxPool2d(2)), *block(b, c, nn.MaxPool2d(2))]
    up = [*block(c, c, nn.Upsample(scale_factor=2)), *block(c, b, nn.Upsample(scale_factor=2))]
    up += [*block(b, a, nn.Upsample(scale_factor=2)), nn.Conv2d(a, 1, 3, padding=1), nn.Sigmoid()]
    encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(flat, size))
    return Autoencoder(encoder, nn.Sequential(nn.Linear(size, flat), nn.Unflatten(1, (c, side, side)), *up))


def simclr(store: Store, val: np.ndarray, epochs: int, seed: int = 0, pixels: int = 0, size: int = 0) -> np.ndarray:
    """Return float32 [N, 256], the features of a ResNet-10 trained by SimCLR on the store's images.

    No rows are held out: there is no validation value, and the last epoch counts. `pixels` and `size` are the store's
    and the encoder's. Random: weights, order and views, by `seed`.
    """
    with initial_weights(seed):
        model = SimCLRModel(backbone(BACKBONE), published_head=False)
    how = recipe("simclr", epochs=epochs, batch=min(128, len(store)), window=None)
    images = Samples(store, np.arange(len(store)))
    with tempfile.TemporaryDirectory() as folder:
        fit(Contrastive(model, [images], how, seed), how, seed=seed, folder=Path(folder))
    return _features(model.encoder, store, how)


def of_run(store: Store, run: str) -> np.ndarray:
    """Return float32 [N, features] of the encoder of the finished pretraining run `run`.

    Raises ConfigError where the run is not finished, or is no pretraining; RunDamagedError.
    """
    folder = runs.folder(run)
    config = runs.read_json(folder / "config.json") if folder.is_dir() else {}
    if config.get("kind") != "pretrain":
        raise ConfigError(
            f"encoder: expected the id of a finished pretraining run, found '{run}'. `python -m tlkit status` lists "
            "the finished runs; an empty encoder trains one."
        )
    encoder = backbone(config["backbone"], seed=config["seed"])
    load_encoder(encoder, runs.check_file(run, "model.safetensors"))
    return _features(encoder, store, Recipe.from_dict(config["recipe"]))


def _features(encoder: nn.Module, store: Store, how: Recipe) -> np.ndarray:
    return encode(encoder, lambda rows: plain_view(store.take(rows)[0], how), len(store))


EXTRACTORS = {"autoencoder": autoencoder, "simclr": simclr}
