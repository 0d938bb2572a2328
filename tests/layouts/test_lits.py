from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import trees

from tlkit.datasets import DATASETS, UnreadableFile
from tlkit.layouts import lits

CARD = DATASETS["lits"]


def test_one_row_a_slice_and_the_volume_is_the_patient(tmp_path):
    samples, rejects = lits.scan(trees.lits(tmp_path), CARD)
    assert rejects.empty
    assert samples.groupby("patient").size().to_dict() == {"000": 6, "003": 6, "012": 6}
    assert samples["id"].iloc[7] == "volume-003_0001" and samples["frame"].iloc[7] == 1


def decode(root, samples, card) -> tuple[list, list]:
    images, masks = zip(*lits.slices(root, samples, card), strict=True)
    return list(images), list(masks)


def test_slices_show_the_front_up_and_the_right_side_left(tmp_path):
    volume, mask = trees.lits_pair(tmp_path, 0)
    samples, _ = lits.scan(tmp_path, CARD)
    images, masks = decode(tmp_path, samples, CARD)
    # x runs to the patient's right and y to the front: the last x is the left column, the last y the top row
    assert images[2][0, 0] == volume[-1, -1, 2] and images[2].shape == (10, 12) and images[2].dtype == np.int16
    assert (masks[2] == mask[::-1, ::-1, 2].T).all() and masks[2].dtype == np.uint8


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_flipped_and_transposed_file_gives_the_same_slices(tmp_path, ending):
    volume, mask = trees.lits_pair(tmp_path / "plain", 0)
    turned = np.array([[0, -1.0, 0, 11], [1.0, 0, 0, 0], [0, 0, -3.0, 15], [0, 0, 0, 1]])
    (tmp_path / "turned").mkdir()
    for name, array in (("volume", volume), ("segmentation", mask)):
        moved = array[::-1, :, ::-1].transpose(1, 0, 2)
        nib.save(nib.Nifti1Image(moved, turned), tmp_path / "turned" / f"{name}-0{ending}")
    both = []
    for folder in ("plain", "turned"):
        samples, rejects = lits.scan(tmp_path / folder, CARD)
        assert rejects.empty and len(samples) == 6
        both.append(decode(tmp_path / folder, samples, CARD))
    for a, b in zip(both[0], both[1], strict=True):
        assert all((x == y).all() for x, y in zip(a, b, strict=True))


def test_scaled_values_are_hu(tmp_path):
    trees.lits_pair(tmp_path, 0)
    image = nib.Nifti1Image(np.full((12, 10, 6), 100, np.int16), np.diag([1.0, 1.0, 3.0, 1.0]))
    image.header.set_slope_inter(2, -1024)
    nib.save(image, tmp_path / "volume-0.nii")
    stored = nib.load(tmp_path / "volume-0.nii")
    samples, _ = lits.scan(tmp_path, CARD)
    assert decode(tmp_path, samples, CARD)[0][0][0, 0] == round(float(np.asarray(stored.dataobj)[0, 0, 0]))


def test_pairs_that_do_not_fit_are_rejected(tmp_path):
    trees.lits_pair(tmp_path, 0)
    for number in (1, 2, 3, 4):
        trees.lits_pair(tmp_path, number)
    (tmp_path / "segmentation-1.nii").unlink()
    (tmp_path / "volume-2.nii").unlink()
    moved = np.diag([1.0, 1.0, 3.0, 1.0])
    moved[0, 3] = 5
    nib.save(nib.Nifti1Image(np.zeros((12, 10, 6), np.uint8), moved), tmp_path / "segmentation-3.nii")
    nib.save(nib.Nifti1Image(np.zeros((12, 10, 5), np.uint8), np.eye(4)), tmp_path / "segmentation-4.nii")
    trees.lits_pair(tmp_path / "again", 0)
    (tmp_path / "readme.txt").touch()
    (tmp_path / "volume-9.nii").write_bytes(b"no nifti")
    (tmp_path / "segmentation-9.nii").write_bytes(b"no nifti")
    samples, rejects = lits.scan(tmp_path, CARD)
    reasons = rejects.set_index("path")["reason"]
    assert set(samples["patient"]) == {"000"}
    for path, words in (
        ("volume-1.nii", "no segmentation-1"),
        ("segmentation-2.nii", "no volume-2"),
        ("volume-3.nii", "5.0 mm apart"),
        ("volume-4.nii", "equal 3D shapes"),
        ("readme.txt", "named neither"),
        ("volume-9.nii", "ImageFileError"),
    ):
        assert words in reasons[path]
    assert reasons.str.contains("is there already").sum() == 2


