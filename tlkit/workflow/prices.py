"""What a run costs before any like it was measured: how many images it trains on, and the work of its network on each.

Both are estimates: patience may end a run early, and oversampling makes its epochs longer.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pandas as pd

from tlkit import paths
from tlkit.config import TlkitError, canonical
from tlkit.datasets import DataCard, card_in, files, layout_of, phantom_parameters, present, splits
from tlkit.runs import corpora
from tlkit.training.tasks import base_kind

RUN_SECONDS = 2.0  # of every run, besides its steps: start, evaluation, files (as in the smoke studies, two cores)
FASTEST = 4  # small networks wait for memory and data: at most so many times the images a second of the reference


class UnpricedError(TlkitError, ValueError):
    """Nothing says what a run costs."""


@cache
def work(backbone: str, size: int, decoder: str = "") -> int:
    """Return the floating-point operations of one image of `size` px through a network, forward, as torch counts them.

    `decoder`: that of the U-Net on the backbone, "" for the encoder alone. No memory is taken for weights. Raises
    UnpricedError for a network that takes no such image.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from tlkit.models import backbone as made
    from tlkit.models.unet import segmenter

    try:
        with torch.device("meta"), torch.inference_mode(), FlopCounterMode(display=False) as counted:
            model = made(backbone)
            model = (segmenter(model, 2, decoder) if decoder else model).eval()
            model(torch.zeros(1, 3, size, size))
    except Exception as error:  # whatever the network has against it, the run will say in full
        raise UnpricedError(f"{backbone} takes no image of {size} px: {error}") from error
    return counted.get_total_flops()


def relative_work(config: dict[str, Any], backbone: str, size: int) -> float:
    """Return the work of a run on one image over that of the reference, `backbone` on `size` px; 1/FASTEST or more."""
    recipe, own = config["recipe"], corpora(config)[0]["size"]
    masks = base_kind(config.get("task_kind", "none")) == "segmentation" or config.get("method") == "reconstruction"
    found = work(config["backbone"], recipe.get("crop") or own, recipe["decoder"] if masks else "")
    return max(found / work(backbone, size), 1 / FASTEST)


class Counter:
    """Counts the training images of `data` entries; a data set that is there is scanned once."""

    def __init__(self) -> None:
        self._scan = cache(_scan)

    def images(self, data: dict[str, Any]) -> float:
        """Return how many images a run trains on: what its config says, else the files, else the card.

        The card counts for data that are not there, and for archives, whose headers take long to read; of pseudo-labels
        it counts the dropped groups, too. A phantom that nobody counts is written. Raises UnpricedError where the card
        does not say, and what a scan raises.
        """
        if data.get("images"):
            return data["images"]
        card = card_in(data)
        phantom = phantom_parameters(data)
        archive = layout_of(card).read is not None
        if archive and phantom:
            raise UnpricedError(f"nothing says how many images the phantom of {card.name} has; `images` would")
        if archive or not (phantom or present(card, paths.data_root())):
            return _said(card, data)
        which = {k: data[k] for k in ("name", "card", "options", "phantom") if k in data}
        return _there(self._scan(canonical(which)), data)


def _scan(which: str) -> pd.DataFrame:
    data = json.loads(which)
    card = card_in(data)
    return layout_of(card).scan(files(card, phantom_parameters(data)), card)[0]


def _there(table: pd.DataFrame, data: dict[str, Any]) -> int:
    """Return the training images of a scanned data set."""
    for column, value in data.get("where", {}).items():
        table = table[table[column].astype(str) == str(value)]
    if data.get("balance"):
        table = table[table["id"].isin(splits.balance(table, seed=data["split"]["seed"]))]
    split = {k: v for k, v in data["split"].items() if k != "near"}  # copies are found in images, which are not read
    train = table[splits.assign(table, **split) == "train"]
    chosen = data.get("classes")
    if isinstance(chosen, int | dict):
        return int((splits.choose_classes(train["label"], chosen) >= 0).sum())
    return len(train)


def _said(card: DataCard, data: dict[str, Any]) -> float:
    """Return the training images by the counts of a card, less the shares that are taken for val and test."""
    counts, split = card.counts, data["split"]
    chosen = data.get("classes")
    kept = counts if split.get("official", True) else {}
    whole = _whole(card, data) / (chosen["every"] if isinstance(chosen, dict) else 1)
    drawn = sum(split.get(part, 0) for part in ("val", "test") if part not in kept)  # the others are official
    return whole * (1 - (drawn / counts["patients"] if drawn >= 1 else drawn))


def _whole(card: DataCard, data: dict[str, Any]) -> float:
    counts, each = card.counts, [card.counts.get(name) for name in card.classes]
    if data.get("balance") and all(each):
        return len(each) * min(each)
    for value in card.classes:
        known = {value, "images"} & counts.keys()  # one that nobody counted has at most what the others leave
        if known and value in data.get("where", {}).values():
            return counts.get(value) or counts["images"] - sum(filter(None, each))
    if "train" in counts and data["split"].get("official", True):
        return counts["train"]
    if "images" in counts or "train" in counts:
        return counts.get("images", sum(counts.get(part, 0) for part in splits.SPLITS))
    if each and all(each):
        return sum(each)
    raise UnpricedError(f"the card of {card.name} does not count its images, and the data are not there")
