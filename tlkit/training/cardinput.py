"""What a run gives the weights of others, held against what their card says they were made with."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import numpy as np

from tlkit.datasets import card_in
from tlkit.models.weight_cards import WeightsCard, moments
from tlkit.training.recipe import Recipe

log = logging.getLogger(__name__)
ALIKE = 0.01  # of the range [0,1]: means and deviations that differ by less are the same input


def differences(config: dict[str, Any], card: WeightsCard) -> list[str]:
    """Return in what the input of a downstream run differs from the card's: one text each, none where it is the same.

    `normalise: card` and `size: card` of a task take the card's. Grey images are the same in colour.
    """
    recipe, data = Recipe.from_dict(config["recipe"]), config["data"]
    how, found = recipe.normalisation, []
    for name, ours, theirs in zip(("mean", "std"), (how.mean, how.std), moments(card), strict=True):
        if not np.allclose(ours, theirs, rtol=0, atol=ALIKE):
            found.append(f"{name} {_digits(ours)} (card: {_digits(theirs)})")
    if recipe.intensity != card.intensity:
        found.append(f"intensity {recipe.intensity} (card: {card.intensity})")
    if data["size"] != card.size:
        found.append(f"{data['size']} px (card: {card.size})")
    in_colour = card_in(data).domain == "natural"
    if in_colour and how.channels != card.channels:
        found.append(f"channels {how.channels} (card: {card.channels})")
    return found


def tell(config: dict[str, Any], card: WeightsCard) -> list[str]:
    """Log the differences, once a process for all runs that have the same, and return them."""
    found = differences(config, card)
    if found:
        _warn(f"weights '{card.name}' get another input than their card says: {'; '.join(found)}.")
    return found


@cache
def _warn(text: str) -> None:
    log.warning("%s", text)


def _digits(values: tuple[float, ...]) -> str:
    return "/".join(f"{v:.3g}" for v in dict.fromkeys(values))
