"""Open_ms_data: small files of its names, and two of its patients where they are here."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tlkit.config import ConfigError
from tlkit.datasets import DATASETS, UnreadableFile, card_of, layout_of
from tlkit.layouts import open_ms

CARD = DATASETS["open-ms"]
REAL = Path(os.environ.get("TLKIT_DATA") or "nowhere") / "open-ms"
END = "_N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI.nii.gz"
GOLD = "GOLD_STANDARD_N4_noneck_reduced_winsor_regtoFLAIR_regtoMNI.nii.gz"
LAS = np.diag([-1.0, 1.0, 1.0, 1.0])


def tree(root: Path, patients: int = 5, shape: tuple[int, int, int] = (9, 11, 4)) -> Path:
    """Write patients of all slices with a lesion, in the tree of the repository."""
    rng = np.random.default_rng(0)
    for k in range(1, patients + 1):
        folder = root / "cross_sectional" / "MNI" / f"patient{k:02}"
        folder.mkdir(parents=True)
        for name in open_ms.CONTRASTS:
            volume = rng.normal(100, 30, shape).astype(np.float32)
            nib.save(nib.Nifti1Image(volume, LAS), folder / f"{name}{END}")
        mask = np.zeros(shape, np.uint8)
        mask[2:4, 6:9] = 1
        nib.save(nib.Nifti1Image(mask, LAS), folder / GOLD)
    (root / "cross_sectional" / "README.md").write_text("## 3D MR image database")
    return root


def test_slices_are_axial_front_up_and_scaled_by_channel(tmp_path):
    root = tree(tmp_path, 1)
    samples, rejects = open_ms.scan(root, CARD)
    assert rejects.empty and samples["patient"].unique().tolist() == ["patient01"] and len(samples) == 4
    images, masks = open_ms.decode(root, samples, CARD)
    assert images[0].shape == (11, 9, 3) and images[0].dtype == np.int16 and masks[0].dtype == np.uint8
    flair = np.asanyarray(nib.load(next(root.rglob("FLAIR*"))).dataobj)
    top = np.percentile(flair, 99.9)
    expected = np.rint(flair[:, :, 1] * np.float32(4000 / top))[::-1, ::-1].T  # x grows to the right, y to the front
    found = images[1][..., 2]
    assert any(np.abs(found - e).max() <= 1 for e in (expected, expected[:, ::-1]))
    assert masks[1].sum() == 6 and masks[1][2:5].any() and not masks[1][5:].any()  # y of 6 to 8 of 11: above the middle


def test_lesions_lie_on_the_same_side_as_in_the_volume(tmp_path):
    """The image and its mask are turned alike: mark a lesion by the grey values, too."""
    root = tree(tmp_path, 1)
    for name in open_ms.CONTRASTS:
        file = next(root.rglob(f"{name}_*"))
        volume = np.asanyarray(nib.load(file).dataobj).copy()
        volume[2:4, 6:9] = 1000
        nib.save(nib.Nifti1Image(volume, LAS), file)
    samples, _ = open_ms.scan(root, CARD)
    images, masks = open_ms.decode(root, samples, CARD)
    for image, mask in zip(images, masks, strict=True):
        assert (image[mask == 1] > 3000).all() and (image[mask == 0] < 3000).all()


def test_what_does_not_fit_is_named(tmp_path):
    root = tree(tmp_path, 4)
    mni = root / "cross_sectional" / "MNI"
    (mni / "patient01" / f"T1{END}").unlink()
    (mni / "patient02" / GOLD).unlink()
    nib.save(nib.Nifti1Image(np.ones((3, 3, 3), np.float32), LAS), mni / "patient03" / f"FLAIR{END}")
    other = root / "cross_sectional" / "raw" / "patient04"
    other.mkdir(parents=True)
    (other / "FLAIR.nii.gz").touch()
    samples, rejects = open_ms.scan(root, CARD)
    assert samples["patient"].unique().tolist() == ["patient04"]
    reasons = " ".join(rejects["reason"])
    assert "no patient01/T1_..._regtoMNI.nii.gz" in reasons and "no patient02/seg" in reasons and "not named" in reasons
    assert len(rejects) == 4


def test_a_slice_without_lesion_is_left_out_where_asked(tmp_path):
    root = tree(tmp_path, 1)
    gold = next(root.rglob("GOLD*"))
    nib.save(nib.Nifti1Image(np.zeros((9, 11, 4), np.uint8), LAS), gold)
    samples, _ = open_ms.scan(root, CARD)
    assert open_ms.decode(root, samples, CARD)[0] == ["no lesion in the slice"] * 4
    every = card_of("open-ms", {"only_labelled": False})
    assert all(image.any() for image in open_ms.decode(root, samples, every)[0])
    nib.save(nib.Nifti1Image(np.full((9, 11, 4), 3, np.uint8), LAS), gold)
    with pytest.raises(UnreadableFile, match="expected 0, 1"):
        open_ms.decode(root, samples, CARD)


def test_channels_are_checked(tmp_path):
    with pytest.raises(ConfigError, match="1 or 3 channels"):
        card_of("open-ms", {"channels": ["T1", "T2"]})
    one = card_of("open-ms", {"channels": ["FLAIR"]})
    root = tree(tmp_path, 1)
    assert open_ms.decode(root, open_ms.scan(root, one)[0], one)[0][0].shape == (11, 9)


@pytest.mark.skipif(not REAL.is_dir(), reason="TLKIT_DATA does not have the two patients")
def test_two_patients_of_the_real_set():
    samples, rejects = layout_of(CARD).scan(REAL, CARD)
    assert rejects.empty and samples.groupby("patient").size().to_dict() == {"patient07": 182, "patient19": 182}
    for patient, rows in samples.groupby("patient"):
        some = rows.iloc[80:120]
        images, masks = open_ms.decode(REAL, some, replace(CARD, options={**CARD.options, "only_labelled": False}))
        assert images[0].shape == (218, 182, 3) and max(m.max() for m in masks) == 1
        gold = np.asanyarray(nib.load(REAL / some["mask_path"].iloc[0]).dataobj)
        assert sum(int(m.sum()) for m in masks) == int(gold[:, :, 80:120].sum()), patient
        lesion = np.concatenate([i[..., 2][m == 1] for i, m in zip(images, masks, strict=True)])
        brain = np.concatenate([i[..., 2][i[..., 2] > 400] for i in images])
        assert lesion.mean() > brain.mean()  # bright in FLAIR
        rows_of_lesions = np.mean([np.nonzero(m)[0].mean() for m in masks if m.any()])
        front = np.mean([gold[:, :, k].nonzero()[1].mean() for k in some["frame"] if gold[:, :, k].any()])
        assert rows_of_lesions == pytest.approx(217 - front)  # y grows to the front, rows to the back
