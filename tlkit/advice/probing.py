"""Cheap evidence for an answer: what frozen features of each arm tell, and how much is told without any network."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tlkit.advice import features, linear_decoder, scores
from tlkit.advice.targets import ScoreError
from tlkit.datasets import splits
from tlkit.models.backbones import NoPyramidError
from tlkit.stats.baselines import CONSTANT, PIXELS
from tlkit.studies import Study
from tlkit.training.data import open_data, task_of
from tlkit.training.tasks import base_kind

MOST, LEAST = 5000, 400  # images: more do not change what a probe says, fewer say little
MASKS = 500  # of which maps are made
Told = dict[str, dict[str, Any]]


def score_arms(
    study: Study,
    tell: Callable[[str], None] = print,
    most: int = MOST,
    skip: dict[str, str] | None = None,
    found: Told | None = None,
) -> Told:
    """Return `scores.evidence` (`linear_decoder.score_maps`) of each arm's frozen encoder, and of what needs none.

    Cross-validated over patients, on at most `most` images drawn over all of them but those of an official test part,
    so the test is not touched. Arms of `skip` are left out, and those pretrained on these images, whose encoders know
    them. What was computed before is read. What these images do not allow is told, and {} then.
    Each has `images` and `patients`, of how many. Memory grows by the features alone. `found` is filled, so that what
    is done is there where this is stopped.
    """
    first_of_all = study.finetune(seeds=study.seeds[:1])
    arms = {c["pretraining"]: c for c in first_of_all if "run" not in (c["weights"] or {})}
    arms = {arm: config for arm, config in arms.items() if arm not in (skip or {})}
    first = next(iter(arms.values()))
    store, table = open_data(first["data"])  # of all arms
    masks = base_kind(first["task_kind"]) == "segmentation"
    rows, patients = draw_rows(table, min(most, MASKS) if masks else most)
    kept = {"metric": metric_of(study), "patients": patients}
    told = (_of_masks if masks else _of_labels)(study, arms, store, rows, task_of(first, table), kept)
    found = {} if found is None else found
    for arm, make in told:
        start = time.perf_counter()
        try:
            found[arm] = make()
        except (ScoreError, NoPyramidError) as error:
            found[arm] = {}
            tell(f"  {study.names().get(arm, arm)}, frozen: no scores, as {error}")
            continue
        seconds = time.perf_counter() - start
        found[arm] |= {"images": len(rows), "patients": len(set(patients))}
        tell(f"  {study.names().get(arm, arm)}, frozen: probe {found[arm]['probe']:.3f} ({seconds:.0f} s)")
    return found


def draw_rows(table: Any, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows, and their patients, of at most `most` images of an opened table that are of no official test."""
    kept = table[(table["split"] != "") & (table["official"] != "test")]
    if len(kept) > most:
        kept = kept[kept["id"].isin(splits.take_count(kept, most))]
    return kept["row"].to_numpy(), kept["patient"].to_numpy()


def metric_of(study: Study) -> str:
    """Return the metric that decides."""
    return study.monitors()["answer"][0]


def _of_labels(study, arms, store, rows, job, kept) -> list[tuple[str, Callable[[], dict[str, Any]]]]:
    """Return (arm, what computes its scores) of features, the cheapest first."""
    target, kind = job.targets(store.table).numpy()[rows], base_kind(next(iter(arms.values()))["task_kind"])
    held = features.digest((target.tobytes(), *kept["patients"], kept["metric"]))

    def scored(arm: str, key: str, values: Callable[[], np.ndarray]) -> tuple[str, Callable[[], dict[str, Any]]]:
        def score() -> dict[str, Any]:
            return scores.evidence(values(), target, kind, classes=job.classes, **kept)

        return arm, lambda: features.kept_scores(study.name, arm, features.join_keys(key, held), score)

    def frozen(arm: str, config: Any) -> tuple[str, Callable[[], dict[str, Any]]]:
        key = features.key_of(config, rows)
        return scored(arm, key, lambda: features.kept_array(study.name, arm, key, lambda: computed(config)))

    def computed(config: Any) -> np.ndarray:
        return features.features(config, store, rows)

    first = next(iter(arms.values()))
    grey = scored(PIXELS, features.key_of(first, rows, PIXELS), lambda: features.pixels(store, rows))
    return [grey, *(frozen(arm, config) for arm, config in arms.items())]


def _of_masks(study, arms, store, rows, job, kept) -> list[tuple[str, Callable[[], dict[str, Any]]]]:
    """Return (arm, what computes its scores) of maps, the cheapest first."""
    masks, first = store.take(rows)[1].numpy(), next(iter(arms.values()))
    cells, how = features.cells_of(masks.shape[-1]), (masks, job, kept["metric"], kept["patients"])
    held = features.digest((masks.tobytes(), *kept["patients"], kept["metric"]))

    def scored(arm: str, key: str, make: Callable[[], dict[str, Any]]) -> tuple[str, Callable[[], dict[str, Any]]]:
        return arm, lambda: features.kept_scores(study.name, arm, features.join_keys(key, held), make)

    def frozen(arm: str, config: Any) -> tuple[str, Callable[[], dict[str, Any]]]:
        key = features.key_of(config, rows, "maps")
        return scored(arm, key, lambda: linear_decoder.score_maps(maps(arm, key, config), *how))

    def maps(arm: str, key: str, config: Any) -> np.ndarray:
        return features.kept_array(study.name, arm, key, lambda: features.maps(config, store, rows))

    def grey() -> dict[str, Any]:
        return linear_decoder.score_maps(linear_decoder.intensity_maps(store.take(rows)[0].numpy(), cells), *how)

    without = {CONSTANT: lambda: linear_decoder.score_constant(cells, *how), PIXELS: grey}
    told = [scored(name, features.key_of(first, rows, "maps", name), make) for name, make in without.items()]
    return told + [frozen(arm, config) for arm, config in arms.items()]
