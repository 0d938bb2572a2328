"""How fast an epoch reads a store, and how much memory it takes: `python -m benchmarks.store`.

Speed is measured against `np.copyto` of an equal array in the same process and chunks; memory as what the
largest resident size of a fresh process has over its first batch, for two stores ten times apart.
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


def growth(folder: Path) -> float:
    """Return by how many MB a fresh process grows, at most, while it reads one epoch in random order."""
    command = [sys.executable, "-m", "benchmarks.store", "--growth", str(folder)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _growth(folder: Path) -> float:
    import psutil

    store, process, sizes = open_store(folder), psutil.Process(), []
    order = np.random.default_rng(0).permutation(len(store))
    for batch in range(0, len(order), BATCH):
        taken = store.take(order[batch : batch + BATCH])
        sizes.append(process.memory_info().rss)
        del taken
    return (max(sizes) - sizes[0]) / 1e6


def run() -> list[dict]:
    """Return rows (name, value, unit, limit); speeds are medians of 7 epochs, in turns with the copies."""
    with tempfile.TemporaryDirectory() as folder:
        small = make_store(Path(folder) / "small", 60)
        large = make_store(Path(folder) / "large", 600)
        memory = {"60 MB": growth(small.path), "600 MB": growth(large.path)}
        source, line = np.array(large.images), np.arange(len(large))
        shuffled = np.random.default_rng(1).permutation(line)
        rounds = [(copy(source), epoch(large, line), epoch(large, shuffled)) for _ in range(REPEATS)]
        memcpy, sequential, random = large.images.nbytes / 1e9 / np.median(rounds, axis=0)
    return [
        {"name": "memcpy", "value": memcpy, "unit": "GB/s", "limit": ""},
        {"name": "sequential epoch", "value": sequential, "unit": "GB/s", "limit": f">= {memcpy / 2:.1f}"},
        {"name": "random epoch", "value": random, "unit": "GB/s", "limit": ""},
        *(
            {"name": f"peak memory growth in an epoch of {k}", "value": v, "unit": "MB", "limit": "<= 32"}
            for k, v in memory.items()
        ),
    ]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--growth"]:
        print(_growth(Path(sys.argv[2])))
    else:
        print(pd.DataFrame(run()).to_string(index=False, float_format="%.2f"))
