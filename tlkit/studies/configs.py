"""A study file as a list of runs: the cross product of its pretrainings, tasks and experiments.

A study (`paper/studies/<name>.yaml`) names them once; its scales change sizes, epochs and seeds.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from functools import cache
from itertools import chain, product
from typing import Any

from tlkit import runs
from tlkit.config import canonical, lookup, merge
from tlkit.studies.resolve import own_input, resolve
from tlkit.studies.sources import StudyData
from tlkit.training.recipes import recipe


class StudyRuns(StudyData):
    """What a study file says at one scale, as the configs of runs."""

    @property
    def pretrainings(self) -> list[str]:
        """The pretrainings in the order of the study file."""
        return list(self.spec["pretrainings"])

    @property
    def tasks(self) -> list[str]:
        """The tasks in the order of the study file."""
        return list(self.spec["tasks"])

    @property
    def seeds(self) -> list[int]:
        """The study's seeds, and those that only some experiment has."""
        own = (e.get("seeds", []) for e in self.spec["experiments"].values())
        return list(dict.fromkeys(chain(self.spec["seeds"], *own)))

    def backbones(self, pretraining: str) -> list[str]:
        """Return the backbones that start from a pretraining, or from one that goes on from it; none for one not used.

        A task may name a backbone of its own; each pretraining that it starts from is then done with that one, too.
        """
        found: dict[str, None] = {}
        for experiment in self.spec["experiments"].values():
            pairs = self.pairs(experiment)
            found |= dict.fromkeys(self._backbone(task) for task, source in pairs if source == pretraining)
        for name, entry in self.spec["pretrainings"].items():
            if entry.get("after") == pretraining:
                found |= dict.fromkeys(self.backbones(name))
        return list(found)

    def _first(self, pretraining: str) -> str:
        return next(iter(self.backbones(pretraining)), self.spec["backbone"])

    def pairs(self, experiment: dict[str, Any]) -> list[tuple[str, str]]:
        """Return the (task, pretraining) of an experiment; its pretrainings are a list, or a list for each task."""
        chosen = experiment.get("pretrainings", self.pretrainings)
        if isinstance(chosen, dict):
            return [(task, source) for task, sources in chosen.items() for source in sources]
        return list(product(experiment.get("tasks", self.tasks), chosen))

    def _backbone(self, task: str) -> str:
        return self.spec["tasks"][task].get("backbone", self.spec["backbone"])

    def corpora(self, pretraining: str) -> list[str]:
        """Return the data sets that a pretraining reads; none for training from scratch."""
        entries = (e for backbone in self.backbones(pretraining) for e in self.corpus_entries(pretraining, backbone))
        return list(dict.fromkeys(entry["dataset"] for entry in entries))

    def corpus_entries(self, pretraining: str, backbone: str) -> list[dict[str, Any]]:
        """Return the entries whose images a pretraining uses: its own, or those of the ones that it names."""
        entry = self.entry(pretraining, backbone)
        return [e for e in [entry, *(self.entry(n, backbone) for n in entry.get("corpora", []))] if "dataset" in e]

    def redrawn(self, pretraining: str, backbone: str) -> bool:
        """Tell whether a pretraining, or one before it, reads images of a task that each run splits anew.

        It is then done for each seed with the split of that seed: else it would see what a run is tested on.
        """
        tested = {entry["dataset"] for entry in self.spec["tasks"].values()}
        own = self.corpus_entries(pretraining, backbone)
        if any(e["dataset"] in tested and self.split(e)["seed"] == "run" for e in own):
            return True
        before = self.entry(pretraining, backbone).get("after")
        return bool(before) and self.redrawn(before, backbone)

    def stores(self, dataset: str) -> list[tuple[int, dict[str, Any]]]:
        """Return the different sizes (px) and options of a data set's card that runs use."""
        data = (d for config in self.configs() for d in runs.corpora(config) if d["name"] == dataset)
        found = [(d["size"], d.get("options", {})) for d in data] or [(self.spec["size"], {})]
        return list({canonical(how): how for how in found}.values())

    def pretrain(self, pretraining: str, backbone: str = "", seed: int | None = None) -> dict[str, Any] | None:
        """Return the config of a pretraining run with `backbone` (default: the first of `backbones`).

        `seed`: that of the downstream run, for one that is `redrawn` (default: the first). None for what needs no run:
        training from scratch, and weights that others published.
        """
        backbone = backbone or self._first(pretraining)
        entry = self.entry(pretraining, backbone)
        drawn = (self.seeds[0] if seed is None else seed) if self.redrawn(pretraining, backbone) else None
        data = [self.data(e, drawn) for e in self.corpus_entries(pretraining, backbone)]
        if not data:
            return None
        more = {k: entry[k] for k in ("method", "images_per_epoch") if k in entry}
        if "after" in entry:
            more["weights"] = {"run": runs.run_id(self.pretrain(entry["after"], backbone, seed))}
        return {
            "kind": "pretrain",
            "pretraining": pretraining,
            "data": data if "corpora" in entry else data[0],
            "backbone": backbone,
            "recipe": recipe_dict(entry["recipe"]),
            "seed": entry.get("seed", self.spec.get("pretraining_seed", 42)),
            "compute": self.compute("pretrain"),
            **more,
        }

    def entry(self, pretraining: str, backbone: str) -> dict[str, Any]:
        """Return what the study says of a pretraining, with what it changes `by_backbone`."""
        entry = lookup(pretraining, self.spec["pretrainings"], "pretraining")
        return merge(entry, entry.get("by_backbone", {}).get(backbone, {}))

    def _weights(self, pretraining: str, backbone: str, seed: int) -> dict[str, Any] | None:
        """Return what a downstream run starts from: a pretraining run, a published checkpoint, or nothing."""
        config = self.pretrain(pretraining, backbone, seed)
        if config is not None:
            return {"run": runs.run_id(config)}
        entry = self.entry(pretraining, backbone)
        if "weights" not in entry:
            return None
        return self.checkpoint(entry["weights"], backbone) | ({"partial": True} if entry.get("partial") else {})

    def pretrain_configs(
        self, pretraining: str = "", method: str = "", backbones: Iterable[str] = ()
    ) -> list[dict[str, Any]]:
        """Return the configs of the pretraining runs that fit the filter, in the order in which they can be done."""
        names = [pretraining] if pretraining else self.pretrainings
        pairs = [(name, backbone) for name in names for backbone in backbones or self.backbones(name)]
        found = [self.pretrain(*pair, s) for pair in pairs for s in (self.seeds if self.redrawn(*pair) else [None])]
        return [c for c in found if c is not None and method in ("", c.get("method", "contrastive"))]

    def groupings(self, dataset: str) -> list[dict[str, Any]]:
        """Return the different settings of the pseudo-labels that pretrainings use of a data set."""
        data = (d for config in self.pretrain_configs() for d in runs.corpora(config) if d["name"] == dataset)
        found = {canonical(d["groups"]): d["groups"] for d in data if "groups" in d}
        return list(found.values())

    def lineage(self, pretraining: str, backbone: str = "", seed: int | None = None) -> list[dict[str, Any]]:
        """Return the configs of a pretraining and of all that it builds on, in the order in which they can be done.

        `seed`: as of `pretrain`.
        """
        config = self.pretrain(pretraining, backbone, seed)
        before = self.spec["pretrainings"][pretraining].get("after")
        return [*(self.lineage(before, backbone, seed) if before else []), *([config] if config else [])]

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
        found = self.downstream(pretraining, tasks, experiments, seeds)
        return list({runs.run_id(config): config for _, config in found}.values())

    def downstream(self, pretraining="", tasks=(), experiments=(), seeds=()) -> list[tuple[str, dict[str, Any]]]:
        """Return (experiment, config) of the runs of `finetune`; one that two experiments share comes twice."""
        for value, table, what in [
            *((t, self.spec["tasks"], "task") for t in tasks),
            *((e, self.spec["experiments"], "experiment") for e in experiments),
            *((s, dict.fromkeys(self.seeds), "seed") for s in seeds),
            *([(pretraining, self.spec["pretrainings"], "pretraining")] if pretraining else []),
        ]:
            lookup(value, table, what)
        found, start = [], cache(self._weights)  # many runs start from one pretraining
        for name, experiment in self.spec["experiments"].items():
            if experiments and name not in experiments:
                continue
            pairs = [
                (task, source)
                for task, source in self.pairs(experiment)
                if (not tasks or task in tasks) and pretraining in ("", source)
            ]
            own = [s for s in experiment.get("seeds", self.spec["seeds"]) if not seeds or s in seeds]
            axes = (experiment.get("fractions", [None]), experiment.get("lrs", [None]))
            for (task, source), seed, share, lr in product(pairs, own, *axes):
                weights = copy(start(source, self._backbone(task), seed))
                found.append((name, self._config(experiment, task, source, weights, seed, share, lr)))
        return found

    def _config(
        self,
        experiment: dict[str, Any],
        task: str,
        source: str,
        weights: dict[str, Any] | None,
        seed: int,
        fraction: float | None,
        lr: float | None,
    ) -> dict[str, Any]:
        entry, backbone = self.spec["tasks"][task], self._backbone(task)
        frozen = {"freeze": "encoder", "bn": experiment.get("bn", "frozen")} if experiment["mode"] == "lineval" else {}
        own = (experiment.get("recipes", {}).get(task, {}), experiment.get("pretraining_recipes", {}).get(source, {}))
        changes = experiment.get("recipe", {}) | own[0] | own[1] | frozen | ({} if lr is None else {"lr": lr})
        share = experiment.get("fraction", entry.get("fraction", 1)) if fraction is None else fraction
        entry, how = self.resolve(entry, {**entry["recipe"], **changes}, source, backbone)
        return {
            "kind": "finetune",
            "mode": experiment["mode"],
            "task": task,
            "task_kind": self.task_card(task).task,
            "pretraining": source,
            "fraction": float(share),
            "data": self.data(entry, seed),
            "weights": weights,
            "backbone": backbone,
            "recipe": recipe_dict(how),
            "seed": seed,
            "compute": self.compute("finetune"),
            **{k: entry[k] for k in ("images_per_epoch",) if k in entry},
        }

    def resolve(
        self, task: dict[str, Any], how: dict[str, Any], source: str, backbone: str
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return a task's entry and recipe with what "card" stands for in them, of the weights of `source`."""

        def own() -> dict[str, Any]:
            corpora = self.corpus_entries(source, backbone)
            return own_input(self.entry(source, backbone), corpora, self.spec["size"], backbone)

        return resolve(task, how, own)

    def compute(self, kind: str) -> dict[str, int]:
        """Return the threads of a process and the processes of a run of one kind (the study's `threads` and `gpus`)."""
        gpus = self.spec.get("gpus", 1)
        processes = gpus.get(kind, 1) if isinstance(gpus, dict) else gpus
        return {"threads": self.spec.get("threads", 1), "processes": processes}

    def configs(self) -> list[dict[str, Any]]:
        """Return the configs of all runs, pretrainings first."""
        return self.pretrain_configs() + self.finetune()


def recipe_dict(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the recipe that an entry (`base` and what it changes) means, as a config holds it."""
    changes = dict(entry)
    return recipe(changes.pop("base"), **changes).to_dict()
