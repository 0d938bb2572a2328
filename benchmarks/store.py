"""How fast an epoch reads a store, and how much memory it takes: `python -m benchmarks.store`.

Speed is measured against `np.copyto` of an equal array in the same process and chunks; memory as the largest
resident size of a fresh process during an epoch, for two stores ten times apart.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import as_rows
from tlkit.datasets.store import Store, open_store

SIZE, BATCH, REPEATS = 128, 128, 7


def make_store(folder: Path, megabytes: int) -> Store:
    """Write a store of random int16 images [N,128,128] of about that size, without decoding anything."""
    folder.mkdir()
    n = megabytes * 1_000_000 // (2 * SIZE * SIZE)
    shape = (n, SIZE, SIZE)
    images = np.lib.format.open_memmap(folder / "images.npy", mode="w+", dtype=np.int16, shape=shape)
    block = np.random.default_rng(0).integers(-1000, 1000, (BATCH, SIZE, SIZE), dtype=np.int16)
    for start in range(0, n, BATCH):
        images[start : start + BATCH] = block[: n - start]
    images.flush()
    pd.DataFrame({"id": [f"{i:07d}" for i in range(n)]}).to_parquet(folder / "table.parquet")
    (folder / "store.json").write_text(json.dumps({"n": n}))
    return open_store(folder)


def epoch(store: Store, order: np.ndarray) -> float:
    """Return the seconds that taking all batches of `order` lasts."""
    start = time.perf_counter()
    for batch in range(0, len(order), BATCH):
        store.take(order[batch : batch + BATCH])
    return time.perf_counter() - start


def copy(source: np.ndarray) -> float:
    """Return the seconds that copying `source` in chunks of one batch into a buffer lasts."""
    target = np.empty_like(source[:BATCH])
    start = time.perf_counter()
    for batch in range(0, len(source), BATCH):
        chunk = source[batch : batch + BATCH]
        np.copyto(target[: len(chunk)], chunk)
    return time.perf_counter() - start


def peak(folder: Path) -> float:
    """Return the largest size, in MB, of a fresh process that reads one epoch in random order."""
    command = [sys.executable, "-m", "benchmarks.store", "--peak", str(folder)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _peak(folder: Path) -> float:
    import psutil

    store, process, largest = open_store(folder), psutil.Process(), 0
    order = np.random.default_rng(0).permutation(len(store))
    for batch in range(0, len(order), BATCH):
        taken = store.take(order[batch : batch + BATCH])
        largest = max(largest, process.memory_info().rss)
        del taken
    return largest / 1e6


def run() -> list[dict]:
    """Return rows (name, unit, ours, other, ratio, limit); speeds are medians of 7 epochs, in turns with the copies."""
    with tempfile.TemporaryDirectory() as folder:
        small = make_store(Path(folder) / "small", 60)
        large = make_store(Path(folder) / "large", 600)
        memory = peak(large.path), peak(small.path)
        source, line = np.array(large.images), np.arange(len(large))
        shuffled = np.random.default_rng(1).permutation(line)
        rounds = [(copy(source), epoch(large, line), epoch(large, shuffled)) for _ in range(REPEATS)]
        memcpy, sequential, random = large.images.nbytes / 1e9 / np.median(rounds, axis=0)
    return as_rows(
        ("store, sequential epoch against memcpy", "GB/s", sequential, memcpy, ">= 0.5"),
        ("store, random epoch against memcpy", "GB/s", random, memcpy, ""),
        ("store, peak memory of an epoch, 600 MB against 60 MB", "MB", *memory, "<= 1.1"),
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peak"]:
        print(_peak(Path(sys.argv[2])))
    else:
        print(pd.DataFrame(run()).to_string(index=False, float_format="%.2f"))
