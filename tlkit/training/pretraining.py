"""Ways to pretrain an encoder: each builds the objective of the training loop from a run's config."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor, nn

from tlkit.config import ConfigError, lookup
from tlkit.datasets import card_in
from tlkit.models.unet import reconstructor
from tlkit.training.data import check_window, chosen_rows, class_names, open_data, sampled_rows, training_images
from tlkit.training.recipe import Recipe
from tlkit.training.reconstruction import Reconstruction
from tlkit.training.simclr import Contrastive, SimCLRModel
from tlkit.training.steps import Objective
from tlkit.training.supervised import Samples, Supervised, plain_view
from tlkit.training.tasks import task


def objective(config: dict[str, Any], encoder: nn.Module, recipe: Recipe) -> Objective:
    """Return the objective of a pretraining's config around `encoder`; its head comes from the global generator.

    Raises ConfigError for a recipe that says something which the method does not read.
    """
    method = config.get("method", "contrastive")
    build = lookup(method, METHODS, "method of pretraining")
    recipe.check_read(method)
    return build(config, encoder, recipe)


def _contrastive(config: dict[str, Any], encoder: nn.Module, recipe: Recipe) -> Contrastive:
    images = training_images(config)
    return Contrastive(SimCLRModel(encoder, recipe.projection == "published"), images, recipe, config["seed"])


def _classification(config: dict[str, Any], encoder: nn.Module, recipe: Recipe) -> Supervised:
    """Cross-entropy on the labels of the data set, or on pseudo-labels; the best validation epoch is kept."""
    data, store, table = _one_corpus(config)
    train, val = (chosen_rows(data, table, split) for split in ("train", "val"))
    job = task("multiclass", class_names(data, table), recipe.class_weights, head_bias=recipe.head_bias)
    job.fit(store.table.iloc[train])
    train = sampled_rows(train, store, recipe, config["seed"])
    return Supervised(job.model(encoder), job, Samples(store, train), Samples(store, val), recipe, config["seed"])


def _reconstruction(config: dict[str, Any], encoder: nn.Module, recipe: Recipe) -> Reconstruction:
    data, store, table = _one_corpus(config)
    train, val = (chosen_rows(data, table, split) for split in ("train", "val"))
    train = sampled_rows(train, store, recipe, config["seed"])

    def read(rows: np.ndarray) -> Tensor:
        return store.take(rows)[0]

    return Reconstruction(reconstructor(encoder), read, train, val, recipe, lambda images: plain_view(images, recipe))


def _one_corpus(config: dict[str, Any]):
    data = config["data"]
    if isinstance(data, list):
        raise ConfigError(
            f"pretraining '{config['pretraining']}': {config['method']} takes one corpus, not {len(data)}."
        )
    check_window(card_in(data), Recipe.from_dict(config["recipe"]))
    return data, *open_data(data)


METHODS: dict[str, Callable[..., Objective]] = {
    "contrastive": _contrastive,
    "classification": _classification,
    "reconstruction": _reconstruction,
}
