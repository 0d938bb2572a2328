"""Phantom items and phantom raters, so that the way from heat maps to Fig. 9 runs without a person or a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tlkit.phantoms.streams import stream
from tlkit.rating.answers import SCALE, RatingError
from tlkit.rating.session import PHANTOM, Item, Session
from tlkit.runs import read_json


def phantom_items(
    n: int, seed: int, pretrainings: Sequence[str] = ("scratch", "imagenet", "radiologynet"), pixels: int = 64
) -> list[Item]:
    """Return `n` images of a bright spot in noise; the heat map of the last pretraining lies nearest to the spot.

    No model is behind them: they show how rating works.
    """
    items = []
    for index in range(n):
        rng = stream(seed, "rating item", index)
        spot = rng.uniform(0.25, 0.75, 2)
        image = 60 + 30 * _blob(np.full(2, 0.5), 0.4, pixels) + 110 * _blob(spot, 0.06, pixels)
        image = np.clip(image + rng.normal(0, 8, image.shape), 0, 255).astype(np.uint8)
        off = zip(pretrainings, np.linspace(0.25, 0, len(pretrainings)), strict=True)
        seen = {p: np.clip(spot + rng.normal(0, 0.03 + sd, 2), 0.1, 0.9) for p, sd in off}
        maps = {p: _blob(centre, 0.12, pixels) for p, centre in seen.items()}
        items.append(Item(f"phantom-{index:03d}", image, maps, "phantom"))
    return items


def simulate(folder: Path, rater: str, seed: int, effects: Mapping[str, float] | None = None) -> Path:
    """Answer a whole session as a phantom rater, and return the file of answers, which is written anew.

    A rating is 3, plus the effect of its pretraining (points; none: 0), plus a part of the item that all raters of
    the seed share (sd 0.6), plus the rater's own strictness (sd 0.3) and noise (sd 0.5), rounded and kept in 1 to 5.
    Raises RatingError unless the name begins with "phantom": nobody's answers are made up under a person's name.
    """
    if not rater.startswith(PHANTOM):
        raise RatingError(f"rater is {rater!r}; expected a name that begins with '{PHANTOM}' for made-up answers")
    session, effects = Session(folder, rater), effects or {}
    session.file.unlink(missing_ok=True)
    key = read_json(folder / "key.json")["items"]
    own = stream(seed, f"rater {rater}", 0)
    strict = own.normal(0, 0.3)
    for number, item in enumerate(session.items):
        shared = stream(seed, "rated item", number).normal(0, 0.6)
        for letter, pretraining in key[item]["letters"].items():
            value = 3 + effects.get(pretraining, 0) + shared + strict + own.normal(0, 0.5)
            session.answer(item, letter, int(np.clip(round(value), SCALE[0], SCALE[-1])), "phantom rating")
    return session.file


def _blob(centre: np.ndarray, width: float, pixels: int) -> np.ndarray:
    """Return a Gaussian [pixels, pixels] of height 1; `centre` (y, x) and `width` (sd) in parts of the side."""
    axis = (np.arange(pixels) + 0.5) / pixels
    square = np.square(axis[:, None] - centre[0]) + np.square(axis[None] - centre[1])
    return np.exp(-square / (2 * width**2))
