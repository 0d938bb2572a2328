from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from tlkit import runs, studies
from tlkit.config import ConfigError, UnknownNameError
from tlkit.datasets import DATASETS, identity
from tlkit.training.recipes import recipe
from tlkit.training.run import open_data, run
from tlkit.training.tasks import NO_FINDING, Multilabel, class_auc, task

CARD = DATASETS["chestxray"]
PHANTOM = {"seed": 1, "patients": 48, "pixels": 32}
PUBLISHED = [*CARD.classes[:3], NO_FINDING, *CARD.classes[3:]]


def kept(target, output) -> pd.DataFrame:
    return pd.DataFrame({"target": [np.array(t, np.uint8) for t in target], "output": [np.array(p) for p in output]})


def test_auc_with_ties_by_hand():
    positive = np.array([[1, 1, 0], [0, 1, 0], [1, 1, 0], [0, 1, 0], [0, 1, 0]], bool)
    scores = np.array([[0.9, 0, 1], [0.5, 0, 1], [0.5, 0, 1], [0.5, 0, 1], [0.1, 0, 1]])
    # first label: 2 x 3 pairs; 0.9 beats three, 0.5 ties with two and beats one
    assert class_auc(positive, scores) == pytest.approx([(3 + 2 * 0.5 + 1) / 6, np.nan, np.nan], nan_ok=True)


@given(st.integers(0, 10**6), st.integers(2, 6), st.booleans())
@settings(max_examples=30, deadline=None)
def test_auc_is_sklearns(seed, classes, ties):
    rng = np.random.default_rng(seed)
    positive = np.vstack([np.zeros(classes), np.ones(classes), rng.integers(0, 2, (20, classes))]).astype(bool)
    scores = rng.random(positive.shape).round(1 if ties else 9)
    assert np.mean(class_auc(positive, scores)) == pytest.approx(roc_auc_score(positive, scores, average="macro"))


def test_the_mean_is_over_the_findings_and_the_published_one_counts_no_finding_too():
    frame = kept(
        [[1, 0, 0], [0, 1, 0], [0, 1, 0], [1, 0, 0]], [[0.9, 0.2, 0], [0.8, 0.1, 0], [0.1, 0.6, 0], [0.7, 0.3, 0]]
    )
    found = Multilabel(("Mass", NO_FINDING, "Hernia")).metrics(frame)
    # Mass: 0.9 beats both, 0.7 one of two; No Finding: 0.6 beats both, 0.1 none; Hernia: nobody has it
    expected = {"auc": 0.75, "auc_Mass": 0.75, "auc_No Finding": 0.5, "auc_Hernia": np.nan, "auc_published": 0.625}
    assert found == pytest.approx(expected, nan_ok=True)
    assert Multilabel(("Mass", NO_FINDING, "Hernia")).metrics(frame, full=False) == {"auc": 0.75}
    assert "auc_published" not in Multilabel(("Mass", "Nodule", "Hernia")).metrics(frame)
    assert np.isnan(Multilabel(("Mass",)).metrics(kept([[0], [0]], [[0.1], [0.2]]))["auc"])


