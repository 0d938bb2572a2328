"""What a study says, held against itself and against what there is: names, and what does not go together."""

from __future__ import annotations

from typing import Any

from tlkit import paths
from tlkit.config import ConfigError, lookup
from tlkit.datasets import splits
from tlkit.datasets.cards import DATASETS
from tlkit.models.backbones import check_name
from tlkit.studies import entrycheck
from tlkit.studies.arms import find_arms
from tlkit.studies.configs import StudyRuns
from tlkit.studies.faults import Faults
from tlkit.studies.keycheck import at_backbone
from tlkit.yamllines import Path


def check_study(spec: dict[str, Any], faults: Faults) -> None:
    """Note names that lead nowhere, and what does not go together; the values' types have been looked at."""
    _check_split(spec, faults)
    _check_same_split(spec, faults)
    study = StudyRuns(spec["name"], "", spec)
    _check_phantoms(study, faults)
    _check_backbones(spec, faults)
    _check_pretrainings(spec["pretrainings"], faults)
    for name, experiment in spec["experiments"].items():
        _check_experiment(name, experiment, spec, faults)
    books = [p.stem for p in sorted(paths.NOTEBOOKS.glob("*.ipynb"))]
    for figure in spec["figures"] if books else ():
        with faults.at("figures", figure):
            lookup(figure, dict.fromkeys(books), "notebook")
    _check_estimates(spec["estimates"], faults)
    faults.stop()
    _check_repeats(spec, faults)
    entrycheck.check_entries(study, faults)


def _check_split(spec: dict[str, Any], faults: Faults) -> None:
    for dataset in ("", *spec.get("splits", {})):
        where = ("splits", dataset) if dataset else ("split",)
        split = spec["split"] | spec.get("splits", {}).get(dataset, {})
        with faults.at(*where):
            splits.check_shares(**{k: split[k] for k in ("val", "test") if k in split})


def _check_same_split(spec: dict[str, Any], faults: Faults) -> None:
    """Note a task whose images are split otherwise than those of a pretraining on the same data set."""
    for name, entry in spec["tasks"].items():
        for pretraining, other in spec["pretrainings"].items():
            if other.get("dataset") == entry["dataset"] and (other.get("split") or {}) != (entry.get("split") or {}):
                with faults.at("tasks", name, "split"):
                    raise ConfigError(
                        f"pretraining {pretraining} has the same images, split otherwise, so it would be trained on "
                        "images that this task is tested on. Say the same `split` there, or say it in `splits`."
                    )


def _check_phantoms(study: StudyRuns, faults: Faults) -> None:
    spec = study.spec
    phantoms = spec.get("phantoms", {})
    for dataset in phantoms:
        with faults.at("phantoms", dataset):
            if study.card({"dataset": dataset}).phantom is None:
                having = ", ".join(c.name for c in DATASETS.values() if c.phantom)
                raise ConfigError(f"this data set has no phantom. These have one: {having}.")
    used: dict[str, Path] = {}
    for part in ("tasks", "pretrainings"):
        for name, entry in spec[part].items():
            entries = [entry, *(at_backbone(entry, b) for b in entry.get("by_backbone", {}))]
            used |= {e["dataset"]: (part, name, "dataset") for e in entries if "dataset" in e}
    for dataset, where in used.items() if spec["data"] == "phantom" else ():
        with faults.at(*where):
            if dataset in study.own:
                raise ConfigError(f"'{dataset}' has files of its own, and the data are phantoms. Say `data: real`.")
            if dataset not in phantoms:
                raise ConfigError(
                    f"`phantoms` lacks '{dataset}', and the data are phantoms. Say `{dataset}: {{seed: 1}}` there, or "
                    "`data: real`."
                )


def _check_backbones(spec: dict[str, Any], faults: Faults) -> None:
    said = [(("backbone",), spec["backbone"])]
    said += [(("tasks", n, "backbone"), e["backbone"]) for n, e in spec["tasks"].items() if "backbone" in e]
    for name, entry in spec["pretrainings"].items():
        said += [(("pretrainings", name, "by_backbone", b), b) for b in entry.get("by_backbone", {})]
    for where, name in said:
        with faults.at(*where):
            check_name(name)


def _check_pretrainings(entries: dict[str, dict[str, Any]], faults: Faults) -> None:
    """Note images said twice, and the name of a pretraining that has none to lend or comes too late."""
    earlier: dict[str, Any] = {}
    with_images = {k: v for k, v in entries.items() if "dataset" in v}
    for name, entry in entries.items():
        for i, corpus in enumerate(entry.get("corpora", [])):
            with faults.at("pretrainings", name, "corpora", i):
                lookup(corpus, with_images, "corpus")
        if "after" in entry:
            with faults.at("pretrainings", name, "after"):
                lookup(entry["after"], earlier, "earlier pretraining")
        if any(k in entry for k in entrycheck.MADE):
            earlier[name] = entry
        with faults.at("pretrainings", name):
            if "weights" in entry and (both := [k for k in (*entrycheck.MADE, *entrycheck.UNREAD) if k in entry]):
                raise ConfigError(f"published `weights` are not trained here; take out {', '.join(both)}.")


def _check_estimates(entries: dict[str, dict[str, Any]], faults: Faults) -> None:
    first = next((entry["between"] for entry in entries.values()), [])
    for name, entry in entries.items():
        if entry["between"] != first:
            faults.add(("estimates", name, "between"), f"expected {', '.join(first)}, as of the others.")


def _check_repeats(spec: dict[str, Any], faults: Faults) -> None:
    """Note a pretraining that repeats another one with the same seed: it would be the same run, counted twice."""
    drawn: dict[tuple, str] = {}
    for name, arm in find_arms(spec["pretrainings"]).items():
        entry = spec["pretrainings"][name]
        key = (arm, entry.get("seed", spec.get("pretraining_seed", 42)), entry.get("after"))
        if (twin := drawn.setdefault(key, name)) != name:
            faults.add(("pretrainings", name), f"repeats {twin} with the same seed; give it another `seed`.")


def _check_experiment(name: str, experiment: dict[str, Any], spec: dict[str, Any], faults: Faults) -> None:
    """Note a task or pretraining of an experiment that would lead nowhere, and keys that it does not read."""
    where, sources = ("experiments", name), experiment.get("pretrainings", [])
    tasks = [((*where, "tasks", i), t) for i, t in enumerate(experiment.get("tasks", []))]
    tasks += [((*where, "recipes", t), t) for t in experiment.get("recipes", {})]
    if isinstance(sources, dict):
        tasks += [((*where, "pretrainings", t), t) for t in sources]
        named = [((*where, "pretrainings", t, i), s) for t, of in sources.items() for i, s in enumerate(of)]
    else:
        named = [((*where, "pretrainings", i), s) for i, s in enumerate(sources)]
    named += [((*where, "pretraining_recipes", s), s) for s in experiment.get("pretraining_recipes", {})]
    for part, what, pairs in (("tasks", "task", tasks), ("pretrainings", "pretraining", named)):
        for place, value in pairs:
            with faults.at(*place):
                lookup(value, spec[part], what)
    with faults.at(*where, "rates_of"):
        lookup(experiment.get("rates_of", name), spec["experiments"], "experiment")
    for key, why in (
        ("tasks", "`pretrainings` already says the tasks" if isinstance(sources, dict) else ""),
        ("fraction", "`fractions` already says the shares" if "fractions" in experiment else ""),
        ("bn", "only mode lineval freezes the encoder" if experiment["mode"] != "lineval" else ""),
    ):
        with faults.at(*where, key):
            if key in experiment and why:
                raise ConfigError(f"{why}; take this out.")
