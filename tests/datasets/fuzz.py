"""A seeded fuzz of image files, in a process of its own: `python fuzz.py COUNT SEED` prints what came of it as JSON.

Each file goes through the functions that the stores use. A result is right if it is None, a header, arrays, or an
UnreadableFile; whatever else a reader does ends the process, and with it the test.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pydicom.data
import trees
from PIL import Image
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from test_dicom import to_jpeg_lossless

from tlkit.archives import dicom, export, headers, multimodal
from tlkit.datasets import DATASETS
from tlkit.datasets.cards import UnreadableFile
from tlkit.datasets.decoding import _read_file
from tlkit.layouts import folders, grazped, lits, metaimage

ABSURD = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
VOLUMES = replace(DATASETS["lits"], options={})
PICTURES = replace(DATASETS["brain-tumor-mri"], options={"channels": 1})
WRISTS = DATASETS["grazpedwri"]


def picture() -> np.ndarray:
    y, x = np.mgrid[:32, :32]
    return (x * 3 + y * 5 + np.random.default_rng(0).integers(0, 20, (32, 32))).astype(np.uint8)


def dicoms(root: Path) -> None:
    """Write one file of each transfer syntax, one of several frames, and one whose frames have groups of their own."""
    stored = picture().astype(np.uint16) * 4
    tags = {"Rows": 32, "Columns": 32, "PixelData": stored.tobytes(), "WindowCenter": 500, "WindowWidth": 1000}
    compressed = (RLELossless, JPEGLSLossless, JPEG2000Lossless, "jpeg")
    for syntax in (*compressed, "plain", "packed", "implicit", "big", "frames"):
        ds, file = trees.ct_header("s", 0, PixelPaddingValue=0, **tags), root / f"{getattr(syntax, 'name', syntax)}.dcm"
        if syntax == "frames":
            ds.NumberOfFrames, ds.Modality, ds.PixelData = 3, "XA", stored.tobytes() * 3
            group, voi = pydicom.Dataset(), pydicom.Dataset()
            voi.WindowCenter, voi.WindowWidth = 400, 800
            group.FrameVOILUTSequence = [voi]
            ds.SharedFunctionalGroupsSequence = [group]
        elif syntax in ("packed", "implicit", "big"):
            uids = {"packed": DeflatedExplicitVRLittleEndian, "implicit": ImplicitVRLittleEndian}
            ds.file_meta.TransferSyntaxUID = uids.get(syntax, ExplicitVRBigEndian)
            ds["PixelData"].VR = "OW"
        elif isinstance(syntax, pydicom.uid.UID):
            ds.compress(syntax)
        ds.save_as(file, enforce_file_format=True)
        if syntax == "jpeg":
            to_jpeg_lossless(file)
    shutil.copy(pydicom.data.get_testdata_file("JPEG-lossy.dcm"), root / "jpeg 12 bit.dcm")  # SimpleITK alone reads it


def originals(root: Path) -> dict[str, bytes]:
    """Return the bytes of whole files by name."""
    import SimpleITK as sitk

    dicoms(root)
    for number, ending in ((0, ".nii"), (1, ".nii.gz")):
        trees.lits_pair(root, number, ending=ending)
    voxels = np.random.default_rng(0).integers(-1000, 1000, (6, 32, 32)).astype(np.int16)
    for name, packed in (("a.mhd", False), ("b.mhd", True)):
        sitk.WriteImage(sitk.GetImageFromArray(voxels), root / name, useCompression=packed)
    for name, mode, options in (
        ("a.png", "L", {}), ("b.png", "P", {}), ("c.png", "RGBA", {}), ("a.jpg", "L", {}),
        ("b.jpg", "RGB", {"progressive": True}), ("a.tif", "L", {}), ("b.tif", "RGB", {"compression": "tiff_lzw"}),
        ("c.tif", "L", {"compression": "tiff_adobe_deflate"}), ("a.gif", "P", {}), ("a.webp", "RGB", {}),
        ("a.bmp", "RGB", {}), ("a.ppm", "RGB", {}),
    ):  # fmt: skip
        Image.fromarray(picture()).convert(mode).save(root / name, **options)
    Image.fromarray(picture().astype(np.uint16) * 100).save(root / "d.png")
    return {file.name: file.read_bytes() for file in sorted(root.iterdir()) if not file.name.startswith("segm")}


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Return bytes with a few faults: bits, cuts, blocks twice or gone, absurd numbers, bytes swapped."""
    out = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        if not out:
            return b""
        front = rng.random() < 0.7  # most faults in what says how large things are
        at = int(rng.integers(0, min(len(out), 600) if front else len(out)))
        kind, n = rng.integers(0, 7), int(rng.integers(1, 64))
        if kind == 0:
            out[at] ^= 1 << int(rng.integers(8))
        elif kind == 1 and rng.random() < 0.3:
            del out[at:]
        elif kind == 2:
            out[at:at] = out[at : at + n]
        elif kind == 3:
            del out[at : at + n]
        elif kind in (4, 5):
            width = int(rng.choice([1, 2, 4]))
            value = int(rng.choice(ABSURD)) & (256**width - 1)
            out[at : at + width] = value.to_bytes(width, "little" if rng.random() < 0.5 else "big")
        else:
            out[at : at + 4] = out[at : at + 4][::-1]
    return bytes(out)


