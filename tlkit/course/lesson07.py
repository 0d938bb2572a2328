"""Checks of lesson 7: what features are reused?"""

from __future__ import annotations

import numpy as np

from tlkit.course.expect import close, number
from tlkit.figures import similarity


def exercise_1(answer) -> None:
    """It does not care about the order, the rotation or the scale of neurons, so it fits networks."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(3, 1, (30, 5)), rng.normal(-2, 1, (30, 8))
    right = similarity.cka(x, y)
    found = number(answer(x, y), "a CKA")
    plain = np.linalg.norm(x.T @ y) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
    assert not close(found, plain), "the columns are not centred: a common shift of all images would count as agreement"
    whole = [(z - z.mean()) for z in (x, y)]
    one = np.linalg.norm(whole[0].T @ whole[1]) ** 2
    one /= np.linalg.norm(whole[0].T @ whole[0]) * np.linalg.norm(whole[1].T @ whole[1])
    assert not close(found, one), (
        "you subtracted one mean from the whole table; each column has a mean of its own (axis=0)"
    )
    assert not close(found, np.sqrt(right)), "the upper bars are squared"
    assert found <= 1 + 1e-9, f"a CKA of {found:.3g} is above 1: divide by the norms of X'X and of Y'Y"
    assert close(found, right), f"for these features expected {right:.4f}, found {found:.4f}"
    assert close(answer(x, x), 1), "equal features have a CKA of 1"
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    assert close(answer(x, 7 * x @ turn + 1), 1), "rotated, scaled and shifted features are the same: expected 1"


def exercise_2(answer) -> None:
    """What is left is the part of the number that has nothing to do with the images."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(50, 4))
    seen = []

    def measure(a, b):
        seen.append((a, b))
        return 0.25

    found = number(answer(x, x + 1, measure, 0), "the value of the measure")
    assert seen, "the measure was never called: return measure(x, shuffled y)"
    a, b = seen[0]
    assert found == 0.25, "return what the measure says"
    assert np.array_equal(a, x), "x has to stay as it is; only the images of y are shuffled"
    assert not np.array_equal(b, x + 1), "y is in its old order"
    assert np.array_equal(np.sort(b, axis=0), np.sort(x + 1, axis=0)), (
        "rows were lost or drawn twice: use a permutation"
    )
    whole = {tuple(row) for row in np.round(x + 1, 9)}
    assert all(tuple(row) in whole for row in np.round(b, 9)), (
        "each column was shuffled on its own, which makes new images; move whole rows"
    )
    answer(x, x + 1, measure, 1)
    assert not np.array_equal(b, seen[-1][1]), "another seed gave the same order: draw it with `rng`"


def exercise_3(answer) -> None:
    """0 means that nothing moved. It depends on the learning rate and the number of steps, whatever was learned."""
    before, after = np.array([[3.0, 4.0]]), np.array([[3.0, 5.0]])
    found = number(answer(before, after), "a displacement")
    assert not close(found, 1), "that is the length of the step; divide by where the weights stood"
    assert not close(found, 1 / np.linalg.norm(after)), "divide by the length before, not after"
    assert not close(found, np.linalg.norm(after) / 5 - 1), (
        "you compared lengths; weights can turn without getting longer. Take the length of the difference."
    )
    assert close(found, 0.2), f"from (3, 4) to (3, 5) is a step of 1 at a length of 5: expected 0.2, found {found:g}"
    assert close(answer(before, -before), 2), "weights that change their sign moved by twice their length"
