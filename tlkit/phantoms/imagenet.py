"""Phantom of ImageNet: drawn photographs in folders of classes."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from tlkit.phantoms import natural
from tlkit.phantoms.streams import stream
from tlkit.progress import track


def write(root: Path, seed: int, classes: int = 10, train: int = 64, val: int = 20, pixels: int = 96) -> None:
    """Write phantom photographs: `train/<wnid>/*.JPEG`, a flat `val/`, its solution and the synset mapping.

    `train` and `val` count pictures a class; the made-up wnids begin with n9.
    """
    import cv2

    kinds = natural.kinds(classes)
    wnids = [f"n9{k:07d}" for k in range(1, classes + 1)]
    mapping = "".join(f"{w} {k.name}, {k.name}\n" for w, k in zip(wnids, kinds, strict=True))
    (root / "LOC_synset_mapping.txt").write_text(mapping, encoding="utf-8")
    (root / "val").mkdir()
    for wnid in wnids:
        (root / "train" / wnid).mkdir(parents=True)
    names = [(c, f"train/{wnids[c]}/{wnids[c]}_{i}.JPEG") for c in range(classes) for i in range(train)]
    order = stream(seed, "imagenet order", 0).permutation(np.repeat(np.arange(classes), val))
    names += [(int(c), f"val/ILSVRC2012_val_{i:08d}.JPEG") for i, c in enumerate(order, 1)]
    solution = [("ImageId", "PredictionString")]
    for index, (c, name) in track(enumerate(names), len(names), "phantom imagenet", "image"):
        picture, box = natural.photograph(kinds[c], pixels, stream(seed, "imagenet image", index))
        quality = [cv2.IMWRITE_JPEG_QUALITY, 90]
        (root / name).write_bytes(cv2.imencode(".JPEG", picture[..., ::-1], quality)[1].tobytes())
        if name.startswith("val/"):
            solution.append((Path(name).stem, f"{wnids[c]} {box[0]} {box[1]} {box[2]} {box[3]}"))
    with (root / "LOC_val_solution.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(solution)


def expected_bytes(settings: dict) -> int:
    """Return an upper estimate of the size on disk."""
    return settings["classes"] * (settings["train"] + settings["val"]) * (settings["pixels"] ** 2 + 4096)
