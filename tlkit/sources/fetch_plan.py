"""What is to be fetched, counted before anything starts; and how to get it where no command can."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from tlkit import __version__, paths
from tlkit.datasets.cards import DataCard
from tlkit.sources import SourceError, about, download, files, kind_of, size_of, version

LIST = ".list.csv"  # in NAME.part: what is fetched, so that other programs can do it


@dataclass(frozen=True)
class Plan:
    """What is to be fetched: `rows` (see tlkit.sources.COLUMNS) of a size of a data set, into `folder`."""

    card: DataCard
    size: str
    version: str
    rows: pd.DataFrame
    folder: Path

    @property
    def bytes(self) -> int:
        """Of all files, or about how many, by the card; -1 where nobody says it."""
        known = self.rows["bytes"]
        return int(known.sum()) if (known >= 0).all() else about(self.card, self.size)

    @property
    def hash(self) -> str:
        """Of the list, 16 hex digits: path, MD5 and number of files of every row. Sizes may be asked for later."""
        rows = pd.util.hash_pandas_object(self.rows[["path", "md5", "files"]], index=False)
        return hashlib.sha256(rows.to_numpy().tobytes()).hexdigest()[:16]

    @property
    def part(self) -> Path:
        """The folder in which files lie until all are whole."""
        return self.folder.with_name(f"{self.folder.name}.part")

    @property
    def unpacks(self) -> bool:
        """Whether what is fetched are archives to be unpacked."""
        return bool(self.card.fetch.get("unpack"))

    def write_list(self) -> Path:
        """Write the list into NAME.part, for other programs, and return its path."""
        self.part.mkdir(parents=True, exist_ok=True)
        self.rows.to_csv(self.part / LIST, index=False)
        return self.part / LIST


def folder_root(to: Path | None = None) -> Path:
    """Return where data sets go: `to`, else TLKIT_DATA, else `data` in the repository."""
    return (to or paths.data_root() or paths.DATA).expanduser().resolve()


def folder_of(card: DataCard, to: Path | None = None) -> Path:
    """Return where a data set's files go (see `folder_root`)."""
    return folder_root(to) / card.folder


def plan(card: DataCard, size: str = "", to: Path | None = None) -> Plan:
    """Return what `get` would fetch. Raises SourceError for a card that has steps only, UnknownNameError for a size."""
    if kind_of(card) is None:
        raise SourceError(f"'{card.name}' cannot be fetched by a command. Its steps:\n{steps(card)}")
    size = size_of(card, size)
    return Plan(card, size, version(card), files(card, size), folder_of(card, to))


def ask_sizes(planned: Plan) -> Plan:
    """Return a plan with the sizes of files that its list does not have, as far as the source says them."""
    unknown = planned.rows["bytes"] < 0
    if hasattr(kind_of(planned.card), "transfer") or not unknown.any():
        return planned
    rows = planned.rows.copy()
    rows.loc[unknown, "bytes"] = download.sizes(rows.loc[unknown, "url"])
    return replace(planned, rows=rows)


def facts(card: DataCard, planned: Plan | None = None) -> dict[str, Any]:
    """Return what a receipt says of a data set, besides its files."""
    return {
        "name": card.name,
        "size": planned.size if planned else "",
        "version": planned.version if planned else "",
        "list": planned.hash if planned else "",
        "licences": sorted(set(planned.rows["licence"])) if planned else [card.licence],
        "source": card.source,
        "citation": card.citation,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "tlkit": __version__,
    }


def attribution(planned: Plan) -> str:
    """Return whom to cite and under which licences the files came, for a reader who passes results on."""
    told = getattr(kind_of(planned.card), "attribution", None)
    if told:
        return told(planned.card, planned.size)
    licences = ", ".join(facts(planned.card, planned)["licences"])
    card = planned.card
    return f"{card.title}, size {planned.size}.\n{card.citation}\n{card.source}\nLicence: {licences}\n"


def steps(card: DataCard) -> str:
    """Return the steps of a source that asks for a login or a signature, and how its files are taken then."""
    last = f"`python -m tlkit data get {card.name} --from FOLDER` checks the files and links or copies them."
    told = "\n".join(f"  {i}. {step}" for i, step in enumerate([*card.access, last], 1))
    return f"{told}\nThe tree that is read:\n{card.tree}"


def elsewhere(planned: Plan) -> str:
    """Return how to get the files without a network here."""
    get = f"python -m tlkit data get {planned.card.name} --size {planned.size}"
    return (
        "Without a network here, fetch them elsewhere and bring them:\n"
        f"  1. There, with this repository: {get} --to FOLDER\n"
        f"     or with any other program: {planned.write_list()} has the {len(planned.rows):,} addresses and MD5.\n"
        f"  2. Here: {get} --from FOLDER\n"
        "A proxy is used where HTTPS_PROXY names it."
    )
