"""Recipes by name: ours, which are the clean way, and behind them those of published studies."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from tlkit import plugins
from tlkit.config import lookup
from tlkit.training.augment import AUGMENTS
from tlkit.training.recipe import Recipe

SOFT_TISSUE = (40.0, 400.0)  # HU centre and width of the usual abdominal window
WIDE = (0.0, 2000.0)  # HU: lung, soft tissue and most bone at once, for mixed body regions, and nodules as published

# Small enough for a laptop; studies override epochs, batch and learning rate.
RECIPES: dict[str, Recipe] = {
    "simclr": Recipe(epochs=20, batch=128, lr=2e-3, augment=AUGMENTS["simclr"], warmup=1, select="last", window=WIDE),
    "finetune": Recipe(epochs=10, batch=32, lr=1e-3, augment=AUGMENTS["finetune"], window=WIDE),
    "segment": Recipe(
        epochs=10,
        batch=16,
        lr=2e-3,
        augment=AUGMENTS["segmentation"],
        window=SOFT_TISSUE,
        class_weights=(1, 3, 10),
    ),
    "classify": Recipe(
        epochs=20,
        batch=32,
        lr=1e-3,
        warmup=1,
        augment=AUGMENTS["radiology"],
        sampling="oversample",
        monitor="log_loss",
        window=WIDE,
    ),
    "reconstruct": Recipe(epochs=10, batch=32, lr=1e-3, window=WIDE),
    "label": Recipe(epochs=20, batch=32, lr=1e-3, patience=10, augment=AUGMENTS["radiology"], monitor="log_loss"),
    "boneage": Recipe(epochs=20, batch=32, lr=1e-3, patience=10, augment=AUGMENTS["hand"]),
    "nodule": Recipe(
        epochs=20,
        batch=16,
        lr=4e-3,
        patience=10,
        augment=AUGMENTS["nodule"],
        class_weights=(1, 20),
        window=WIDE,
    ),
}


def every_recipe() -> dict[str, Recipe]:
    """Return all recipes by name: ours, and those of `published.recipes_published`."""
    return RECIPES | plugins.published_recipes()


def recipe(name: str, **changes: Any) -> Recipe:
    """Return the named recipe with some fields changed.

    Example: `recipe("finetune", epochs=5, bn="frozen", freeze="encoder")`
    Raises: UnknownNameError for an unknown recipe or field, with the nearest allowed name.
    """
    base = RECIPES.get(name) or lookup(name, every_recipe(), "recipe")
    return Recipe.from_dict({**{f.name: getattr(base, f.name) for f in fields(base)}, **changes})
