"""What a study still has to do: its runs with their state, and the minutes that the missing ones will take."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from tlkit import runs
from tlkit.config import TlkitError
from tlkit.studies import prices
from tlkit.studies.configs import StudyRuns

NAMED = ("task", "pretraining", "backbone", "fraction", "seed")


def plan(study: StudyRuns) -> pd.DataFrame:
    """Return one row a run: run, state, kind, experiment, NAMED, passes, minutes, unpriced.

    Real data that are not there are named in `study.absent`; their runs count as missing, under ids of no use.
    `minutes` is measured for a done run. For the others it is their image passes over the speed of done runs of the
    same kind, task and backbone; where none is done yet, over the study's `images_per_second`, that of its `backbone`
    at its `size`, by the work of the run's own network (`prices`). Where a run has no price, `minutes` is NaN and
    `unpriced` says why; else that is "".
    """
    with study.without_data():
        pairs = [*(("", config) for config in study.pretrain_configs()), *study.downstream()]
    planned: dict[str, tuple[str, dict[str, Any]]] = {}
    for experiment, config in pairs:
        planned.setdefault(runs.run_id(config), (experiment, config))  # a shared run counts in its first experiment
    rows, counter = [], prices.Counter()
    for rid, (experiment, config) in planned.items():
        row = {"run": rid, "state": runs.state(rid), "kind": config["kind"], "experiment": experiment}
        row |= {k: config.get(k) for k in NAMED} | {"passes": math.nan, "minutes": math.nan, "unpriced": ""}
        try:
            row["passes"] = passes(config, counter)
        except TlkitError as error:
            row["unpriced"] = str(error).partition("\n")[0]
        rows.append(row | {"seconds": _seconds(rid) if row["state"] == "done" else math.nan})
    table = pd.DataFrame(rows)
    key = [table["kind"], table["task"].fillna(""), table["backbone"]]
    done = table["state"] == "done"
    spent, passed = (v.where(done).groupby(key).transform("sum") for v in (table["seconds"], table["passes"]))
    seconds = table.pop("seconds").where(done, table["passes"] * (spent / passed).where(passed > 0))
    for i in table.index[seconds.isna() & ~done & (table["unpriced"] == "")]:
        try:
            seconds[i] = _assumed(study, planned[table.at[i, "run"]][1], table.at[i, "passes"])
        except prices.UnpricedError as error:
            table.at[i, "unpriced"] = str(error).partition("\n")[0]
    return table.assign(minutes=seconds / 60)


def passes(config: dict[str, Any], counter: prices.Counter | None = None) -> float:
    """Return how many images (contrastive: views) a run sends through the model in training.

    All epochs of the recipe, though patience may end a run before them. Raises as `prices.Counter.images` does.
    """
    contrastive = config["kind"] == "pretrain" and "method" not in config
    epochs = config["recipe"]["epochs"]
    if "images_per_epoch" in config:
        return (2 if contrastive else 1) * config["images_per_epoch"] * epochs
    images = sum(map((counter or prices.Counter()).images, runs.corpora(config)))
    return (2 if contrastive else config.get("fraction", 1)) * images * epochs


def _assumed(study: StudyRuns, config: dict[str, Any], passes: float) -> float:
    """Return the seconds of a run like which none is done; raise UnpricedError where the study gives no speed."""
    speed = study.spec.get("images_per_second", {}).get(config["kind"])
    if speed is None:
        raise prices.UnpricedError(f"the study file has no `images_per_second` of {config['kind']}")
    work = prices.relative_work(config, study.spec["backbone"], study.spec["size"])
    return prices.RUN_SECONDS + passes * work / speed


def _seconds(rid: str) -> float:
    return runs.read_json(runs.folder(rid) / "status.json").get("seconds", math.nan)
