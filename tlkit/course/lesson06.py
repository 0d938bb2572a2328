"""Checks of lesson 6: is the difference real?"""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from tlkit.course.expect import array, close, number
from tlkit.stats import power


def exercise_1(answer) -> None:
    """It is larger than that of either mean and smaller than their sum: independent errors partly cancel."""
    a, b = np.array([1.0, 2.0, 3.0]), np.array([4.0, 8.0, 6.0, 9.0])
    va, vb = a.var(ddof=1) / 3, b.var(ddof=1) / 4
    found = number(answer(a, b), "a standard error")
    assert not close(found, va + vb), "that is the variance; take its square root"
    assert not close(found, np.sqrt(va) + np.sqrt(vb)), "add the squares, then take the root: errors partly cancel"
    assert not close(found, np.sqrt(abs(va - vb))), (
        "both means are uncertain, so the variances add up, also in a difference"
    )
    assert not close(found, np.sqrt(a.var(ddof=1) + b.var(ddof=1))), (
        "that is the spread of single runs; means are known better"
    )
    assert close(found, np.sqrt(va + vb)), f"for these runs expected {np.sqrt(va + vb):.4f}, found {found:.4f}"


def exercise_2(answer) -> None:
    """No formula and no normal distribution: if the names mean nothing, they may be dealt anew."""
    a, b = np.array([5.0, 6.0, 7.0]), np.array([1.0, 2.0, 3.0])
    found = number(answer(a, b), "a share")
    assert not close(found, 0.05), "you counted one direction; a lead of the other team is as surprising (take np.abs)"
    assert not close(found, 0.0), (
        "the way in which they were really dealt is one of the ways, too: at least as large (>=)"
    )
    assert not close(found, 2), "that is a number of ways; take the share"
    assert close(found, 0.1), f"2 of 20 ways are as extreme: expected 0.1, found {found:g}"
    assert close(answer(b, a), 0.1), "exchanging the arms must change nothing: compare sizes, not signs"
    assert close(answer(np.ones(3), np.ones(3)), 1), "where all runs are equal every deal is as extreme: expected 1"


def exercise_3(answer) -> None:
    """Whatever is true, the chance of any false win among them is below 5 %; Bonferroni does it too, finding less."""
    p = np.array([0.04, 0.001, 0.03, 0.5])
    found = array(answer(p), (4,), "one p for each")
    assert not close(found, np.minimum(1, p * 4)), (
        "that is Bonferroni: all by m. Holm takes m, m - 1, m - 2 ... in order"
    )
    plain = np.array([0.04 * 2, 0.004, 0.03 * 3, 0.5])
    assert not close(found, plain), "0.04 became smaller than 0.03 did: an adjusted p is never below the one before it"
    assert not close(found, np.sort([0.09, 0.004, 0.09, 0.5])), (
        "they are sorted; give them back in the order they came in"
    )
    assert close(found, [0.09, 0.004, 0.09, 0.5]), f"expected 0.09, 0.004, 0.09, 0.5, found {np.round(found, 4)}"
    assert np.max(answer(np.array([0.9, 0.8]))) <= 1, "a probability is never above 1"
    assert close(answer(np.array([0.03])), [0.03]), "a single test needs no correction"


def exercise_4(answer) -> None:
    """Most published comparisons have three to five runs an arm; now you know which differences those can see."""
    right = next(n for n in range(2, 99) if power.power(0.02, (0.02, 0.02), (n, n)) >= 0.8)
    found = number(answer(0.02, 0.02, 0.8), "a number of runs")
    textbook = int(np.ceil(2 * (norm.isf(0.025) + norm.isf(0.2)) ** 2))
    assert found != textbook, (
        "that is the formula of the normal distribution; with few runs the sd is a guess, and more are needed"
    )
    assert found != right - 1, "one short: the power has to reach what was wanted"
    assert found != 2, "two runs do not reach it; go on until the power is there"
    assert found == right, f"expected {right} runs an arm, found {found:g}"
    assert answer(0.2, 0.02, 0.8) <= 3, "a difference of ten sd is found with very few runs"
    assert answer(0.02, 0.02, 0.95) > right, "more power needs more runs: use `wanted`"
