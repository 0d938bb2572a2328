"""What the cheap evidence of one arm costs: `python -m benchmarks.features`.

Frozen features of 5,000 images of 64 px by EfficientNet-Lite0, against a bare forward pass of ready tensors; k-NN,
probe, few images and scores of 5,000 x 1,280 features in CPU time, against the seconds wanted; and peak memory of
pixel statistics of twice as many images.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from benchmarks.step import in_turn
from tlkit.advice import features, scores
from tlkit.models import backbone
from tlkit.training.recipe import Recipe

NAME, SIZE, IMAGES, WIDTH, CLASSES = "tf_efficientnet_lite0", 64, 5000, 1280, 4
CONFIG = {
    "backbone": NAME,
    "weights": None,
    "seed": 0,
    "recipe": Recipe(epochs=1, batch=32, lr=1e-3, normalise="imagenet").to_dict(),
}
SECONDS = 10.0


class MemoryStore:
    """What features use of a store, with grey images in memory."""

    def __init__(self, n: int):
        self.images = np.random.default_rng(0).integers(0, 256, (n, SIZE, SIZE), dtype=np.uint8)

    def take(self, index: np.ndarray) -> tuple[torch.Tensor, None]:
        return torch.from_numpy(self.images[index]), None


def bare(encoder: torch.nn.Module, n: int) -> float:
    """Return the seconds of `n` images through an encoder, from one batch that lies ready."""
    ready = torch.rand(features.IMAGES, 3, SIZE, SIZE).contiguous(memory_format=torch.channels_last)
    start = time.perf_counter()
    with torch.inference_mode():
        for i in range(0, n, features.IMAGES):
            encoder(ready[: n - i])
    return time.perf_counter() - start


def timed(do: Callable[[], object]) -> float:
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


def scoring() -> float:
    """Return the CPU seconds of all scores of one arm."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, CLASSES, IMAGES)
    hidden = rng.normal(size=(IMAGES, 64)) + 0.6 * np.eye(CLASSES, 64)[target]
    noise = 0.5 * rng.normal(size=(IMAGES, WIDTH))
    values = np.maximum(0, 0.1 * hidden @ rng.normal(size=(64, WIDTH)) + noise).astype(np.float32)
    start = time.process_time()
    scores.evidence(values, target, "multiclass", patients=np.arange(IMAGES) // 2)
    return time.process_time() - start


def peak(n: int) -> float:
    """Return the peak memory in MB, 1 or more, of pixel statistics of `n` images, without them and what is returned."""
    store = MemoryStore(n)
    tracemalloc.start()
    found = features.pixels(store, np.arange(n))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return max(1.0, (most - 2 * found.nbytes) / 1e6)


def run(repeats: int = 3) -> list[dict]:
    """Return rows (name, unit, ours, other, ratio, limit)."""
    store, encoder = MemoryStore(IMAGES), backbone(NAME, seed=0).to(memory_format=torch.channels_last).eval()
    rows = np.arange(IMAGES)
    ours, other = in_turn(
        [lambda: timed(lambda: features.features(CONFIG, store, rows)), lambda: bare(encoder, IMAGES)], repeats
    )
    label = f"frozen features of {IMAGES:,} images, EfficientNet-Lite0, {SIZE} px"
    found = [(f"{label}, a bare forward pass", "s", ours, other, "<= 1.2")]
    found += [
        (f"k-NN, probe and scores of {IMAGES:,} x {WIDTH:,} features, CPU time", "s", scoring(), SECONDS, "<= 1.0")
    ]
    found += [
        (
            "pixel statistics, peak memory beside them, 4,000 images against 2,000",
            "MB",
            peak(4000),
            peak(2000),
            "<= 1.1",
        )
    ]
    return [
        dict(zip(("name", "unit", "ours", "other", "limit"), r, strict=True)) | {"ratio": r[2] / r[3]} for r in found
    ]


if __name__ == "__main__":
    print(pd.DataFrame(run()).to_string(index=False, float_format="%.3f"))
