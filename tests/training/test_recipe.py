from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlkit.config import ConfigError, UnknownNameError
from tlkit.models import backbone
from tlkit.training.augment import AUGMENTS, Augment
from tlkit.training.recipe import CHOICES, LATER, Recipe
from tlkit.training.recipes import every_recipe, recipe
from tlkit.training.tasks import task

RECIPES = every_recipe()

rates = st.floats(1e-8, 10, allow_nan=False)
pairs = st.tuples(st.floats(0.1, 1), st.floats(1, 3))
RANDOM = st.builds(
    Recipe,
    epochs=st.integers(1, 500),
    batch=st.integers(1, 4096),
    lr=rates,
    weight_decay=rates,
    exclude=st.booleans(),
    window=st.none() | pairs,
    class_weights=st.none() | st.lists(rates, min_size=1, max_size=4).map(tuple),
    augment=st.sampled_from(list(AUGMENTS.values())) | st.builds(Augment, p_flip=st.floats(0, 1), blur_sigma=pairs),
    **{name: st.sampled_from(list(allowed)) for name, allowed in CHOICES.items()},
)


@given(RANDOM)
@settings(max_examples=60, deadline=None)
def test_a_recipe_survives_json(found):
    text = json.dumps(found.to_dict())
    assert Recipe.from_dict(json.loads(text)) == found
    assert json.dumps(Recipe.from_dict(json.loads(text)).to_dict()) == text


def test_a_field_that_came_later_is_in_the_config_only_where_it_does_something():
    assert LATER == {"head_bias": True, "crop": 0, "group": 0, "checkpointing": False}
    assert "crop" not in recipe("nodule").to_dict() and recipe("nodule_radiologynet").to_dict()["crop"] == 64


@pytest.mark.parametrize("name", RECIPES)
def test_named_recipes_are_found_and_changed(name):
    assert recipe(name) == RECIPES[name]
    assert recipe(name, epochs=7) == replace(RECIPES[name], epochs=7)


def test_published_values():  # jonske2025 1.1, 2.2
    pretraining = RECIPES["simclr_published"]
    assert (pretraining.optimizer, pretraining.lr, pretraining.batch, pretraining.epochs) == ("lars", 4.8, 4096, 100)
    assert not any(r.exclude for n, r in RECIPES.items() if n.endswith("_published"))
    assert {r.select for n, r in RECIPES.items() if n.endswith("_published")} == {"last"}


@pytest.mark.parametrize(
    ("names", "batch", "epochs", "optimizer", "lr", "weight_decay", "decay"),
    [
        ("I1k", 4096, 100, "lars", 4.8, 1e-6, 0.97),
        ("R", 4096, 100, "lars", 0.01, 1e-4, 0.97),
        ("CX8", 128, 50, "adamw", 5e-4, 1e-6, 0.97),
        ("LiTS", 128, 50, "adamw", 2e-4, 1e-6, 0.97),
        ("BraTS", 128, 50, "adamw", 1e-3, 1e-5, 0.95),
        ("I1kS I100", 1024, 100, "lars", 2.4, 1e-6, 0.97),
        ("RS", 1024, 100, "lars", 0.005, 1e-5, 0.97),
        ("I1kXS I100S I100XS I10 I10S RXS RXXS", 256, 100, "adamw", 1e-4, 1e-6, 0.97),
        ("I10XS", 64, 100, "adamw", 1e-4, 1e-6, 0.97),
    ],
)
def test_published_values_by_task(names, batch, epochs, optimizer, lr, weight_decay, decay):  # jonske2025 2.2, 2.3
    for name in names.split():
        r = RECIPES[f"{name}_published"]
        assert (r.batch, r.epochs, r.optimizer, r.lr, r.weight_decay) == (batch, epochs, optimizer, lr, weight_decay)
        assert (r.schedule, r.decay, r.warmup, r.freeze, r.intensity) == ("exponential", decay, 0, "none", "minmax")


