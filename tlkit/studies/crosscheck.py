"""What a study says, held against itself and against what there is: names, and what does not go together."""

from __future__ import annotations

from typing import Any

from tlkit import paths
from tlkit.config import ConfigError, canonical, lookup
from tlkit.datasets import layout_of, splits
from tlkit.datasets.cards import DATASETS
from tlkit.models import weight_list
from tlkit.models.backbones import check_name, smallest
from tlkit.models.heads import check_frozen
from tlkit.studies.arms import find_arms
from tlkit.studies.configs import StudyRuns
from tlkit.studies.faults import Faults
from tlkit.studies.keycheck import at_backbone
from tlkit.training.data import check_window, class_names
from tlkit.training.recipe import CARD, Recipe
from tlkit.training.recipes import every_recipe, recipe
from tlkit.training.tasks import base_kind, check_classes, check_monitor
from tlkit.yamllines import Path

MADE = ("dataset", "corpora")  # a pretraining with one of these is trained here
UNREAD = (
    "corpus", "classes", "images", "where", "options", "groups", "images_per_epoch", "after", "method", "recipe",
    "seed",
)  # fmt: skip


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
    for name, entry in spec["pretrainings"].items():
        for backbone in study.backbones(name) or [spec["backbone"]]:
            _check_pretraining(name, at_backbone(entry, backbone), backbone, study, faults)
    for name, entry in spec["tasks"].items():
        with faults.at("tasks", name, "classes"):
            _check_classes(entry, study)
    faults.stop()
    for name, entry in spec["tasks"].items():
        backbone = entry.get("backbone", spec["backbone"])
        with faults.at("tasks", name, "size", also=[("size",)]):
            if entry.get("size") != CARD:  # which differs by pretraining
                _check_size(backbone, entry.get("size", spec["size"]))
        with faults.at("tasks", name, "recipe"):
            _check_task_recipe(entry, entry["recipe"], study)
    faults.stop()
    for name, experiment in spec["experiments"].items():
        _check_recipes(name, experiment, study, faults)


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
        if any(k in entry for k in MADE):
            earlier[name] = entry
        with faults.at("pretrainings", name):
            if "weights" in entry and (both := [k for k in (*MADE, *UNREAD) if k in entry]):
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


def _check_pretraining(name: str, entry: dict[str, Any], backbone: str, study: StudyRuns, faults: Faults) -> None:
    """Note what is wrong with a pretraining as it is with one backbone."""
    spec, where, of = study.spec, ("pretrainings", name), ("pretrainings", name, "by_backbone", backbone)

    def at(*key: str):
        return faults.at(*where, *key, also=[(*of, *key)])

    with at():
        if both := [k for k in ("dataset", "classes", "images") if "corpora" in entry and k in entry]:
            raise ConfigError(f"`corpora` already says which images are used; take out {', '.join(both)}.")
        if not {"weights", *MADE} & set(entry) and (unread := [k for k in UNREAD if k in entry]):
            raise ConfigError(
                f"nothing is trained with {backbone}, since there is neither dataset nor corpora; add one, or take out "
                f"{', '.join(unread)}."
            )
    with at("partial"):
        if "partial" in entry and "weights" not in entry:
            raise ConfigError(f"only published `weights` can be partial, and with {backbone} there are none.")
    if not set(MADE) & set(entry):
        with at("weights"):
            if "weights" in entry:
                weight_list.find(entry["weights"], backbone)
        return
    named = [at_backbone(spec["pretrainings"][n], backbone) for n in entry.get("corpora", [])]
    corpora = [e for e in (entry, *named) if "dataset" in e]
    method = entry.get("method", "contrastive")
    with at("method"):
        if "corpora" in entry and method != "contrastive":
            raise ConfigError(f"{method} takes one data set, not `corpora`.")
    with at("recipe"):
        made = _made(entry.get("recipe", {}))
        for corpus in corpora:
            check_window(study.card(corpus), made)
        made.check_read(method)
        if method == "classification":
            check_monitor("multiclass", made.monitor)
        if made.normalise == CARD:
            raise ConfigError("normalise: card is for tasks, which start from weights; a pretraining says its own.")
    for key, work in (
        ("classes", lambda: _check_classes(entry, study)),
        ("method", lambda: _check_method(entry, method, study)),
        ("groups", lambda: _check_groups(entry, study)),
        ("images_per_epoch", lambda: _check_epoch(entry, corpora)),
    ):
        with at(key):
            work()
    with faults.at(*where, "size", also=[(*of, "size"), ("size",)]):
        for corpus in corpora:
            _check_size(backbone, corpus.get("size", spec["size"]))


