"""Metrics of many draws at once are those of each draw by itself."""

import numpy as np
import pandas as pd
import pytest

from tlkit.advice.measures import Measure
from tlkit.training.tasks import Multiclass, task

ROWS, DRAWS = 24, 12


def predictions(kind, rng):
    """Return a task of three classes with rows of nine patients, some of whom have several; outputs have ties."""
    if kind == "segmentation":
        true, told = rng.integers(0, 5, (2, ROWS, 3))
        true[:8, 1] = told[:8, 1] = 0  # a class that some patients do not have
        kept = {"target": list(true), "output": list(told), "overlap": list(np.minimum(true, told))}
    elif kind == "multilabel":
        kept = {"target": list(rng.integers(0, 2, (ROWS, 3))), "output": list(rng.integers(0, 5, (ROWS, 3)) / 4)}
    elif kind == "binary":
        kept = {"target": rng.integers(0, 2, ROWS), "output": rng.random(ROWS)}
    else:
        kept = {"target": rng.integers(0, 2, ROWS), "output": list(rng.random((ROWS, 3)))}  # the third is never there
    return pd.DataFrame({"patient": [f"p{i // 3}" for i in range(ROWS)], **kept})


@pytest.mark.parametrize(
    ("kind", "metric"),
    [("multiclass", "f1_macro"), ("binary", "f1_macro"), ("multilabel", "auc"), ("segmentation", "dice_mean")],
)
def test_weights_do_what_copies_of_rows_do(kind, metric):
    rng = np.random.default_rng(3)
    classes = ("a", "b") if kind == "binary" else ("a", "b", "No Finding")
    kept, measure = predictions(kind, rng), Measure(task(kind, classes), metric)
    repeats = np.repeat(rng.multinomial(8, np.full(8, 1 / 8), size=DRAWS), 3, axis=1)
    repeats[0] = 1
    repeats[1] = 0
    found = measure.drawn(kept, repeats)
    assert found[0] == pytest.approx(measure(kept)) and np.isnan(found[1])
    for draw, value in zip(repeats[2:], found[2:], strict=True):
        taken = kept.iloc[np.repeat(np.arange(ROWS), draw)]
        copies = [f"{p}-{k}" for p, n in zip(kept["patient"], draw, strict=True) for k in range(n)]
        assert value == pytest.approx(measure(taken.assign(patient=copies)), nan_ok=True)


def test_a_label_that_no_drawn_patient_has_is_left_out():
    target = [[1, 0], [0, 0], [1, 1], [0, 1]]
    kept = pd.DataFrame({"patient": list("abcd"), "target": target, "output": [[0.9, 0.1]] * 4})
    measure = Measure(task("multilabel", ("x", "y")), "auc")
    found = measure.drawn(kept, np.array([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]]))
    assert found[0] == 0.5 and np.isnan(found[1]) and found[2] == 0.5, "x alone can be ranked in the first"


def test_the_kind_of_a_user_is_asked_row_by_row():
    class Recall(Multiclass):
        def metrics(self, kept, full=True):
            return {"f1_macro": float(len(kept))}

    kept = predictions("multiclass", np.random.default_rng(0))
    found = Measure(Recall(("a", "b", "c")), "f1_macro").drawn(kept, np.full((2, ROWS), 2))
    assert found.tolist() == [2 * ROWS] * 2
