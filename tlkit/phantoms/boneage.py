"""Phantom of RSNA Pediatric Bone Age: left hands of boys and girls in the three official parts and their tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tlkit.phantoms import hand
from tlkit.phantoms.handbones import random_hand
from tlkit.phantoms.streams import stream
from tlkit.progress import track

# As given out: table, its header and words for girls and boys, folders of the images (in turn), number of the k-th.
VALIDATION = "Bone Age Validation Set"
PARTS = {
    "train": (
        "boneage-training-dataset.csv", "{id},{age},{male}", ("id", "boneage", "male"), ("False", "True"),
        ("boneage-training-dataset",), lambda k: 1377 + k + k // 8,
    ),
    "val": (
        f"{VALIDATION}/Validation Dataset.csv", "{id},{male},{age}",
        ("Image ID", "male", "Bone Age (months)"), ("FALSE", "TRUE"),
        (f"{VALIDATION}/boneage-validation-dataset-1", f"{VALIDATION}/boneage-validation-dataset-2"),
        lambda k: 1385 + 9 * k,
    ),
    "test": (
        "Bone Age Test Set/Bone age ground truth.csv", "{id},{male},{age}",
        ("Case ID", "Sex", "Ground truth bone age (months)"), ("F", "M"),
        ("Bone Age Test Set/Test Set Images",), lambda k: 4360 + k,
    ),
}  # fmt: skip


def draw_age(rng: np.random.Generator) -> int:
    """Return a bone age in months, 1 to 228: as in the real set around 127 with 41, but one in four from all ages."""
    age = rng.uniform(6, 222) if rng.random() < 0.25 else rng.normal(127, 41)
    return int(np.clip(round(age), 1, 228))


def write(root: Path, seed: int, train: int = 240, val: int = 60, test: int = 60, pixels: int = 96) -> None:
    """Write phantom hands `<part>/<number>.png` (8 bits, grey) and the three tables under their official headers.

    Of each two neighbours one is a girl. The official table of the test is an Excel sheet; here it is CSV.
    """
    import cv2

    for part, n in (("train", train), ("val", val), ("test", test)):
        table, line, header, words, folders, number = PARTS[part]
        lines = [",".join(header)]
        for folder in folders:
            (root / folder).mkdir(parents=True, exist_ok=True)
        for k in track(range(n), n, f"phantom bone age, {part}", "image"):
            rng = stream(seed, f"bone age {part}", k)
            male = bool(stream(seed, f"bone age sex {part}", k // 2).integers(2)) ^ bool(k % 2)
            age = draw_age(rng)
            child = random_hand(rng, age, male)
            picture = hand.image(child, hand.whole_hand(rng, child), pixels, rng)
            file = root / folders[k * len(folders) // n] / f"{number(k)}.png"
            cv2.imwrite(str(file), np.rint(255 * picture).astype(np.uint8))
            lines.append(line.format(id=number(k), age=age, male=words[male]))
        (root / table).write_text("\n".join(lines) + "\n", encoding="utf-8")


def expected_bytes(settings: dict) -> int:
    """Return an upper estimate of the size on disk."""
    return sum(settings[part] for part in PARTS) * (settings["pixels"] ** 2 + 1024)
