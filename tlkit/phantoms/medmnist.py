"""Phantom of a MedMNIST set: drawn things in place of tissue, as many classes as the real set has, in its layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tlkit.phantoms import natural
from tlkit.phantoms.streams import stream
from tlkit.progress import track

PARTS = {"train": 0.6, "val": 0.15, "test": 0.25}


def write(root: Path, seed: int, classes: int = 2, images: int = 20, pixels: int = 64, colour: bool = False) -> None:
    """Write `phantom_<pixels>.npz` of the six arrays; `images` count a class, shared out to train, val and test.

    The first two classes of `natural.kinds` are those of a set of two.
    """
    kinds = natural.kinds(classes)
    ends = np.rint(np.cumsum([0, *PARTS.values()]) * images).astype(int)
    arrays, made = {}, 0
    for part, start, end in zip(PARTS, ends[:-1], ends[1:], strict=True):
        codes = stream(seed, f"medmnist {part}", 0).permutation(np.repeat(np.arange(classes), end - start))
        pictures = []
        for code in track(codes, len(codes), f"phantom medmnist {part}", "image"):
            picture = natural.photograph(kinds[code], pixels, stream(seed, "medmnist image", made))[0]
            pictures.append(picture if colour else np.rint(picture.mean(axis=2)).astype(np.uint8))
            made += 1
        arrays[f"{part}_images"] = np.stack(pictures).astype(np.uint8)
        arrays[f"{part}_labels"] = codes[:, None].astype(np.uint8)
    np.savez_compressed(root / f"phantom_{pixels}.npz", **arrays)


def expected_bytes(settings: dict) -> int:
    """Return an upper estimate of the size on disk."""
    image = settings["pixels"] ** 2 * (3 if settings["colour"] else 1)
    return settings["classes"] * settings["images"] * (image + 8) + 4096
