"""Evidence for an answer, cheapest first: scores of frozen features, then fine-tuning while the budget lasts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch

from tlkit import runs
from tlkit.advice import deciding, plan, resampling, scores
from tlkit.models import backbone
from tlkit.models.parts import eval_mode
from tlkit.names import sign
from tlkit.stats.baselines import pixel_statistics
from tlkit.studies import Study
from tlkit.training.data import open_data, task_of
from tlkit.training.feed import fed
from tlkit.training.processes import pick_device
from tlkit.training.recipe import Recipe
from tlkit.training.run import load_pretrained, run
from tlkit.training.supervised import plain_view

PIXELS = "pixel statistics"
IMAGES = 64  # that go through a frozen encoder at once
Config = dict[str, Any]


def cheap(study: Study, tell: Callable[[str], None] = print) -> dict[str, dict[str, Any]]:
    """Return `scores.evidence` of each arm's frozen features, and of pixel statistics; nothing for segmentation.

    Cross-validated over patients on all images but those of an official test part, so the test is not touched.
    """
    arms = {config["pretraining"]: config for config in study.finetune(seeds=study.seeds[:1])}
    first = next(iter(arms.values()))
    if first["task_kind"] == "segmentation":
        return {}
    store, table = open_data(first["data"])  # of all arms
    job = task_of(first, table)
    kept = table[(table["split"] != "") & (table["official"] != "test")]
    rows, patients = kept["row"].to_numpy(), kept["patient"].to_numpy()
    target, kind = job.targets(store.table).numpy()[rows], first["task_kind"]
    how = {"patients": patients, "metric": metric_of(study), "classes": job.classes}
    found = {PIXELS: scores.evidence(pixel_statistics(np.asarray(store.images[rows])), target, kind, **how)}
    for arm, config in arms.items():
        start = time.perf_counter()
        found[arm] = scores.evidence(features(config, store, rows), target, kind, **how)
        tell(f"  {study.names()[arm]}, frozen: probe {found[arm]['probe']:.3f} ({time.perf_counter() - start:.0f} s)")
    return found


def features(config: Config, store: Any, rows: np.ndarray) -> np.ndarray:
    """Return float32 [N,D]: what the frozen encoder of a run gives for rows of its store, before any training."""
    device, recipe = pick_device(), Recipe.from_dict(config["recipe"])
    encoder = backbone(config["backbone"], seed=config["seed"])
    load_pretrained(encoder, config["weights"])
    encoder = encoder.to(device, memory_format=torch.channels_last)
    parts = [rows[i : i + IMAGES] for i in range(0, len(rows), IMAGES)]
    with torch.inference_mode(), eval_mode(encoder):
        read = fed(lambda part: (store.take(part)[0],), parts, device)
        return np.concatenate([encoder(plain_view(batch[0], recipe)).float().cpu().numpy() for _, batch in read])


def fine_tuned(study: Study, until: float, tell: Callable[[str], None] = print) -> tuple[pd.DataFrame, dict[str, str]]:
    """Fine-tune the arms of a study until `until` (of time.monotonic), and return the runs and the arms dropped.

    In the first round each arm tries every rate, by the first seed; after it, the rate that was best in validation.
    Each further round is another seed, and split, for the arms that `deciding.dropped` leaves. No run is begun that is
    likely not to end in time. The runs have the columns of `resampling` and: run, config, value (in validation).
    """
    made: list[dict[str, Any]] = []
    out: dict[str, str] = {}
    longest = 0.0
    for config in _rounds(study, made, out):
        if time.monotonic() + longest > until:
            break
        start = time.monotonic()
        made.append(_row(study, config, run(config)))
        longest = max(longest, time.monotonic() - start)
        row = made[-1]
        tell(
            f"  {study.names()[row['arm']]}, rate {row['rate']:g}, seed {row['seed']}: {row['value']:.3f} in validation"
        )
    return pd.DataFrame(made, columns=[*resampling.COLUMNS, "run", "value", "config", "seconds"]), out


def _rounds(study: Study, made: list[dict[str, Any]], out: dict[str, str]) -> Iterator[Config]:
    """Yield the configs in the order in which they are worth most, looking at what was `made` until then."""
    first, *others = study.seeds
    by_rate: dict[float, list[Config]] = {}
    for config in study.finetune(seeds=[first]):
        by_rate.setdefault(config["recipe"]["lr"], []).append(config)
    rates = sorted(by_rate, key=lambda rate: abs(np.log(rate / np.median(list(by_rate)))))  # the middle one first
    yield from (config for rate in rates for config in by_rate[rate])
    for seed in others:
        best = chosen(pd.DataFrame(made), study)
        if len({row["seed"] for row in made}) > 1:
            out |= deciding.dropped(_validated(study, best), metric_of(study), keep=plan.random_arms(study))
        for config in study.finetune(seeds=[seed]):
            arm = config["pretraining"]
            if arm not in out and config["recipe"]["lr"] == rate_of(best, arm):
                yield config


def rate_of(best: pd.DataFrame, arm: str) -> float | None:
    rates = best.loc[best["arm"] == arm, "rate"]
    return None if rates.empty else float(rates.iloc[0])


def chosen(made: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return the runs of each arm at its best rate in validation, by the seed that tried all of them."""
    if made.empty:
        return made
    tried = made[made["seed"] == made["seed"].iloc[0]]
    order = tried.assign(good=sign(metric_of(study)) * tried["value"]).sort_values(
        "good", ascending=False, kind="stable"
    )
    best = order.drop_duplicates("arm")[["arm", "rate"]]
    return made.merge(best, on=["arm", "rate"])


def _validated(study: Study, made: pd.DataFrame) -> pd.DataFrame:
    """Return runs with their validation predictions: a look before the end must not be at the test."""
    kept = [_predictions(study, config, "val") for config in made["config"]]
    return made.assign(predictions=kept)[resampling.COLUMNS]


def _row(study: Study, config: Config, folder: Any) -> dict[str, Any]:
    metrics = runs.read_json(folder / "metrics.json")
    row = {
        "arm": config["pretraining"],
        "rate": config["recipe"]["lr"],
        "seed": config["seed"],
        "split": config["seed"],
    }
    row |= {"predictions": _predictions(study, config, "test"), "run": runs.run_id(config), "config": config}
    return row | {
        "value": metrics[f"val_{metric_of(study)}"],
        "seconds": runs.read_json(folder / "status.json")["seconds"],
    }


def _predictions(study: Study, config: Config, split: str) -> pd.DataFrame:
    kept = pd.read_parquet(runs.folder(runs.run_id(config)) / f"predictions_{split}.parquet")
    return resampling.row_scores(kept, config["task_kind"], metric_of(study))


def metric_of(study: Study) -> str:
    """Return the metric that decides."""
    return study.monitors()["answer"][0]
