"""The way of a batch from the store to the device, read ahead of a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np
import torch

AHEAD = 2  # batches that are read while a GPU computes

Batch = tuple[torch.Tensor | None, ...]


def feed_parts(read: Callable[[Any], Batch], parts: Iterable[Any], device: torch.device) -> Iterator[tuple[Any, Batch]]:
    """Yield each part with what `read` returns for it, on the device, in order.

    For a GPU a thread reads the next ones meanwhile, into memory that the GPU copies from by itself.
    """
    if device.type == "cpu":
        for part in parts:
            yield part, read(part)
        return

    def pinned(part: Any) -> tuple[Any, Batch]:
        return part, tuple(t if t is None else t.pin_memory() for t in read(part))

    parts = iter(parts)
    with ThreadPoolExecutor(1) as reader:
        waiting = [reader.submit(pinned, part) for part in islice(parts, AHEAD)]
        while waiting:
            part, batch = waiting.pop(0).result()
            waiting += [reader.submit(pinned, part) for part in islice(parts, 1)]
            yield part, tuple(t if t is None else t.to(device, non_blocking=True) for t in batch)


def send(values: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return an array as a tensor on a device, without a wait for a GPU."""
    tensor = torch.from_numpy(values)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
