"""Phantom of Imagenette: drawn photographs in folders of its classes, by part."""

from __future__ import annotations

from pathlib import Path

from tlkit.datasets.cards import DATASETS
from tlkit.phantoms import natural
from tlkit.phantoms.streams import stream
from tlkit.progress import track


def write(root: Path, seed: int, train: int = 24, val: int = 8, pixels: int = 64) -> None:
    """Write `{train,val}/<wnid>/*.JPEG`; `train` and `val` count pictures a class."""
    import cv2

    names = DATASETS["imagenette"].classes
    kinds = natural.kinds(len(names))
    made = [(c, f"{part}/{names[c]}/{part}_{c}_{i}.JPEG") for part, count in (("train", train), ("val", val))
            for c in range(len(names)) for i in range(count)]  # fmt: skip
    for index, (c, name) in track(enumerate(made), len(made), "phantom imagenette", "image"):
        picture, _ = natural.photograph(kinds[c], pixels, stream(seed, "imagenette image", index))
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        quality = [cv2.IMWRITE_JPEG_QUALITY, 90]
        (root / name).write_bytes(cv2.imencode(".JPEG", picture[..., ::-1], quality)[1].tobytes())


def expected_bytes(settings: dict) -> int:
    """Return an upper estimate of the size on disk."""
    return 10 * (settings["train"] + settings["val"]) * (settings["pixels"] ** 2 + 4096)
