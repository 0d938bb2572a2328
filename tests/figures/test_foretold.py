"""Cheap scores against fine-tuning, over runs with known effects: by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tlkit.advice import calibration, resampling
from tlkit.advice.targets import ScoreError
from tlkit.figures import foretold
from tlkit.names import NAMES

EFFECTS = {"scratch": 0.1, "imagenet": 0.9, "own": 0.5}


def panel(task="T", effects=EFFECTS, metric="auc", **how):
    runs = calibration.simulate_runs(effects, luck=0.0, noise=0.01, each=0.0, **how)
    runs["run"] = [f"{task}{i}" for i in range(len(runs))]
    found = {"experiment": "E", "task": task, "metric": metric, "kind": "binary", "configs": dict.fromkeys(effects)}
    return found | {"runs": runs, "measure": resampling.mean_score, "job": None}


@pytest.fixture
def cheap(monkeypatch):
    """Scores of the three arms by task; "none": too few images."""
    given = {
        "T": {"probe": (0.6, 0.7, 0.5), "logme": (3.0, 2.0, 1.0)},
        "U": {"probe": (0.9, 0.7, 0.5), "logme": (1.0, 3.0, 2.0), "nleep": (np.nan, 1.0, 2.0)},
    }

    def evidence_of(panel):
        if panel["task"] == "none":
            raise ScoreError("too few")
        scores = given[panel["task"]]
        return {arm: {s: v[i] for s, v in scores.items()} for i, arm in enumerate(panel["configs"])}

    monkeypatch.setattr(foretold, "evidence_of", evidence_of)


def test_the_pick_of_each_score_its_regret_and_chance(cheap):
    told, failed = foretold.compare([panel("T"), panel("U"), panel("none")], draws=20)
    assert failed == ["none: too few"]
    rows = told.set_index(["task", "score"])
    assert set(rows.index) == {("T", "probe"), ("T", "logme"), ("U", "probe"), ("U", "logme")}, "NaN is no score"
    assert rows["best"].eq("imagenet").all() and rows["chance"].eq(1 / 3).all() and rows["word"].eq("clear").all()
    assert rows["picked"].to_dict() == {
        ("T", "probe"): "imagenet", ("T", "logme"): "scratch", ("U", "probe"): "scratch", ("U", "logme"): "imagenet",
    }  # fmt: skip
    assert rows.loc[("T", "probe"), "regret"] == 0
    assert rows.loc[("T", "logme"), "regret"] == pytest.approx(0.8, abs=0.02)
    assert rows["regret_chance"].to_numpy() == pytest.approx(0.4, abs=0.02)
    assert rows.loc[("U", "logme"), "tau"] == pytest.approx(1) and rows.loc[("T", "logme"), "tau"] < 0


def test_of_a_loss_the_lowest_probe_and_the_highest_hint_are_picked(cheap):
    told, _ = foretold.compare([panel("T", metric="mae")], draws=20)
    picked = told.set_index("score")["picked"]
    assert told["best"].eq("scratch").all() and picked.to_dict() == {"probe": "own", "logme": "scratch"}
    assert told.set_index("score").loc["probe", "regret"] == pytest.approx(0.4, abs=0.02)


def test_a_summary_counts_hits_against_chance_with_an_interval(cheap):
    told, _ = foretold.compare([panel("T"), panel("U")], draws=20)
    found = foretold.summarise(told).set_index("score")
    assert found.index.tolist() == ["probe", "logme"]
    assert found["hits"].tolist() == [1, 1] and found["expected"].tolist() == pytest.approx([2 / 3, 2 / 3])
    assert found.loc["probe", ["low", "high"]].tolist() == pytest.approx([0.0945, 0.9055], abs=1e-3), "Wilson, 1 of 2"
    said = "\n".join(foretold.say(told, NAMES))
    assert "linear probe: the best arm in 1 of 2 tasks (0.09 to 0.91; by chance 0.7)" in said and "fails on" not in said
    both = told.assign(experiment="few", hit=False)
    both = "\n".join(foretold.say(pd.concat([told.assign(hit=False), both]), NAMES))
    assert f"fails on {NAMES['T']}, {NAMES['few']}:" in both, "two experiments are told apart"
    with_fails = "\n".join(foretold.say(told.assign(hit=False, picked="own"), NAMES))
    assert "fails on T: 0 of 2 scores pick imagenet, the best there (clear)" in with_fails


def test_the_figure_has_a_row_a_score_and_says_phantom(cheap):
    told, _ = foretold.compare([panel("T"), panel("U")], draws=20)
    figure = foretold.draw(told, NAMES, phantom=True)
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["linear probe", "LogME"]
    assert "phantom data" in {t.get_text() for t in figure.texts}


def test_halves_are_told_by_task():
    found = foretold.halves([panel("T", seeds=4), panel("U", seeds=2)], draws=20)
    assert found["task"].unique().tolist() == ["T"] and len(found) == 6, "two runs have no halves that decide"
    assert not found["wrong"].any() and list(found) == ["experiment", "task", "word", "leader", "other", "wrong"]
    assert isinstance(foretold.halves([]), pd.DataFrame)
