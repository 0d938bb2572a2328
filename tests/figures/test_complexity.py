"""Bounds of a corpus: planted redundancy is found, independent noise is 1, and the histogram is numpy's."""

from __future__ import annotations

import lzma

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from tlkit.config import ConfigError
from tlkit.figures import complexity

SIDE, SLICES, SCANS = 32, 10, 8
GROUPS = np.arange(SCANS).repeat(SLICES)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, SIDE, SIDE), dtype=np.uint8)


def drifting(share: float) -> np.ndarray:
    """Scans whose slices are one image plus that share of new noise."""
    own = noise(SCANS).astype(float).repeat(SLICES, axis=0)
    return ((1 - share) * own + share * noise(SCANS * SLICES, seed=1)).astype(np.uint8)


def test_independent_slices_are_worth_themselves():
    images = noise(SCANS * SLICES)
    assert complexity.lower_bound(images, GROUPS)["bound"] == pytest.approx(1, abs=0.01)
    found = complexity.upper_bound(images, GROUPS, pixels=SIDE)
    assert found["bound"] == pytest.approx(1, abs=0.1) or found["scans"] == 0


def test_repeated_slices_are_worth_one():
    images = noise(SCANS).repeat(SLICES, axis=0)
    # 10 drawn from 8 scans hold about 6 different slices: the random stack is about 6 times the real one
    assert 4 < complexity.lower_bound(images, GROUPS)["bound"] < 8
    assert complexity.upper_bound(images, GROUPS, pixels=SIDE)["bound"] == pytest.approx(SLICES, rel=1e-6)


def test_the_more_is_shared_the_larger_the_bound():
    bounds = [complexity.upper_bound(drifting(s), GROUPS, pixels=SIDE)["bound"] for s in (0.1, 0.3, 0.6)]
    assert SLICES > bounds[0] > bounds[1] > bounds[2] > 1


def test_upper_bound_by_the_letter_of_the_rule():
    images = drifting(0.4)
    found = complexity.upper_bound(images, GROUPS, seed=3, pixels=SIDE)
    assert found["scans"] > SCANS / 2
    rng, slices, effective = np.random.default_rng(3), 0, 0.0
    bins = complexity._binned(images, np.arange(len(images)), SIDE)
    mi = complexity.mutual_information
    for a in range(SCANS):
        mine = bins[a * SLICES : (a + 1) * SLICES]
        b = rng.integers(a, SCANS)
        random = rng.integers(0, SLICES, SLICES) + b * SLICES
        lowest = np.mean([mi(mine[i], bins[random[i]]) for i in range(SLICES)])
        highest, shuffled, total = mi(mine[0], mine[0]), mine[rng.permutation(SLICES)], 1.0
        for i in range(1, SLICES):
            total += 1 - max((mi(shuffled[i], shuffled[j]) - lowest) / (highest - lowest) for j in range(i))
        if 0 < total < SLICES:
            slices, effective = slices + SLICES, effective + total
    assert found["effective"] == pytest.approx(effective) and found["slices"] == slices
    assert found["bound"] == pytest.approx(slices / effective)


def test_mutual_information_is_that_of_numpys_histogram():
    rng = np.random.default_rng(0)
    a = rng.integers(-1000, 1000, (SIDE, SIDE)).astype(np.int16)
    b = (a + rng.integers(0, 500, (SIDE, SIDE))).astype(np.int16)
    joint = gaussian_filter(np.histogram2d(a.ravel(), b.ravel(), 64)[0], 1) + 1e-6
    p = joint / joint.sum()
    x, y = p.sum(1), p.sum(0)
    expected = (p * np.log(p / np.outer(x, y))).sum()
    bins = complexity._binned(np.stack([a, b]), np.arange(2), SIDE)
    assert complexity.mutual_information(*bins) == pytest.approx(expected)


def test_long_scans_are_skipped_and_counted(monkeypatch):
    monkeypatch.setattr(complexity, "MOST", SLICES - 1)
    found = complexity.upper_bound(noise(SCANS).repeat(SLICES, axis=0), GROUPS, pixels=SIDE)
    assert np.isnan(found["bound"]) and found["long"] == SCANS and found["scans"] == found["left_out"] == 0


def test_a_scan_that_is_its_own_partner_tells_nothing():
    # The last scan can only draw itself as B: with equal slices MI_min is MI_max, and it is left out.
    images = noise(2).repeat(SLICES, axis=0)
    found = complexity.upper_bound(images, GROUPS[: 2 * SLICES], pixels=SIDE)
    assert found["left_out"] >= 1 and found["scans"] + found["left_out"] == 2


def test_the_same_seed_gives_the_same_bounds_and_another_other_draws():
    images = drifting(0.2)
    for bound in (complexity.lower_bound, complexity.upper_bound):
        size = {"pixels": SIDE}
        assert bound(images, GROUPS, seed=1, **size) == bound(images, GROUPS, seed=1, **size)
        assert bound(images, GROUPS, seed=1, **size) != bound(images, GROUPS, seed=2, **size)
        fewer = bound(images, GROUPS, scans=3, **size)
        assert fewer["scans"] + fewer.get("left_out", 0) == 3


def test_scans_may_lie_scattered_in_the_store():
    images, order = noise(SCANS).repeat(SLICES, axis=0), np.random.default_rng(0).permutation(len(GROUPS))
    bound = complexity.upper_bound(images[order], GROUPS[order], pixels=SIDE)["bound"]
    assert bound == pytest.approx(SLICES, rel=1e-6)


def test_resizing_tiles_as_numpy_does():
    image = np.arange(6, dtype=np.uint8).reshape(2, 3)
    found = complexity._bytes(image[None], np.array([0]), 4)
    assert list(found) == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3]


def test_eight_bit_by_hand():
    images = np.array([[[-1000, 0], [1000, 1000]], [[5, 5], [5, 5]]], np.int16)
    assert complexity.eight_bit(images).tolist() == [[[0, 128], [255, 255]], [[0, 0], [0, 0]]]


def test_gzip_forgets_a_slice_of_more_than_its_window():
    found = complexity.window_test((64, 256)).set_index("side")["bound"]
    assert found[64] > 8 and found[256] == pytest.approx(1, abs=0.01)
    assert complexity.window_test((256,), compress=lzma.compress)["bound"].item() > 8


@pytest.mark.parametrize("groups", [np.arange(20), np.zeros(20), np.array([])])
def test_images_without_scans_are_refused(groups):
    with pytest.raises(ConfigError, match="expected two scans or more"):
        complexity.lower_bound(noise(len(groups)) if len(groups) else noise(1)[:0], groups)
