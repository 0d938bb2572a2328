"""Progress for people and for logs: a bar where someone watches, one line otherwise."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator
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
    if is_watched():
        from tqdm.auto import tqdm

        yield from tqdm(items, total=total, desc=label, unit=f" {unit}s", smoothing=0.1, leave=False)
        return
    start, n = time.perf_counter(), 0
    for item in items:
        yield item
        n += 1
    seconds = time.perf_counter() - start
    log.info("%s: %d %ss in %.1f s (%.0f a second)", label, n, unit, seconds, n / max(seconds, 1e-9))
