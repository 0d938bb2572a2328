import numpy as np
import pydicom
import pytest
import trees
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from tlkit.archives import dicom, headers, pixels
from tlkit.datasets.arrays import resize
from tlkit.datasets.cards import UnreadableFile


def save(root, name, dataset):
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(file, enforce_file_format=True)
    return file


def noisy(pixels: int = 32) -> np.ndarray:
    """Return stored values of a body with noise, 0 to 1,100."""
    rng = np.random.default_rng(0)
    return rng.integers(900, 1100, (pixels, pixels)).astype(np.uint16) * (np.indices((pixels, pixels)).sum(0) > 4)


def slice_of(stored: np.ndarray, **tags) -> pydicom.Dataset:
    return trees.ct_header("s", 0, Rows=stored.shape[0], Columns=stored.shape[1], PixelData=stored.tobytes(), **tags)


def head(**tags) -> dict[str, str]:
    return dict.fromkeys(headers.TAGS, "") | {"Modality": "CT", "SeriesInstanceUID": "1.2"} | tags


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
    assert dicom.body_part(dicom.keyword(tag)) == label and (dicom.keyword(tag) == "") == (label == 6)


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({}, ""),
        ({"ImageType": "ORIGINAL\\PRIMARY\\AXIAL", "NumberOfFrames": "1"}, ""),
        ({"Modality": "MR"}, "modality MR"),
        ({"Modality": "Müller, Eva"}, "modality unknown"),
        ({"ImageType": "ORIGINAL\\PRIMARY\\LOCALIZER"}, "localizer"),
        ({"ImageType": "DERIVED\\PRIMARY\\MPR"}, "derived"),
        ({"ImageType": "ORIGINAL\\SECONDARY"}, "derived"),
        ({"ImageType": "DERIVED\\PRIMARY\\AXIAL"}, "derived"),
        ({"SOPClassUID": pydicom.uid.SecondaryCaptureImageStorage}, "secondary capture"),
        ({"NumberOfFrames": "7"}, "more than one frame"),
        ({"MediaStorageSOPClassUID": headers.DICOMDIR}, "DICOMDIR"),
    ],
)
def test_what_is_a_slice(tags, words):
    reason = dicom.not_a_slice(head(**tags))
    assert words in reason and bool(reason) == bool(words)


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        ("DERIVED\\PRIMARY\\AXIAL", True),
        ("DERIVED\\PRIMARY\\AXIAL\\LOSSY", True),
        ("DERIVED\\PRIMARY\\LOCALIZER", False),
        ("DERIVED\\PRIMARY\\MPR", False),
        ("DERIVED\\SECONDARY\\AXIAL", False),
        ("ORIGINAL\\SECONDARY\\AXIAL", False),
    ],
)
def test_slices_changed_after_the_scan_are_admitted_and_reformats_are_not(kind, kept):
    assert (dicom.not_a_slice(head(ImageType=kind), derived=True) == "") == kept


def test_both_ways_of_reading_a_header_agree_on_the_real_files_of_pydicom(monkeypatch):
    root = (trees.Path(pydicom.__file__).parent / "data" / "test_files").rglob("*")
    files = sorted(file for file in root if file.is_file() and file.name != "ExplVR_BigEndNoMeta.dcm")
    found = list(headers.read_headers(files))
    assert sum(isinstance(head, dict) for head in found) > 140
    monkeypatch.setattr(headers, "_from_start", lambda *_: None)
    for file, head, other in zip(files, found, headers.read_headers(files), strict=True):
        assert head == other or (isinstance(head, UnreadableFile) and str(head) == str(other)), file


@pytest.mark.parametrize(("encoding", "charset"), [("latin-1", "ISO_IR 100"), ("utf-8", "ISO_IR 192")])
def test_text_is_read_in_its_own_character_set(tmp_path, encoding, charset):
    ds = trees.ct_header("s", 0, SpecificCharacterSet=charset, PatientID="Jürgen")
    ds.add_new("BodyPartExamined", "CS", b"X")
    ds["BodyPartExamined"].VR, ds["BodyPartExamined"].value = "LO", "Schädel"
    file = save(tmp_path, "ö x.dcm", ds)
    (found,) = headers.read_headers([file])
    assert found["PatientID"] == "Jürgen" and found["BodyPartExamined"] == "Schädel"


def test_damaged_files_say_why_and_what_is_no_dicom_is_none(tmp_path):
    (tmp_path / "notes.txt").write_text("a text")
    (tmp_path / "empty.dcm").touch()
    (tmp_path / "text.dcm").write_text("no DICOM " * 40)
    (tmp_path / "cut").write_bytes(save(tmp_path, "whole", trees.ct_header("s", 0)).read_bytes()[:400])
    (tmp_path / "gone.dcm").symlink_to("nowhere")
    names = ("notes.txt", "empty.dcm", "text.dcm", "cut", "gone.dcm", "whole")
    text, empty, wrong, cut, gone, whole = headers.read_headers([tmp_path / name for name in names])
    assert text is None and whole["InstanceNumber"] == "1"
    assert "empty file" in str(empty) and "content is not" in str(wrong)
    assert isinstance(cut, UnreadableFile) and "No such file" in str(gone) and "nowhere" not in str(gone)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless, "JPEG lossless", None])
