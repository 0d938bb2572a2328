"""A study file becomes a list of runs: what is done, what is missing, and the minutes left.

A study (`paper/studies/<name>.yaml`) names its pretrainings, tasks and experiments once; its scales change sizes,
epochs and seeds. The cross product is the list of runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any

import pandas as pd
import yaml

from tlkit import paths, runs
from tlkit.analysis import convergence
from tlkit.analysis.adjusted import SizeAdjustment
from tlkit.config import ConfigError, Names, lookup, nearest
from tlkit.datasets import cards, identity
from tlkit.report.style import NAMES
from tlkit.training.recipe import recipe
from tlkit.training.tasks import TASKS

KEYS = {
    "name", "title", "source", "data", "backbone", "size", "seeds", "split", "phantoms", "pretrainings", "tasks",
    "experiments", "figures", "job", "images_per_second", "pretraining_seed",
}  # fmt: skip
ENTRY_KEYS = {
    "pretrainings": ("title", "dataset", "classes", "images", "fraction_by", "recipe"),
    "tasks": ("title", "dataset", "classes", "images", "fraction_by", "recipe"),
    "experiments": ("title", "mode", "fraction", "tasks", "pretrainings", "bn", "recipe", "recipes"),
}  # fmt: skip
MODES = ("finetune", "lineval")
HISTORY = ["experiment", "run", "mode", "task", "pretraining", "fraction", "seed", "epoch", "samples", "loss"]


class StudyError(ConfigError):
    """A study file says something that cannot be run."""


def names() -> list[str]:
    return sorted(p.stem for p in paths.STUDIES.glob("*.yaml"))


def load(name: str, scale: str = "quick", data: str = "") -> Study:
    """Return the study `name` at `scale`; `data` ("phantom" or "real") overrides what the scale says.

    Raises: UnknownNameError for a study, scale, task, pretraining or mode that does not exist; StudyError for a key
    that nobody reads.
    """
    path = lookup(name, {n: paths.STUDIES / f"{n}.yaml" for n in names()}, "study")
    text = yaml.safe_load(path.read_text())
    spec = merge(text["common"], lookup(scale, text["scales"], "scale"))
    if data:
        spec["data"] = lookup(data, {"phantom": "phantom", "real": "real"}, "kind of data")
    spec = {"name": name, **spec}
    _check_keys(spec, sorted(KEYS), path.name)
    for part, keys in ENTRY_KEYS.items():
        for entry, values in spec[part].items():
            _check_keys(values, keys, f"{path.name}, {part}, {entry}")
    for entry in spec["experiments"].values():
        _check_names(entry, spec)
    return Study(name, scale, spec)


def _check_keys(values: dict[str, Any], known: Iterable[str], where: str) -> None:
    for key in set(values) - set(known):
        raise StudyError(f"{where}: nothing reads '{key}'.{nearest(key, known)} Known keys: {', '.join(known)}.")


def _check_names(experiment: dict[str, Any], spec: dict[str, Any]) -> None:
    """Raise UnknownNameError for a mode, task or pretraining in an experiment that would lead nowhere."""
    lookup(experiment["mode"], dict.fromkeys(MODES), "mode")
    for name in [*experiment.get("tasks", []), *experiment.get("recipes", [])]:
        lookup(name, spec["tasks"], "task")
    for name in experiment.get("pretrainings", []):
        lookup(name, spec["pretrainings"], "pretraining")


def merge(base: Any, over: Any) -> Any:
    """Return `base` with `over` laid on it: dicts key by key, everything else replaced; None removes a key."""
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    merged = {
        k: merge(base[k], over[k]) if k in base and k in over else over.get(k, base.get(k)) for k in {**base, **over}
    }
    return {k: v for k, v in merged.items() if not (k in over and over[k] is None)}


class Study:
    """The runs of a study at one scale. `plan()` lists them; `tlkit.workflow.jobs` orders them for the DAG."""

    def __init__(self, name: str, scale: str, spec: dict[str, Any]):
        self.name, self.scale, self.spec = name, scale, spec
        self.folder = paths.runs_root() / "studies" / name / scale
        self._identities: dict[str, dict[str, Any]] = {}  # hashing a real data set once is enough
        self._planning = False  # a plan can be made without the data
        self.absent: set[str] = set()  # real data sets that a plan did without

    @property
    def phantom(self) -> bool:
        return self.spec["data"] == "phantom"

    @property
    def pretrainings(self) -> list[str]:
        return list(self.spec["pretrainings"])

    @property
    def tasks(self) -> list[str]:
        return list(self.spec["tasks"])

    def phantom_parameters(self, dataset: str) -> dict[str, Any] | None:
        """Return the parameters that make this study's phantom of a data set; None where the data are real."""
        return dict(lookup(dataset, self.spec["phantoms"], "phantom of this study")) if self.phantom else None

    def data(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Return what decides the data of a run: identity, image size, split, and how many classes and images."""
        dataset = entry["dataset"]
        chosen = {k: entry[k] for k in ("classes", "images", "fraction_by") if entry.get(k) is not None}
        if dataset not in self._identities:
            self._identities[dataset] = self._identity(dataset)
        return {**self._identities[dataset], "size": self.spec["size"], "split": self.spec["split"], **chosen}

    def _identity(self, dataset: str) -> dict[str, Any]:
        try:
            return identity(dataset, self.phantom_parameters(dataset))
        except cards.MissingDataError:
            if not self._planning:
                raise
            self.absent.add(dataset)
            return {"name": dataset, "content": None}

    def pretrain(self, pretraining: str) -> dict[str, Any] | None:
        """Return the config of a pretraining run; None for training from scratch."""
        entry = lookup(pretraining, self.spec["pretrainings"], "pretraining")
        if "dataset" not in entry:
            return None
        return {
            "kind": "pretrain",
            "pretraining": pretraining,
            "data": self.data(entry),
            "backbone": self.spec["backbone"],
            "recipe": _recipe(entry["recipe"]),
            "seed": self.spec.get("pretraining_seed", 42),
        }

    def finetune(
        self,
        pretraining: str = "",
        tasks: Iterable[str] = (),
        experiments: Iterable[str] = (),
        seeds: Iterable[int] = (),
    ) -> list[dict[str, Any]]:
        """Return the configs of the downstream runs that fit the filter; an empty filter lets all through.

        Raises: UnknownNameError for a pretraining, task or experiment that the study does not have.
        """
        return [config for _, config in self._downstream(pretraining, tasks, experiments, seeds)]

    def _downstream(self, pretraining="", tasks=(), experiments=(), seeds=()) -> list[tuple[str, dict[str, Any]]]:
        for value, table, what in [
            *((t, self.spec["tasks"], "task") for t in tasks),
            *((e, self.spec["experiments"], "experiment") for e in experiments),
            *([(pretraining, self.spec["pretrainings"], "pretraining")] if pretraining else []),
        ]:
            lookup(value, table, what)
        found = []
        for name, experiment in self.spec["experiments"].items():
            if experiments and name not in experiments:
                continue
            allowed = experiment.get("pretrainings", self.pretrainings)
            sources = [s for s in ([pretraining] if pretraining else allowed) if s in allowed]
            wanted = [t for t in experiment.get("tasks", self.tasks) if not tasks or t in tasks]
            for task, source, seed in product(wanted, sources, seeds or self.spec["seeds"]):
                found.append((name, self._config(experiment, task, source, seed)))
        return found

    def _config(self, experiment: dict[str, Any], task: str, source: str, seed: int) -> dict[str, Any]:
        entry, before = self.spec["tasks"][task], self.pretrain(source)
        frozen = {"freeze": "encoder", "bn": experiment.get("bn", "frozen")} if experiment["mode"] == "lineval" else {}
        changes = experiment.get("recipe", {}) | experiment.get("recipes", {}).get(task, {}) | frozen
        return {
            "kind": "finetune",
            "mode": experiment["mode"],
            "task": task,
            "task_kind": self._card(task).task,
            "pretraining": source,
            "fraction": float(experiment.get("fraction", 1)),
            "data": self.data(entry),
            "weights": None if before is None else {"run": runs.run_id(before)},
            "backbone": self.spec["backbone"],
            "recipe": _recipe({**entry["recipe"], **changes}),
            "seed": seed,
        }

    def configs(self) -> list[dict[str, Any]]:
        """Return the configs of all runs, pretrainings first."""
        before = [c for c in map(self.pretrain, self.pretrainings) if c is not None]
        return before + self.finetune()

    def plan(self) -> pd.DataFrame:
        """Return one row a run: run, state, kind, experiment, task, pretraining, fraction, seed, minutes.

        Real data that are not there are named in `absent`; their runs count as missing, under ids of no use.
        `minutes` is measured for a done run. For the others it is the image passes of the run over the speed of done
        runs of the same kind and task, or over the study's `images_per_second` where nothing is done yet.
        """
        self._planning, rows = True, []
        pre = [("", c) for c in map(self.pretrain, self.pretrainings) if c is not None]
        for experiment, config in pre + self._downstream():
            rid = runs.run_id(config)
            row = {"run": rid, "state": runs.state(rid), "kind": config["kind"], "experiment": experiment}
            row |= {k: config.get(k) for k in ("task", "pretraining", "fraction", "seed")}
            row |= {
                "passes": passes(config),
                "seconds": _seconds(rid) if row["state"] == "done" else float("nan"),
            }
            rows.append(row)
        self._planning = False
        self._identities = {k: v for k, v in self._identities.items() if k not in self.absent}
        plan = pd.DataFrame(rows)
        key = [plan["kind"], plan["task"].fillna("")]
        done = plan["seconds"].notna()
        passed, spent = (v.groupby(key).transform("sum") for v in (plan["passes"].where(done), plan["seconds"]))
        measured = passed / spent
        assumed = plan["kind"].map(self.spec.get("images_per_second", {}))
        speed = measured.where(measured > 0, assumed)
        plan["minutes"] = plan["seconds"].fillna(plan["passes"] / speed) / 60
        return plan.drop(columns=["seconds"])

    def results(self) -> pd.DataFrame:
        """Return the test metrics of the study's finished runs: study, experiment, and `runs.read_all`'s columns."""
        tagged = pd.DataFrame(
            [(e, runs.run_id(c)) for e, c in self._downstream()], columns=["experiment", "run"]
        ).drop_duplicates()
        values = runs.read_all(tagged["run"].unique().tolist())
        found = tagged.merge(values, on="run")
        found.insert(0, "study", self.name)
        return found

    def headline(self) -> pd.DataFrame:
        """Return the rows of `results()` that the papers' figures show: the `reported` metrics of each task kind."""
        results = self.results()
        shown = [(t, m) for t in self.tasks for m in TASKS[self._card(t).task].reported]
        return results[pd.MultiIndex.from_frame(results[["task", "metric"]]).isin(shown)].reset_index(drop=True)

    def history(self) -> pd.DataFrame:
        """Return the epochs of the study's finished downstream runs, one row a run and epoch.

        Columns: experiment, run, mode, task, pretraining, fraction, seed, and those of `runs.history`, with samples:
        the images seen until the end of the epoch.
        """
        parts = []
        for experiment, config in self._downstream():
            rid = runs.run_id(config)
            if runs.state_is_done(rid):
                head = {k: config[k] for k in ("mode", "task", "pretraining", "fraction", "seed")}
                epochs = runs.history(rid)
                seen = (epochs["epoch"] + 1) * passes(config) / config["recipe"]["epochs"]
                parts.append(epochs.assign(experiment=experiment, run=rid, samples=seen, **head))
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=HISTORY)

    @property
    def curves(self) -> pd.DataFrame:
        """The mean training loss by images seen of each cell: `convergence.mean_curves` of the history."""
        return convergence.mean_curves(self.history())

    def size_adjustment(self) -> SizeAdjustment | None:
        """Return how to estimate RadNet pretraining at another size; None where the study lacks either corpus."""
        corpora = [self.spec["pretrainings"].get(name, {}).get("images") for name in SizeAdjustment.parents]
        return SizeAdjustment(*corpora) if all(corpora) else None

    def names(self) -> Names:
        """Return display names: pretrainings, tasks and experiments by their `title`, Dice by the name of its class."""
        titled = Names(NAMES)
        for table in (self.spec["pretrainings"], self.spec["tasks"], self.spec["experiments"]):
            titled |= {k: v["title"] for k, v in table.items() if "title" in v}
        for task in self.tasks:
            titled |= {f"{task}/dice_{i}": f"Dice, {c}" for i, c in enumerate(self._card(task).classes) if i}
        return titled

    def _card(self, task: str) -> cards.DataCard:
        return cards.DATASETS[self.spec["tasks"][task]["dataset"]]

    def missing(self) -> pd.DataFrame:
        """Return the rows of `plan()` that are not done."""
        plan = self.plan()
        return plan[plan["state"] != "done"].reset_index(drop=True)


def passes(config: dict[str, Any]) -> float:
    """Return how many images (pretraining: views) a run sends through the model in training; NaN if not known."""
    images = config["data"].get("images") or cards.DATASETS[config["data"]["name"]].counts.get("train", float("nan"))
    views = 2 if config["kind"] == "pretrain" else config["fraction"]
    return views * images * config["recipe"]["epochs"]


def _seconds(rid: str) -> float:
    return runs.read_json(runs.folder(rid) / "status.json").get("seconds", float("nan"))


def _recipe(entry: dict[str, Any]) -> dict[str, Any]:
    changes = dict(entry)
    return recipe(changes.pop("base"), **changes).to_dict()


def run_all(configs: list[dict[str, Any]], study: Study) -> list[str]:
    """Do the runs of `configs`, each after the pretraining it starts from, and return their ids.

    What is done is not done again; a run that another process works on is waited for.
    """
    from tlkit.training.run import run

    ids = []
    for config in configs:
        if config.get("weights") and not runs.state_is_done(config["weights"]["run"]):
            run(study.pretrain(config["pretraining"]), wait=True)
        run(config, wait=True)
        ids.append(runs.run_id(config))
    return ids
