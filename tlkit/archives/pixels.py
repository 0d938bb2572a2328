"""The stored values of a pydicom data set, decoded only where that takes no more memory than one file may."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

import numpy as np

from tlkit.archives import decoders
from tlkit.archives.headers import join_values
from tlkit.datasets import bounds
from tlkit.datasets.cards import UnreadableFile

PLAIN = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")  # implicit and explicit little endian
FLOATS = ("FloatPixelData", "DoubleFloatPixelData")
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
        return join_values(ds.get(name))
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
    frame_count(ds)
    data, samples = ds.get("PixelData") or b"", max(1, number(ds, "SamplesPerPixel", 1))
    bounds.check_need(len(data) + rows * columns * (samples * bits / 8 + WORK) + results)
    if not data and not any(name in ds for name in FLOATS):
        raise UnreadableFile("no pixels in the file")
    if is_compressed(ds):
        _check_streams(ds)
    elif data:
        _check_length(ds, data)


def is_compressed(ds) -> bool:
    """Tell whether the pixels are compressed; raise UnreadableFile for a transfer syntax that is none."""
    syntax = ds.file_meta.TransferSyntaxUID
    if not syntax.is_transfer_syntax:
        raise UnreadableFile("a transfer syntax that the standard does not have")
    return syntax.is_encapsulated


def not_grey(ds) -> str:
    """Return why a data set is no grey image; "" where it is one."""
    if number(ds, "SamplesPerPixel", 1) != 1:
        return "colours, no grey image"
    if text(ds, "PhotometricInterpretation") == "PALETTE COLOR":
        return "indices into a palette of colours, no grey values"
    return ""


def colours(ds, stored: np.ndarray) -> np.ndarray:
    """Return the stored values of a frame in colours, [H,W,3] or indices into a palette [H,W], as uint8 [H,W,3]."""
    from pydicom.pixels import apply_color_lut

    bits = int(number(ds, "BitsStored", 8))
    if stored.ndim == 2:
        stored = apply_color_lut(stored, ds)
        bits = 8 * stored.dtype.itemsize
    if stored.ndim != 3 or stored.shape[2] != 3:
        raise UnreadableFile(f"pixels of shape {stored.shape}, which are no colours")
    return (stored >> max(0, bits - 8)).astype(np.uint8)


def holder(ds, name: str, frame: int = 0):
    """Return the data set in which an element of a frame stands: a functional group or the top level.

    First one of the frame's own functional groups, then a shared one (DICOM PS3.3, C.7.6.16); the top level too
    where the element is nowhere.
    """
    for groups, at in (("PerFrameFunctionalGroupsSequence", frame), ("SharedFunctionalGroupsSequence", 0)):
        for group in list(ds.get(groups) or ())[at : at + 1]:
            for macro in group:
                if macro.VR == "SQ" and macro.value and name in macro.value[0]:
                    return macro.value[0]
    return ds


def padding(ds, stored: np.ndarray, frame: int = 0) -> np.ndarray | np.bool:
    """Return where stored values [H,W] are padding (bool [H,W]); False where the header names no padding.

    Compared modulo 2 to the width that values are stored with: writers take US for SS and the other way round, so
    that -2000 stands there as 63536.
    """
    group = holder(ds, "PixelPaddingValue", frame)
    if group.get("PixelPaddingValue") is None or stored.dtype.kind not in "iu":
        return np.False_
    value = number(group, "PixelPaddingValue")
    low, high = sorted(int(v) for v in (value, number(group, "PixelPaddingRangeLimit", value)))
    stored = stored.astype(np.int16) if stored.dtype.itemsize == 1 else stored  # the element has 16 bits at least
    width, ends = 1 << 8 * stored.dtype.itemsize, np.iinfo(stored.dtype)
    if high - low > width // 2 and not ends.min <= low <= high <= ends.max:  # the other VR has turned the range round
        low, high = high, low + width
    values = stored.view(f"u{stored.dtype.itemsize}")
    return values - values.dtype.type(low % width) <= high - low


def stored_values(ds) -> np.ndarray:
    """Return the stored values [H,W] of a data set of one frame; with colours [H,W,3]."""
    plain = _plain(ds)
    return next(iter(frames(ds, [0])))[1] if plain is None else plain


def frames(ds, wanted: list[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (number, stored values [H,W]) of the frames of a data set that are wanted, one at a time."""
    from pydicom.pixels import iter_pixels

    if (plain := _plain(ds)) is not None:
        yield 0, plain
    elif is_compressed(ds):
        yield from decoders.frames(ds, wanted)
    else:
        for index, frame in zip(wanted, iter_pixels(ds, indices=wanted), strict=True):
            yield index, frame.astype(frame.dtype.newbyteorder("="), copy=False)


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


def _check_length(ds, data: bytes) -> None:
    """Raise UnreadableFile where uncompressed pixels are fewer than the header says, or compressed after all."""
    from pydicom.pixels.utils import get_expected_length

    if ds["PixelData"].is_undefined_length:
        raise UnreadableFile("the pixels are compressed, and the header does not say how")
    if len(data) < (wanted := get_expected_length(ds)):
        raise UnreadableFile(f"the pixels end early: {len(data):,} of {wanted:,} bytes")


def _check_streams(ds) -> None:
    """Raise UnreadableFile where an image, packed as JPEG of any kind or RLE, is too large by itself."""
    size = len(ds.PixelData)
    for frame in decoders.read_frames(ds):
        values = codestream_values(frame)
        if values > number(ds, "Rows") * number(ds, "Columns") * number(ds, "SamplesPerPixel", 1):
            raise UnreadableFile("packed as a larger image than the header says")
        bounds.check_need(size + values * UNPACK)
        if ds.file_meta.TransferSyntaxUID == RLE and len(frame) * RLE_MOST > bounds.allowed():
            bounds.check_need(size + 2 * rle_size(frame))  # twice: as it grows


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
