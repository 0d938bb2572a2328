from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
import trees
from pydicom.dataset import Dataset
from test_deidentify import SECRET, pd_text, plant, traces

from tlkit import paths
from tlkit.archives import archive, deidentify, multimodal
from tlkit.archives.archive import locate
from tlkit.archives.export import export
from tlkit.archives.multimodal import FREE_TEXT, MODALITIES, TAGS, TECHNICAL
from tlkit.datasets import DATASETS, card_of, prepare, splits
from tlkit.datasets.rejects import StoreError
from tlkit.datasets.store import build_store, open_store

CARD = DATASETS["radiologynet"]
RAMP = (np.arange(256).reshape(16, 16) * 255 / 256).astype(np.uint8)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "archive").mkdir()
    return tmp_path / "archive"


def save(root, name, ds):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(root / name, enforce_file_format=True)


def scan(root, **options):
    """Return (samples, rejects) with the real paths."""
    samples, rejects = multimodal.scan(root, card_of("radiologynet", options))
    return tuple(t.assign(path=locate(root, t["path"]).to_numpy()) for t in (samples, rejects))


def reasons(root) -> dict[str, tuple[str, str]]:
    rejects = scan(root)[1]
    return dict(zip(rejects["path"], zip(rejects["reason"], rejects["kind"], strict=True), strict=True))


def test_a_file_gives_an_image_for_each_frame_and_window_that_its_modality_has(root):
    two = {"WindowCenter": [128, 64], "WindowWidth": [256, 128]}
    for modality in MODALITIES:
        save(root, modality, trees.radiology(modality, **two))
    save(root, "XA frames", trees.radiology("XA", 1, frames=3, **two))
    save(root, "MR frames", trees.radiology("MR", 1, frames=4, WindowCenter=None, WindowWidth=None))
    samples, rejects = scan(root)
    found = samples.groupby("path")[["frame", "window"]].apply(lambda rows: rows.to_numpy().tolist()).to_dict()
    one, both = [[0, 0]], [[0, 0], [0, 1]]
    assert found == {
        "MR": one, "CR": one, "RF": one, "CT": both, "XA": both,
        "XA frames": [[f, w] for f in range(3) for w in range(2)], "MR frames": [[f, 0] for f in range(4)],
    }  # fmt: skip
    assert rejects.empty and samples["id"].is_unique and samples["id"].is_monotonic_increasing
    assert (samples["class"] == samples["modality"]).all() and multimodal.LAYOUT.classes(root, CARD) == MODALITIES
    assert all(MODALITIES[row.label] == row.modality == row.path[:2] for row in samples.itertuples())
    assert samples["patient"].nunique() == samples["exam"].nunique() == 1 and set(samples["split"]) == {""}
    assert set(multimodal.scan(root, CARD)[0]) == set(multimodal.COLUMNS)


def test_exams_are_studies_and_patients_are_patients(root):
    for k, (patient, study) in enumerate([("P1", "1.2"), ("P1", "1.3"), ("P1", "1.3"), ("P2", "1.4"), ("", "1.5")]):
        save(root, f"{k}", trees.radiology("CR", k, patient, StudyInstanceUID=study, PatientID=patient))
    samples = scan(root)[0].sort_values("path")
    assert samples["exam"].factorize()[0].tolist() == [0, 1, 1, 2, 3]
    assert samples["patient"].factorize()[0].tolist() == [0, 0, 0, 1, 2]
    assert not samples[["patient", "exam"]].isin(["P1", "P2", "1.2", "1.3"]).any().any()


def test_an_exam_of_two_patients_is_bad_input_and_no_patient_gets_it(root):
    trees.multimodal(root)
    for patient in ("P1", "P77"):
        save(root, f"mixed {patient}", trees.radiology("CR", 9, patient, StudyInstanceUID="1.2.3"))
    expected = ("exam with images of two or more patients", "unreadable")
    assert reasons(root) == {"mixed P1": expected, "mixed P77": expected} and len(scan(root)[0]) == 14


def test_an_archive_without_any_image(root):
    (root / "notes.txt").write_text("a text")
    (root / "reports.csv").write_text("exam,text\nA1,Uredan nalaz.\n")
    samples, rejects = scan(root)
    assert samples.empty and list(samples) == multimodal.COLUMNS and len(rejects) == 1
    assert multimodal.tags(root, CARD).shape == (0, len(TECHNICAL) + len(FREE_TEXT))
    assert multimodal.reports(root, CARD).empty and multimodal.reports(root, CARD).attrs["other"] == 1
    with pytest.raises(StoreError, match="no image to store"):
        build_store(CARD, root, 8)


