"""Checks of lesson 1: what transfer is."""

from __future__ import annotations

import pandas as pd

from tlkit.course.expect import close, number


def exercise_1(answer) -> None:
    """The most frequent class is always there to be guessed, so this is what any network has to beat."""
    labels = pd.Series([0] * 6 + [1] * 3 + [4])
    found = number(answer(labels), "the share of right answers")
    assert not close(found, 1 / 3), (
        "1 / (number of classes) holds only where all classes are equally frequent; here one is not"
    )
    assert not close(found, 6), "that is a number of images; divide it by how many there are"
    assert not close(found, 0.1), "that is the rarest class; one may answer with the most frequent one"
    assert not close(found, 0.7), "that is the mean of the labels, which are names, not amounts"
    assert close(found, 0.6), (
        f"six of ten images are of class 0, so the answer 0 is right for 0.6 of them; you returned {found:g}"
    )
    assert close(answer(pd.Series([4, 4, 4])), 1), "with a single class every answer is right: expected 1"


def exercise_2(answer) -> None:
    """On this scale 0 is worth nothing and 1 is perfect, on every task; below 0 a constant answer is better."""
    found = number(answer(0.8, 0.6), "the share of the way")
    assert not close(found, 0.2), "that is the gain alone; divide it by what there was to gain, 1 - baseline"
    assert not close(found, 0.8 / 0.6), "a ratio of the two has no perfect value; subtract the baseline first"
    assert not close(found, 0.2 / 0.6), "you divided the gain by the baseline; what there was to gain is 1 - baseline"
    assert close(found, 0.5), f"from 0.6 to 0.8 is half of the way to 1: expected 0.5, found {found:g}"
    assert close(answer(0.6, 0.6), 0), "at the baseline nothing was gained: expected 0"
    assert answer(0.4, 0.6) < 0, "below the baseline the share is negative; do not cut it off, it is a warning"


def exercise_3(answer) -> None:
    """Speed is an epoch, not an accuracy; and a network that never gets there has none."""
    history = pd.DataFrame({"epoch": [0, 1, 2, 3], "accuracy": [0.2, 0.5, 0.7, 0.6]})
    found = answer(history, 0.5)
    assert found is not None, "epoch 2 (counted from 1) reaches 0.5 exactly, which is at least 0.5"
    assert not isinstance(found, (pd.Series, pd.DataFrame)), "expected one number, found several; take the smallest"
    assert found != 1, "the table counts from 0, people count from 1: add 1"
    assert found not in (0.5, 0.7), "that is an accuracy; the question is in which epoch it was reached"
    assert found != 3, "0.5 is already reached in the second epoch; take the first good one, not the best"
    assert found == 2, f"the first epoch with an accuracy of 0.5 or more is the second; you returned {found}"
    assert answer(history, 0.9) is None, (
        "no epoch reaches 0.9, so the answer is None: a missing value is not a fast one"
    )
