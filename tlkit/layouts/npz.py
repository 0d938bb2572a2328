"""Layout "npz": one file of MedMNIST's six arrays, {train,val,test}_{images,labels}, or of some like them."""

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
from tlkit.datasets.layout import RANGE, Layout
from tlkit.layouts import folders
from tlkit.layouts.patients import UNKNOWN

PARTS = ("train", "val", "test")
KEYS = tuple(f"{part}_{kind}" for part in PARTS for kind in ("images", "labels"))
CALLED = {"images": ("images", "image", "imgs", "x", "data"), "labels": ("labels", "label", "y", "target", "targets")}
ALSO = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
Headers = dict[str, tuple[tuple[int, ...], np.dtype]]


def key_of(name: str) -> str:
    """Return which of KEYS an array is, such as x_train; "" for none. Arrays of no part are those of training."""
    words = name.lower().split("_")
    kind = next((k for k, known in CALLED.items() if set(known) & set(words)), "")
    part = next((p for p, known in ALSO.items() if set(known) & set(words)), "train" if len(words) == 1 else "")
    return f"{part}_{kind}" if kind and part and len(words) <= 2 else ""


def names_in(file: Path) -> dict[str, str]:
    """Return the name of each array in a file by its key."""
    with zipfile.ZipFile(file) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
    return {**{key_of(n): n for n in names if key_of(n)}, **{n: n for n in names if n in KEYS}}


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
    """Return the only .npz file below a folder; raise ConfigError where there are none or several."""
    found = [f for f in visible_files(root) if f.suffix.lower() == ".npz"]
    if len(found) != 1:
        raise ConfigError(f"{root}: expected one .npz, found {len(found)}.")
    return found[0]


def headers(file: Path) -> Headers:
    """Return shape and dtype of each array of a file; raise ConfigError where it is no such file as `KEYS` says."""
    found, others = {}, []
    try:
        with bounds.reading(bounds.quote_error), zipfile.ZipFile(file) as archive:
            known = {name: key for key, name in names_in(file).items()}
            for member in archive.namelist():
                name = member.removesuffix(".npy")
                others.append(name)
                if name in known:
                    with archive.open(member) as stream:
                        found[known[name]] = _header(stream)
    except UnreadableFile as error:
        raise ConfigError(f"{file} is no .npz that can be read: {error}.") from error
    odd = [part for part in PARTS if (f"{part}_images" in found) != (f"{part}_labels" in found)]
    if "train_images" not in found or odd:
        raise ConfigError(f"{file}: expected the arrays {', '.join(KEYS)} of MedMNIST, found {', '.join(others)}.")
    shape, dtype = found["train_images"]
    if len(shape) == 4 and min(shape[1:]) > 4:
        raise ConfigError(
            f"{file}: volumes of {' x '.join(map(str, shape[1:]))}, which are not read with classes: take a file of 2D "
            "images, or save slices as PNG in folders of classes."
        )
    if _axis(shape) is None or dtype.kind not in "uif":
        raise ConfigError(
            f"{file}: expected images as numbers [N,H,W], or with one, three or four channels, found {dtype} "
            f"{list(shape)}."
        )
    return found


def _axis(shape: tuple[int, ...]) -> int | None:
    """Return the axis of channels of images [N,...]: 0 for none, else the last or the second; None for no images."""
    if len(shape) == 3:
        return 0
    channels = [axis for axis in (3, 1) if len(shape) == 4 and shape[axis] in (1, 3, 4)]
    return channels[0] if channels else None


def pictures(file: Path, part: str) -> Iterator[np.ndarray]:
    """Yield the images of a part one after the other, as they are stored, [H,W] or [H,W,3]."""
    with zipfile.ZipFile(file) as archive, archive.open(f"{names_in(file)[f'{part}_images']}.npy") as stream:
        shape, dtype = _header(stream)
        size, axis = int(np.prod(shape[1:])) * dtype.itemsize, _axis(shape)
        bounds.check_need(size)
        for _ in range(shape[0]):
            image = np.frombuffer(stream.read(size), dtype).reshape(shape[1:])
            image = np.moveaxis(image, 0, -1) if axis == 1 else image
            yield image if not axis else image[..., 0] if image.shape[-1] == 1 else image[..., :3]


