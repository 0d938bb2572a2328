"""Which arms a study of advice has: every network has random weights of its own."""

from __future__ import annotations

from dataclasses import replace

import folders_of_users
import pytest
import torch

from tlkit.advice import plan
from tlkit.advice.understand import understand
from tlkit.config import ConfigError, UnknownNameError
from tlkit.models import WEIGHTS, backbone, save_weights
from tlkit.training.recipe import Recipe


@pytest.fixture
def alone(monkeypatch):
    monkeypatch.setattr(plan, "present", lambda card: None)


@pytest.fixture
def reading(folder):
    return understand(folders_of_users.class_folders(folder), "mine", patient="none")


def theirs(tmp_path, name: str, network: str):
    return save_weights(backbone(network, seed=3), tmp_path / f"{name}.safetensors")


def arms_of(study) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for config in study.finetune():
        found.setdefault(config["backbone"], set()).add(config["pretraining"])
    return found


def test_every_network_has_random_weights_of_its_own(reading, tmp_path, alone, monkeypatch):
    lite = WEIGHTS["imagenet/tf_efficientnet_lite0"]
    monkeypatch.setattr(plan, "present", lambda card: card == lite)
    files = [theirs(tmp_path, "ours", "test_resnet"), theirs(tmp_path, "atto", "convnext_atto")]
    said: list[str] = []
    study = plan.write(reading, 24, 32, [files[1]], tell=said.append)
    assert arms_of(study) == {
        "convnext_atto": {"scratch", "atto"},
        "tf_efficientnet_lite0": {"scratch_tf_efficientnet_lite0", "imagenet_tf_efficientnet_lite0"},
    }
    assert plan.random_arms(study) == ["scratch", "scratch_tf_efficientnet_lite0"]
    assert "random weights (convnext_atto)" in study.names().values()
    assert [line.strip() for line in said if line.strip().startswith("atto.safetensors: convnext_atto, no prefix")]
    inputs = {c["pretraining"]: Recipe.from_dict(c["recipe"]).normalisation.mean for c in study.finetune()}
    assert inputs["atto"] == (0.485, 0.456, 0.406) and inputs["scratch"] == (0, 0, 0), "each has that of its weights"
    assert inputs["imagenet_tf_efficientnet_lite0"] == pytest.approx([127 / 255] * 3)
    both = plan.write(reading, 24, 32, files[:1], network="test_resnet", tell=said.append)
    assert list(arms_of(both)) == ["test_resnet", "tf_efficientnet_lite0"]
    with pytest.raises(UnknownNameError, match="unknown backbone 'restnet'"):
        plan.write(reading, 24, 32, network="restnet", tell=said.append)


def test_without_any_weights_the_small_network_is_tried_alone(reading, alone):
    assert arms_of(plan.write(reading, 24, 32)) == {plan.SMALL: {"scratch"}}


def test_a_network_is_not_tried_where_it_takes_no_such_images(reading, alone, monkeypatch):
    inception = WEIGHTS["imagenet/inception_v3"]
    monkeypatch.setattr(plan, "present", lambda card: card == inception)
    said: list[str] = []
    assert arms_of(plan.write(reading, 24, 32, tell=said.append)) == {plan.SMALL: {"scratch"}}
    assert any("not tried: torchvision/inception_v3: it needs images of 75 px" in line for line in said)


def test_a_vit_carries_no_decoder_of_masks(tmp_path, alone):
    file = theirs(tmp_path, "vit", "vit_tiny_patch16_224")
    files = plan.bring([file])
    with pytest.raises(ConfigError, match=r"--weights vit\.safetensors: no decoder for masks can be put on it"):
        plan._usable(["vit_tiny_patch16_224"], "segmentation", 64, files, print)
    assert plan._usable(["vit_tiny_patch16_224"], "multiclass", 64, files, print) == ["vit_tiny_patch16_224"]


def test_what_is_not_here_is_named_with_size_licence_and_source(reading, alone):
    missing = {row["name"].split("/")[0]: row for row in plan.missing(plan.write(reading, 24, 32))}
    for source in ("imagenet", "radimagenet", "dinov2", "dinov3", "biomedclip", "rad_dino", "convnext"):
        row = missing[source]
        assert row["licence"] and row["source"].startswith("https://") and row["size"].endswith(" MB"), row


def test_six_networks_at_most_besides_those_of_the_reader(reading, monkeypatch):
    cards = [replace(c, package="") for c in WEIGHTS.values() if c.name.startswith(("imagenet/", "radiologynet/"))]
    names = {c.name for c in cards}
    monkeypatch.setattr(plan, "present", lambda card: card.name in names)
    order = plan._networks([], "")
    said: list[str] = []
    assert len(plan._usable(order, "multiclass", 300, [], said.append)) == plan.NETWORKS
    assert any("--backbone" in line for line in said)
    assert plan._networks([], "torchvision/vgg16")[0] == "torchvision/vgg16"


@pytest.mark.parametrize(
    "name", ["vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224", "vit_small_patch14_dinov2"]
)
def test_a_vit_takes_images_of_any_size(name):
    encoder = backbone(name, seed=0).eval()
    with torch.inference_mode():
        for size in (64, 50):
            assert encoder(torch.rand(1, 3, size, size)).shape == (1, encoder.num_features)