@pytest.mark.parametrize("signed", [False, True])
def test_compressed_slices_have_the_values_of_the_uncompressed_one(tmp_path, syntax, signed):
    stored = noisy().astype(np.int16) - 1000 if signed else noisy()
    tags = {"PixelRepresentation": int(signed), "RescaleIntercept": 0 if signed else -1000}
    file = save(tmp_path, "x.dcm", ds := slice_of(stored, **tags))
    if syntax == "JPEG lossless":
        to_jpeg_lossless(file)
    elif syntax:
        ds.compress(syntax)
        save(tmp_path, "x.dcm", ds)
    assert (pydicom.dcmread(file).file_meta.TransferSyntaxUID.is_compressed) == bool(syntax)
    expected = stored if signed else stored.astype(np.int16) - 1000
    assert (dicom.decode(file, 0.0) == expected).all()


def to_jpeg_lossless(file):
    """Compress a file in place: GDCM alone writes this syntax."""
    import gdcm

    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(file))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(file))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


@pytest.mark.parametrize("name", ["CT_small.dcm", "693_J2KI.dcm", "J2K_pixelrep_mismatch.dcm"])
def test_real_ct_files_decode_to_their_hu(name):
    file = get_testdata_file(name)
    ds = pydicom.dcmread(file)
    if name != "CT_small.dcm":
        ds.pixel_array_options(decoding_plugin="pylibjpeg")  # another decoder than ours
    expected = ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
    if "PixelPaddingValue" in ds:
        expected[ds.pixel_array == ds.PixelPaddingValue] = dicom.AIR
    image = dicom.decode(trees.Path(file), 0.0)
    assert image.dtype == np.int16 and np.abs(image - expected).max() <= (1 if name == "693_J2KI.dcm" else 0)
    (size,) = dicom.decode_block([trees.Path(file)], 224, 0.0)
    assert size.shape == (224, 224)


@pytest.mark.parametrize(
    "name", ["MR_small.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm"]
)
def test_real_compressed_files_have_the_stored_values_of_their_uncompressed_twin(name):
    plain = pydicom.dcmread(get_testdata_file("MR_small.dcm")).pixel_array
    assert (pixels.stored_values(pydicom.dcmread(get_testdata_file(name))) == plain).all()


def test_what_lies_in_unused_bits_is_no_value(tmp_path):
    stored = noisy()
    tags = {"BitsStored": 12, "HighBit": 11, "RescaleIntercept": 0}
    assert (dicom.decode(save(tmp_path, "x", slice_of(stored, **tags)), 0.0) == stored).all()
    overlay = stored | 0x8000
    assert (dicom.decode(save(tmp_path, "y", slice_of(overlay, **tags)), 0.0) == stored).all()


def test_hu_are_rescaled_rounded_and_padding_is_air(tmp_path):
    stored = np.full((16, 16), 1000, np.int16)
    stored[0, 0], stored[8, 8] = -2000, 1003
    tags = {"PixelRepresentation": 1, "PixelPaddingValue": -2000, "RescaleSlope": "0.5", "RescaleIntercept": "-100"}
    image = dicom.decode(save(tmp_path, "x", slice_of(stored, **tags)))
    assert image.dtype == np.int16
    assert image[0, 0] == -1024 and image[1, 1] == 400 and image[8, 8] == 402  # 401.5 goes to the even number


@pytest.mark.parametrize("slope", [1, 0.5])
def test_resized_hu_are_those_of_the_whole_slice(tmp_path, slope):
    file = save(tmp_path, "x", slice_of(noisy(512), RescaleSlope=slope, RescaleIntercept=-1024))
    small, whole = dicom.decode(file, 0.0, 224), dicom.decode(file, 0.0)
    assert small.dtype == whole.dtype == np.int16 and np.abs(small - resize(whole, 224)).max() == 0


def test_hu_that_int16_cannot_hold_are_cut_at_its_ends(tmp_path):
    stored = np.full((16, 16), 65535, np.uint16)
    stored[0, 0] = 0
    image = dicom.decode(save(tmp_path, "x", slice_of(stored, RescaleSlope=2, RescaleIntercept=-40000)))
    assert image[0, 0] == -32768 and image[1, 1] == 32767


def test_a_slice_of_mostly_air_is_left_out_by_a_rule(tmp_path):
    stored = np.zeros((16, 16), np.uint16)
    stored[6:10, 6:10] = 1000
    file = save(tmp_path, "x", slice_of(stored))
    assert "at least 25% is wanted" in dicom.decode(file)
    assert dicom.decode(file, 0.0).shape == (16, 16)


