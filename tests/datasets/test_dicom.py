from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import trees

from tlkit.datasets import DATASETS, UnreadableFile, dicom

CARD = DATASETS["radnet"]


def save(root, name, dataset):
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(file, enforce_file_format=True)
    return pd.DataFrame({"path": [name], "frame": [0]})


@pytest.mark.parametrize(
    ("tag", "label"),
    [
        ("HEAD", 0), ("Schädel", 0), ("Hals", 0), ("CHEST", 1), ("thorax", 1), ("CHESTABDOMEN", 1),
        ("Abdomen", 2), ("Dickdarm", 2), ("Knie", 3), ("ARM", 3), ("FUSS", 3), ("Fuß", 3), ("PELVIS", 4),
        ("HÜFTE", 4), ("HIP", 4), ("LSPINE", 5), ("BWS", 5), ("WHOLEBODY", 6), ("", 6), (None, 6), ("xyz", 6),
    ],
)  # fmt: skip
def test_body_part(tag, label):
    assert dicom.body_part(tag) == label


def test_slices_are_ordered_by_position_whatever_the_file_names(tmp_path):
    samples, rejects = dicom.scan(trees.ct_series(tmp_path), CARD)
    assert rejects.empty and len(samples) == 90
    for _, series in samples.groupby("series"):
        assert (series["position"].to_numpy() == 2.0 * np.arange(30)).all() and set(series["order"]) == {"position"}
        values = [dicom.decode(tmp_path, series.iloc[[k]], CARD)[0][0][0, 0] for k in (0, 11, 29)]
        assert values == [0, 11, 29]
    assert samples.groupby("patient")["label"].unique().map(list).to_dict() == {
        "P1": [1],
        "P2": [4],
        "P3": [0],
    }


def test_position_is_taken_along_the_normal_of_a_coronal_series(tmp_path):
    for k in range(30):  # rows run to the left, columns down: the normal points to the front of the body
        tags = {"ImageOrientationPatient": [1, 0, 0, 0, 0, -1], "ImagePositionPatient": [5, -3 * k, 7]}
        save(tmp_path, f"{k}", trees.ct_header("s", k, **tags))
    samples, _ = dicom.scan(tmp_path, CARD)
    assert samples["path"].tolist() == [str(29 - k) for k in range(30)]
    assert samples["position"].tolist() == [-3.0 * (29 - k) for k in range(30)]


def test_without_positions_the_instance_number_decides_and_the_table_says_so(tmp_path):
    for k in range(30):
        save(tmp_path, f"{k}", trees.ct_header("s", k, ImagePositionPatient=None, InstanceNumber=100 - k))
    samples, _ = dicom.scan(tmp_path, CARD)
    assert samples["path"].tolist() == [str(k) for k in range(29, -1, -1)]
    assert set(samples["order"]) == {"instance"} and samples["position"].isna().all()


def test_what_is_left_out_has_a_reason(tmp_path):
    trees.ct_series(tmp_path)
    save(tmp_path, "mr", trees.ct_header("m", 0, Modality="MR"))
    save(tmp_path, "scout", trees.ct_header("s1", 99, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]))
    save(tmp_path, "short", trees.ct_header("few", 0))
    save(tmp_path, "twin", trees.ct_header("s1", 3))
    (tmp_path / "notes.txt").write_text("a text")
    (tmp_path / "empty.dcm").touch()
    (tmp_path / "text.dcm").write_text("no DICOM " * 40)
    whole = (tmp_path / "short").read_bytes()
    (tmp_path / "cut").write_bytes(whole[:400])
    samples, rejects = dicom.scan(tmp_path, CARD)
    reasons = rejects.set_index("path")
    assert len(samples) == 90
    for path, words, kind in (
        ("mr", "modality MR", "rule"),
        ("scout", "localizer", "rule"),
        ("short", "series of 1 slices", "rule"),
        ("twin", "second copy", "rule"),
        ("notes.txt", "no DICOM file", "rule"),
        ("empty.dcm", "empty file", "unreadable"),
        ("text.dcm", "content is not", "unreadable"),
        ("cut", "", "unreadable"),
    ):
        assert words in reasons.at[path, "reason"] and reasons.at[path, "kind"] == kind, path
    assert len(rejects) == 8


def test_without_a_patient_id_a_study_counts_as_a_patient(tmp_path):
    for k in range(30):
        save(tmp_path, f"{k}", trees.ct_header("s", k, PatientID=""))
    assert dicom.scan(tmp_path, CARD)[0]["patient"].str.startswith("study ").all()


def test_hu_are_rescaled_rounded_and_padding_is_air(tmp_path):
    stored = np.full((16, 16), 1000, np.int16)
    stored[0, 0], stored[8, 8] = -2000, 1003
    tags = {
        "PixelRepresentation": 1,
        "PixelPaddingValue": -2000,
        "RescaleSlope": "0.5",
        "RescaleIntercept": "-100",
    }
    rows = save(tmp_path, "x", trees.ct_header("s", 0, PixelData=stored.tobytes(), **tags))
    (image,), masks = dicom.decode(tmp_path, rows, CARD)
    assert image.dtype == np.int16 and masks == [None]
    assert image[0, 0] == -1024 and image[1, 1] == 400 and image[8, 8] == 402  # 401.5 goes to the even number


def test_a_slice_of_mostly_air_is_left_out_by_a_rule(tmp_path):
    stored = np.zeros((16, 16), np.uint16)
    stored[6:10, 6:10] = 1000
    rows = save(tmp_path, "x", trees.ct_header("s", 0, PixelData=stored.tobytes()))
    (reason,), _ = dicom.decode(tmp_path, rows, CARD)
    assert isinstance(reason, str) and "at least 25%" in reason
    everything = replace(CARD, options={"min_coverage": 0.0})
    assert dicom.decode(tmp_path, rows, everything)[0][0].shape == (16, 16)


def test_coverage_fills_what_the_body_encloses():
    image = np.full((101, 101), -1000, np.int16)
    y, x = np.mgrid[-50:51, -50:51]
    r = np.hypot(x, y)
    image[(r <= 25) & (r >= 20)] = 0  # a ring: body around a lung
    assert dicom.coverage(image) == pytest.approx(0.25, abs=0.01)
    assert dicom.coverage(np.zeros((64, 64), np.int16)) == 1


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"RescaleSlope": None}, "no HU"),
        ({"PixelData": b"\0" * 100}, "ValueError"),
        ({"PixelData": None}, "AttributeError"),
    ],
)
def test_damaged_pixels_give_their_reason(tmp_path, tags, words):
    rows = save(tmp_path, "x", trees.ct_header("s", 0, **tags))
    with pytest.raises(UnreadableFile, match=words):
        dicom.decode(tmp_path, rows, CARD)
