"""Which rows a config's `data` entry means: columns to choose by, pseudo-labels, balance."""

from __future__ import annotations

import re
from dataclasses import fields

import pandas as pd
import pytest

from tlkit import paths
from tlkit.config import ConfigError, NotAvailableError
from tlkit.datasets import identity
from tlkit.models import backbone
from tlkit.training.data import chosen_rows, class_names, open_data, sampled_rows
from tlkit.training.pretraining import METHODS, objective
from tlkit.training.recipe import READ_BY, Recipe
from tlkit.training.recipes import recipe
from tlkit.training.tasks import TASKS

HOSPITAL = {"seed": 3, "patients": 14, "pixels": 32}
GROUPS = {"k": 6, "floor": 2, "limit": 0.95, "tag_epochs": 2, "image_epochs": 1, "size": 32}


def entry(name: str, phantom: dict, **more) -> dict:
    return {**identity(name, phantom), "size": 32, "split": {"val": 0.2, "test": 0.2, "seed": 0}, **more}


@pytest.fixture(scope="module", autouse=True)
def shared_data(tmp_path_factory):
    """Phantom and groups are made once for the module."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(autouse=True)
def lent(shared_data, monkeypatch):
    monkeypatch.setenv("TLKIT_RUNS", str(shared_data))


def test_pseudo_labels_are_numbered_from_0_and_dropped_groups_are_left_out():
    data = entry("radiologynet", HOSPITAL, groups=GROUPS)
    store, table = open_data(data)
    labels = sorted(table["label"].unique())
    assert labels == list(range(len(labels))) and len(class_names(data, table)) == len(labels) >= 2
    assert (store.table["label"].to_numpy()[table["row"]] == table["label"]).all()
    outside = set(range(len(store))) - set(table["row"])
    assert set(store.table["label"].iloc[sorted(outside)]) <= {-1}
    assert table.groupby("patient")["split"].nunique().max() == 1


def test_one_modality_is_chosen_by_its_column():
    _, table = open_data(entry("radiologynet", HOSPITAL, where={"modality": "CT"}))
    assert set(table["modality"]) == {"CT"} and set(table["split"]) == {"train", "val", "test"}
    with pytest.raises(ConfigError, match=r"no row has modality 'PET'; there are CR, CT"):
        open_data(entry("radiologynet", HOSPITAL, where={"modality": "PET"}))
    with pytest.raises(ConfigError, match="no column 'modalty' to choose by"):
        open_data(entry("radiologynet", HOSPITAL, where={"modalty": "CT"}))


def test_too_few_groups_in_a_modality_are_not_available():
    """The first line says it all: data set, modality, how many groups of how many files; then where to look."""
    data = entry("radiologynet", HOSPITAL, groups=GROUPS | {"floor": 12}, where={"modality": "RF"})
    with pytest.raises(NotAvailableError) as error:
        open_data(data)
    first, second = str(error.value).splitlines()
    assert first == "radiologynet, RF alone: 0 groups of 12 or more files are kept, 2 are needed"
    assert re.search(r"The rule keeps \d of 6 groups with such files \(([\d, ]+|no) files\)", second)
    name = re.search(r"See (\S+/summary.csv) in the runs folder", second).group(1)
    assert (paths.runs_root() / name).is_file()
    assert not isinstance(error.value, ConfigError)


def test_one_group_is_too_few_to_learn(monkeypatch):
    from tlkit.archives import pseudolabels

    monkeypatch.setattr(pseudolabels, "labels", lambda table, folder: pd.Series(3, table.index))
    with pytest.raises(NotAvailableError, match=r"^radiologynet: 1 group of 2 or more files is kept, 2 are needed\n"):
        open_data(entry("radiologynet", HOSPITAL, groups=GROUPS))


def test_balance_takes_as_many_of_each_class_before_the_split():
    phantom = {"seed": 4, "images": 60, "pixels": 32}
    data = entry("covid-radiography", phantom, balance=True)
    store, table = open_data(data)
    counts = table["label"].value_counts()
    assert counts[0] == counts[1] < (store.table["label"] == 0).sum()
    assert set(chosen_rows(data, table, "train")) <= set(table["row"])


@pytest.mark.parametrize("sampling", ["all", "oversample"])
@pytest.mark.parametrize("method", ["classification", "reconstruction"])
def test_every_way_to_pretrain_with_labels_samples_as_its_recipe_says(method, sampling):
    data = entry("radiologynet", HOSPITAL, groups=GROUPS)
    base = {"classification": "classify", "reconstruction": "reconstruct"}[method]
    chosen = recipe(base, sampling=sampling, window=None)
    config = {"data": data, "recipe": chosen.to_dict(), "method": method, "pretraining": "p", "seed": 1}
    encoder = backbone("unet" if method == "reconstruction" else "resnet10", seed=0)
    goal = objective(config, encoder, chosen)
    store, table = open_data(data)
    rows = chosen_rows(data, table, "train")
    labels = pd.Series(store.table["label"].to_numpy())
    counts = labels[rows].value_counts()
    seen = getattr(goal.train, "rows", goal.train)
    if sampling == "all":
        assert sorted(seen) == sorted(rows)
    else:  # every group as often as the largest, and no image is lost
        assert set(seen) == set(rows) and counts.min() < counts.max()
        assert set(labels[seen].value_counts()) == {counts.max()} and goal.size == counts.max() * len(counts)


def test_a_balanced_epoch_needs_classes():
    data = entry("rsna-bone-age", {"seed": 4, "train": 12, "val": 6, "test": 6, "pixels": 32})
    store, table = open_data(data)
    with pytest.raises(ConfigError, match=r"'rsna-bone-age' has no classes. Say `all`"):
        sampled_rows(chosen_rows(data, table, "train"), store, recipe("classify"), seed=0)


def test_a_recipe_says_nothing_that_its_method_does_not_read():
    config = {"method": "contrastive"}
    with pytest.raises(
        ConfigError, match=r"contrastive does not read recipe.sampling as it is here; say sampling: all"
    ):
        objective(config, backbone("resnet10"), recipe("simclr", sampling="oversample"))
    assert {name for ways in READ_BY.values() for name in ways} <= {*METHODS, *TASKS}
    assert set(READ_BY) <= {f.name for f in fields(Recipe)}
