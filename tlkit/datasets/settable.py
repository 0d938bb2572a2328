"""The options of a data card that a study can set, by layout: what each may be."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from tlkit.config import lookup
from tlkit.datasets import boneage, brats, export, folders, luna16, multimodal
from tlkit.datasets.arrays import FITS
from tlkit.datasets.cards import DATASETS
from tlkit.datasets.patients import check_way
from tlkit.declared import Keys, apart, declare, one_of, rising, some, wide

Window = (tuple[float, float], AfterValidator(wide))
Flag = (bool, {})
Range = (tuple[float, float] | None, AfterValidator(apart))  # grey values of more than 8 bits that are black and white
Channel = Annotated[str, one_of(brats.MODALITIES, "channel")]
OPEN = ("patient", "range")  # options that any card of the layout can be told, whatever it says itself
Percent = Annotated[float, Field(ge=0, le=100)]

Who = (dict[str, str | int] | None, AfterValidator(check_way))

# layout: {option: (type, limits or check)}; a card has some of them
SETTABLE: dict[str, dict[str, tuple[Any, Any]]] = {
    "luna16": {
        "mask": (str, one_of(luna16.REGIONS, "mask")),
        "crop": (int | None, {"ge": 1}),
        "split": (str, one_of(luna16.SPLITS, "split of luna16")),
        "window": Window,
    },
    "brats": {
        "channels": (
            tuple[Annotated[str, one_of(brats.MODALITIES, "channel")], ...],
            AfterValidator(brats.check_count),
        ),
        "scale": (str, one_of(brats.SCALES, "scale")),
        "only_tumour": Flag,
        "window": Window,
    },
    "lits": {"only_liver": Flag},
    "lits_png": {"only_liver": Flag, "range": Range},
    "ct_series": {
        "min_slices": (int, {"ge": 1}),
        "min_coverage": (float, {"ge": 0, "le": 1}),
        "derived": Flag,
    },
    "multimodal": {
        "modalities": (
            tuple[Annotated[str, one_of(multimodal.ADMITTED, "modality")], ...],
            AfterValidator(some),
        ),
        "polarity": (str, one_of(export.POLARITIES, "polarity")),
        "percentiles": (tuple[Percent, Percent] | None, AfterValidator(rising)),
    },
    "class_folders": {
        "channels": (int, one_of(folders.CHANNELS, "number of channels")),
        "patient": Who,
        "range": Range,
    },
    "imagenet": {"halve": (str, one_of(folders.SPLITS.values(), "split")), "patient": Who, "range": Range},
    "chestxray": {"range": Range},
    "boneage": {
        "patient": Who,
        "ages": (tuple[float, float], AfterValidator(rising)),
        "inputs": (tuple[Annotated[str, one_of(boneage.INPUTS, "input")], ...], {}),
        "range": Range,
    },
    "grazped": {"percentiles": (tuple[Percent, Percent], AfterValidator(rising))},
}
FIT = (str, one_of(FITS, "fit"))  # what becomes of images that are not square: `arrays.resize`


@cache
def declaration(name: str) -> type[Keys]:
    """Return the declaration of the options of the data set `name`.

    All but archives have `fit`: slices of CT are square, and the archive of many modalities is padded as published.
    """
    from tlkit.datasets import LAYOUTS

    card = lookup(name, DATASETS, "data set")
    known = {k: v for k, v in SETTABLE.get(card.layout, {}).items() if k in card.options or k in OPEN}
    known |= {} if hasattr(LAYOUTS[card.layout], "read") else {"fit": FIT}
    return declare(name, {k: kind for k, (kind, _) in known.items()}, {k: about for k, (_, about) in known.items()})
