"""The input that a run's weights were made with, where a task asks for it: `normalise: card`, `size: card`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tlkit.config import ConfigError
from tlkit.models import weight_cards, weight_list
from tlkit.training.recipe import CARD, NORMALISE, Normalise
from tlkit.training.recipes import recipe


def own_input(entry: dict[str, Any], corpora: list[dict[str, Any]], size: int, backbone: str) -> dict[str, Any]:
    """Return normalise, intensity and size of what the weights of a pretraining saw.

    Of published weights their card says it, of a pretraining of the study (`entry`, its `corpora`) its own config.
    Training from scratch takes values in [0,1] at the study's `size`, and the intensity of its recipe. Raises
    ConfigError for a file of weights of which the study does not say what they saw.
    """
    if "weights" in entry:
        said, card = entry["weights"], weight_list.find(entry["weights"], backbone)
        if isinstance(said, dict) and (lacking := [k for k in ("mean", "std", "size") if k not in said]):
            raise ConfigError(
                f"a task asks for the input of these weights (`normalise: card` or `size: card`), and `weights` lacks "
                f"{', '.join(lacking)}."
            )
        own = weight_cards.recipe_input(card)
        named = (name for name, how in NORMALISE.items() if how == Normalise(**own["normalise"]))
        return {**own, "normalise": next(named, own["normalise"]), "size": card.size}
    if not corpora:
        return {"normalise": "none", "size": size}
    changes = dict(entry["recipe"])
    made = recipe(changes.pop("base"), **changes)
    return {"normalise": made.normalise, "intensity": made.intensity, "size": corpora[0].get("size", size)}


def resolve(
    task: dict[str, Any], how: dict[str, Any], own_input: Callable[[], dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a task's entry and recipe with what stands behind "card" in them; as they are without that word."""
    if CARD not in (how.get("normalise"), task.get("size")):
        return task, how
    own = own_input()
    size = own.pop("size")
    task = {**task, "size": size} if task.get("size") == CARD else task
    return task, {**how, **own} if how.get("normalise") == CARD else how