def test_published_loss_weights_and_augmentation():  # jonske2025 2.2, 2.5
    weights = {n: RECIPES[f"{n}_published"].class_weights for n in ("I1k", "R", "LiTS", "BraTS", "CX8")}
    assert weights.pop("CX8") == (1, 1, 1, 0.001) + (1,) * 11
    assert weights == {"I1k": None, "R": None, "LiTS": (1, 3, 10), "BraTS": (1, 5, 5, 5)}
    looks = {n: RECIPES[f"{n}_published"].augment for n in ("CX8", "LiTS", "BraTS")}
    assert [(a.draw, a.p_colour) for a in looks.values()] == [("group", 0.2), ("image", 0.2), ("image", 0.0)]


def test_published_heads_of_classes_have_no_bias_and_batchnorm_is_each_gpus_own():
    for name in ("I1k", "I10XS", "R", "RXXS", "CX8"):
        assert RECIPES[f"{name}_published"].head_bias is False
    assert not any(r.sync_batchnorm for n, r in RECIPES.items() if n.endswith("_published"))
    model = task("multilabel", ("a", "b"), head_bias=False).model(backbone("resnet10"))
    assert model.head.bias is None and task("binary", ("a", "b")).model(backbone("resnet10")).head.bias is not None
    assert "head_bias" not in recipe("finetune").to_dict()  # runs of before keep their ids
    assert recipe("finetune", head_bias=False).to_dict()["head_bias"] is False


def test_augmentation_by_name_by_dict_or_as_it_is():
    assert recipe("finetune", augment="none").augment == Augment()
    assert recipe("finetune", augment={"p_blur": 0.5, "blur_sigma": [1, 2]}).augment == Augment(
        p_blur=0.5, blur_sigma=(1, 2)
    )
    assert recipe("finetune", window=[40, 400]).window == (40, 400)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: recipe("fintune"), "unknown recipe 'fintune'. Did you mean 'finetune'"),
        (lambda: recipe("finetune", epoch=1), "unknown recipe field 'epoch'. Did you mean 'epochs'"),
        (lambda: recipe("finetune", augment="simcrl"), "unknown augmentation 'simcrl'. Did you mean 'simclr'"),
        (lambda: recipe("finetune", optimizer="adamww"), "recipe.optimizer 'adamww'. Did you mean 'adamw'"),
        (lambda: recipe("finetune", schedule="cosin"), "recipe.schedule 'cosin'. Did you mean 'cosine'"),
        (lambda: recipe("finetune", select="lasst"), "recipe.select 'lasst'. Did you mean 'last'"),
        (lambda: recipe("finetune", precision="bfloat"), "recipe.precision 'bfloat'. Did you mean 'bfloat16'"),
        (lambda: recipe("finetune", freeze="encodr"), "recipe.freeze 'encodr'. Did you mean 'encoder'"),
        (lambda: recipe("simclr", projection="publishd"), "recipe.projection 'publishd'. Did you mean 'published'"),
    ],
)
def test_unknown_names_give_the_nearest(make, message):
    with pytest.raises(UnknownNameError, match=message):
        make()


def test_nothing_to_train_for_is_an_error():
    with pytest.raises(ValueError, match=r"recipe.epochs: expected 1 or more, found 0"):
        recipe("finetune", epochs=0)


def test_code_that_gives_other_numbers_than_before_is_part_of_the_recipes_that_use_it():
    assert "versions" not in recipe("reconstruct").to_dict()
    assert recipe("simclr").to_dict()["versions"] == {"colour": 2}
    assert recipe("boneage_radiologynet").to_dict()["versions"] == {"heads": 2}
    assert recipe("label_radiologynet").to_dict()["versions"] == {"colour": 2, "heads": 2}
    for name in RECIPES:
        assert Recipe.from_dict(json.loads(json.dumps(recipe(name).to_dict()))) == recipe(name)
    with pytest.raises(ConfigError, match=r"expected {'colour': 2}, found {'colour': 1}.* Load the study again"):
        recipe("simclr").check_versions({"colour": 1})
