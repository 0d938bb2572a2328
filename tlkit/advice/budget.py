"""The time that an answer may take: what a run costs here, how many epochs fit, and what is said of it before.

A step is measured once; with the budget it decides the epochs of all runs, and both are kept, so that the same command
gives the same study again. A run is begun only where it is likely to end in time, by what the runs before it took.
"""

from __future__ import annotations

import json
import logging
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tlkit import runs
from tlkit.advice import plan, probing, prose, reading
from tlkit.config import ConfigError, short_hash
from tlkit.files import write_text
from tlkit.models import backbone
from tlkit.studies import Study
from tlkit.training import compute
from tlkit.training.data import chosen_rows, open_data, task_of, training_rows
from tlkit.training.loop import fit
from tlkit.training.processes import pick_device
from tlkit.training.recipe import Recipe
from tlkit.training.supervised import Samples, Supervised, predict
from tlkit.workflow.prices import FASTEST, Counter, UnpricedError, work

PRETRAINING = 0.3  # share of what is left that a pretraining may take
LEAST_IMAGES = 4  # to train on
RUNS = 6  # of an arm that the budget should hold: three rates, one beyond the edge, two more seeds
START = 2.0  # seconds of a run besides its images
CHEAP, SCORED = 0.25, 0.002  # share of the budget for frozen features, and seconds an image for their scores
SCORING = 3.0  # seconds of the scores of an arm besides
OVER = 0.05  # share of the budget after which a run is stopped, to go on another time
Config = dict[str, Any]


class OutOfTimeError(BaseException):
    """The time is up in the midst of a run; what it had reached is kept. No Exception, as Ctrl-C is none."""


@dataclass
class Budget:
    """The seconds of an answer, since `begun`; `cost` of an image in training and in evaluation, as measured."""

    seconds: float
    begun: float
    cost: dict[str, float]
    network: str = ""  # of which that is measured; others are priced by their work on an image
    slower: list[float] = field(default_factory=list)  # of each run done: seconds over price
    counted: dict[str, tuple[int, int, int]] = field(default_factory=dict)

    @property
    def left(self) -> float:
        """The seconds that are left; below 0 when they are over."""
        return self.begun + self.seconds - time.monotonic()

    def price(self, config: Config, epochs: int = 0) -> float:
        """Return the seconds that a run is likely to take, by the measured step; `epochs` in place of its own."""
        if config["kind"] == "pretrain":
            return self.price_of_pretraining(config)
        train, val, test = self._images(config)
        each = (config.get("images_per_epoch") or train) * self.cost["train"] + val * self.cost["see"]
        whole = (epochs or config["recipe"]["epochs"]) * each + (val + test) * self.cost["see"]
        return START + self.times(config) * whole

    def price_of_pretraining(self, config: Config) -> float:
        """Return the seconds that a pretraining is likely to take: two views of each of its images an epoch."""
        images = sum(map(Counter().images, runs.corpora(config)))
        return START + self.times(config) * 2 * config["recipe"]["epochs"] * images * self.cost["train"]

    def times(self, config: Config) -> float:
        """Return how much longer than of the measured one an image takes in the network of a run, about."""
        if config["backbone"] == (self.network or config["backbone"]):
            return 1.0
        size = runs.corpora(config)[0]["size"]
        try:
            return max(work(config["backbone"], size) / work(self.network, size), 1 / FASTEST)
        except UnpricedError:
            return 1.0

    def _images(self, config: Config) -> tuple[int, int, int]:
        key = short_hash([config["data"], config["fraction"], config["seed"]])
        if key not in self.counted:
            table = open_data(config["data"])[1]
            parts = (len(chosen_rows(config["data"], table, part)) for part in ("val", "test"))
            self.counted[key] = (len(training_rows(config, table)), *parts)
        return self.counted[key]

    def fits(self, *configs: Config) -> bool:
        """Tell whether runs are likely to end in time, one after the other; those that are done take none."""
        new = [c for c in configs if not runs.state_is_done(runs.run_id(c))]
        return sum(map(self.price, new)) * max(self.slower[-3:], default=1.0) <= self.left if new else True

    def took(self, config: Config, seconds: float) -> None:
        """Note how long a run took against its price, for the runs that follow."""
        self.slower.append(seconds / self.price(config))

    def said(self) -> str:
        """Return how much of the time is over, and left."""
        over, left = self.seconds - self.left, max(self.left, 0)
        return f"{_clock(over)} of {_clock(self.seconds)}, {_clock(left)} left"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def measure(config: Config) -> dict[str, float]:
    """Return the seconds an image in training and in evaluation: a batch of each, after one that is not counted."""
    store, table = open_data(config["data"])
    recipe = replace(Recipe.from_dict(config["recipe"]), epochs=3, patience=0)
    samples, job = Samples(store, training_rows(config, table)), task_of(config, table)
    job.fit(samples.table)
    goal = Supervised(job.model(backbone(config["backbone"], seed=0)), job, samples, None, recipe, 0)
    images = min(recipe.batch, len(samples))
    logging.disable(logging.INFO)  # three epochs that nobody asked for
    try:
        with compute.limit_threads(config["compute"]["threads"]), tempfile.TemporaryDirectory() as folder:
            train = fit(goal, recipe, seed=0, folder=Path(folder), per_epoch=images).history["seconds"][1:].min()
            start = time.perf_counter()
            predict(goal.model, job, Samples(store, samples.rows[:images]), recipe)
            return {"train": float(train) / images, "see": (time.perf_counter() - start) / images}
    finally:
        logging.disable(logging.NOTSET)


