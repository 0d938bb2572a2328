import contextlib
import logging
import os
import stat
import traceback
import warnings
from dataclasses import replace

import numpy as np
import pydicom
import pytest
import trees
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from tlkit import paths
from tlkit.archives import archive, deidentify, dicom, headers, multimodal  # fmt: skip
from tlkit.archives.deidentify import load_key, new_uid, pseudonym, shift_date
from tlkit.config import TlkitError
from tlkit.datasets import DATASETS, bounds, content_hash, identity
from tlkit.datasets.cards import UnreadableFile
from tlkit.datasets.store import build_store, open_store

KEY = b"0" * 32
SECRET = "ZQXJ7"  # in every planted text
SECRET_UID = "1.2.3.77553311.99"
SECRET_DATE = "19370423"
NUMBER = 77553311
PLANTED = {
    **dict.fromkeys(("AE", "CS", "LO", "LT", "SH", "ST", "PN", "UT", "UC"), SECRET),
    "UR": f"http://{SECRET}", "UI": SECRET_UID, "DA": SECRET_DATE, "DT": f"{SECRET_DATE}111213", "TM": "111213.775533",
    "AS": "097Y", "OB": SECRET.encode() + b"0", "OW": SECRET.encode() + b"0", "UN": SECRET.encode() + b"0",
    "DS": str(NUMBER), "IS": str(NUMBER), "US": 54321, "FD": float(NUMBER),
}  # fmt: skip
TRACES = tuple(s.encode() for s in (SECRET, SECRET_UID, SECRET_DATE, "111213", "097Y", str(NUMBER), "Mustermann"))


def plant(ds: pydicom.Dataset, spare: tuple[str, ...] = ()) -> int:
    """Put an identifier into every element that the profile names, and into private ones; return their number."""
    planted, ds.preamble = 0, SECRET.encode().ljust(128)
    for tag in deidentify.profile():
        tag = Tag(tag[0], tag[1])  # of repeating groups the first
        if tag.group == 0 or keyword_for_tag(tag) in spare:  # group 0 is of messages, not of files
            continue
        try:
            vr = dictionary_VR(tag).split(" or ")[0]
        except KeyError:  # new in the standard, and unknown to this pydicom
            vr = "LO"
        inner = pydicom.Dataset()
        inner.PatientName = inner.PatientComments = SECRET
        value = Sequence([inner]) if vr == "SQ" else PLANTED[vr]
        (ds.file_meta if tag.group == 2 else ds).add_new(tag, vr, value)
        planted += 1
    ds.private_block(0x29, "MAKER", create=True).add_new(1, "LO", SECRET)
    return planted


def traces(data: bytes) -> list[bytes]:
    utf16 = [t for t in TRACES if t.decode().encode("utf-16-le") in data]
    return [t for t in TRACES if t in data] + utf16


def test_a_copy_keeps_no_identifier_in_any_element_that_the_profile_names(tmp_path):
    ds = trees.ct_header("s", 0)
    with pydicom.config.disable_value_validation():
        assert plant(ds) > 640
        ds.save_as(tmp_path / "before", enforce_file_format=True)
        assert len(traces((tmp_path / "before").read_bytes())) >= 6
        new = deidentify.dataset(pydicom.dcmread(tmp_path / "before"), KEY)
        new.save_as(tmp_path / "after", enforce_file_format=True)
    assert traces((tmp_path / "after").read_bytes()) == []
    assert new.PatientIdentityRemoved == "YES" and not any(e.tag.is_private for e in new)
    assert {e.keyword for e in new} - {"PatientIdentityRemoved", "DeidentificationMethod"} <= set(deidentify.KEEP)
    assert (pydicom.dcmread(tmp_path / "after").pixel_array == ds.pixel_array).all()


def test_whatever_is_kept_is_not_named_by_the_profile_or_gets_a_pseudonym():
    named = deidentify.find_named_by_profile()
    assert named == {"SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientID", "StudyDate"}
    head = dict.fromkeys((*deidentify.KEEP, "PatientName"), SECRET) | {"StudyDate": SECRET_DATE}
    kept = deidentify.replace_values(head, KEY)
    assert "PatientName" not in kept and kept["Modality"] == SECRET
    assert not any(SECRET in kept[name] or SECRET_DATE in kept[name] for name in (*named, "BodyPartExamined"))


