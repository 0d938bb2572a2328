import gzip
from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import trees
from hypothesis import given, settings
from hypothesis import strategies as st

from tlkit.config import ConfigError, UnknownNameError
from tlkit.datasets import DATASETS, UnreadableFile, splits
from tlkit.datasets.store import build_store, open_store
from tlkit.layouts import brats

CARD = DATASETS["brats"]
ALL = replace(CARD, options={**CARD.options, "only_tumour": False})
NAME = "BraTS20_Training_{:03d}"


def decoded(root, card=CARD):
    samples, rejects = brats.scan(root, card)
    assert rejects.empty
    return brats.decode(root, samples, card)


def test_official_names_one_row_a_slice_and_the_odd_segmentation_of_355(tmp_path):
    samples, rejects = brats.scan(trees.brats(tmp_path), CARD)
    assert rejects.empty
    assert samples.groupby("patient").size().to_dict() == {"001": 4, "002": 4, "355": 4}
    row = samples.iloc[-1]
    assert row["id"] == "BraTS20_Training_355_003" and row["frame"] == 3
    assert row["path"] == "MICCAI_BraTS2020_TrainingData/BraTS20_Training_355"
    assert row["mask_path"].endswith("BraTS20_Training_355/W39_1998.09.19_Segm.nii")
    assert row["t1ce"].endswith("BraTS20_Training_355_t1ce.nii")


def test_channels_and_labels_are_those_of_the_files(tmp_path):
    made = trees.brats_patient(tmp_path, 7)
    images, masks = decoded(tmp_path)
    assert images[1].shape == (10, 12, 3) and images[1].dtype == np.int16 and masks[1].dtype == np.uint8
    lut = {0: 0, 1: 1, 2: 2, 4: 3}
    assert masks[1].tolist() == [[lut[v] for v in row] for row in made["seg"][:, :, 1].T.tolist()]
    for c, kind in enumerate(("t1", "t1ce", "flair")):
        wanted = made[kind] * (4000 / np.percentile(made[kind], 99.9))
        assert np.abs(images[1][..., c] - wanted[:, :, 1].T).max() <= 0.51


def test_one_factor_for_a_patient_keeps_the_ratios_of_the_channels(tmp_path):
    made = trees.brats_patient(tmp_path, 7)
    images, _ = decoded(tmp_path, replace(CARD, options={**CARD.options, "scale": "patient"}))
    factor = 4000 / max(np.percentile(made[k], 99.9) for k in ("t1", "t1ce", "flair"))
    for c, kind in enumerate(("t1", "t1ce", "flair")):
        assert np.abs(images[2][..., c] - made[kind][:, :, 2].T * factor).max() <= 0.51


def test_background_stays_0_and_a_hot_voxel_neither_sets_the_scale_nor_is_cut(tmp_path):
    volume = np.full((40, 40, 20), 100, np.int16)
    volume[:10], volume[20, 20, 5], volume[30, 30, 5] = 0, 700, -50
    seg = np.full(volume.shape, 2, np.uint8)
    trees.brats_patient(tmp_path, 1, seg=seg, **dict.fromkeys(trees.BRATS, volume))
    image = decoded(tmp_path)[0][5]
    assert (image[:, :10] == 0).all() and (image[0, 15] == 4000).all()
    assert (image[20, 20] == 28000).all() and (image[30, 30] == -2000).all()


def test_another_channel_choice(tmp_path):
    made = trees.brats_patient(tmp_path, 7, t1=None, t1ce=None)
    one = replace(CARD, options={**CARD.options, "channels": ("t2",)})
    assert decoded(tmp_path, one)[0][0].shape == (10, 12)
    trees.brats_patient(tmp_path, 7, flair=made["flair"])
    three = replace(CARD, options={**CARD.options, "channels": ("flair", "t2", "t1ce")})
    image = decoded(tmp_path, three)[0][0]
    assert np.argmax(image[..., 0]) == np.argmax(made["flair"][:, :, 0].T)
    for channels, message in ((("t1", "t2"), "1 or 3 channels; found 2: t1, t2"), (("t1", "t2", "flare"), "'flair'")):
        with pytest.raises((ConfigError, UnknownNameError), match=message):
            brats.scan(tmp_path, replace(CARD, options={**CARD.options, "channels": channels}))
    with pytest.raises(UnknownNameError, match=r"unknown scale 'chanel'. Did you mean 'channel'"):
        decoded(tmp_path, replace(CARD, options={**CARD.options, "scale": "chanel"}))


