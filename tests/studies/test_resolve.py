from __future__ import annotations

import json
import re

import pytest

from tlkit import paths, runs
from tlkit.studies import studyfile
from tlkit.studies.configs import StudyRuns
from tlkit.training.recipe import Normalise, Recipe

STUDY = """\
common:
  data: phantom
  backbone: tf_efficientnet_lite0
  size: 32
  seeds: [1]
  split: {val: 0.2, test: 0.2, seed: 0}
  phantoms:
    imagenet: {seed: 1, train: 8, val: 8, pixels: 32}
    brain-tumor-mri: {seed: 2, train: 8, test: 8, pixels: 32}
  pretrainings:
    scratch: {}
    imagenet: {weights: imagenet}
    own: {dataset: imagenet, size: 40, recipe: {base: simclr, normalise: half, intensity: minmax}}
  tasks:
    kinds: {dataset: brain-tumor-mri, recipe: {base: label, normalise: imagenet}}
  experiments:
    clean: {mode: finetune}
    published: {mode: finetune, recipe: {normalise: card}}
scales:
  quick: {}
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Return a function that reads STUDY with some of its text replaced."""
    monkeypatch.setattr(paths, "STUDIES", tmp_path)

    def read(*edits: tuple[str, str]) -> StudyRuns:
        text = STUDY
        for old, new in edits:
            assert text.count(old) == 1
            text = text.replace(old, new)
        (tmp_path / "mine.yaml").write_text(text)
        return StudyRuns("mine", "quick", studyfile.read("mine", "quick"))

    return read


def arms(study, experiment):
    return {c["pretraining"]: c for c in study.finetune(experiments=[experiment])}


def test_the_same_input_for_all_or_that_of_each_ones_weights(study):
    mine = study()
    assert {c["recipe"]["normalise"] for c in arms(mine, "clean").values()} == {"imagenet"}
    found = {k: (c["recipe"]["normalise"], c["recipe"]["intensity"]) for k, c in arms(mine, "published").items()}
    assert found["scratch"] == ("none", "range") and found["own"] == ("half", "minmax")
    config = json.loads(json.dumps(arms(mine, "published")["imagenet"]))  # as a run's folder holds it
    made = Recipe.from_dict(config["recipe"])
    assert made.normalisation == Normalise((127 / 255,) * 3, (128 / 255,) * 3, "RGB") and made.intensity == "range"
    assert config["recipe"]["normalise"]["std"] == [128 / 255] * 3
    assert runs.run_id(config) == runs.run_id(arms(mine, "published")["imagenet"])


def test_the_size_of_the_weights(study):
    task = "kinds: {dataset: brain-tumor-mri,"
    sizes = {k: c["data"]["size"] for k, c in arms(study((task, f"{task} size: card,")), "clean").items()}
    assert sizes == {"scratch": 32, "imagenet": 224, "own": 40}
    assert {c["recipe"]["normalise"] for c in arms(study(), "clean").values()} == {"imagenet"}


def test_partial_stands_in_the_config_and_changes_no_other_run(study):
    plain = arms(study(), "clean")
    part = arms(study(("{weights: imagenet}", "{weights: imagenet, partial: true}")), "clean")
    assert part["imagenet"]["weights"] == plain["imagenet"]["weights"] | {"partial": True}
    assert runs.run_id(part["imagenet"]) != runs.run_id(plain["imagenet"])
    assert all(runs.run_id(part[k]) == runs.run_id(plain[k]) for k in ("scratch", "own"))
    assert arms(study(("{weights: imagenet}", "{weights: imagenet, partial: false}")), "clean") == plain


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("normalise: half", "normalise: card", "normalise: card is for tasks"),
        ("size: 40", "size: card", "expected a whole number, found 'card'"),
        ("normalise: card", "normalise: cards", "Did you mean 'card'"),
        ("own: {dataset: imagenet,", "own: {partial: true, dataset: imagenet,", "only published `weights`"),
        ("{weights: imagenet}", "{weights: imagenet, partial: 1}", "expected true or false, found 1"),
        ("dataset: brain-tumor-mri, recipe", "dataset: brain-tumor-mri, size: cards, recipe", "of 8 or more, or card"),
    ],
)  # fmt: skip
def test_what_cannot_be(study, old, new, words):
    with pytest.raises(Exception, match=re.escape(words)):
        study((old, new))


def test_the_published_study_gave_imagenets_mean_to_one_arm():
    """RadiologyNET 2025: ImageNet's arm was normalised, the others and the baseline were not; all read in grey."""
    spec = studyfile.read("radiologynet", "paper")
    spec["experiments"]["main"]["recipe"] = {"normalise": "card"}
    mine = StudyRuns("radiologynet", "paper", spec)
    with mine.without_data():
        found = {
            source: c["recipe"]["normalise"]
            for source in ("scratch", "imagenet", "radiologynet")
            for c in mine.finetune(source, ["BTMR_ResNet50"], ["main"], [1])
        }
    assert found["scratch"] == "none"
    assert found["imagenet"] == "imagenet"  # by its name: one run with the clean comparison's
    assert found["radiologynet"] == {"mean": (0, 0, 0), "std": (1, 1, 1), "channels": "grey"}
