"""The pulse of a process at work: how far it is, told to the outside at intervals."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

BEAT = 15.0  # seconds between two signs of life
JOBS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")  # where schedulers say which job a process is
log = logging.getLogger(__name__)
_progress: dict[str, Any] = {}


def tell(**progress: Any) -> None:
    """Say how far the work of this process is; the next beat tells it to the outside."""
    _progress.update(progress)


def forget() -> None:
    """Begin anew: what was told was of other work."""
    _progress.clear()


def progress() -> dict[str, Any]:
    """Return what `tell` was last told."""
    return dict(_progress)


def me() -> dict[str, Any]:
    """Return who this process is: pid, host and, within a job of a scheduler, its id."""
    job = next((os.environ[name] for name in JOBS if os.environ.get(name)), "")
    return {"pid": os.getpid(), "host": socket.gethostname()} | ({"job": job} if job else {})


class Pulse:
    """Calls `beat` every BEAT seconds in a thread of its own, until `stop` (which waits for a beat under way)."""

    def __init__(self, beat: Callable[[], object], every: float | None = None):
        self._beat, self._every, self._ended = beat, every or BEAT, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(self._every):
            try:
                self._beat()
            except OSError as error:  # of a disk that is away for a moment: the work itself says so where it fails
                log.warning("no sign of life could be written: %s", error)

    def stop(self) -> None:
        """Beat no more; returns when the thread has ended."""
        self._ended.set()
        if self._thread is not threading.current_thread():
            self._thread.join()
