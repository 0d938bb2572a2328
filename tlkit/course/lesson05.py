"""Checks of lesson 5: few labels."""

from __future__ import annotations

import numpy as np

from tlkit.course.expect import close, number


def exercise_1(answer) -> None:
    """Every class has its share, however rare it is; say so in a paper, for the natural mixture is another task."""
    labels = np.array([0] * 30 + [1] * 5 + [2] * 12)
    found = np.asarray(answer(labels, 5, 0))
    assert found.ndim == 1 and len(found) == 15, (
        f"three classes with 5 images each are 15 positions; found {found.size}"
    )
    assert len(set(found.tolist())) == 15, "an image was drawn twice: draw without replacement"
    per_class = [int((labels[found] == k).sum()) for k in range(3)]
    assert found.max() >= 12 or labels[found].max() > 0, (
        "these are numbers within each class, counted from 0; positions in `labels` were asked for (np.flatnonzero)"
    )
    assert per_class == [5, 5, 5], f"expected 5 of each class, found {per_class}: draw within each class"
    other = np.asarray(answer(labels, 5, 1))
    assert not np.array_equal(found, other), "another seed drew the same images: draw with `rng`, not the first ones"
    assert np.array_equal(found, answer(labels, 5, 0)), "the same seed drew other images: use only `rng`"


def exercise_2(answer) -> None:
    """Now a gain has a price: labels that somebody would have had to make."""
    counts, accuracies = np.array([10, 100, 1000]), np.array([0.4, 0.6, 0.8])
    found = number(answer(counts, accuracies, 0.5), "a number of labels")
    assert not close(found, 55), (
        "you went along the count itself; go along its logarithm, or early labels count too little"
    )
    assert not close(found, np.log(10**1.5)), "that is the logarithm of the count; come back from it with np.exp"
    assert not close(found, 1.5), "that is the logarithm of the count; come back from it with 10 **"
    assert close(found, 10**1.5), (
        f"half of the way from 10 to 100, by the logarithm, is {10**1.5:.1f}; found {found:.1f}"
    )
    assert close(answer(counts, accuracies, 0.6), 100), "at a point of the curve expected its own count, 100"
    assert answer(counts, accuracies, 0.9) is None, (
        "the curve never reaches 0.9: expected None, no guess beyond its end"
    )


def exercise_3(answer) -> None:
    """With 100 test images an accuracy of 0.8 is known to 0.04: two arms 3 points apart are not told apart by them."""
    found = number(answer(0.8, 100), "a standard error")
    assert not close(found, 0.16), "that is the variance of one answer; divide by n and take the root"
    assert not close(found, 0.0016), "that is the variance of the accuracy; take its square root"
    assert not close(found, 0.4), "that is the sd of one answer; the mean of n answers is known better"
    assert not close(found, 0.004), "take the root of n as well: sqrt(p (1 - p) / n)"
    assert not close(found, np.sqrt(0.8 / 100)), "the variance of a yes-or-no answer is p (1 - p)"
    assert close(found, 0.04), f"for p = 0.8 and n = 100 expected 0.04, found {found:g}"
    assert close(answer(1.0, 50), 0), "where all answers are right this formula says 0 (and is too sure of itself)"
