"""Fetch a data set: counted, sized and licensed first; then in parallel, resumable and checked, into NAME.part.

The folder gets its name when it is whole, with a receipt: `.source.json` (which data set, size, version and licences,
from where, when) and `.source.csv` (path, bytes, md5 of every file), so that `verify` needs no network.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tlkit.datasets.cards import DataCard


@dataclass(frozen=True)
class Plan:
    """What is to be fetched: `rows` (see tlkit.sources.COLUMNS) of a size of a data set, into `folder`."""

    card: DataCard
    size: str
    version: str
    rows: pd.DataFrame
    folder: Path


def plan(card: DataCard, size: str = "", to: Path | None = None) -> Plan:
    """Return what `get` would fetch; the source is asked for the sizes of files that its list does not have."""
    raise NotImplementedError


def get(planned: Plan) -> Path:
    """Fetch what is not there, check it, and return the data set's folder."""
    raise NotImplementedError


def take(planned: Plan, source: Path) -> Path:
    """Take the files of a data set from a folder where somebody put them, check them, and return its folder."""
    raise NotImplementedError


def verify(card: DataCard, to: Path | None = None) -> pd.DataFrame:
    """Return the files of a data set that are not as its receipt says (path, reason)."""
    raise NotImplementedError
