"""A data card with the options that a study sets laid over its own; its layout says what each may be.

A data set is the name of a card in `cards`, or the card that a study gives one of its own.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from tlkit.config import ConfigError, freeze, lookup
from tlkit.datasets.arrays import FITS
from tlkit.datasets.cards import DATASETS, DataCard, own_card
from tlkit.datasets.layout import WINDOW, Option, layout, layout_of
from tlkit.declared import Keys, check, declare, one_of

Dataset = str | DataCard
OPEN = (
    "patient",
    "range",
    "level",
    "split_folders",
    "word",
)  # that any card of the layout can be told, whatever it says
FIT = (str, one_of(FITS, "fit"))  # what becomes of images that are not square: `arrays.resize`
OF_TASKS: dict[str, Option] = {  # options that are read outside of layouts: a study says them of its own data sets
    "also": (tuple[str, ...], {}), "target": (str, {}), "unit": (str, {}), "inputs": (tuple[str, ...], {}),
    "regions": (dict[str, list[str]], {}), "mask_columns": (dict[str, int], {}), "window": WINDOW,
}  # fmt: skip


def find_card(dataset: Dataset) -> DataCard:
    """Return the card of a data set, without options; raise UnknownNameError where there is none."""
    return dataset if isinstance(dataset, DataCard) else lookup(dataset, DATASETS, "data set")


def declaration(dataset: Dataset) -> type[Keys]:
    """Return the declaration of the options of a data set; of a study's own, all that its layout and tasks read.

    All but archives have `fit`: slices of CT are square, and the archive of many modalities is padded as published.
    """
    card = find_card(dataset)
    own = card.name not in DATASETS
    told = frozenset(k for k in layout_of(card).options if own or k in card.options or k in OPEN)
    return _declaration(card.name, card.layout, told, own)


@cache
def _declaration(name: str, of: str, told: frozenset[str], own: bool) -> type[Keys]:
    found = layout(of)
    known = (OF_TASKS if own else {}) | {k: v for k, v in found.options.items() if k in told}
    known |= {} if found.read else {"fit": FIT}
    return declare(name, {k: kind for k, (kind, _) in known.items()}, {k: about for k, (_, about) in known.items()})


def card_of(dataset: Dataset, options: dict[str, Any] | None = None) -> DataCard:
    """Return the card of a data set with `options` laid over its own.

    Raises UnknownNameError for a data set that does not exist, ConfigError for options that it does not have.
    """
    card = find_card(dataset)
    if not options:
        return card
    if faults := check(declaration(card), options, (card.name, "options")):
        raise ConfigError("; ".join(f"{', '.join(map(str, path))}: {text}" for path, text in faults))
    chosen = {**card.options, **{k: freeze(v) for k, v in find_changed(card, options).items()}}
    return replace(card, options=chosen, classes=chosen.get("modalities", card.classes))  # of archives, both are one


def find_changed(dataset: Dataset, options: dict[str, Any] | None) -> dict[str, Any]:
    """Return those of `options` that differ from what the card says anyway."""
    own = {"fit": "squash"} | find_card(dataset).options
    return {k: v for k, v in (options or {}).items() if freeze(v) != own.get(k)}


def dataset_in(data: dict[str, Any]) -> Dataset:
    """Return the data set of a config's `data` entry, which holds the card of one that has none in `cards`."""
    return own_card(data["name"], data["card"]) if "card" in data else data["name"]


def card_in(data: dict[str, Any]) -> DataCard:
    """Return the card of a config's `data` entry with its options. Raises: as `card_of` does."""
    return card_of(dataset_in(data), data.get("options"))
