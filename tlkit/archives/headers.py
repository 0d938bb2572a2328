"""The header of a DICOM file as text, with no more memory than a few times what is read of it.

Elements are found here, since an archive has millions of files: pydicom takes 20 times as long, and GDCM's scanner,
which is as fast, ends with its process at sequences nested deeply and makes room for whatever length is written in a
file. What is not plain (deflated, big endian, unknown representations) pydicom reads.
"""

from __future__ import annotations

import io
import logging
import struct
import warnings
from collections.abc import Container, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from tlkit.datasets import bounds
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
    "PixelSpacing": (0x0028, 0x0030), "BurnedInAnnotation": (0x0028, 0x0301),
}  # fmt: skip
DICOMDIR = "1.2.840.10008.1.3.10"
SYNTAX, META_END = 0x00020010, 0x0002FFFF
IMPLICIT, DEFLATED, BIG_ENDIAN = b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.2"
TEXTS = {b"AE", b"AS", b"CS", b"DA", b"DS", b"IS", b"LO", b"SH", b"TM", b"UI"}
SHORT = TEXTS | {b"AT", b"DT", b"FD", b"FL", b"LT", b"PN", b"SL", b"SS", b"ST", b"UL", b"US"}  # lengths of two bytes
LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
UNDEFINED, ITEMS, ITEM = 0xFFFFFFFF, 0xFFFE, 0xE000
STARTS = (1 << 14, 1 << 20)  # bytes that hold the header: of most files, of almost all
LOUD = ("pydicom", "pylibjpeg", "openjpeg", "rle", "jpeg_ls")  # loggers


def read_headers(
    files: list[Path], tags: dict[str, tuple[int, int]] = TAGS
) -> Iterator[dict[str, str] | UnreadableFile | None]:
    """Yield for each file its header (keyword of `tags` to text, parts joined by a backslash; "" where missing).

    `tags` holds at least the character set, the series, and the class of the file; see `TAGS`.

    None stands for what is no DICOM file, an UnreadableFile for a damaged one, whatever is wrong with it. Files are
    known by content. Reasons carry no value of the header, which might be a name.
    """
    for file in files:
        try:
            with bounds.reading(_damaged):
                yield _header(file, tags)
        except UnreadableFile as error:
            yield UnreadableFile(str(error))


def _header(file: Path, tags: dict[str, tuple[int, int]]) -> dict[str, str] | None:
    bounds.check_regular(file)
    with open(file, "rb", buffering=0) as stream:
        start = stream.read(STARTS[0])
        bare = start[:2] in (b"\2\0", b"\x08\0") and start[3:4] == b"\0"  # no preamble: an element of group 2 or 8
        if start[128:132] != b"DICM" and not bare:
            if not start or file.suffix.lower() in (".dcm", ".dicom", ".ima"):
                raise UnreadableFile("empty file" if not start else "named as DICOM, but the content is not")
            return None
        found = _from_start(start, len(start) < STARTS[0], tags)
        if found is None and len(start) == STARTS[0]:
            start += stream.read(STARTS[1])
            found = _from_start(start, len(start) < sum(STARTS), tags)
    found = found or read_by_pydicom(file, tags)
    if not found["SeriesInstanceUID"] and found["MediaStorageSOPClassUID"] != DICOMDIR:
        raise UnreadableFile("no SeriesInstanceUID: the header is damaged or incomplete")
    return found


def read_by_pydicom(file: Path, tags: dict[str, tuple[int, int]] = TAGS) -> dict[str, str]:
    """Return the header of a DICOM file as pydicom reads it."""
    names = [name for name, (group, _) in tags.items() if group != 2]
    with quiet():
        head = read_dataset(file, stop_before_pixels=True, specific_tags=names)
        found = {
            name: join_values((head.file_meta if group == 2 else head).get(name)) for name, (group, _) in tags.items()
        }
    _check_character_set(found["SpecificCharacterSet"])
    return found


def read_dataset(file: Path, **options: Any):
    """Return the pydicom data set of a file; no element takes more memory than the file has bytes left.

    `options` go to `pydicom.dcmread`. Where pixels are read and no transfer syntax is named, it is that of the
    elements, which files without meta header have, too: mostly implicit little endian. Raises UnreadableFile where a
    file is larger, or unpacks to more, than allowed.
    """
    import pydicom

    size = bounds.check_regular(file)
    header_only = options.get("stop_before_pixels", False)
    if not header_only:
        bounds.check_need(size)
    with open(file, "rb", buffering=0) as raw:
        stream = io.BytesIO(raw.read()) if size <= STARTS[1] else Bounded(raw, size)
        if _syntax(stream) == DEFLATED:
            bounds.unpacked_size(stream, -15, copies=4)
        stream.seek(0)
        ds = pydicom.dcmread(stream, force=True, **options)
    ds.buffer = None  # else the file's bytes stay as long as the data set
    if not header_only and not ds.file_meta.get("TransferSyntaxUID"):
        ds.file_meta.TransferSyntaxUID = _syntax_of(*ds.original_encoding)
    return ds


def _syntax_of(implicit: bool, little: bool):
    """Return the transfer syntax of a data set that does not say it, as its elements were read."""
    from pydicom import uid

    if implicit:
        return uid.ImplicitVRLittleEndian
    return uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian


