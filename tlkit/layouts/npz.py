"""Layout "npz": one file of MedMNIST's six arrays, {train,val,test}_{images,labels}."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from tlkit.config import ConfigError
from tlkit.datasets import bounds
from tlkit.datasets.cards import DataCard, UnreadableFile, visible_files
from tlkit.datasets.layout import Layout
from tlkit.layouts.patients import UNKNOWN

PARTS = ("train", "val", "test")
KEYS = tuple(f"{part}_{kind}" for part in PARTS for kind in ("images", "labels"))


def scan(root: Path, card: DataCard) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (samples, rejects) of the one .npz below `root`, one row per image, in the order of the arrays.

    `label` and `class`, or a column of 0.0 and 1.0 for each class of a multi-label task, and for
    `options["also"]` where an image has none of them. Raises ConfigError where there
    is not one file, or its arrays do not fit each other or the classes of the card.
    """
    file, rows = the_file(root), []
    path, shapes = file.relative_to(root).as_posix(), headers(file)
    for part in (p for p in PARTS if f"{p}_images" in shapes):
        answers = labels(file, part)
        if len(answers) != shapes[f"{part}_images"][0][0]:
            raise ConfigError(f"{file}: {shapes[f'{part}_images'][0][0]} {part} images and {len(answers)} labels.")
        found = pd.DataFrame({"id": [f"{part}_{i:06d}" for i in range(len(answers))], "path": path, "split": part})
        rows.append(pd.concat([found, _targets(answers, card, file)], axis=1))
    samples = pd.concat(rows, ignore_index=True)
    samples = samples.assign(patient=samples["id"], frame=np.arange(len(samples)))
    others = [f.relative_to(root).as_posix() for f in visible_files(root) if f != file]
    return samples, pd.DataFrame([(f, "no .npz", "rule") for f in others], columns=["path", "reason", "kind"])


def the_file(root: Path) -> Path:
    found = [f for f in visible_files(root) if f.suffix.lower() == ".npz"]
    if len(found) != 1:
        raise ConfigError(f"{root}: expected one .npz, found {len(found)}.")
    return found[0]


def headers(file: Path) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Return shape and dtype of each array of a file; raise ConfigError where it is no such file as `KEYS` says."""
    found = {}
    try:
        with bounds.reading(bounds.quote_error), zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                with archive.open(name) as stream:
                    found[name.removesuffix(".npy")] = _header(stream)
    except UnreadableFile as error:
        raise ConfigError(f"{file} is no .npz that can be read: {error}.") from error
    odd = [part for part in PARTS if (f"{part}_images" in found) != (f"{part}_labels" in found)]
    if "train_images" not in found or odd:
        raise ConfigError(f"{file}: expected the arrays {', '.join(KEYS)} of MedMNIST, found {', '.join(found)}.")
    shape, dtype = found["train_images"]
    if len(shape) == 4 and shape[3] > 4 and shape[3] == shape[1]:
        raise ConfigError(
            f"{file}: volumes of {' x '.join(map(str, shape[1:]))}, which are not read with classes: take a file of 2D "
            "images, or save slices as PNG in folders of classes."
        )
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] != 3) or dtype != np.uint8:
        raise ConfigError(f"{file}: expected images uint8 [N,H,W] or [N,H,W,3], found {dtype} {list(shape)}.")
    return found


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, columns_first, dtype = read(stream)
    if columns_first and len(shape) > 1:
        raise UnreadableFile("an array with its first axis last")
    return shape, dtype


def labels(file: Path, part: str) -> np.ndarray:
    """Return the labels of a part, [N,L], whole numbers or, of a regression, any."""
    with np.load(file, allow_pickle=False) as arrays:
        found = arrays[f"{part}_labels"]
    if found.dtype.kind not in "iubf" or found.ndim not in (1, 2) or not np.isfinite(found).all():
        raise ConfigError(f"{file}: expected numbers [N] or [N,L] as labels, found {found.dtype} {found.shape}.")
    whole = found.dtype.kind != "f" or (found == np.rint(found)).all()
    return found.reshape(len(found), -1).astype(int if whole else float)


def _targets(answers: np.ndarray, card: DataCard, file: Path) -> pd.DataFrame:
    names = list(card.classes)
    if card.task == "regression":
        if answers.shape[1] != 1:
            raise ConfigError(f"{file}: expected one number an image, found {answers.shape[1]}.")
        value = pd.Series(answers[:, 0].astype(float))
        rank = np.ceil(value.rank(pct=True) * 10).astype(int)  # in tenths: for stratified draws
        return pd.DataFrame({"label": rank, card.options["target"]: value})
    if card.task == "multilabel":
        if answers.shape[1] != len(names) or not np.isin(answers, (0, 1)).all():
            raise ConfigError(f"{file}: expected {len(names)} labels of 0 or 1 an image, found {answers.shape[1]}.")
        found = pd.DataFrame(answers.astype(float), columns=names)
        found = found.assign(**dict.fromkeys(card.options.get("also", ()), (~answers.any(axis=1)).astype(float)))
        rarest = np.where(answers == 1, answers.sum(axis=0), len(answers) + 1).argmin(axis=1)
        return found.assign(label=np.where(answers.any(axis=1), rarest, len(names)))
    if answers.shape[1] != 1 or answers.dtype.kind == "f" or answers.min() < 0 or answers.max() >= len(names):
        raise ConfigError(f"{file}: expected one label from 0 to {len(names) - 1} an image.")
    codes = answers[:, 0]
    return pd.DataFrame({"label": codes, "class": pd.Categorical.from_codes(codes, names)})


def slices(root: Path, rows: pd.DataFrame, card: DataCard) -> Iterator[tuple[np.ndarray, None]]:
    """Yield (image uint8 [H,W] or [H,W,3], None) of all rows, read one after the other."""
    file = root / rows["path"].iloc[0]
    with zipfile.ZipFile(file) as archive:
        for part in PARTS:
            wanted = int((rows["split"] == part).sum())
            if not wanted:
                continue
            with archive.open(f"{part}_images.npy") as stream:
                shape, dtype = _header(stream)
                size = int(np.prod(shape[1:]))
                bounds.check_need(size)
                for _ in range(wanted):
                    yield np.frombuffer(stream.read(size), dtype).reshape(shape[1:]), None


LAYOUT = Layout(scan=scan, slices=slices, patients=lambda card: UNKNOWN, options={"target": (str, {})})