def test_coverage_fills_what_the_body_encloses():
    image = np.full((101, 101), -1000, np.int16)
    y, x = np.mgrid[-50:51, -50:51]
    r = np.hypot(x, y)
    image[(r <= 25) & (r >= 20)] = 0  # a ring: body around a lung
    assert dicom.coverage(image) == pytest.approx(0.25, abs=0.01)
    assert dicom.coverage(image.repeat(5, 0).repeat(5, 1)) == pytest.approx(0.25, abs=0.01)
    assert dicom.coverage(np.zeros((64, 64), np.int16)) == 1


def test_a_constant_slice_is_left_out_by_a_rule(tmp_path):
    assert "same value" in dicom.decode(save(tmp_path, "x", slice_of(np.full((8, 8), 1000, np.uint16))))


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"RescaleSlope": None}, "no HU"),
        ({"RescaleSlope": 0}, "slope 0"),
        ({"PixelData": b"\0" * 100}, "the pixels end early: 100 of 512 bytes"),
        ({"PixelData": None}, "no pixels in the file"),
        ({"NumberOfFrames": 2, "PixelData": b"\1\0" * 512}, "expected one grey slice"),
    ],
)
def test_damaged_pixels_give_their_reason(tmp_path, tags, words):
    file = save(tmp_path, "x", trees.ct_header("s", 0, **tags))
    with pytest.raises(UnreadableFile, match=words):
        dicom.decode(file)
    (error,) = dicom.decode_block([file], 8, 0.25)
    assert isinstance(error, UnreadableFile) and words in str(error)


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"SamplesPerPixel": 3, "PixelData": b"\1\0" * 768, "PlanarConfiguration": 0}, "colours, no grey image"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "indices into a palette"),
    ],
)
def test_what_is_not_grey_is_left_out_by_a_rule(tmp_path, tags, words):
    assert words in dicom.decode(save(tmp_path, "x", trees.ct_header("s", 0, **tags)), 0.0)


def test_padding_written_with_the_other_representation_is_air(tmp_path):
    stored = noisy().astype(np.int16)
    stored[:4] = -2000
    tags = {"PixelRepresentation": 1, "RescaleIntercept": -1024}
    images = []
    for vr, value in (("SS", -2000), ("US", 63536)):
        ds = slice_of(stored, **tags)
        ds.add_new("PixelPaddingValue", vr, value)
        images.append(dicom.decode(save(tmp_path, vr, ds), 0.0))
    unsigned = slice_of(np.where(stored == -2000, 63536, stored).astype(np.uint16), RescaleIntercept=-1024)
    unsigned.add_new("PixelPaddingValue", "SS", -2000)
    images.append(dicom.decode(save(tmp_path, "unsigned", unsigned), 0.0))
    for image in images:
        assert (image[:4] == -1024).all() and (image[4:] == stored[4:] - 1024).all()


@pytest.mark.parametrize("shared", [True, False])
def test_rescale_of_an_enhanced_slice_stands_in_its_functional_groups(tmp_path, shared):
    ds, value, group = trees.ct_header("s", 0, RescaleSlope=None, RescaleIntercept=None), Dataset(), Dataset()
    ds.SOPClassUID, ds.NumberOfFrames = pydicom.uid.EnhancedCTImageStorage, 1
    value.RescaleSlope, value.RescaleIntercept = 2, -1000
    group.PixelValueTransformationSequence = [value]
    name = f"{'Shared' if shared else 'PerFrame'}FunctionalGroupsSequence"
    ds.add_new(name, "SQ", [group])
    image = dicom.decode(save(tmp_path, "x", ds), 0.0)
    assert image[0, 0] == 1000 and image[-1, -1] == -1000  # stored 1000 and 0


@pytest.mark.parametrize("implicit", [True, False])
def test_a_file_without_meta_header_has_the_values_of_the_same_file_with_one(tmp_path, implicit):
    ds = slice_of(noisy())
    expected = dicom.decode(save(tmp_path, "whole", ds), 0.0)
    del ds.file_meta
    ds.save_as(tmp_path / "bare", implicit_vr=implicit, little_endian=True)
    assert (tmp_path / "bare").read_bytes()[128:132] != b"DICM"
    assert (dicom.decode(tmp_path / "bare", 0.0) == expected).all()
    (found,) = headers.read_headers([tmp_path / "bare"])
    assert found["Modality"] == "CT"


def test_pixels_that_are_not_finite_are_an_error(tmp_path):
    values = np.ones((16, 16), np.float32)
    values[3, 3] = np.nan
    ds = trees.ct_header("s", 0, PixelData=None, BitsAllocated=32, FloatPixelData=values.tobytes())
    with pytest.raises(UnreadableFile, match="not finite"):
        dicom.decode(save(tmp_path, "x", ds))
