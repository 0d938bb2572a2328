"""Overlays: the rule that chooses slices, the kinds of pixels by hand, and masks that are those of the run."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
from sealed import seal

from tlkit import paths, runs
from tlkit.config import ConfigError
from tlkit.figures import overlays
from tlkit.report.lettering import add_footer


def differences(*d: float) -> pd.DataFrame:
    return pd.DataFrame({"id": [f"s{i}" for i in range(len(d))], "d": d, "dice_a": 0.5, "dice_b": 0.5})


def configs(config) -> dict[str, dict]:
    """Return two segmentation runs, one with another split, and one of classes."""
    short, split = {"epochs": 1}, {"val": 0.2, "test": 0.4, "seed": 0}
    return {
        "one": config("finetune", "lits", recipe={"epochs": 2}, seed=1),
        "two": config("finetune", "lits", recipe={"epochs": 2}, seed=2),
        "other split": config("finetune", "lits", recipe=short, data={"split": split}),
        "classes": config("finetune", recipe=short),
    }


@pytest.fixture
def two(ids) -> list[str]:
    return [ids["one"], ids["two"]]


def test_slices_stand_at_the_quantiles_of_each_side():
    found = overlays.choose(differences(0.1, 0.2, 0.3, 0.4, 0.5, 0, -0.7, -0.1, -0.2))
    assert found[["better", "id"]].to_numpy().tolist() == [
        ["a", "s1"], ["a", "s2"], ["a", "s3"], ["a", "s4"], ["b", "s7"], ["b", "s8"], ["b", "s6"],
    ]  # fmt: skip
    assert found["of"].tolist() == [5] * 4 + [3] * 3


def test_the_rule_treats_both_sides_alike():
    rng = np.random.default_rng(0)
    d = rng.normal(size=40)
    ours, mirrored = overlays.choose(differences(*d)), overlays.choose(differences(*-d))
    swap = mirrored.assign(better=mirrored["better"].map({"a": "b", "b": "a"})).sort_values("better", kind="stable")
    assert ours[["better", "id", "quantile", "of"]].to_numpy().tolist() == (
        swap[["better", "id", "quantile", "of"]].to_numpy().tolist()
    )


def test_a_side_without_slices_gives_none():
    found = overlays.choose(differences(0.1, 0.2))
    assert found["better"].tolist() == ["a", "a"] and found["id"].is_unique
    assert overlays.choose(differences(0, 0)).empty


def test_pixel_kinds_by_hand():
    truth = np.array([[1, 1, 1, 1, 0, 0, 0, 0, 2]])
    a = np.array([[1, 1, 0, 2, 0, 0, 1, 1, 1]])
    b = np.array([[1, 0, 1, 0, 0, 1, 0, 1, 2]])
    kinds = overlays.pixel_kinds(truth, a, b)
    assert kinds.dtype == np.uint8
    # right, only a, only b, both wrong | right, b false positive, a false positive, both | the exact class counts
    assert kinds.tolist() == [[0, 1, 2, 5, 0, 3, 4, 5, 2]]


def test_dice_difference_is_that_of_the_masks(two):
    found = overlays.dice_difference(*two)
    assert len(found) > 5 and found["d"].is_monotonic_increasing
    masks = [overlays.predict_masks(rid, found["id"]) for rid in two]
    truths = overlays.slices(two[0], found["id"])[1] == 1
    for name, guess in zip(("dice_a", "dice_b"), masks, strict=True):
        guess = guess == 1
        dice = 2 * (guess & truths).sum((1, 2)) / (guess.sum((1, 2)) + truths.sum((1, 2)))
        assert found[name].to_numpy() == pytest.approx(dice, abs=1e-3)


def test_the_figure_draws_both_sides(two):
    chosen = overlays.choose(overlays.dice_difference(*two))
    masks = [overlays.predict_masks(rid, chosen["id"]) for rid in two]
    images, truths = overlays.slices(two[0], chosen["id"])
    assert images.shape == truths.shape == (len(chosen), 32, 32) and 0 <= images.min() < images.max() <= 1
    kinds = overlays.pixel_kinds(truths, *masks)
    drawn = overlays.draw(images, truths, kinds, chosen, ("one", "two"))
    add_footer(drawn, "Networks: resnet10.")  # as `save_figure` does
    drawn.canvas.draw()
    assert not drawn.legends[0].get_window_extent().overlaps(drawn._supxlabel.get_window_extent())


def test_no_legend_stands_where_the_footer_is_written():
    """`save_figure` writes more below a figure than its module may know of."""
    files = (paths.REPO / "tlkit" / "figures").glob("*.py")
    assert not [file.name for file in files if "outside lower" in file.read_text(encoding="utf-8")]


def test_two_runs_that_are_equal_everywhere_give_a_figure_that_says_so(two):
    """Young networks may find nothing at all, on one processor and not on another: no reason to lack a figure."""
    same = (two[0], two[0])
    chosen = overlays.choose(overlays.dice_difference(*same))
    assert chosen.empty and "of" in chosen
    masks = [overlays.predict_masks(rid, chosen["id"]) for rid in same]
    images, truths = overlays.slices(two[0], chosen["id"])
    assert images.shape == truths.shape == masks[0].shape == (0, 32, 32)
    drawn = overlays.draw(images, truths, overlays.pixel_kinds(truths, *masks), chosen, ("one", "two"))
    assert [ax.get_ylabel() for ax in drawn.axes] == ["one better\n(0 slices)", "two better\n(0 slices)"]


def test_other_weights_than_the_runs_are_refused(two):
    shutil.copy(runs.folder(two[1]) / "model.safetensors", runs.folder(two[0]) / "model.safetensors")
    seal(two[0])
    with pytest.raises(overlays.PredictionChangedError, match="pixels differ from what the run kept"):
        overlays.predict_masks(two[0], overlays.dice_difference(*two)["id"])


def test_what_cannot_be_compared_is_said(ids):
    segmentation, other, classes = ids["one"], ids["other split"], ids["classes"]
    with pytest.raises(ConfigError, match="has no test slice nothing"):
        overlays.predict_masks(segmentation, ["nothing"])
    with pytest.raises(ConfigError, match="expected a segmentation run"):
        overlays.dice_difference(segmentation, classes)
    with pytest.raises(ConfigError, match="tested on other slices"):
        overlays.dice_difference(segmentation, other)


def test_random_slices_take_each_patient_once_before_any_twice(monkeypatch):
    rows = [
        {"id": f"{who}_{i}", "patient": who, "dice_a": 0.1, "dice_b": 0.2, "d": -0.1} for who in "abc" for i in range(9)
    ]
    monkeypatch.setattr(overlays, "dice_difference", lambda *_: pd.DataFrame(rows))
    for seed in range(5):
        found = overlays.random_slices("x", "y", count=5, seed=seed)
        assert set(found["patient"][:3]) == {"a", "b", "c"} and found["patient"][3:].nunique() == 2
        assert found["of"].eq(27).all() and found.equals(overlays.random_slices("x", "y", count=5, seed=seed))
