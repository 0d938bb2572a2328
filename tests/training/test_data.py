"""Which rows a config's `data` entry means: columns to choose by, pseudo-labels, balance."""

from __future__ import annotations

import pytest

from tlkit.config import ConfigError
from tlkit.datasets import identity
from tlkit.training.data import chosen_rows, class_names, open_data

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


def test_too_few_groups_in_a_modality_are_said():
    with pytest.raises(ConfigError, match="fewer than two groups are left to learn"):
        open_data(entry("radiologynet", HOSPITAL, groups=GROUPS | {"floor": 40}, where={"modality": "RF"}))


def test_balance_takes_as_many_of_each_class_before_the_split():
    phantom = {"seed": 4, "images": 60, "pixels": 32}
    data = entry("covid-radiography", phantom, balance=True)
    store, table = open_data(data)
    counts = table["label"].value_counts()
    assert counts[0] == counts[1] < (store.table["label"] == 0).sum()
    assert set(chosen_rows(data, table, "train")) <= set(table["row"])
