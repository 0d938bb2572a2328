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


def mask(path: Path, values=(0, 255), width: int = 6, mode: str = "L") -> Path:
    """Write a mask with a bar of each value but the first; of mode "RGB" each in a colour of its own."""
    drawn = np.zeros((40, 40, 3), np.uint8) if mode == "RGB" else np.zeros((40, 40), np.uint8)
    for k, value in enumerate(values[1:]):
        drawn[4 + 6 * k : 9 + 6 * k, 3 : 3 + width] = np.eye(3, dtype=np.uint8)[k] * 255 if mode == "RGB" else value
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(drawn).save(path)
    return path


def masked(root: Path, images: str = "images/{}.png", masks: str = "masks/{}.png", n: int = 8, **how) -> Path:
    """Write images and their masks, whose paths are patterns of a word."""
    for i in range(n):
        save(root / images.format(word(i)), 40 + i)
        mask(root / masks.format(word(i)), width=5 + i % 9, **how)
    return root


def word(i: int) -> str:
    return "abcdefghijklmnopqrstuvwxyz"[i % 26] + "x" * (1 + i // 26)


def table(root: Path, n: int = 24, name: str = "{}.png", **columns) -> pd.DataFrame:
    """Write images and return the table of them; a column is a function of the number of the row."""
    files = [name.format(word(i)) for i in range(n)]
    for i, file in enumerate(files):
        save(root / "images" / file, i)
    return pd.DataFrame({"file": files, **{key: [value(i) for i in range(n)] for key, value in columns.items()}})
