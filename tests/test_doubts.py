from __future__ import annotations

import pytest

from tlkit import runs
from tlkit.doubts import doubt
from tlkit.studies import load

HEALTHY = {"skill": 0.3, "feature_spread": 0.7, "feature_rank": 30.0, "best_epoch": 8, "last_epoch": 8}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"skill": 0.0}, "at chance, loss 0 % of the way from chance to the best"),
        ({"skill": -0.4, "val_auc": 0.51}, "at chance, loss -40 % of the way from chance to the best, AUC 0.51"),
        ({"skill": -0.4, "val_auc": 0.75}, ""),  # too sure of itself, but it ranks
        ({"skill": 0.3, "val_auc": 0.5}, ""),
        ({"skill": None}, ""),  # validation of one class alone has no chance to beat
        ({"skill": float("nan"), "val_auc": float("nan")}, ""),
        ({"skill": None, "best_epoch": 1}, "kept the first of 8 epochs"),
        ({"skill": 0.0, "val_auc": None}, "at chance, loss 0 % of the way from chance to the best"),
        ({"best_epoch": 1}, "kept the first of 8 epochs, loss 30 %"),
        ({"best_epoch": 1, "last_epoch": 1}, ""),  # there was no other
        ({"best_epoch": 1, "skill": 0.0}, "kept the first of 8 epochs, at chance, loss 0 %"),
        ({"feature_spread": 1e-5}, "features of all images alike (spread 1e-05, rank 30), loss 30 %"),
        ({"feature_rank": 1.0}, "features of all images alike (spread 0.7, rank 1), loss 30 %"),
    ],
)
def test_what_puts_a_pretraining_in_doubt(changes, words):
    found = doubt(HEALTHY | changes)
    assert words in found and bool(found) == bool(words)


def test_runs_that_measured_nothing_are_not_judged():
    assert doubt({"accuracy": 0.1}) == "" and doubt({"loss": 5.0, "best_epoch": 1, "last_epoch": 9}) == ""


@pytest.fixture
def study():
    """Return a study with one pretraining in doubt, one that is not, and the downstream runs of both."""
    mine = load("boundaries", "smoke")
    for config in mine.configs():
        if config["pretraining"] in ("imagenet", "radnet", "scratch"):
            bad = {"skill": 0.001} if config["pretraining"] == "imagenet" else {}
            with runs.claim(config) as run:
                runs.finish(run, HEALTHY | bad if config["kind"] == "pretrain" else {"accuracy": 0.5}, seconds=1)
    return mine


def test_an_arm_in_doubt_is_marked_and_the_caption_says_why(study):
    backbone = study.spec["backbone"]
    names = study.names()
    assert names["imagenet"] == "ImageNet †" and names["radnet"] == "RadNet" and names["scratch"] == "random weights"
    why = "at chance, loss 0 % of the way from chance to the best"
    assert study.doubts() == {("imagenet", backbone): why}
    figures = study.spec["figures"]
    figures["unsure"] = {"experiments": ["E1"], "pretrainings": ["imagenet", "radnet"]}
    figures["sure"] = {"experiments": ["E1"], "pretrainings": ["radnet", "scratch"]}
    note = study.shown("unsure").note()
    assert f"Pretraining in doubt: ImageNet † with {backbone}: {why}." in note
    assert "in doubt" not in study.shown("sure").note()
    assert study.doubts_note() == f"Pretraining in doubt: ImageNet † with {backbone}: {why}."
    assert note in study.shown("unsure").saved()["note"]


def test_the_list_of_runs_says_it_too(study):
    table = runs.listing().set_index("id")["error"]
    told = table[table != ""]
    assert list(told) == ["in doubt: at chance, loss 0 % of the way from chance to the best"]
    assert told.index[0].startswith("pretrain-imagenet")
