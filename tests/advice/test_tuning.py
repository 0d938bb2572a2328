"""The rounds of fine-tuning, with runs that take no time: each gives the value that the test says."""

import numpy as np
import pandas as pd
import pytest
from folders_of_users import class_folders
from hypothesis import given
from hypothesis import strategies as st

from tlkit import runs
from tlkit.advice import plan, reading, tuning
from tlkit.advice.budget import Budget, OutOfTimeError
from tlkit.advice.understand import understand
from tlkit.models import backbone
from tlkit.models.weights import save_weights
from tlkit.studies import load
from tlkit.training.loop import DivergedError


@pytest.fixture
def study(tmp_path, monkeypatch):
    """24 images in two classes, and two arms: random weights and a file."""
    monkeypatch.setattr(plan, "present", lambda card: False)
    file = tmp_path / "theirs.safetensors"
    save_weights(backbone("resnet10", seed=9), file)
    found = understand(class_folders(tmp_path / "meine bilder", 12, side=16), "tried", patient="none")
    return plan.write(found, 24, 16, [file])


class Free(Budget):
    """A budget in runs: each costs one, as no run takes time here."""

    def __init__(self, count: int = 10**6):
        super().__init__(600.0, 0.0, {"train": 1.0, "see": 1.0})
        self.count = count

    def fits(self, *configs):
        return self.count >= len(configs)

    def took(self, config, seconds):
        self.count -= 1

    @property
    def left(self):
        return 600.0


def tried(study, monkeypatch, value, budget=None, images=100):
    """Return the Tuning of a study whose runs have `value(arm, rate, seed, fraction)`, in validation and in test."""

    def row(study, config, folder):
        arm, rate, seed = config["pretraining"], config["recipe"]["lr"], config["seed"]
        got = value(arm, rate, seed, config["fraction"])
        if got is None:
            raise DivergedError("the loss became nan at step 3 (epoch 1). Lower recipe.lr.")
        kept = pd.DataFrame({"patient": [f"p{i}" for i in range(30)], "score": got + 0.01 * np.sin(np.arange(30))})
        told = {"arm": arm, "rate": rate, "seed": seed, "split": seed, "predictions": kept, "config": config}
        n = round(images * config["fraction"])
        return told | {"fraction": config["fraction"], "images": n, "run": runs.run_id(config), "value": got} | {
            "seconds": 1.0
        }  # fmt: skip

    def run(config, wait):
        row(study, config, None)  # raises where it diverges

    monkeypatch.setattr(tuning, "_row", row)
    monkeypatch.setattr(tuning, "run", run)
    monkeypatch.setattr(tuning, "_validated", lambda study, made: made[tuning.resampling.COLUMNS])
    said: list[str] = []
    found = tuning.Tuning(study, budget or Free(), said.append)
    found.do()
    found.said = said
    return found


def rates(found, arm):
    return [row["rate"] for row in found.made if row["arm"] == arm and row["seed"] == 1 and row["fraction"] == 1]


def peak(at):
    return lambda arm, rate, seed, fraction: 0.8 - abs(np.log10(rate / at)) / 4 + 0.01 * (arm == "theirs")


@pytest.mark.parametrize(
    ("best", "beyond", "edge"),
    [
        (0.001, [], False),
        (0.003, [0.01], False),
        (0.01, [0.01, 0.03], False),
        (0.1, [0.01, 0.03], True),
        (0.0003, [0.0001], False),
        (0.00001, [0.0001, 0.00003], True),
    ],
)
def test_an_arm_that_is_best_at_the_edge_tries_the_next_rate(study, monkeypatch, best, beyond, edge):
    found = tried(study, monkeypatch, peak(best), images=30)
    assert rates(found, "scratch") == [0.001, *sorted(plan.RATES[::2], key=rates(found, "scratch").index), *beyond]
    assert bool(found.at_edge()) is edge
    others = {row["rate"] for row in found.made if row["seed"] > 1}
    best = tuning.rate_of(tuning.choose_runs(found.runs, study), "scratch")
    assert others == {best}, "later seeds at the best rate alone"


