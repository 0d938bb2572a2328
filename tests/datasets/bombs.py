"""Small files that ask for much memory, each read as the stores do, in a process of its own: `python bombs.py`.

Prints JSON: the reason that each was left out with ("" where it was read), and by how many MB the process grew. Run
with a small TLKIT_FILE_GB, so that it is quick.
"""

from __future__ import annotations

import gzip
import io
import json
import struct
import sys
import tempfile
import warnings
import zlib
from pathlib import Path

import fuzz
import nibabel as nib
import numpy as np
import pydicom
import SimpleITK as sitk
import trees
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from tlkit.archives import dicom, headers
from tlkit.datasets.cards import UnreadableFile

LARGE = 100 << 20  # bytes that a bomb unpacks to


def element(tag: tuple[int, int], length: int, vr: bytes = b"") -> bytes:
    """Return the start of an element whose length stands in four bytes; without `vr` an implicit one."""
    return struct.pack("<HH", *tag) + (vr and vr + b"\0\0") + struct.pack("<L", length)


def saved(ds: pydicom.Dataset, inserted: bytes = b"", before: tuple[int, int] = (0x20, 0x0D)) -> bytes:
    """Return the bytes of a file, with some inserted before an element."""
    file = io.BytesIO()
    ds.save_as(file, enforce_file_format=True)
    data = file.getvalue()
    at = data.index(struct.pack("<HH", *before)) if inserted else 0
    return data[:at] + inserted + data[at:]


def packed(syntax: str, data: bytes | list[bytes], **tags) -> bytes:
    ds = trees.ct_header("s", 0, **tags)
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate(data) if isinstance(data, list) else data
    ds["PixelData"].is_undefined_length = isinstance(data, list)
    ds["PixelData"].VR = "OB"
    return saved(ds)


def patched(data: bytes, marker: bytes, offset: int, fields: str, *values: int) -> bytes:
    """Return bytes with big-endian numbers at some distance from the first `marker`."""
    out = bytearray(data)
    struct.pack_into(f">{fields}", out, data.index(marker) + offset, *values)
    return bytes(out)


def dicoms(root: Path) -> dict[str, bytes]:
    ct, implicit = trees.ct_header("s", 0), trees.ct_header("s", 0)
    item = element((0xFFFE, 0xE000), 0xFFFFFFFF)
    implicit.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    rle = struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\x00" * (LARGE // 128)
    few = struct.pack("<16L", 2, 64, 66, *[0] * 13) + b"\0\0\0\0"
    fuzz.dicoms(root)
    j2k = (root / "JPEG 2000 Image Compression (Lossless Only).dcm").read_bytes()
    jpeg = (root / "jpeg.dcm").read_bytes()
    jls = (root / "JPEG-LS Lossless Image Compression.dcm").read_bytes()
    for file in root.iterdir():
        file.unlink()
    return {
        "rows": saved(trees.ct_header("s", 0, Rows=65535, Columns=65535)),
        "rows of RLE": packed(RLELossless, [few], Rows=30000, Columns=30000),
        "runs of RLE": packed(RLELossless, [rle], BitsAllocated=8, BitsStored=8, HighBit=7),
        "deflated": packed(DeflatedExplicitVRLittleEndian, bytes(LARGE)),
        "JPEG 2000": patched(j2k, b"\xff\x4f\xff\x51", 8, "LL", 30000, 30000),
        "JPEG": patched(jpeg, b"\xff\xc3", 5, "HH", 30000, 30000),
        "JPEG-LS": patched(jls, b"\xff\xf7", 5, "HH", 30000, 30000),
        "frames": saved(trees.ct_header("s", 0, NumberOfFrames=10**9)),
        "samples": saved(trees.ct_header("s", 0, SamplesPerPixel=65535, Rows=4096, Columns=4096)),
        "length": saved(implicit, element((0x18, 0x1210), 0xFFFFFFF0)),
        "length of UN": saved(ct, element((0x18, 0x1210), 0xFFFFFFF0, b"UN")),
        "length of meta": saved(ct, element((2, 1), 0x7FFFFFF0, b"OB"), (2, 2)),
        "nested": saved(ct, (element((0x18, 0x1300), 0xFFFFFFFF, b"SQ") + item) * 200_000),
        "nested implicit": saved(implicit, (element((0x18, 0x1300), 0xFFFFFFFF) + item) * 200_000),
        "item": saved(ct, element((0x18, 0x1300), 0xFFFFFFFF, b"SQ") + element((0xFFFE, 0xE000), 0xFFFFFFF0)),
    }  # fmt: skip


