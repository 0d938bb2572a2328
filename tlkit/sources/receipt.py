"""What lies in a fetched folder, and what was said of it.

`.source.json` (facts), `.source.csv` (path, bytes and MD5 of every file) and `.source.md` (whom to cite).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from tlkit.archives.archive import walk
from tlkit.files import md5, replacing, write_text
from tlkit.sources import SourceError

FACTS, FILES, CITE = ".source.json", ".source.csv", ".source.md"
TYPES = {"path": "str", "bytes": "int64", "md5": "str"}
BLOCK = 5000  # files at a time


def look(
    folder: Path,
    hashed: bool = True,
    known: pd.DataFrame | None = None,
    progress: Callable[[int], None] = lambda n: None,
) -> pd.DataFrame:
    """Return (path, bytes, md5) of the files below a folder, hidden ones left out; md5 is "" where not `hashed`.

    Files of `known` that have the same size are not hashed again.
    """
    files, parts = walk(folder), [pd.DataFrame(columns=list(TYPES))]
    hashes = (parts[0].astype(TYPES) if known is None else known).set_index("path")
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for block in iter(lambda: list(islice(files, BLOCK)), []):
            table = pd.DataFrame([row[:2] for row in block], columns=["path", "bytes"])
            before = hashes.reindex(table["path"]).fillna({"bytes": -1, "md5": ""})
            table["md5"] = before["md5"].where(before["bytes"].to_numpy() == table["bytes"].to_numpy(), "").to_numpy()
            new = table.index[(table["md5"] == "") & hashed]
            table.loc[new, "md5"] = list(pool.map(lambda path: _md5(folder / path, progress), table.loc[new, "path"]))
            parts.append(table)
    return pd.concat(parts).astype(TYPES).sort_values("path", ignore_index=True)


def _md5(file: Path, progress: Callable[[int], None]) -> str:
    found = md5(file)
    progress(file.stat().st_size)
    return found


def find_faults(rows: pd.DataFrame, found: pd.DataFrame) -> pd.Series:
    """Return what is wrong with each row of a list (see tlkit.sources.COLUMNS), "" where nothing is.

    Without an md5 in `found`, sizes alone are held against each other.
    """
    files, within = found.set_index("path"), found.groupby(list_folders(found["path"])).size()
    folder = rows["path"].str.endswith("/")
    size = files["bytes"].reindex(rows["path"]).set_axis(rows.index)
    count = within.reindex(rows["path"]).set_axis(rows.index).where(folder, 1)
    md5 = files["md5"].reindex(rows["path"]).fillna("").set_axis(rows.index)
    said = pd.Series("", index=rows.index)
    texts = (
        ((rows["md5"] != "") & (md5 != "") & (md5 != rows["md5"]), "MD5 " + md5 + ", expected " + rows["md5"]),
        (~folder & (rows["bytes"] >= 0) & (size != rows["bytes"]), _expected(size, rows["bytes"], "bytes")),
        (count != rows["files"], _expected(count, rows["files"], "files")),
        (size.where(~folder, count).isna(), pd.Series("is not there", index=rows.index)),
    )
    for wrong, text in texts:
        said = said.mask(wrong, text)
    return said


def _expected(found: pd.Series, wanted: pd.Series, what: str) -> pd.Series:
    return found.fillna(0).astype("int64").astype(str) + f" {what}, expected " + wanted.astype(str)


def list_folders(paths: pd.Series) -> pd.Series:
    """Return the folders of files, "a/b/" of "a/b/c" and "" of "c"."""
    return paths.str.replace(r"[^/]*$", "", regex=True)


def find_covered(rows: pd.DataFrame, paths: pd.Series) -> pd.Series:
    """Tell of each path of a file whether the list has it, or the folder in which it lies."""
    return paths.isin(rows["path"]) | list_folders(paths).isin(rows["path"])


def write(folder: Path, facts: dict[str, Any], found: pd.DataFrame, cite: str = "") -> None:
    """Write the receipt of a folder: facts, the files `found` and, where there is one, the text to cite."""
    if cite:
        write_text(folder / CITE, cite)
    with replacing(folder / FILES) as part:
        found.to_csv(part, index=False)
    write_text(folder / FACTS, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")


def read(folder: Path) -> tuple[dict[str, Any], pd.DataFrame] | None:
    """Return the receipt of a folder; None where it has none. Raises SourceError for one that is damaged."""
    if not (folder / FACTS).is_file():
        return None
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        files = pd.read_csv(folder / FILES, dtype=TYPES, keep_default_na=False)[list(TYPES)]
    except (ValueError, KeyError, OSError) as error:
        raise SourceError(
            f"the receipt of {folder} cannot be read ({error}). Move the folder away and fetch it again with `--from` "
            "that folder: what is whole is taken from there."
        ) from error
    return facts, files