def test_slices_without_tumour_are_left_out_by_a_rule_unless_wanted(tmp_path):
    seg = np.zeros((12, 10, 4), np.uint8)
    seg[3, 4, 2] = 4
    trees.brats_patient(tmp_path / "data", 1, seg=seg)
    opened = open_store(build_store(CARD, tmp_path / "data", 12, out_root=tmp_path))
    rejects = pd.read_csv(opened.path / "rejects.csv")
    assert opened.table["frame"].tolist() == [2] and opened.meta["left_out"] == 3
    assert rejects["reason"].tolist() == [f"no tumour in the slice (slice {k})" for k in (0, 1, 3)]
    assert set(rejects["kind"]) == {"rule"} and opened.meta["channels"] == 3
    assert len(open_store(build_store(ALL, tmp_path / "data", 12, out_root=tmp_path))) == 4


def test_a_flipped_and_transposed_patient_gives_the_same_slices(tmp_path):
    made = trees.brats_patient(tmp_path / "plain", 1)
    turned = np.array([[0, 1.0, 0, -11], [1.0, 0, 0, 0], [0, 0, -1, 3], [0, 0, 0, 1]])
    moved = {k: a[::-1, ::-1, ::-1].transpose(1, 0, 2) for k, a in made.items()}
    trees.brats_patient(tmp_path / "turned", 1, affine=turned, **moved)
    both = [decoded(tmp_path / name) for name in ("plain", "turned")]
    for a, b in zip(*both, strict=True):
        assert all((x == y).all() for x, y in zip(a, b, strict=True))


MOVED = np.array([[-1.0, 0, 0, 3], [0, -1, 0, 9], [0, 0, 1, 0], [0, 0, 0, 1]])