@pytest.mark.filterwarnings("ignore:radnet. .* unreadable", "ignore:Invalid value for VR")
def test_nothing_that_is_written_holds_an_identifier(tmp_path):
    data = tmp_path / "archive" / "Mustermann^Erika"
    spare = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "PatientID")
    for k in range(33):
        ds = trees.ct_header(f"{SECRET}-series", k, patient=f"{SECRET}Erika", part="Leber " + SECRET)
        with pydicom.config.disable_value_validation():
            plant(ds, spare)
            if k == 31:
                ds.ImageOrientationPatient = [0, 1, 0, 0, 0, 1]
            if k == 32:
                ds.RescaleSlope = 0
            data.mkdir(parents=True, exist_ok=True)
            ds.save_as(data / f"{SECRET}_{k}.dcm", enforce_file_format=True)
    (data / f"{SECRET}.txt").write_text("Mustermann")
    (data / f"{SECRET}-cut.dcm").write_bytes((data / f"{SECRET}_0.dcm").read_bytes()[:3000])
    uids = [ds.SOPInstanceUID.encode(), ds.SeriesInstanceUID.encode(), ds.StudyInstanceUID.encode()]

    path = build_store(DATASETS["radnet"], tmp_path / "archive", 16, max_unreadable=0.5)
    opened = open_store(path)
    assert len(opened) == 31 and set(opened.table["body_part"]) == {"leber"}
    assert len(set(opened.table["patient"])) == 1 and not opened.table["id"].str.contains(r"\.").any()
    written = [file for file in paths.runs_root().rglob("*") if file.is_file()]
    assert {"table.parquet", "rejects.csv", "part-00000.parquet", "images.npy"} <= {file.name for file in written}
    for file in written:
        name = file.relative_to(paths.runs_root()).as_posix().encode()
        data = file.read_bytes()
        assert traces(data) == [] and traces(name) == [] and not any(uid in data for uid in uids), file
        if file.suffix == ".parquet":  # compressed: look at the values too
            assert traces(pd_text(file)) == [], file


def pd_text(file) -> bytes:
    import pandas as pd

    return pd.read_parquet(file).to_csv().encode()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_uids_dates_and_patients_stay_consistent():
    first, second = (pydicom.dcmread(get_testdata_file("CT_small.dcm")) for _ in range(2))
    second.SOPInstanceUID, second.StudyDate = "1.2.3", "20040129"
    one, two = (deidentify.dataset(ds, KEY) for ds in (first, second))
    assert one.SeriesInstanceUID == two.SeriesInstanceUID != first.SeriesInstanceUID
    assert one.SOPInstanceUID != two.SOPInstanceUID and one.PatientID == two.PatientID != first.PatientID
    days = [np.datetime64(f"{d[:4]}-{d[4:6]}-{d[6:]}") for d in (one.StudyDate, two.StudyDate, "20040119", "20040129")]
    assert days[1] - days[0] == days[3] - days[2] and 1 <= (days[2] - days[0]).astype(int) <= 3650
    assert one.SeriesInstanceUID == new_uid(KEY, first.SeriesInstanceUID) and one.SeriesInstanceUID.is_valid
    head = {name: str(first.get(name, "")) for name in deidentify.KEEP}
    number = int(one.SeriesInstanceUID.removeprefix("2.25."))
    assert deidentify.replace_values(head, KEY)["SeriesInstanceUID"] == f"{number:032x}"[:16]
    assert deidentify.dataset(first, b"1" * 32).PatientID != one.PatientID
    assert first.PatientName == "CompressedSamples^CT1"  # the original is left alone


@given(st.text(), st.text())
def test_pseudonyms_tell_apart_what_differs(one, other):
    assert (pseudonym(KEY, "patient", one) == pseudonym(KEY, "patient", other)) == (one == other)
    assert pseudonym(KEY, "patient", one) != pseudonym(KEY, "file", one)
    assert shift_date(KEY, "2020", one) == shift_date(KEY, "", one) == ""


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path):
    key = load_key()
    assert load_key() == key and len(key) == 32
    if os.name == "posix":
        assert stat.S_IMODE(deidentify.key_file().stat().st_mode) == 0o600
        assert stat.S_IMODE(deidentify.key_file().parent.stat().st_mode) == 0o700
    assert os.listdir(deidentify.key_file().parent) == ["deidentify.key"]
    (tmp_path / "phantom.json").write_text("{}")
    assert load_key(tmp_path) == deidentify.PHANTOM_KEY != key


def test_a_damaged_key_is_not_replaced_in_silence():
    load_key()
    deidentify.key_file().write_bytes(b"short")
    with pytest.raises(deidentify.KeyFileError, match="holds 5 bytes"):
        load_key()


def test_the_key_decides_the_identity_of_a_real_archive_and_of_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setenv("TLKIT_DATA", str(tmp_path))
    root = trees.ct_series(tmp_path / "radnet")
    trees.class_folders(tmp_path / "covid-ct", ("covid", "noncovid"))
    before, other = identity("radnet"), identity("covid-ct")
    assert identity("radnet") == before and content_hash(root) in before["content"]
    names = [build_store(DATASETS["radnet"], root, 8).name]
    deidentify.key_file().unlink()
    names.append(build_store(DATASETS["radnet"], root, 8).name)
    assert identity("radnet") != before and identity("covid-ct") == other and len(set(names)) == 2


