"""What a training step of `fit` costs against a bare PyTorch loop: `python -m benchmarks.step`.

Both sides train the same model with the same AdamW on the same uint8 images in memory, without augmentation,
on one thread. resnet10 is a real step; of one linear layer only the framework costs.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from tlkit.models import backbone, classifier
from tlkit.training.loop import fit
from tlkit.training.recipe import Recipe
from tlkit.training.supervised import Samples, Supervised
from tlkit.training.tasks import task

SIZE, BATCH, CLASSES = 64, 64, 10
CASES = {  # name: side of the images, steps an epoch, limit
    "resnet10": (SIZE, 12, 1.05),
    "one linear layer": (8, 400, 1.4),
}


class Linear(nn.Module):
    """An encoder that does nothing, so that the head is the model."""

    num_features = 3 * 8 * 8

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)


class MemoryStore:
    """What training uses of a store, with the images in memory."""

    def __init__(self, n: int, size: int):
        g = torch.Generator().manual_seed(0)
        self.images = torch.randint(0, 256, (n, size, size, 3), generator=g, dtype=torch.uint8)
        self.labels = torch.randint(0, CLASSES, (n,), generator=g)
        self.table = pd.DataFrame({"label": self.labels.numpy()})

    def take(self, index) -> tuple[torch.Tensor, None]:
        return self.images[index], None


def model(name: str) -> nn.Module:
    return classifier(Linear() if name == "one linear layer" else backbone(name, seed=0), CLASSES, seed=0)


def ours(name: str, store: MemoryStore) -> float:
    """Return the seconds of one epoch of `fit`."""
    recipe = Recipe(epochs=1, batch=BATCH, lr=1e-3, exclude=False)
    names = tuple(str(c) for c in range(CLASSES))
    samples = Samples(store, store.table.index.to_numpy())
    goal = Supervised(model(name), task("multiclass", names), samples, None, recipe, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        return fit(goal, recipe, seed=0, folder=Path(folder), device=torch.device("cpu")).seconds


def bare(name: str, store: MemoryStore) -> float:
    """Return the seconds of one epoch of the loop that one would write by hand."""
    net = model(name).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-4, fused=True)
    start = time.perf_counter()
    for rows in torch.randperm(len(store.labels)).split(BATCH):
        images = store.images[rows].permute(0, 3, 1, 2).float().div(255)
        loss = F.cross_entropy(net(images), store.labels[rows])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return time.perf_counter() - start


def in_turn(functions: list[Callable[[], float]], repeats: int) -> list[float]:
    """Return the median of each function; they take turns, and the first turn (caches, allocator) is dropped."""
    rounds = [[function() for function in functions] for _ in range(repeats + 1)][1:]
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def run(repeats: int = 15) -> list[dict]:
    """Return rows (name, unit, ours, other, ratio, limit): median milliseconds a step."""
    threads, rows = torch.get_num_threads(), []
    torch.set_num_threads(1)
    try:
        for name, (size, steps, limit) in CASES.items():
            store = MemoryStore(steps * BATCH, size)
            times = in_turn([lambda n=name, s=store: ours(n, s), lambda n=name, s=store: bare(n, s)], repeats)
            mine, other = (1000 * t / steps for t in times)
            label = f"training step, {name}, {size} px, batch {BATCH}, against a bare loop"
            rows.append(
                {
                    "name": label,
                    "unit": "ms",
                    "ours": mine,
                    "other": other,
                    "ratio": mine / other,
                    "limit": f"<= {limit}",
                }
            )
    finally:
        torch.set_num_threads(threads)
    return rows


if __name__ == "__main__":
    print(pd.DataFrame(run()).to_string(index=False, float_format="%.3f"))
