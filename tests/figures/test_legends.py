"""The foot of a figure is its footer's, its upper right corner the phantom mark's: legends keep clear of both."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from tlkit import paths
from tlkit.figures import examples, foretold, gradcam, heatmaps, overlays
from tlkit.names import NAMES
from tlkit.report.lettering import add_footer


def overlay_figure():
    rows = [(f"volume-{i:03}_0001", better, 0.5) for better in "ab" for i in range(4)]
    chosen = pd.DataFrame(rows, columns=["id", "better", "quantile"]).assign(of=9, dice_a=0.5, dice_b=0.4)
    grey, truth = np.zeros((8, 9, 9)), np.eye(9, dtype=np.uint8)[None].repeat(8, 0)
    names = ("RadNet-12M, equal steps", "RadNet, UB-adjusted")
    return overlays.draw(grey, truth, truth, chosen, names, phantom=True, classes=("liver", "lesion"))


def score_figure():
    row = {"experiment": "E1", "metric": "auc", "arms": 4, "runs": 8, "best": "a", "picked": "b", "hit": False}
    row |= {"chance": 0.25, "regret": 0.1, "regret_chance": 0.2, "tau": 0.3, "low": -0.2, "high": 0.8, "word": "open"}
    tasks = ("RadNet body part", "ImageNet classes", "ChestX-ray8", "BraTS", "LiTS", "Fracture", "Bone age")
    told = pd.DataFrame([{**row, "task": task, "score": score} for task in tasks for score in ("probe", "knn")])
    return foretold.draw(told, NAMES, phantom=True)


@pytest.mark.parametrize("draw", [overlay_figure, score_figure])
def test_legend_footer_and_mark_do_not_overlap(draw):
    fig = draw()
    add_footer(fig, "Networks: resnet10.")
    fig.draw_without_rendering()
    (mark,) = (text for text in fig.texts if text.get_gid() == "phantom")
    parts = [*fig.legends, mark, fig._supxlabel, *fig.axes]
    boxes = [part.get_tightbbox() for part in parts]
    near = [(a, b) for (a, one), (b, two) in combinations(zip(parts, boxes, strict=True), 2) if one.overlaps(two)]
    assert [(type(a).__name__, type(b).__name__) for a, b in near if not (a in fig.axes and b in fig.axes)] == []


def test_no_figure_has_its_legend_at_its_foot():
    sources = [p.read_text(encoding="utf-8") for p in (paths.REPO / "tlkit").rglob("*.py")]
    assert not [text for text in sources if "outside " + "lower" in text]


def test_long_titles_and_names_of_rows_keep_clear_of_mark_and_footer():
    maps = {"scratch": np.ones((1, 4, 4)), "imagenet": np.ones((1, 4, 4)), "radiologynet": np.ones((1, 4, 4))}
    row = {"item": 0, "id": "x", "true": "a", "predicted": "a", "probability": 0.9, "right": True, "empty": False}
    frame = pd.DataFrame([{**row, "pretraining": arm} for arm in maps])
    title = "GRAZPEDWRI-DX, resnet10 for DenseNet-121, images 15 to 20 of 20"
    heat = heatmaps.draw(gradcam.Heatmaps(frame, np.zeros((1, 4, 4)), maps), title=title, phantom=True)
    heat.draw_without_rendering()
    (mark,) = (text for text in heat.texts if text.get_gid() == "phantom")
    assert not heat._suptitle.get_tightbbox().overlaps(mark.get_tightbbox())

    masks = np.eye(4, dtype=np.uint8)[None].repeat(4, 0)
    chosen = pd.DataFrame({"id": list("abcd"), "dice_a": 0.5, "dice_b": 0.4})
    guesses = {"U-Net\n(reconstruction)": masks, "LUNA16, resnet10 for U-Net-ResNet50\n(classification)": masks}
    fig = examples.draw_masks(masks / 1.0, masks, guesses, chosen)
    fig.draw_without_rendering()
    foot = fig._supxlabel.get_tightbbox()
    assert not [ax.get_ylabel() for ax in fig.axes if ax.get_ylabel() and ax.yaxis.label.get_tightbbox().overlaps(foot)]
