from pathlib import Path

import gdcm
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import trees
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from tlkit.archives import headers, pixels
from tlkit.datasets.cards import UnreadableFile

ROOT = Path(pydicom.__file__).parent / "data" / "test_files"  # what the wheel brings
UNREAD = {"badVR.dcm": "NumberOfFrames is no number"}  # it is "1A", which the others take for 1
WRONG = {  # what a referee reads otherwise, and the other one as we do
    "J2K_pixelrep_mismatch.dcm": "GDCM alone takes the signed values of the codestream for unsigned ones"
}
TYPES = {
    gdcm.PixelFormat.UINT8: np.uint8, gdcm.PixelFormat.INT8: np.int8, gdcm.PixelFormat.UINT16: np.uint16,
    gdcm.PixelFormat.INT16: np.int16, gdcm.PixelFormat.UINT32: np.uint32, gdcm.PixelFormat.INT32: np.int32,
}  # fmt: skip


def grey_files() -> list[Path]:
    """Return pydicom's test files of one grey frame."""
    found = []
    for file in sorted(f for f in ROOT.rglob("*") if f.is_file() and f.suffix not in (".py", ".gz")):
        with headers.quiet():
            head = pydicom.dcmread(file, force=True, stop_before_pixels=True)
            grey = str(head.get("PhotometricInterpretation", "")).startswith("MONOCHROME")
            if grey and head.get("Rows") and head.get("NumberOfFrames") in (None, "", 1, "1A"):
                found.append(file)
    return found


def by_simpleitk(file: Path) -> np.ndarray | None:
    """Return what SimpleITK reads, rescaled as it does, None where it reads nothing."""
    try:
        return sitk.GetArrayFromImage(sitk.ReadImage(str(file), imageIO="GDCMImageIO"))[0]
    except RuntimeError:
        return None


def by_gdcm(file: Path) -> np.ndarray | None:
    """Return the stored values as GDCM reads them, None where it reads none."""
    reader = gdcm.ImageReader()
    reader.SetFileName(str(file))
    if not reader.Read():
        return None
    image = reader.GetImage()
    data, kind = image.GetBuffer(), image.GetPixelFormat().GetScalarType()
    if data is None or kind not in TYPES:  # single bits
        return None
    columns, rows = image.GetDimensions()
    return np.frombuffer(data.encode("utf-8", "surrogateescape"), TYPES[kind]).reshape(rows, columns)


def as_simpleitk(ds, stored: np.ndarray) -> np.ndarray:
    """Return stored values as SimpleITK hands them out: bits as 0 and 255, MONOCHROME1 inverted, rescaled."""
    values = stored.astype(float)
    if ds.PhotometricInterpretation == "MONOCHROME1":
        values = 2**ds.BitsStored - 1 - values
    if ds.BitsAllocated == 1:
        values = values * 255
    return values * float(ds.get("RescaleSlope") or 1) + float(ds.get("RescaleIntercept") or 0)


@pytest.fixture(autouse=True)
def quiet_referees():
    gdcm.Trace.WarningOff()
    gdcm.Trace.ErrorOff()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)


@pytest.mark.filterwarnings("ignore")
def test_every_grey_file_of_pydicom_that_another_library_reads_is_read_with_equal_values():
    compared, unread, wrong = 0, {}, set()
    for file in grey_files():
        dose = "rtdose" in file.name  # GDCM ends the process at one of these
        found, other = by_simpleitk(file), None if dose else by_gdcm(file)
        if found is None and other is None:
            continue
        try:
            with headers.quiet():
                ds = headers.read_dataset(file)
                pixels.check_pixels(ds)
                stored = pixels.stored_values(ds)
        except UnreadableFile as error:
            unread[file.name] = str(error)
            continue
        same = [found is None or np.allclose(as_simpleitk(ds, stored), found, rtol=1e-9)]
        same += [other is None or np.array_equal(stored, other)]
        compared += 1
        if not all(same):
            assert any(same) and found is not None and other is not None, file
            wrong.add(file.name)
    assert unread == UNREAD and wrong == set(WRONG) and compared >= 50


def test_what_no_library_reads_is_told_with_its_cause():
    for name, words in (
        ("MR_truncated.dcm", "the pixels end early: 8,130 of 8,192 bytes"),
        ("JPEG2000-embedded-sequence-delimiter.dcm", "packed as a larger image than the header says"),
        ("rtplan.dcm", "no image: the header has no rows or no columns"),
    ):
        with pytest.raises(UnreadableFile) as error:
            pixels.check_pixels(headers.read_dataset(ROOT / name))
        assert str(error.value) == words


