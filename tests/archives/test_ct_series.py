import os
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pydicom
import pytest
import trees
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedCTImageStorage

from tlkit.archives import archive, ct_series, deidentify, dicom, headers
from tlkit.archives.archive import index, locate
from tlkit.datasets import DATASETS, splits
from tlkit.datasets.rejects import StoreError, UnreadableShareError
from tlkit.datasets.store import build_store, open_store

CARD = DATASETS["radnet"]


@pytest.fixture
def root(tmp_path):
    (tmp_path / "archive").mkdir()
    return tmp_path / "archive"


def save(root, name, dataset):
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(file, enforce_file_format=True)


def series(root, name="s", n=30, first=0, **tags):
    for k in range(first, first + n):
        save(root, f"{name}/{k}", trees.ct_header(name, k, **tags))


def scan(root, **options):
    """Return (samples, rejects) with the real paths."""
    samples, rejects = ct_series.scan(root, replace(CARD, options=CARD.options | options))
    return tuple(t.assign(path=locate(root, t["path"]).to_numpy()) for t in (samples, rejects))


def test_slices_are_ordered_by_position_whatever_the_file_names(root):
    samples, rejects = ct_series.scan(trees.ct_series(root), CARD)
    assert rejects.empty and len(samples) == 90 and set(samples["order"]) == {"position"}
    assert samples["id"].is_unique and samples["id"].is_monotonic_increasing
    for _, group in samples.groupby("series"):
        assert (group["position"].to_numpy() == 2.0 * np.arange(30)).all()
        found = locate(root, group["path"])
        values = [dicom.decode(root / found.iloc[k])[0, 0] for k in (0, 11, 29)]
        assert values == [0, 11, 29]
    assert sorted(samples.groupby("patient")["label"].unique().map(list)) == [[0], [1], [4]]
    assert set(samples["body_part"]) == {"thorax", "becken", "head"}


def test_position_is_taken_along_the_normal_of_a_coronal_series(root):
    for k in range(30):  # rows run to the left, columns down: the normal points to the front of the body
        tags = {"ImageOrientationPatient": [1, 0, 0, 0, 0, -1], "ImagePositionPatient": [5, -3 * k, 7]}
        save(root, f"{k}", trees.ct_header("s", k, **tags))
    samples, _ = scan(root)
    assert samples["path"].tolist() == [str(29 - k) for k in range(30)]
    assert samples["position"].tolist() == [-3.0 * (29 - k) for k in range(30)]


def test_without_positions_the_instance_number_decides_and_a_note_says_so(root):
    for k in range(30):
        save(root, f"{k}", trees.ct_header("s", k, ImagePositionPatient=None, InstanceNumber=100 - k))
    samples, rejects = scan(root)
    assert samples["path"].tolist() == [str(k) for k in range(29, -1, -1)]
    assert set(samples["order"]) == {"instance"} and samples["position"].isna().all()
    assert rejects.values.tolist() == [["29", "no slice of this series has a position: sorted by instance", "note"]]


@pytest.mark.parametrize("position", [["nan", 0, 2], ["1e999", 0, 0], None, [0, 0]])
def test_a_slice_without_position_goes_where_the_others_have_one(root, position):
    series(root)
    ds = trees.ct_header("s", 40, ImagePositionPatient=None)
    if position:
        ds.add_new("ImagePositionPatient", "LO", [str(v) for v in position])
    save(root, "odd", ds)
    samples, rejects = scan(root)
    assert len(samples) == 30
    reason = "no position, and other slices of its series have one"
    assert rejects.values.tolist() == [["odd", reason, "rule"]]


def test_what_is_left_out_has_a_reason(root):
    trees.ct_series(root)
    save(root, "mr", trees.ct_header("m", 0, Modality="MR"))
    save(root, "scout", trees.ct_header("s1", 99, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]))
    save(root, "mpr", trees.ct_header("s1", 98, ImageType=["DERIVED", "SECONDARY", "MPR"]))
    save(root, "short", trees.ct_header("few", 0))
    (root / "notes.txt").write_text("a text")
    (root / "empty.dcm").touch()
    samples, rejects = scan(root)
    reasons = rejects.set_index("path")
    assert len(samples) == 90 and len(rejects) == 6
    for path, words, kind in (
        ("mr", "modality MR", "rule"),
        ("scout", "localizer", "rule"),
        ("mpr", "derived", "rule"),
        ("short", "series of under 30 slices", "rule"),
        ("notes.txt", "no DICOM file", "rule"),
        ("empty.dcm", "empty file", "unreadable"),
    ):
        assert words in reasons.at[path, "reason"] and reasons.at[path, "kind"] == kind, path


