"""The stored values of a pydicom data set, decoded only where that takes no more memory than one file may."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from tlkit.datasets import bounds
from tlkit.datasets.cards import UnreadableFile
from tlkit.datasets.headers import joined

JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
PLAIN = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")  # implicit and explicit little endian
RLE, RLE_MOST = "1.2.840.10008.1.2.5", 128  # a run of 128 from two bytes, and the room for it as it grows
WORK = 24  # bytes a pixel of one frame while its values are rescaled
UNPACK = 16  # bytes a value of an image that a decoder of JPEG unpacks
NOT_SOF = (0xC4, 0xC8, 0xCC)  # markers among those of a JPEG frame's start that are none


def number(ds, name: str, default: float | None = None) -> float:
    """Return the number that an element holds, `default` where it is missing or empty.

    Raises UnreadableFile where it is no finite number, or missing without a default.
    """
    try:
        value = ds.get(name)
        found = float(default if value is None or value == "" else value)
    except Exception:
        raise UnreadableFile(f"{name} is {'no number' if name in ds else 'missing'}") from None
    if not -float("inf") < found < float("inf"):
        raise UnreadableFile(f"{name} is no finite number")
    return found


def text(ds, name: str) -> str:
    """Return what an element holds as the text of a header; raise UnreadableFile where pydicom cannot read it."""
    try:
        return joined(ds.get(name))
    except Exception:
        raise UnreadableFile(f"{name} cannot be read as what it should be") from None


def frame_count(ds) -> int:
    """Return how many frames a data set says that it has: 1 where it says nothing."""
    return max(1, int(number(ds, "NumberOfFrames", 1)))


def check_pixels(ds, results: float = 0) -> None:
    """Raise UnreadableFile where a data set has no image, or decoding one frame takes more memory than allowed.

    Counted are the bytes of the pixels, one frame in all that its values pass through, and `results` (bytes).
    """
    rows, columns, bits = (number(ds, name, 0) for name in ("Rows", "Columns", "BitsAllocated"))
    if rows < 1 or columns < 1:
        raise UnreadableFile("no image: the header has no rows or no columns")
    data, samples = ds.get("PixelData") or b"", max(1, number(ds, "SamplesPerPixel", 1))
    bounds.check_need(len(data) + rows * columns * (samples * bits / 8 + WORK) + results)
    if ds.file_meta.get("TransferSyntaxUID") not in PLAIN and data:
        _check_streams(ds, data)


def stored_values(ds) -> np.ndarray:
    """Return the stored values [H,W] of a data set of one frame; with colours [H,W,3]."""
    plain = _plain(ds)
    return next(iter(frames(ds, [0])))[1] if plain is None else plain


def frames(ds, wanted: list[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (number, stored values [H,W]) of the frames of a data set that are wanted, one at a time."""
    from pydicom.pixels import iter_pixels

    if (plain := _plain(ds)) is not None:
        return (yield 0, plain)
    options: dict[str, Any] = {}
    if ds.file_meta.get("TransferSyntaxUID") in JPEG_LS:
        options["decoding_plugin"] = "pyjpegls"
    yield from zip(wanted, iter_pixels(ds, indices=wanted, **options), strict=True)


def _plain(ds) -> np.ndarray | None:
    """Return uncompressed 16-bit values as they lie in the file, without a copy; None where there is more to do."""
    facts = (ds.file_meta.get("TransferSyntaxUID") in PLAIN, ds.get("BitsAllocated"), ds.get("SamplesPerPixel"))
    if facts != (True, 16, 1) or "PixelData" not in ds or frame_count(ds) > 1:
        return None
    signed, bits = int(ds.PixelRepresentation), int(ds.BitsStored)
    values = np.frombuffer(ds.PixelData, "<i2" if signed else "<u2")
    if values.size != ds.Rows * ds.Columns or ds.HighBit != bits - 1:
        return None
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
    whole = low <= values.min() and values.max() < high  # else there is something in the unused bits
    return values.reshape(ds.Rows, ds.Columns) if whole else None


def _check_streams(ds, data: bytes) -> None:
    """Raise UnreadableFile where an image, packed as JPEG of any kind or RLE, is too large by itself."""
    from pydicom.encaps import generate_frames

    tables = [ds.get(f"ExtendedOffsetTable{name}") for name in ("", "Lengths")]
    for frame in generate_frames(
        data, number_of_frames=frame_count(ds), extended_offsets=tuple(tables) if all(tables) else None
    ):
        values = codestream_values(frame)
        bounds.check_need(len(data) + values * UNPACK)
        if values > number(ds, "Rows") * number(ds, "Columns") * number(ds, "SamplesPerPixel", 1):
            raise UnreadableFile("packed as a larger image than the header says")
        if ds.file_meta.TransferSyntaxUID == RLE and len(frame) * RLE_MOST > bounds.allowed():
            bounds.check_need(len(data) + 2 * rle_size(frame))  # twice: as it grows


def codestream_values(data: bytes) -> int:
    """Return how many values (columns x rows x samples) a JPEG, JPEG-LS or JPEG 2000 image has; 0 for anything else.

    Raises UnreadableFile for a JPEG with anything but whole markers before its pixels: GDCM ends the process there.
    """
    at = data.find(b"\xff\x4f\xff\x51", 0, 4096)  # JPEG 2000, bare or in the boxes of a file
    if at >= 0 and len(data) >= at + 42:
        x, y, left, top = struct.unpack_from(">4L", data, at + 8)
        return max(0, x - left) * max(0, y - top) * struct.unpack_from(">H", data, at + 40)[0]
    if data[:2] != b"\xff\xd8":
        return 0
    at, values = 2, 0
    while at + 10 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], struct.unpack_from(">H", data, at + 2)[0]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker == 0xDA and values:
            return values
        elif marker == 0xE0 and data[at + 4 : at + 9] == b"JFIF\0" and data[at + 9] != 1:
            break
        else:
            if (0xC0 <= marker <= 0xCF and marker not in NOT_SOF) or marker == 0xF7:
                values = math.prod(struct.unpack_from(">HHB", data, at + 5))
            at += 2 + length
    raise UnreadableFile("the markers of a JPEG image are damaged")


def rle_size(frame: bytes) -> int:
    """Return the bytes that all segments of an RLE frame unpack to, the padding between them included."""
    at, size, end = 64, 0, len(frame)
    while at < end:
        head = frame[at]
        if head < 128:  # so many bytes as they are
            at, size = at + head + 2, size + head + 1
        else:  # one byte so many times; 128 stands for nothing
            at, size = (at + 2, size + 257 - head) if head > 128 else (at + 1, size)
    return size
