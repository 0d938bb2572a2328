"""What a study file says at one scale: read, laid over its common part, and checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from tlkit import paths
from tlkit.config import ConfigError, lookup, nearest
from tlkit.datasets.cards import DATASETS

KEYS = {
    "name", "title", "source", "data", "backbone", "size", "seeds", "split", "splits", "phantoms", "pretrainings",
    "tasks", "experiments", "figures", "job", "images_per_second", "gpus", "threads", "pretraining_seed",
}  # fmt: skip
ENTRY_KEYS = {
    "pretrainings": (
        "title", "of", "dataset", "classes", "images", "where", "groups", "images_per_epoch", "corpora", "after",
        "method", "weights", "size", "recipe", "by_backbone",
    ),
    "tasks": (
        "title", "of", "dataset", "classes", "images", "where", "balance", "fraction", "fraction_by", "backbone",
        "size", "recipe",
    ),
    "experiments": (
        "title", "mode", "fraction", "fractions", "tasks", "pretrainings", "seeds", "lrs", "bn", "recipe", "recipes",
        "pretraining_recipes",
    ),
}  # fmt: skip
MODES = ("finetune", "lineval")


class StudyError(ConfigError):
    """A study file says something that cannot be run."""


def names() -> list[str]:
    return sorted(p.stem for p in paths.STUDIES.glob("*.yaml"))


def read(name: str, scale: str, data: str = "") -> dict[str, Any]:
    """Return what the study `name` says at `scale`; `data` ("phantom" or "real") overrides what the scale says.

    Raises: UnknownNameError for a study, scale, task, pretraining or mode that does not exist; StudyError for a key
    that nobody reads and for a pretraining that cannot be made.
    """
    path = lookup(name, {n: paths.STUDIES / f"{n}.yaml" for n in names()}, "study")
    text = yaml.safe_load(path.read_text())
    common, over = text["common"], lookup(scale, text["scales"], "scale")
    spec = merge(common, over)
    for part in ("pretrainings", "tasks"):
        spec[part] = _entries(common[part], over.get(part, {}), spec[part], f"{path.name}, {part}")
    if data:
        spec["data"] = lookup(data, {"phantom": "phantom", "real": "real"}, "kind of data")
    spec = {"name": name, **spec}
    _check_keys(spec, sorted(KEYS), path.name)
    for part, keys in ENTRY_KEYS.items():
        for entry, values in spec[part].items():
            _check_keys(values, keys, f"{path.name}, {part}, {entry}")
    for entry, values in spec["tasks"].items():
        if "dataset" not in values:
            raise StudyError(
                f"{path.name}, tasks, {entry}: lacks a dataset. `dataset: NAME`, or `of: TASK`, gives one."
            )
    for entry in spec["pretrainings"]:
        _check_pretraining(entry, spec["pretrainings"], f"{path.name}, pretrainings, {entry}")
    for entry in spec["experiments"].values():
        _check_names(entry, spec)
    for dataset in spec.get("splits", {}):
        lookup(dataset, DATASETS, "data set")
    return spec


def _entries(common: dict, over: dict, merged: dict, where: str) -> dict[str, dict[str, Any]]:
    """Return the entries of one part; one that is `of` an earlier one starts as what that is at this scale."""
    found: dict[str, dict[str, Any]] = {}
    for name, entry in merged.items():
        base = lookup(entry["of"], found, f"earlier entry ({where}, {name})") if "of" in entry else {}
        found[name] = merge(merge(base, common.get(name, {})), over.get(name, {}))
    return found


def _check_keys(values: dict[str, Any], known: Iterable[str], where: str) -> None:
    for key in set(values) - set(known):
        raise StudyError(f"{where}: nothing reads '{key}'.{nearest(key, known)} Known keys: {', '.join(known)}.")


def _check_pretraining(name: str, pretrainings: dict[str, dict[str, Any]], where: str) -> None:
    """Raise for images said twice, and for the name of a pretraining that has none to lend or comes too late."""
    entry = pretrainings[name]
    if both := [k for k in ("dataset", "classes", "images") if "corpora" in entry and k in entry]:
        raise StudyError(f"{where}: `corpora` already says which images are used; take out {', '.join(both)}.")
    for corpus in entry.get("corpora", []):
        lookup(corpus, {k: v for k, v in pretrainings.items() if "dataset" in v}, f"corpus ({where})")
    if "weights" in entry and ({"dataset", "corpora", "after"} & set(entry)):
        raise StudyError(f"{where}: published `weights` are not trained here; take out dataset, corpora and after.")
    if "after" in entry:
        earlier = dict(list(pretrainings.items())[: list(pretrainings).index(name)])
        made = {k: v for k, v in earlier.items() if "dataset" in v or "corpora" in v}
        lookup(entry["after"], made, f"earlier pretraining ({where})")


def _check_names(experiment: dict[str, Any], spec: dict[str, Any]) -> None:
    """Raise UnknownNameError for a mode, task or pretraining in an experiment that would lead nowhere."""
    lookup(experiment["mode"], dict.fromkeys(MODES), "mode")
    sources, by_task = experiment.get("pretrainings", []), {}
    if isinstance(sources, dict):
        sources, by_task = [name for names in sources.values() for name in names], sources
    for name in [*experiment.get("tasks", []), *experiment.get("recipes", []), *by_task]:
        lookup(name, spec["tasks"], "task")
    for name in [*sources, *experiment.get("pretraining_recipes", [])]:
        lookup(name, spec["pretrainings"], "pretraining")


def merge(base: Any, over: Any) -> Any:
    """Return `base` with `over` laid on it: dicts key by key, everything else replaced; None removes a key."""
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    merged = {
        k: merge(base[k], over[k]) if k in base and k in over else over.get(k, base.get(k)) for k in {**base, **over}
    }
    return {k: v for k, v in merged.items() if not (k in over and over[k] is None)}