class Bounded(io.BufferedReader):
    """A file whose `read` asks for no more bytes than are left: Python makes room for as many as are asked for."""

    def __init__(self, raw: io.RawIOBase, size: int):
        super().__init__(raw, STARTS[0])
        self.size = size

    def read(self, size: int | None = -1, /) -> bytes:
        """Read at most as far as the bound; `size` as for any stream."""
        left = max(0, self.size - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))


def join_values(value: Any) -> str:
    """Return the value of an element as the text that `read_headers` gives."""
    parts = value if hasattr(value, "append") or isinstance(value, tuple) else [value]
    return "\\".join("" if part is None else str(part).strip(" \0") for part in parts)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep back pydicom's warnings and logs: they quote values, which may be names, and notebooks save them."""
    _silence()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@lru_cache(maxsize=1)
def _silence() -> None:
    import pydicom  # noqa: F401  (sets up its logger)

    for name in LOUD:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _damaged(error: BaseException) -> str:
    return f"{bounds.name_error(error)}: the header is damaged"


def _syntax(stream: BinaryIO) -> bytes:
    """Return the transfer syntax of a file, b"" where there is none, and leave the stream where its data set starts."""
    stream.seek(0)
    start = stream.read(STARTS[0])
    at = 132 if start[128:132] == b"DICM" else 0
    found, end = _scan(start, at, False, {SYNTAX}, META_END) or ({}, at)
    stream.seek(end)
    return _bare(found[SYNTAX][1]) if found else b""


def _from_start(start: bytes, whole: bool, tags: dict[str, tuple[int, int]]) -> dict[str, str] | None:
    """Return the header from the first bytes of a file, None where it goes on behind them or is of a rarer kind.

    `whole`: they are the whole file.
    """
    if start[128:132] != b"DICM":
        return None
    wanted, last = _wanted(tuple(tags.items()))
    meta = _scan(start, 132, False, wanted, META_END)
    syntax = _bare(meta[0][SYNTAX][1]) if meta and SYNTAX in meta[0] else b""
    if syntax in (b"", DEFLATED, BIG_ENDIAN):
        return None
    rest = _scan(start, meta[1], syntax == IMPLICIT, wanted, last, whole)
    if rest is None:
        return None
    found = dict.fromkeys(tags, b"")
    for tag, (vr, value) in (meta[0] | rest[0]).items():
        name, own = wanted[tag]
        vr = vr or own
        if vr == b"US" and len(value) % 2 == 0:
            value = b"\\".join(b"%d" % n for (n,) in struct.iter_unpack("<H", value))
        elif vr not in TEXTS:
            return None
        found[name] = value
    return _in_unicode(found)


_head, _length = struct.Struct("<HH2sH").unpack_from, struct.Struct("<L").unpack_from


def _scan(
    data: bytes, at: int, implicit: bool, wanted: Container[int], last: int, whole: bool = False
) -> tuple[dict[int, tuple[bytes, bytes]], int] | None:
    """Return ({tag: (VR, value)} of the elements `wanted` up to tag `last`, where the next one starts).

    Sequences are passed over, nested as they may be. None where the bytes end before, unless they are the `whole`
    file and end with an element, and where pydicom has to look: representations that the standard does not have.
    """
    found, depth, end = {}, 0, len(data)
    while at + 8 <= end:
        group, element, vr, length = _head(data, at)
        tag = group << 16 | element
        if tag > last and not depth:
            return found, at
        if implicit or group == ITEMS:
            (length,), vr, at = _length(data, at + 4), b"", at + 8
        elif vr in SHORT:
            at += 8
        elif vr in LONG and at + 12 <= end:
            (length,), at = _length(data, at + 8), at + 12
        else:
            return None
        if length == UNDEFINED:
            if vr not in (b"", b"SQ"):
                return None
            depth += 1  # a sequence or an item: what is in it comes next
        elif group == ITEMS and element != ITEM:
            depth -= 1
        else:
            if not depth and tag in wanted:
                found[tag] = vr, data[at : at + length]
            at += length
    return (found, at) if whole and at == end and not depth else None


@lru_cache(maxsize=4)
def _wanted(tags: tuple) -> tuple[dict[int, tuple[str, bytes]], int]:
    """Return keyword and VR of the standard by tag, and the last tag."""
    from pydicom.datadict import dictionary_VR

    wanted = {g << 16 | e: (name, dictionary_VR((g, e)).encode()) for name, (g, e) in tags}
    return wanted, max(wanted)


def _bare(value: bytes) -> bytes:
    return value.strip(b"\0 ")


def _in_unicode(found: dict[str, bytes]) -> dict[str, str]:
    """Return values without padding, decoded by the file's own character set."""
    from pydicom.charset import convert_encodings, decode_bytes

    try:
        head = {k: v.decode("ascii") for k, v in found.items()}
    except UnicodeDecodeError:
        charset = found["SpecificCharacterSet"].decode("latin-1")
        _check_character_set(charset)
        with quiet():
            encodings = convert_encodings([part.strip() for part in charset.split("\\")])
            head = {k: decode_bytes(v, encodings, set()) for k, v in found.items()}
    return {k: join_values(v.split("\\")) if "\\" in v else v.strip(" \0") for k, v in head.items()}


def _check_character_set(text: str) -> None:
    if not text.isascii():
        raise UnreadableFile("SpecificCharacterSet names no character set: the header is damaged")
