"""Checks of lesson 2: data, patients and leaks."""

from __future__ import annotations

import numpy as np

from tlkit.course.expect import array, close, number


def exercise_1(answer) -> None:
    """A window decides what can be learned at all: what is clipped is gone before the network begins."""
    hu = np.array([-1000, 0, 100, 200, 3000])
    found = array(answer(hu, 100, 400), (5,), "one value for each HU").astype(float)
    assert not close(found, (hu - hu.min()) / (hu.max() - hu.min())), (
        "you stretched the values from their own minimum to their own maximum: the same tissue then has another grey "
        "in every image. Use the window."
    )
    assert found.max() <= 1, f"a value of {found.max():.2f}: all that lies above the window is white, 1. Clip it."
    assert found.min() >= 0, f"a value of {found.min():.2f}: all that lies below the window is black, 0. Clip it."
    half = np.clip((hu - (100 - 400)) / 800, 0, 1)
    assert not close(found, half), "you took the width to each side of the centre; it is the whole width, low to high"
    assert close(found[2], 0.5), f"the centre of the window is middle grey, 0.5; yours is {found[2]:.2f}"
    assert close(found, [0, 0.25, 0.5, 0.75, 1]), f"expected 0, 0.25, 0.5, 0.75, 1, found {np.round(found, 2)}"


def exercise_2(answer) -> None:
    """One patient on both sides is enough to make a test dishonest; this count belongs in every paper."""
    patient = np.array(["ann", "ann", "bob", "bob", "bob", "eve"])
    is_test = np.array([True, False, True, False, True, True])
    found = number(answer(patient, is_test), "the number of patients on both sides")
    assert not close(found, 5), "that counts slices; a patient with ten slices is one patient"
    assert not close(found, 3), "that counts all patients of the test; eve stands on one side only"
    assert close(found, 2), f"ann and bob stand on both sides: expected 2, found {found:g}"
    apart = number(answer(patient, patient == "eve"), "the number of patients on both sides")
    assert close(apart, 0), f"with eve alone in the test nobody stands on both sides: expected 0, found {apart:g}"


def exercise_3(answer) -> None:
    """A patient is drawn as a whole, so nothing of a test patient has been seen before."""
    patient = np.repeat([f"p{i:02d}" for i in range(20)], np.arange(1, 21))
    found = array(answer(patient, 0.3, 0), patient.shape, "one True or False for each slice")
    assert found.dtype == bool, f"expected True and False, found {found.dtype}; compare or use np.isin"
    both = set(patient[found]) & set(patient[~found])
    assert not both, f"{len(both)} of 20 patients stand on both sides: draw names of patients, not slices"
    drawn = len(set(patient[found]))
    assert drawn != 0, "nobody was drawn for the test"
    assert drawn == 6, f"0.3 of 20 patients are 6; you drew {drawn}"
    others = [np.asarray(answer(patient, 0.3, seed)) for seed in range(1, 5)]
    assert not np.array_equal(found, others[0]), "another seed gave the same split: draw with the generator `rng`"
    fewest = min(len(set(patient[other])) for other in others)
    assert fewest == 6, f"with another seed you drew {fewest} patients, not 6: draw none of them twice (replace=False)"
    assert np.array_equal(found, answer(patient, 0.3, 0)), "the same seed gave another split: use only `rng`"


def exercise_4(answer) -> None:
    """These images test memory. They are left out of an honest test, or shown apart from the others."""
    split = np.array(["train", "test", "test", "train", "test", "val"])
    a, b = np.array([0, 1, 2, 0, 2]), np.array([1, 4, 3, 3, 3])
    found = np.asarray(answer(a, b, split))
    assert found.ndim == 1, "expected an array of rows"
    found = found.tolist()
    assert found != [1], "you kept the pairs with the training image first; in 2 and 3 it stands second"
    assert len(found) == len(set(found)), "row 2 has two copies and is still one image: each row once"
    assert 4 not in found, "row 4 is a copy of another test image, which nothing was trained on"
    assert 0 not in found and 3 not in found, "rows 0 and 3 are training images; the test images were asked for"
    assert found == [1, 2], f"expected rows 1 and 2, sorted, found {found}"
