"""Phantoms of sets that anyone can fetch: their cards' readers take them for the real ones."""

from __future__ import annotations

import numpy as np
import pytest

from tlkit.datasets import DATASETS, layout_of, prepare
from tlkit.datasets.store import open_store
from tlkit.phantoms import write

TINY = {
    "imagenette": {"train": 2, "val": 1, "pixels": 32},
    "open-ms": {"patients": 2, "pixels": 24, "slices": 9},
    "pathmnist": {"classes": 9, "images": 8, "pixels": 16, "colour": True},
    "breastmnist": {"classes": 2, "images": 8, "pixels": 16},
}


@pytest.mark.parametrize("name", TINY)
def test_the_reader_takes_the_phantom_for_the_real_set(name, tmp_path):
    card = DATASETS[name]
    root = write.make(card.phantom, tmp_path, 3, **TINY[name])
    samples, rejects = layout_of(card).scan(root, card)
    assert rejects.empty and len(samples) >= 16
    size = sum(f.stat().st_size for f in root.rglob("*") if f.is_file() and f.name != "phantom.json")
    assert size < write.expected_bytes(card.phantom, **TINY[name])
    store = open_store(prepare(name, 16, {"seed": 3, **TINY[name]}))
    assert store.meta["title"].startswith("Phantom of")
    images, masks = store.take(np.arange(len(store)))
    assert images.float().std() > 0
    if card.task == "segmentation":
        assert {int(v) for v in np.unique(masks)} == {0, 1}
    else:
        assert store.table["label"].nunique() == len(card.classes)


def test_the_brains_are_those_of_the_other_phantom(tmp_path):
    import nibabel as nib

    ours = write.make("open_ms", tmp_path, 3, patients=1, pixels=24, slices=9)
    theirs = write.make("brats", tmp_path, 3, patients=1, pixels=24, slices=9)
    for mine, other in (("T1POST", "t1ce"), ("FLAIR", "flair")):
        a, b = (
            np.asanyarray(nib.load(next(r.rglob(p))).dataobj)
            for r, p in ((ours, f"{mine}_*"), (theirs, f"*_{other}.nii"))
        )
        assert (a == b).all()
