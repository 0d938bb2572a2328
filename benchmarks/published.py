"""How fast the published logs are read, and in how much memory: `python -m benchmarks.published`.

Speed is measured against `pandas.read_csv` of the same files in one loop; memory in a fresh process that reads all
logs, train.log included. The logs are those in TLKIT_LOGS, else phantom ones with every train.log.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import as_rows
from tlkit import paths
from tlkit.phantoms.write import make
from tlkit.published import authorlogs

REPEATS, LIMIT = 9, 300
PEAK = """
import sys
from tlkit.published import authorlogs
authorlogs.read(sys.argv[1])
assert "torch" not in sys.modules
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM:")).split()[1])
"""


def seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def rival(files: list[Path]) -> None:
    for file in files:
        pd.read_csv(file)


def peak(folder: Path) -> float:
    """Return the largest size, in MB, of a fresh process that reads all logs (Linux)."""
    command = [sys.executable, "-c", PEAK, str(folder)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1000


def run() -> list[dict]:
    """Return rows (name, unit, ours, other, ratio, limit); times are medians of 9 readings, in turns with pandas."""
    with tempfile.TemporaryDirectory() as temporary:
        logs = authorlogs.read(paths.logs_root() or make("logs", Path(temporary), all_train=True), train=False)
        files = [logs.folder / run / f"{kind}.log" for run in logs.results["run"].unique() for kind in ("test", "val")]
        rounds = [
            (seconds(lambda: authorlogs.read(logs.folder, train=False)), seconds(lambda: rival(files)))
            for _ in range(REPEATS)
        ]
        memory = peak(logs.folder)
    ours, other = 1000 * np.median(rounds, axis=0)
    name = f"reading {len(files)} {'phantom' if logs.phantom else 'published'} logs"
    return as_rows(
        (f"{name}, pandas", "ms", ours, other, "<= 3.0"),
        (f"{name} and all train.log, peak memory against the limit", "MB", memory, LIMIT, "<= 1.0"),
    )


if __name__ == "__main__":
    print(pd.DataFrame(run()).to_string(index=False, float_format="%.2f"))