def test_a_rate_at_which_the_loss_diverges_is_told_and_passed_over(study, monkeypatch):
    up = peak(1.0)
    found = tried(study, monkeypatch, lambda a, r, s, f: None if r > 0.005 else up(a, r, s, f), images=30)
    assert found.diverged == {("scratch", 0.01), ("theirs", 0.01)}
    assert {row["rate"] for row in found.made if row["seed"] == 2} == {0.003}
    assert not found.at_edge() and any("the loss became nan" in line for line in found.said)


def test_validation_without_a_value_keeps_the_middle_rate(study, monkeypatch):
    found = tried(study, monkeypatch, lambda *_: float("nan"), images=30)
    assert set(tuning.choose_runs(found.runs, study)["rate"]) == {0.001} and not found.at_edge()


def test_a_small_budget_spends_its_runs_where_they_are_worth_most(study, monkeypatch):
    up = peak(1.0)
    whole = tried(study, monkeypatch, up, Free(8), images=30)
    assert [len(rates(whole, arm)) for arm in ("scratch", "theirs")] == [3, 3]
    assert len(whole.made) == 8, "no rate beyond the edge where a second seed would not fit any more"
    assert whole.at_edge() == {(0.003, "highest"): ["scratch", "theirs"]}
    small = tried(study, monkeypatch, up, Free(5), images=30)
    assert {row["rate"] for row in small.made} == {0.001} and small.runs["seed"].nunique() == 3
    assert small.at_edge() == {(0.001, "only"): ["scratch", "theirs"]}
    assert tried(study, monkeypatch, up, Free(0)).made == []


def test_an_arm_far_behind_gets_no_more_seeds_but_random_weights_do(study, monkeypatch):
    behind = tried(study, monkeypatch, lambda a, r, s, f: 0.9 - 0.5 * (a == "theirs"), images=30)
    assert set(behind.out) == {"theirs"} and "interval" in behind.out["theirs"]
    assert behind.runs.groupby("arm")["seed"].nunique().to_dict() == {"scratch": 5, "theirs": 2}


def test_the_curve_has_the_leader_and_random_weights_at_three_sizes(study, monkeypatch):
    found = tried(study, monkeypatch, lambda a, r, s, f: 0.5 + 0.3 * f + 0.1 * (a == "theirs") + 0.01 * s)
    rows = found.curve()
    assert [(r["arm"], r["images"]) for r in rows] == [(a, n) for a in ("scratch", "theirs") for n in (10, 30, 100)]
    assert all(r["low"] < r["value"] < r["high"] for r in rows)
    assert rows[0]["value"] < rows[1]["value"] < rows[2]["value"]
    steps = {row["config"]["images_per_epoch"] for row in found.made if row["fraction"] < 1}
    assert steps == {100}, "as many steps as on all images"
    assert tried(study, monkeypatch, peak(0.001), images=30).curve() == [], "no curve of 30 images"


def test_the_study_file_has_the_runs_that_were_made_and_no_others(study, monkeypatch):
    found = tried(study, monkeypatch, peak(0.01))
    file = reading.folder_of("tried") / "study.yaml"
    plan.rewrite(file, found.experiments(), tuning.CURVE, [row["config"] for row in found.made])
    configs = load("tried", plan.SCALE).finetune()
    assert {runs.run_id(c) for c in configs} == {row["run"] for row in found.made}
    assert {row["fraction"] for row in found.made} == {0.1, 0.3, 1.0}


def test_a_run_that_takes_too_long_is_stopped_and_what_was_made_stands(study, monkeypatch):
    values = iter(range(3))

    def value(*_):
        if next(values, None) is None:
            raise OutOfTimeError
        return 0.5

    found = tried(study, monkeypatch, value, images=30)
    assert len(found.made) == 1 and "stopped midway" in found.said[-1]


@given(st.integers(-10, -1), st.sampled_from([1, -1]))
def test_next_rates_alternate_between_one_and_three(half, step):
    rate = float(f"{10 ** (half / 2):.0e}")
    after = tuning.next_rate(rate, step)
    assert tuning.next_rate(after, -step) == rate and 2.9 < (after / rate) ** step < 3.4
