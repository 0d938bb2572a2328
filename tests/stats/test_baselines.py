"""What a task gives without a network."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tlkit.stats import baselines
from tlkit.stats.baselines import CONSTANT, PIXELS, pixel_statistics


def test_pixel_statistics_by_hand():
    images = np.array([[[0, 0], [0, 160]], [[80, 80], [80, 80]]], np.uint8)
    found = pixel_statistics(images)
    assert found.shape == (2, 2 + len(baselines.QUANTILES) + baselines.BINS)
    assert found[0, 0] == 40 and found[0, 1] == pytest.approx(images[0].std())
    assert found[0, 2] == 0 and found[0, 8] == 160 and (found[1, 2:9] == 80).all()
    assert found[0, 9:].tolist() == [0.75, *[0] * 14, 0.25] and found[1, 9:].sum() == 1
    assert pixel_statistics(np.repeat(images[..., None], 3, axis=3)).shape == (2, 3 * found.shape[1])


def test_the_constant_answers_are_those_of_training():
    assert baselines._constant("multiclass", np.array([0, 0, 1]), 3, 2).tolist() == [[2 / 3, 1 / 3, 0]] * 2
    assert baselines._constant("binary", np.array([0, 1, 1, 1]), 2, 1).tolist() == [0.75]
    assert baselines._constant("regression", np.array([1.0, 2.0, 9.0]), 1, 2).tolist() == [2, 2]
    labels = np.array([[1, 0], [1, 1]], np.float32)
    assert baselines._constant("multilabel", labels, 2, 3).tolist() == [[1, 0.5]] * 3


def test_the_probe_finds_what_a_mean_can_tell_and_knows_unseen_classes_by_zero():
    rng = np.random.default_rng(0)
    target = np.array([0, 2] * 20)
    features = rng.normal(size=(44, 3))
    features[:40, 0] += 9 * target
    features[40:, 0] += [0, 18, 0, 18]
    found = baselines._probe("multiclass", features, target, 3)
    assert found.argmax(axis=1).tolist() == [0, 2, 0, 2] and (found[:, 1] == 0).all()
    assert np.allclose(found.sum(axis=1), 1)
    assert (baselines._probe("binary", features, target // 2, 2) > 0.5).tolist() == [False, True, False, True]
    both = baselines._probe("multilabel", features, np.stack([target // 2, np.ones(40)], axis=1), 2)
    assert (both[:, 0] > 0.5).tolist() == [False, True, False, True] and (both[:, 1] == 1).all()
    years = baselines._probe("regression", features, target * 10.0, 1)
    assert np.abs(years - [0, 20, 0, 20]).max() < 3


def test_each_task_of_a_study_has_both_and_a_segmentation_none(config, phantom_data, tmp_path, monkeypatch):
    (tmp_path / "data").symlink_to(phantom_data)
    monkeypatch.setenv("TLKIT_RUNS", str(tmp_path))
    found = baselines.baselines([config(), config(seed=2), config(dataset="lits")])
    accuracy = found[found["metric"] == "accuracy"]
    assert found["task"].nunique() == 1 and accuracy["baseline"].tolist() == [CONSTANT, PIXELS]
    assert set(found["metric"]) == {"accuracy", "f1_macro", "log_loss"} and (found["n"] > 0).all()
    assert accuracy["value"].between(0, 1).all()
    pd.testing.assert_frame_equal(found, baselines.baselines([config()]))
