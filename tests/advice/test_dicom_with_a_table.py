"""DICOM files of several modalities with a table: labels by name and by UID, and nobody's name in what is written."""

from __future__ import annotations

import folders_of_users as made
import numpy as np
import pandas as pd
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from tlkit import paths
from tlkit.__main__ import main
from tlkit.advice import reading
from tlkit.advice.choices import AmbiguousError
from tlkit.advice.understand import understand
from tlkit.datasets.store import build_store, open_store

SECRET = "Mustermann"
IMAGES = {"DX": "1.2.840.10008.5.1.4.1.1.1.1", "MR": "1.2.840.10008.5.1.4.1.1.4"}
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def write(path, seed: int, modality: str = "DX", colours: str = "", frames: int = 0, **more) -> str:
    """Write one file of a patient (two files a patient) and return its SOPInstanceUID."""
    d = pydicom.Dataset()
    d.file_meta = pydicom.dataset.FileMetaDataset()
    d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d.file_meta.MediaStorageSOPClassUID = d.SOPClassUID = IMAGES.get(modality, CAPTURE + ".4")
    d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID = generate_uid(entropy_srcs=[str(seed)])
    d.SeriesInstanceUID = d.StudyInstanceUID = generate_uid(entropy_srcs=[f"study {seed}"])
    d.Modality, d.PatientName, d.PatientID = modality, f"{SECRET}^{seed // 2}", f"{SECRET}-{seed // 2}"
    d.Rows = d.Columns = 40
    d.SamplesPerPixel, d.PhotometricInterpretation, d.PixelRepresentation = 1, "MONOCHROME2", 0
    d.BitsAllocated, d.BitsStored, d.HighBit = 16, 12, 11
    d.PixelData = (made.scene(seed).astype(np.uint16) * 16).tobytes()
    if frames:
        d.NumberOfFrames, d.PixelData = frames, d.PixelData * frames
    if colours:
        d.SamplesPerPixel, d.PhotometricInterpretation, d.PlanarConfiguration = 3, colours, 0
        d.BitsAllocated, d.BitsStored, d.HighBit = 8, 8, 7
        grey = made.scene(seed)
        d.PixelData = np.stack([grey, grey // 2, 255 - grey], axis=-1).tobytes()
    for name, value in more.items():
        setattr(d, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    d.save_as(path, enforce_file_format=True)
    return d.SOPInstanceUID


@pytest.mark.parametrize(("by", "modality"), [("name", "DX"), ("uid", "DX"), ("path", "MR")])
def test_dicom_with_a_table(folder, by, modality, capsys, caplog):
    rows = []
    for i in range(16):
        path = folder / f"{SECRET}{i // 2}" / (f"IM{i:04d}" if by == "path" else f"{SECRET}_{i}.dcm")
        uid = write(path, i, modality)
        named = {"name": path.stem, "uid": uid, "path": path.relative_to(folder).as_posix()}[by]
        rows.append({"image": named, "patient_name": f"{SECRET}{i // 2}", "finding": ["none", "nodule"][i % 2]})
    pd.DataFrame(rows).to_csv(folder / "labels.csv", index=False)
    assert main(["advise", str(folder), "--look"]) == 1
    assert "8 ids for 16 files" in capsys.readouterr().err
    for patient, n in (("PatientID", 8), ("patient_name", 8), ("none", 16)):
        found = understand(folder, patient=patient)
        store = open_store(build_store(reading.card_of(found), folder, 64))
        assert len(store) == 16 and store.table["patient"].nunique() == n
        assert store.table["class"].value_counts().to_dict() == {"none": 8, "nodule": 8}
        assert store.images.max() > 200 and store.patients_named == (patient != "none")
    assert main(["advise", str(folder), "--look", "--patient", "PatientID"]) == 0
    shown = capsys.readouterr()
    assert SECRET not in shown.out + shown.err + caplog.text
    for file in paths.runs_root().rglob("*"):
        assert SECRET not in str(file.relative_to(paths.runs_root()))
        assert not file.is_file() or SECRET.encode() not in file.read_bytes(), file


@pytest.mark.parametrize(("column", "names"), [("PatientID", "patients"), ("StudyInstanceUID", "exams")])
def test_a_table_of_patients_or_exams(folder, column, names, capsys):
    rows = []
    for i in range(16):
        path = folder / f"{SECRET}{i // 2}" / f"{SECRET}_{i}.dcm"
        write(path, i)
        rows.append({column: getattr(pydicom.dcmread(path), column), "finding": ["none", "nodule"][i // 2 % 2]})
    pd.DataFrame(rows).drop_duplicates().to_csv(folder / "labels.csv", index=False)
    assert main(["advise", str(folder), "--look", "--patient", "PatientID"]) == 0
    shown = capsys.readouterr()
    found = understand(folder, patient="PatientID")
    store = open_store(build_store(reading.card_of(found), folder, 64))
    assert found["options"]["names"] == names and len(store) == 16 and store.table["patient"].nunique() == 8
    assert store.table["class"].value_counts().to_dict() == {"none": 8, "nodule": 8}
    assert SECRET not in shown.out + shown.err
    for file in paths.runs_root().rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes(), file


def test_dicom_without_a_table_or_with_another_is_an_error_without_names(folder, tmp_path):
    for i in range(4):
        write(folder / f"{SECRET}{i}.dcm", i)
    with pytest.raises(AmbiguousError, match="--labels FILE") as error:
        understand(folder)
    pd.DataFrame({"name": [f"{SECRET}{i}x" for i in range(4)], "dx": list("abab")}).to_csv(
        tmp_path / "t.csv", index=False
    )
    with pytest.raises(AmbiguousError, match=r"No column of t\.csv") as other:
        understand(folder, labels=str(tmp_path / "t.csv"))
    assert SECRET not in str(error.value) + str(other.value)


def with_table(folder, n: int = 12, **how):
    """Write files of two classes and the table that names them."""
    for i in range(n):
        write(folder / f"{i}.dcm", i, **how)
    rows = {"file": [f"{i}.dcm" for i in range(n)], "finding": [["none", "nodule"][i // 2 % 2] for i in range(n)]}
    pd.DataFrame(rows).to_csv(folder / "labels.csv", index=False)
    return folder


def stored(found, folder):
    return open_store(build_store(reading.card_of(found), folder, 40))


@pytest.mark.parametrize("parts", [("",), ("train", "test")])
def test_folders_of_dicom_files_are_classes_where_they_hold_several_patients(folder, parts, capsys):
    for p, part in enumerate(parts):
        for k, name in enumerate(("normal", "pneumonia ü")):
            for i in range(4):
                write(folder / part / name / f"{SECRET}{i}.dcm", 20 * p + 10 * k + i)
    assert main(["advise", str(folder), "--look", "--patient", "PatientID"]) == 0
    assert SECRET not in capsys.readouterr().out
    found = understand(folder, patient="PatientID")
    table = stored(found, folder).table
    assert found["classes"] == ["normal", "pneumonia ü"] and table["patient"].nunique() == 4 * len(parts)
    assert table["class"].value_counts().to_dict() == dict.fromkeys(found["classes"], 4 * len(parts))
    assert set(table["split"]) == set(parts)


def test_folders_of_patients_are_no_classes_and_not_named(folder):
    for i in range(8):
        write(folder / f"{SECRET}{i // 2}" / f"{i}.dcm", i)
    with pytest.raises(AmbiguousError, match="folders named by their class") as error:
        understand(folder)
    assert SECRET not in str(error.value).replace(str(folder), "")


@pytest.mark.parametrize("colours", ["RGB", "YBR_FULL"])
def test_colours_are_kept_and_can_be_read_as_greys(folder, colours):
    found = understand(with_table(folder, modality="OP", colours=colours), patient="PatientID", burnt_in="accept")
    images = stored(found, folder).images
    assert images.shape[1:] == (40, 40, 3) and found["options"]["channels"] == 3
    if colours == "RGB":
        assert (np.asarray(images[0]).std(axis=-1) > 0).any()
    found["options"]["channels"] = 1
    assert stored(found, folder).images.shape[1:] == (40, 40)


def test_frames_of_a_file_stay_together_and_of_any_modality(folder):
    found = understand(with_table(folder, modality="DX", frames=3), patient="none")
    table = stored(found, folder).table
    assert (
        len(table) == 36 and table["patient"].nunique() == 12 and set(table.groupby("path")["patient"].nunique()) == {1}
    )


def test_what_may_have_a_name_burnt_in_is_taken_where_the_user_says_so(folder):
    with_table(folder, modality="US")
    with pytest.raises(AmbiguousError, match="--burnt-in accept"):
        understand(folder, patient="PatientID")
    assert len(stored(understand(folder, patient="PatientID", burnt_in="accept"), folder)) == 12


def test_images_of_few_greys_are_no_error(folder):
    flat = np.full((40, 40), 7, np.uint16)
    flat[10:20, 10:20] = 9
    found = understand(with_table(folder, PixelData=flat.tobytes()), patient="none")
    assert len(stored(found, folder)) == 12


def test_two_tables_of_dicom_files_are_splits(folder):
    with_table(folder)
    table = pd.read_csv(folder / "labels.csv")
    (folder / "labels.csv").unlink()
    table.iloc[:8].to_csv(folder / "train.csv", index=False)
    table.iloc[8:].to_csv(folder / "test.csv", index=False)
    found = understand(folder, patient="PatientID")
    assert stored(found, folder).table["split"].value_counts().to_dict() == {"train": 8, "test": 4}
