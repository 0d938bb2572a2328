"""Data sets: cards, layouts of files, splits, and decoded stores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tlkit import paths, plugins
from tlkit.config import ConfigError
from tlkit.datasets.cards import DATASETS, DataCard, MissingDataError, UnreadableFile, present, where
from tlkit.datasets.content import content_hash
from tlkit.datasets.layout import layout_of, reader
from tlkit.datasets.options import Dataset, card_in, card_of, dataset_in, find_card

__all__ = [
    "DATASETS", "DataCard", "MissingDataError", "UnreadableFile", "card_in", "card_of", "dataset_in", "identity",
    "layout_of", "prepare", "present", "where",
]  # fmt: skip


def prepare(
    dataset: Dataset,
    size: int,
    phantom: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    max_unreadable: float | None = None,
    share: tuple[int, int] | None = None,
) -> Path:
    """Return the store of a data set (its name, or a card) at `size` px, built from the real files or from a phantom.

    `phantom` is None for the real files, or {"seed": ..., parameters of its writer}. `options` go over
    those of the card, `max_unreadable` and `share` go to `build_store`. Raises MissingDataError where the real files
    are not there, ConfigError for options that the data set does not have.
    """
    from tlkit.datasets.store import build_store

    card = card_of(dataset, options)
    return build_store(card, files(card, phantom), size, max_unreadable=max_unreadable, share=share)


def files(card: DataCard, phantom: dict[str, Any] | None = None) -> Path:
    """Return the folder of a data set's files: below TLKIT_DATA, or of a phantom, which is written if it is missing.

    Raises MissingDataError where the real files are not there.
    """
    if phantom is None:
        return where(card)
    return plugins.phantoms().make(_twin(card), paths.phantom_root(), **phantom)


def identity(dataset: Dataset, phantom: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what decides a run's data: the phantom's parameters and version, or the hash of the files."""
    card = find_card(dataset)
    if phantom is None:
        more = (f"{k} {v}" for k, v in reader(card, where(card)).items())
        return {"name": card.name, "content": " ".join([content_hash(where(card)), *more])}
    facts = {"writer": _twin(card), "seed": 0, **phantom, "version": plugins.phantoms().PHANTOM_VERSION}
    return {"name": card.name, "phantom": facts}


def phantom_parameters(data: dict[str, Any]) -> dict[str, Any] | None:
    """Return the parameters of the phantom of a config's `data` entry, without what `identity` adds; or None."""
    made = data.get("phantom")
    return made and {k: v for k, v in made.items() if k not in ("writer", "version")}


def _twin(card: DataCard) -> str:
    """Return the writer of the card's phantom; raise ConfigError where it has none."""
    if card.phantom is None:
        having = ", ".join(c.name for c in DATASETS.values() if c.phantom)
        raise ConfigError(f"'{card.name}' has no phantom. These have one: {having}.")
    return card.phantom
