"""What a million images cost besides their pixels, extrapolated to 12 million: `python -m benchmarks.rows`.

A store of 8 px images with the names of a CT archive, in a fresh process for each number of rows: opened, split by
patient without copies on two sides, its rows chosen, and one epoch of a linear model on three of four of them, as a
run does it. Memory is the largest size of the process beyond that of the smallest store; a folder of as many empty
files is looked at as `content_hash` does, first and with its stamp. Costs a row are the slope between two numbers.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tlkit.datasets import content, copies, splits
from tlkit.datasets.store import Store, open_store
from tlkit.training.loop import fit
from tlkit.training.recipe import Recipe
from tlkit.training.supervised import Samples, Supervised
from tlkit.training.tasks import task

FEW, MANY, ALL = 100_000, 1_000_000, 12_000_000
SIZE, BATCH, CLASSES, SLICES = 8, 256, 100, 100
NAMES = tuple(str(c) for c in range(CLASSES))


class Linear(torch.nn.Module):
    """An encoder that does nothing: what is left is what rows cost."""

    num_features = 3 * SIZE * SIZE

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)


def make_store(folder: Path, n: int) -> None:
    """Write a store of n grey images of a CT archive: a hundred slices a series, two series a patient."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    np.save(folder / "images.npy", rng.integers(0, 256, (n, SIZE, SIZE), dtype=np.uint8))
    series = np.arange(n) // SLICES
    table = pd.DataFrame({
        "id": [f"series{s:08d}_{i:05d}" for s, i in zip(series, np.arange(n) % SLICES, strict=True)],
        "path": [f"{h:016x}" for h in rng.integers(0, 2**62, n)],
        "frame": 0,
        "patient": [f"patient{p:08d}" for p in series // 2],
        "split": "",
        "label": (series // 2) % CLASSES,
        "pixels": rng.permutation(n),
    })  # fmt: skip
    table.to_parquet(folder / "table.parquet")
    meta = {"n": n, "name": "rows", "patients": "named", "task": "multiclass"}
    (folder / "store.json").write_text(json.dumps(meta))


@contextmanager
def _timed(found: dict[str, float], name: str):
    """Note the seconds of the block, and the largest size of the process until its end, in MB."""
    start = time.perf_counter()
    yield
    found[name] = time.perf_counter() - start
    found[f"{name}, MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def measure(folder: Path) -> dict[str, float]:
    """Return seconds and MB of each part of a run on a store."""
    found: dict[str, float] = {}
    torch.set_num_threads(1)
    with _timed(found, "open"):
        store: Store = open_store(folder)
    with _timed(found, "split"):
        table = store.table.assign(row=np.arange(len(store)))
        table = table.assign(**store.owners(copies.DISTANCE))
        table["split"] = splits.assign(table, val=0.05, test=0.2)
        splits.check_disjoint(table["split"], table["owner"])
        rows = table.loc[table["split"] == "train", "row"].to_numpy()
    with _timed(found, "epoch"):
        recipe = Recipe(epochs=1, batch=BATCH, lr=1e-3, exclude=False)
        model = torch.nn.Sequential(Linear(), torch.nn.Linear(Linear.num_features, CLASSES))
        goal = Supervised(model, task("multiclass", NAMES), Samples(store, rows), None, recipe, seed=0)
        with tempfile.TemporaryDirectory() as aside:
            fit(goal, recipe, seed=0, folder=Path(aside), device=torch.device("cpu"))
    return found


def measure_files(root: Path) -> dict[str, float]:
    """Return seconds and MB of looking at a folder of files that were hashed before, without and with a stamp."""
    found: dict[str, float] = {}
    content.LARGE = sys.maxsize
    content.content_hash(root)
    with _timed(found, "files"):
        content.content_hash(root)
    content.LARGE = 0
    content.content_hash(root)
    with _timed(found, "stamp"):
        content.content_hash(root)
    return found


def _fresh(*arguments: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.rows", *arguments]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def run(few: int = FEW, many: int = MANY) -> list[dict]:
    """Return rows: ours is the cost of 12 million by the slope from `few` to `many`, other that of `many`, measured."""
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for n in (few, many):
            make_store(Path(folder) / str(n), n)
            found.append(_fresh("--measure", str(Path(folder) / str(n))))
        print(pd.DataFrame(found, index=[few, many]).T.round(2).to_string(), file=sys.stderr)
    less, more = found
    rows = []
    for name in less:
        slope = (more[name] - less[name]) / (many - few)
        unit = "MB" if name.endswith("MB") else "s"
        name_of = f"{name.removesuffix(', MB')}: 12 million rows by extrapolation, {many:,} measured"
        at_all = more[name] + slope * (ALL - many)
        rows.append({"name": name_of, "unit": unit, "ours": at_all, "other": more[name], "ratio": None, "limit": ""})
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--measure", type=Path)
    parser.add_argument("--files", type=Path)
    asked = parser.parse_args()
    if asked.measure:
        print(json.dumps(measure(asked.measure)))
    elif asked.files:
        print(json.dumps(measure_files(asked.files)))
    else:
        print(pd.DataFrame(run()).to_string(index=False, float_format="%.2f"))
