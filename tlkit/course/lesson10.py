"""Checks of lesson 10: check a paper, then your own images."""

from __future__ import annotations

import numpy as np

from tlkit.course.expect import close, number, pair


def exercise_1(answer) -> None:
    """The same step is 5 points and 10 percent; say which, or print both means."""
    found = pair(answer(0.55, 0.5), "two numbers: `return points, percent`")
    points, percent = (number(x, "a difference") for x in found)
    assert not close(points, 0.05, 1e-9), "one point is 0.01 of accuracy: times 100"
    assert not close((points, percent), (10, 5), 1e-9), "they are the wrong way round: points first"
    assert not close(percent, 100 * (1 - 0.5 / 0.55), 1e-9), "you divided by a; the percentage is of b"
    assert not close(percent, 110, 1e-9), "that is a in percent of b; the difference is 100 less"
    assert close((points, percent), (5, 10), 1e-9), (
        f"from 0.50 to 0.55 are 5 points and 10 %; found {points:g}, {percent:g}"
    )
    assert close(answer(0.4, 0.5), (-10, -20), 1e-9), "where a is lower both are negative"


def exercise_2(answer) -> None:
    """A test has a scale with an end, and few runs have a short scale; look for its end in printed p-values."""
    found = number(answer(5, 1), "a p-value")
    assert not close(found, 1 / 252), "that is one-sided: all of b above all of a is as extreme"
    assert not close(found, 2 / 2**10), (
        "these are not coins: five of the ten belong to each arm, so there are C(10, 5) orders"
    )
    assert not close(found, 2 / 120), "that is n!; the runs of one arm are not told apart, so there are C(2n, n) orders"
    assert close(found, 2 / 252), f"2 of 252 orders: expected {2 / 252:.5f}, found {found:.5f}"
    assert not close(answer(5, 3), 2 / 252), "three tests were made: times 3"
    assert not close(answer(5, 3), 2 / 252 / 3), "a correction makes p larger: times the number of tests"
    assert close(answer(5, 3), 6 / 252), "expected 6 / 252, which is printed as 0.024"
    assert close(answer(2, 9), 1), "a probability is never above 1, however many tests"


def exercise_3(answer) -> None:
    """A printed digit is a promise about the next one; this is how it is held to account."""
    cases = [(84.76, "84.8", True), (84.74, "84.8", False), (0.0244, "0.024", True), (13.0, "13", True)]
    cases += [(14.0, "13", False), (27.4, "27", True), (0.05, "0.1", True), (84.849, "84.8", True)]
    found = [bool(np.all(answer(value, text))) for value, text, _ in cases]
    right = [expected for *_, expected in cases]
    assert not all(found), "13 and 14 are not the same: compare with what is printed"
    assert found[0] or found[2], "84.76 rounds to 84.8, so they agree: as near as half of the last digit, not equal"
    assert found[7], "84.849 rounds to 84.8: allow half of the last digit (0.05), not less"
    assert not found[1], "84.74 rounds to 84.7: allow half of the last digit (0.05), not all of it"
    assert found[5], "27.4 rounds to 27: without decimals half of the last digit is 0.5"
    wrong = [f"{v} and {t}" for (v, t, e), f in zip(cases, found, strict=True) if f != e]
    assert found == right, f"wrong for {', '.join(wrong)}"