def test_masks_with_other_values_are_unreadable(tmp_path):
    trees.lits_pair(tmp_path, 0, mask=np.full((12, 10, 6), 3, np.uint8))
    samples, _ = lits.scan(tmp_path, CARD)
    with pytest.raises(UnreadableFile, match=r"mask values \[.*3.*\] in slice 0; expected 0, 1, 2"):
        decode(tmp_path, samples, CARD)


@pytest.mark.parametrize(
    ("kind", "slope", "inter"),
    [(np.int16, 2 / 65535, 32768 * 2 / 65535), (np.uint8, 2 / 255, 0), (np.float32, 1, 1e-4)],
)
def test_masks_that_were_written_with_a_scale_have_whole_values(tmp_path, kind, slope, inter):
    _, mask = trees.lits_pair(tmp_path, 0)
    expected = decode(tmp_path, lits.scan(tmp_path, CARD)[0], CARD)[1]
    stored = np.rint((mask - inter) / slope) if kind != np.float32 else mask
    image = nib.Nifti1Image(stored.astype(kind), np.diag([1.0, 1.0, 3.0, 1.0]))
    image.header.set_slope_inter(slope, inter)
    nib.save(image, tmp_path / "segmentation-0.nii")
    samples, _ = lits.scan(tmp_path, CARD)
    found = decode(tmp_path, samples, CARD)[1]
    assert not np.isin(np.asarray(nib.load(tmp_path / "segmentation-0.nii").dataobj), (0, 1, 2)).all()
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True)) and np.max(found) == 2


@pytest.mark.parametrize("value", [1.002, 0.5, np.nan])
def test_masks_that_are_not_nearly_whole_are_unreadable(tmp_path, value):
    trees.lits_pair(tmp_path, 0, mask=np.full((12, 10, 6), value, np.float32))
    with pytest.raises(UnreadableFile, match="expected 0, 1, 2"):
        decode(tmp_path, lits.scan(tmp_path, CARD)[0], CARD)


@pytest.mark.parametrize("more", [(1,), (1, 1)])
def test_dimensions_of_one_behind_the_third_are_dropped(tmp_path, more):
    volume, mask = trees.lits_pair(tmp_path, 0)
    before = decode(tmp_path, lits.scan(tmp_path, CARD)[0], CARD)
    for name, array in (("volume", volume), ("segmentation", mask)):
        affine = np.diag([1.0, 1.0, 3.0, 1.0])
        nib.save(nib.Nifti1Image(array.reshape(*array.shape, *more), affine), tmp_path / f"{name}-0.nii")
    after = decode(tmp_path, lits.scan(tmp_path, CARD)[0], CARD)
    assert len(after[0]) == 6
    assert all(np.array_equal(a, b) for k in (0, 1) for a, b in zip(before[k], after[k], strict=True))
    trees.lits_pair(tmp_path, 1)
    nib.save(nib.Nifti1Image(np.stack([volume] * 2, -1), np.diag([1.0, 1.0, 3.0, 1.0])), tmp_path / "volume-1.nii")
    assert "equal 3D shapes" in lits.scan(tmp_path, CARD)[1]["reason"].item()


def test_only_liver_leaves_out_slices_by_a_rule(tmp_path):
    trees.lits_pair(tmp_path, 0)
    samples, _ = lits.scan(tmp_path, CARD)
    images, masks = decode(tmp_path, samples, replace(CARD, options={"only_liver": True}))
    assert [isinstance(i, str) for i in images] == [True, False, False, False, True, True]
    assert [m is None for m in masks] == [True, False, False, False, True, True]


def test_a_cut_file_is_unreadable(tmp_path):
    trees.lits_pair(tmp_path, 0, ending=".nii.gz")
    samples, _ = lits.scan(tmp_path, CARD)
    file = tmp_path / "volume-0.nii.gz"
    file.write_bytes(file.read_bytes()[:600])
    with pytest.raises(UnreadableFile, match="volume-0"):
        decode(tmp_path, samples, CARD)
