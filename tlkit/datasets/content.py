"""The hash of a folder's content, computed once for every state of a file."""

from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from tlkit import paths
from tlkit.config import short_hash
from tlkit.datasets.cards import visible_files
from tlkit.datasets.deidentify import load_key, pseudonym

SETTLED = 2e9  # ns: a file changed less than this ago may change again within one tick of the clock


def content_hash(root: Path, cache: Path | None = None) -> str:
    """Return the SHA-256 over the sorted (relative path, SHA-256 of the bytes) of all visible files.

    Digests are kept in `cache` (default: beside the stores) by path, size and time of change, so that an
    unchanged tree is not read again. Two copies of a tree have the same hash wherever they lie. Paths, which may hold
    names of patients, stand in the cache as pseudonyms.
    """
    root = Path(root).resolve()
    cache = cache or paths.store_root() / "hashes" / f"{short_hash(str(root))}.parquet"
    files, key = visible_files(root), load_key(root)
    names = [f.relative_to(root).as_posix() for f in files]
    stats = [f.stat() for f in files]
    now = pd.DataFrame(
        {
            "path": [pseudonym(key, "file", name) for name in names],
            "size": [s.st_size for s in stats],
            "mtime_ns": [s.st_mtime_ns for s in stats],
        }
    )
    old = pd.read_parquet(cache) if cache.is_file() else now.head(0).assign(sha256="")
    now = now.merge(old, how="left", on=["path", "size", "mtime_ns"])
    new = now["sha256"].isna()
    with ThreadPoolExecutor() as pool:  # hashing and reading both let other threads run
        now.loc[new, "sha256"] = list(pool.map(_sha256, [files[i] for i in now.index[new]]))
    if new.any():
        _save(now[now["mtime_ns"] < time.time_ns() - SETTLED], cache)
    total = hashlib.sha256()
    for name, digest in zip(names, now["sha256"], strict=True):
        total.update(f"{name}\0{digest}\n".encode())
    return total.hexdigest()


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _save(table: pd.DataFrame, cache: Path) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    part = cache.with_name(f"{cache.name}.{os.getpid()}.part")
    table.to_parquet(part)
    part.replace(cache)