@pytest.mark.parametrize("uid", ["1.2.3", "1.2.840.113619.5.2", "1.2.840.10008.5.1.4.1.1.2", "Mustermann"])
def test_a_transfer_syntax_that_is_none_is_told_and_not_quoted(uid):
    ds = trees.ct_header("s", 0)
    ds.file_meta.TransferSyntaxUID = pydicom.uid.UID(uid, validation_mode=0)
    with pytest.raises(UnreadableFile, match=r"^a transfer syntax that the standard does not have$"):
        pixels.check_pixels(ds)


def padded(stored: np.ndarray, vr: str, *ends: int) -> np.ndarray:
    ds = Dataset()
    for name, value in zip(("PixelPaddingValue", "PixelPaddingRangeLimit"), ends, strict=False):
        ds.add_new(name, vr, value)
    return pixels.padding(ds, stored)


@pytest.mark.parametrize(
    ("kind", "vr", "ends", "expected"),
    [  # of the values -2000, -1, 0, 1 and 30000, as stored
        ("i2", "SS", (-2000,), [1, 0, 0, 0, 0]),
        ("i2", "US", (63536,), [1, 0, 0, 0, 0]),
        ("u2", "SS", (-2000,), [1, 0, 0, 0, 0]),
        ("u2", "US", (63536,), [1, 0, 0, 0, 0]),
        ("i2", "SS", (-2000, -1), [1, 1, 0, 0, 0]),
        ("i2", "SS", (0, -2000), [1, 1, 1, 0, 0]),
        ("i2", "US", (63536, 65535), [1, 1, 0, 0, 0]),
        ("i2", "US", (65535, 1), [0, 1, 1, 1, 0]),  # -1 to 1, turned round by the other VR
        ("u2", "SS", (-2000, 0), [1, 1, 1, 0, 0]),
        ("u2", "US", (0, 40000), [0, 0, 1, 1, 1]),
        ("i2", "SS", (5,), [0, 0, 0, 0, 0]),
    ],
)
def test_padding_by_hand(kind, vr, ends, expected):
    stored = np.array([[-2000, -1, 0, 1, 30000]], np.int16).view(kind)
    assert padded(stored, vr, *ends).astype(int).tolist() == [expected]


def test_padding_of_other_widths_and_none():
    assert padded(np.array([[255, 0]], np.uint8), "US", 255).tolist() == [[True, False]]
    assert not padded(np.array([[255, 0]], np.uint8), "US", 65535).any()  # no value of 8 bits
    assert padded(np.array([[-2000, 7]], np.int32), "SS", -2000).tolist() == [[True, False]]
    assert not pixels.padding(Dataset(), np.ones((2, 2), np.int16)).any()
    assert not padded(np.ones((2, 2), np.float32), "US", 1).any()


@given(st.integers(-32768, 32767), st.lists(st.integers(-32768, 32767), min_size=1, max_size=9), st.booleans())
def test_padding_is_the_same_for_both_representations(value, values, signed):
    stored = np.array([[*values, value]], np.int16).view("i2" if signed else "u2")
    expected = np.array([[*values, value]]) == value
    for vr, written in (("SS", value), ("US", value % 65536)):
        assert (padded(stored, vr, written) == expected).all()


def test_a_frame_has_what_its_own_groups_say_then_the_shared_ones_then_the_top():
    def group(centre: int) -> Dataset:
        voi, one = Dataset(), Dataset()
        voi.WindowCenter, one.FrameVOILUTSequence = centre, [voi]
        return one

    ds = Dataset()
    ds.WindowCenter, ds.RescaleSlope = 1, 4
    assert pixels.holder(ds, "WindowCenter", 1).WindowCenter == 1
    ds.SharedFunctionalGroupsSequence = [group(2)]
    assert pixels.holder(ds, "WindowCenter", 1).WindowCenter == 2
    ds.PerFrameFunctionalGroupsSequence = [group(3), Dataset(), group(5)]
    assert [pixels.holder(ds, "WindowCenter", k).WindowCenter for k in range(4)] == [3, 2, 5, 2]
    assert pixels.holder(ds, "RescaleSlope", 0) is ds and pixels.holder(ds, "WindowWidth", 0) is ds


def test_compressed_pixels_of_a_file_that_does_not_say_how_are_no_values(tmp_path):
    ds = trees.ct_header("s", 0)
    ds.compress(pydicom.uid.RLELossless)
    ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    ds["PixelData"].is_undefined_length = True
    with pytest.raises(UnreadableFile, match="compressed, and the header does not say how"):
        pixels.check_pixels(ds)
