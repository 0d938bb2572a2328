"""Fine-tuning within a budget: every rate, rates beyond the edge, more seeds for the arms that may win, a curve.

In the first round each arm tries every rate of the study, by the first seed. An arm that is best in validation at the
highest or lowest rate then tries the next one, up to BEYOND beyond either side, where the second round still fits.
After it the rates are fixed. Each further round is another seed, and split, for the arms that `deciding.find_dropped`
leaves. Where not even each rate and a second seed fit, the middle rate alone is tried. At last two arms train on fewer
images, as many steps as on all. A run that is likely not to end in time is not begun.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from tlkit import runs
from tlkit.advice import deciding, plan, prose, resampling
from tlkit.advice.budget import OVER, PRETRAINING, Budget, OutOfTimeError, count_least_splits, stop_after
from tlkit.advice.measures import Measure
from tlkit.advice.probing import metric_of
from tlkit.names import sign
from tlkit.studies import Study
from tlkit.training.data import open_data, task_of
from tlkit.training.loop import DivergedError
from tlkit.training.run import run

BEYOND = 2  # rates beyond either side of the study's
FRACTIONS = (0.1, 0.3)  # of the patients that train; the runs before are those of all
CURVE_SEEDS, CURVE_IMAGES = 2, 60  # seeds of a learning curve, and images that train below which there is none
CURVE = "curve"  # the task of its runs
COLUMNS = [*resampling.COLUMNS, "fraction", "images", "run", "value", "config", "seconds"]
log = logging.getLogger(__name__)
Config = dict[str, Any]
Tell = Callable[[str], None]


class Tuning:
    """What was done: `made` has a dict a run, `diverged` the (arm, rate) that gave no run, `out` the arms dropped."""

    def __init__(self, study: Study, budget: Budget, tell: Tell = print, out: dict[str, str] | None = None):
        self.study, self.budget, self.tell = study, budget, tell
        self.made: list[dict[str, Any]] = []
        self.diverged: set[tuple[str, float]] = set()
        self.out = dict(out or {})
        self.arms = [arm for arm in study.pretrainings if arm not in self.out]

    @property
    def runs(self) -> pd.DataFrame:
        """The runs on all images: the columns of `resampling` and fraction, images, run, value (in validation), ..."""
        frame = pd.DataFrame(self.made, columns=COLUMNS)
        return frame[frame["fraction"] == 1].reset_index(drop=True)

    @cached_property
    def measure(self) -> Measure:
        """The metric that decides, of predictions: the same for all runs."""
        config = self.study.finetune(seeds=self.study.seeds[:1])[0]
        return Measure(task_of(config, open_data(config["data"])[1]), metric_of(self.study))

    def config(self, arm: str, rate: float, seed: int, **changes: Any) -> Config:
        """Return the config of an arm's run at a rate and seed, with `changes` on top."""
        config = next(c for c in self.study.finetune(arm, seeds=[seed]))
        return config | {"recipe": config["recipe"] | {"lr": rate}} | changes

    def do(self) -> None:
        """Do the runs of all rounds and of the curve, while the budget lasts."""
        with stop_after(self.budget.left + OVER * self.budget.seconds):
            try:
                for config in self._configs():
                    if not self.budget.fits(config, *self._before(config)):
                        break
                    self._do(config)
            except OutOfTimeError:
                self.tell("  The time is up: a run was stopped midway. The same command goes on with it.")

    def _do(self, config: Config) -> None:
        arm, rate = config["pretraining"], config["recipe"]["lr"]
        what = f"{self.study.names()[arm]}, rate {rate:g}, seed {config['seed']}"
        if config["fraction"] < 1:
            what += f", {100 * config['fraction']:g} % of the images"
        start, new = time.monotonic(), not runs.state_is_done(runs.run_id(config))
        try:
            for before in self._before(config):  # of a split of its own
                run(before, wait=True)
            folder = run(config, wait=True)
        except DivergedError as error:
            self.diverged.add((arm, rate))
            self.tell(f"  {what}: no value, as {error}".split(". ")[0])
            return
        if new:
            self.budget.took(config, time.monotonic() - start)
        self.made.append(row := _row(self.study, config, folder))
        self.tell(f"  {what}: {row['value']:.3f} in validation ({self.budget.said()})")

    def _before(self, config: Config) -> list[Config]:
        """Return the pretrainings that a run starts from."""
        return self.study.lineage(config["pretraining"], config["backbone"], config["seed"])

    def _configs(self) -> Iterator[Config]:
        """Yield the configs in the order in which they are worth most, looking at what was made until then."""
        if not self.arms:
            return
        first, *others = self.study.seeds
        given = self.study.spec["experiments"]["fine_tuning"]["lrs"]
        rates = sorted(given, key=lambda rate: abs(np.log(rate / np.median(given))))  # the middle one first
        whole = [self.config(arm, rate, first) for rate in rates for arm in self.arms]
        second = [self.config(arm, rates[0], seed) for arm in self.arms for seed in others[:1]]
        yield from whole if self.budget.fits(*whole, *second) else whole[: len(self.arms)]
        yield from self._beyond(first, given, second)
        for seed in others:
            best = choose_runs(self.runs, self.study)
            if best["seed"].nunique() > 1:
                keep, names = plan.random_arms(self.study), self.study.names()
                validated = _validated(self.study, best)
                dropped = deciding.find_dropped(validated, metric_of(self.study), self.measure, keep, names=names)
                self.out |= {arm: why for arm, why in dropped.items() if arm not in self.out}
            for arm in self.arms:
                if arm not in self.out and (rate := rate_of(best, arm)) is not None:
                    yield self.config(arm, rate, seed)
        yield from self._curve()

    def _beyond(self, seed: int, given: list[float], second: list[Config]) -> Iterator[Config]:
        """Yield the runs at the rate next to the edge, for the arms that were best there, as long as any is."""
        while len(given) > 1:
            wanted = [(arm, rate) for arm in self.arms if (rate := self._next(arm, given))]
            if not wanted:
                return
            for arm, rate in wanted:
                config = self.config(arm, rate, seed)
                if not self.budget.fits(config, *second):
                    return
                yield config

    def _next(self, arm: str, given: list[float]) -> float | None:
        """Return the rate beyond the edge at which an arm was best; None within, and BEYOND beyond those given."""
        tried, best = self._tried(arm), rate_of(choose_runs(self.runs, self.study), arm)
        if best is None or not set(given) <= tried or min(tried) < best < max(tried):
            return None
        step = 1 if best == max(tried) else -1
        if sum(step * np.log(rate) > max(step * np.log(given)) + 1e-9 for rate in tried) >= BEYOND:
            return None
        return next_rate(best, step)

    def at_edge(self) -> dict[tuple[float, str], list[str]]:
        """Return the arms by (rate, "highest", "lowest" or "only" of those tried) that were best there."""
        best, found = choose_runs(self.runs, self.study), {}
        for arm in best["arm"].unique():
            rate, tried = rate_of(best, arm), self._tried(arm)
            ends = {max(tried): "highest", min(tried): "lowest"} if len(tried) > 1 else {rate: "only"}
            if rate in ends:
                found.setdefault((rate, ends[rate]), []).append(arm)
        return found

    def _tried(self, arm: str) -> set[float]:
        return {row["rate"] for row in self.made if row["arm"] == arm} | {r for a, r in self.diverged if a == arm}

    def _curve(self) -> Iterator[Config]:
        """Yield the runs on fewer images: of the leader in validation and random weights, or of the two best."""
        best = choose_runs(self.runs, self.study)
        seeds = [s for s, n in best.groupby("seed", sort=False)["arm"].nunique().items() if n > 1][:CURVE_SEEDS]
        if not seeds or best["images"].min() < CURVE_IMAGES:
            return
        shared = best[best["seed"].isin(seeds)]
        means = sign(metric_of(self.study)) * shared.groupby("arm", sort=False)["value"].mean()
        order = means.sort_values(ascending=False, kind="stable").index.tolist()
        own = plan.random_of(self.study, order[0])
        two = [order[0], own if own in order[1:] else order[1]]
        images = int(best.loc[best["seed"] == best["seed"].iloc[0], "images"].iloc[0])
        for seed in seeds:
            for fraction in FRACTIONS:
                for arm in two:
                    config = self.config(arm, rate_of(best, arm), seed, fraction=fraction, images_per_epoch=images)
                    yield config | {"task": CURVE + config["task"].removeprefix("answer")}

    def curve(self) -> list[dict[str, Any]]:
        """Return the learning curve: arm, images, value, low and high (95 %) of each share of the images."""
        fewer = pd.DataFrame([row for row in self.made if row["fraction"] < 1], columns=COLUMNS)
        if fewer.empty:
            return []
        best = choose_runs(self.runs, self.study)
        every, found = pd.concat([fewer, best[best["arm"].isin(fewer["arm"])]], ignore_index=True), []
        for _, part in every.groupby("fraction", sort=True):
            drawn = resampling.resample(part, self.measure)
            for i, arm in enumerate(drawn.arms):
                own = resampling.spread(drawn, drawn.values[i], drawn.draws[:, i])
                low, high = own.interval()
                images = int(part.loc[part["arm"] == arm, "images"].mean())
                found.append({"arm": arm, "images": images, "value": own.mean, "low": low, "high": high})
        return sorted(found, key=lambda row: (self.arms.index(row["arm"]), row["images"]))

    def experiments(self) -> dict[str, dict[str, Any]]:
        """Return the experiments of a study file that has just the runs that were made."""
        cells: dict[tuple, list] = {}
        for row in self.made:
            cells.setdefault((row["config"]["task"], row["fraction"], row["rate"], row["arm"]), []).append(row["seed"])
        alike: dict[tuple, list[str]] = {}
        for (task, fraction, rate, arm), seeds in cells.items():
            alike.setdefault((task, fraction, rate, tuple(seeds)), []).append(arm)
        found = {}
        for (task, fraction, rate, seeds), arms in alike.items():
            name = f"fine_tuning_{len(found) + 1}"
            found[name] = {"title": f"fine-tuning at {rate:g}", "mode": "finetune", "tasks": [task]}
            found[name] |= {"pretrainings": arms, "seeds": list(seeds), "lrs": [rate]}
            if fraction < 1:
                found[name] |= {"fraction": fraction, "title": f"{100 * fraction:g} % of the images at {rate:g}"}
        return found


