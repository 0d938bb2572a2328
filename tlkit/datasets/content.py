"""The hash of a folder's content, computed once for every state of a file."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import pandas as pd

from tlkit import paths
from tlkit.config import short_hash
from tlkit.datasets import bounds
from tlkit.datasets.cards import UnreadableFile, visible_files
from tlkit.files import replacing

UNREADABLE = ("no regular file", "not readable")  # in place of a digest
STATE = ["number", "size", "mtime_ns", "ctime_ns"]
SETTLED = 2e9  # ns: a file changed less than this ago may change again within one tick of the clock


_seen: ContextVar[dict[tuple, str] | None] = ContextVar("_seen", default=None)


@contextmanager
def looking_once() -> Iterator[None]:
    """Hash a folder once while the block lasts, however often it is asked for: its files must stay as they are."""
    token = _seen.set({})
    try:
        yield
    finally:
        _seen.reset(token)


def content_hash(root: Path, cache: Path | None = None) -> str:
    """Return the SHA-256 over the sorted (relative path, SHA-256 of the bytes) of all visible files.

    Digests are kept in `cache` (default: beside the stores) by what the disk says of a file, so that an unchanged
    tree is not read again: its number, size, and times of change. The cache holds no paths, which may have names of
    patients in them. Two copies of a tree have the same hash wherever they lie.
    """
    seen, asked = _seen.get(), (Path(root).resolve(), cache)
    if seen is None:
        return _content_hash(*asked)
    if asked not in seen:
        seen[asked] = _content_hash(*asked)
    return seen[asked]


def _content_hash(root: Path, cache: Path | None) -> str:
    cache = cache or paths.store_root() / "digests" / f"{short_hash(str(root))}.parquet"
    files = visible_files(root)
    names = [f.relative_to(root).as_posix() for f in files]
    states = [_state(f) for f in files]
    now = pd.DataFrame(states, columns=STATE, dtype="int64")
    old = pd.read_parquet(cache) if cache.is_file() else now.head(0).assign(sha256="")
    now = now.merge(old, how="left", on=STATE)
    new = now["sha256"].isna()
    with ThreadPoolExecutor() as pool:  # hashing and reading both let other threads run
        now.loc[new, "sha256"] = list(pool.map(_sha256, [files[i] for i in now.index[new]]))
    if new.any():
        settled = now[["mtime_ns", "ctime_ns"]].max(axis=1) < time.time_ns() - SETTLED
        with replacing(cache) as part:
            now[settled & ~now["sha256"].isin(UNREADABLE)].drop_duplicates(STATE).to_parquet(part)
    total = hashlib.sha256()
    for name, digest in zip(names, now["sha256"], strict=True):
        total.update(f"{name}\0{digest}\n".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def _state(file: Path) -> tuple[int, ...]:
    """Return the STATE of a file; -1 for each where there is none, as behind a broken link.

    Files of equal size and date change places when an archive is unpacked anew, so the time of the change that
    nobody can set (`ctime`) counts as well.
    """
    try:
        facts = file.stat()
    except OSError:
        return (-1,) * len(STATE)
    number = facts.st_ino % 2**63  # of a file; Windows has longer ones
    return number, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def _sha256(file: Path) -> str:
    """Return the digest of a file; one of `UNREADABLE` for what cannot be read, or would never end."""
    try:
        bounds.check_regular(file)
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except UnreadableFile:
        return UNREADABLE[0]
    except OSError:  # a reader gives its reason to the table of rejects
        return UNREADABLE[1]
