import hashlib
import re
from collections import Counter

import numpy as np
import pandas as pd
import pydicom
import pytest

from tlkit.archives import multimodal
from tlkit.archives.archive import locate
from tlkit.archives.bodyparts import PARTS, repair
from tlkit.archives.export import export
from tlkit.datasets import DATASETS
from tlkit.datasets.store import build_store, open_store
from tlkit.phantoms import anatomy, exams, hospital, radiograph, wording, write

SIZE = {"patients": 14, "pixels": 24}
CARD = DATASETS["radiologynet"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write.make("hospital", tmp_path_factory.mktemp("phantoms"), 3, **SIZE)


@pytest.fixture(scope="module")
def dicoms(made):
    return {path.relative_to(made).as_posix(): pydicom.dcmread(path) for path in sorted(made.rglob("IM*"))}


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TLKIT_RUNS", str(tmp_path / "runs"))


def tree_hash(root):
    digest = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if p.is_file() and p.name != "phantom.json"):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def test_seed_decides_every_byte(made, tmp_path):
    assert tree_hash(write.make("hospital", tmp_path, 3, **SIZE)) == tree_hash(made)
    shorter = {"patients": 2, "pixels": 16}
    first, other = (tree_hash(write.make("hospital", tmp_path, seed, **shorter)) for seed in (3, 4))
    assert first != other
    size = sum(p.stat().st_size for p in made.rglob("*") if p.is_file())
    assert size < write.expected_bytes("hospital", **SIZE)


def test_all_modalities_are_there_and_half_of_the_images_are_ct(made):
    samples, rejects = multimodal.scan(made, CARD)
    shares = samples["class"].value_counts(normalize=True)
    assert set(shares.index) == set(multimodal.MODALITIES) and 0.35 < shares["CT"] < 0.65 and shares.idxmax() == "CT"
    assert samples["patient"].nunique() == 14 and samples["exam"].nunique() == 28
    assert (samples.groupby("modality")["window"].max()[["CR", "MR", "RF"]] == 0).all()
    assert samples.loc[samples["modality"] == "CT", "window"].max() == 1
    assert samples.loc[samples["modality"] == "XA", "frame"].max() >= 5
    other = rejects[~rejects["reason"].str.contains("second copy")]  # of two copies either may be the first
    assert len(other) == len(rejects) - 1 and locate(made, other["path"]).str.startswith("odd/").all()


def test_every_rule_that_leaves_out_has_its_file(made):
    opened = open_store(build_store(CARD, made, 16))
    rejects = pd.read_csv(opened.path / "rejects.csv")
    words = ("modality US", "no Modality", "no window", "strip", "too dark", "too flat", "frame in a file of RF")
    for word in (*words, "second copy", "secondary capture"):
        assert rejects["reason"].str.contains(word).any(), word
    assert opened.meta["unreadable"] == 0 and len(words) + 2 == len(hospital.ODD)


def test_files_are_phantoms_in_valid_dicom(dicoms):
    for name, d in dicoms.items():
        assert str(d.PatientName).startswith("PHANTOM") and "PHANTOM" in d.SeriesDescription and d.PatientID
        assert d.SOPInstanceUID == d.file_meta.MediaStorageSOPInstanceUID and d.SOPInstanceUID.is_valid
        assert d.SOPClassUID == d.file_meta.MediaStorageSOPClassUID
        frames = int(d.get("NumberOfFrames", 1))
        assert d.pixel_array.shape == ((frames, d.Rows, d.Columns) if frames > 1 else (d.Rows, d.Columns)), name
    assert len({d.SOPInstanceUID for d in dicoms.values()}) == len(dicoms) - 1  # one is doubled on purpose
    shapes = {d.get("PresentationLUTShape") for d in dicoms.values() if d.get("Modality") == "CR"}
    assert {"INVERSE", "IDENTITY"} <= shapes


