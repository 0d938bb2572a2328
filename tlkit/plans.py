"""What a study still has to do: its runs with their state, and the minutes that the missing ones will take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from tlkit import runs
from tlkit.datasets import cards

if TYPE_CHECKING:
    from tlkit.studies import Study

NAMED = ("task", "pretraining", "backbone", "fraction", "seed")


def plan(study: Study) -> pd.DataFrame:
    """Return one row a run: run, state, kind, experiment, task, pretraining, backbone, fraction, seed, passes, minutes.

    Real data that are not there are named in `study.absent`; their runs count as missing, under ids of no use.
    `minutes` is measured for a done run. For the others it is the image passes of the run over the speed of done runs
    of the same kind and task, or over the study's `images_per_second` where nothing is done yet.
    """
    with study.without_data():
        pairs = [*(("", config) for config in study.pretrain_configs()), *study.downstream()]
    planned: dict[str, tuple[str, dict[str, Any]]] = {}
    for experiment, config in pairs:
        planned.setdefault(runs.run_id(config), (experiment, config))  # a shared run counts in its first experiment
    rows = []
    for rid, (experiment, config) in planned.items():
        row = {"run": rid, "state": runs.state(rid), "kind": config["kind"], "experiment": experiment}
        row |= {k: config.get(k) for k in NAMED} | {"passes": passes(config)}
        rows.append(row | {"seconds": _seconds(rid) if row["state"] == "done" else float("nan")})
    table = pd.DataFrame(rows)
    key = [table["kind"], table["task"].fillna("")]
    done = table["seconds"].notna()
    passed, spent = (v.groupby(key).transform("sum") for v in (table["passes"].where(done), table["seconds"]))
    measured = passed / spent
    assumed = table["kind"].map(study.spec.get("images_per_second", {}))
    speed = measured.where(measured > 0, assumed)
    table["minutes"] = table["seconds"].fillna(table["passes"] / speed) / 60
    return table.drop(columns=["seconds"])


def passes(config: dict[str, Any]) -> float:
    """Return how many images (contrastive: views) a run sends through the model in training; NaN if not known.

    All epochs of the recipe, though patience may end a run before them.
    """
    images = config.get("images_per_epoch") or sum(map(_images, runs.corpora(config)))
    contrastive = config["kind"] == "pretrain" and "method" not in config
    return (2 if contrastive else config.get("fraction", 1)) * images * config["recipe"]["epochs"]


def _images(data: dict[str, Any]) -> float:
    """Return the number of training images: what the config says, or what the card counts, of as many classes.

    All images of the card where it does not count those for training: more than there will be.
    """
    if data.get("images"):
        return data["images"]
    classes = data.get("classes")
    of = classes["every"] if isinstance(classes, dict) else 1
    counts = cards.DATASETS[data["name"]].counts
    return counts.get("train", counts.get("images", float("nan"))) / of


def _seconds(rid: str) -> float:
    return runs.read_json(runs.folder(rid) / "status.json").get("seconds", float("nan"))
