from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tlkit.config import ConfigError, UnknownNameError
from tlkit.models import WEIGHTS
from tlkit.models.weight_cards import recipe_input
from tlkit.training import cardinput
from tlkit.training.recipe import NORMALISE, Normalise, Recipe
from tlkit.training.supervised import normalise

IMAGENET = WEIGHTS["imagenet/resnet50"]
GREY = WEIGHTS["radiologynet/resnet50"]


def config(card, dataset="imagenet", size=224, **recipe):
    return {
        "data": {"name": dataset, "size": size},
        "recipe": {"epochs": 1, "batch": 1, **recipe_input(card), **recipe},
    }


@pytest.mark.parametrize("card", WEIGHTS.values(), ids=list(WEIGHTS))
def test_the_input_of_a_card_differs_in_nothing_from_it(card):
    assert cardinput.differences(config(card, size=card.size), card) == []


def test_what_differs_is_named_once(caplog):
    other = config(GREY, size=64, normalise="imagenet", intensity="minmax")
    text = [
        "mean 0.485/0.456/0.406 (card: 0)", "std 0.229/0.224/0.225 (card: 1)", "intensity minmax (card: range)",
        "64 px (card: 224)", "channels RGB (card: grey)",
    ]  # fmt: skip
    cardinput._warn.cache_clear()
    assert cardinput.tell(other, GREY) == cardinput.tell(other, GREY) == text
    assert caplog.text.count("'radiologynet/resnet50' get another input than their card says: mean 0.485") == 1
    grey = config(GREY, "rsna-bone-age", 300, normalise="none")
    assert cardinput.differences(grey, GREY) == ["300 px (card: 224)"]  # grey images are the same in colour


def test_a_named_normalisation_that_is_the_cards_is_no_difference():
    assert cardinput.differences(config(IMAGENET, normalise="imagenet"), IMAGENET) == []
    lite = WEIGHTS["imagenet/tf_efficientnet_lite0"]
    assert cardinput.differences(config(lite, normalise="half"), lite) == []  # 0.5 for 127/255 and 128/255


def test_the_input_of_a_card_is_what_its_library_makes():
    """Torchvision's own transform of a photograph, held against ours of the same pixels."""
    from torchvision.transforms.v2 import functional as F

    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 20, 20), dtype=np.uint8))
    wanted = F.normalize(F.to_dtype(image, torch.float32, scale=True), IMAGENET.mean, IMAGENET.std)
    ours = normalise(image[None] / 255, Recipe.from_dict(config(IMAGENET)["recipe"]))
    assert torch.allclose(ours[0], wanted, atol=1e-6)
    grey = F.rgb_to_grayscale(F.to_dtype(image, torch.float32, scale=True), 3)
    ours = normalise(image[None] / 255, Recipe.from_dict(config(GREY)["recipe"]))
    assert torch.allclose(ours[0], grey, atol=2e-4)  # torchvision's luminance has weights that sum to 0.9999


def test_another_range_is_a_part_of_mean_and_deviation():
    """A value x in [0,1] of a card of range -1 to 1, mean 0.2, std 0.5: (2 x - 1 - 0.2) / 0.5."""
    card = replace(IMAGENET, input_range=(-1.0, 1.0), mean=(0.2,) * 3, std=(0.5,) * 3)
    ours = normalise(torch.full((1, 3, 1, 1), 0.75), Recipe.from_dict(config(card)["recipe"]))
    assert torch.allclose(ours, torch.full((1, 3, 1, 1), 0.6), atol=1e-6)


def test_the_card_has_to_be_known():
    with pytest.raises(ConfigError, match="nothing says which"):
        normalise(torch.zeros(1, 3, 2, 2), Recipe(epochs=1, batch=1, normalise="card"))
    with pytest.raises(UnknownNameError, match="Did you mean 'std'"):
        Recipe.from_dict({"epochs": 1, "batch": 1, "normalise": {"stdev": [1, 1, 1]}})
    with pytest.raises(UnknownNameError, match="channels of normalise"):
        Normalise(channels="gray")


def test_no_normalisation_gives_the_bits_back():
    views = torch.rand(2, 3, 4, 4)
    assert normalise(views, Recipe(epochs=1, batch=1)) is views
    assert NORMALISE["none"] == Normalise()
