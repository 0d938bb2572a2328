import json
import os
import subprocess
import sys
import threading
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
import trees

from tlkit.archives import dicom, export, headers, multimodal, pixels
from tlkit.config import ConfigError
from tlkit.datasets import DATASETS, bounds, content_hash
from tlkit.datasets.bounds import check_need, reading, unpacked_size
from tlkit.datasets.cards import UnreadableFile
from tlkit.datasets.store import build_store, open_store

HERE = Path(__file__).parent
LINUX = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the size of a process is read from /proc")


def script(name: str, *args: str, **env: str) -> dict:
    """Run one of the scripts beside this file and return the JSON of its last line."""
    tests = HERE.parent
    path = os.pathsep.join(map(str, [HERE, tests, tests / "archives", tests / "layouts", tests.parent]))
    own = os.environ | {"PYTHONPATH": path, "RUST_BACKTRACE": "0"} | env
    done = subprocess.run(
        [sys.executable, HERE / name, *args], capture_output=True, text=True, env=own, errors="replace"
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_bound_is_one_setting(monkeypatch):
    assert bounds.allowed() == 1e9 and bounds.identity() == {}
    check_need(1e9)
    with pytest.raises(
        UnreadableFile, match=r"needs 54.0 GB; at most 1 GB are allowed for one file: raise TLKIT_FILE_GB"
    ):
        check_need(54e9)
    with pytest.raises(UnreadableFile, match="needs any memory"):
        check_need(float("nan"))
    monkeypatch.setenv("TLKIT_FILE_GB", "60")
    check_need(54e9)
    assert bounds.identity() == {"file_gb": 60}
    for wrong in ("0", "-1", "much", "nan", "inf"):
        monkeypatch.setenv("TLKIT_FILE_GB", wrong)
        with pytest.raises(ConfigError, match="expected a number of GB"):
            bounds.allowed()


def test_another_bound_is_another_store_and_another_index(tmp_path, monkeypatch):
    root = trees.ct_series(tmp_path / "a")
    first = build_store(DATASETS["radnet"], root, 8)
    monkeypatch.setenv("TLKIT_FILE_GB", "2")
    second = build_store(DATASETS["radnet"], root, 8)
    assert first != second and (open_store(first).images == open_store(second).images).all()
    assert len([p for p in (tmp_path / "runs/data/index").iterdir() if p.is_dir()]) == 2


def test_what_is_unpacked_is_counted_and_not_kept(monkeypatch):
    packed = zlib.compress(bytes(5_000_000))
    assert unpacked_size(BytesIO(packed), 15) == 5_000_000
    with pytest.raises(UnreadableFile, match="end early"):
        unpacked_size(BytesIO(packed[:-10]), 15)
    with pytest.raises(zlib.error):
        unpacked_size(BytesIO(b"no packed data"), 15)
    monkeypatch.setattr(bounds, "FILE_GB", 0.008)
    assert unpacked_size(BytesIO(packed), 15) == 5_000_000
    with pytest.raises(UnreadableFile, match="2 copies; at most"):
        unpacked_size(BytesIO(packed), 15, copies=2)


class Panic(BaseException):
    """What decoders in Rust raise."""


@pytest.mark.parametrize(
    "error", [ValueError("Eva"), MemoryError(), RecursionError("Eva"), OSError(2, "no", "Eva"), Panic("Eva")]
)
def test_every_error_of_a_reader_is_a_reason_without_its_text(error):
    with pytest.raises(UnreadableFile) as told, reading(bounds.name_error):
        raise error
    assert type(error).__name__ in str(told.value) and "Eva" not in str(told.value)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ConfigError("x"), UnreadableFile("y")])
def test_what_is_no_fault_of_a_file_passes(error):
    with pytest.raises(type(error)), reading(bounds.name_error):
        raise error


