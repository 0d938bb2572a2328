"""Fig. S1 and Fig. 4: what was true and what was said stands at each image, and masks are drawn over it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tlkit.figures import examples
from tlkit.figures.examples import Examples


def made(sets=("consensus", "hard")) -> Examples:
    rows = [
        {
            "set": name, "of": 9, "item": i, "id": f"i{i}", "patient": "p", "true": f"class {i}", "pretraining": p,
            "run": p, "predicted": f"class {i if name == 'consensus' or p == 'imagenet' else 7}",
            "right": name == "consensus" or p == "imagenet",
        }
        for i, name in enumerate(sets)
        for p in ("imagenet", "scratch")
    ]  # fmt: skip
    return Examples(pd.DataFrame(rows), np.random.default_rng(0).random((2, 8, 8)), "it is the class")


def words(figure) -> list[str]:
    return [t.get_text() for ax in figure.axes for t in ax.texts]


def test_every_answer_stands_below_its_image():
    found = words(examples.draw_predictions({"BTMR": made(), "GRAZ": made()}, phantom=True))
    assert found.count("class 0") == 2 * 3 and found.count("✗ class 7") == 2 and found.count("of 9 test images") == 4
    assert {"consensus: all are right", "hard: at least one is wrong", "BTMR", "GRAZ", "scratch", "true"} <= set(found)


def test_a_set_without_images_says_so():
    found = words(examples.draw_predictions({"BTMR": made(("hard",))}))
    assert found.count("no test image") == 1
    with pytest.raises(ValueError, match="no task to draw"):
        examples.draw_predictions({})


def test_rules_are_said_once_for_the_tasks_that_share_them():
    figure = examples.draw_predictions({"BTMR": made(), "PBA": made()._replace(right="within 5"), "GRAZ": made()})
    footer = figure.get_supxlabel()
    assert "it is the class (BTMR / GRAZ)" in footer and "within 5 (PBA)" in footer


def test_masks_are_drawn_below_the_truth():
    truths = np.zeros((2, 8, 8), np.uint8)
    truths[:, 2:5, 2:5] = 1
    chosen = pd.DataFrame({"id": ["a", "b" * 40], "dice_a": [0.25, 0.5], "dice_b": [0.75, 1.0]})
    guesses = {"reconstruction": truths * 0, "classification": truths}
    figure = examples.draw_masks(truths / 2, truths, guesses, chosen, title="Nodules", phantom=True)
    assert [ax.get_ylabel() for ax in figure.axes[::2]] == ["truth", "reconstruction", "classification"]
    dice = ["Dice 0.25", "Dice 0.50", "Dice 0.75", "Dice 1.00"]
    assert [ax.get_xlabel() for ax in figure.axes] == ["", "", *dice]
    assert all(len(ax.images) == 2 for ax in figure.axes[2:]) and len(figure.axes[1].get_title()) <= 26
