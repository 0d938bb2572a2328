"""Grad-CAM: maps by hand, the layer by rule, the same images for every pretraining, and maps that follow weights."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sealed import seal
from torch import nn

from tlkit import runs
from tlkit.config import ConfigError, UnknownNameError
from tlkit.figures import finished, gradcam
from tlkit.models import TransferModel, backbone


class Pooled(nn.Module):
    """One convolution, a ReLU (in place or not), and the mean over all positions."""

    def __init__(self, inplace: bool = False):
        super().__init__()
        self.features, self.inplace = nn.Conv2d(3, 2, 1, bias=False), inplace
        with torch.no_grad():
            self.features.weight.copy_(torch.tensor([[1.0, 0, 0], [0, 1, 0]])[..., None, None])

    def forward(self, x):
        return F.relu(self.features(x), inplace=self.inplace).mean((2, 3))


def model(weights: list[list[float]], inplace: bool = False) -> TransferModel:
    head = nn.Linear(2, len(weights), bias=False)
    with torch.no_grad():
        head.weight.copy_(torch.tensor(weights))
    return TransferModel(Pooled(inplace), head)


def image(seed: int = 0, low: float = 0.0) -> torch.Tensor:
    return low + (1 - low) * torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def scaled(maps: torch.Tensor) -> np.ndarray:
    maps = maps.clamp(min=0)
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return ((maps - low) / (high - low)).numpy()


def test_with_pooling_and_a_linear_head_it_is_the_sum_of_maps_by_weights():
    made, x = model([[2, -1], [-1, 3]]), image(low=0.1)
    red, green = x[:, 0], x[:, 1]
    found = gradcam.heatmap(made, x, made.encoder.features, [0, 1])
    assert found.dtype == np.float32 and found.shape == (2, 8, 8)
    expected = scaled(torch.stack([2 * red[0] - green[0], 3 * green[1] - red[1]]))
    assert found == pytest.approx(expected, abs=1e-5)


def test_of_one_output_class_0_is_its_negative():
    made, x = model([[2, -1]]), image(low=0.1)
    both = scaled(torch.stack([2 * x[0, 0] - x[0, 1], x[0, 1] - 2 * x[0, 0]]))
    assert gradcam.heatmap(made, x[[0, 0]], made.encoder.features, [1, 0]) == pytest.approx(both, abs=1e-5)


def test_a_relu_in_place_behind_the_layer_changes_nothing():
    x = image() * 2 - 1
    maps = [gradcam.heatmap(m := model([[2, -1], [-1, 3]], i), x, m.encoder.features, [0, 1]) for i in (True, False)]
    assert maps[0] == pytest.approx(maps[1], abs=1e-6)


def test_nothing_that_speaks_for_the_class_is_an_empty_map():
    made = model([[-1, -1], [1, 1]])
    found = gradcam.heatmap(made, image(), made.encoder.features, [0, 1])
    assert not found[0].any() and found[1].max() == pytest.approx(1)


def test_it_leaves_no_gradients_and_no_hooks(monkeypatch):
    made = model([[2, -1], [-1, 3]])
    once = gradcam.heatmap(made, x := image(), made.encoder.features, [0, 1])
    assert all(p.grad is None for p in made.parameters()) and not made.encoder.features._forward_hooks
    monkeypatch.setattr(gradcam, "CHUNK", 1)
    assert gradcam.heatmap(made, x, made.encoder.features, [0, 1]) == pytest.approx(once)


@pytest.mark.parametrize(("target", "weights"), [([2, 0], [[1, 0], [0, 1]]), ([-1, 0], [[1, 0]])])
def test_a_class_that_is_not_there_is_said(target, weights):
    made = model(weights)
    with pytest.raises(ConfigError, match="expected one of the model's 2 classes"):
        gradcam.heatmap(made, image(), made.encoder.features, target)


@pytest.mark.parametrize(
    ("name", "size", "layer", "cells"),
    [
        ("torchvision/resnet50", 224, "layer4", (7, 7)),  # the published sizes: the last map
        ("torchvision/densenet121", 224, "features", (7, 7)),
        ("torchvision/mobilenet_v3_small", 224, "features", (7, 7)),
        ("tf_efficientnet_lite0", 224, "bn2", (7, 7)),
        ("resnet10", 128, "layer4", (4, 4)),
        ("resnet10", 64, "layer3", (4, 4)),  # small images: the last map that has places
        ("resnet10", 32, "layer2", (4, 4)),
        ("torchvision/densenet121", 64, "features.denseblock3", (4, 4)),
    ],
)
def test_the_layer_is_the_last_map_that_shows_places(name, size, layer, cells):
    found = gradcam.last_layer(encoder := backbone(name, seed=0), size)
    assert (found.name, found.cells) == (layer, cells) and found.module is encoder.get_submodule(layer)
    assert not any(m._forward_hooks for m in encoder.modules())


def test_encoders_without_places_are_said():
    with pytest.raises(ConfigError, match="no feature map of 4 x 4 cells for images of 6 pixels"):
        gradcam.last_layer(backbone("resnet10", seed=0), 6)
    with pytest.raises(ConfigError, match="is a transformer"):
        gradcam.last_layer(backbone("vit_tiny_patch16_224", seed=0, img_size=32), 32)


def configs(config) -> dict[str, dict]:
    recipe = {"epochs": 3}
    return {
        "scratch": config(recipe=recipe),
        "imagenet": config(recipe=recipe, pretraining="imagenet", seed=2),
        "masks": config(dataset="lits", recipe={"epochs": 1}),
    }


def two(ids: dict[str, str]) -> dict[str, str]:
    return {p: ids[p] for p in ("imagenet", "scratch")}


def test_every_pretraining_gets_the_same_images(ids):
    found = gradcam.explain_runs(two(ids), images=5, seed=1)
    test = finished.predictions(ids["scratch"]).set_index("id")
    assert found.images.shape == (5, 32, 32, 3)
    assert {p: m.shape for p, m in found.maps.items()} == dict.fromkeys(["imagenet", "scratch"], (5, 32, 32))
    drawn = finished.draw_ids(test.index, 5, 1)
    for pretraining, facts in found.frame.groupby("pretraining"):
        assert facts["id"].tolist() == drawn and facts["item"].tolist() == list(range(5))
        assert (facts["run"] == ids[pretraining]).all() and (facts["layer"] == "layer2").all()
        kept = np.stack(finished.predictions(ids[pretraining]).set_index("id").loc[drawn, "output"])
        assert facts["probability"].to_numpy() == pytest.approx(kept.max(1))
        assert (facts["right"] == (facts["true"] == facts["predicted"])).all()
        assert (facts["right"].to_numpy() == (kept.argmax(1) == test.loc[drawn, "target"])).all()
    again = gradcam.explain_runs(two(ids), images=5, seed=1)
    assert all((again.maps[p] == found.maps[p]).all() for p in found.maps)


def test_a_small_test_set_is_taken_whole(ids):
    whole = len(finished.predictions(ids["scratch"]))
    found = gradcam.explain_runs({"scratch": ids["scratch"]}, images=500)
    assert len(found.images) == whole == found.frame["id"].nunique()


def test_maps_follow_the_weights(ids):
    frame = gradcam.check_sanity(ids["scratch"], images=12, seed=3)
    mean = frame.groupby("part")["correlation"].mean()
    assert set(mean.index) == set(gradcam.RANDOMISED) and (mean < 0.8).all()
    assert frame.groupby("part")["id"].nunique().tolist() == [12, 12]


def test_randomising_the_head_leaves_the_encoder(ids):
    trained = finished.load(ids["scratch"]).model
    other = gradcam.randomise(trained, "head", 0)
    assert not torch.equal(other.head.weight, trained.head.weight)
    assert torch.equal(other.encoder.conv1.weight, trained.encoder.conv1.weight)
    assert torch.equal(other.head.weight, gradcam.randomise(trained, "head", 0).head.weight)
    assert not torch.equal(gradcam.randomise(trained, "all", 0).encoder.conv1.weight, trained.encoder.conv1.weight)
    with pytest.raises(UnknownNameError, match="part to randomise"):
        gradcam.randomise(trained, "tail", 0)


def test_what_has_no_heat_maps_is_said(ids):
    with pytest.raises(ConfigError, match="other images or truths"):
        gradcam.explain_runs({"scratch": ids["scratch"], "imagenet": ids["masks"]})
    with pytest.raises(ConfigError, match=r"one class per image, found .*segmentation"):
        gradcam.explain_runs({"scratch": ids["masks"]})
    shutil.copy(runs.folder(ids["imagenet"]) / "model.safetensors", runs.folder(ids["scratch"]))
    seal(ids["scratch"])
    with pytest.raises(finished.PredictionChangedError, match="not its weights"):
        gradcam.explain_runs({"scratch": ids["scratch"]}, images=100)


def test_maps_of_pretrainings_are_compared_where_both_are_there():
    one, other = np.eye(4)[None].repeat(3, 0), 1 - np.eye(4)[None].repeat(3, 0)
    other[2] = 0
    found = gradcam.compare_maps(gradcam.Heatmaps(None, None, {"a": one, "b": other, "c": one}))
    assert found[["a", "b", "n"]].to_numpy().tolist() == [["a", "b", 2], ["a", "c", 3], ["b", "c", 2]]
    assert found["mean"].tolist() == pytest.approx([-1, 1, -1])


def test_readers_get_grey_images_and_the_maps(ids):
    found = gradcam.explain_runs(two(ids), images=3)
    items = gradcam.rating_items(found, "Photographs")
    assert [i.id for i in items] == found.frame["id"].unique().tolist() and {i.task for i in items} == {"Photographs"}
    assert items[1].image.shape == (32, 32) and items[1].image.dtype == np.uint8
    assert items[1].image.mean() == pytest.approx(255 * found.images[1].mean(), abs=1)
    assert (items[2].maps["scratch"] == found.maps["scratch"][2]).all() and list(items[0].maps) == list(found.maps)


@given(arrays(float, (4, 4), elements=st.integers(-50, 50)), st.integers(1, 9), st.integers(-9, 9))
def test_correlation_is_blind_to_scale_and_level(values, scale, level):
    found = gradcam.correlation(values, scale * values + level)
    assert np.isnan(found) if np.ptp(values) == 0 else found == pytest.approx(1)
    if np.ptp(values):
        assert gradcam.correlation(values, -values) == pytest.approx(-1)
