"""Copies of an image: rows of a store whose pixels are equal, and rows that look the same by a perceptual hash.

Two copies are one image, whatever their files, names, labels and patients say: with `owners` they stay on one side
of a split. A hash is 256 signs of a discrete cosine transform (16 x 16 frequencies of 32 x 32 px, above or below
their median; Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010), computed in whole
numbers, so that no pair hangs on the rounding of a processor.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from tlkit.config import ConfigError

GRID, FREQUENCIES = 32, 16  # px a side of what is transformed; frequencies kept in each direction
LOOK = FREQUENCIES**2 // 8  # bytes of a hash
WHOLE, WIDEST = 256, 29  # a cosine of 1 as a whole number; bits that are left of a row's sums
# Bits of 256 up to which two images look the same. Nearly all JPEG files of quality 90 and of half the resolution stay
# below, nine of ten of quality 50. Of 46 million pairs of 9,000 photographs, 3,264 brain MR and 690 chest CT slices
# without equal pixels some 150 do (200 up to 16 bits), and none that was looked at shows two scenes: they are one image
# saved again, or neighbouring slices. Small pictures of one pose come near: one pair of 230 phantom hands at 16.
DISTANCE = 10
FARTHEST = 24  # bits up to which pairs are kept, so that a larger distance can be asked for
MOST = 150_000  # images among which pairs that look the same are sought: two minutes on one core
BLOCK = 2048


def fingerprint(image: np.ndarray) -> int:
    """Return 63 bits of the SHA-256 of an image's dtype, shape and pixels; negative for an image of a single value."""
    digest = hashlib.sha256(f"{image.dtype} {image.shape}".encode())
    digest.update(np.ascontiguousarray(image).data)
    bits = int.from_bytes(digest.digest()[:8], "big") >> 1
    return -1 - bits if image.min() == image.max() else bits


def look(image: np.ndarray) -> np.ndarray:
    """Return the perceptual hash of an image [S,S] or [S,S,C], uint8 [32]; all zeros for one of a single value."""
    grey = image.sum(axis=2) if image.ndim == 3 else image
    low, high = int(grey.min()), int(grey.max())
    if low == high:
        return np.zeros(LOOK, np.uint8)
    rows, columns = _cosines(image.shape[0]), _cosines(image.shape[1])
    # whole numbers all along: sums of them are exact below 2 ** 53, and halving one to its floor is exact as well
    half = rows @ grey.astype(np.float64) - low * rows.sum(axis=1, keepdims=True)
    most = (high - low) * np.abs(rows).sum(axis=1).max()
    half = np.floor(half / 2 ** max(0, int(most).bit_length() - WIDEST))
    spectrum = (half @ columns.T).ravel()
    return np.packbits(spectrum > np.median(spectrum[1:]))  # the first is the mean: it is no part of a look


@cache
def _cosines(size: int) -> np.ndarray:
    """Return [16, size]: `size` px averaged by area to 32 (in parts of a pixel), then 16 cosines, whole numbers."""
    start, end = np.arange(GRID)[:, None] * size, (np.arange(GRID)[:, None] + 1) * size
    pixel = np.arange(size)[None] * GRID
    area = np.clip(np.minimum(end, pixel + GRID) - np.maximum(start, pixel), 0, None)
    angle = np.pi * np.arange(FREQUENCIES)[:, None] * (2 * np.arange(GRID) + 1) / (2 * GRID)
    return np.rint(WHOLE * np.cos(angle)) @ area.astype(np.float64)


def near_pairs(looks: np.ndarray, patient: np.ndarray, farthest: int = FARTHEST) -> pd.DataFrame:
    """Return the pairs of rows (a < b) of other patients whose hashes [N,32] differ by `farthest` bits at most.

    Columns a, b (positions) and distance (bits of 256). Images of a single value look like nothing and have none.
    """
    words = np.ascontiguousarray(looks).view(np.uint64)
    shown = np.flatnonzero(words.any(axis=1))
    words, code = words[shown], pd.factorize(patient)[0][shown]
    found = [np.empty((3, 0), np.int64)]
    for start in range(0, len(words), BLOCK):
        block = words[start : start + BLOCK]
        for other in range(start, len(words), BLOCK):
            next_to = words[other : other + BLOCK]
            half = sum(np.bitwise_count(block[:, None, w] ^ next_to[None, :, w]) for w in (0, 1))  # most are out by it
            a, b = (i + at for i, at in zip(np.nonzero(half <= farthest), (start, other), strict=True))
            distance = np.bitwise_count(words[a] ^ words[b]).sum(axis=1).astype(np.int64)
            kept = (distance <= farthest) & (a < b) & (code[a] != code[b])
            found.append(np.stack([shown[a[kept]], shown[b[kept]], distance[kept]]))
    pairs = pd.DataFrame(np.concatenate(found, axis=1).T, columns=["a", "b", "distance"])
    return pairs.sort_values(["a", "b"], ignore_index=True)


class Gathered:
    """What is known of the images of a store while it is built: `add` each in turn."""

    def __init__(self) -> None:
        self.pixels: list[int] = []
        self.looks: list[np.ndarray] = []

    def add(self, image: np.ndarray) -> None:
        """Note the fingerprint and the look of the next image, [S,S] or [S,S,C]."""
        self.pixels.append(fingerprint(image))
        self.looks.append(look(image))


