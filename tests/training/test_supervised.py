from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from tlkit.config import ConfigError
from tlkit.models import backbone, classifier, freeze
from tlkit.training import supervised
from tlkit.training.augment import Augment
from tlkit.training.recipe import Recipe
from tlkit.training.recipes import recipe
from tlkit.training.supervised import Samples, Supervised, plain_view, predict, random_view
from tlkit.training.tasks import task

CLASSES = ("a", "b", "c")
PLAIN = Recipe(epochs=1, batch=4, window=(0, 2000))


class MemoryStore:
    """What the training code uses of a store, with arrays in memory; counts what is taken."""

    def __init__(self, n: int = 12, masks: bool = False, colour: bool = False, size: int = 16):
        g = torch.Generator().manual_seed(0)
        shape = (n, size, size, 3) if colour else (n, size, size)
        self.images = torch.randint(0, 256, shape, generator=g, dtype=torch.uint8)
        self.masks = torch.randint(0, 3, (n, size, size), generator=g, dtype=torch.uint8) if masks else None
        self.table = pd.DataFrame(
            {
                "id": [f"i{k:02d}" for k in range(n)],
                "patient": [f"p{k // 2}" for k in range(n)],
                "label": np.arange(n) % 3,
            }
        )
        self.taken: list[int] = []

    def take(self, index):
        self.taken += list(index)
        return self.images[index], None if self.masks is None else self.masks[index]