def span(file: Path) -> tuple[float, float]:
    """Return the values that are black and white of images that are not uint8: all that they hold lies between."""
    values = [(float(v.min()), float(v.max())) for part in PARTS if f"{part}_images" in names_in(file)
              for v in pictures(file, part)]  # fmt: skip
    low, high = min(low for low, _ in values), max(high for _, high in values)
    whole = headers(file)["train_images"][1].kind in "iu" and low >= 0
    return (0.0, float(max(255, 2 ** int(high).bit_length() - 1))) if whole else (low, high if high > low else low + 1)


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, columns_first, dtype = read(stream)
    if columns_first and len(shape) > 1:
        raise UnreadableFile("an array with its first axis last")
    return shape, dtype


def labels(file: Path, part: str) -> np.ndarray:
    """Return the labels of a part, [N,L]: whole numbers, of a regression any, or texts."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            found = arrays[names_in(file)[f"{part}_labels"]]
    except ValueError as error:  # Python objects, which are not read
        raise ConfigError(f"{file}: expected numbers or texts as labels of {part}; {error}.") from error
    texts = found.dtype.kind in "US"
    if (found.dtype.kind not in "iubf" and not texts) or found.ndim not in (1, 2):
        raise ConfigError(f"{file}: expected numbers [N] or [N,L] as labels, found {found.dtype} {found.shape}.")
    if texts:
        return found.astype(str).reshape(len(found), -1)
    if not np.isfinite(found).all():
        raise ConfigError(f"{file}: expected numbers as labels of {part}, found NaN or infinity.")
    whole = found.dtype.kind != "f" or (found == np.rint(found)).all()
    return found.reshape(len(found), -1).astype(int if whole else float)


def is_one_of(answers: np.ndarray) -> bool:
    """Tell whether labels [N,L] are 0 and 1, with one 1 in each row."""
    return answers.shape[1] > 1 and bool(np.isin(answers, (0, 1)).all() and (answers.sum(axis=1) == 1).all())


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
    if is_one_of(answers):
        answers = answers.argmax(axis=1)[:, None]
    values = names if answers.dtype.kind == "U" else list(card.options.get("values") or range(len(names)))
    place = {value: i for i, value in enumerate(values)}
    codes = [place.get(value, -1) for value in answers[:, 0].tolist()]
    if answers.shape[1] != 1 or -1 in codes:
        raise ConfigError(f"{file}: expected one label of {', '.join(map(str, values))} an image.")
    return pd.DataFrame({"label": codes, "class": pd.Categorical.from_codes(codes, names)})


def slices(root: Path, rows: pd.DataFrame, card: DataCard) -> Iterator[tuple[np.ndarray, None]]:
    """Yield (image uint8 [H,W] or [H,W,3], None) of all rows, read one after the other.

    Values that are not uint8 are read by `options["range"]`, see `folders.to_bytes`.
    """
    file, ends = root / rows["path"].iloc[0], card.options.get("range")
    for part in PARTS:
        if not (rows["split"] == part).any():
            continue
        for image in pictures(file, part):
            if image.dtype != np.uint8 and not ends:
                raise ConfigError(f"{file}: images of {image.dtype} need `range: [lowest, highest]` in the options.")
            yield (image if image.dtype == np.uint8 else folders.to_bytes(image, ends)), None


LAYOUT = Layout(
    scan=scan,
    slices=slices,
    patients=lambda card: UNKNOWN,
    options={"target": (str, {}), "range": RANGE, "values": (tuple[int, ...], {})},
)