def test_copies_doubled_and_missing_slices(root):
    series(root, n=20)
    series(root, n=15, first=22)  # 20 and 21 are missing: a step of 6 mm instead of 2
    save(root, "copy", trees.ct_header("s", 3))
    save(root, "double", trees.ct_header("s", 50, ImagePositionPatient=[0, 0, 8], InstanceNumber=99))
    samples, rejects = scan(root)
    told = rejects.set_index("path")
    assert len(samples) == 35 and len(rejects) == 3
    assert told.at["double", "reason"] == "second slice at one position of its series"
    assert "second copy" in told.loc[[p for p in ("copy", "s/3") if p in told.index], "reason"].item()
    assert told.loc["s/22"].tolist() == [
        "slices missing before this one: 6.00 mm, the steps beside it are 2.00 mm",
        "note",
    ]


def test_a_series_that_goes_over_to_another_step_lacks_nothing(root):
    heights = [*np.arange(0, 100, 5), *np.arange(100, 130, 1.25), *np.arange(130, 200, 5)]
    for k, z in enumerate(heights):
        save(root, f"{k}", trees.ct_header("s", k, ImagePositionPatient=[0, 0, float(z)]))
    assert scan(root)[1].empty
    (root / "30").unlink()  # one of the fine part
    told = scan(root)[1]
    assert told["path"].tolist() == ["31"] and "2.50 mm, the steps beside it are 1.25 mm" in told["reason"].item()


def test_slices_changed_after_the_scan_are_admitted_where_the_card_says_so(root):
    series(root, ImageType=["DERIVED", "PRIMARY", "AXIAL"])
    samples, rejects = scan(root)
    assert len(samples) == 0 and set(rejects["reason"].str[:13]) == {"derived image"}
    samples, rejects = scan(root, derived=True)
    assert len(samples) == 30 and rejects.empty


def test_an_enhanced_slice_of_one_frame_is_read_by_its_functional_groups(root):
    for k in range(30):
        ds, value, group = trees.ct_header("s", k, RescaleSlope=None, RescaleIntercept=None), Dataset(), Dataset()
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
        ds.NumberOfFrames, value.RescaleSlope, value.RescaleIntercept = 1, 1, -1000
        group.PixelValueTransformationSequence = [value]
        ds.SharedFunctionalGroupsSequence = [group]
        save(root, f"{k}", ds)
    opened = open_store(build_store(CARD, root, 16))
    assert len(opened) == 30 and opened.images.min() == -1000 and (opened.images[:, 0, 0] == np.arange(30)).all()


def test_a_series_without_meta_headers_is_stored(root):
    series(root)
    expected = open_store(build_store(CARD, root, 16)).images[:]
    for file in (root / "s").iterdir():
        ds = pydicom.dcmread(file)
        del ds.file_meta
        ds.save_as(file, implicit_vr=True, little_endian=True)
    assert (open_store(build_store(CARD, root, 16)).images[:] == expected).all() and len(expected) == 30


def test_too_many_unreadable_files_are_counted_by_reason_and_can_be_found_again(root):
    series(root, n=40)
    for k in range(6):
        save(root, f"s/{k}", trees.ct_header("s", k, PixelData=b"\0" * (100 if k < 4 else 200)))
    with pytest.raises(UnreadableShareError) as told:
        build_store(CARD, root, 8, max_unreadable=0.1)
    found = re.search(r"\n  4 x (\w+): the pixels end early: 100 of 512 bytes\n  1 x \w+: .* 200 of", str(told.value))
    assert found and f"tlkit.archives.archive.locate(root, ['{found[1]}'])" in str(told.value)
    assert locate(root, [found[1]]).item() in {f"s/{k}" for k in range(4)}