def test_what_is_no_image_of_the_five_modalities_has_a_reason(root):
    files = {
        "US": trees.radiology("US"),
        "name": trees.radiology("CT", 1, Modality="MRS EVA"),
        "none": trees.radiology("CT", 2, Modality=None),
        "empty": trees.radiology("CT", 3, Modality=""),
        "no window": trees.radiology("CR", WindowCenter=None),
        "bad window": trees.radiology("MR", 1, WindowWidth=0),
        "RF frames": trees.radiology("RF", frames=2),
        "CT frames": trees.radiology("CT", 4, frames=2),
        "endless": trees.radiology("XA", 5, NumberOfFrames=10**9),
        "negative": trees.radiology("XA", 10, NumberOfFrames=-1),
        "capture": trees.radiology("CT", 6, SOPClassUID=pydicom.uid.SecondaryCaptureImageStorage),
        "burnt": trees.radiology("XA", 7, BurnedInAnnotation="YES"),
        "sizeless": trees.radiology("MR", 8, Rows=None),
        "first": trees.radiology("MR", 9),
        "second": trees.radiology("MR", 9),
    }
    for name, ds in files.items():
        save(root, name, ds)
    (root / "notes.txt").write_text("a text")
    (root / "reports.csv").write_text("exam,text\n")
    (root / "bad.dcm").touch()
    found = reasons(root)
    kept = set(scan(root)[0]["path"])
    assert len(kept) == 1 and kept < {"first", "second"}
    for name, words, kind in (
        ("US", "modality US, not one of MR, CT, CR, XA, RF", "rule"),
        ("name", "modality unknown", "rule"),
        ("none", "no Modality in the header", "rule"),
        ("empty", "no Modality in the header", "rule"),
        ("no window", "no window in the header", "rule"),
        ("bad window", "without width", "rule"),
        ("RF frames", "more than one frame in a file of RF", "rule"),
        ("CT frames", "more than one frame in a file of CT", "rule"),
        ("endless", "no plausible number of frames", "rule"),
        ("negative", "no plausible number of frames", "rule"),
        ("capture", "secondary capture", "rule"),
        ("burnt", "burnt into", "rule"),
        ("sizeless", "no rows or no columns", "rule"),
        (({"first", "second"} - kept).pop(), "second copy", "rule"),
        ("notes.txt", "no DICOM file", "rule"),
        ("bad.dcm", "empty file", "unreadable"),
    ):
        assert words in found[name][0] and found[name][1] == kind, name
    assert len(found) == 16 and "reports.csv" not in found  # a part of the layout


def test_other_modalities_are_admitted_where_the_card_names_them(root):
    for modality in multimodal.ADMITTED:
        save(root, modality, trees.radiology(modality))
    save(root, "US clean", trees.radiology("US", 1, BurnedInAnnotation="NO"))
    raw = pydicom.uid.DigitalXRayImageStorageForProcessing
    save(root, "DX raw", trees.radiology("DX", 1, SOPClassUID=raw))
    save(root, "NM frames", trees.radiology("NM", 1, frames=3))
    few, rejects = scan(root)
    assert set(few["path"]) == set(MODALITIES)
    told = rejects.set_index("path")["reason"]["DX"]
    assert told == "modality DX, not one of MR, CT, CR, XA, RF; `modalities` of the data set's options can admit it"
    every = {"modalities": list(multimodal.ADMITTED)}
    samples, rejects = scan(root, **every)
    card = card_of("radiologynet", every)
    assert set(samples["path"]) == {*multimodal.ADMITTED, "US clean", "NM frames"} - {"US"}
    assert multimodal.LAYOUT.classes(root, card) == multimodal.ADMITTED == card.classes
    assert all(multimodal.ADMITTED[row.label] == row.modality for row in samples.itertuples())
    assert samples["path"].value_counts()["NM frames"] == 3
    reasons = rejects.set_index("path")["reason"]
    assert "does not say that no text is burnt in" in reasons["US"] and "raw pixels" in reasons["DX raw"]
    assert len(reasons) == 2


