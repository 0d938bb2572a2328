"""Features are computed once, in batches, by what decides them."""

import numpy as np
import pytest
import torch
from folders_of_users import class_folders

from tlkit.advice import features, plan, reading
from tlkit.advice.understand import understand
from tlkit.models import backbone
from tlkit.models.backbones import pyramid
from tlkit.stats.baselines import pixel_statistics
from tlkit.training.data import open_data


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "present", lambda card: False)
    found = understand(class_folders(tmp_path / "meine bilder", 12, side=32), "seen", patient="none")
    return plan.write(found, 24, 32).finetune()[0]


def test_pixel_statistics_of_batches_are_those_of_all_images(config, monkeypatch):
    store, _ = open_data(config["data"])
    rows = np.arange(len(store))[::-1]
    monkeypatch.setattr(features, "IMAGES", 5)
    assert np.array_equal(features.pixels(store, rows), pixel_statistics(np.asarray(store.images[rows])))


def test_maps_of_all_resolutions_lie_on_one_grid(config, monkeypatch):
    store, _ = open_data(config["data"])
    monkeypatch.setattr(features, "IMAGES", 7)
    found = features.maps(config, store, np.arange(len(store)))
    with torch.inference_mode():
        levels = pyramid(backbone("resnet10", seed=config["seed"]).eval(), torch.zeros(1, 3, 32, 32))
    assert found.shape == (24, sum(min(level.shape[1], features.CHANNELS) for level in levels), 8, 8)
    assert found.dtype == np.float16 and np.isfinite(found).all()
    monkeypatch.setattr(features, "IMAGES", 64)
    again = features.maps(config, store, np.arange(len(store)))
    assert np.allclose(found, again, atol=0.02), "batches do not matter"


def test_what_was_computed_is_read_until_something_that_decides_it_changes(config):
    rows, calls = np.arange(6), []

    def make(value):
        calls.append(value)
        return np.full((6, 2), value)

    key = features.key_of(config, rows)
    for _ in range(2):
        assert features.kept_array("seen", "arm ü/1", key, lambda: make(1.0)).max() == 1
    other = features.key_of({**config, "weights": {"file": "x", "sha256": "y"}}, rows)
    assert len({key, other, features.key_of(config, rows[:5]), features.key_of(config, rows, "maps")}) == 4
    longer = config | {"recipe": config["recipe"] | {"epochs": 99, "lr": 1.0}}
    assert features.key_of(longer, rows) == key, "training does not decide what a frozen encoder sees"
    assert features.kept_array("seen", "arm ü/1", other, lambda: make(2.0)).max() == 2 and calls == [1.0, 2.0]
    kept = list((reading.folder_of("seen") / "features").rglob("*.npy"))
    assert [file.stem for file in kept] == [other], "of an arm the last one is kept"
    scores = features.kept_scores("seen", "arm", "k", lambda: {"probe": np.float64(0.5), "few_shot": {5: {"mean": 1}}})
    assert scores == features.kept_scores("seen", "arm", "k", dict) == {"probe": 0.5, "few_shot": {"5": {"mean": 1}}}