def test_exported_radiographs_have_dark_air_whatever_the_plate_stores(made, dicoms):
    samples, _ = multimodal.scan(made, CARD)
    files = locate(made, samples.loc[samples["modality"] == "CR", "path"])
    files, shapes = files[~files.str.startswith("odd")], set()
    for file in files:
        (image,) = export(made / file, [(0, 0)])
        shapes.add(dicoms[file].get("PresentationLUTShape", ""))
        assert isinstance(image, np.ndarray) and np.percentile(image, 5) < 80 < np.percentile(image, 95)
    assert len(shapes) >= 2


def test_messy_body_parts_are_repaired_to_what_was_imaged(dicoms):
    truth = {
        "head": {"HEAD", "SKULL"}, "thorax": {"CHEST"}, "heart": {"CHEST"}, "oesophagus": {"STOMACH", "CHEST", "NECK"},
        "abdomen": {"ABDOMEN", "URINARYTRACT"}, "foot": {"FOOT"}, "lspine": {"LSPINE"}, "cspine": {"CSPINE", "NECK"},
    }  # fmt: skip
    right = []
    for d in dicoms.values():
        part = str(d.SeriesDescription).removeprefix("PHANTOM ")
        head = {name: str(d.get(name, "")) for name in ("BodyPartExamined", "Modality", *multimodal.FREE_TEXT)}
        if part in truth and d.get("Modality"):
            right.append(repair(head) in truth[part])
    typed = {str(d.get("BodyPartExamined", "")) for d in dicoms.values()}
    assert len(right) > 30 and np.mean(right) > 0.9 and "" in typed


@pytest.mark.parametrize("part", wording.PARTS)
def test_every_description_says_its_body_part_in_every_language(part):
    for tongue in range(3):
        for modality in wording.METHODS:
            assert repair({"StudyDescription": wording.study(modality, part, tongue)}) in PARTS
    assert all(repair({"BodyPartExamined": typed}) in PARTS for typed in wording.PARTS[part][0] if typed)


def test_reports_are_varied_and_in_three_languages(made):
    found = multimodal.reports(made, CARD)
    texts = [text for text in found if text]
    assert len(found) == 28 and found.attrs["missing"] < 8 and found.attrs["other"] == 0 and not found.attrs["rejected"]
    assert len(set(texts)) > 0.9 * len(texts)
    rng = np.random.default_rng(0)
    drawn = [wording.report("CT", "head", wording.language(rng), rng) for _ in range(300)]
    counts = Counter(next(w for w in ("CT", "MSCT") if re.search(rf"\b{w}\b", text)) for text in drawn)
    assert counts["MSCT"] > counts["CT"] > 30 and len(set(drawn)) > 100


@pytest.mark.parametrize("name", exams.EXAMS)
def test_an_exam_has_windows_in_which_its_pixels_vary(name):
    body = anatomy.random_body(np.random.default_rng(0))
    for seed in range(2):
        part, series = exams.EXAMS[name](body, 24, np.random.default_rng(seed))
        assert part in wording.PARTS and series and all(files for files in series)
        for pixels, tags in (file for files in series for file in files):
            assert pixels.ndim in (2, 3) and max(pixels.shape[-2:]) == 24 and np.ptp(pixels) > 0
            assert {"WindowCenter", "WindowWidth", "ImageType"} <= set(tags)


def test_contrast_medium_fills_a_vessel_from_its_start():
    body = anatomy.random_body(np.random.default_rng(0))
    frames = radiograph.angiogram(body, "head", 48, 7, True, np.random.default_rng(1))
    assert frames.dtype == np.uint8 and frames.shape == (7, 48, 48)
    dark = (frames < 0.6 * np.median(frames)).sum((1, 2))
    assert dark[0] < 5 and dark[-1] > 100 and (np.diff(dark) >= -10).all()
    still = radiograph.fluoroscopy(body, "abdomen", 48, np.random.default_rng(1))
    assert still[0, 0] == 0 and still[24, 24] > 0
