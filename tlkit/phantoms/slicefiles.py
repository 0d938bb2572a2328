"""The DICOM files of a series: pydicom writes the first one, the others are its bytes with their own values.

pydicom takes some milliseconds for a file, and fifty times as long as this. All in explicit little endian.
"""

from __future__ import annotations

import io
import struct

META_LENGTH = 140  # where a file says how long the rest of its meta header is


def write_first(dataset, own: dict[str, str]) -> bytes:
    """Return the file of a data set that gets the values `own`, by keyword, of texts; its pixels are its end."""
    for name, value in own.items():
        setattr(dataset.file_meta if name.startswith("Media") else dataset, name, value)
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def write_other(first: bytes, old: dict[str, str], new: dict[str, str], pixels: bytes) -> bytes:
    """Return a file with other pixels, as many, and `new` values in place of the `old`; without those it lacks."""
    file, longer = first[: -len(pixels)], 0
    for name, value in old.items():
        was, now = _element(name, value), _element(name, new[name]) if name in new else b""
        file = file.replace(was, now, 1)
        longer += len(now) - len(was) if name.startswith("Media") else 0
    (length,) = struct.unpack_from("<L", file, META_LENGTH)
    return file[:META_LENGTH] + struct.pack("<L", length + longer) + file[META_LENGTH + 4 :] + pixels


def _element(name: str, text: str) -> bytes:
    """Return an element of text as it stands in a file."""
    from pydicom.datadict import dictionary_VR, tag_for_keyword

    tag, vr, value = tag_for_keyword(name), dictionary_VR(name).encode(), text.encode()
    value += (b"\0" if vr == b"UI" else b" ") * (len(value) % 2)
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value
