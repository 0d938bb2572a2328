import io

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import trees
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLSLossless, RLELossless

from tlkit.archives import decoders, dicom, export, headers, pixels
from tlkit.datasets.cards import UnreadableFile

STORED = np.random.default_rng(0).integers(0, 200, (16, 16)).astype(np.uint16)


def packed(syntax: str, frames: int = 1) -> pydicom.Dataset:
    ds = trees.radiology("CT", frames=frames, PixelData=STORED.tobytes() * frames)
    ds.compress(syntax)
    return ds


def progressive(syntax: str) -> tuple[pydicom.Dataset, np.ndarray]:
    """Return a data set of a JPEG with spectral selection and full progression, and what Pillow makes of it."""
    file = io.BytesIO()
    Image.fromarray(STORED.astype(np.uint8)).save(file, "JPEG", progressive=True, quality=100)
    ds = trees.radiology("CR", BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=encapsulate([file.getvalue()]))
    ds.file_meta.TransferSyntaxUID = syntax
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    return ds, np.asarray(Image.open(file))


@pytest.mark.parametrize("name", ["JPEG-lossy.dcm", "JPGExtended.dcm"])
def test_jpeg_of_12_bits_has_the_values_of_simpleitk(name):
    file = trees.Path(get_testdata_file(name))
    expected = sitk.GetArrayFromImage(sitk.ReadImage(str(file)))[0]
    ds = headers.read_dataset(file)
    pixels.check_pixels(ds)
    assert expected.max() == 264 and (pixels.stored_values(ds) == expected).all()


@pytest.mark.parametrize("process", ["53", "55"])
def test_retired_kinds_of_jpeg_that_pydicom_has_no_decoder_for_are_read(tmp_path, process):
    ds, expected = progressive(f"1.2.840.10008.1.2.4.{process}")
    ds.save_as(tmp_path / "x", enforce_file_format=True)
    read = headers.read_dataset(tmp_path / "x")
    pixels.check_pixels(read)
    assert np.abs(pixels.stored_values(read).astype(int) - expected).max() <= 1  # two libraries round the DCT


@pytest.mark.parametrize("refusing", [1, 2])
def test_where_a_decoder_refuses_the_next_one_reads_it_exactly(monkeypatch, refusing):
    ds = packed(JPEGLSLossless, frames=3)
    names = list(decoders._decoders(ds))
    assert names[0] == "pyjpegls" and names[-1] == "SimpleITK" and len(names) > 2
    asked, real = [], decoders._by_pydicom

    def refuse(name, ds, wanted):
        asked.append(name)
        images = real(name, ds, wanted)
        if names.index(name) < refusing:
            yield next(images)  # one frame, and no more
            raise ValueError("Mustermann")
        yield from images

    monkeypatch.setattr(decoders, "_by_pydicom", refuse)
    found = dict(decoders.frames(ds, [0, 1, 2]))
    assert list(found) == [0, 1, 2] and all((frame == STORED).all() for frame in found.values())
    assert asked == [name for name in names[: refusing + 1] if name != "SimpleITK"]


def test_frames_that_are_decoded_stay_when_the_last_decoder_takes_over(monkeypatch):
    ds = packed(RLELossless, frames=2)

    def refuse(name, ds, wanted):
        raise ValueError
        yield

    monkeypatch.setattr(decoders, "_by_pydicom", refuse)
    assert all((frame == STORED).all() for _, frame in decoders.frames(ds, [1, 0]))


def test_the_reason_names_the_syntax_and_each_decoder_and_no_value_of_the_header(tmp_path):
    ds = packed(JPEGLSLossless)
    ds.PatientName = ds.PhotometricInterpretation = "MUSTERMANN"
    ds.PixelData = encapsulate([b"\0" * 400])
    ds["PixelData"].is_undefined_length = True
    ds.save_as(tmp_path / "x", enforce_file_format=True)
    for (told,) in (
        dicom.decode_block([tmp_path / "x"], 8, 0.0),
        export.export_block([tmp_path / "x"], [[(0, 0)]], 8),
    ):
        assert isinstance(told, UnreadableFile) and "\n" not in str(told) and "0x" not in str(told)
        assert str(told).startswith("JPEG-LS Lossless Image Compression: no decoder reads the pixels (pyjpegls: ")
        assert all(f"{name}: " in str(told) for name in ("gdcm", "SimpleITK")) and "MUSTER" not in str(told)


def test_what_a_decoder_says_is_handed_on():
    ds = headers.read_dataset(trees.Path(get_testdata_file("JPEG-lossy.dcm")))
    images = decoders._by_pydicom("gdcm", ds, [0])
    with pytest.raises(RuntimeError) as error:
        next(images)
    assert decoders._cause("gdcm", error.value) == (
        "gdcm: GDCM does not support 'JPEG Extended' for samples with 12-bit precision"
    )
    assert decoders._cause("gdcm", RuntimeError("all available plugins:\n  gdcm: None")) == "gdcm: RuntimeError"
    assert decoders._cause("gdcm", ValueError("Mustermann")) == "gdcm: ValueError"


def test_the_last_decoder_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(decoders.tempfile, "tempdir", str(tmp_path))
    ds = packed(RLELossless)
    (image,) = decoders._by_simpleitk(ds, [0])
    assert (image == STORED).all() and list(tmp_path.iterdir()) == []
