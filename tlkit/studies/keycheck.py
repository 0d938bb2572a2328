"""Every key and value of a study, of its entries and of their recipes, groups and options against its declaration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tlkit import plugins
from tlkit.config import TlkitError, lookup, merge, nearest
from tlkit.datasets.cards import DATASETS
from tlkit.datasets.options import declaration
from tlkit.declared import Fault, Keys, check, known
from tlkit.studies import schema
from tlkit.studies.faults import Faults
from tlkit.studies.own import OwnCards, OwnWeights, find_own
from tlkit.studies.schema import PARTS, Pretraining, Split, Study
from tlkit.training.augment import AUGMENTS
from tlkit.yamllines import Path


def check_keys(spec: dict[str, Any], faults: Faults) -> None:
    """Note unknown and missing keys, and values of another type or out of range, of the study and of every entry."""
    own, found = find_own(spec["datasets"]) if _is(spec, "datasets") else ({}, [])
    found += check(Study, spec, (), own)
    found += check(Split, spec["split"], ("split",)) if _is(spec, "split") else []
    for name, changes in _each(spec, "splits"):
        both = {"seed": 0, **changes}
        found += check(Split, both, ("splits", name))
    for name, parameters in _each(spec, "phantoms"):
        writer = DATASETS[name].phantom if name in DATASETS else None
        found += check(schema.phantom(writer), parameters, ("phantoms", name)) if writer else []
    for part, model in PARTS.items():
        for name, entry in _each(spec, part):
            found += _entry(model, entry, (part, name), own)
    for where, text in found:
        faults.add(where, text)
    for name, entry in _each(spec, "pretrainings"):
        for backbone, changes in _each(entry, "by_backbone"):
            where = ("pretrainings", name, "by_backbone", backbone)
            for key in changes.keys() - Pretraining.model_fields.keys():
                text = f"nothing reads this key.{nearest(key, Pretraining.model_fields)} {known(Pretraining)}"
                faults.add((*where, key), text)
            for place, text in _entry(Pretraining, at_backbone(entry, backbone), where, own):
                if place[4:5] and place[4] in changes:
                    faults.add(place, text, ("pretrainings", name, *place[4:]))


def _is(values: Any, key: str) -> bool:
    return isinstance(values, dict) and isinstance(values.get(key), dict)


def _each(values: Any, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the entries of a part that are keys and values."""
    return ((n, v) for n, v in values[key].items() if isinstance(v, dict)) if _is(values, key) else iter(())


def at_backbone(entry: dict[str, Any], backbone: str) -> dict[str, Any]:
    """Return a pretraining as it is with one backbone."""
    changes = entry["by_backbone"].get(backbone, {}) if _is(entry, "by_backbone") else {}
    return merge({k: v for k, v in entry.items() if k != "by_backbone"}, changes)


def _entry(model: type[Keys], entry: dict[str, Any], where: Path, own: OwnCards) -> list[Fault]:
    found = check(model, entry, where, own)
    found += check(OwnWeights, entry["weights"], (*where, "weights")) if _is(entry, "weights") else []
    recipes = [(("recipe",), entry.get("recipe"))]
    recipes += [((key, n), r) for key in ("recipes", "pretraining_recipes") for n, r in _each(entry, key)]
    for place, changes in recipes:
        found += _recipe(changes, (*where, *place)) if isinstance(changes, dict) else []
    if _is(entry, "groups") and not (more := check(schema.groups(), entry["groups"], (*where, "groups"))):
        found += _said((*where, "groups"), lambda: plugins.pseudolabels().settings(**entry["groups"]))
    elif _is(entry, "groups"):
        found += more
    if _is(entry, "split"):
        found += check(Split, {"seed": 0, **entry["split"]}, (*where, "split"))
    cards = {name: card for name, card in (DATASETS | own).items() if card}
    if _is(entry, "options") and entry.get("dataset") in list(cards):
        found += check(declaration(cards[entry["dataset"]]), entry["options"], (*where, "options"))
    return found


def _recipe(changes: dict[str, Any], where: Path) -> list[Fault]:
    found = check(schema.recipe(), changes, where)
    look = changes.get("augment")
    if isinstance(look, dict):
        return found + check(schema.augment(), look, (*where, "augment"))
    if isinstance(look, str):
        found += _said((*where, "augment"), lambda: lookup(look, AUGMENTS, "augmentation"))
    return found


def _said(where: Path, work: Callable[[], Any]) -> list[Fault]:
    """Return what the project's own check has against a value."""
    try:
        work()
    except TlkitError as error:
        return [(where, str(error))]
    return []
