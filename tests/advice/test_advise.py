"""One command from a folder to an answer, at the smallest size: the parts have tests of their own."""

import json
import time

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tlkit import paths, runs
from tlkit.advice import advise, features, plan, probing, reading, tuning
from tlkit.advice.understand import understand
from tlkit.config import ConfigError
from tlkit.models import backbone
from tlkit.models.weights import save_weights
from tlkit.studies import load
from tlkit.training.data import open_data


@pytest.fixture
def folder(tmp_path):
    """32 grey images of 16 patients in two class folders: dark and bright ones."""
    place, random = tmp_path / "meine bilder ü", np.random.default_rng(0)
    for name, level in (("dark", 60), ("bright", 180)):
        (place / name).mkdir(parents=True)
        for i in range(16):
            pixels = random.normal(level, 30, (32, 32)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(place / name / f"{name}{i // 2}_{i % 2}.png")
    return place


@pytest.fixture
def tiny(monkeypatch):
    """No published weights; one epoch, two rates, two seeds."""
    monkeypatch.setattr(plan, "present", lambda card: False)
    for name, value in {"RATES": (0.001, 0.003), "SEEDS": (1, 2), "EPOCHS": (1, 1)}.items():
        monkeypatch.setattr(plan, name, value)
    monkeypatch.setattr(tuning, "BEYOND", 0)


def answer(name: str) -> dict:
    return json.loads((reading.folder_of(name) / "answer.json").read_text(encoding="utf-8"))


def test_a_folder_gets_an_answer_with_the_study_behind_it(folder, tiny, tmp_path, monkeypatch):
    theirs = tmp_path / "theirs.safetensors"
    save_weights(backbone("resnet10", seed=9), theirs)
    found, told = understand(folder, "mine", patient=r"([a-z]+\d+)_"), []
    advise.advise(found, 600, [theirs], size=32, tell=told.append)
    said = answer("mine")
    assert {arm["arm"] for arm in said["arms"]} == {"scratch", "theirs", probing.PIXELS}
    tuned = {arm["arm"]: arm for arm in said["arms"] if arm["runs"]}
    assert set(tuned) == {"scratch", "theirs"} and {arm["runs"] for arm in tuned.values()} == {2}
    assert all(arm["probe"] > 0.9 for arm in said["arms"]), "dark and bright are told apart by anything"
    assert said["start_from"] in tuned and said["confidence"] == "open", "eight patients decide nothing"
    assert (said["n_images"], said["n_patients"]) == (32, 16)
    assert {"small_test", "shortcut"} <= {w["kind"] for w in said["warnings"]}
    page = (reading.folder_of("mine") / "answer.html").read_text(encoding="utf-8")
    assert "theirs.safetensors" in page and "Which pretraining" in page
    assert len(list(paths.store_root().glob("mine-*"))) == 1, "decoded once"
    study = load("mine", plan.SCALE)
    done = study.plan()
    assert (done["state"] == "done").all() and len(done) == 6, "two rates and a second seed of each arm, and no other"
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}

    def made(config, wait):
        assert runs.state_is_done(runs.run_id(config))
        return runs.folder(runs.run_id(config))

    monkeypatch.setattr(tuning, "run", made)
    advise.advise(found, 600, [theirs], size=32, tell=told.append)
    again = answer("mine")
    assert {**again, "seconds": 0} == {**said, "seconds": 0}
    assert before == {p: p.stat().st_mtime_ns for p in folder.rglob("*")}, "nothing is written beside the images"


def test_a_budget_too_small_gives_the_cheap_evidence_and_says_open(folder, tiny):
    found = understand(folder, "short", patient="none")
    advise.advise(found, 0, size=32, tell=lambda text: None)
    said = answer("short")
    assert said["confidence"] == "open" and said["start_from"] is None
    assert {arm["arm"]: arm["runs"] for arm in said["arms"]} == {"scratch": None, probing.PIXELS: None}
    assert "patients_unknown" in {w["kind"] for w in said["warnings"]}


def test_cheap_evidence_ends_with_the_budget_and_keeps_what_is_done(folder, tiny, monkeypatch):
    monkeypatch.setattr(advise, "LEAST", 1.0)
    monkeypatch.setattr(features, "features", lambda *args: time.sleep(60))
    told, start = [], time.monotonic()
    advise.advise(understand(folder, "late", patient="none"), 0, size=32, tell=told.append)
    assert time.monotonic() - start < 50 and any("were not scored" in line for line in told)
    said = answer("late")
    probes = {arm["arm"]: arm["probe"] for arm in said["arms"]}
    assert probes["scratch"] is None and said["confidence"] == "open"


def test_the_rate_is_chosen_in_validation_by_the_first_seed(folder, tiny):
    found = understand(folder, "rates", patient="none")
    study = plan.write(found, 32, 32)
    made = pd.DataFrame(
        [("scratch", 0.001, 1, 0.7), ("scratch", 0.003, 1, 0.9), ("scratch", 0.003, 2, 0.6)],
        columns=["arm", "rate", "seed", "value"],
    )
    assert tuning.choose_runs(made, study)["seed"].tolist() == [1, 2]
    assert tuning.rate_of(tuning.choose_runs(made, study), "scratch") == 0.003


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("5", 300), ("1.5m", 90)])
def test_budgets(text, seconds):
    assert advise.seconds_of(text) == seconds
    with pytest.raises(ConfigError, match="expected a time such as"):
        advise.seconds_of("soon")


