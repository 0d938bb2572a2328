from __future__ import annotations

import contextlib
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from tlkit.config import ConfigError
from tlkit.models import backbone, segmenter
from tlkit.models.backbones import checkpoint_activations
from tlkit.training import steps
from tlkit.training.contrastive import nt_xent
from tlkit.training.loop import fit
from tlkit.training.recipe import Recipe
from tlkit.training.recipes import recipe
from tlkit.training.simclr import Contrastive, SimCLRModel
from tlkit.training.steps import Group, backward, cut_groups, prepare_groups
from tlkit.training.supervised import Samples

CPU = torch.device("cpu")
FLOAT32 = torch.autocast("cpu", enabled=False)


class Images:
    """A store of random images without labels."""

    images = torch.randint(0, 256, (16, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)

    def take(self, index):
        return self.images[index], None


class Encoder(nn.Sequential):
    num_features = 16

    def __init__(self, *layers: nn.Module):
        super().__init__(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(48, 16), *layers, nn.Tanh())


def contrastive(*layers: nn.Module, **changes) -> Contrastive:
    torch.manual_seed(0)
    model = SimCLRModel(Encoder(*layers), published_head=False)
    model.projection = nn.Linear(16, 8)  # without BatchNorm
    how = recipe("simclr", **{"batch": 8, "epochs": 2, "warmup": 0, "optimizer": "sgd", "lr": 0.5} | changes)
    return Contrastive(model, [Samples(Images(), np.arange(16))], how, seed=3)


def gradient(goal: Contrastive, checkpointing: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss and the gradient of one step of 8 images."""
    torch.manual_seed(5)
    cut = cut_groups([np.arange(8)], goal.recipe)[0]
    loss = backward(goal, goal.model, prepare_groups(goal, cut, 0, CPU), len(cut), FLOAT32, lambda x: x, checkpointing)
    return loss, torch.cat([p.grad.flatten() for p in goal.model.parameters()])


@pytest.mark.parametrize("negatives", [0, 2, 4, 8])
@pytest.mark.parametrize("group", [1, 2, 4])
def test_groups_give_the_gradient_of_the_whole_batch(negatives, group):
    """Whether negatives are all images of a step (0, 8), those of several groups, of one, or of a part of it."""
    whole, parts = contrastive(negatives=negatives), contrastive(negatives=negatives, group=group)
    (loss, expected), (found_loss, found) = gradient(whole), gradient(parts)
    assert expected.abs().max() > 1e-3
    assert found_loss == pytest.approx(float(loss), rel=1e-6) and torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("negatives", [0, 4])
def test_a_group_has_statistics_and_dropout_of_its_own(negatives):
    """Against groups written out, with one graph for all; the running statistics are those of the first."""
    goal = contrastive(nn.BatchNorm1d(16), nn.Dropout(0.5), negatives=negatives, group=4)
    hand = deepcopy(goal)
    _, found = gradient(goal)
    torch.manual_seed(5)
    norm, parts = hand.model.encoder[3], []
    for n in range(2):
        at = np.arange(4 * n, 4 * n + 4)
        parts.append(hand.embed(hand.model, hand.views(hand.fetch(at), at, 0)))
        if n == 0:
            first = norm.running_mean.clone(), norm.running_var.clone()
    nt_xent(*torch.cat(parts).unbind(1), hand.recipe.temperature, negatives).backward()
    assert torch.allclose(found, torch.cat([p.grad.flatten() for p in hand.model.parameters()]), atol=1e-6)
    kept = goal.model.encoder[3]
    assert torch.equal(kept.running_mean, first[0]) and torch.equal(kept.running_var, first[1])
    assert kept.momentum == 0.1 and not torch.equal(norm.running_mean, first[0])


def test_one_group_is_the_step_to_the_bit():
    plain, one = contrastive(nn.BatchNorm1d(16)), contrastive(nn.BatchNorm1d(16), group=8)
    assert torch.equal(gradient(plain)[1], gradient(one)[1])


def test_groups_cut_a_step_and_say_what_they_share(monkeypatch):
    how = recipe("simclr_published", batch=8, group=2, negatives=2)
    parts = [np.array([7, 3, 1, 0]), np.array([6, 2, 5, 4])]
    own = [[(g.positions.tolist(), g.key) for g in step] for step in cut_groups(parts, how)]
    assert own == [[([7, 3], 7), ([1, 0], 1)], [([6, 2], 6), ([5, 4], 5)]]
    whole = cut_groups(parts, recipe("label_radiologynet", batch=8, group=2))  # one draw for the images of a step
    assert [g.key for step in whole for g in step] == [7, 7, 6, 6]
    fewer = cut_groups([np.arange(3)], recipe("simclr", batch=64, group=64))
    assert [len(step) for step in fewer] == [1]
    with pytest.raises(ConfigError, match=r"recipe.group is 3, which does not divide the 4 images that a process has"):
        cut_groups(parts, recipe("simclr", group=3))
    monkeypatch.setattr(steps, "world_size", lambda: 2)
    with pytest.raises(ConfigError, match=r"recipe.group is 8, which does not divide the 4 images"):
        cut_groups(parts, recipe("simclr", group=8))
    with pytest.raises(ConfigError, match=r"recipe.group: expected images, or 0"):
        Recipe(epochs=1, batch=8, group=-1)


def test_small_steps_are_augmented_together_to_the_same_bits(monkeypatch):
    goal, seen = contrastive(), []
    groups = [Group(np.arange(k, k + 4), k) for k in (0, 4, 8, 12)]
    alone = list(prepare_groups(goal, groups, 1, CPU))
    real = goal.views
    monkeypatch.setattr(goal, "views", lambda batch, at, *a: seen.append(len(at)) or real(batch, at, *a))
    monkeypatch.setattr(steps, "feed_parts", lambda read, parts, device: ((part, read(part)) for part in parts))
    monkeypatch.setattr(steps, "TOGETHER", 3 * 4 * 32 * 32)
    found = list(prepare_groups(goal, groups, 1, torch.device("meta")))  # any but the CPU
    assert seen == [12, 4]
    assert all(torch.equal(a, b) for x, y in zip(alone, found, strict=True) for a, b in zip(x, y, strict=True))


def test_a_fit_by_groups_goes_on_to_the_bit(tmp_path):
    def trained(folder, epochs):
        goal = contrastive(nn.BatchNorm1d(16), nn.Dropout(0.5), group=4, epochs=2, schedule="constant")
        folder.mkdir(exist_ok=True)
        stop = goal.views

        def views(batch, at, epoch, keys):
            if epoch == epochs:
                raise KeyboardInterrupt
            return stop(batch, at, epoch, keys)

        goal.views = views
        with contextlib.suppress(KeyboardInterrupt):
            fit(goal, goal.recipe, seed=1, folder=folder, device=CPU)
        return goal.model.state_dict()

    whole = trained(tmp_path / "whole", 2)
    trained(tmp_path / "broken", 1)
    again = trained(tmp_path / "broken", 2)
    assert all(torch.equal(v, again[k]) for k, v in whole.items())


@pytest.mark.parametrize("build", [lambda net: net, lambda net: segmenter(net, 3, seed=0)], ids=["features", "U-Net"])
def test_checkpointing_changes_neither_gradient_nor_statistics(build):
    def step(checkpointing: bool) -> tuple[torch.Tensor, dict]:
        net = backbone("resnet10", seed=0)
        net = build(checkpoint_activations(net) if checkpointing else net).train()
        out = net(Images.images[:4, None].expand(-1, 3, -1, -1).float() / 255)
        with steps._still(net, checkpointing):
            out.square().mean().backward()
        return torch.cat([p.grad.flatten() for p in net.parameters()]), net.state_dict()

    (plain, state), (again, kept) = step(False), step(True)
    assert torch.equal(plain, again)
    assert all(torch.equal(v, kept[k]) for k, v in state.items() if "tracked" not in k)


def test_an_encoder_that_cannot_compute_again_says_so():
    with pytest.raises(ConfigError, match=r"recipe.checkpointing is true, but ResNet can't.*recipe.group"):
        checkpoint_activations(backbone("torchvision/resnet18"))
