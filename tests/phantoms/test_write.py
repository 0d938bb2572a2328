import csv
import hashlib
import shutil
from collections import namedtuple
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from tlkit.config import UnknownNameError
from tlkit.files import DiskSpaceError
from tlkit.phantoms import anatomy, radnet, write

TINY = {
    "radnet": {"series": 8, "pixels": 32, "slices": (3, 5)},
    "lits": {"volumes": 3, "pixels": 32, "slices": (12, 14)},
    "lits_png": {"volumes": 2, "pixels": 32, "slices": (6, 8)},
    "luna16": {"series": 2, "pixels": 48, "slices": (8, 9)},
    "covid": {"images": 6, "pixels": 32},
    "brats": {"patients": 2, "pixels": 48, "slices": 12},
    "brain_tumor": {"train": 1, "test": 1, "pixels": 32},
    "chestxray": {"patients": 12, "pixels": 32},
    "rsna-bone-age": {"train": 4, "val": 2, "test": 2, "pixels": 32},
    "grazpedwri": {"patients": 4, "pixels": 32},
    "imagenet": {"classes": 3, "train": 3, "val": 2, "pixels": 32},
    "own_images": {"patients": 4, "pixels": 32},
}
# The keyword order of Jonske et al.: the first list that matches by substring wins.
ORDER = [
    ("head", "schaedel", "kopf", "neck", "hals"),
    ("thorax", "chest"),
    ("abdomen",),
    ("knee", "knie", "leg", "bein", "foot", "fuss", "arm"),
    ("pelvis", "becken", "hip"),
    ("spine", "lws", "wirbel"),
]
GROUP = {"head": 0, "neck": 0, "thorax": 1, "abdomen": 2, "knee": 3, "leg": 3, "foot": 3, "arm": 3}
GROUP |= {"pelvis": 4, "spine": 5, "wholebody": 6}