class Means(nn.Module):
    """Logits that depend on each image alone: its mean times (1, 2, 3)."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.arange(1.0, 4.0))

    def forward(self, x):
        return x.mean((1, 2, 3))[:, None] * self.weight


def test_samples_are_rows_of_a_store():
    samples = Samples(MemoryStore(), np.array([3, 1]))
    assert len(samples) == 2 and samples.table["id"].tolist() == ["i03", "i01"]


@pytest.mark.parametrize("colour", [False, True])
def test_a_window_is_random_in_training_and_the_middle_in_evaluation(colour):
    store, cut = MemoryStore(masks=True, colour=colour), Recipe(epochs=1, batch=4, crop=8)
    images, masks = store.take(np.arange(12))
    assert torch.equal(plain_view(images, cut), plain_view(images[:, 4:12, 4:12], PLAIN))
    assert (
        torch.equal(supervised.cut_middle(masks, cut), masks[:, 4:12, 4:12])
        and supervised.cut_middle(None, cut) is None
    )
    look = Augment(crop_scale=(0.25, 0.25), crop_ratio=(1, 1), p_crop=1)  # 8 of 16 px: nothing is resized
    cut = Recipe(epochs=1, batch=4, crop=8, augment=look)
    views, parts = random_view(images, cut, 1, 0, np.arange(12), masks=masks)
    assert views.shape == (12, 3, 8, 8) and parts.shape == (12, 8, 8)
    places = set()
    for image, mask, view, part in zip(images, masks, views, parts, strict=True):
        found = [(y, x) for y in range(9) for x in range(9) if torch.equal(mask[y : y + 8, x : x + 8], part)]
        places |= set(found)
        (y, x) = found[0]
        assert torch.allclose(view, plain_view(image[None, y : y + 8, x : x + 8], PLAIN)[0], atol=1e-6)
    assert len(places) > 6
    still, kept = random_view(images, Recipe(epochs=1, batch=4, crop=8), 1, 0, np.arange(12), masks=masks)
    assert torch.equal(still, plain_view(images[:, 4:12, 4:12], PLAIN)) and torch.equal(kept, masks[:, 4:12, 4:12])
    with pytest.raises(ConfigError, match=r"recipe\.crop is 17 px, of images of 16 x 16 px"):
        plain_view(images, Recipe(epochs=1, batch=4, crop=17))


@pytest.mark.parametrize("colour", [False, True])
def test_the_network_sees_three_channels_between_zero_and_one(colour):
    images = MemoryStore(colour=colour).images
    for view in (plain_view(images, PLAIN), random_view(images, recipe("finetune"), 0, 0, np.arange(12))[0]):
        assert view.shape == (12, 3, 16, 16) and view.dtype == torch.float32
        assert view.is_contiguous(memory_format=torch.channels_last)
        assert view.min() >= 0 and view.max() <= 1
    if not colour:
        assert torch.equal(plain_view(images, PLAIN)[:, 0], plain_view(images, PLAIN)[:, 2])


def test_hounsfield_units_need_the_window_of_the_recipe():
    hu = torch.tensor([[[-1000, 0], [40, 1000]]], dtype=torch.int16)
    assert plain_view(hu, recipe("finetune"))[0, 0].tolist() == [[0.0, 0.5], [pytest.approx(0.52), 1.0]]
    with pytest.raises(ValueError, match="need window"):
        plain_view(hu, Recipe(epochs=1, batch=1))


def test_no_augmentation_is_the_plain_view():
    images = MemoryStore().images
    assert torch.equal(random_view(images, PLAIN, 0, 0, np.arange(12))[0], plain_view(images, PLAIN))


def test_views_depend_on_seed_epoch_and_sample_alone():
    images, look = MemoryStore().images, recipe("finetune")
    whole, _ = random_view(images, look, 1, 2, np.arange(12))
    part, _ = random_view(images[4:6], look, 1, 2, np.arange(4, 6))
    assert torch.equal(whole[4:6], part)
    for other in ((2, 2), (1, 3)):
        assert not torch.equal(random_view(images, look, *other, np.arange(12))[0], whole)


def test_masks_move_with_their_images():
    truth = MemoryStore(masks=True).masks
    look = Recipe(epochs=1, batch=4, augment=Augment(p_flip=0.5))
    views, masks = random_view(truth * 100, look, 0, 0, np.arange(12), masks=truth)
    assert torch.equal((views[:, 0] * 2.55).round().to(torch.uint8), masks)
    flipped = (masks != truth).flatten(1).any(1)
    assert 0 < flipped.sum() < 12 and torch.equal(masks[flipped], truth[flipped].flip(2))


def test_labels_follow_the_rows():
    store = MemoryStore()
    goal = Supervised(Means(), task("multiclass", CLASSES), Samples(store, np.array([5, 2, 7])), None, PLAIN, 0)
    images, labels = goal.fetch(np.array([2, 0]))
    assert torch.equal(images, store.images[[7, 5]]) and labels.tolist() == [1, 2]
    assert goal.size == 3 and goal.monitor is None and goal.validate() == {}


def test_loss_is_the_cross_entropy_of_the_view():
    store = MemoryStore()
    goal = Supervised(Means(), task("multiclass", CLASSES), Samples(store, np.arange(12)), None, PLAIN, 0)
    positions = np.array([0, 4])
    expected = nn.functional.cross_entropy(goal.model(plain_view(store.images[positions], PLAIN)), torch.tensor([0, 1]))
    assert torch.equal(goal.loss(goal.model, goal.views(goal.fetch(positions), positions, 0)), expected)


def test_validation_looks_at_validation_samples_only():
    store = MemoryStore()
    goal = Supervised(
        Means(), task("multiclass", CLASSES), Samples(store, np.arange(6)), Samples(store, np.arange(6, 9)), PLAIN, 0
    )
    assert goal.monitor == "accuracy"
    assert goal.validate()["accuracy"] == pytest.approx(1 / 3)  # all are given to class c
    assert sorted(store.taken) == [6, 7, 8]


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_predictions_are_one_row_a_sample_in_table_order(batch):
    store = MemoryStore()
    rows = np.array([7, 2, 9, 4])
    look = Recipe(epochs=1, batch=batch)
    found = predict(Means(), task("multiclass", CLASSES), Samples(store, rows), look)
    assert list(found) == ["id", "patient", "target", "output"]
    assert found["id"].tolist() == ["i02", "i04", "i07", "i09"]
    assert found["target"].tolist() == [2, 1, 1, 0] and sorted(store.taken) == [2, 4, 7, 9]
    expected = Means()(plain_view(store.images[[2, 4, 7, 9]], look)).softmax(1).detach().numpy()
    assert np.stack(found["output"]) == pytest.approx(expected, abs=1e-6)


def test_segmentation_predictions_are_counts_of_pixels():
    store = MemoryStore(masks=True)
    model = nn.Conv2d(3, 3, 1)
    found = predict(model, task("segmentation", CLASSES), Samples(store, np.arange(5)), PLAIN)
    assert all(v.sum() == 256 for v in found["target"]) and all(v.sum() == 256 for v in found["output"])
    assert (np.stack(found["overlap"]) <= np.stack(found["target"])).all()


@pytest.mark.parametrize("world", [2, 3, 9])
def test_several_processes_predict_every_sample_once(monkeypatch, world):
    """More processes than samples too: the others have nothing to give."""
    store, rows = MemoryStore(), np.arange(5)
    job, parts = task("multiclass", CLASSES), []
    monkeypatch.setattr(supervised, "world_size", lambda: world)
    monkeypatch.setattr(supervised, "_gathered", lambda mine: parts.append(mine) or pd.DataFrame({"row": [0]}))
    for rank in range(world):
        monkeypatch.setattr(supervised, "rank", lambda rank=rank: rank)
        predict(Means(), job, Samples(store, rows), PLAIN)
    found = pd.concat([frame for mine in parts for frame in mine])
    assert sorted(found["row"]) == rows.tolist()


def test_frozen_encoder_keeps_its_bytes_and_adapt_moves_batchnorm():
    store = MemoryStore(size=32)
    for bn in ("frozen", "adapt"):
        model = freeze(classifier(backbone("resnet10", seed=0), 3, seed=0), "encoder", bn)
        before = {k: v.clone() for k, v in model.encoder.state_dict().items()}
        goal = Supervised(model, task("multiclass", CLASSES), Samples(store, np.arange(12)), None, PLAIN, 0)
        model.train()
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
        goal.loss(model, goal.views(goal.fetch(np.arange(12)), np.arange(12), 0)).backward()
        optimizer.step()
        moved = {k for k, v in model.encoder.state_dict().items() if not torch.equal(v, before[k])}
        norms = {k for k in before if "bn" in k or "downsample.1" in k}
        assert moved == (set() if bn == "frozen" else norms), bn


def test_precision_of_predictions_follows_the_recipe():
    seen = []
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 256, 3))
    model[1].register_forward_hook(lambda m, i, o: seen.append(o.dtype))
    for precision in ("float32", "bfloat16"):
        predict(
            model,
            task("multiclass", CLASSES),
            Samples(MemoryStore(), np.arange(2)),
            Recipe(epochs=1, batch=2, precision=precision),
        )
    assert seen == [torch.float32, torch.bfloat16]