def owners(table: pd.DataFrame, pairs: pd.DataFrame, named: bool) -> pd.DataFrame:
    """Return `owner` and `copy` of each row: its patient and its id, where those that share a copy have one name.

    `table` has id, patient and pixels (`fingerprint`), `pairs` are `near_pairs` of its positions. The name is the first
    of all. Where patients are `named`, images of a single value make no two of them one: they show nobody.
    """
    pixels = pd.factorize(table["pixels"].where((table["pixels"] >= 0) | (not named)))[0]
    shown = np.flatnonzero(pixels >= 0)
    first = pd.Series(shown).groupby(pixels[shown]).transform("first").to_numpy()
    a, b = np.concatenate([first, pairs["a"]]), np.concatenate([shown, pairs["b"]])
    return pd.DataFrame({"owner": _joined(table["patient"], a, b), "copy": _joined(table["id"], a, b)}, table.index)


def _joined(names: pd.Series, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the first name of all that the links between the rows `a` and `b` join with that of a row."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    code, known = pd.factorize(names, sort=True)
    links = coo_array((np.ones(len(a)), (code[a], code[b])), shape=(len(known), len(known)))
    part = connected_components(links, directed=False)[1]
    least = pd.Series(np.arange(len(known))).groupby(part).transform("min").to_numpy()
    return np.asarray(known)[least[code]]


def keep_near(pairs: pd.DataFrame | None, near: int | None) -> pd.DataFrame:
    """Return those of the `pairs` of a store that differ by `near` bits at most; none for None."""
    if pairs is None or near is None:
        return pd.DataFrame({"a": [], "b": [], "distance": []}, dtype=np.int64)
    if not 0 <= near <= FARTHEST:
        raise ConfigError(f"near is a number of bits from 0 to {FARTHEST}, or null for equal pixels alone; got {near}.")
    return pairs[pairs["distance"] <= near]


def note_copies(table: pd.DataFrame, pairs: pd.DataFrame, named: bool) -> list[tuple[str, str, str]]:
    """Return a note (path, reason, "note") for each image that is a copy of an earlier one of another patient."""
    told: dict[int, str] = {}
    label = _labels(table)
    for a, b, distance in link_copies(table, pairs, named).itertuples(index=False):
        same = "the same pixels as" if distance < 0 else f"looks like ({distance} of 256 bits differ)"
        where = f" in {table['split'].iat[a]}" if table["split"].iat[a] else ""
        other = ", with another label" if label[a] != label[b] else ""
        told.setdefault(b, f"a copy: {same} {table['path'].iat[a]}{where}{other}")
    return [(table["path"].iat[b], reason, "note") for b, reason in sorted(told.items())]


def count(table: pd.DataFrame, pairs: pd.DataFrame, named: bool) -> dict[str, Any]:
    """Return how many images have a copy of another patient: equal pixels, the same look, other labels among them."""
    found = link_copies(table, pairs, named)
    label = _labels(table)
    other = found[label[found["a"]] != label[found["b"]]]
    return {
        "equal": len(set(found.loc[found["distance"] < 0, ["a", "b"]].to_numpy().ravel())),
        "look_same": len(set(found.loc[found["distance"] >= 0, ["a", "b"]].to_numpy().ravel())),
        "with_two_labels": len(set(other[["a", "b"]].to_numpy().ravel())),
    }


def say_copies(found: dict[str, int], n: int) -> str:
    """Return what `count` found among `n` images in a sentence; "" where there is nothing to tell."""
    if not found["equal"] + found["look_same"]:
        return ""
    return (
        f"of {n} images {found['equal']} have a copy with equal pixels, {found['look_same']} one that looks the same; "
        f"{found['with_two_labels']} have one with another label (rejects.csv names each)"
    )


def say_of_test(facts: Mapping[str, float]) -> str:
    """Return in words what `training.data.describe_test` says of copies, "" where nothing."""
    n, seen = facts["test_images"], facts["test_copies"]
    told = [f"{seen} of {n} test images have a copy in training or validation"] * bool(seen)
    for split, before in (("test", "training or validation"), ("val", "training")):
        if left := facts[f"{split}_left_out"]:
            of = f" of {left + n}" if split == "test" else ""
            told.append(f"{left}{of} {split} images are left out as copies of images in {before}")
    return "; ".join(told)


def _labels(table: pd.DataFrame) -> np.ndarray:
    """Return the label of each row; 0 everywhere where the table has none, or several a row."""
    return table["label"].fillna(-1).to_numpy() if "label" in table else np.zeros(len(table))


def link_copies(table: pd.DataFrame, pairs: pd.DataFrame, named: bool) -> pd.DataFrame:
    """Return pairs (a, b, distance) of other patients: equal ones (each with the first; -1), then `pairs`."""
    pixels, patient = table["pixels"].to_numpy(), table["patient"].to_numpy()
    rows = pd.Series(np.arange(len(table)))
    first = rows.groupby(pixels).transform("first").to_numpy()
    b = np.flatnonzero((first < rows) & (patient[first] != patient) & ((pixels >= 0) | (not named)))
    equal = pd.DataFrame({"a": first[b], "b": b, "distance": -1})
    a, c = pairs["a"].to_numpy(), pairs["b"].to_numpy()
    return pd.concat([equal, pairs[pixels[a] != pixels[c]]], ignore_index=True)