def test_of_two_orientations_in_a_series_the_more_frequent_stays(root):
    series(root, n=31)
    for k in range(5):
        tags = {"ImageOrientationPatient": [1, 0, 0, 0, 0, -1], "ImagePositionPatient": [0, k, 0]}
        save(root, f"coronal{k}", trees.ct_header("s", 100 + k, **tags))
    jitter = trees.ct_header("s", 31, ImageOrientationPatient=[0.9999999, -0.000001, 0, 0, 1, 0])
    save(root, "jitter", jitter)
    samples, rejects = scan(root)
    assert len(samples) == 32 and "jitter" in set(samples["path"])
    assert sorted(rejects["path"]) == [f"coronal{k}" for k in range(5)]
    assert set(rejects["reason"]) == {"orientation differs from most slices of its series"}


def test_a_series_of_two_patients_is_bad_input_and_no_patient_gets_it(root):
    trees.ct_series(root)
    series(root, "mixed", n=16)
    series(root, "mixed", n=16, first=16, patient="P2")
    samples, rejects = scan(root)
    assert len(samples) == 90 and len(rejects) == 32 and set(rejects["kind"]) == {"unreadable"}
    assert set(rejects["reason"]) == {"series with slices of two or more patients"}
    with pytest.raises(UnreadableShareError, match=r"max_unreadable"):
        build_store(CARD, root, 8)
    with pytest.warns(UserWarning, match="32 unreadable"):
        assert len(open_store(build_store(CARD, root, 8, max_unreadable=0.3))) == 90


def test_without_a_patient_id_a_study_counts_as_a_patient(root):
    series(root, "a", PatientID="")
    series(root, "b", PatientID=None)  # of the same study
    series(root, "c", PatientID="", StudyInstanceUID="1.2.3")
    samples, _ = scan(root)
    assert samples.groupby("series").size().tolist() == [30, 30, 30] and samples["patient"].nunique() == 2


def test_an_archive_without_any_series(root):
    (root / "notes.txt").write_text("a text")
    samples, rejects = scan(root)
    assert samples.empty and list(samples) == ct_series.COLUMNS and len(rejects) == 1
    with pytest.raises(StoreError, match="no image to store"):
        build_store(CARD, root, 8)
    (root / "empty").mkdir()
    assert scan(root / "empty")[0].empty


def test_the_index_keeps_the_tags_and_no_name(root):
    tags = {"Manufacturer": "MAKER", "StudyDate": "20200131", "PixelSpacing": [0.5, 0.7], "SliceThickness": "1.25"}
    series(root, n=1, **tags, PatientName="Mustermann", ImageType=["ORIGINAL", "PRIMARY", "AXIAL"])
    (row,) = index(root, b"k" * 32).to_dict("records")
    expected = {"manufacturer": "MAKER", "spacing": "0.5\\0.7", "thickness": 1.25, "rows": 16, "label": 1}
    expected |= {"body_part": "thorax", "image_type": "ORIGINAL\\PRIMARY\\AXIAL", "orientation": "1 0 0 0 1 0"}
    assert {name: row[name] for name in expected} == expected
    assert row["syntax"] == "1.2.840.10008.1.2.1" and row["date"] == deidentify.shift_date(b"k" * 32, "20200131", "P1")
    assert row["patient"] == deidentify.pseudonym(b"k" * 32, "patient", "P1")


def test_an_index_reads_only_what_is_new(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "BLOCK", 10)
    root, key, read = tmp_path / "a", b"k" * 32, []
    series(root, n=25)
    original = headers.read_headers
    monkeypatch.setattr(headers, "read_headers", lambda files: (read.extend(f.name for f in files), original(files))[1])
    first = index(root, key, workers=1)
    assert len(read) == 25 == len(first) and first["path"].is_monotonic_increasing
    assert index(root, key, workers=1).equals(first) and len(read) == 25
    save(root, "s/30", trees.ct_header("s", 30))
    save(root, "s/3", trees.ct_header("s", 3, Modality="MR"))
    os.utime(root / "s/3", ns=(1, 1))
    (root / "s/4").unlink()
    second = index(root, key, workers=1)
    assert sorted(read[25:]) == ["3", "30"] and len(second) == 25
    assert second["reason"].tolist().count("modality MR, not CT, and so without HU") == 1
    assert locate(root, second["path"], key).sort_values().tolist() == sorted(f"s/{k}" for k in {*range(25), 30} - {4})


