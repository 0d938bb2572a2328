"""A run that is open: its folder, its status, and the signs of life that are written there while it is trained."""

from __future__ import annotations

import _thread
import contextlib
import errno
import logging
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tlkit import paths, pulse, runfolder
from tlkit.files import FULL
from tlkit.locks import Lock
from tlkit.runfolder import PARTIAL, RunBusyError, RunDamagedError

SILENT = 300.0  # seconds without a sign of life, after which nobody is thought to work on a run
log = logging.getLogger(__name__)

AWAY = (errno.EIO, errno.EROFS, errno.ENODEV, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN)


class Run:
    """An open run: its config, its folder, its status, and the lock that makes it this process's."""

    def __init__(self, config: dict[str, Any], rid: str, where: Path, lock: Lock | None = None):
        self.config, self.id, self.folder, self.lock = config, rid, where, lock
        self._pulse: pulse.Pulse | None = None

    def status(self, state: str, **more: Any) -> None:
        """Write the status. Raises: RunBusyError where another process has taken the run over."""
        if self.lock and self.lock.lost:
            raise RunBusyError(f"run {self.id} was taken over: this process had given no sign of life for too long.")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        started = read_status(self.folder).get("started", now)
        far = pulse.progress() | {"heartbeat": time.time()} if state == "running" else {}
        told = {"started": started, "state": state, "updated": now, **pulse.me(), **far, **more}
        runfolder.write_status(self.folder, told)

    def live(self) -> None:
        """Say from now on that the run is at work, and how far it is."""
        pulse.forget()
        self.status("running")
        self._pulse = pulse.Pulse(self._beat)

    def rest(self) -> None:
        """Say so no more."""
        if self._pulse:
            self._pulse.stop()
            self._pulse = None

    def _beat(self) -> None:
        try:
            self.status("running")
        except RunBusyError as error:
            log.error("%s", error)
            _thread.interrupt_main()  # what it goes on to write would be mixed with what the other one writes


def read_status(where: Path) -> dict[str, Any]:
    """Return the status of a run folder; nothing where there is none, or none that can be read."""
    with contextlib.suppress(RunDamagedError):
        return runfolder.read_status(where)
    return {}


def find_state(rid: str, held: bool) -> tuple[str, str]:
    """Return the state of a run that is begun and not done, and of a lost one what is known of it.

    "running", "lost" (its last sign of life is too old, or its machine is gone), "interrupted", "failed" or "not
    available". `held`: a process has its lock.
    """
    told = read_status(runfolder.folder(rid + PARTIAL))
    if told.get("state") in ("failed", "not available") and not held:
        return told["state"], ""
    elsewhere = told.get("state") == "running" and told.get("host") != pulse.me()["host"]
    if not held and not elsewhere:
        return "interrupted", ""
    now = time.time()
    return ("running", "") if now - told.get("heartbeat", now if held else 0) < SILENT else ("lost", say_lost(rid))


def say_lost(rid: str) -> str:
    """Return where a lost run was last heard of, and what goes on with it."""
    told = read_status(runfolder.folder(rid + PARTIAL))
    job = f", job {told['job']}" if "job" in told else ""
    return (
        f"no sign of life from process {told.get('pid', '?')} on {told.get('host', '?')}{job} since "
        f"{told.get('updated', '?')}. End it there if it hangs; then `make figures`, or `python -m tlkit run "
        f"{runfolder.folder(rid + PARTIAL) / 'config.json'}`, goes on from what it had kept."
    )


def say_busy(rid: str) -> str:
    """Return who trains a run."""
    who = read_status(runfolder.folder(rid + PARTIAL))
    return (
        f"run {rid} is being trained by process {who.get('pid', '?')} on {who.get('host', '?')} since "
        f"{who.get('started', '?')}. Wait for it (python -m tlkit status), or stop that process first."
    )


def say_disk(rid: str, error: OSError) -> str:
    """Return what to do where a disk is full, or its file system is away; "" for other errors."""
    if error.errno in FULL:
        free = shutil.disk_usage(paths.runs_root()).free / 1e9
        return (
            f"run {rid} stopped: no space left below {paths.runs_root()} ({free:.2f} GB free). Free some, or set "
            "TLKIT_RUNS to another disk, and start again: it goes on from the last epoch that was kept."
        )
    if error.errno in AWAY:
        return (
            f"run {rid} stopped: the file system of {error.filename or paths.runs_root()} is away ({error.strerror}). "
            f"Bring it back, or set TLKIT_RUNS (runs and stores) or TLKIT_DATA (images) to another one, "
            "and start again: it goes on from the last state that was kept."
        )
    return ""
