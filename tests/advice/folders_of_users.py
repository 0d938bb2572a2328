"""Small folders of images as users have them, each written by its test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image


def scene(seed: int, side: int = 40) -> np.ndarray:
    """Return an image uint8 [side,side] of its own look: waves that weaken as they shorten."""
    number = np.arange(24)
    waves = np.random.default_rng(seed).normal(size=(24, 24)) / (1 + np.hypot(number[:, None], number))
    at = np.pi * number[:, None] * (np.arange(side) + 0.5) / side
    image = np.cos(at).T @ waves @ np.cos(at)
    return np.uint8((image - image.min()) / np.ptp(image) * 255)


def save(path: Path, seed: int, mode: str = "L", side: int = 40) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(scene(seed, side))
    if mode == "I;16":
        image = Image.fromarray(scene(seed, side).astype(np.uint16) * 16)
    elif mode == "colour":
        image = Image.merge("RGB", [Image.fromarray(scene(seed + k, side)) for k in (0, 1000, 2000)])
    elif mode != "L":
        image = image.convert(mode)
    image.save(path)
    return path


def class_folders(root: Path, n: int = 12, classes=("krank", "gesund ü"), parts=("",), ending="png", **how) -> Path:
    seed = 0
    for part in parts:
        for name in classes:
            for i in range(n):
                save(
                    root / part / name / f"{'abcdefghijklmnopqrstuvwxyz'[i % 26]}{i // 26}x.{ending}",
                    seed := seed + 1,
                    **how,
                )
    return root


def listed(root: Path, n: int = 24, **columns) -> Path:
    """Write images and a table of them; a column is a function of the number of the row."""
    for i in range(n):
        save(root / "images" / f"bild ä{i:03d}.png", i)
    table = pd.DataFrame({"file": [f"bild ä{i:03d}.png" for i in range(n)]})
    for name, value in columns.items():
        table[name] = [value(i) for i in range(n)]
    table.to_csv(root / "tabelle.csv", index=False)
    return root