def tree_hash(root: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantoms")
    return {name: write.make(name, root, 7, **params) for name, params in TINY.items()}


@pytest.mark.parametrize("name", TINY)
def test_seed_decides_every_byte(name, made, tmp_path):
    assert tree_hash(write.make(name, tmp_path, 7, **TINY[name])) == tree_hash(made[name])
    other = write.make(name, tmp_path, 8, **TINY[name])
    (other / "phantom.json").write_bytes((made[name] / "phantom.json").read_bytes())
    assert tree_hash(other) != tree_hash(made[name])


def test_radnet_files_are_readable_ct(made):
    files = sorted(made["radnet"].rglob("*.dcm"))
    series: dict[str, list] = {}
    for path in files:
        assert len(path.relative_to(made["radnet"]).parts) == 4
        d = pydicom.dcmread(path)
        assert d.Modality == "CT" and d.Manufacturer and d.ConvolutionKernel
        assert "PHANTOM" in d.SeriesDescription and str(d.PatientName).startswith("PHANTOM")
        assert d.PatientSex in ("F", "M") and d.PatientAge.endswith("Y")
        assert d.file_meta.MediaStorageSOPInstanceUID == d.SOPInstanceUID and d.SOPInstanceUID.is_valid
        assert float(d.PixelSpacing[0]) > 0 and float(d.SliceThickness) > 0 and float(d.KVP) >= 80
        hu = d.pixel_array * float(d.RescaleSlope) + float(d.RescaleIntercept)
        assert hu.shape == (32, 32)
        assert hu.min() == -2000 or hu.min() >= -1024
        assert hu.max() <= 3071
        series.setdefault(d.SeriesInstanceUID, []).append(d)
    assert len(series) == TINY["radnet"]["series"]
    assert len({d.SOPInstanceUID for s in series.values() for d in s}) == len(files)
    for group in series.values():
        assert 3 <= len(group) <= 5
        heights = [float(d.ImagePositionPatient[2]) for d in group]
        assert len({d.PatientID for d in group}) == 1 and len(set(heights)) == len(group)
        steps = np.diff(sorted(heights))
        assert np.allclose(steps, float(group[0].SliceThickness), atol=0.01)


def test_radnet_file_numbers_do_not_follow_positions(made):
    ordered = []
    for folder in {p.parent for p in made["radnet"].rglob("*.dcm")}:
        heights = [float(pydicom.dcmread(p).SliceLocation) for p in sorted(folder.iterdir())]
        ordered.append(heights == sorted(heights))
    assert not all(ordered)


def test_keywords_fall_into_their_class_by_the_published_order():
    for name, words in radnet.KEYWORDS.items():
        for word in words:
            hits = [i for i, keys in enumerate(ORDER) if any(k in word.lower() for k in keys)]
            assert [*hits, 6][0] == GROUP[name], word
    assert {r.name for region in radnet.SHARES for r in anatomy.REGIONS[region]} <= set(radnet.KEYWORDS)


@pytest.mark.parametrize("n", [3, 7, 8, 40, 120])
def test_quotas(n):
    drawn = radnet.quotas(n, radnet.SHARES)
    assert len(drawn) == n
    if n >= 7:
        assert set(drawn) == set(radnet.SHARES)
    if n == 120:
        assert 0.35 <= drawn.count("thorax") / n <= 0.45


def test_lits_masks_align(made):
    livers = []
    for k in range(TINY["lits"]["volumes"]):
        volume, mask = (nib.load(made["lits"] / f"{n}-{k}.nii") for n in ("volume", "segmentation"))
        assert volume.shape == mask.shape and np.array_equal(volume.affine, mask.affine)
        hu, labels = np.asanyarray(volume.dataobj), np.asanyarray(mask.dataobj)
        assert hu.dtype == np.int16 and labels.dtype == np.uint8
        assert set(np.unique(labels)) <= {0, 1, 2} and (labels > 0).any()
        livers.append(np.median(hu[labels == 1]))
        size = np.prod(volume.header.get_zooms())
        assert abs(np.linalg.det(volume.affine[:3, :3])) == pytest.approx(size, rel=1e-4)
        world = nib.affines.apply_affine(mask.affine, np.argwhere(labels > 0))
        assert world[:, 0].mean() > 10  # the liver is on the right, where RAS x is positive
    assert all(0 < m < 200 for m in livers)


def test_brats_volumes_lie_on_one_grid_outside_the_brain_all_is_0(made):
    folders = sorted((made["brats"] / "MICCAI_BraTS2020_TrainingData").iterdir())
    assert [f.name for f in folders] == ["BraTS20_Training_001", "BraTS20_Training_002"]
    for folder in folders:
        files = {k: nib.load(folder / f"{folder.name}_{k}.nii") for k in ("t1", "t1ce", "t2", "flair", "seg")}
        assert len(list(folder.iterdir())) == 5
        assert {f.shape for f in files.values()} == {(48, 48, 12)}
        assert all(np.array_equal(f.affine, files["seg"].affine) for f in files.values())
        assert nib.aff2axcodes(files["t1"].affine) == ("L", "P", "S")
        assert np.allclose(files["t1"].header.get_zooms(), (5, 5, 155 / 12))
        arrays = {k: np.asanyarray(f.dataobj) for k, f in files.items()}
        seg, inside = arrays.pop("seg"), arrays["t1"] > 0
        assert set(np.unique(seg)) <= {0, 1, 2, 4} and (seg > 0).any() and inside[seg > 0].all()
        assert all(a.dtype == np.int16 and ((a > 0) == inside).all() for a in arrays.values())
        assert 0.1 < inside.mean() < 0.35


def test_imagenet_layout(made):
    root = made["imagenet"]
    wnids = [line[:9] for line in (root / "LOC_synset_mapping.txt").read_text().splitlines()]
    assert wnids == sorted(p.name for p in (root / "train").iterdir())
    assert all(len(list((root / "train" / w).glob(f"{w}_*.JPEG"))) == 3 for w in wnids)
    rows = list(csv.DictReader((root / "LOC_val_solution.csv").open()))
    assert sorted(f"{r['ImageId']}.JPEG" for r in rows) == sorted(p.name for p in (root / "val").iterdir())
    firsts = [r["PredictionString"].split()[0] for r in rows]
    assert all(firsts.count(w) == 2 for w in wnids)
    assert all(len(r["PredictionString"].split()) == 5 for r in rows)


def test_finished_folder_is_returned_untouched(made):
    before = made["lits"].stat().st_mtime_ns
    assert write.make("lits", made["lits"].parent, 7, **TINY["lits"]) == made["lits"]
    assert made["lits"].stat().st_mtime_ns == before


def test_killed_writing_leaves_nothing_that_looks_done(tmp_path, monkeypatch):
    twin = write.PHANTOMS["lits"]

    def killed(root, seed, volumes, pixels, slices):
        twin.write(root, seed, 1, pixels, slices)
        raise KeyboardInterrupt

    with monkeypatch.context() as m:
        m.setitem(write.PHANTOMS, "lits", twin._replace(write=killed))
        with pytest.raises(KeyboardInterrupt):
            write.make("lits", tmp_path, 7, **TINY["lits"])
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == []
    path = write.make("lits", tmp_path, 7, **TINY["lits"])
    assert len(list(path.glob("*.nii"))) == 6
    assert not list(tmp_path.glob(".*.part"))


def test_full_disk_is_told_before_writing(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 1))
    with pytest.raises(DiskSpaceError, match=r"needs about .* MB under"):
        write.make("lits", tmp_path, 0)
    assert not list(tmp_path.glob("lits*"))


@pytest.mark.parametrize("name", TINY)
def test_estimate_is_an_upper_bound_of_the_right_order(name, made):
    size = sum(p.stat().st_size for p in made[name].rglob("*") if p.is_file())
    assert size < 1.2 * write.expected_bytes(name, **TINY[name])


def test_misspelt_names_are_told(tmp_path):
    with pytest.raises(UnknownNameError, match="Did you mean 'radnet'"):
        write.make("radnett", tmp_path)
    with pytest.raises(UnknownNameError, match="serie"):
        write.make("radnet", tmp_path, serie=3)
