"""Where data sets come from, and the way to fetch them: one module a kind of source, named by a card's `fetch`.

    fetch: {kind: http | git | idc | MODULE:OBJECT, ...what the kind reads, sizes: {mini: ..., small: ..., full: ...},
            about: {mini: 1040000000, ...}}     # bytes of each size, for the table of all data sets

A card without `fetch` has a source that asks for a login or a signature: its steps are `access`. A size that is
text names another size (`mini: 64`), so that one size may have two names. A kind has two functions, or four:

    KEYS: what the kind reads of `fetch`, besides `kind`, `sizes` and `about`.
    files(card, size) -> pandas.DataFrame, one row per file to fetch, by the columns of COLUMNS, without the network
        wherever that is possible. `path` is below the data set's folder, with "/" between its parts. Where a source
        lists folders only (a series of DICOM), a row is one folder: its path ends in "/", `files` says how many files
        lie in it, `bytes` about their sum. `size` is a name among `sizes` (see `size_of`). Deterministic: equal rows in
        equal order from one version.
    version(card) -> str: what decides the rows (the version of an index, a record, a commit). Default: "".
    transfer(rows, to, endpoint, progress) -> None: where HTTP does not do. Bring the rows (those that are not there
        and good; in the order given) into the folder `to`, each at its `path`; call progress(bytes) as they come. It
        may be killed at any moment and is started again with what is left: it goes on from what lies in `to`, or does
        that anew. Names that begin with a dot are its own. `endpoint` is text or "" (see `endpoint`).
        Raises SourceError for what the source refuses, OfflineError where it cannot be reached.
    check(rows, folder) -> list[str], one per row: "" for one that is whole, else what is wrong with it; on top of what
        is always checked: a file's `bytes` and `md5`, where they are said, and how many `files` a folder holds.
    about(card, size) -> int, bytes of a size, where the card does not say them; attribution(card, size) -> str, whom to
        cite, in place of the card's citation.

`tlkit.sources.fetch` does the rest: plan, room on the disk, resuming, checking, the receipt, the final name.
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

import pandas as pd

from tlkit import plugins
from tlkit.config import ConfigError, TlkitError, lookup, nearest
from tlkit.datasets.cards import DataCard

KINDS: dict[str, str] = {
    "http": "tlkit.sources.http",
    "git": "tlkit.sources.git",
    "idc": "tlkit.sources.idc",
}
COLUMNS: dict[str, str] = {  # name: dtype; a table may lack those from `files` on
    "path": "str",
    "url": "str",
    "bytes": "int64",  # -1: the source alone knows
    "md5": "str",  # "": the source says none
    "licence": "str",
    "files": "int64",  # 1, or how many a folder holds
    "group": "str",  # of files that belong together, such as those of a series
}
DEFAULTS = {"files": 1, "group": ""}
COMMON = ("kind", "sizes", "about")  # keys of every `fetch`


class SourceError(TlkitError, RuntimeError):
    """A source does not give what it should: gone, changed, damaged, refused; says what helps."""


class OfflineError(SourceError):
    """A source cannot be reached: no network, or no way to that host."""


def kind_of(card: DataCard) -> ModuleType | Any | None:
    """Return the kind of source of a card; None where it has steps alone. Raises ConfigError for a faulty `fetch`."""
    if not card.fetch:
        return None
    if "kind" not in card.fetch:
        raise ConfigError(f"`fetch` of '{card.name}' lacks `kind`. Allowed: {', '.join(KINDS)}, MODULE:OBJECT.")
    found = plugins.find(card.fetch["kind"], KINDS, "kind of source")
    known = {*COMMON, *found.KEYS}
    for key in card.fetch.keys() - known:
        raise ConfigError(f"`fetch` of '{card.name}': nothing reads '{key}'.{nearest(key, known)}")
    return found


def sizes(card: DataCard) -> list[str]:
    """Return the names of the sizes of a card, as its file orders them; ["full"] where it has one alone."""
    return [str(name) for name in card.fetch.get("sizes", {"full": None})]


def size_of(card: DataCard, size: str = "") -> str:
    """Return the size that a name means; "" is mini, or the first. Raises UnknownNameError where there is none."""
    table = {str(name): said for name, said in card.fetch.get("sizes", {"full": None}).items()}
    name = size or ("mini" if "mini" in table else next(iter(table)))
    said = lookup(name, table, f"size of '{card.name}'")
    return size_of(card, said) if isinstance(said, str) else name


def parameters(card: DataCard, size: str) -> Any:
    """Return what a card says of a size."""
    return {str(k): v for k, v in card.fetch.get("sizes", {}).items()}.get(size_of(card, size))


def about(card: DataCard, size: str) -> int:
    """Return about how many bytes a size has, by the card or its kind; -1 where neither says it."""
    said = {str(k): v for k, v in card.fetch.get("about", {}).items()}.get(size_of(card, size))
    if said is None:
        told = getattr(kind_of(card), "about", None)
        said = told(card, size_of(card, size)) if told else -1
    return int(said)


def files(card: DataCard, size: str = "") -> pd.DataFrame:
    """Return the files of a size of a data set (see above), checked against COLUMNS.

    Raises ConfigError where a kind's table is not as agreed, two rows have one path, or a path leads elsewhere.
    """
    found = kind_of(card).files(card, size_of(card, size))
    found = found.assign(**{name: value for name, value in DEFAULTS.items() if name not in found})
    if lacking := COLUMNS.keys() - set(found):
        raise ConfigError(f"the list of '{card.name}' lacks {', '.join(sorted(lacking))}.")
    found = found[list(COLUMNS)].astype(COLUMNS).reset_index(drop=True)
    odd = found["path"].duplicated() | found["path"].str.contains(r"^[/.]|\\|(?:^|/)\.\.?(?:/|$)|//|[\x00-\x1f]|^$")
    if odd.any():
        path = found.loc[odd, "path"].iloc[0]
        raise ConfigError(f"the list of '{card.name}' has paths that are there twice or lead elsewhere: {path!r}.")
    return found


def version(card: DataCard) -> str:
    """Return what decides the list of a data set, besides its card."""
    told = getattr(kind_of(card), "version", None)
    return told(card) if told else ""


def endpoint(kind: str) -> str:
    """Return the setting TLKIT_ENDPOINT_<KIND>: a server that stands in for the source, "" where there is none.

    Of http and git it is a mirror: https://HOST/PATH is asked for as ENDPOINT/HOST/PATH.
    """
    return os.environ.get(f"TLKIT_ENDPOINT_{kind.upper()}", "").rstrip("/")


def mirrored(url: str, kind: str) -> str:
    """Return an address as the mirror that is set for a kind of source has it; the address itself without one."""
    there = endpoint(kind)
    return f"{there}/{url.partition('://')[2]}" if there else url