def test_images_without_a_window_get_one_from_percentiles_where_the_card_says_so(root):
    save(root, "none", trees.radiology("MR", WindowCenter=None, WindowWidth=None))
    save(root, "own", trees.radiology("MR", 1))
    save(root, "frames", trees.radiology("MR", 2, frames=2, WindowCenter=None, WindowWidth=None))
    assert "none" not in set(scan(root)[0]["path"])
    samples, rejects = scan(root, percentiles=[0, 100])
    assert len(samples) == 4 and set(rejects["kind"]) == {"note"} and set(rejects["path"]) == {"none", "frames"}
    words = "no window in the header: the window of a frame without one is its percentiles 0 to 100"
    assert set(rejects["reason"]) == {words}
    opened = open_store(build_store(card_of("radiologynet", {"percentiles": [0, 100]}), root, 16))
    assert len(opened) == 4 and opened.meta["left_out"] == 0
    real = locate(root, opened.table["path"]).to_numpy()
    for image, path in zip(opened.images, real, strict=True):
        assert (image == (RAMP if path == "own" else np.arange(256).reshape(16, 16))).all()


def test_an_enhanced_file_of_one_frame_has_its_window_in_functional_groups(root):
    ds, voi, group = trees.radiology("MR", WindowCenter=None, WindowWidth=None), Dataset(), Dataset()
    ds.SOPClassUID, ds.NumberOfFrames = pydicom.uid.EnhancedMRImageStorage, 1
    voi.WindowCenter, voi.WindowWidth = 128, 256
    group.FrameVOILUTSequence = [voi]
    ds.SharedFunctionalGroupsSequence = [group]
    save(root, "enhanced", ds)
    opened = open_store(build_store(CARD, root, 16))
    assert len(opened) == 1 and (opened.images[0] == RAMP).all()


def test_a_window_without_width_is_no_image_and_the_others_are(root):
    save(root, "a", trees.radiology("CT", WindowCenter=[600, 128, 64], WindowWidth=[0, 256, 128]))
    opened = open_store(build_store(CARD, root, 16))
    assert opened.table["window"].tolist() == [0, 1] and (opened.images[0] == RAMP).all()


def test_polarity_is_an_option(root):
    save(root, "a", trees.radiology("CR"))
    for polarity, expected in (("photometric", RAMP), ("published", 255 - RAMP)):
        opened = open_store(build_store(card_of("radiologynet", {"polarity": polarity}), root, 16))
        assert (opened.images[0] == expected).all()


def test_body_parts_are_repaired_with_the_free_text_that_is_not_kept(root):
    save(root, "a", trees.radiology("MR", part="SPINE", StudyDescription=f"MR LWS {SECRET}"))
    save(root, "b", trees.radiology("CR", part="HEAD"))
    save(root, "c", trees.radiology("RF", part=SECRET))
    save(root, "d", trees.radiology("XA", part="", ProtocolName=SECRET))
    assert scan(root)[0].set_index("path")["body_part"].to_dict() == {"a": "LSPINE", "b": "SKULL", "c": "", "d": ""}


def test_a_store_holds_what_is_exported_and_the_rest_has_its_reason(root):
    trees.multimodal(root / "good")
    save(root, "dark", trees.radiology("MR", 7, WindowCenter=5000, WindowWidth=10000))
    save(root, "wide", trees.radiology("MR", 8, Rows=8, Columns=32))
    opened = open_store(build_store(CARD, root, 16))
    assert opened.images.dtype == np.uint8 and len(opened) == 15 and opened.meta["channels"] == 1
    real = locate(root, opened.table["path"]).to_numpy()
    for i, row in opened.table.assign(path=real).iterrows():
        (expected,) = export(root / row["path"], [(row["frame"], row["window"])], 16)
        assert (opened.images[i] == expected).all()
    rejects = pd.read_csv(opened.path / "rejects.csv")
    assert rejects["reason"].str.contains("too dark").sum() == 1 and set(rejects["kind"]) == {"rule", "note"}
    (picture, other), masks = multimodal.decode(root, rows := opened.table[opened.table["class"] == "CT"].head(2), CARD)
    assert (picture == RAMP).all() and not (other == RAMP).all() and masks == [None, None] and len(rows) == 2


def test_processes_give_what_one_gives_and_unreadable_files_are_told(root, monkeypatch):
    monkeypatch.setattr(multimodal, "BLOCK", 4)
    trees.multimodal(root)
    save(root, "cut", trees.radiology("MR", 7, PixelData=b"\0" * 40))
    samples, _ = multimodal.scan(root, CARD)
    alone, both = (list(multimodal.read(root, samples, CARD, 8, workers)) for workers in (1, 2))
    assert len(alone) == 11 and sum(bool(error) for *_, error in alone) == 1
    for (one, masks, error), (two, _, other) in zip(alone, both, strict=True):
        assert error == other and len(masks) == len(one) and all((a == b).all() for a, b in zip(one, two, strict=True))
    assert sum(len(images) for images, *_ in alone) == len(samples) - 1


