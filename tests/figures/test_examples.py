"""Example predictions: who is right by hand, sets by rule, and what numbers count as right."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sealed import seal

from tlkit import paths, runs
from tlkit.config import ConfigError
from tlkit.figures import examples
from tlkit.training.run import run


def kept(rid: str, data: str, kind: str, target: list, output: list) -> str:
    """Write what a finished run keeps, less its model, and return its id."""
    folder = paths.runs_root() / rid
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"kind": "finetune", "task_kind": kind, "data": {"name": data}}))
    (folder / "metrics.json").write_text("{}")
    names = [f"i{i}" for i in range(len(target))]
    frame = pd.DataFrame({"id": names, "patient": names, "target": target, "output": output})
    frame.to_parquet(folder / "predictions_test.parquet")
    seal(folder.name)
    return rid


def test_a_bone_age_is_right_within_a_year():
    target = [10.0, 100.0, 50.0, 60.0]
    one = kept("one", "rsna-bone-age", "regression", target, [11.0, 103.0, 50.0, 70.0])  # errors 1, 3, 0, 10
    two = kept("two", "rsna-bone-age", "regression", target, [12.0, 140.0, 51.0, 56.0])  # errors 2, 40, 1, 4
    found, rule = examples.answers({"a": one, "b": two})
    right = found.pivot(index="id", columns="pretraining", values="right")
    assert rule == "the error is at most 12 months"
    assert right["a"].tolist() == [True, True, True, True] and right["b"].tolist() == [True, False, True, True]
    assert found.loc[found["pretraining"] == "b", "predicted"].tolist() == [
        "12 months, 2 off", "140 months, 40 off", "51 months, 1 off", "56 months, 4 off",
    ]  # fmt: skip


def test_other_kinds_of_runs_are_refused():
    masks = kept("masks", "lits", "segmentation", [[1, 2]], [[1, 2]])
    numbers = kept("numbers", "rsna-bone-age", "regression", [1.0], [1.0])
    with pytest.raises(ConfigError, match="other images or truths"):
        examples.examples({"a": masks, "b": numbers})


@pytest.fixture
def ids(data, config) -> dict[str, str]:
    configs = {p: config(recipe={"epochs": 3}, pretraining=p, seed=i) for i, p in enumerate(("imagenet", "scratch"))}
    return {p: runs.run_id(c) for p, c in configs.items() if run(c)}


def test_consensus_and_hard_images_are_told_apart_by_the_predictions(ids):
    found = examples.examples(ids, count=4, seed=2)
    guess = {p: pd.read_parquet(runs.folder(r) / "predictions_test.parquet").set_index("id") for p, r in ids.items()}
    right = pd.DataFrame({p: np.stack(k["output"]).argmax(1) == k["target"] for p, k in guess.items()})
    for name, facts in found.frame.groupby("set"):
        everyone = right.loc[facts["id"].unique()].all(axis=1)
        assert everyone.all() if name == "consensus" else not everyone.any()
        expected = int(right.all(axis=1).sum()) if name == "consensus" else int((~right.all(axis=1)).sum())
        assert (facts["of"] == expected).all() and facts["id"].nunique() == min(4, expected)
    shown = found.frame.drop_duplicates("item")
    assert len(found.images) == len(shown) and shown["item"].tolist() == list(range(len(shown)))
    for row in found.frame.itertuples():
        assert row.right == (row.true == row.predicted) == bool(right.loc[row.id, row.pretraining])
    again = examples.examples(ids, count=4, seed=2).frame
    pd.testing.assert_frame_equal(again, found.frame)
    with pytest.raises(ConfigError, match="no test image to show"):
        examples.examples(ids, count=0)