def decide_length(study: Study, seconds: float, begun: float) -> tuple[Budget, int, int]:
    """Return the budget, the epochs of a run, and how many images frozen encoders see; what was decided is kept.

    As many epochs as let RUNS of each arm fit beside the cheap evidence and pretraining on these images, each arm at
    the price of its network: the study's, or fewer, but not fewer than plan.EPOCHS[0]. The same images, arms and budget
    get the same again.
    """
    config = study.finetune(seeds=study.seeds[:1])[0]
    check_images(config)
    recipe = {k: v for k, v in config["recipe"].items() if k != "epochs"}
    same = {**config, "recipe": recipe, "device": pick_device().type}
    file, key = reading.folder_of(study.name) / "budget.json", short_hash(same)
    known = runs.read_json(file) if file.is_file() else {}
    kept = known.get("steps", {}).get(key) or measure(config)
    budget = Budget(seconds, begun, kept, config["backbone"])
    first = {c["pretraining"]: c for c in study.finetune(seeds=study.seeds[:1])}  # of each arm
    networks = sorted(c["backbone"] for c in first.values())
    which = f"{key} {len(first)} arms of {short_hash(networks)} {seconds:g} s"
    decided = known.get("decided", {}).get(which)
    if decided is None:
        most = int(CHEAP * seconds / _cheap(budget, first, 1, 0.0))
        images = min(max(most, probing.LEAST), probing.MOST)
        one, two = (sum(budget.price(c, epochs) for c in first.values()) for epochs in (1, 2))
        besides = _cheap(budget, first, images) + price_own_pretraining(study, budget)
        room = (budget.left - besides) / RUNS - (2 * one - two)
        epochs = min(max(int(room / (two - one)), plan.EPOCHS[0]), config["recipe"]["epochs"])
        decided = {"epochs": epochs, "images": images}
    steps, all_of_it = known.get("steps", {}) | {key: kept}, known.get("decided", {}) | {which: decided}
    write_text(file, json.dumps({"steps": steps, "decided": all_of_it}, indent=1))
    return budget, decided["epochs"], decided["images"]


def check_images(config: Config) -> None:
    """Raise ConfigError where a run has too few images to train on, or none to validate or test on."""
    table = open_data(config["data"])[1]
    counts = {"train": len(training_rows(config, table))}
    counts |= {part: len(chosen_rows(config["data"], table, part)) for part in ("val", "test")}
    if counts["train"] < LEAST_IMAGES or not all(counts.values()):
        told = ", ".join(
            f"{n} to {what}" for n, what in zip(counts.values(), ("train", "validate", "test"), strict=True)
        )
        raise ConfigError(
            f"{sum(counts.values())} images leave {told} on: expected {LEAST_IMAGES} or more to train on, and some for "
            "each of the others. Bring more images, or say --look to look at these; --split none draws parts anew."
        )