def volumes(root: Path) -> dict[str, bytes]:
    trees.lits_pair(root, 0)
    data = (root / "volume-0.nii").read_bytes()
    head = nib.Nifti1Header()
    head.set_data_shape((512, 512, LARGE >> 19))
    head.set_data_dtype(np.int16)
    head["vox_offset"], head["magic"] = 352, b"n+1"
    zeros = gzip.compress(head.binaryblock + bytes(4) + bytes(LARGE), 1)
    extension = bytearray(data[:352])
    extension[348], extension[108:112] = 1, struct.pack("<f", LARGE)
    more = gzip.compress(bytes(extension) + struct.pack("<ii", LARGE, 4) + bytes(LARGE), 1)
    small = root / "a.mhd"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((6, 32, 32), np.int16)), small, useCompression=True)
    text = small.read_text()
    (root / "a.zraw").write_bytes(zlib.compress(bytes(LARGE)))
    kept = [line for line in text.splitlines() if "CompressedDataSize" not in line]
    return {
        "volume-1.nii": patched(data, b"\x5c\x01", 42, "HHH", *(int.from_bytes(struct.pack("<H", 30000), "big"),) * 3),
        "volume-2.nii.gz": zeros,
        "volume-3.nii.gz": more,
        "a.mhd": "\n".join(kept).encode(),
        "b.mhd": "\n".join(kept).replace("32 32 6", "30000 30000 30000").encode(),
        "c.mhd": "\n".join(kept).replace("NDims = 3", "NDims = 99999999").encode(),
    }


def pictures() -> dict[str, bytes]:
    def of(kind: str, mode: str = "1", pixels: int = 12_000, **options) -> bytes:
        file = io.BytesIO()
        Image.new(mode, (pixels, pixels)).save(file, kind, **options)
        return file.getvalue()

    jpeg = of("JPEG", "L", 32)
    return {
        "a.png": of("PNG"),
        "a.tif": of("TIFF", compression="tiff_adobe_deflate"),
        "b.tif": of("TIFF", compression="group4"),
        "a.jpg": patched(jpeg, b"\xff\xc0", 5, "HH", 30000, 30000),
        "a.gif": of("GIF", "L"),
        "a.webp": of("WEBP", "RGB", 8000, lossless=True),
    }


def reason(reading) -> str:
    try:
        found = reading()
    except UnreadableFile as error:
        return str(error)
    found = found[0] if isinstance(found, list) else found
    return str(found) if isinstance(found, UnreadableFile) else found[2] if isinstance(found, tuple) else ""


def main() -> None:
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "d").mkdir()
        files = {f"d/{name}.dcm": data for name, data in dicoms(root / "d").items()} | volumes(root) | pictures()
        for name, data in files.items():
            (root / name).write_bytes(data)
        good = root / "good.dcm"
        trees.ct_header("s", 0).save_as(good, enforce_file_format=True)
        del files
        names = sorted(file for file in root.rglob("*") if file.suffix not in (".zraw", "") and "-0" not in file.name)
        for reading in fuzz.readings(good):
            reading()
        Path("/proc/self/clear_refs").write_text("5")  # the largest size so far is that of the bombs' making
        before, told = fuzz.peak_mb(), {}
        for name in names:
            told[name.name] = [reason(reading) for reading in fuzz.readings(name)]
        grown = fuzz.peak_mb() - before
        healthy = isinstance(next(headers.read_headers([good])), dict) and dicom.decode(good, 0.0).shape == (16, 16)
    print(json.dumps({"grown_mb": grown, "healthy": healthy, "told": told}))


if __name__ == "__main__":
    sys.exit(main())
