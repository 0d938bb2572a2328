"""The minutes that the runs of a study took, and those that the missing ones will take."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from tlkit import runs
from tlkit.config import TlkitError
from tlkit.studies import Study
from tlkit.workflow import prices


def plan_minutes(study: Study) -> pd.DataFrame:
    """Return `study.plan()`, one row per run, with the columns passes, minutes and unpriced.

    `minutes` is measured for a done run. For the others it is their image passes over the speed of done runs of the
    same kind, task and backbone; where none is done yet, over the study's `images_per_second`, that of its `backbone`
    at its `size`, by the work of the run's own network (`prices`). Where a run has no price, `minutes` is NaN and
    `unpriced` says why; else that is "".
    """
    table, configs, counter = study.plan(), study.planned(), prices.Counter()
    rows = [_count(configs[rid][1], counter) for rid in table["run"]]
    table = table.assign(**pd.DataFrame(rows, index=table.index))
    table["seconds"] = [_seconds(*row) for row in table[["run", "state"]].to_numpy()]
    key = [table["kind"], table["task"].fillna(""), table["backbone"]]
    done = table["state"] == "done"
    spent, passed = (v.where(done).groupby(key).transform("sum") for v in (table["seconds"], table["passes"]))
    seconds = table.pop("seconds").where(done, table["passes"] * (spent / passed).where(passed > 0))
    for i in table.index[seconds.isna() & ~done & (table["unpriced"] == "")]:
        try:
            seconds[i] = _assume(study, configs[table.at[i, "run"]][1], table.at[i, "passes"])
        except prices.UnpricedError as error:
            table.at[i, "unpriced"] = str(error).partition("\n")[0]
    table.insert(table.columns.get_loc("unpriced"), "minutes", seconds / 60)
    return table


def _count(config: dict[str, Any], counter: prices.Counter) -> dict[str, Any]:
    """Return the passes of a run, or in `unpriced` the first line of why nobody can tell them."""
    try:
        return {"passes": count_passes(config, counter), "unpriced": ""}
    except TlkitError as error:
        return {"passes": math.nan, "unpriced": str(error).partition("\n")[0]}


def count_passes(config: dict[str, Any], counter: prices.Counter | None = None) -> float:
    """Return how many images (contrastive: views) a run sends through the model in training.

    All epochs of the recipe, though patience may end a run before them. Raises as `prices.Counter.images` does.
    """
    contrastive = config["kind"] == "pretrain" and "method" not in config
    epochs = config["recipe"]["epochs"]
    if "images_per_epoch" in config:
        return (2 if contrastive else 1) * config["images_per_epoch"] * epochs
    images = sum(map((counter or prices.Counter()).images, runs.corpora(config)))
    return (2 if contrastive else config.get("fraction", 1)) * images * epochs


def _assume(study: Study, config: dict[str, Any], passes: float) -> float:
    """Return the seconds of a run like which none is done; raise UnpricedError where the study gives no speed."""
    speed = study.spec.get("images_per_second", {}).get(config["kind"])
    if speed is None:
        raise prices.UnpricedError(f"the study file has no `images_per_second` of {config['kind']}")
    work = prices.relative_work(config, study.spec["backbone"], study.spec["size"])
    return prices.RUN_SECONDS + passes * work / speed


def _seconds(rid: str, state: str) -> float:
    """Return what a done run took; NaN for one that is not done."""
    if state != "done":
        return math.nan
    return runs.read_json(runs.folder(rid) / "status.json").get("seconds", math.nan)


def say_minutes(minutes: float) -> str:
    """Return minutes in words that a person plans with: "seconds", "about 7 minutes", "about 30 hours", "12 days".

    NaN is "a time that nobody can tell".
    """
    if math.isnan(minutes):
        return "a time that nobody can tell"
    if minutes < 0.5:
        return "no time" if minutes == 0 else "seconds"
    name, each = ("minute", 1) if minutes < 90 else ("hour", 60) if minutes < 48 * 60 else ("day", 24 * 60)
    number = round(minutes / each)
    return f"about {number:,} {name}{'s' * (number != 1)}"