def test_a_killed_index_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "BLOCK", 10)
    series(tmp_path / "a", n=35)
    original, calls = headers.read_headers, []

    def killed(files):
        calls.append(len(files))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(files)

    monkeypatch.setattr(headers, "read_headers", killed)
    with pytest.raises(KeyboardInterrupt):
        index(tmp_path / "a", b"k" * 32, workers=1)
    assert len(index(tmp_path / "a", b"k" * 32, workers=1)) == 35
    assert calls == [10, 10, 10, 10, 5]


def test_two_processes_give_the_same_index_and_the_same_store(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "BLOCK", 20)
    root = trees.ct_series(tmp_path / "a")
    save(root, "zero", trees.ct_header("s1", 40, RescaleSlope=0))
    tables = []
    for workers in (1, 2):
        monkeypatch.setenv("TLKIT_RUNS", str(tmp_path / f"runs{workers}"))
        tables.append(index(root, b"k" * 32, workers))
    assert tables[0].equals(tables[1]) and len(tables[0]) == 91
    samples, _ = ct_series.scan(root, CARD)
    alone, both = (list(ct_series.read(root, samples, CARD, 8, workers)) for workers in (1, 2))
    assert len(alone) == 91 and sum(bool(error) for *_, error in alone) == 1
    for (one, _, error), (two, _, other) in zip(alone, both, strict=True):
        assert error == other and all((a == b).all() for a, b in zip(one, two, strict=True))


def test_files_are_located_by_who_has_the_key_alone(root):
    series(root, n=3)
    names = index(root, deidentify.load_key())["path"]
    assert sorted(locate(root, names)) == ["s/0", "s/1", "s/2"]
    assert locate(root, names.iloc[::-1]).index.tolist() == names.tolist()[::-1]
    assert locate(root, []).empty and locate(root / "s", []).empty
    with pytest.raises(KeyError):
        locate(root.parent / "gone", names)
    with pytest.raises(KeyError):
        locate(root, names, b"another key, of 32 bytes or not.")


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 12), st.integers(0, 5))
def test_no_patient_is_in_two_splits_and_every_slice_is_somewhere(random, patients, seed):
    rows, empty = [], archive.empty(archive.COLUMNS)
    for number in range(patients * 2):
        for k in range(random.randint(1, 5)):
            name = {"path": f"{number}-{k}", "series": f"s{number}", "sop": f"{number}-{k}", "position": 2.0 * k}
            rows.append(empty | name | {"patient": f"p{number % patients}", "label": random.randint(0, 6)})
    random.shuffle(rows)
    samples, rejects = ct_series.assemble(pd.DataFrame(rows), min_slices=3)
    assert sorted([*samples["path"], *rejects["path"]]) == sorted(row["path"] for row in rows)
    assert samples.groupby("series").size().min() >= 3 if len(samples) else True
    split = splits.assign(samples, 0.2, 0.2, seed)
    assert (
        pd.DataFrame({"split": split, "patient": samples["patient"]}).groupby("patient")["split"].nunique().le(1).all()
    )


def test_a_subset_keeps_the_ratios_and_leaves_out_other():
    labels = np.repeat([0, 1, 5, 6], [400, 200, 40, 300])
    table = pd.DataFrame({"id": [f"i{k:04d}" for k in range(940)], "label": labels})
    chosen = table.set_index("id").loc[ct_series.subset(table, 64), "label"].value_counts().to_dict()
    assert chosen == {0: 40, 1: 20, 5: 4}
    assert len(ct_series.subset(table)) == 640
    assert (ct_series.subset(table, 64) == ct_series.subset(table.sample(frac=1, random_state=0), 64)).all()
    with pytest.raises(ValueError, match="640 rows"):
        ct_series.subset(table, 641)