def test_tags_are_the_headers_of_the_files_and_name_no_one(root):
    save(root, "a", trees.radiology("MR", EchoTime="12", StudyDescription="MR koljena", PatientName="Mustermann"))
    save(root, "b", trees.radiology("CT", PixelSpacing=[0.5, 0.7], ProtocolName="Routine"))
    save(root, "c", trees.radiology("US"))
    table = multimodal.tags(root, CARD)
    samples, _ = multimodal.scan(root, CARD)
    assert sorted(table.index) == sorted(samples["path"]) and table.index.name == "path"
    assert list(table.columns) == [*TECHNICAL, *FREE_TEXT] and (table.dtypes == "str").all()
    named = table.rename(index=locate(root, table.index))
    assert named.loc["a", ["EchoTime", "StudyDescription", "ProtocolName"]].tolist() == ["12", "MR koljena", ""]
    assert named.loc["b", ["PixelSpacing", "Rows", "WindowWidth"]].tolist() == ["0.5\\0.7", "16", "256.0"]
    assert "Mustermann" not in table.to_csv() and not table.isna().any().any()
    assert table.equals(multimodal.tags(root, CARD, workers=2))


def test_no_column_of_the_tags_is_an_identifier_of_the_profile():
    named = {(group, element) for group, element, *_ in deidentify.profile()}
    assert [name for name in TECHNICAL if TECHNICAL[name] in named] == []
    assert all(TAGS[name] in named for name in FREE_TEXT)  # why they stay in memory
    tags = {name: pydicom.tag.Tag(name) for name in TAGS}
    assert {name: (tag.group, tag.element) for name, tag in tags.items()} == TAGS


@pytest.mark.filterwarnings("ignore:radiologynet. .* unreadable", "ignore:Invalid value for VR")
def test_nothing_that_is_written_holds_an_identifier_or_a_word_of_a_report(root):
    spare = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "PatientID", "BurnedInAnnotation")
    folder = root / "Mustermann^Erika"
    folder.mkdir()
    for k, modality in enumerate(MODALITIES):
        ds = trees.radiology(modality, k, f"{SECRET}Erika", part=SECRET)
        with pydicom.config.disable_value_validation():
            plant(ds, spare)
            ds.AccessionNumber = f"{SECRET}-{k}"
            ds.save_as(folder / f"{SECRET}_{k}", enforce_file_format=True)
    (folder / f"{SECRET}-cut.dcm").write_bytes((folder / f"{SECRET}_0").read_bytes()[:3000])
    (root / "reports.csv").write_text(f"exam,text\n{SECRET}-0,{SECRET} Mustermann\n")
    opened = open_store(build_store(CARD, root, 16, max_unreadable=0.5))
    assert len(opened) == 5 and set(opened.table["body_part"]) == {""}
    assert SECRET in multimodal.tags(root, CARD)["StudyDescription"].iloc[0]
    assert SECRET in multimodal.reports(root, CARD).iloc[0]  # in memory, and nowhere else:
    written = [file for file in paths.runs_root().rglob("*") if file.is_file()]
    assert {"table.parquet", "rejects.csv", "part-00000.parquet", "images.npy"} <= {file.name for file in written}
    uids = [ds[name].value.encode() for name in spare[:3]]
    for file in written:
        data = file.read_bytes() + file.relative_to(paths.runs_root()).as_posix().encode()
        data += pd_text(file) if file.suffix == ".parquet" else b""
        assert traces(data) == [] and not any(uid in data for uid in uids), file


def test_the_indexes_of_two_layouts_of_one_folder_stay_apart(root):
    trees.multimodal(root)
    key = deidentify.load_key(root)
    assert set(archive.index(root, key).columns) != set(multimodal.listing(root, CARD).columns)
    assert len(multimodal.scan(root, CARD)[0]) == 14 and archive.index(root, key)["reason"].eq("").sum() == 2


def test_the_phantom_becomes_a_store_in_which_no_patient_is_in_two_splits(tmp_path):
    opened = open_store(prepare("radiologynet", 32, phantom={"seed": 1, "patients": 10, "pixels": 32}))
    assert opened.meta["title"].startswith("Phantom of") and set(opened.table["class"]) == set(MODALITIES)
    assert opened.meta["unreadable"] == 0 and not Path(opened.table["path"].iloc[0]).suffix
    splits.check_disjoint(splits.assign(opened.table, 0.2, 0.2, 0), opened.table["patient"])
    splits.check_disjoint(splits.assign(opened.table, 0.2, 0.2, 0), opened.table["exam"])
