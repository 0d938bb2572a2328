"""Finished runs read back: the weights, rows and predictions are those of the run, and the shown run is the chosen."""

from __future__ import annotations

import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sealed import seal

from tlkit import runs
from tlkit.config import ConfigError
from tlkit.figures import finished

SHORT = {"epochs": 1}


def configs(config) -> dict[str, dict]:
    return {
        "whole": config(recipe=SHORT),
        "half": config(recipe=SHORT, seed=2, fraction=0.5),
        "pretraining": config("pretrain", recipe={**SHORT, "batch": 16}),
        "masks": config(dataset="lits", recipe=SHORT),
    }


def test_the_model_gives_what_the_run_kept(ids):
    for rid in (ids["whole"], ids["masks"]):
        found = finished.load(rid)
        found.confirm(finished.predictions(rid)["id"].tolist()[:6])
    assert not found.model.training and found.classes == ("background", "liver", "lesion")


def test_other_weights_are_refused(ids):
    whole, half = ids["whole"], ids["half"]
    shutil.copy(runs.folder(half) / "model.safetensors", runs.folder(whole) / "model.safetensors")
    with pytest.raises(runs.RunDamagedError, match=r"model.safetensors is damaged \(its bytes changed\)"):
        finished.load(whole)
    seal(whole)
    with pytest.raises(finished.PredictionChangedError, match="not its weights"):
        finished.load(whole).confirm(finished.predictions(whole)["id"].tolist())
    shutil.copy(runs.folder(ids["masks"]) / "model.safetensors", runs.folder(whole) / "model.safetensors")
    seal(whole)
    with pytest.raises(finished.PredictionChangedError, match="do not fit the TransferModel"):
        finished.load(whole)


def test_the_training_rows_are_those_of_the_run(ids):
    for rid in (ids["whole"], ids["half"]):
        found = finished.load(rid)
        rows = found.training_rows()
        assert len(rows) == runs.read_json(runs.folder(rid) / "metrics.json")["images"]
        assert set(found.table.set_index("row").loc[rows, "split"]) == {"train"}
        few = found.training_rows(images=5, seed=3)
        assert len(few) == 5 and set(few) <= set(rows) and (few == found.training_rows(5, 3)).all()


def test_pictures_are_not_normalised(ids):
    found = finished.load(ids["whole"])
    names = found.table["id"].tolist()[:3]
    images, masks = found.pictures(names)
    assert images.shape == (3, 32, 32, 3) and masks is None and 0 <= images.min() < images.max() <= 1
    assert tuple(found.views(names).shape) == (3, 3, 32, 32)
    slices, masks = finished.load(ids["masks"]).pictures(finished.predictions(ids["masks"])["id"].tolist()[:2])
    assert slices.shape == masks.shape == (2, 32, 32)


def test_what_cannot_be_read_is_said(ids):
    with pytest.raises(FileNotFoundError, match="run nobody is not done"):
        finished.load("nobody")
    with pytest.raises(ConfigError, match="is a pretraining and has no task"):
        finished.load(ids["pretraining"])
    with pytest.raises(ConfigError, match="other images or truths"):
        finished.check_same_test([ids["whole"], ids["masks"]])


@given(st.sets(st.text(min_size=1), min_size=1), st.integers(0, 99), st.randoms())
def test_a_draw_knows_the_ids_and_the_seed_alone(names, seed, random):
    shuffled = sorted(names, key=lambda _: random.random())
    whole = finished.draw_ids(shuffled, len(names), seed)
    assert sorted(whole) == sorted(names) and whole == finished.draw_ids(names, len(names) + 3, seed)
    assert finished.draw_ids(names, 2, seed) == whole[:2]
