"""Checks of lesson 3: contrastive pretraining."""

from __future__ import annotations

import numpy as np

from tlkit.course.expect import close, number
from tlkit.training.contrastive import nt_xent_range


def exercise_1(answer) -> None:
    """This is where the curve of every SimCLR run begins; if yours starts elsewhere, something is broken."""
    found = number(answer(8), "a loss")
    assert found > 0, "a loss is minus the logarithm of a probability, which is positive: check the sign"
    assert not close(found, np.log(8)), "there are two views of each image, so there are more views than pairs"
    assert not close(found, np.log(16)), "a view is not compared with itself: one of the 16 drops out"
    assert not close(found, np.log(14)), "the partner is among the candidates as well: 14 negatives and 1 positive"
    assert not close(found, np.log10(15)) and not close(found, np.log2(15)), "take the natural logarithm"
    assert not close(found, 15), "that is the number of candidates; the loss is a logarithm"
    assert close(found, np.log(15)), f"8 pairs are 16 views, each among 15 others: expected ln 15, found {found:g}"


def exercise_2(answer) -> None:
    """It is cross-entropy with as many classes as there are other views, and the right class is the partner."""
    cosines = np.array([0.9, 0.1, -0.3, 0.2])
    logits = cosines / 0.5
    right = float(np.log(np.exp(logits).sum()) - logits[0])
    found = number(answer(cosines, 0, 0.5), "a loss")
    others = np.delete(logits, 0)
    assert not close(found, -right), "the sign is wrong: a loss is minus the log-probability"
    assert not close(found, np.exp(-right)), "that is the probability; the loss is minus its logarithm"
    assert not close(found, np.log(np.exp(others).sum()) - logits[0]), (
        "the partner itself belongs in the sum as well, or the loss could fall below 0"
    )
    assert not close(found, np.log(np.exp(cosines).sum()) - cosines[0]), "the temperature was left out"
    assert close(found, right), f"for these cosines expected {right:.4f}, found {found:.4f}"
    third = number(answer(cosines, 2, 0.5), "a loss")
    assert close(third, right + logits[0] - logits[2]), "`partner` says which one is right; it need not be the first"
    colder = number(answer(cosines, 0, 0.25), "a loss")
    assert close(colder, np.log(np.exp(2 * logits).sum()) - 2 * logits[0]), "divide by `temperature`, not always by 0.5"
    same = number(answer(np.zeros(15), 4, 0.1), "a loss")
    assert close(same, np.log(15)), "where all are equally similar the loss is ln 15, whatever the temperature"


def exercise_3(answer) -> None:
    """0 is where it started and 1 is where the game is used up; now losses of different batches can be compared."""
    start, floor = nt_xent_range(32)
    half = number(answer((start + floor) / 2, 32), "a share")
    assert not close(half, (start - floor) / 2), "that is how far it fell; divide by how far it could fall"
    assert not close(half, (start - floor) / 2 / start), "the loss cannot fall to 0: divide by start - floor, not start"
    assert not close(half, -0.5), "the sign is wrong: a loss that falls goes forward"
    assert close(half, 0.5), f"in the middle between start and floor the share is 0.5, found {half:g}"
    assert close(answer(start, 32), 0), "at the start the share is 0; did you measure from the floor?"
    assert close(answer(floor, 32), 1), "at the floor the share is 1"
