"""Locks between processes: the system's own (flock) and, between machines that have none in common, leases.

The system drops its locks when a process ends, however it ends. Some shared file systems have none, or keep them to one
machine (Lustre's `localflock`). There a lock is also a file, the lease, whose holder renews it every `pulse.BEAT`
seconds; what was not renewed for STALE seconds belongs to nobody any more. Leases are written where flock fails and
where TLKIT_LOCKS says so (profiles of clusters do), and heeded everywhere.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tlkit import pulse
from tlkit.config import lookup

SETTING = "TLKIT_LOCKS"
KINDS = {"flock": False, "lease": True}  # whether leases are written where flock works, too
STALE = 120.0  # seconds; longer than clocks differ and than file systems remember what they were asked


class Lock:
    """What one process holds at a time; `acquire`, `release` and `Timeout` are those of `filelock`.

    `lost` is set where a lease was not renewed in time (a machine that slept, a disk that was away) and another process
    took it over.
    """

    def __init__(self, path: Path):
        self.path, self.lease = path, path.with_name(f"{path.name}.lease")
        self.lost = False
        self._flock, self._mine, self._pulse = FileLock(path), "", None

    def acquire(self, timeout: float = -1, poll_interval: float = 0.05) -> Lock:
        """Take the lock, waiting `timeout` seconds at most (-1: for ever).

        A lease of another machine is waited for until it is renewed (then somebody is alive) or stale, however short
        the timeout. Raises: Timeout.
        """
        end, first = math.inf if timeout < 0 else time.monotonic() + timeout, None
        while not self._take():
            beat = self._beat()
            first = first or beat
            if time.monotonic() >= end and (beat is None or beat != first):
                raise Timeout(str(self.path))
            time.sleep(poll_interval)
        return self

    def release(self) -> None:
        """Let go of the lock; of one that was lost, leave the file of whoever has it now."""
        if self._pulse:
            self._pulse.stop()
            self._pulse = None
        if self._mine and not self.lost and self._read() == self._mine:
            self.lease.unlink(missing_ok=True)
        self._mine = ""
        self._flock.release()

    def __enter__(self) -> Lock:
        return self if self._mine or self._flock.is_locked else self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def is_held(self) -> bool:
        """Tell whether a process holds the lock, as far as this machine can know."""
        if _is_alive(self._read(), self._age()):
            return True
        if not has_flock(self.path.parent):
            return False
        try:
            self._flock.acquire(timeout=0)
        except Timeout:
            return True
        self._flock.release()
        return False

    def _take(self) -> bool:
        leased = lookup(os.environ.get(SETTING, "flock"), KINDS, SETTING)
        if has_flock(self.path.parent):
            try:
                self._flock.acquire(timeout=0)
            except Timeout:
                return False
        else:
            leased = True
        if self._take_lease(leased):
            return True
        self._flock.release()
        return False

    def _take_lease(self, write: bool) -> bool:
        """Take the lease, or only see that nobody has it (`write` is false)."""
        found = self._read()
        if found is None and not write:
            return True
        if _is_alive(found, self._age()):
            return False
        mine = json.dumps({**pulse.me(), "born": _born(os.getpid()), "lock": id(self), "at": time.time()})
        if not (_create(self.lease, mine) if found is None else self._take_over(found, mine)):
            return False
        self._mine, self.lost, self._pulse = mine, False, pulse.Pulse(self._renew)
        return True

    def _take_over(self, found: str, mine: str) -> bool:
        """Put another lease into the place of a dead one, unless someone else is about to."""
        guard = self.lease.with_suffix(".taking")
        if not _create(guard, mine):
            if _age(guard) > STALE:  # of a process that died here
                guard.unlink(missing_ok=True)
            return False
        try:
            if self._read() != found:
                return False
            part = self.lease.with_suffix(f".{pulse.me()['host']}-{os.getpid()}.part")
            part.write_text(mine, encoding="utf-8")
            os.replace(part, self.lease)
            return True
        finally:
            guard.unlink(missing_ok=True)

    def _renew(self) -> None:
        if self.lost or self._read() != self._mine:
            self.lost = True
        else:
            os.utime(self.lease)

    def _read(self) -> str | None:
        with contextlib.suppress(FileNotFoundError):
            return self.lease.read_text(encoding="utf-8")
        return None

    def _age(self) -> float:
        return _age(self.lease)

    def _beat(self) -> float | None:
        """Return when a lease of another machine was renewed; None for none."""
        found = self._read()
        if found is None or _told(found).get("host") == pulse.me()["host"]:
            return None
        with contextlib.suppress(FileNotFoundError):
            return self.lease.stat().st_mtime
        return None


@cache
def has_flock(folder: Path) -> bool:
    """Tell whether the file system of a folder has the system's locks; looked at once."""
    try:
        import fcntl
    except ImportError:  # Windows has others
        return True
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL):
            return False
        raise
    return True


def _is_alive(found: str | None, age: float) -> bool:
    """Tell whether who wrote a lease, which is `age` seconds old, is at work: known of this machine, else guessed."""
    if found is None:
        return False
    told = _told(found)
    if told.get("host") == pulse.me()["host"]:
        return told.get("born") is not None and told["born"] == _born(told["pid"])
    return age < STALE


def _told(found: str) -> dict[str, Any]:
    """Return what a lease says; nothing of one that is being written, or was cut."""
    with contextlib.suppress(ValueError):
        told = json.loads(found)
        return told if isinstance(told, dict) else {}
    return {}


def _born(pid: int) -> float | None:
    """Return when a process of this machine started: with its number it has no double."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).create_time()
    return None


def _create(path: Path, text: str) -> bool:
    """Write a file that is not there yet; False where it is."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return False
    return True


def _age(path: Path) -> float:
    """Return the seconds since a file was written or touched; 0 where it has just gone."""
    with contextlib.suppress(FileNotFoundError):
        return time.time() - path.stat().st_mtime
    return 0.0