def pretrain(study: Study, budget: Budget, tell: Tell = print) -> dict[str, str]:
    """Do the pretrainings of a study that fit into their share of the budget; return the other arms and why."""
    out: dict[str, str] = {}
    with stop_after(budget.left + OVER * budget.seconds):
        for arm in study.pretrainings:
            for config in study.lineage(arm):
                if runs.state_is_done(runs.run_id(config)) or arm in out:
                    continue
                seconds = budget.price_of_pretraining(config)
                splits = count_least_splits(study, arm, config)
                if splits * seconds > PRETRAINING * budget.left:
                    each = f" for each of {splits} splits" if splits > 1 else ""
                    out[arm] = f"its pretraining takes about {prose.duration(seconds)}{each}, too much of the budget"
                    tell(f"  {study.names()[arm]} is left out: {out[arm]}")
                    continue
                try:
                    run(config, wait=True)
                except OutOfTimeError:
                    out[arm] = "the time was up before its pretraining was done"
                    tell(f"  {study.names()[arm]} is left out: {out[arm]}")
                    continue
                tell(f"  {study.names()[arm]}: pretraining ({budget.said()})")
    return out


def next_rate(rate: float, step: int) -> float:
    """Return the next half power of ten above (step 1) or below (-1) a rate, to one digit: 0.001, 0.003, 0.01."""
    return float(f"{10 ** (round(2 * np.log10(rate) + step) / 2):.0e}")


def rate_of(best: pd.DataFrame, arm: str) -> float | None:
    """Return the rate of an arm in `choose_runs`; None where it has no run."""
    rates = best.loc[best["arm"] == arm, "rate"]
    return None if rates.empty else float(rates.iloc[0])


def choose_runs(made: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return the runs of each arm at its best rate in validation, by the seed that tried all of them.

    Of equal ones the first that was tried, which is the middle one.
    """
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
    metrics = runs.read_metrics(folder.name)
    value = metrics[f"val_{metric_of(study)}"]
    row = {"arm": config["pretraining"], "rate": config["recipe"]["lr"]}
    row |= dict.fromkeys(("seed", "split"), config["seed"]) | {"fraction": config["fraction"], "config": config}
    row |= {"predictions": _predictions(study, config, "test"), "run": runs.run_id(config)}
    row |= {"value": float("nan") if value is None else value, "images": metrics["images"]}
    return row | {"seconds": runs.read_json(folder / "status.json")["seconds"]}


def _predictions(study: Study, config: Config, split: str) -> pd.DataFrame:
    kept = pd.read_parquet(runs.check_file(runs.run_id(config), f"predictions_{split}.parquet"))
    return resampling.row_scores(kept, config["task_kind"], metric_of(study))
