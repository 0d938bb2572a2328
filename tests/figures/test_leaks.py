"""Copies and patients on two sides: counted, and set apart in a result."""

from __future__ import annotations

import pandas as pd
import pytest

from tlkit import runs, studies
from tlkit.figures import leaks
from tlkit.names import Names
from tlkit.training.data import open_data
from tlkit.training.run import run

BOOK = "05_copies_in_the_test"

pytestmark = pytest.mark.usefixtures("own_runs")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The folder `data` that the tests of this file share: phantoms and stores are written once, and only read."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def own_runs(tmp_path, monkeypatch, data):
    (tmp_path / "data").symlink_to(data)
    monkeypatch.setenv("TLKIT_RUNS", str(tmp_path))


@pytest.fixture
def study():
    return studies.load("copies", "smoke")


def test_the_three_tests_of_the_lesson(study):
    """40 test images, 24 of them copies: kept, left out, or drawn anew with their patients unknown."""
    configs = {c["task"]: c for _, c in study.shown_configs(BOOK)}
    found = leaks.describe_splits({task: open_data(c["data"]) for task, c in configs.items()}).set_index("task")
    assert found["left_out"].to_dict() == {"leaked": 0, "cleaned": 24, "redrawn": 0}
    assert set(found["patients"]) == set(found["patients_in_two_splits"]) == {"patients unknown"}
    assert set(found["equal_copies"]) == {48}


def test_copies_are_set_apart_with_the_metric_of_the_run(study):
    configs = [c for _, c in study.shown_configs(BOOK) if c["seed"] == 1 and c["task"] != "redrawn"]
    ids = {c["task"]: runs.run_id(c) for c in configs if run(c)}
    results = study.headline()
    apart = leaks.split_by_copies(results).set_index(["task", "images"])
    assert apart.loc["leaked", "n"].to_dict() == {"all": 40, "copies": 24, "others": 16}
    assert apart.loc["cleaned", "n"].to_dict() == {"all": 16}
    for task, rid in ids.items():
        kept = runs.read_json(runs.folder(rid) / "metrics.json")
        assert apart.at[(task, "all"), "value"] == pytest.approx(kept["accuracy"])
    of = apart.loc["leaked"]
    assert (of["value"] * of["n"])["all"] == pytest.approx((of["value"] * of["n"])[["copies", "others"]].sum())
    shown = leaks.summarise(apart.reset_index())
    assert shown["runs"].eq(1).all() and isinstance(shown, pd.DataFrame)
    said = leaks.say(shown, study.names())
    assert len(said) == 2 and "on 24 copies" in said[0] and "on 16 others" in said[0] and "copies" not in said[1][40:]
    note = study.shown(BOOK).note()
    assert "24 of 40 test images have a copy in training or validation." in note
    assert "24 of 40 test images are left out as copies of images in training or validation." in note


def test_the_figure_has_the_arms_colours_and_the_baselines():
    kinds = {"first": ("all", "copies", "others"), "second": ("all",)}
    rows = [
        {"task": task, "pretraining": "scratch", "seed": seed, "metric": "accuracy", "images": kind, "value": 0.5}
        for task, found in kinds.items()
        for kind in found
        for seed in (1, 2)
    ]
    told = pd.DataFrame({"task": ["first"], "metric": "accuracy", "baseline": "no image", "value": [0.2]})
    fig = leaks.draw(pd.DataFrame(rows), Names({"scratch": "random weights"}, {"scratch": "#8c8c8c"}), told, True)
    assert [[t.get_text() for t in ax.get_xticklabels()] for ax in fig.axes] == [["all", "copies", "others"], ["all"]]
    assert {line.get_color() for line in fig.axes[0].lines if line.get_gid() == "mean"} == {"#8c8c8c"}
    assert "no\nimage" in [t.get_text() for t in fig.axes[0].texts] and "n = 2 each" in fig.get_supxlabel()