def test_weights_that_are_not_there_are_told(folder, tiny, tmp_path):
    found = understand(folder, "none", patient="none")
    with pytest.raises(ConfigError, match=r"--weights .*nope\.pth: there is no such file"):
        plan.write(found, 32, 32, [tmp_path / "nope.pth"])


def test_features_are_those_of_the_frozen_encoder(folder, tiny):
    found = understand(folder, "frozen", patient="none")
    (config, *_) = plan.write(found, 32, 32).finetune()
    store, _ = open_data(config["data"])
    values = features.features(config, store, np.array([3, 0]))
    encoder = backbone("resnet10", seed=config["seed"]).eval()
    images = store.take(np.array([3, 0]))[0][:, None].expand(-1, 3, -1, -1).float() / 255
    with torch.inference_mode():
        assert np.allclose(values, encoder(images).numpy(), atol=1e-5)


def test_interrupted_it_goes_on_without_doing_anything_again(folder, tiny, monkeypatch):
    monkeypatch.setattr(plan, "SEEDS", (1, 2))
    found, whole, seen = understand(folder, "broken", patient="none"), tuning.run, []

    def run(config, wait):
        seen.append(runs.run_id(config))
        if len(seen) == 2:
            raise KeyboardInterrupt
        return whole(config, wait)

    monkeypatch.setattr(tuning, "run", run)
    with pytest.raises(KeyboardInterrupt):
        advise.advise(found, 600, size=32, tell=lambda text: None)
    study = (reading.folder_of("broken") / "study.yaml").read_text(encoding="utf-8")
    before = runs.folder(seen[0]).stat().st_mtime_ns
    monkeypatch.setattr(features, "features", None)  # what was computed is read
    monkeypatch.setattr(probing.scores, "evidence", None)
    monkeypatch.setattr(advise.looking, "look", None)
    facts = json.loads((reading.folder_of("broken") / "look.json").read_text(encoding="utf-8"))
    monkeypatch.setattr(plan, "rewrite", lambda file, *_: file.read_text(encoding="utf-8"))
    advise.advise(found, 600, size=32, tell=lambda text: None, facts=facts)
    assert answer("broken")["study"] == study, "the same study"
    assert seen[2:4] == seen[:2] and runs.folder(seen[0]).stat().st_mtime_ns == before
    assert all(map(runs.state_is_done, seen))


def listed(root, kind):
    """Write 24 pictures of patients, and what is asked of each: a number, two labels, or a mask of a bright square."""
    random = np.random.default_rng(1)
    (root / "images").mkdir(parents=True)
    if kind == "segmentation":
        (root / "masks").mkdir()
    rows = []
    for i in range(24):
        pixels, mask = random.normal(90, 20, (32, 32)), np.zeros((32, 32), np.uint8)
        top, left = random.integers(0, 16, 2)
        pixels[top : top + 16, left : left + 16] += 90
        mask[top : top + 16, left : left + 16] = 1
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / "images" / f"p{i // 2}_{i % 2}.png")
        if kind == "segmentation":
            Image.fromarray(mask).save(root / "masks" / f"p{i // 2}_{i % 2}.png")
        name = f"p{i // 2}_{i % 2}.png"
        rows.append({"file": name, "age": float(top + left), "low": int(top > 7), "far": int(left > 7)})
    if kind != "segmentation":
        columns = ["file", "age"] if kind == "regression" else ["file", "low", "far"]
        pd.DataFrame(rows)[columns].to_csv(root / "table.csv", index=False)
    return root


@pytest.mark.parametrize("kind", ["regression", "multilabel", "segmentation"])
def test_each_kind_of_task_gets_cheap_evidence_and_runs(kind, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "RATES", (0.001,))
    found = understand(listed(tmp_path / "bilder", kind), kind, patient=r"(p\d+)_")
    assert found["task"] == kind
    advise.advise(found, 600, size=32, tell=lambda text: None)
    said = answer(kind)
    baselines = {probing.PIXELS, probing.CONSTANT} if kind == "segmentation" else {probing.PIXELS}
    probes = {arm["arm"]: arm["probe"] for arm in said["arms"]}
    assert set(probes) == {"scratch", *baselines} and all(np.isfinite(list(probes.values())))
    assert said["start_from"] == "scratch" and said["confidence"] == "open"
    if kind == "segmentation":
        assert max(probes[probing.PIXELS], probes["scratch"]) > probes[probing.CONSTANT]
    scratch = next(arm for arm in said["arms"] if arm["arm"] == "scratch")
    assert scratch["runs"] == 2 and scratch["mb"] > 1
    assert any(w["kind"] == "undertrained" and "no rate but 0.001" in w["text"] for w in said["warnings"])
