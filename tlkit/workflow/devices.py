"""The GPUs of a machine, each lent to one job at a time."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

VISIBLE = "CUDA_VISIBLE_DEVICES"
EVERY = 1.0  # seconds between two looks for a free one


def count() -> int:
    """Return how many GPUs this process may use."""
    import torch

    return torch.cuda.device_count()


@contextmanager
def lend_gpus(wanted: int) -> Iterator[None]:
    """Let what is started inside see `wanted` GPUs alone, which no other job on this machine has; wait for them.

    Where there are fewer, all are lent, and a run says that they are too few; without any, nothing is changed.
    """
    there, before = count(), os.environ.get(VISIBLE)
    wanted = min(wanted, there)
    if not wanted:
        yield
        return
    names = before.split(",")[:there] if before else list(map(str, range(there)))
    with ExitStack() as held:
        while not (mine := _taken(names, wanted, held)):
            time.sleep(EVERY)
        os.environ[VISIBLE] = ",".join(mine)
        try:
            yield
        finally:
            del os.environ[VISIBLE]
            os.environ |= {} if before is None else {VISIBLE: before}


def _taken(names: list[str], wanted: int, held: ExitStack) -> list[str]:
    """Return `wanted` of the GPUs that are free, locked until `held` is closed; none where so many are not free."""
    with ExitStack() as trying:
        mine: list[str] = []
        for name in names:
            lock = FileLock(Path(tempfile.gettempdir()) / f"tlkit-gpu-{name.replace('/', '-')}.lock", mode=0o666)
            try:
                trying.enter_context(lock.acquire(blocking=False))
            except Timeout:
                continue
            mine.append(name)
            if len(mine) == wanted:
                held.push(trying.pop_all())
                return mine
    return []