def wrong(folder, name):
    """Spoil the patient of `folder` in one of the ways below."""
    flair, seg = folder / f"{folder.name}_flair.nii", folder / f"{folder.name}_seg.nii"
    noise = np.asanyarray(nib.load(flair).dataobj)
    affine = nib.load(seg).affine
    match name:
        case "missing":
            flair.unlink()
        case "no segmentation":
            seg.unlink()
        case "size":
            nib.save(nib.Nifti1Image(noise[:, :, :3], affine), flair)
        case "affine":
            nib.save(nib.Nifti1Image(noise, MOVED), flair)
        case "4D":
            nib.save(nib.Nifti1Image(np.stack([noise] * 2, axis=-1), affine), flair)
        case "labels":
            nib.save(nib.Nifti1Image(np.where(noise > 500, 3, 0).astype(np.uint8), affine), seg)
        case "not finite":
            nib.save(nib.Nifti1Image(np.where(noise > 900, np.nan, noise).astype(np.float32), affine), flair)
        case "constant":
            nib.save(nib.Nifti1Image(np.full_like(noise, 7), affine), flair)
        case "negative":
            nib.save(nib.Nifti1Image(-noise, affine), flair)
        case "truncated":
            flair.write_bytes(flair.read_bytes()[:900])
        case "truncated gz":
            data = gzip.compress(flair.read_bytes(), mtime=0)
            flair.unlink()
            flair.with_suffix(".nii.gz").write_bytes(data[: len(data) // 2])
        case "no nifti":
            flair.write_bytes(b"no nifti")
        case "empty":
            flair.write_bytes(b"")


BAD = {
    "missing": ("", "no BraTS20_Training_002_flair.nii[.gz]"),
    "no segmentation": ("", "no BraTS20_Training_002_seg.nii[.gz]"),
    "size": ("_flair.nii", "(12, 10, 3) and mask (12, 10, 4)"),
    "affine": ("_flair.nii", "3.0 mm apart"),
    "4D": ("_flair.nii", "expected equal 3D shapes"),
    "labels": ("", "BraTS20_Training_002_seg.nii: labels 3 in slice 0; expected 0, 1, 2, 4"),
    "not finite": ("", "BraTS20_Training_002_flair.nii: values that are no numbers"),
    "constant": ("", "BraTS20_Training_002_flair.nii: every voxel is 7"),
    "negative": ("", "BraTS20_Training_002_flair.nii: no positive values"),
    "truncated": ("", "BraTS20_Training_002_flair.nii: "),
    "truncated gz": ("_flair.nii.gz", "BraTS20_Training_002_flair.nii.gz: "),
    "no nifti": ("_flair.nii", "BraTS20_Training_002_flair.nii: ImageFileError"),
    "empty": ("_flair.nii", "BraTS20_Training_002_flair.nii: ImageFileError"),
}


@pytest.mark.filterwarnings("ignore:brats. .* unreadable files")
@pytest.mark.parametrize("name", BAD)
def test_a_bad_patient_is_named_with_its_reason_and_the_others_stay(name, tmp_path):
    for number in (1, 2, 3):
        trees.brats_patient(tmp_path / "data", number)
    wrong(tmp_path / "data" / "BraTS20_Training_002", name)
    opened = open_store(build_store(CARD, tmp_path / "data", 12, out_root=tmp_path, max_unreadable=0.5))
    ((path, reason, kind),) = pd.read_csv(opened.path / "rejects.csv").to_numpy().tolist()
    tail, words = BAD[name]
    assert path == f"BraTS20_Training_002{'/BraTS20_Training_002' if tail else ''}{tail}"
    assert words in reason and kind == "unreadable" and "\n" not in reason
    assert opened.table["patient"].value_counts().to_dict() == {"001": 4, "003": 4}


def test_second_copies_and_other_names_are_left_out_by_a_rule(tmp_path):
    trees.brats_patient(tmp_path / "a", 1)
    trees.brats_patient(tmp_path / "a", 1, ending=".nii.gz", **dict.fromkeys((*trees.BRATS[1:], "seg")))
    trees.brats_patient(tmp_path / "b", 1, t1ce=None, t2=None, flair=None, seg=None)
    folder = tmp_path / "a" / NAME.format(1)
    for file in ("readme.txt", "BraTS20_Training_002_t1.nii", "W39_1998.09.19_Segm.nii", "BraTS20_Training_001_pd.nii"):
        (folder / file).touch()
    samples, rejects = brats.scan(tmp_path, CARD)
    assert len(samples) == 4 and set(rejects["kind"]) == {"rule"} and len(rejects) == 6
    reasons = rejects.set_index("path")["reason"]
    inside = "a/BraTS20_Training_001/"
    assert reasons[f"{inside}BraTS20_Training_001_t1.nii.gz"].endswith(f"already: {inside}BraTS20_Training_001_t1.nii")
    assert reasons["b/BraTS20_Training_001/BraTS20_Training_001_t1.nii"] == (
        f"patient 001 is there already: {inside}BraTS20_Training_001_t1.nii"
    )
    assert reasons.str.startswith("not named BraTS20_Training_NNN/").sum() == 4


def test_a_decoding_error_is_an_unreadable_file(tmp_path):
    trees.brats_patient(tmp_path, 1, seg=np.full((12, 10, 4), 1.5, np.float32))
    with pytest.raises(UnreadableFile, match=r"labels 1.5 in slice 0"):
        decoded(tmp_path)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=3, max_size=60), st.data())
def test_patients_are_disjoint_for_any_counts_shares_and_seeds(sizes, data):
    rows = [(f"{p:03d}", k) for p, n in enumerate(sizes) for k in range(n)]
    table = pd.DataFrame(rows, columns=["patient", "frame"]).assign(split="")
    seed, n = data.draw(st.integers(0, 99)), len(sizes)
    val = data.draw(st.integers(1, n - 2))
    test = data.draw(st.integers(1, n - 1 - val))
    counted = splits.assign(table, val, test, seed)
    found = table.groupby(counted)["patient"].nunique().to_dict()
    assert found == {"train": n - val - test, "val": val, "test": test}
    shared = splits.assign(table, data.draw(st.floats(0.05, 0.4)), data.draw(st.floats(0.05, 0.4)), seed)
    for split in (counted, shared):
        assert table.assign(split=split).groupby("patient")["split"].nunique().eq(1).all()


def test_the_published_size_holds_out_30_and_30_of_369():
    table = pd.DataFrame({"patient": [f"{p:03d}" for p in range(1, 370) for _ in range(3)], "split": ""})
    split = splits.assign(table, val=30, test=30)
    assert table.groupby(split)["patient"].nunique().to_dict() == {"train": 309, "val": 30, "test": 30}
