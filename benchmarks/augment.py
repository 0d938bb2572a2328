"""SimCLR views a second: ours against lightly, batched kornia and albumentations.

All make the same content from uint8 RGB arrays in memory: random resized crop, flip, colour jitter
(.8, .8, .8, .2; p .8), grey (p .2) and Gaussian blur (sigma .1-2; p .5), drawn for each image.
lightly and albumentations run in a DataLoader with two workers, kornia and ours in the main process.

    python -m benchmarks.augment
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from tlkit.training.augment import augment

BATCH = 128
LIMITS = {"lightly": 6.0, "kornia": 4.0, "albumentations": 1.0}  # least ratio ours / other
CASES = {  # result size: source size, views in one measurement
    64: (80, {"ours": 8192, "lightly": 2048, "kornia": 2048, "albumentations": 8192}),
    224: (256, {"ours": 1024, "lightly": 256, "kornia": 256, "albumentations": 1024}),
}


class Transformed(Dataset):
    """Images in memory and a transform of one image."""

    def __init__(self, images: np.ndarray, transform: Callable, length: int):
        self.images, self.transform, self.length = images, transform, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, i: int) -> torch.Tensor | list[torch.Tensor]:
        return self.transform(self.images[i % len(self.images)])


class Lightly:
    """lightly's SimCLR transform: two views of one image on PIL."""

    def __init__(self, size: int):
        from lightly.transforms import SimCLRTransform

        self.views = SimCLRTransform(input_size=size, cj_strength=1.0, sigmas=(0.1, 2.0), normalize=None)

    def __call__(self, image: np.ndarray) -> list[torch.Tensor]:
        from PIL import Image

        return self.views(Image.fromarray(image))


class Albumentations:
    """The same with albumentations; uint8 until the batch is in the main process, its fastest way."""

    def __init__(self, size: int):
        os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else the import asks the network for news
        import albumentations as A
        from albumentations.pytorch import ToTensorV2

        self.view = A.Compose(
            [
                A.RandomResizedCrop((size, size), scale=(0.08, 1)),
                A.HorizontalFlip(p=0.5),
                A.ColorJitter((0.2, 1.8), (0.2, 1.8), (0.2, 1.8), (-0.2, 0.2), p=0.8),
                A.ToGray(p=0.2),
                A.GaussianBlur(blur_limit=0, sigma_limit=(0.1, 2.0), p=0.5),
                ToTensorV2(),
            ]
        )

    def __call__(self, image: np.ndarray) -> torch.Tensor:
        return self.view(image=image)["image"]


def loader_run(images: np.ndarray, transform: Callable, n: int, views: int = 1) -> Callable[[], int]:
    """Return a function that runs `n` views through a DataLoader whose two workers are already there."""
    loader = DataLoader(Transformed(images, transform, n // views), BATCH, num_workers=2, persistent_workers=True)

    def once() -> int:
        count = 0
        for batch in loader:
            for view in batch if isinstance(batch, list) else [batch]:
                count += len(view.float().div_(255) if view.dtype == torch.uint8 else view)
        return count

    return once


def kornia_run(images: np.ndarray, size: int, n: int) -> Callable[[], int]:
    """Return a function that runs `n` views through kornia, batch by batch, with draws for each image."""
    import kornia.augmentation as K

    transform = torch.nn.Sequential(
        K.RandomResizedCrop((size, size), scale=(0.08, 1)),
        K.RandomHorizontalFlip(p=0.5),
        K.ColorJitter(0.8, 0.8, 0.8, 0.2, p=0.8),
        K.RandomGrayscale(p=0.2),
        K.RandomGaussianBlur((13, 13), (0.1, 2.0), p=0.5),
    )
    batch = torch.from_numpy(images[:BATCH])

    @torch.no_grad()
    def once() -> int:
        return sum(len(transform(batch.permute(0, 3, 1, 2).float() / 255)) for _ in range(n // BATCH))

    return once


def our_run(images: np.ndarray, size: int, n: int) -> Callable[[], int]:
    """Return a function that makes `n` views with tlkit."""
    batch, index = torch.from_numpy(images[:BATCH]), torch.arange(BATCH)

    def once() -> int:
        epochs = range(n // BATCH)
        return sum(len(augment(batch, "simclr", seed=0, epoch=e, index=index, size=size)[0]) for e in epochs)

    return once


def contestants(size: int, source: int, counts: dict[str, int]) -> dict[str, Callable[[], int]]:
    """Return a function for each package that is installed; it makes its views and returns their number."""
    images = np.random.default_rng(0).integers(0, 256, (512, source, source, 3), dtype=np.uint8)
    makers = {
        "ours": lambda n: our_run(images, size, n),
        "lightly": lambda n: loader_run(images, Lightly(size), n, views=2),
        "kornia": lambda n: kornia_run(images, size, n),
        "albumentations": lambda n: loader_run(images, Albumentations(size), n),
    }
    there = [name for name in makers if name == "ours" or importlib.util.find_spec(name)]
    return {name: makers[name](counts[name]) for name in there}


def run(repeats: int = 5) -> list[dict]:
    """Return rows (name, unit, ours, other, ratio, limit, note): median views a second of repeats in turn."""
    rows = []
    for size, (source, counts) in CASES.items():
        functions = contestants(size, source, counts)
        rates: dict[str, list[float]] = {name: [] for name in functions}
        for turn in range(repeats + 1):  # the first turn starts workers and fills caches
            for name, function in functions.items():
                start = time.perf_counter()
                count = function()
                if turn:
                    rates[name].append(count / (time.perf_counter() - start))
        ours = statistics.median(rates["ours"])
        for name, limit in LIMITS.items():
            label = f"SimCLR views, {source} to {size} px, {name}"
            row = {"name": label, "unit": "views/s", "ours": ours, "limit": f">= {limit}"}
            if name in rates:
                other = statistics.median(rates[name])
                row |= {"other": other, "ratio": ours / other, "note": ""}
            else:
                row |= {"other": None, "ratio": None, "note": "not installed: pip install -e .[bench]"}
            rows.append(row)
    return rows


if __name__ == "__main__":
    import pandas as pd

    print(pd.DataFrame(run()).to_string(index=False, float_format="%.2f"))
