"""Table 1: every medical card has its row, with the counts of the card."""

from __future__ import annotations

import numpy as np

from tlkit.datasets import DATASETS
from tlkit.figures.medical_sets import NUMBERS, medical_sets
from tlkit.report import save_table


def row(prefix: str):
    found = medical_sets()
    return found[found["Data set"].str.startswith(prefix)].iloc[0]


def test_every_medical_card_has_its_row():
    found = medical_sets()
    titles = [c.title for c in DATASETS.values() if c.domain != "natural" and c.name != "lits-png"]
    assert sorted(found["Data set"]) == sorted([*titles, row("RadImageNet")["Data set"]])
    assert found["Images"].dropna().is_monotonic_decreasing
    assert not found[["Modalities", "Labels", "Licence", "Access", "Source"]].eq("").any(axis=None)
    assert not found["Data set"].str.contains("ImageNet-1k|ILSVRC").any()


def test_counts_are_those_of_the_cards():
    assert row("ChestX-ray")[["Images", "Patients", "Labels"]].tolist() == [112_120, 30_805, "14 findings"]
    assert row("LiTS")["Volumes"] == 131 and np.isnan(row("LiTS")["Images"]) and row("LiTS")["Labels"] == "masks of 2"
    assert row("RadNet")["Published weights"] == 2 and row("RadNet")["Images"] == 12_034_617
    assert row("RadImageNet")[["Labels", "Published weights"]].tolist() == ["165 pathologies", 3]
    assert row("Brain Tumor MRI")["Labels"] == "4 classes"


def test_it_can_be_saved(tmp_path):
    facts = {"runs": [], "notebook": "48", "caption": "Sets.", "scale": "quick", "phantom": False}
    path = save_table(medical_sets(), "radiologynet", "table1", floats=NUMBERS, **facts)[1]
    text = path.read_text()
    assert "12,034,617" in text and "nan" not in text and "–" in text
