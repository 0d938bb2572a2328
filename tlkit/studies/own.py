"""What a study brings itself, in its file and in no card: data sets, and weights."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from tlkit.config import nearest
from tlkit.datasets.cards import DATASETS, DataCard, own_card
from tlkit.datasets.layout import layout
from tlkit.datasets.options import declaration
from tlkit.declared import Fault, Keys, apart, check, one_of
from tlkit.models.key_rules import RULES
from tlkit.models.weights import STEMS
from tlkit.studies.values import Count, Positive, Size, Text, Three, Two, key, many
from tlkit.training.tasks import base_kind, find_kind
from tlkit.yamllines import show_value

OwnCards = dict[str, DataCard | None]  # by name; None for one that is not in order


def _layout(value: str) -> str:
    layout(value)
    return value


def _kind(value: str) -> str:
    if value != "none":
        find_kind(value)
    return value


class OwnDataset(Keys):
    """each of datasets that is one of yours, in place of a file in tlkit/datasets/cards"""

    layout: Annotated[str, AfterValidator(_layout)] = key("how its files lie: class_folders ..., or MODULE:LAYOUT")
    folder: Text = key("below TLKIT_DATA, which may move, or an absolute path")
    task: Annotated[str, AfterValidator(_kind)] = key("multiclass, binary ..., none, or MODULE:CLASS")
    title: Text = key("name in figures", "")
    classes: many(Text) = key("names in the order of the labels; default: as found, sorted", [])
    options: dict[str, Any] = key("of the layout, such as channels, patient, range", {})
    domain: Text = key("natural, CT, MR, CR, XA or RF", "")
    counts: dict[str, Count] = key("of images, for `plan` where the files are not there", {})
    licence: Text = key("whose images these are, and who may use them", "")
    source: Text = key("where they come from", "")


class OwnWeights(Keys):
    """weights of a pretraining that are a file of yours, in place of a file in tlkit/models/cards"""

    file: Text = key("below TLKIT_WEIGHTS, or an absolute path; fills the whole encoder, or say `partial`")
    rules: list[Annotated[str, one_of(RULES, "key rule")] | Two] = key(
        "from the file's names to the encoder's: children ..., or [prefix in the file, prefix in the encoder]", []
    )
    prefix: Text = key("of the encoder's names, in a file of several models; the others are left", "")
    stem: Annotated[str, one_of(STEMS, "stem")] = key("repeat or sum, for a first convolution of other channels", "")
    mean: Three = key("of the input, for `normalise: card`", [])
    std: Annotated[list[Positive], Field(min_length=3, max_length=3)] = key("of the input", [])
    size: Size = key("pixels of the input, for `size: card`", 8)
    input_range: Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(apart)] = key(
        "values of black and white before mean and std, 0 and 1 where not said", []
    )
    intensity: Annotated[str, one_of(("range", "minmax"), "intensity")] = key("one scale for all images, or each", "")
    channels: Annotated[str, one_of(("RGB", "grey"), "channels of weights")] = key("grey: one written thrice", "")


NAMED = {"segmentation": "the background first", "multilabel": "columns of 0 and 1"}  # what has no classes to be found


def find_own(datasets: dict[str, Any]) -> tuple[OwnCards, list[Fault]]:
    """Return the cards that a study says of data sets under `datasets`, and what is wrong there."""
    own: OwnCards = {}
    found: list[Fault] = []
    for name, said in datasets.items():
        if isinstance(said, dict):
            own[name], faults = _find_card(name, said)
            found += [(("datasets", name, *where), text) for where, text in faults]
        elif name not in DATASETS:
            text = f"unknown data set {show_value(name)}.{nearest(name, DATASETS)} Allowed: {', '.join(DATASETS)}."
            found.append((("datasets", name), text))
    return own, found


def _find_card(name: str, said: dict[str, Any]) -> tuple[DataCard | None, list[Fault]]:
    if name in DATASETS:
        return None, [((), f"'{name}' has a card in tlkit/datasets/cards; take another name.")]
    if faults := check(OwnDataset, said, ()):
        return None, faults
    if "classes" not in said and (kind := base_kind(said["task"])) in NAMED:
        return None, [((), f"lacks `classes`: a {kind} task needs their names, {NAMED[kind]}.")]
    card = own_card(name, said)
    return card, check(declaration(card), said.get("options", {}), ("options",))
