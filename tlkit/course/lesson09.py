"""Checks of lesson 9: labels from clustering."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tlkit.course.expect import close, number


def exercise_1(answer) -> None:
    """The numbers of the groups mean nothing, so a group is named by what it holds most of."""
    groups, labels = pd.Series([0, 0, 0, 0, 1, 1]), pd.Series(list("aaabcd"))
    found = number(answer(groups, labels), "a share")
    assert not close(found, (0.75 + 0.5) / 2), "that is the mean over groups; a large group counts by its images"
    assert not close(found, 4), "that is a number of images; divide by how many there are"
    assert not close(found, 0.5), "that is the most frequent label of all; each group has one of its own"
    assert close(found, 4 / 6), f"3 of 4 and 1 of 2 fit their group: expected 4 / 6, found {found:.3f}"
    assert close(answer(1 - groups, labels), 4 / 6), "other numbers of the groups must change nothing"


def exercise_2(answer) -> None:
    """0 is pure and 1 is a heap; the base of the logarithm cancels, so limits can be compared between studies."""
    half = number(answer([5, 5, 0, 0], 4), "an entropy")
    assert half >= 0, "the sign is wrong: p log p is negative, so the entropy has a minus"
    assert not close(half, np.log(2)), "divide by the largest possible entropy, log(kinds), so that 1 is fully mixed"
    assert not close(half, 1.0), "you divided by the entropy of two kinds; there could have been four (`kinds`)"
    assert not close(half, np.log(2) / 4), "the largest entropy of 4 kinds is log(4), not 4"
    assert close(half, 0.5), f"two of four kinds, equally often, are half of the way: expected 0.5, found {half:.3f}"
    assert close(answer([7, 0, 0, 0], 4), 0), "one kind only: expected 0"
    assert close(answer([3, 3, 3, 3], 4), 1), "all kinds equally often: expected 1"


def exercise_3(answer) -> None:
    """Two numbers decide what a network will never see; that is why they belong in the paper."""
    summary = pd.DataFrame({"size": [30, 4, 50, 10], "entropy": [0.1, 0.0, 0.8, 0.3]}, index=[7, 2, 5, 0])
    found = answer(summary, 0.3, 10)
    assert found is not None, "the function returns nothing; end it with `return ...`"
    found = list(found)
    assert found != [5], "you kept what should go: the mixed group"
    assert 2 not in found, "group 2 is pure and has 4 images, fewer than the floor: both must hold (&, not |)"
    assert 5 not in found, "group 5 is large and mixed: both must hold (&, not |)"
    assert set(found) != {7}, (
        "group 0 is exactly at the limit and at the floor: it goes only above the one or below the other"
    )
    assert found != [7, 0], "these are the right groups; sort their numbers"
    assert set(found) != {0, 3}, "those are positions in the table; its index holds the numbers of the groups"
    assert found == [0, 7], f"expected groups 0 and 7, found {found}"
    assert list(answer(summary, 1, 50)) == [5], "with a limit of 1 and a floor of 50 group 5 alone stays: use both"