READ = sorted({name for tags in (headers.TAGS, multimodal.TAGS) for name in tags} | set(deidentify.KEEP))
KEPT = {"Manufacturer", "ManufacturerModelName", "ConvolutionKernel", "ImageType"}  # no identifiers, so in the index
BROKEN = [name for name in READ if name not in KEPT and not name.startswith(("Media", "PixelData", "SpecificChar"))]


def broken_archive(root):
    """Write files with a secret in one element each that is read, where it stands for what it is not, and cut ones."""
    for k, name in enumerate(BROKEN):
        for modality in ("CT", "XA"):
            ds = trees.radiology(modality, k, f"{SECRET}-{k}", RescaleSlope=1, RescaleIntercept=0)
            part = ds.file_meta if name == "TransferSyntaxUID" else ds
            ds.SpecificCharacterSet, ds["PixelData"].VR = "ISO_IR 100", "OW"
            ds.add_new("PatientName", "PN", SECRET)
            part.add_new(name, "UI" if name.endswith("UID") else "LO", SECRET.upper())
            file = root / f"{SECRET}^Erika" / f"{SECRET}{name}{modality}.dcm"
            file.parent.mkdir(parents=True, exist_ok=True)
            ds.save_as(file, implicit_vr=False, little_endian=True, enforce_file_format=False)
            data = file.read_bytes()
            if not data.startswith(bytes(128) + b"DICM"):
                file.write_bytes(bytes(128) + b"DICM" + data)
    whole = (root / f"{SECRET}^Erika" / f"{SECRET}KVPCT.dcm").read_bytes()
    for cut in (200, 600, 900, len(whole) - 100):
        (root / f"{SECRET}-{cut}.dcm").write_bytes(whole[:cut])
    (root / f"{SECRET}.dcm").write_bytes(whole.replace(b"ISO_IR 100", SECRET.encode().ljust(10, b"\xe4")))


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["radnet", "radiologynet"])
def test_no_value_of_a_broken_file_is_printed_logged_or_written(tmp_path, name, capfd, caplog, recwarn, monkeypatch):
    with pydicom.config.disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        broken_archive(tmp_path / "archive")
        (tmp_path / "archive" / "reports.csv").write_text("exam,text\n")
    caplog.set_level(logging.DEBUG)
    said = []
    card = replace(DATASETS[name], options=DATASETS[name].options | {"min_slices": 1, "min_coverage": 0.0})
    for most in (0.0, 1.0):
        try:
            opened = open_store(build_store(card, tmp_path / "archive", 16, max_unreadable=most))
        except TlkitError as error:
            said += [str(error), "".join(traceback.format_exception(error))]
    samples = opened.table["path"]
    key, files = load_key(), archive.locate(tmp_path / "archive", samples)
    for file in [*files, *(f.relative_to(tmp_path / "archive") for f in (tmp_path / "archive").rglob("*.dcm"))][:40]:
        with contextlib.suppress(UnreadableFile):
            with bounds.reading(bounds.name_error), headers.quiet():
                ds = headers.read_dataset(tmp_path / "archive" / file, stop_before_pixels=True)
            said.append(str(deidentify.dataset(ds, key).get("PatientID")))
    assert len(opened) > 20 and opened.meta["unreadable"] > 2
    out, err = capfd.readouterr()
    said += [out, err, caplog.text, *(str(w.message) for w in recwarn)]
    written = [file for file in paths.runs_root().rglob("*") if file.is_file() and "private" not in file.parts]
    said += [pd_text(f).decode() if f.suffix == ".parquet" else f.read_bytes().decode("latin-1") for f in written]
    said += [file.name for file in written]
    leaks = [text[max(0, at - 80) : at + 40] for text in said if (at := text.upper().find(SECRET)) >= 0]
    assert leaks == []


@pytest.mark.filterwarnings("ignore")
def test_a_copy_of_a_broken_file_drops_what_cannot_be_read(tmp_path):
    ds = trees.ct_header("s", 0)
    with pydicom.config.disable_value_validation():
        for name in ("RescaleSlope", "KVP", "SliceThickness"):
            ds.add_new(name, "DS", b"")
            ds[name]._value = SECRET  # as it would be written
        ds.save_as(tmp_path / "x", enforce_file_format=True)
    new = deidentify.dataset(headers.read_dataset(tmp_path / "x"), KEY)
    assert "RescaleSlope" not in new and "KVP" not in new and new.Rows == 16
    new.save_as(tmp_path / "y")
    assert traces((tmp_path / "y").read_bytes()) == []


def test_text_burnt_into_a_slice_leaves_it_out_of_every_corpus():
    for value in ("YES", "yes"):
        head = dict.fromkeys(headers.TAGS, "") | {"Modality": "CT", "BurnedInAnnotation": value}
        assert dicom.not_a_slice(head) == "text is burnt into the image"
    assert dicom.not_a_slice(head | {"BurnedInAnnotation": "NO"}) == ""
