"""One DICOM file: its header as text, what it is, and its pixels in HU.

Compressed files go through pydicom's plugins, of those with a permissive licence the fastest on 512 x 512 slices: RLE
by pylibjpeg-rle, JPEG-LS by pyjpegls (4 ms, GDCM 7), JPEG 2000 and lossless JPEG by GDCM (for the latter the only one
not under the GPL), which also reads the headers, several times as fast as Python code does.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.datasets.arrays import resize
from tlkit.datasets.cards import UnreadableFile

TAGS = {  # what is read of a header
    "MediaStorageSOPClassUID": (0x0002, 0x0002), "TransferSyntaxUID": (0x0002, 0x0010),
    "SpecificCharacterSet": (0x0008, 0x0005), "ImageType": (0x0008, 0x0008), "SOPClassUID": (0x0008, 0x0016),
    "SOPInstanceUID": (0x0008, 0x0018), "StudyDate": (0x0008, 0x0020), "Modality": (0x0008, 0x0060),
    "Manufacturer": (0x0008, 0x0070), "ManufacturerModelName": (0x0008, 0x1090), "PatientID": (0x0010, 0x0020),
    "BodyPartExamined": (0x0018, 0x0015), "SliceThickness": (0x0018, 0x0050), "KVP": (0x0018, 0x0060),
    "ConvolutionKernel": (0x0018, 0x1210), "StudyInstanceUID": (0x0020, 0x000D),
    "SeriesInstanceUID": (0x0020, 0x000E), "InstanceNumber": (0x0020, 0x0013),
    "ImagePositionPatient": (0x0020, 0x0032), "ImageOrientationPatient": (0x0020, 0x0037),
    "NumberOfFrames": (0x0028, 0x0008), "Rows": (0x0028, 0x0010), "Columns": (0x0028, 0x0011),
    "PixelSpacing": (0x0028, 0x0030),
}  # fmt: skip
DICOMDIR = "1.2.840.10008.1.3.10"
CT_IMAGES = ("", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1")  # not named; CT; enhanced CT
JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
PLAIN = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")  # implicit and explicit little endian
AIR, BODY = -1024, -300  # HU: outside of the scanner's circle; the least that counts as body
COVERAGE_PX = 128  # coverage is counted on every n-th pixel, at least so many a side

# Jonske et al. 2025, label rule: substrings of BodyPartExamined, German and English, first match wins.
KEYWORDS: tuple[tuple[str, ...], ...] = (
    ("head", "neck", "kopf", "hals", "schaedel", "schädel", "skull", "brain", "hirn", "face", "gesicht",
     "sinus", "nnh", "orbit", "jaw", "kiefer", "mandib", "maxil", "felsenbein", "temporal", "caroti"),
    ("thorax", "thora", "chest", "brust", "lung", "heart", "herz", "card", "mediast", "breast", "rippe"),
    ("abdo", "bauch", "liver", "leber", "kidney", "niere", "pancrea", "pankrea", "colon", "kolon", "darm",
     "magen", "stomach", "milz", "spleen"),
    ("extrem", "arm", "hand", "shoulder", "schulter", "elbow", "ellenbogen", "ellbogen", "wrist", "finger",
     "humerus", "leg", "bein", "knee", "knie", "femur", "schenkel", "tibia", "foot", "fuss", "ankle",
     "sprunggelenk", "calcaneus", "zehe"),
    ("pelvis", "becken", "hip", "hüfte", "huefte", "hufte"),
    ("spine", "wirbel", "hws", "bws", "lws", "spinal", "sacrum"),
)  # fmt: skip


def body_part(tag: str | None) -> int:
    """Return the class 0 ... 6 of a BodyPartExamined text; 6 ("other") for empty or unknown ones."""
    text = str(tag or "").casefold()
    return next((i for i, words in enumerate(KEYWORDS) if any(w in text for w in words)), len(KEYWORDS))


def keyword(tag: str | None) -> str:
    """Return the keyword that decided `body_part`; "" for the class "other"."""
    text = str(tag or "").casefold()
    return next((w for words in KEYWORDS for w in words if w in text), "")


def headers(files: list[Path], tags: dict[str, tuple[int, int]] = TAGS) -> Iterator[dict | UnreadableFile | None]:
    """Yield for each file its header (keyword of `tags` to text, parts joined by a backslash; "" where missing).

    `tags` holds at least the character set, the series, and the class of the file; see `TAGS`.

    None stands for what is no DICOM file, an UnreadableFile for a damaged one. Files are known by content. Reasons
    carry no value of the header, which might be a name.
    """
    import gdcm

    gdcm.Trace.WarningOff()  # what GDCM cannot read, pydicom reads next
    gdcm.Trace.ErrorOff()
    scanner, wanted = gdcm.Scanner(), {name: gdcm.Tag(*tag) for name, tag in tags.items()}
    for tag in wanted.values():
        scanner.AddTag(tag)
    names = [str(file) for file in files]
    scanner.Scan([name for name in names if _is_text(name)])
    for file, name in zip(files, names, strict=True):
        if _is_text(name) and scanner.IsKey(name) and scanner.GetValue(name, wanted["SeriesInstanceUID"]):
            yield _text({k: scanner.GetValue(name, tag) or "" for k, tag in wanted.items()})
        else:
            try:
                yield _header(file, tags)
            except UnreadableFile as error:
                yield error


def not_a_slice(head: dict[str, str]) -> str:
    """Return why a file is no slice of a CT series; "" for one that is."""
    if head["MediaStorageSOPClassUID"] == DICOMDIR:
        return "DICOMDIR, an index file"
    if head["Modality"] != "CT":
        found = head["Modality"] if re.fullmatch("[A-Z]{1,16}", head["Modality"]) else "unknown"
        return f"modality {found}, not CT"
    kind = head["ImageType"].split("\\")
    if "LOCALIZER" in kind:
        return "localizer"
    if head["SOPClassUID"] not in CT_IMAGES:
        return "secondary capture, or another object that is no CT image"
    if kind[0] == "DERIVED" or kind[1:2] == ["SECONDARY"]:
        return "derived image, no slice as the scanner reconstructed it"
    frames = head["NumberOfFrames"]
    if frames not in ("", "0", "1"):
        return "more than one frame in a file; only one slice a file is read"
    return ""


def decode(file: Path, min_coverage: float = 0.25, size: int | None = None) -> np.ndarray | str:
    """Return the slice in HU, int16 [H,W] or [size,size]; padding outside of the scanner is air (-1024).

    In place of an image stands the reason (str) where all pixels are equal or the body covers less than
    `min_coverage` of the scanner's circle. Raises UnreadableFile where pixels are missing, damaged, not finite, or
    without a rescale to HU.
    """
    import pydicom

    try:
        with quiet():
            ds = pydicom.dcmread(file, force=True)
            stored = stored_values(ds)
            if stored.ndim != 2:
                raise UnreadableFile(f"pixels of shape {stored.shape}; expected one grey slice")
            low, high = stored.min(), stored.max()
            if low == high:
                return "all pixels have the same value"
            values, shift = _hu(ds, stored, low, high)
    except (UnreadableFile, MemoryError):
        raise
    except Exception as error:  # decoders fail in every way; none may stop the build
        raise UnreadableFile(said(error)) from error
    share = coverage(values, BODY - shift)
    if share < min_coverage:
        return f"the body covers {share:.0%} of the slice; at least {min_coverage:.0%} is wanted"
    image = resize(values, size) if size else values
    return np.add(image, shift % 65536, dtype=np.uint16, casting="unsafe").view(np.int16) if shift else image


def decode_block(files: list[Path], size: int, min_coverage: float) -> list[np.ndarray | str | UnreadableFile]:
    """Return what `decode` gives for each file, errors as values."""
    found: list[np.ndarray | str | UnreadableFile] = []
    for file in files:
        try:
            found.append(decode(file, min_coverage, size))
        except UnreadableFile as error:
            found.append(error)
    return found


def coverage(image: np.ndarray, body: float = BODY) -> float:
    """Return the share (0 to 1) of the scanner's circle that a slice [H,W] in HU shows as body.

    The circle is the ellipse that touches the image's edges; body is above `body` (-300 HU), with what it encloses
    (lungs, bowel gas) filled. Counted on every n-th pixel, so that 128 to 255 a side are left of a larger slice.
    The paper gives the threshold of 25 % but not the definition: this one is ours.
    """
    import cv2

    step = max(1, min(image.shape) // COVERAGE_PX)
    image = image[::step, ::step]
    circle = _circle(image.shape)
    shown = np.zeros((circle.shape[0] + 2, circle.shape[1] + 2), np.uint8)  # a border for the flood to go round
    np.logical_and(image > body, circle, out=shown[1:-1, 1:-1].view(bool))
    cv2.floodFill(shown, None, (0, 0), 2)  # what the outside reaches is not enclosed
    return np.count_nonzero((shown[1:-1, 1:-1] != 2) & circle) / np.count_nonzero(circle)


@lru_cache(maxsize=8)
def _circle(shape: tuple[int, int]) -> np.ndarray:
    y, x = (np.linspace(-1, 1, n) for n in shape)
    return y[:, None] ** 2 + x[None, :] ** 2 <= 1


def stored_values(ds) -> np.ndarray:
    """Return the stored values [H,W] of a data set; of several frames [F,H,W], with colours a last axis of 3."""
    if (plain := _plain(ds)) is not None:
        return plain
    if ds.file_meta.get("TransferSyntaxUID") in JPEG_LS:
        ds.pixel_array_options(decoding_plugin="pyjpegls")
    return ds.pixel_array


def _plain(ds) -> np.ndarray | None:
    """Return uncompressed 16-bit values as they lie in the file, without a copy; None where there is more to do."""
    facts = (ds.file_meta.get("TransferSyntaxUID") in PLAIN, ds.get("BitsAllocated"), ds.get("SamplesPerPixel"))
    if facts != (True, 16, 1) or "PixelData" not in ds:
        return None
    signed, bits = int(ds.PixelRepresentation), int(ds.BitsStored)
    values = np.frombuffer(ds.PixelData, "<i2" if signed else "<u2")
    if values.size != ds.Rows * ds.Columns or ds.HighBit != bits - 1:
        return None
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
    whole = low <= values.min() and values.max() < high  # else there is something in the unused bits
    return values.reshape(ds.Rows, ds.Columns) if whole else None


def _hu(ds, stored: np.ndarray, low: float, high: float) -> tuple[np.ndarray, int]:
    """Return (values [H,W], shift): HU are values + shift, and int16 holds them; `low` and `high` are stored extremes.

    Most scanners store whole HU and a whole intercept: those stay as they are, to be added after resizing, when
    fewer are left. Other values are rescaled here, cut where int16 ends, and the shift is 0.
    """
    from pydicom.pixels import apply_modality_lut

    padding = np.False_
    if "PixelPaddingValue" in ds:
        ends = sorted((ds.PixelPaddingValue, ds.get("PixelPaddingRangeLimit", ds.PixelPaddingValue)))
        padding = (stored >= ends[0]) & (stored <= ends[1])
    if "ModalityLUTSequence" in ds:
        hu = _rounded(apply_modality_lut(stored, ds).astype(np.float32))
    elif "RescaleSlope" not in ds or "RescaleIntercept" not in ds:
        raise UnreadableFile("no RescaleSlope and RescaleIntercept: the values are no HU")
    else:
        slope, intercept = float(ds.RescaleSlope), float(ds.RescaleIntercept)
        if slope == 0 or not np.isfinite([slope, intercept]).all():
            raise UnreadableFile(f"rescale slope {slope:g} and intercept {intercept:g}: the values are no HU")
        whole = stored.dtype.kind in "iu" and slope == 1 and intercept.is_integer()
        if whole and not padding.any() and -32768 <= low + intercept <= high + intercept < 32768:
            return stored, int(intercept)
        hu = _rounded(stored.astype(np.float32) * np.float32(slope) + np.float32(intercept))
    hu[padding] = AIR
    return hu, 0


def _rounded(hu: np.ndarray) -> np.ndarray:
    if not np.isfinite(hu).all():
        raise UnreadableFile("pixels that are not finite numbers")
    return np.clip(np.rint(hu), -32768, 32767).astype(np.int16)


def _header(file: Path, tags: dict[str, tuple[int, int]] = TAGS) -> dict[str, str] | None:
    """Return the header of a DICOM file as pydicom reads it, None where the content is something else."""
    import pydicom

    try:
        with file.open("rb") as stream:
            start = stream.read(132)
        bare = start[:2] in (b"\2\0", b"\x08\0") and start[3:4] == b"\0"  # no preamble: an element of group 2 or 8
        if start[128:] != b"DICM" and not bare:
            if not start or file.suffix.lower() in (".dcm", ".dicom", ".ima"):
                raise UnreadableFile("empty file" if not start else "named as DICOM, but the content is not")
            return None
        names = [name for name, (group, _) in tags.items() if group != 2]
        with quiet():
            head = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=names, force=bare)
            found = {
                name: joined((head.file_meta if group == 2 else head).get(name)) for name, (group, _) in tags.items()
            }
    except UnreadableFile:
        raise
    except OSError as error:
        raise UnreadableFile(f"{type(error).__name__}: {error.strerror}") from error
    except Exception as error:
        raise UnreadableFile(f"{type(error).__name__}: the header is damaged") from error
    if not found["SeriesInstanceUID"] and found["MediaStorageSOPClassUID"] != DICOMDIR:
        raise UnreadableFile("no SeriesInstanceUID: the header is damaged or incomplete")
    return found


def joined(value: Any) -> str:
    """Return the value of an element as the text that `headers` gives."""
    parts = value if hasattr(value, "append") or isinstance(value, tuple) else [value]
    return "\\".join("" if part is None else str(part).strip(" \0") for part in parts)


def _text(head: dict[str, str]) -> dict[str, str]:
    """Return the values without padding, in Unicode: GDCM hands over bytes that are no UTF-8 as surrogates."""
    from pydicom.charset import convert_encodings, decode_bytes

    if not all(map(str.isascii, head.values())):
        encodings = convert_encodings([part.strip() for part in head["SpecificCharacterSet"].split("\\")])
        head = {k: decode_bytes(v.encode("utf-8", "surrogateescape"), encodings, set()) for k, v in head.items()}
    return {k: joined(v.split("\\")) if "\\" in v else v.strip(" \0") for k, v in head.items()}


@contextmanager
def quiet() -> Iterator[None]:
    """Keep back pydicom's warnings: they quote values, which may be names, and executed notebooks save them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _is_text(name: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in name)  # bytes of a name that are no UTF-8


def said(error: Exception) -> str:
    """Return the first line of an error of the decoders; of one of the system not the path in it."""
    text = error.strerror if isinstance(error, OSError) else str(error)
    return f"{type(error).__name__}: {text}".splitlines()[0]
