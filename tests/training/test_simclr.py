from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tlkit.models import backbone
from tlkit.training import simclr
from tlkit.training.contrastive import nt_xent
from tlkit.training.recipes import recipe
from tlkit.training.simclr import Contrastive, SimCLRModel
from tlkit.training.supervised import Samples, random_view


class Images:
    """A store of random images without labels."""

    def __init__(self, n: int = 8):
        self.images = torch.randint(0, 256, (n, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)

    def take(self, index):
        return self.images[index], None


class Pixels(nn.Module):
    num_features = 12

    def forward(self, x):
        return nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)


def objective(**changes) -> Contrastive:
    torch.manual_seed(0)
    model = SimCLRModel(Pixels(), published_head=False)
    return Contrastive(model, [Samples(Images(), np.arange(8))], recipe("simclr", **changes), seed=3)


def test_two_views_of_each_image_go_through_the_model_at_once(monkeypatch):
    goal, seen = objective(), []
    real = simclr.random_view
    monkeypatch.setattr(simclr, "random_view", lambda *a, **k: seen.append(k["view"]) or real(*a, **k))
    goal.model.register_forward_pre_hook(lambda m, args: seen.append(tuple(args[0].shape)))
    positions = np.array([5, 1, 2])
    goal.loss(goal.model, goal.views(goal.fetch(positions), positions, 0))
    assert seen == [0, 1, (6, 3, 32, 32)]


def test_loss_is_nt_xent_of_the_pairs():
    goal, positions = objective(temperature=0.2), np.array([5, 1, 2, 0])
    images = goal.train[0].store.images[positions]
    views = [random_view(images, goal.recipe, 3, 7, positions, view=v)[0] for v in (0, 1)]
    assert not torch.equal(*views)
    z = goal.model(torch.cat(views))
    assert torch.equal(
        goal.loss(goal.model, goal.views(goal.fetch(positions), positions, 7)), nt_xent(z[:4], z[4:], 0.2)
    )


class Scans(Images):
    """Grey slices in HU."""

    def __init__(self, n: int):
        generator = torch.Generator().manual_seed(1)
        self.images = torch.randint(-1000, 1000, (n, 32, 32), generator=generator, dtype=torch.int16)


class Photographs(Images):
    def __init__(self, n: int):
        generator = torch.Generator().manual_seed(2)
        self.images = torch.randint(0, 256, (n, 32, 32, 3), generator=generator, dtype=torch.uint8)


def test_stores_of_another_kind_are_joined_image_by_image():
    parts = [Samples(Photographs(6), np.array([4, 0, 5])), Samples(Scans(9), np.array([8, 1, 2, 7]))]
    goal = Contrastive(SimCLRModel(Pixels(), published_head=False), parts, recipe("simclr"), seed=3)
    assert goal.size == 7
    positions = np.array([6, 0, 3, 2, 5])  # photographs 4 and 5, scans 7, 8 and 2, in this order: 7 4 8 5 2
    seen = []
    goal.model.register_forward_pre_hook(lambda m, args: seen.append(args[0]))
    goal.loss(goal.model, goal.views(goal.fetch(positions), positions, 2))
    alone = [(1, 7), (0, 4), (1, 8), (0, 5), (1, 2)]
    for k, (part, row) in enumerate(alone * 2):
        at = positions[[k % 5]]
        image = parts[part].store.images[[row]]
        expected, _ = random_view(image, goal.recipe, 3, 2, at, view=k // 5)
        assert torch.allclose(seen[0][k], expected[0], atol=1e-6), k


def test_a_batch_without_an_image_of_one_store():
    parts = [Samples(Photographs(6), np.arange(6)), Samples(Scans(4), np.arange(4))]
    goal = Contrastive(SimCLRModel(Pixels(), published_head=False), parts, recipe("simclr"), seed=3)
    positions = np.array([7, 9, 6])
    batch = goal.fetch(positions)
    assert batch[0] is None and goal.loss(goal.model, goal.views(batch, positions, 0)).isfinite()


def test_negatives_of_a_group_only():
    goal, positions = objective(negatives=2), np.arange(4)
    whole = objective().loss(goal.model, objective().views(goal.fetch(positions), positions, 0))
    grouped = goal.loss(goal.model, goal.views(goal.fetch(positions), positions, 0))
    assert grouped < whole  # two pairs give 2 negatives a view, four give 6


@pytest.mark.parametrize(("published", "width"), [(False, 128), (True, 256)])
def test_embeddings_are_as_wide_as_the_head_says(published, width):
    model = SimCLRModel(backbone("resnet10", seed=0), published)
    assert model(torch.rand(2, 3, 32, 32)).shape == (2, width)


def test_there_is_no_validation_value():
    goal = objective()
    assert goal.validate() == {} and goal.monitor is None and goal.size == 8
