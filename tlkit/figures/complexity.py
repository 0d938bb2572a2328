"""How many independent slices is a corpus of scans worth? Two bounds of jonske2025 5.6.

A bound of 4 says: 4 slices of these scans tell as much as 1 slice that has no neighbours. Scans are given as
`groups`, one label per slice (patient or series); slices [N,H,W] are in the order of the scan.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable

import numpy as np
import pandas as pd

from tlkit.config import ConfigError

PIXELS = 256  # published: every slice is brought to 256 x 256
BINS = 64
FIRST = 101  # slices of a scan that give its MI_min
MOST = 300  # slices: longer scans are skipped


def lower_bound(
    images: np.ndarray,
    groups: np.ndarray,
    scans: int | None = None,
    seed: int = 0,
    pixels: int | None = None,
    compress: Callable[[bytes], bytes] = gzip.compress,
) -> dict[str, float]:
    """Return S_LB: compressed bytes of random stacks of slices over those of the real scans, 1 where nothing is shared.

    Each scan's slices are stacked and compressed, and as many drawn at random (without replacement) from all scans.
    `scans`: how many scans to take, drawn by `seed` (default: all; the published time limit of 300 s a group of
    10 scans is not kept, as it would let the machine decide). `pixels`: cut or tile each slice's values to
    pixels x pixels as numpy.resize does (published: 256, not interpolated); default: as stored.
    Returns bound, scans, slices, bytes_random, bytes_real. gzip sees 32 KB back: see `window_test`.
    """
    chosen = _scans(groups, scans, seed)
    rng, real, mixed, slices = np.random.default_rng(seed), 0, 0, 0
    for rows in chosen:
        drawn = np.sort(rng.choice(len(images), len(rows), replace=False))
        real += len(compress(_bytes(images, rows, pixels)))
        mixed += len(compress(_bytes(images, drawn, pixels)))
        slices += len(rows)
    return {
        "bound": mixed / real,
        "scans": len(chosen),
        "slices": slices,
        "bytes_random": mixed,
        "bytes_real": real,
    }


def _bytes(images: np.ndarray, rows: np.ndarray, pixels: int | None) -> bytes:
    stack = np.asarray(images[rows])
    if pixels is not None:
        stack = np.stack([np.resize(image, (pixels, pixels)) for image in stack])
    return np.ascontiguousarray(stack).tobytes()


def eight_bit(images: np.ndarray) -> np.ndarray:
    """Return slices [N,H,W] as uint8, each from its own minimum to its maximum (as the published networks see them).

    A slice of one value becomes 0. What is left of the noise of CT decides S_LB, so say which values it was given.
    """
    low, high = (f(images, axis=(1, 2), keepdims=True).astype(np.float32) for f in (np.min, np.max))
    return np.rint((images - low) * (255 / np.maximum(high - low, 1e-9))).astype(np.uint8)


def window_test(
    sides: tuple[int, ...] = (32, 64, 128, 180, 181, 256),
    slices: int = 20,
    compress: Callable[[bytes], bytes] = gzip.compress,
) -> pd.DataFrame:
    """Return S_LB by slice size (columns side, kilobytes, bound) of scans that repeat one slice of noise (uint8).

    The truth is about 13 at every size: 20 slices drawn from 20 such scans hold 13 different ones. gzip finds repeats
    at most 32 KB back, so from 181 px on (one byte a pixel) it sees none and says 1; a compressor with a longer
    memory, such as lzma.compress, does not fail so. At the published 256 px S_LB cannot see that two neighbouring
    slices are alike.
    """
    rows = []
    for side in sides:
        noise = np.random.default_rng(0).integers(0, 256, (slices, side, side), dtype=np.uint8)
        images, groups = noise.repeat(slices, axis=0), np.arange(slices).repeat(slices)
        bound = lower_bound(images, groups, scans=4, compress=compress)["bound"]
        rows.append({"side": side, "kilobytes": side * side / 1024, "bound": bound})
    return pd.DataFrame(rows)


def upper_bound(
    images: np.ndarray, groups: np.ndarray, scans: int | None = None, seed: int = 0, pixels: int = PIXELS
) -> dict[str, float]:
    """Return S_UB: slices over effective slices, by how much each slice shares with the earlier ones of its scan.

    The first slice counts 1, each further one 1 - max over the earlier of (MI - MI_min) / (MI_max - MI_min), in
    shuffled order. MI_min: mean of the scan's first 101 slices, each with a random slice of scan B, where B is drawn
    among this scan and those after it; MI_max: the first slice with itself. Scans of more than 300 slices are
    skipped, and those whose effective number is not between 0 and their slices, or whose MI_max is not above MI_min.
    `scans` and `seed` as in `lower_bound`; `pixels`: bilinear size of a slice. Scans over 300 are counted in `long`.
    Returns bound (NaN where no scan is left), scans, slices, effective, long, left_out.
    """
    chosen = _scans(groups, scans, seed)
    rng, kept, slices, effective = np.random.default_rng(seed), 0, 0, 0.0
    long = sum(len(rows) > MOST for rows in chosen)
    for i, rows in enumerate(chosen):
        other = chosen[rng.integers(i, len(chosen))]
        partners = other[rng.integers(0, len(other), min(len(rows), FIRST))]
        order = rng.permutation(len(rows))
        if len(rows) > MOST:
            continue
        found = _effective(_binned(images, rows, pixels), _binned(images, partners, pixels), order)
        if 0 < found < len(rows):
            kept, slices, effective = kept + 1, slices + len(rows), effective + found
    return {
        "bound": slices / effective if kept else float("nan"),
        "scans": kept,
        "slices": slices,
        "effective": effective,
        "long": long,
        "left_out": len(chosen) - long - kept,
    }


def _effective(scan: np.ndarray, partners: np.ndarray, order: np.ndarray) -> float:
    """Return the effective number of slices of a scan (binned, in its own order); NaN where MI_max <= MI_min."""
    lowest = np.mean([mutual_information(a, b) for a, b in zip(scan, partners, strict=False)])
    span = mutual_information(scan[0], scan[0]) - lowest
    if span <= 0:
        return float("nan")
    scan, total = scan[order], 1.0
    for i in range(1, len(scan)):
        most = max(mutual_information(scan[i], earlier) for earlier in scan[:i])
        total += 1 - (most - lowest) / span
    return total


def _binned(images: np.ndarray, rows: np.ndarray, pixels: int) -> np.ndarray:
    """Return slices as bin numbers [n, pixels * pixels], 64 bins from each slice's minimum to its maximum."""
    import cv2

    binned = np.empty((len(rows), pixels * pixels), np.int64)
    for i, row in enumerate(rows):
        image = cv2.resize(np.asarray(images[row], np.float32), (pixels, pixels), interpolation=cv2.INTER_LINEAR)
        edges = np.histogram_bin_edges(image.astype(np.float64), BINS)
        binned[i] = np.clip(np.searchsorted(edges, image.ravel(), side="right") - 1, 0, BINS - 1)
    return binned


