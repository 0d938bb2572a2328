"""CKA of 10,000 x 2,048 activations, in minibatches and at once: `python -m benchmarks.cka`.

Each way runs in a fresh process, which says its seconds, its peak memory and the value it found. The activations are
read from files batch by batch, or whole for the rival.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import as_rows
from tlkit.figures import similarity

IMAGES, FEATURES, SHARED = 10_000, 2_048, 64
LIMIT = 1000  # MB


def make(folder: Path) -> None:
    """Write two sets of activations that share 64 hidden values."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(IMAGES, SHARED)).astype(np.float32)
    for name in "xy":
        mixing = rng.normal(size=(SHARED, FEATURES)).astype(np.float32)
        np.save(folder / f"{name}.npy", hidden @ mixing + 8 * rng.normal(size=(IMAGES, FEATURES)).astype(np.float32))


def minibatch(folder: Path, kernel: str) -> float:
    x, y = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in "xy")
    batches = ({"": (x[rows], y[rows])} for rows in similarity.parts(len(x)))
    return similarity.minibatch_cka(batches, [kernel])["", kernel]


def whole(folder: Path, kernel: str) -> float:
    x, y = (np.load(folder / f"{name}.npy") for name in "xy")
    return similarity.cka(x, y, kernel, unbiased=True)


def measured(way: str, folder: Path, kernel: str) -> dict[str, float]:
    """Return seconds, peak MB and value of one way in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.cka", way, str(folder), kernel]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _measure(way: str, folder: Path, kernel: str) -> dict[str, float]:
    start = time.perf_counter()
    value = {"minibatch": minibatch, "whole": whole}[way](folder, kernel)
    return {"seconds": time.perf_counter() - start, "MB": _peak(), "value": value}


def _peak() -> float:
    """Return the largest size of this process in MB; where there is /proc, without what it had of its parent's."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss is handed on from the process that started this one
        return 1024 * int(re.search(r"VmHWM:\s*(\d+) kB", status.read_text())[1]) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def run() -> list[dict]:
    """Return rows (name, unit, ours, other, ratio, limit): minibatches against the kernel matrices of all examples.

    The first row sets our peak memory against the limit of 1 GB. RBF at once is left out: it would take the
    distances of 50 million pairs several times.
    """
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder))
        ours = {kernel: measured("minibatch", Path(folder), kernel) for kernel in similarity.KERNELS}
        other = measured("whole", Path(folder), "linear")
    peak = max(o["MB"] for o in ours.values())
    what = f"CKA, {IMAGES:,} x {FEATURES:,}"
    found = as_rows(
        (f"{what}, peak memory against 1 GB", "MB", peak, LIMIT, "<= 1.0"),
        (f"{what}, peak memory, minibatch against at once", "MB", ours["linear"]["MB"], other["MB"], ""),
        (f"{what}, linear, seconds", "s", ours["linear"]["seconds"], other["seconds"], ""),
        (f"{what}, linear, value", "", ours["linear"]["value"], other["value"], ">= 0.98"),
    )
    alone = {"name": f"{what}, RBF, seconds", "unit": "s", "ours": ours["rbf"]["seconds"]}
    return [*found, {**alone, "other": None, "ratio": None, "limit": ""}]


if __name__ == "__main__":
    if len(sys.argv) == 4:
        print(json.dumps(_measure(sys.argv[1], Path(sys.argv[2]), sys.argv[3])))
    else:
        print(pd.DataFrame(run()).to_string(index=False, float_format="%.3f"))
