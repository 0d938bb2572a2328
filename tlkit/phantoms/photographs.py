"""Phantoms of ImageNet, Imagenette and MedMNIST: drawn photographs in their layouts."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np

from tlkit.datasets.cards import DATASETS
from tlkit.phantoms.natural import Kind, kinds, photograph
from tlkit.phantoms.streams import stream
from tlkit.progress import track

PARTS = {"train": 0.6, "val": 0.15, "test": 0.25}  # of MedMNIST


def _save(file: Path, kind: Kind, pixels: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Write one photograph as JPEG and return the box of its object."""
    picture, box = photograph(kind, pixels, rng)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(cv2.imencode(".JPEG", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())
    return box


def write_imagenet(root: Path, seed: int, classes: int = 10, train: int = 64, val: int = 20, pixels: int = 96) -> None:
    """Write phantom photographs: `train/<wnid>/*.JPEG`, a flat `val/`, its solution and the synset mapping.

    `train` and `val` count pictures a class; the made-up wnids begin with n9.
    """
    drawn = kinds(classes)
    wnids = [f"n9{k:07d}" for k in range(1, classes + 1)]
    mapping = "".join(f"{w} {k.name}, {k.name}\n" for w, k in zip(wnids, drawn, strict=True))
    (root / "LOC_synset_mapping.txt").write_text(mapping, encoding="utf-8")
    names = [(c, f"train/{wnids[c]}/{wnids[c]}_{i}.JPEG") for c in range(classes) for i in range(train)]
    order = stream(seed, "imagenet order", 0).permutation(np.repeat(np.arange(classes), val))
    names += [(int(c), f"val/ILSVRC2012_val_{i:08d}.JPEG") for i, c in enumerate(order, 1)]
    solution = [("ImageId", "PredictionString")]
    for index, (c, name) in track(enumerate(names), len(names), "phantom imagenet", "image"):
        box = _save(root / name, drawn[c], pixels, stream(seed, "imagenet image", index))
        if name.startswith("val/"):
            solution.append((Path(name).stem, f"{wnids[c]} {box[0]} {box[1]} {box[2]} {box[3]}"))
    with (root / "LOC_val_solution.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(solution)


def write_imagenette(root: Path, seed: int, train: int = 24, val: int = 8, pixels: int = 64) -> None:
    """Write `{train,val}/<wnid>/*.JPEG`; `train` and `val` count pictures a class."""
    names = DATASETS["imagenette"].classes
    drawn = kinds(len(names))
    made = [(c, f"{part}/{names[c]}/{part}_{c}_{i}.JPEG") for part, count in (("train", train), ("val", val))
            for c in range(len(names)) for i in range(count)]  # fmt: skip
    for index, (c, name) in track(enumerate(made), len(made), "phantom imagenette", "image"):
        _save(root / name, drawn[c], pixels, stream(seed, "imagenette image", index))


def write_medmnist(
    root: Path, seed: int, classes: int = 2, images: int = 20, pixels: int = 64, colour: bool = False
) -> None:
    """Write `phantom_<pixels>.npz` of the six arrays; `images` count a class, shared out to train, val and test.

    The first two classes of `kinds` are those of a set of two.
    """
    drawn = kinds(classes)
    ends = np.rint(np.cumsum([0, *PARTS.values()]) * images).astype(int)
    arrays, made = {}, 0
    for part, start, end in zip(PARTS, ends[:-1], ends[1:], strict=True):
        codes = stream(seed, f"medmnist {part}", 0).permutation(np.repeat(np.arange(classes), end - start))
        pictures = []
        for code in track(codes, len(codes), f"phantom medmnist {part}", "image"):
            picture = photograph(drawn[code], pixels, stream(seed, "medmnist image", made))[0]
            pictures.append(picture if colour else np.rint(picture.mean(axis=2)).astype(np.uint8))
            made += 1
        arrays[f"{part}_images"] = np.stack(pictures).astype(np.uint8)
        arrays[f"{part}_labels"] = codes[:, None].astype(np.uint8)
    np.savez_compressed(root / f"phantom_{pixels}.npz", **arrays)
