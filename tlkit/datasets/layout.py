"""What a layout is: how the files of a data set lie, and how they are read.

Its module ends with `LAYOUT = Layout(...)`; `tlkit.plugins.LAYOUTS` names it, or a study file ("module:LAYOUT").
Options of several layouts stand here, as (type, limits or check).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import AfterValidator, Field

from tlkit import plugins
from tlkit.config import ConfigError
from tlkit.datasets import bounds
from tlkit.datasets.cards import NAMED, DataCard
from tlkit.declared import apart, rising, wide

Option = tuple[Any, Any]
Percent = Annotated[float, Field(ge=0, le=100)]
SCANS = "unknown: every scan counts as one"  # of patients
FLAG: Option = (bool, {})
PERCENTILES: Option = (tuple[Percent, Percent] | None, AfterValidator(rising))
RANGE: Option = (tuple[float, float] | None, AfterValidator(apart))  # values of over 8 bits that are black and white
WINDOW: Option = (tuple[float, float], AfterValidator(wide))


@dataclass(frozen=True)
class Layout:
    """The functions of a layout; `root` is the data set's folder, `card` its card with a study's options.

    scan(root, card) -> (samples, rejects): samples has one row per image, rows of one file beside each other. Columns:
        id, path, patient, split ("" where the data set fixes none), and label or other targets; more as the layout
        needs. rejects: path, reason, kind (unreadable, rule, or note: used, but worth knowing). Nothing is decoded.
    decode(root, rows, card) -> (images, masks): lists of [H,W] or [H,W,3] uint8 or int16 and of uint8 or None, for the
        rows of one file; text in place of an image is the rule that leaves it out. Raises UnreadableFile.
    slices(root, rows, card): as decode, but yields one (image, mask) after the other, for large volumes.
    read(root, samples, card, size, workers): in place of both, for archives: yields (images, masks, error, *notes) at
        `size` px for each file. A layout has one of the three.
    classes(root, card) -> the names of the labels; by default the card's.
    patients(card) -> NAMED, or what counts as a patient where nobody knows who is shown.
    identity(root) -> what decides the samples besides files and card.
    tags, reports(root, card) -> of archives: texts of headers by path, and of reports by exam, for pseudo-labels.
    options: what a study may say of the card's options.
    """

    scan: Callable[[Path, DataCard], tuple[pd.DataFrame, pd.DataFrame]]
    decode: Callable[[Path, pd.DataFrame, DataCard], tuple[list, list]] | None = None
    slices: Callable[[Path, pd.DataFrame, DataCard], Iterator[tuple[np.ndarray | str, np.ndarray | None]]] | None = None
    read: Callable[..., Iterator[tuple]] | None = None
    classes: Callable[[Path, DataCard], tuple[str, ...]] = lambda root, card: card.classes
    patients: Callable[[DataCard], str] = lambda card: NAMED
    identity: Callable[[Path], dict[str, Any]] = lambda root: {}
    tags: Callable[..., pd.DataFrame] | None = None
    reports: Callable[[Path, DataCard], pd.Series] | None = None
    options: dict[str, Option] = field(default_factory=dict)


def layout(name: str) -> Layout:
    """Return the layout of that name, or of "module:object".

    Raises: UnknownNameError where there is none, ConfigError for an object that is none.
    """
    found = plugins.find(name, plugins.LAYOUTS, "layout")
    if not isinstance(found, Layout):
        raise ConfigError(f"'{name}' is no layout: expected tlkit.datasets.layout.Layout(...), found {found!r}.")
    return found


def layout_of(card: DataCard) -> Layout:
    """Return the layout of a data set; raise UnknownNameError where there is none of that name."""
    return layout(card.layout)


def reader(card: DataCard, root: Path) -> dict[str, Any]:
    """Return what decides the samples besides the files and the card: nothing for most layouts and settings."""
    return layout_of(card).identity(root) | bounds.identity()
