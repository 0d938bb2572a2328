"""SimCLR on the reader's images: for each split anew, on its training part alone, where the budget allows."""

from __future__ import annotations

import time

import folders_of_users
import pytest

from tlkit import runs
from tlkit.advice import plan, probing, tuning
from tlkit.advice.budget import Budget
from tlkit.advice.understand import understand
from tlkit.training.data import chosen_rows, open_data, training_images


@pytest.fixture
def study(folder, monkeypatch):
    """40 images of 20 patients, two seeds, a SimCLR of one epoch."""
    monkeypatch.setattr(plan, "present", lambda card: None)
    small = {"RATES": (0.001,), "SEEDS": (1, 2), "EPOCHS": (1, 1), "LEAST_OWN": 10, "OWN_EPOCHS": (1, 1)}
    for name, value in small.items():
        monkeypatch.setattr(plan, name, value)
    found = understand(folders_of_users.class_folders(folder, n=20), "mine", patient=r"(\w)\d+x|$")
    return plan.write(found, 40, 32)


def test_no_test_or_validation_image_is_pretrained_on_and_patients_are_apart(study):
    trained = {}
    for config in study.finetune(plan.OWN):
        start = next(c for c in study.pretrain_configs(plan.OWN) if runs.run_id(c) == config["weights"]["run"])
        assert start["data"]["split"] == config["data"]["split"], "the split of the run that starts from it"
        (seen,) = training_images(start)
        store, table = open_data(config["data"])
        for split in ("val", "test"):
            kept = store.table.iloc[chosen_rows(config["data"], table, split)]
            assert not set(kept["id"]) & set(seen.table["id"])
            assert not set(kept["patient"]) & set(seen.table["patient"])
        trained[config["seed"]] = set(seen.table["id"])
    assert set(trained) == {1, 2} and trained[1] != trained[2]
    assert len(study.pretrain_configs()) == 2
    assert study.lineage(plan.OWN, seed=2) == study.pretrain_configs()[1:]


def test_it_is_done_for_each_split_and_not_scored_frozen(study):
    said: list[str] = []
    clock = Budget(600, time.monotonic(), {"train": 0.001, "see": 0.001}, study.spec["backbone"])
    assert tuning.pretrain(study, clock, said.append) == {}
    done = tuning.Tuning(study, clock, said.append)
    done.do()
    assert {(row["arm"], row["seed"]) for row in done.made} >= {(plan.OWN, 1), (plan.OWN, 2)}
    assert all(runs.state_is_done(runs.run_id(c)) for c in study.pretrain_configs())
    assert plan.OWN not in probing.score_arms(study, said.append)


def test_a_budget_too_small_for_two_splits_of_it_says_so(study):
    said: list[str] = []
    clock = Budget(60, time.monotonic(), {"train": 1.0, "see": 0.01}, study.spec["backbone"])
    out = tuning.pretrain(study, clock, said.append)
    assert "for each of 2 splits, too much of the budget" in out[plan.OWN]
    assert any("SimCLR on these images is left out" in line for line in said)
    assert not any(runs.state_is_done(runs.run_id(c)) for c in study.pretrain_configs())


def test_few_images_teach_it_nothing(folder, monkeypatch):
    monkeypatch.setattr(plan, "present", lambda card: None)
    found = understand(folders_of_users.class_folders(folder), "few", patient="none")
    assert plan.OWN not in plan.write(found, plan.LEAST_OWN - 1, 32).pretrainings
    assert plan.OWN in plan.write(found, plan.LEAST_OWN, 32).pretrainings


def test_another_network_is_priced_by_its_work(study):
    clock = Budget(60, time.monotonic(), {"train": 1.0, "see": 0.1}, "resnet10")
    config = study.finetune()[0]
    assert clock.price(config | {"backbone": "torchvision/resnet50"}) > 2 * clock.price(config)