@LINUX
def test_small_files_that_ask_for_much_are_rejects_and_the_process_stays_small_and_well():
    found = script("bombs.py", TLKIT_FILE_GB="0.05")
    assert found["healthy"] and found["grown_mb"] < 50 and len(found["told"]) > 25
    read = {name for name, reasons in found["told"].items() if not any(reasons)}
    assert read == set(), read


@LINUX
def test_a_fuzz_of_3000_files_gives_arrays_or_reasons_within_the_bound():
    found = script("fuzz.py", "3000", "11")
    assert found["files"] == 3000 and min(found["read"], found["reject"]) > 500
    assert found["peak_mb"] - found["base_mb"] < 1000, found


ODD = {  # texts that are no such value, numbers out of range, sequences with nothing in them
    "Rows": ("Eva", "", -1, 0, 65535), "Columns": ("", 0), "BitsAllocated": ("Eva", 0, 7, 128), "BitsStored": (0, 99),
    "HighBit": (99,), "SamplesPerPixel": ("Eva", 0, 3), "PixelRepresentation": ("Eva", 7),
    "RescaleSlope": ("", "Eva", "nan", "1e400", "1\\2"), "RescaleIntercept": ("Eva", "inf"),
    "WindowCenter": ("Eva", "", "1\\2\\3", "1e400"), "WindowWidth": ("Eva", "0\\0"),
    "NumberOfFrames": ("Eva", "", "-5", "99999999999", "1\\2"), "PixelSpacing": ("1", "Eva"), "ImageType": ("", "Eva"),
    "ImagePositionPatient": ("1", "Eva"), "ImageOrientationPatient": ("1\\2", "Eva"), "InstanceNumber": ("Eva", "1e9"),
    "SliceThickness": ("Eva", ""), "KVP": ("Eva",), "PhotometricInterpretation": ("Eva", ""), "Modality": ("EVA", ""),
    "PixelPaddingValue": ("Eva",), "PresentationLUTShape": ("Eva",), "BodyPartExamined": ("Eva\\x",),
    "ModalityLUTSequence": ("Eva", [], [pydicom.Dataset()]), "SharedFunctionalGroupsSequence": ([pydicom.Dataset()],),
    "SpecificCharacterSet": ("Eva", "ISO_IR 13\\Eva"), "PatientID": ("Eva\\Eva",), "SOPClassUID": ("Eva",),
    "StudyDate": ("Eva",), "SeriesInstanceUID": ("Eva",), "BurnedInAnnotation": ("Eva",),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
@pytest.mark.filterwarnings("ignore")
def test_elements_of_odd_values_end_nothing_and_are_not_quoted(tmp_path, name):
    for k, value in enumerate(ODD[name]):
        kinds = {str: ("LO", "UT"), list: ("SQ",), int: ("US",)}
        for vr in kinds[type(value)] if value != -1 else ("SS",):
            ds, file = trees.radiology("CT", RescaleSlope=1, RescaleIntercept=0), tmp_path / f"{k}{vr}.dcm"
            ds["PixelData"].VR = "OW"
            with pydicom.config.disable_value_validation():
                ds.add_new(name, vr, value)
                ds.save_as(file, enforce_file_format=True)
            outcomes = [next(headers.read_headers([file], tags)) for tags in (headers.TAGS, multimodal.TAGS)]
            outcomes += dicom.decode_block([file], 8, 0.0) + export.export_block([file], [[(0, 0)]], 8)
            for found in outcomes:
                assert isinstance(found, dict | np.ndarray | list | str | UnreadableFile)
                assert isinstance(found, dict) or "eva" not in str(found).lower(), (value, found)


def test_a_reason_names_the_element_that_is_wrong(tmp_path):
    for name in ("RescaleSlope", "RescaleIntercept"):
        ds = trees.ct_header("s", 0)
        with pydicom.config.disable_value_validation():
            ds.add_new(name, "LO", "Mustermann")
            ds.save_as(tmp_path / name, enforce_file_format=True)
        for (error,) in (
            dicom.decode_block([tmp_path / name], 8, 0.0),
            export.export_block([tmp_path / name], [[(0, 0)]], 8),
        ):
            assert str(error) == f"{name} is no number"


def test_a_character_set_that_is_none_is_one_reject_and_the_index_goes_on(tmp_path):
    for k in range(2):
        ds = trees.ct_header("s", k, SpecificCharacterSet="ISO_IR 100", PatientID="Jürgen")
        ds.save_as(tmp_path / f"{k}", enforce_file_format=True)
    data = (tmp_path / "0").read_bytes()
    (tmp_path / "0").write_bytes(data.replace(b"ISO_IR 100", b"ISO_IR\x91100"))
    bad, good = headers.read_headers([tmp_path / "0", tmp_path / "1"])
    assert "SpecificCharacterSet" in str(bad) and good["PatientID"] == "Jürgen"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.filterwarnings("ignore:.* unreadable")
@pytest.mark.parametrize(
    ("name", "ending"), [("radnet", ".dcm"), ("radiologynet", ".dcm"), ("covid-ct", ".png"), ("lits", ".nii")]
)
def test_what_is_no_regular_file_is_one_reject_and_nothing_waits(tmp_path, name, ending):
    card, root = DATASETS[name], tmp_path / "data"
    trees.for_card(card, root)
    place = next(file for file in sorted(root.rglob("*")) if file.is_file() and file.suffix != ".csv").parent
    names = ("volume-90", "volume-91", "volume-92") if name == "lits" else ("pipe", "nowhere", "endless")
    os.mkfifo(place / f"{names[0]}{ending}")
    (place / f"{names[1]}{ending}").symlink_to("gone")
    (place / f"{names[2]}{ending}").symlink_to("/dev/zero")
    (place / f"folder{ending}").mkdir()
    if name == "lits":
        for stem in names:
            (place / f"{stem.replace('volume', 'segmentation')}.nii").symlink_to("gone")
    built = []
    worker = threading.Thread(target=lambda: built.append(build_store(card, root, 8, max_unreadable=0.9)), daemon=True)
    worker.start()
    worker.join(60)
    assert built, "the build waits for a pipe, or has failed"
    rejects = pd.read_csv(built[0] / "rejects.csv")
    rejects = rejects[rejects["kind"] == "unreadable"]
    assert rejects["reason"].str.contains("no regular file").sum() == 2
    assert rejects["reason"].str.contains("No such file").sum() == 1 or name == "lits"
    assert content_hash(root) == content_hash(root)


def test_frames_are_decoded_one_at_a_time(tmp_path, monkeypatch):
    ds = trees.radiology("XA", frames=5)
    ds.compress(pydicom.uid.RLELossless)
    ds.save_as(tmp_path / "x", enforce_file_format=True)
    read = headers.read_dataset(tmp_path / "x")
    assert [n for n, frame in pixels.frames(read, [1, 4])] == [1, 4]
    whole = read.pixel_array
    assert all((frame == whole[n]).all() for n, frame in pixels.frames(read, [0, 2, 4]))
    assert len(export.export(tmp_path / "x", [(4, 0), (0, 0), (2, 0)], 16)) == 3


def test_a_packed_image_that_says_its_own_size_is_believed():
    assert pixels.codestream_values(b"") == pixels.codestream_values(b"no image" * 20) == 0
    start, sof = b"\xff\xd8\xff\xff\xe0\x00\x04ab", b"\xff\xc0\x00\x11\x08\x01\x00\x02\x00\x03" + bytes(9)
    sos = b"\xff\xda" + bytes(20)
    assert pixels.codestream_values(start + sof + sos) == 256 * 512 * 3
    for damaged in (start + sos, start + sof + b"x" + sos, start + b"\0" + sof + sos, start + sof):
        with pytest.raises(UnreadableFile, match="markers"):
            pixels.codestream_values(damaged)
    assert pixels.rle_size(bytes(64) + b"\x02abc\x80\xffx\x81y") == 3 + 2 + 128