def _made(changes: dict[str, Any]) -> Recipe:
    if "base" not in changes:
        raise ConfigError(f"lacks `base`, the recipe that is changed. Allowed: {', '.join(every_recipe())}.")
    return recipe(changes["base"], **{k: v for k, v in changes.items() if k != "base"})


def _check_size(backbone: str, size: int) -> None:
    if size < smallest(backbone):
        raise ConfigError(f"{backbone} needs images of at least {smallest(backbone)} pixels, found {size}.")


def _check_classes(entry: dict[str, Any], study: StudyRuns) -> int | None:
    """Return how many classes an entry with a data set has, where that is known; raise for a choice of no use."""
    if "dataset" not in entry or entry.get("groups"):
        return None
    card, chosen = study.card(entry), entry.get("classes")
    kind = base_kind(card.task)
    if chosen is not None and kind in ("segmentation", "regression"):
        raise ConfigError(f"'{card.name}' is a task of {card.task} and has no classes to choose; take this out.")
    if isinstance(chosen, list) and kind != "multilabel":
        raise ConfigError(f"'{card.name}' takes a number of classes, or {{every: step}}; found a list.")
    if isinstance(chosen, int) and card.classes and kind != "multilabel" and chosen > len(card.classes):
        raise ConfigError(f"expected at most {len(card.classes)}, the classes of '{card.name}', found {chosen}.")
    if not (card.classes or kind == "regression"):
        return chosen if isinstance(chosen, int) else None
    data = {"name": card.name, "classes": chosen, "options": entry.get("options"), **study.own_card(card.name)}
    return len(class_names(data, None))


def _check_method(entry: dict[str, Any], method: str, study: StudyRuns) -> None:
    if method == "classification" and "dataset" in entry and not entry.get("groups"):
        card = study.card(entry)
        if base_kind(card.task) not in ("multiclass", "binary"):
            raise ConfigError(f"'{card.name}' is a task of {card.task}: an image has no one class to learn.")
        if (count := _check_classes(entry, study)) is not None:
            check_classes("multiclass", count)


def _check_groups(entry: dict[str, Any], study: StudyRuns) -> None:
    if entry.get("groups") is None:
        return
    having = [c.name for c in (*DATASETS.values(), *study.own.values()) if layout_of(c).reports]
    if entry.get("dataset") not in having:
        raise ConfigError(f"pseudo-labels need headers and reports. These archives have them: {', '.join(having)}.")


def _check_epoch(entry: dict[str, Any], corpora: list[dict[str, Any]]) -> None:
    images = [c.get("images") for c in corpora]
    if entry.get("images_per_epoch", 0) > (sum(images) if all(images) else float("inf")):
        raise ConfigError(f"expected at most {sum(images)}, the images there, found {entry['images_per_epoch']}.")


def _check_recipes(name: str, experiment: dict[str, Any], study: StudyRuns, faults: Faults) -> None:
    """Note recipes that an experiment makes of its tasks' and that can't be."""
    seen = set()
    for task, source in study._pairs(experiment):
        entry, lineval = study.spec["tasks"][task], experiment["mode"] == "lineval"
        changes = experiment.get("recipe", {}) | experiment.get("recipes", {}).get(task, {})
        changes |= experiment.get("pretraining_recipes", {}).get(source, {})
        changes |= {"freeze": "encoder", "bn": experiment.get("bn", "frozen")} if lineval else {}
        backbone = entry.get("backbone", study.spec["backbone"])
        whole = {**entry["recipe"], **changes}
        with faults.at("pretrainings", source, "weights"):
            entry, whole = study.resolve(entry, whole, source, backbone)
        if CARD in (entry.get("size"), whole.get("normalise")):  # nothing says what the weights saw
            continue
        if (key := (task, entry.get("size"), canonical(whole))) in seen:
            continue
        seen.add(key)
        places = [("experiments", name, "recipe"), ("experiments", name), ("tasks", task, "recipe")]
        own = ("experiments", name, "recipes", task)
        with faults.at(*own, also=places):
            _check_size(backbone, entry.get("size", study.spec["size"]))
            made = _check_task_recipe(entry, whole, study)
            if not lineval and made.freeze == "encoder":
                raise ConfigError("recipe.freeze is 'encoder', which is what mode lineval does; take it out.")


def _check_task_recipe(entry: dict[str, Any], changes: dict[str, Any], study: StudyRuns) -> Recipe:
    card = study.card(entry)
    made, count = _made(changes), _check_classes(entry, study)
    check_frozen(made.freeze, made.bn)
    check_window(card, made)
    if count is not None:
        check_classes(card.task, count)
    made.check_read(base_kind(card.task))
    check_monitor(card.task, made.monitor)
    if made.class_weights is not None and count not in (None, len(made.class_weights)):
        raise ConfigError(f"class_weights: expected {count}, one a class, found {len(made.class_weights)}.")
    return made