def test_loss_is_the_weighted_mean_over_images_and_labels_by_hand():
    logits, target = torch.tensor([[0.0, 2.0], [-1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    each = [[np.log(2), np.log1p(np.exp(2))], [np.log1p(np.exp(-1)), np.log(2)]]
    assert float(Multilabel(("a", "b")).loss(logits, target)) == pytest.approx(np.mean(each))
    weighted = float(Multilabel(("a", "b"), (1, 0.001)).loss(logits, target))
    assert weighted == pytest.approx((each[0][0] + each[1][0] + 0.001 * (each[0][1] + each[1][1])) / 4)


def test_targets_and_kept_values():
    table = pd.DataFrame({"Mass": [True, False], "Nodule": [True, True], NO_FINDING: [False, False], "label": [0, 1]})
    job = task("multilabel", ("Nodule", "Mass"))
    target = job.targets(table)
    assert target.tolist() == [[1, 1], [1, 0]] and target.dtype == torch.float32
    found = job.keep(torch.tensor([[0.0, 100.0], [-100.0, 1.0]], dtype=torch.bfloat16), target)
    assert [t.tolist() for t in found["target"]] == [[1, 1], [1, 0]]
    assert np.stack(found["output"]) == pytest.approx(np.array([[0.5, 1], [0, 0.7310586]]))


@pytest.fixture
def config(tmp_path_factory, monkeypatch):
    """Return a function that makes the config of a small run on the phantom, which is written once."""
    monkeypatch.setenv("TLKIT_RUNS", str(tmp_path_factory.getbasetemp() / "multilabel"))

    def make(classes=None, mode="finetune", split=None, **changes):
        data = {
            **identity("chestxray", PHANTOM),
            "size": 32,
            "split": {"val": 0.2, "test": 0.2, "seed": 1, **(split or {})},
        }
        made = {
            "kind": "finetune", "mode": mode, "task": "CX8", "task_kind": "multilabel", "pretraining": "scratch",
            "fraction": 1.0, "data": {**data, **({"classes": classes} if classes else {})}, "weights": None,
            "backbone": "resnet10", "recipe": recipe("finetune", epochs=2, batch=16, **changes).to_dict(), "seed": 1,
            "compute": {"threads": 1, "processes": 1},
        }  # fmt: skip
        return json.loads(json.dumps(made))

    return make


def test_two_epochs_from_files_to_metrics(config):
    folder = run(config())
    metrics = runs.read_json(folder / "metrics.json")
    test = pd.read_parquet(folder / "predictions_test.parquet")
    assert np.stack(test["target"].to_numpy()).shape == np.stack(test["output"].to_numpy()).shape == (len(test), 14)
    again = task("multilabel", CARD.classes).metrics(test)
    logged = {k: np.nan if metrics[k] is None else metrics[k] for k in again}  # JSON has no NaN
    assert logged == pytest.approx(again, nan_ok=True) and 0 <= logged["auc"] <= 1
    assert pd.read_csv(folder / "history.csv")["auc"].max() == pytest.approx(metrics["val_auc"])
    _, table = open_data(config()["data"])
    truth = table.set_index("id").loc[test["id"], list(CARD.classes)].to_numpy(int)
    assert (np.stack(test["target"].to_numpy()) == truth).all()
    assert set(table.loc[table["id"].isin(test["id"]), "split"]) == {"test"}


def test_the_published_outputs_in_linear_evaluation(config):
    weights = [1.0] * 15
    weights[3] = 0.001
    made = config(PUBLISHED, "lineval", {"by": "image"}, freeze="encoder", bn="adapt", class_weights=weights)
    metrics = runs.read_json(run(made) / "metrics.json")
    assert 0 <= metrics["auc_published"] <= 1 and "auc_No Finding" in metrics
    assert metrics["auc"] != metrics["auc_published"]


def test_a_fraction_takes_about_so_many_images(config):
    made = config() | {"fraction": 0.5}
    whole, half = (runs.read_json(run(c) / "metrics.json")["images"] for c in (config(), made))
    assert 0.3 * whole < half < 0.8 * whole


@pytest.mark.parametrize(
    ("classes", "error", "words"),
    [
        (14, ConfigError, "a list of names; found 14"),
        ({"every": 2}, ConfigError, "a list of names"),
        (["Mas"], UnknownNameError, "unknown label of chestxray 'Mas'. Did you mean 'Mass'"),
    ],
)
def test_outputs_that_cannot_be_are_errors(config, classes, error, words):
    with pytest.raises(error, match=words):
        run(config(classes))


def test_a_study_redraws_the_split_with_every_seed_of_a_run():
    study = studies.load("boundaries", "smoke")
    study.spec["phantoms"]["chestxray"] = PHANTOM
    study.spec["splits"] = {"chestxray": {"seed": "run", "by": "image"}}
    study.spec["tasks"] = {"CX8": {"dataset": "chestxray", "recipe": {"base": "finetune"}}}
    study.spec["pretrainings"] = {"scratch": {}, "xray": {"dataset": "chestxray", "recipe": {"base": "simclr"}}}
    study.spec["experiments"] = {"E1": {"mode": "finetune"}}
    study.spec["seeds"] = [42, 1]
    found = {(c["pretraining"], c["seed"]): c["data"]["split"] for c in study.finetune()}
    assert {k: s["seed"] for k, s in found.items()} == {(p, s): s for p in ("scratch", "xray") for s in (42, 1)}
    assert {s["by"] for s in found.values()} == {"image"}
    assert study.pretrain("xray")["data"]["split"]["seed"] == 42
