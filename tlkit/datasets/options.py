"""A data card with the options that a study sets laid over its own; its layout says what each may be."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from tlkit.config import ConfigError, lookup
from tlkit.datasets.arrays import FITS
from tlkit.datasets.cards import DATASETS, DataCard, frozen
from tlkit.datasets.layout import layout_of
from tlkit.declared import Keys, check, declare, one_of

OPEN = ("patient", "range", "level")  # options that any card of the layout can be told, whatever it says itself
FIT = (str, one_of(FITS, "fit"))  # what becomes of images that are not square: `arrays.resize`


@cache
def declaration(name: str) -> type[Keys]:
    """Return the declaration of the options of the data set `name`.

    All but archives have `fit`: slices of CT are square, and the archive of many modalities is padded as published.
    """
    card = lookup(name, DATASETS, "data set")
    layout = layout_of(card)
    known = {k: v for k, v in layout.options.items() if k in card.options or k in OPEN}
    known |= {} if layout.read else {"fit": FIT}
    return declare(name, {k: kind for k, (kind, _) in known.items()}, {k: about for k, (_, about) in known.items()})


def card_of(name: str, options: dict[str, Any] | None = None) -> DataCard:
    """Return the card of a data set with `options` laid over its own.

    Raises UnknownNameError for a data set that does not exist, ConfigError for options that it does not have.
    """
    card = lookup(name, DATASETS, "data set")
    if not options:
        return card
    if faults := check(declaration(name), options, (name, "options")):
        raise ConfigError("; ".join(f"{', '.join(map(str, path))}: {text}" for path, text in faults))
    chosen = {**card.options, **{k: frozen(v) for k, v in changed(name, options).items()}}
    return replace(card, options=chosen, classes=chosen.get("modalities", card.classes))  # of archives, both are one


def changed(name: str, options: dict[str, Any] | None) -> dict[str, Any]:
    """Return those of `options` that differ from what the card says anyway."""
    own = {"fit": "squash"} | lookup(name, DATASETS, "data set").options
    return {k: v for k, v in (options or {}).items() if frozen(v) != own.get(k)}
