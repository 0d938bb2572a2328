"""One series of slices with the masks that were drawn on it, as images of one size (see `dicom_seg`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.archives import contours, dicom, headers, segmentations
from tlkit.archives.pixels import check_pixels, frame_count, not_grey, stored_values
from tlkit.archives.planes import plane_of
from tlkit.datasets import bounds
from tlkit.datasets.arrays import resize
from tlkit.datasets.cards import UnreadableFile

READERS = {"SEG": segmentations, "RTSTRUCT": contours}
TOP, FULL = 99.9, 4000  # the percentile of an MR series' non-zero pixels that is stored as FULL, as in BraTS


@dataclass(frozen=True)
class Reader:
    """What a card says of the reading."""

    patterns: tuple[str, ...]  # of the classes but the background
    agree: int
    only_labelled: bool
    crop: int | None


def read_series(files: list[Path], masks: list[Path], modality: str, rule: Reader, size: int) -> list[tuple]:
    """Return what `read` yields for the slices of one series."""
    try:
        with bounds.reading(dicom.damaged), headers.quiet():
            slices = [_slice(file) for file in files]
            labels = _labels(masks, slices, rule)
            images, errors = _images(files, modality)
    except UnreadableFile as error:
        return [([], [], str(error))] * len(files)
    found = []
    for k, image in enumerate(images):
        label = labels.get(k)
        found.append(([], [], errors[k]) if k in errors else _finished(image, label, rule, size))
    return found


def _slice(file: Path) -> segmentations.Slice:
    ds = read_header(file)
    return segmentations.Slice(str(ds.get("SOPInstanceUID", "")), plane_of(ds))


def _labels(files: list[Path], slices: list[segmentations.Slice], rule: Reader) -> dict[int, np.ndarray]:
    """Return the classes [H,W] of each slice that has any, uint8: where `agree` of the objects mark a pixel."""
    votes: dict[tuple[int, int], np.ndarray] = {}
    for file in files:
        ds = headers.read_dataset(file)
        reader = READERS[ds.Modality]
        classes = {number: class_of(texts, rule.patterns) for number, texts in reader.names(ds).items()}
        own: dict[tuple[int, int], np.ndarray] = {}
        for number, at, mask in reader.marks(ds, slices):
            if kind := classes.get(number, 0):
                own[kind, at] = own[kind, at] | mask if (kind, at) in own else mask
        for where, mask in own.items():
            votes[where] = votes.get(where, np.uint16(0)) + mask.astype(np.uint16)
    labels: dict[int, np.ndarray] = {}
    for (kind, at), count in sorted(votes.items(), key=lambda item: item[0]):  # later classes lie over earlier ones
        label = labels.setdefault(at, np.zeros(count.shape, np.uint8))
        label[count >= rule.agree] = kind
    return labels


def _images(files: list[Path], modality: str) -> tuple[list[np.ndarray | str], dict[int, str]]:
    """Return the slices of a series, int16 [H,W] or the reason that leaves one out, and errors by slice."""
    images: list[Any] = []
    errors = {}
    for k, file in enumerate(files):
        try:
            images.append(dicom.decode(file, 0.0) if modality == "CT" else _stored(file))
        except UnreadableFile as error:
            images.append(str(error))
            errors[k] = str(error)
    arrays = [image for image in images if not isinstance(image, str)]
    if modality == "CT" or not arrays:
        return images, errors
    bright = np.concatenate([a[a != 0] for a in arrays])
    top = float(np.percentile(bright, TOP)) if bright.size else 0.0
    if top <= 0:
        raise UnreadableFile("no pixel of the series is above 0")
    factor = np.float32(FULL / top)
    return [i if isinstance(i, str) else _scaled(i, factor) for i in images], errors


def _scaled(image: np.ndarray, factor: np.float32) -> np.ndarray:
    return np.clip(np.rint(image.astype(np.float32) * factor), -32768, 32767).astype(np.int16)


def _stored(file: Path) -> np.ndarray | str:
    """Return the stored values [H,W] of an MR slice, or the reason that leaves it out."""
    with bounds.reading(dicom.damaged):
        ds = headers.read_dataset(file)
        check_pixels(ds)
        if frame_count(ds) > 1 or (reason := not_grey(ds)):
            return "more than one frame in a file" if frame_count(ds) > 1 else reason
        return stored_values(ds)


def _finished(image: np.ndarray | str, label: np.ndarray | None, rule: Reader, size: int) -> tuple:
    if isinstance(image, str):
        return [image], [None], ""
    label = np.zeros(image.shape, np.uint8) if label is None else label
    if label.shape != image.shape:
        return [], [], f"a mask of {label.shape} pixels for a slice of {image.shape}"
    if (rule.only_labelled or rule.crop) and not label.any():
        return ["nothing labelled in the slice"], [None], ""
    if rule.crop:
        if min(image.shape) < rule.crop:
            return [f"the slice is smaller than the crop of {rule.crop} px"], [None], ""
        window = _window(label, rule.crop)
        image, label = image[window], label[window]
    return [resize(image, size)], [resize(label, size, nearest=True)], ""


def _window(label: np.ndarray, crop: int) -> tuple[slice, ...]:
    """Return the square around the middle of what is labelled, shifted to stay inside the slice."""
    rows, columns = np.nonzero(label)
    middle = ((rows.min() + rows.max() + 1) // 2, (columns.min() + columns.max() + 1) // 2)
    low = [int(np.clip(m - crop // 2, 0, n - crop)) for m, n in zip(middle, label.shape, strict=True)]
    return tuple(slice(a, a + crop) for a in low)


def read_header(file: Path):
    """Return all of a DICOM file but its pixels."""
    with headers.quiet():
        return headers.read_dataset(file, stop_before_pixels=True)


def class_of(texts: tuple[str, ...], patterns: tuple[str, ...]) -> int:
    """Return the class of a segment by the first of its names that a pattern finds, the last class first; 0: none."""
    for told in texts:
        for number in range(len(patterns), 0, -1):
            if re.search(patterns[number - 1], told, re.IGNORECASE):
                return number
    return 0
