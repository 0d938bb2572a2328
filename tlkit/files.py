"""Writing files and folders so that a reader, a kill or a power cut finds the old or the new, never half of it."""

from __future__ import annotations

import errno
import glob
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import Timeout

from tlkit import pulse
from tlkit.config import TlkitError
from tlkit.locks import Lock

log = logging.getLogger(__name__)
DAY = 86_400
FULL = (errno.ENOSPC, errno.EDQUOT)  # of an OSError: no room, or none left for this user


class DiskSpaceError(TlkitError, OSError):
    """The disk has no room for what is to be written; the message says how much is needed and free."""

    def __init__(self, text: str):
        super().__init__(text)
        self.errno = errno.ENOSPC


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` that takes its place when the block ends; nothing is left of it where it fails.

    The content is on the disk before the name is. The folder is made where it is missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{_mine()}.part")
    try:
        yield part
        sync(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    sync(path.parent)


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write a file whole, or leave the old one (see `replacing`)."""
    with replacing(path) as part:
        part.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8 whole, or leave the old one (see `replacing`)."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def building(final: Path) -> Iterator[Path | None]:
    """Yield an empty folder that takes the name `final` when the block ends; None where it is there already.

    One process builds, another one waits for it. Where the block fails, or is killed, nothing has the final name.
    """
    if final.is_dir():
        yield None
        return
    final.parent.mkdir(parents=True, exist_ok=True)
    lock, part = Lock(final.parent / f".{final.name}.lock"), final.parent / f".{final.name}.{_mine()}.part"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.warning("another process builds %s; waiting for it", final.name)
        lock.acquire()
    try:
        if final.is_dir():
            yield None
            return
        _drop_dead(final)
        part.mkdir()
        yield part
        try:
            part.rename(final)
        except OSError:
            if not final.is_dir():  # else another process has built the same, where locks do not hold
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
        lock.release()


def _mine() -> str:
    """Return what tells this process from those of this and other machines, as part of a file name."""
    return f"{pulse.me()['host']}-{os.getpid()}"


def _drop_dead(final: Path) -> None:
    """Remove what builders left that are gone: of this machine; of others what is older than a day."""
    import psutil

    for part in final.parent.glob(f".{glob.escape(final.name)}.*.part"):
        host, _, pid = part.name.removesuffix(".part").rpartition("-")
        here = host.endswith(f".{pulse.me()['host']}") and pid.isdigit()
        gone = here and (int(pid) == os.getpid() or not psutil.pid_exists(int(pid)))
        if gone or time.time() - part.stat().st_mtime > DAY:
            shutil.rmtree(part, ignore_errors=True)


def require_room(folder: Path, need: float, what: str) -> None:
    """Raise DiskSpaceError where the disk of `folder` has less than `need` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < need:
        raise DiskSpaceError(
            f"{what} needs about {need / 1e6:,.0f} MB under {folder}, but {free / 1e6:,.0f} MB are free. Free some, or "
            "set TLKIT_RUNS to a folder on a larger disk."
        )


def sync(path: Path) -> None:
    """Flush a file's content, or a folder's names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, 64 hex digits."""
    return _digest(path, "sha256")


def md5(path: Path) -> str:
    """Return the MD5 of a file's bytes, as lists of files on the web have it; it proves nothing against malice."""
    return _digest(path, "md5")


def _digest(path: Path, kind: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()
