"""Signals that ask a process to keep what it has reached (SIGUSR1), and to end then (SIGTERM)."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

KEEP = getattr(signal, "SIGUSR1", None)  # Windows has none
SIGNALS = (signal.SIGTERM, *([KEEP] if KEEP else []))


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
def listening(
    then: Callable[[int], object] = lambda number: None, numbers: tuple[int, ...] = SIGNALS
) -> Iterator[Asked]:
    """Take signals as wishes while the block lasts, and call `then` with the number of each that comes.

    Python hands signals to the main thread alone; in another one nothing changes.
    """
    asked = Asked()
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


def pass_on(number: int, top: int | None = None) -> None:
    """Send a signal to all processes below this one, or to the process `top` and all below it."""
    import psutil

    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(top)
        for one in [*([process] if top else []), *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                one.send_signal(number)


def outlive_warnings() -> None:
    """Let SIGUSR1 end neither this process nor those that it starts: it only warns of an end."""
    if KEEP and signal.getsignal(KEEP) is signal.SIG_DFL:
        signal.signal(KEEP, signal.SIG_IGN)
