"""Progress for people and for logs: a bar where someone watches, one line otherwise."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from threading import Lock
from typing import TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)


def is_watched() -> bool:
    """Tell whether a person watches: a terminal, or a notebook that papermill does not drive."""
    if os.environ.get("TLKIT_UNATTENDED"):
        return False
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def track(items: Iterable[T], total: int | None = None, label: str = "", unit: str = "item") -> Iterator[T]:
    """Yield `items` behind a bar with rate and time left, or log one closing line where nobody watches."""
    units = unit if unit.endswith("s") else f"{unit}s"  # one series, two series
    if is_watched():
        yield from follow(items, total, label, units)
        return
    start, n = time.perf_counter(), 0
    for item in items:
        yield item
        n += 1
    seconds = time.perf_counter() - start
    log.info("%s: %d %s in %.1f s (%.0f a second)", label, n, units, seconds, n / max(seconds, 1e-9))


class Bytes:
    """Counts bytes that come from several threads: a bar where someone watches, else a line a minute and a last one."""

    EVERY = 60  # s

    def __init__(self, total: int | None, label: str):
        self.total, self.label, self.done, self.lock = total, label, 0, Lock()
        self.start = self.said = time.perf_counter()
        self.bar = None
        if is_watched():
            from tqdm.auto import tqdm

            self.bar = tqdm(total=total, desc=label, unit="B", unit_scale=True, smoothing=0.1, leave=False)

    def add(self, n: int) -> None:
        """Count `n` more bytes; any thread may."""
        with self.lock:
            self.done += n
            if self.bar is not None:
                self.bar.update(n)
            elif time.perf_counter() - self.said > self.EVERY:
                self.say()

    def say(self) -> None:
        """Log how many megabytes there are, how fast they come, and the minutes left."""
        self.said = time.perf_counter()
        rate, of, left = self.done / max(self.said - self.start, 1e-9), "", ""
        if self.total:
            of = f" of {self.total / 1e6:,.1f}"
        if self.total and 0 < self.done < self.total:
            left = f", {(self.total - self.done) / rate / 60:.0f} minutes left"
        log.info("%s: %s%s MB, %.1f MB a second%s", self.label, f"{self.done / 1e6:,.1f}", of, rate / 1e6, left)

    def __enter__(self) -> Callable[[int], None]:
        return self.add

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()
        else:
            self.say()


def follow(items: Iterable[T], total: int | None, label: str, units: str, each: int = 1, done: int = 0) -> Iterator[T]:
    """Yield `items` behind a bar, which is gone afterwards, from a saved notebook too.

    Args: total: items in all, those before these (`done`) counted; each: how many units an item is. The bar counts
    units, not items with tqdm's `unit_scale`, which scales the text of a notebook's bar and not the bar.
    """
    from tqdm.auto import tqdm
    from tqdm.notebook import tqdm_notebook

    hidden = {"display": False} if issubclass(tqdm, tqdm_notebook) else {}  # shown here, where it can be taken away
    scaled = {"total": total and total * each, "initial": done * each, "unit": f" {units}"}
    bar = tqdm(**scaled, desc=label, smoothing=0.1, leave=False, **hidden)
    shown = _show(bar.container) if hidden else None
    try:
        for item in items:
            yield item
            bar.update(each)
    finally:
        bar.close()
        if shown:
            shown.update({"text/plain": ""}, raw=True)


def _show(widget):
    from IPython.display import display

    return display(widget, display_id=True)
