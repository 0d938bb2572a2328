"""Example predictions (Fig. S1): test images on which every pretraining is right, and images on which one is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from tlkit.analysis import finished
from tlkit.analysis.gradcam import said_of
from tlkit.config import ConfigError
from tlkit.datasets import DATASETS

SETS = {"consensus": "all are right", "hard": "at least one is wrong"}


class Examples(NamedTuple):
    """Test images and what each pretraining said of them: see `examples`."""

    frame: pd.DataFrame
    images: np.ndarray
    right: str


def examples(ids: Mapping[str, str], count: int = 3, seed: int = 0) -> Examples:
    """Return `count` test images of each of SETS, drawn by `seed`, and what finished runs (pretraining -> run) said.

    frame: one row an image and pretraining: set, of (how many test images the set has), item (place in `images`), id,
    patient, true, pretraining, run, predicted, right; a set without images has no rows. images: float32 [n,H,W] or
    [n,H,W,3] in 0..1. right: what counts as right, in words. A class is right where it is the true one; a number where
    its absolute error is at most the median one of all runs and images.
    Raises ConfigError for segmentation and for runs that were tested on other images.
    """
    everything = finished.same_test(ids.values())
    said, rule = answers(ids)
    right = said.pivot(index="id", columns="pretraining", values="right").all(axis=1)
    parts = []
    for name, members in (("consensus", right.index[right]), ("hard", right.index[~right])):
        for image in finished.drawn(members, count, seed):
            parts.append(said[said["id"] == image].assign(set=name, of=len(members)))
    if not parts:
        raise ConfigError(f"no test image to show: the runs kept {len(everything)} predictions and {count} are wanted.")
    frame = pd.concat(parts, ignore_index=True)
    shown = list(dict.fromkeys(frame["id"]))
    frame["item"] = frame["id"].map({image: i for i, image in enumerate(shown)})
    images, _ = finished.load(next(iter(ids.values()))).pictures(shown)
    first = ["set", "of", "item", "id", "patient", "true", "pretraining", "run", "predicted", "right"]
    return Examples(frame[first], images, rule)


def answers(ids: Mapping[str, str]) -> tuple[pd.DataFrame, str]:
    """Return what each run said of each test image (one row each: see `examples`), and what counts as right."""
    kinds = {finished.config_of(rid)["task_kind"] for rid in ids.values()}
    if kinds == {"regression"}:
        return _numbers(ids)
    parts = []
    for pretraining, rid in ids.items():
        found = said_of(rid, finished.predictions(rid)["id"].tolist(), finished.class_names(rid))
        parts.append(found.assign(pretraining=pretraining, run=rid))
    return pd.concat(parts, ignore_index=True), "the most probable class is the true one"


def _numbers(ids: Mapping[str, str]) -> tuple[pd.DataFrame, str]:
    kept = {p: finished.predictions(rid) for p, rid in ids.items()}
    errors = {p: (k["output"] - k["target"]).abs() for p, k in kept.items()}
    limit = float(np.median(np.concatenate(list(errors.values()))))
    options = DATASETS[finished.config_of(next(iter(ids.values())))["data"]["name"]].options
    unit = f" {options['unit']}" if "unit" in options else ""
    parts = []
    for pretraining, rid in ids.items():
        found = kept[pretraining]
        true, predicted = ([f"{v:.0f}{unit}" for v in found[c]] for c in ("target", "output"))
        right = errors[pretraining] <= limit
        part = found[["id", "patient"]].assign(true=true, predicted=predicted, right=right)
        parts.append(part.assign(pretraining=pretraining, run=rid))
    return pd.concat(parts, ignore_index=True), f"the error is at most {limit:.1f}{unit}, the median of all"