def mutual_information(a: np.ndarray, b: np.ndarray) -> float:
    """Return the mutual information in nats of two slices of bin numbers (0 to 63, one a pixel).

    Joint histogram of 64 x 64, smoothed (Gaussian, sigma 1), plus 1e-6, made to sum 1 (jonske2025 5.6). A slice has
    less than log(64) = 4.16 with itself, because of the smoothing.
    """
    from scipy.ndimage import gaussian_filter

    joint = np.bincount(a * BINS + b, minlength=BINS * BINS).reshape(BINS, BINS).astype(np.float64)
    p = gaussian_filter(joint, sigma=1) + 1e-6
    p /= p.sum()
    x, y = p.sum(1), p.sum(0)
    return float((p * np.log(p)).sum() - (x * np.log(x)).sum() - (y * np.log(y)).sum())


def _scans(groups: np.ndarray, scans: int | None, seed: int) -> list[np.ndarray]:
    """Return the rows of each scan, in the order of first appearance; `scans` of them, drawn by `seed`."""
    codes, names = pd.factorize(np.asarray(groups))
    order = np.argsort(codes, kind="stable")
    found = np.split(order, np.cumsum(np.bincount(codes))[:-1]) if len(codes) else []
    if len(found) < 2 or max(map(len, found)) < 2:
        raise ConfigError(
            f"expected two scans or more and one of two slices or more, found {len(names)} groups over {len(codes)} "
            "images. Photographs have no scans: the bounds are for slices of volumes."
        )
    if scans is not None and scans < len(found):
        found = [found[i] for i in np.sort(np.random.default_rng(seed).choice(len(found), scans, replace=False))]
    return found
