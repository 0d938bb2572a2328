"""Feature reuse of finished runs: where they started is made again, and what did not move is 1."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tlkit import runs
from tlkit.config import ConfigError
from tlkit.figures import feature_reuse
from tlkit.models import backbone

SHORT = {"epochs": 1, "batch": 8}
FROZEN = {"mode": "lineval", "recipe": {**SHORT, "freeze": "encoder", "bn": "frozen"}}


def configs(config) -> dict[str, dict]:
    pre = config("pretrain", recipe=SHORT)
    return {
        "pretrained": pre,
        "frozen": config(**FROZEN, weights={"run": runs.run_id(pre)}, pretraining="imagenet"),
        "frozen scratch": config(**FROZEN),
        "frozen scratch 2": config(**FROZEN, seed=2),
        **{f"tuned {s}": config(recipe=SHORT, seed=s) for s in (1, 2, 3)},
        "masks": config(dataset="lits", recipe=SHORT),
    }


@pytest.fixture
def ids(made, monkeypatch) -> dict[str, str]:
    """Return the ids of the runs themselves, not of a copy: no test here changes them."""
    monkeypatch.setenv("TLKIT_RUNS", str(made[0]))
    return made[1]


def values(frame, measure: str) -> dict[str, float]:
    return frame[frame["measure"] == measure].set_index("layer")["value"].to_dict()


def test_a_frozen_encoder_is_reused_whole(ids):
    frame, _ = feature_reuse.feature_reuse([ids["frozen"]])
    assert set(values(frame, "displacement").values()) == {0}
    for measure in ("weights_rbf", "activations_linear", "activations_rbf"):
        assert list(values(frame, measure).values()) == pytest.approx([1] * len(values(frame, measure)))
    assert list(values(frame, "weights_rbf")) == ["conv1", "layer1.0.conv1", "layer1.0.conv2"]
    assert list(values(frame, "activations_linear")) == [*values(frame, "weights_rbf"), feature_reuse.FEATURES]


def test_the_initial_weights_of_scratch_are_made_again(ids):
    frame, _ = feature_reuse.feature_reuse([ids["frozen scratch"], ids["frozen scratch 2"]])
    assert (frame.loc[frame["measure"] == "displacement", "value"] == 0).all()


def test_fine_tuning_moves_and_seeds_differ(ids):
    tuned = [ids[f"tuned {s}"] for s in (1, 2, 3)]
    frame, baseline = feature_reuse.feature_reuse([*tuned, ids["frozen"]])
    frame = frame[frame["run"] != ids["frozen"]]
    assert 0 < values(frame, "displacement")["conv1"] < 1
    assert baseline["seed"].unique().tolist() == ["1 and 2", "1 and 3", "2 and 3"]
    # scratch runs of different seeds start apart: orthogonal weights of equal length lie sqrt(2) apart
    assert np.isclose(values(baseline, "displacement")["conv1"], 2**0.5, atol=0.15)
    assert values(baseline, "weights_rbf")["conv1"] < 0.2 < values(frame, "weights_rbf")["conv1"]
    assert len(feature_reuse.draw(frame, baseline).axes) == 4


def test_the_same_images_whatever_the_batch(ids, monkeypatch):
    rid = ids["tuned 1"]
    once = values(feature_reuse.feature_reuse([rid])[0], "activations_linear")
    monkeypatch.setattr(feature_reuse, "CHUNK", 3)
    feature_reuse._activations.cache_clear()
    assert values(feature_reuse.feature_reuse([rid])[0], "activations_linear") == pytest.approx(once, abs=1e-5)


def test_segmentation_runs_are_compared_by_their_encoder(ids):
    frame, baseline = feature_reuse.feature_reuse([ids["masks"]])
    assert frame["value"].notna().all() and set(frame["task"]) == {"lits"}
    assert len(feature_reuse.draw(frame, baseline).axes) == 4  # one seed has no baseline


def test_maps_are_read_in_the_middle_of_their_cells():
    maps = torch.arange(24.0 * 24).view(1, 1, 24, 24)
    found = feature_reuse._on_grid(maps).reshape(8, 8)
    assert found[0, :3].tolist() == [25, 28, 31] and found[1, 0] == 4 * 24 + 1
    assert feature_reuse._on_grid(maps[..., :5, :5]).shape == (1, 25)


def test_the_published_layers_of_a_resnet50():
    found = feature_reuse.first_convolutions(backbone("resnet50", seed=0))
    assert {n: tuple(c.weight.shape) for n, c in found.items()} == {
        "conv1": (64, 3, 7, 7),
        "layer1.0.conv1": (64, 64, 1, 1),
        "layer1.0.conv2": (64, 64, 3, 3),
    }


def test_what_is_not_there_is_said(ids):
    with pytest.raises(FileNotFoundError, match="run nobody is not done"):
        feature_reuse.feature_reuse(["nobody"])
    with pytest.raises(ConfigError, match="no convolution"):
        feature_reuse.first_convolutions(torch.nn.Linear(2, 2))
    with pytest.raises(ConfigError, match=r"3 test images.*at least 4"):
        feature_reuse.feature_reuse([ids["tuned 1"]], images=3)
