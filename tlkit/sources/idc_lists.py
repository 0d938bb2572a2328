"""`python -m tlkit.sources.idc_lists` writes what is kept of the Imaging Data Commons: lists, hashes, citations, pages.

Needs the index of the version that the cards state. `lists/lists.csv` has the hash of every size, `lists/*.csv.gz`
the small lists themselves, `lists/citations.csv` and attribution.md what to cite, open_radnet.md what that
set is and is not.
"""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from tlkit.config import TlkitError
from tlkit.datasets.cards import DATASETS, DataCard
from tlkit.files import write_bytes, write_text
from tlkit.sources import idc, idc_index, idc_rule, open_radnet, size_of, sizes

MOST = 2000  # series of a list that is kept: 200 kB


def write(to: Path = idc.LISTS) -> None:
    """Write everything into `to`, and the pages into the folder above. Raises SourceError as `idc_rule.choose` does."""
    rows, dois, radnet = [], set(), {}
    for card, size in all_sizes():
        table = idc_rule.choose(card, size)
        dois |= set(table["doi"].str.lower())
        rows.append(count(card, size, table))
        if card.name == open_radnet.CARD:
            radnet[size] = table
        if len(table) <= MOST:
            write_bytes(to / f"{card.name}-{size}.csv.gz", pack(table))
    counts = pd.DataFrame(rows)
    all_ct, admitted = idc_index.read_series(("CT",)), idc_rule.candidates(DATASETS[open_radnet.CARD])
    page = open_radnet.page(radnet, counts, all_ct, admitted)
    citations = idc_index.read_citations()
    citations = citations[citations.index.isin(dois)].reset_index()
    write_text(to / "lists.csv", counts.to_csv(index=False, lineterminator="\n"))
    write_text(to / "citations.csv", citations.to_csv(index=False, lineterminator="\n"))
    write_text(to.parent / "attribution.md", page_of_citations(citations))
    write_text(to.parent / "open_radnet.md", page)


def all_sizes() -> Iterator[tuple[DataCard, str]]:
    """Yield (card, size) of everything that comes from the Imaging Data Commons, each size once."""
    for card in DATASETS.values():
        if card.fetch.get("kind") == "idc":
            yield from ((card, size) for size in sizes(card) if size_of(card, size) == size)


def count(card: DataCard, size: str, table: pd.DataFrame) -> dict[str, str | int]:
    """Return what is kept of a list: its counts and its hash."""
    return {
        "card": card.name,
        "size": size,
        "index": idc.version(card),
        "series": len(table),
        "patients": table.groupby(idc_rule.PERSON, observed=True).ngroups,
        "files": int(table["files"].sum()),
        "bytes": int(table["bytes"].sum()),
        "sha256": idc.digest(table),
    }


def pack(table: pd.DataFrame) -> bytes:
    """Return a list as a compressed CSV, the same bytes each time."""
    return gzip.compress(table.to_csv(index=False, lineterminator="\n").encode(), mtime=0)


def page_of_citations(citations: pd.DataFrame) -> str:
    """Return attribution.md by title. Columns of `citations`: title, licence, licence_url, doi, citation."""
    lines = [
        "# What to cite",
        "",
        "Written by `python -m tlkit.sources.idc_lists`. Every source of images, and of masks, that a size of a "
        "data set from the [Imaging Data Commons](https://imaging.datacommons.cancer.gov/) holds. All are CC BY: name "
        "them, and say what you changed. `tlkit.sources.idc.attribution(card, size)` gives those of one size alone.",
        "",
    ]
    for row in citations.sort_values("title").itertuples():
        where = f"[{row.licence}]({row.licence_url}), doi [{row.doi}](https://doi.org/{row.doi})"
        lines.append(f"- {row.title} ({where}). {row.citation}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    try:
        write()
    except TlkitError as error:
        sys.exit(str(error))
