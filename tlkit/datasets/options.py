"""A data card with the options that a study sets laid over its own (`settable` says which, and what each may be)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tlkit.config import ConfigError, lookup
from tlkit.datasets.cards import DATASETS, DataCard


def card_of(name: str, options: dict[str, Any] | None = None) -> DataCard:
    """Return the card of a data set with `options` laid over its own.

    Raises UnknownNameError for a data set that does not exist, ConfigError for options that it does not have.
    """
    card = lookup(name, DATASETS, "data set")
    if not options:
        return card
    from tlkit.datasets.settable import declaration
    from tlkit.declared import check

    if faults := check(declaration(name), options, (name, "options")):
        raise ConfigError("; ".join(f"{', '.join(map(str, path))}: {text}" for path, text in faults))
    chosen = {**card.options, **{k: _frozen(v) for k, v in changed(name, options).items()}}
    return replace(card, options=chosen, classes=chosen.get("modalities", card.classes))  # of archives, both are one


def changed(name: str, options: dict[str, Any] | None) -> dict[str, Any]:
    """Return those of `options` that differ from what the card says anyway."""
    own = {"fit": "squash"} | lookup(name, DATASETS, "data set").options
    return {k: v for k, v in (options or {}).items() if _frozen(v) != own.get(k)}


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
