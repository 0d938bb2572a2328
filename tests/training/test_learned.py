from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from tlkit import runs
from tlkit.doubts import LEAST_SKILL
from tlkit.training.learned import IMAGES, SCALES, skill, spread_and_rank
from tlkit.training.recipe import Recipe
from tlkit.training.run import run

pytestmark = pytest.mark.usefixtures("data")


def test_features_in_one_and_in_two_directions():
    """Mean 1, deviation 1 in both columns: mean square 2, so the spread is sqrt(1 / 2)."""
    one = np.array([[0.0, 0.0], [2.0, 2.0]] * 4)
    assert spread_and_rank(one) == pytest.approx((np.sqrt(0.5), 1))
    two = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])  # both singular values are 2
    assert spread_and_rank(two) == pytest.approx((np.sqrt(0.5), 2))


def test_the_same_features_for_all_have_no_spread_and_no_rank():
    assert spread_and_rank(np.full((5, 3), 0.7)) == (0, 0)
    assert spread_and_rank(np.zeros((5, 3))) == (0, 0)


def test_a_scale_does_not_matter():
    features = np.random.default_rng(0).normal(1, 1, (40, 8))
    assert spread_and_rank(1e-6 * features) == pytest.approx(spread_and_rank(features))
    assert 6 < spread_and_rank(features)[1] < 8


def test_skill_goes_from_chance_to_the_best():
    assert skill(2.0, chance=2.0, best=0.0) == 0 and skill(0.5, chance=2.0, best=0.0) == 0.75
    assert skill(2.5, chance=2.0, best=0.0) == -0.25 and np.isnan(skill(0.3, chance=0.0, best=0.0))


class Objective:
    monitor = "log_loss"
    size = 100

    def __init__(self, **parts):
        self.__dict__ |= parts


def test_chance_of_classes_is_the_best_constant_answer():
    val = Objective(table=pd.DataFrame({"label": [0, 0, 0, 1]}))
    metric, chance, best = SCALES["classification"](Objective(val=val))
    assert (metric, best) == ("log_loss", 0) and chance == pytest.approx(0.75 * np.log(4 / 3) + 0.25 * np.log(4))


def test_chance_of_contrastive_learning_is_the_batch_or_its_part():
    for recipe, n in (
        (Recipe(epochs=1, batch=64), 64),
        (Recipe(epochs=1, batch=512), 100),  # no more images than there are
        (Recipe(epochs=1, batch=64, negatives=16), 16),
    ):
        metric, chance, best = SCALES["contrastive"](Objective(recipe=recipe))
        assert metric == "loss" and chance == pytest.approx(np.log(2 * n - 1))
        assert best == pytest.approx(np.log1p((2 * n - 2) * np.exp(-2)))


def test_chance_of_painting_is_the_mean_of_a_channel():
    stored = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 4, 4)
    found = SCALES["reconstruction"](Objective(val=np.arange(2), read=lambda rows: stored[rows], view=lambda x: x))
    assert found == ("mse", 0.25, 0)


METHODS = {
    "contrastive": {},
    "classification": {"method": "classification", "recipe": {"monitor": "log_loss"}},
    "reconstruction": {"method": "reconstruction", "backbone": "unet", "recipe": {"augment": "none"}},
}


@pytest.mark.parametrize("method", METHODS)
def test_a_pretraining_measures_itself(config, method):
    metrics = runs.read_json(run(config("pretrain", **METHODS[method])) / "metrics.json")
    assert 0 < metrics["feature_spread"] <= 1 and 1 < metrics["feature_rank"] < IMAGES
    assert metrics["skill"] < 1 and metrics["learned"] in (0, 1)
    assert ("val_auc" in metrics) == (method == "classification")


def test_an_encoder_that_collapsed_is_marked(config, monkeypatch, caplog):
    """Every image gets the same features."""
    from tlkit.training import run as run_module

    class Constant(nn.Module):
        num_features = 4

        def __init__(self):
            super().__init__()
            self.features = nn.Parameter(torch.ones(4))

        def forward(self, images):
            return self.features.expand(len(images), -1)

    monkeypatch.setattr(run_module, "backbone", lambda *_, **__: Constant())
    folder = run(config("pretrain", method="classification", recipe={"monitor": "log_loss"}))
    metrics = runs.read_json(folder / "metrics.json")
    assert metrics["feature_spread"] == metrics["feature_rank"] == metrics["learned"] == 0
    assert metrics["skill"] < LEAST_SKILL and metrics["val_auc"] == 0.5
    why = runs.doubt_of(folder.name)
    assert "at chance" in why and "features of all images alike (spread 0, rank 0)" in why and "AUC 0.50" in why
    assert f"{folder.name} is in doubt: {why}" in caplog.text
