"""What each pretraining, task and experiment of a study asks of its images, its network and its recipe."""

from __future__ import annotations

from typing import Any

from tlkit.config import ConfigError, canonical
from tlkit.datasets import layout_of
from tlkit.datasets.cards import DATASETS
from tlkit.models import weight_list
from tlkit.models.backbones import smallest
from tlkit.models.heads import check_frozen
from tlkit.studies.configs import StudyRuns
from tlkit.studies.faults import Faults
from tlkit.studies.keycheck import at_backbone
from tlkit.training.data import check_window, class_names
from tlkit.training.recipe import CARD, Recipe
from tlkit.training.recipes import every_recipe, recipe
from tlkit.training.tasks import base_kind, check_classes, check_monitor

MADE = ("dataset", "corpora")  # a pretraining with one of these is trained here
UNREAD = (
    "corpus", "classes", "images", "where", "options", "groups", "images_per_epoch", "after", "method", "recipe",
    "seed",
)  # fmt: skip


def check_entries(study: StudyRuns, faults: Faults) -> None:
    """Note entries that could not be trained as they stand; all names in them lead somewhere."""
    spec = study.spec
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
    for task, source in study.pairs(experiment):
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
