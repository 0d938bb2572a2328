"""Source "http": files by their addresses, listed in the card with their MD5; archives among them can be unpacked.

    fetch: {kind: http, url: "https://.../{}", sizes: {mini: {FILE: MD5}, full: {FILE: {md5: ..., bytes: ...}}}}

`url` has {} where a file's name goes. `unpack: true`: the files are .tar, .tar.gz or .zip archives, and their content
is the data set, without its first `strip` folders.
"""

from __future__ import annotations

import pandas as pd

from tlkit.config import ConfigError
from tlkit.datasets.cards import DataCard
from tlkit.sources import parameters

KEYS = ("url", "version", "unpack", "strip")


def files(card: DataCard, size: str) -> pd.DataFrame:
    """Return one row per file of a size; see `tlkit.sources`. Raises ConfigError for a `fetch` without url or files."""
    said = parameters(card, size)
    if not isinstance(said, dict) or not said or "{}" not in card.fetch.get("url", ""):
        raise ConfigError(
            f"`fetch` of '{card.name}': expected `url` with {{}} and, of size {size}, FILE: MD5, found {said}."
        )
    told = {name: facts if isinstance(facts, dict) else {"md5": facts} for name, facts in said.items()}
    rows = [
        {
            "path": name,
            "url": card.fetch["url"].format(name),
            "bytes": facts.get("bytes", -1),
            "md5": facts.get("md5", ""),
        }
        for name, facts in told.items()
    ]
    return pd.DataFrame(rows).assign(licence=card.licence)


def version(card: DataCard) -> str:
    """Return the version of the record, "" where the card says none."""
    return str(card.fetch.get("version", ""))
