"""A run that is open: its folder, its status, and the signs of life that are written there while it is trained."""

from __future__ import annotations

import _thread
import contextlib
import logging
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tlkit import pulse, runfolder
from tlkit.locks import Lock
from tlkit.runfolder import PARTIAL, RunBusyError, RunDamagedError

SILENT = 300.0  # seconds without a sign of life, after which nobody is thought to work on a run
log = logging.getLogger(__name__)


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