def _cheap(budget: Budget, first: dict[str, Config], images: int, besides: float = SCORING) -> float:
    """Return the seconds of the cheap evidence of arms, of each the config of a run."""
    return sum(besides + images * (budget.times(c) * budget.cost["see"] + SCORED) for c in first.values())


def price_own_pretraining(study: Study, budget: Budget) -> float:
    """Return the seconds of pretraining on these images for as many splits as are compared at least; 0: too dear."""
    needed = 0.0
    for arm in study.pretrainings:
        for config in study.lineage(arm)[:1]:
            seconds = count_least_splits(study, arm, config) * budget.price_of_pretraining(config)
            needed += seconds if seconds <= PRETRAINING * budget.left else 0.0
    return needed


def count_least_splits(study: Study, arm: str, config: Config) -> int:
    """Return how many splits an arm is pretrained for at least: 2 where each run draws its images anew."""
    return 2 if study.redrawn(arm, config["backbone"]) else 1


def promise(study: Study, budget: Budget, images: int, wanted: int) -> str:
    """Return what will be done within the budget; `wanted` are the epochs that a run has where time allows."""
    first = {c["pretraining"]: c for c in study.finetune(seeds=study.seeds[:1])}
    arms, config = len(first), next(iter(first.values()))
    table = open_data(config["data"])[1]
    seen = min(images, len(probing.draw_rows(table, images)[0]))
    run, rates = sum(map(budget.price, first.values())) / arms, study.spec["experiments"]["fine_tuning"]["lrs"]
    epochs, cheap = config["recipe"]["epochs"], _cheap(budget, first, seen)
    fewer = f" (in place of {wanted}, so that the budget lasts)" if epochs < wanted else ""
    lines = [
        f"{prose.count(arms, 'arm')} of {', '.join(plan.networks(study))}, {prose.duration(budget.seconds)} at most, "
        f"of which {prose.duration(max(budget.left, 0))} are left:",
        f"  first what frozen features tell, of {seen:,} images: about {prose.duration(cheap)};",
        f"  then fine-tuning, {epochs} epochs{fewer} on {len(training_rows(config, table)):,} images, about "
        f"{prose.duration(run)} a run here: {_rounds(budget.left - cheap, run, arms, rates)}",
        "  A run that would not end in time is not begun. Interrupted, the same command goes on.",
    ]
    return "\n".join(lines)


def _rounds(left: float, run: float, arms: int, rates: list[float]) -> str:
    """Return what `tuning` does with the seconds left."""
    whole, named = run * arms * len(rates), ", ".join(f"{rate:g}" for rate in rates)
    if left < run:
        return "no time for any."
    if left < whole + run * arms:
        return f"no time for {named} and a second seed, so one rate alone, and as many seeds as fit."
    return (
        f"{arms * len(rates)} runs over the rates {named} (about {prose.duration(whole)}), the next rate for an arm "
        "that is best at the edge, then another seed for each arm, at last a learning curve, while time lasts."
    )


def price_least(study: Study, budget: Budget) -> float:
    """Return the seconds that would hold what is least: each arm at every rate, and a second seed of it."""
    first = {c["pretraining"]: c for c in study.finetune(seeds=study.seeds[:1])}
    each = len(study.spec["experiments"]["fine_tuning"]["lrs"]) + 1
    runs_of_all = each * sum(budget.price(c, plan.EPOCHS[0]) for c in first.values())
    return 60 * max(1, -(-(1.3 * runs_of_all / (1 - CHEAP)) // 60))


@contextmanager
def stop_after(seconds: float) -> Iterator[None]:
    """Raise OutOfTimeError in the block after so many seconds; never where no timer can be set (Windows, threads)."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        raise OutOfTimeError

    before, start = signal.signal(signal.SIGALRM, stop), time.monotonic()
    remaining, again = signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.01))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if remaining:  # somebody else's timer
            signal.setitimer(signal.ITIMER_REAL, max(remaining - (time.monotonic() - start), 0.01), again)
