"""The hash of a folder's content, computed once for every state of a file."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import numpy as np
import pandas as pd

from tlkit import paths, stamps
from tlkit.config import short_hash
from tlkit.datasets import bounds
from tlkit.datasets.cards import UnreadableFile, visible_names
from tlkit.files import replacing, sha256

UNREADABLE = ("no regular file", "not readable")  # in place of a digest
STATE = ["number", "size", "mtime_ns", "ctime_ns"]
LARGE = 100_000  # files, which take seconds to look at one by one, in every process
SETTLED = 2e9  # ns: a file changed less than this ago may change again within one tick of the clock
log = logging.getLogger(__name__)
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
    patients in them. From LARGE files on a stamp says the hash (`stamps`); `verify_content` reads all again. Two copies
    of a tree have the same hash wherever they lie.
    """
    seen, asked = _seen.get(), (Path(root).resolve(), cache)
    if seen is None:
        return _content_hash(*asked)
    if asked not in seen:
        seen[asked] = _content_hash(*asked)
    return seen[asked]


def verify_content(root: Path) -> tuple[str, str]:
    """Read every file of a folder again; return its hash as it was known before ("": not at all), and as it is now."""
    root = Path(root).resolve()
    kept = [file for file in (_stamp(root), _cache(root)) if file.is_file()]
    known = _content_hash(root, None) if kept else ""
    for file in kept:
        file.unlink(missing_ok=True)
    return known, _content_hash(root, None)


def _cache(root: Path) -> Path:
    return paths.store_root() / "digests" / f"{short_hash(str(root))}.parquet"


def _stamp(root: Path) -> Path:
    return _cache(root).with_suffix(".stamp")


def _content_hash(root: Path, cache: Path | None) -> str:
    if stamped := stamps.read(_stamp(root), root):
        log.info("%s: %d files as they were read on %s", root.name, stamped["files"], stamped["read"])
        return stamped["sha256"]
    cache = cache or _cache(root)
    names = visible_names(root)
    states = np.fromiter((n for name in names for n in _state(root / name)), np.int64).reshape(-1, len(STATE))
    now = pd.DataFrame(states, columns=STATE)
    old = pd.read_parquet(cache) if cache.is_file() else now.head(0).assign(sha256="")
    now = now.merge(old, how="left", on=STATE)
    new = now["sha256"].isna()
    with ThreadPoolExecutor() as pool:  # hashing and reading both let other threads run
        now.loc[new, "sha256"] = list(pool.map(_sha256, [root / names[i] for i in now.index[new]]))
    if new.any():
        settled = now[["mtime_ns", "ctime_ns"]].max(axis=1) < time.time_ns() - SETTLED
        with replacing(cache) as part:
            now[settled & ~now["sha256"].isin(UNREADABLE)].drop_duplicates(STATE).to_parquet(part)
    total = hashlib.sha256()
    for name, digest in zip(names, now["sha256"], strict=True):
        total.update(f"{name}\0{digest}\n".encode("utf-8", "surrogateescape"))
    if len(names) >= LARGE:
        stamps.write(_stamp(root), root, total.hexdigest(), len(names))
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
        return sha256(file)
    except UnreadableFile:
        return UNREADABLE[0]
    except OSError:  # a reader gives its reason to the table of rejects
        return UNREADABLE[1]
