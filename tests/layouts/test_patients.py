"""Who is shown on an image of a folder layout: by a pattern, a folder or a table."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
import trees

from tlkit.config import ConfigError
from tlkit.datasets import DATASETS, card_of, splits
from tlkit.layouts import boneage, folders
from tlkit.layouts.patients import patients

CARD = replace(DATASETS["covid-ct"], classes=())


def told(how: dict):
    return replace(CARD, options={**CARD.options, "patient": how})


def tree(root):
    for k, path in enumerate(
        ["train/a/p1/x_P01.png", "train/a/p2/y_P02.png", "train/b/p1/z_P01.png", "test/b/p3/x_P03.png"]
    ):
        trees.picture(root / path, k)
    (root / "who.csv").write_text("file,person\nx_P01.png,Ann\ny_P02,Bob\ntrain/b/p1/z_P01.png,Ann\nx_P03,Eve\n")
    return root


@pytest.mark.parametrize(
    ("how", "want"),
    [
        ({"pattern": r"_(P\d+)\."}, ["P03", "P01", "P02", "P01"]),
        ({"pattern": r"P\d+"}, ["P03", "P01", "P02", "P01"]),
        ({"level": 3}, ["p3", "p1", "p2", "p1"]),
        ({"level": -1}, ["p3", "p1", "p2", "p1"]),
        ({"table": "who.csv", "file": "file", "patient": "person"}, ["Eve", "Ann", "Bob", "Ann"]),
    ],
)
def test_each_way_names_the_patient(how, want, tmp_path):
    samples, _ = folders.scan(tree(tmp_path), told(how))
    assert samples["patient"].tolist() == want
    assert patients(told(how)) == "named" and patients(CARD) == "unknown: every image counts as one"


def test_without_the_option_every_image_is_a_patient(tmp_path):
    samples, _ = folders.scan(tree(tmp_path), CARD)
    assert (samples["patient"] == samples["id"]).all()


def test_a_file_without_a_patient_is_rejected_and_none_at_all_is_an_error(tmp_path):
    trees.picture(tree(tmp_path) / "train/a/nobody.png")
    samples, rejects = folders.scan(tmp_path, told({"pattern": r"_(P\d+)"}))
    assert len(samples) == 4
    named = rejects[rejects["kind"] == "unreadable"]
    assert named[["path", "reason"]].values.tolist() == [
        ["train/a/nobody.png", "no patient by {'pattern': '_(P\\\\d+)'}"]
    ]
    with pytest.raises(ConfigError, match=r"finds no patient in any of 5 paths such as 'test/b/p3/x_P03.png'"):
        folders.scan(tmp_path, told({"pattern": "Q"}))


def test_patients_in_two_official_splits_are_an_error_that_says_what_to_do(tmp_path):
    samples, _ = folders.scan(tree(tmp_path), told({"pattern": r"([xyz])_P"}))
    with pytest.raises(splits.LeakageError, match=r"1 patients stand in more than one split: x\. .*official: false"):
        splits.assign(samples)
    again = splits.assign(samples, official=False, val=0.3, test=0.3)
    assert again.groupby(samples["patient"]).nunique().max() == 1


@pytest.mark.parametrize(
    ("how", "fault"),
    [
        ({"patern": "x"}, "expected one of .*found the keys patern"),
        ({"pattern": "("}, "expected a regular expression"),
        ({"level": 0}, "expected a level of 1 or more"),
        ({"level": 1, "pattern": "x"}, "found the keys level, pattern"),
    ],
)
def test_a_wrong_way_is_told_when_the_study_is_read(how, fault):
    with pytest.raises(ConfigError, match=fault):
        card_of("covid-ct", {"patient": how})


@pytest.mark.parametrize(
    ("how", "fault"),
    [
        ({"table": "no.csv", "file": "file", "patient": "person"}, "lacks the table no.csv"),
        ({"table": "who.csv", "file": "name", "patient": "person"}, "lacks name, which `patient` names"),
    ],
)
def test_a_table_that_says_nothing(how, fault, tmp_path):
    with pytest.raises(ConfigError, match=fault):
        folders.scan(tree(tmp_path), told(how))


def test_two_patients_of_one_file_are_an_error(tmp_path):
    (tree(tmp_path) / "who.csv").write_text("file,person\nx,Ann\nx,Bob\n")
    with pytest.raises(ConfigError, match="names two patients for x"):
        folders.scan(tmp_path, told({"table": "who.csv", "file": "file", "patient": "person"}))


def test_bone_age_takes_the_option_too(tmp_path):
    from tlkit.phantoms import write

    root = write.make("rsna-bone-age", tmp_path, seed=1, train=8, val=8, test=8, pixels=32)
    card = card_of("rsna-bone-age", {"patient": {"pattern": r"(\d)\.png$"}})
    samples, _ = boneage.scan(root, card)
    assert set(samples["patient"]) <= set("0123456789") and isinstance(samples, pd.DataFrame)
