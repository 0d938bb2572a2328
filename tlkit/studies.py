"""A study file becomes a list of runs: what is done, what is missing, and the minutes left.

A study (`paper/studies/<name>.yaml`) names its pretrainings, tasks and experiments once; its scales change sizes,
epochs and seeds. The cross product is the list of runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, product
from typing import Any

import pandas as pd

from tlkit import paths, runs, studyfile
from tlkit.analysis import convergence
from tlkit.analysis.adjusted import SizeAdjustment
from tlkit.config import Names, lookup
from tlkit.datasets import cards, identity
from tlkit.report.style import NAMES
from tlkit.training.recipe import recipe
from tlkit.training.tasks import TASKS

HISTORY = ["experiment", "run", "mode", "task", "pretraining", "fraction", "seed", "epoch", "samples", "loss"]


def load(name: str, scale: str = "quick", data: str = "") -> Study:
    """Return the study `name` at `scale`; `data` ("phantom" or "real") overrides what the scale says.

    Raises: as `studyfile.read` does.
    """
    return Study(name, scale, studyfile.read(name, scale, data))


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

    @property
    def seeds(self) -> list[int]:
        """The study's seeds, and those that only some experiment has."""
        own = (e.get("seeds", []) for e in self.spec["experiments"].values())
        return list(dict.fromkeys(chain(self.spec["seeds"], *own)))

    def corpora(self, pretraining: str) -> list[str]:
        """Return the data sets that a pretraining reads; none for training from scratch."""
        return [entry["dataset"] for entry in self._corpora(pretraining)]

    def _corpora(self, pretraining: str) -> list[dict[str, Any]]:
        """Return the entries whose images a pretraining uses: its own, or those of the ones that it names."""
        table = self.spec["pretrainings"]
        entry = lookup(pretraining, table, "pretraining")
        return [e for e in [entry, *(table[name] for name in entry.get("corpora", []))] if "dataset" in e]

    def phantom_parameters(self, dataset: str) -> dict[str, Any] | None:
        """Return the parameters that make this study's phantom of a data set; None where the data are real."""
        return dict(lookup(dataset, self.spec["phantoms"], "phantom of this study")) if self.phantom else None

    def data(self, entry: dict[str, Any], seed: int | None = None) -> dict[str, Any]:
        """Return what decides the data of a run: identity, image size, split, and how many classes and images.

        A split of seed "run" is redrawn by every downstream run, by its `seed`; pretrainings share one.
        """
        dataset = entry["dataset"]
        chosen = {k: entry[k] for k in ("classes", "images", "fraction_by") if entry.get(k) is not None}
        if dataset not in self._identities:
            self._identities[dataset] = self._identity(dataset)
        split = self.spec["split"] | self.spec.get("splits", {}).get(dataset, {})
        if split["seed"] == "run":
            split = {**split, "seed": self.spec.get("pretraining_seed", 42) if seed is None else seed}
        return {**self._identities[dataset], "size": self.spec["size"], "split": split, **chosen}

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
        data = [self.data(entry) for entry in self._corpora(pretraining)]
        if not data:
            return None
        entry, more = self.spec["pretrainings"][pretraining], {}
        if "after" in entry:
            more["weights"] = {"run": runs.run_id(self.pretrain(entry["after"]))}
        if "images_per_epoch" in entry:
            more["images_per_epoch"] = entry["images_per_epoch"]
        return {
            "kind": "pretrain",
            "pretraining": pretraining,
            "data": data if "corpora" in entry else data[0],
            "backbone": self.spec["backbone"],
            "recipe": _recipe(entry["recipe"]),
            "seed": self.spec.get("pretraining_seed", 42),
            **more,
        }

    def lineage(self, pretraining: str) -> list[dict[str, Any]]:
        """Return the configs of a pretraining and of all that it builds on, in the order in which they can be done."""
        config = self.pretrain(pretraining)
        before = self.spec["pretrainings"][pretraining].get("after")
        return [*(self.lineage(before) if before else []), *([config] if config else [])]

    def finetune(
        self,
        pretraining: str = "",
        tasks: Iterable[str] = (),
        experiments: Iterable[str] = (),
        seeds: Iterable[int] = (),
    ) -> list[dict[str, Any]]:
        """Return the configs of the downstream runs that fit the filter; an empty filter lets all through.

        A run that two experiments share comes once. Raises: UnknownNameError for a pretraining, task, experiment or
        seed that the study does not have.
        """
        found = self._downstream(pretraining, tasks, experiments, seeds)
        return list({runs.run_id(config): config for _, config in found}.values())

    def _downstream(self, pretraining="", tasks=(), experiments=(), seeds=()) -> list[tuple[str, dict[str, Any]]]:
        for value, table, what in [
            *((t, self.spec["tasks"], "task") for t in tasks),
            *((e, self.spec["experiments"], "experiment") for e in experiments),
            *((s, dict.fromkeys(self.seeds), "seed") for s in seeds),
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
            own = [s for s in experiment.get("seeds", self.spec["seeds"]) if not seeds or s in seeds]
            for task, source, seed in product(wanted, sources, own):
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
            "fraction": float(experiment.get("fraction", entry.get("fraction", 1))),
            "data": self.data(entry, seed),
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
        planned: dict[str, tuple[str, dict[str, Any]]] = {}
        for experiment, config in pre + self._downstream():
            planned.setdefault(runs.run_id(config), (experiment, config))  # a shared run counts in its first experiment
        for rid, (experiment, config) in planned.items():
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
            card = self._card(task)
            parts = card.options.get("regions", card.classes[1:])
            titled |= {f"{task}/dice_{i}": f"Dice, {part}" for i, part in enumerate(parts, 1)}
        return titled

    def _card(self, task: str) -> cards.DataCard:
        return cards.DATASETS[self.spec["tasks"][task]["dataset"]]

    def missing(self) -> pd.DataFrame:
        """Return the rows of `plan()` that are not done."""
        plan = self.plan()
        return plan[plan["state"] != "done"].reset_index(drop=True)


def passes(config: dict[str, Any]) -> float:
    """Return how many images (pretraining: views) a run sends through the model in training; NaN if not known."""
    images = config.get("images_per_epoch") or sum(map(_images, runs.corpora(config)))
    views = 2 if config["kind"] == "pretrain" else config["fraction"]
    return views * images * config["recipe"]["epochs"]


def _images(data: dict[str, Any]) -> float:
    """Return the number of training images: what the config says, or what the card counts, of as many classes."""
    if data.get("images"):
        return data["images"]
    classes = data.get("classes")
    of = classes["every"] if isinstance(classes, dict) else 1
    return cards.DATASETS[data["name"]].counts.get("train", float("nan")) / of


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

    for config in configs:
        for needed in [*study.lineage(config["pretraining"]), config]:
            if not runs.state_is_done(runs.run_id(needed)):
                run(needed, wait=True)
    return [runs.run_id(config) for config in configs]
