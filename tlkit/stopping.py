"""Signals that ask a process to keep what it has reached (SIGUSR1), and to end then (SIGTERM)."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

KEEP = getattr(signal, "SIGUSR1", None)  # Windows has none


class Stopped(KeyboardInterrupt):
    """A process was asked to end, and has kept what it had reached."""


class Asked:
    """What signals have asked for since `listening`: to keep the state, and to end."""

    def __init__(self) -> None:
        self.to_keep = self.to_end = False

    def kept(self) -> None:
        """Tell that the state was kept. Raises: Stopped where the process was asked to end."""
        self.to_keep = False
        if self.to_end:
            raise Stopped("asked to end (SIGTERM); started again, it goes on from here")


@contextmanager
def listening(then: Callable[[int], object] = lambda number: None) -> Iterator[Asked]:
    """Take SIGTERM and SIGUSR1 as wishes while the block lasts, and call `then` with the signal's number.

    Python hands signals to the main thread alone; in another one nothing changes.
    """
    asked, numbers = Asked(), [signal.SIGTERM, *([KEEP] if KEEP else [])]
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def take(number: int, frame: object) -> None:
        asked.to_keep = True
        asked.to_end |= number == signal.SIGTERM
        then(number)

    before = {number: signal.signal(number, take) for number in numbers}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def outlive_warnings() -> None:
    """Let SIGUSR1 end neither this process nor those that it starts: it only warns of an end."""
    if KEEP and signal.getsignal(KEEP) is signal.SIG_DFL:
        signal.signal(KEEP, signal.SIG_IGN)
