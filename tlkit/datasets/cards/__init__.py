"""What each data set is, where it comes from, and what to do when it is not there: one card each."""

from __future__ import annotations

import pandas as pd

from tlkit import paths
from tlkit.datasets.cards.archives import RADIOLOGYNET, RADNET
from tlkit.datasets.cards.card import (
    NAMED,
    PHANTOM_FACTS,
    DataCard,
    MissingDataError,
    UnreadableFile,
    present,
    visible,
    visible_files,
    where,
)
from tlkit.datasets.cards.ct import COVID_CT, LITS, LITS_PNG, LUNA16
from tlkit.datasets.cards.mr import BRAIN_TUMOR_MRI, BRATS
from tlkit.datasets.cards.natural import IMAGENET, NATURAL_IMAGES
from tlkit.datasets.cards.xray import CHESTXRAY, COVID_RADIOGRAPHY, GRAZPEDWRI, RSNA_BONE_AGE

__all__ = [
    "DATASETS", "NAMED", "PHANTOM_FACTS", "DataCard", "MissingDataError", "UnreadableFile", "overview", "present",
    "visible", "visible_files", "where",
]  # fmt: skip

DATASETS: dict[str, DataCard] = {
    card.name: card
    for card in (
        IMAGENET,
        RADNET,
        RADIOLOGYNET,
        LITS,
        LITS_PNG,
        LUNA16,
        BRATS,
        CHESTXRAY,
        COVID_RADIOGRAPHY,
        RSNA_BONE_AGE,
        GRAZPEDWRI,
        BRAIN_TUMOR_MRI,
        COVID_CT,
        NATURAL_IMAGES,
    )
}


def overview() -> pd.DataFrame:
    """Return one row a data set: what it is, its licence, how to get it, and whether it is present."""
    root = paths.data_root()
    rows = [
        {
            "name": card.name,
            "domain": card.domain,
            "task": card.task,
            "present": "yes" if present(card, root) else "no",
            "phantom": "yes" if card.phantom else "no",
            "licence": card.licence,
            "source": card.source,
        }
        for card in DATASETS.values()
    ]
    return pd.DataFrame(rows)