def as_text(data: bytes, rng: np.random.Generator) -> bytes:
    """Return a MetaImage header with absurd numbers."""
    words = data.split(b" ")
    words[int(rng.integers(len(words)))] = rng.choice([b"0", b"-1", b"1e99", b"99999999", b"nan", b"\n", b"None"])
    return b" ".join(words)


def readings(file: Path) -> Iterator[Callable]:
    """Yield what the stores do with a file of this kind."""
    root, rows = file.parent, pd.DataFrame({"path": [file.name], "frame": [0]})
    if file.suffix == ".dcm":
        yield lambda: [next(headers.read_headers([file], tags)) for tags in (headers.TAGS, multimodal.TAGS)]
        yield lambda: dicom.decode_block([file], 16, 0.0)[0]
        yield lambda: export.export_block([file], [[(0, 0), (1, 0)]], 16)[0]
    elif ".nii" in file.name:
        mask = root / file.name.replace("volume", "segmentation")
        rows = rows.assign(mask_path=mask.name)
        yield lambda: lits.count_slices(file, mask)
        yield lambda: _read_file(lits, root, VOLUMES, 16, rows)
        yield lambda: lits.count_slices(mask, file)
        yield lambda: _read_file(lits, root, VOLUMES, 16, rows.assign(mask_path=file.name))
    elif file.suffix in (".mhd", ".raw", ".zraw"):
        head = file.with_suffix(".mhd")
        yield lambda: metaimage.read_volume(head, metaimage.read_grid(head))
    else:
        yield lambda: _read_file(folders, root, PICTURES, 16, rows)
        yield lambda: _read_file(grazped, root, WRISTS, 16, rows)


def outcome(reading: Callable) -> str:
    """Return what came of one reading, in a word."""
    try:
        found = reading()
    except UnreadableFile as error:
        found = error
    if isinstance(found, UnreadableFile) or (isinstance(found, tuple) and found[2]):
        return "reject"
    return "read"


def peak_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1e3


def main(count: int, seed: int) -> None:
    warnings.simplefilter("ignore")
    rng, found = np.random.default_rng(seed), Counter()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        whole = originals(root)
        for name in whole:
            for reading in readings(root / name):
                outcome(reading)
        base = peak_mb()
        for number in range(count):
            name = list(whole)[number % len(whole)]
            text = name.endswith(".mhd") and rng.random() < 0.5
            (root / name).write_bytes(as_text(whole[name], rng) if text else mutated(whole[name], rng))
            for reading in readings(root / name):
                print(number, name, file=sys.stderr)  # the last line names the file that ended the process
                found[outcome(reading)] += 1
            (root / name).write_bytes(whole[name])
    print(json.dumps({"files": count, "base_mb": base, "peak_mb": peak_mb(), **found}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
