"""Table 1 of the RadiologyNET study: medical image data sets that one could pretrain on, from the project's cards."""

from __future__ import annotations

import textwrap

import pandas as pd

from tlkit.datasets import DATASETS, DataCard
from tlkit.models.weight_list import WEIGHTS

NATURAL = "natural"
ACCESS = 90  # characters of the first step to get a set; `python -m tlkit data` and MissingDataError say all of them
EXPORTS = ("lits-png",)  # another export of a set that has its own row
# radiologynet2025 0.1; the card's classes are modalities.
PSEUDO = {"radiologynet": "36 pseudo-labels (groups of a clustering)"}
WORDS = {
    "multiclass": "{n} classes",
    "binary": "{n} classes",
    "multilabel": "{n} findings",
    "segmentation": "masks of {n}",
    "regression": "a number",
    "none": "none",
}
NUMBERS = {"Images": ",.0f", "Volumes": ",.0f", "Patients": ",.0f", "Published weights": ".0f"}  # for `save_table`
# No card: this project does not read it, but its published weights can be started from.
RADIMAGENET = {
    "Data set": "RadImageNet: key images of one outpatient facility, labelled by 20 radiologists",
    "Modalities": "CT, MR, US",
    "Images": 1_350_000.0,
    "Volumes": float("nan"),
    "Patients": 131_872.0,
    "Labels": "165 pathologies",
    "Access": "By request and agreement, see the source",
    "Source": "Mei et al. Radiol Artif Intell 4 (2022), e210315, doi 10.1148/ryai.210315",
}


def medical_sets() -> pd.DataFrame:
    """Return one row per medical data set: what it shows, how much of it there is, who may use it; most images first.

    Images are slices of CT archives too; Volumes are volumes or series, where those are what is counted. NaN: not
    stated. Published weights: how many checkpoints that were trained on it have a card in WEIGHTS.
    Source: Sci Rep 2025 (RadiologyNET), Table 1; its cells are not in the text, so these are the cards' facts.
    """
    rows = [_row(card) for card in DATASETS.values() if card.domain != NATURAL and card.name not in EXPORTS]
    card = next(w for name, w in WEIGHTS.items() if name.startswith("radimagenet/"))
    rows.append({**RADIMAGENET, "Licence": card.licence, "Published weights": _weights("radimagenet")})
    found = pd.DataFrame(rows).sort_values("Images", ascending=False, kind="stable", na_position="last")
    columns = ["Data set", "Modalities", "Images", "Volumes", "Patients", "Labels", "Published weights", "Licence"]
    return found[[*columns, "Access", "Source"]].reset_index(drop=True)


def _row(card: DataCard) -> dict[str, str | float]:
    return {
        "Data set": card.title,
        "Modalities": card.domain,
        "Images": _count(card, "images", "slices"),
        "Volumes": _count(card, "volumes", "series"),
        "Patients": _count(card, "patients"),
        "Labels": PSEUDO.get(card.name) or WORDS[card.task].format(n=_labels(card)),
        "Licence": card.licence,
        "Access": textwrap.shorten(card.access[0].split(". ")[0].rstrip("."), ACCESS, placeholder=" ..."),
        "Source": card.source,
        "Published weights": _weights(card.name),
    }


def _count(card: DataCard, *names: str) -> float:
    """Return the first of the counts that the card has; of images also the sum of those of its classes."""
    found = [card.counts[name] for name in names if name in card.counts]
    if not found and "images" in names and card.classes and set(card.classes) <= set(card.counts):
        found = [sum(card.counts[name] for name in card.classes)]
    return float(found[0]) if found else float("nan")


def _labels(card: DataCard) -> int:
    background = card.task == "segmentation"
    return len(card.classes) - background


def _weights(name: str) -> float:
    """Return how many cards of weights are of the set; the authors of RadNet also published some of ImageNet."""
    return float(sum(key.startswith(f"{name}/") and "on ImageNet" not in w.title for key, w in WEIGHTS.items()))
