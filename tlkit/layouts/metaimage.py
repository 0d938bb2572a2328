"""MetaImage volumes (.mhd header, .raw or .zraw voxels) as int16 HU on axes of the patient's body."""

from __future__ import annotations

import math
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tlkit.datasets import bounds
from tlkit.datasets.cards import UnreadableFile

HEADER = 1 << 16  # bytes; the voxels lie in a file of their own
COPIES = 2  # of the voxels in memory: they, what a mask and slices of them take
HU = "16-bit signed integer"
KINDS = {
    "MET_SHORT": HU, "MET_USHORT": "16-bit unsigned integer", "MET_UCHAR": "8-bit unsigned integer",
    "MET_CHAR": "8-bit signed integer", "MET_INT": "32-bit signed integer", "MET_UINT": "32-bit unsigned integer",
    "MET_FLOAT": "32-bit float", "MET_DOUBLE": "64-bit float",
}  # fmt: skip
SPACING = ("ElementSpacing", "ElementSize", "1 1 1")  # names of an entry, the first that is there counts; its default
ORIGIN = ("Offset", "Position", "Origin", "0 0 0")
DIRECTION = ("TransformMatrix", "Rotation", "Orientation", "1 0 0 0 1 0 0 0 1")


@dataclass(frozen=True)
class Grid:
    """Where the voxels of a volume lie once its axes run to the patient's left, back and head."""

    shape: tuple[int, ...]  # columns, rows, slices
    affine: np.ndarray  # voxel to mm, 4 x 4
    turn: np.ndarray  # nibabel's orientation change from the axes of the file

    @property
    def spacing(self) -> np.ndarray:
        """The distances of neighbouring voxels along column, row and slice, float [3], mm."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    def voxel(self, point: np.ndarray) -> np.ndarray:
        """Return the voxel coordinates (column, row, slice), not rounded, of a point in mm."""
        return np.linalg.solve(self.affine, [*point, 1.0])[:3]


def read_grid(path: Path) -> Grid:
    """Return the geometry in an .mhd header; raise UnreadableFile where it or the size of its raw file is wrong."""
    from nibabel.orientations import inv_ornt_aff, io_orientation

    with bounds.reading(bounds.name_error):
        head = _header(path)
        size, affine = _size(head), np.eye(4)
        spacing, origin, direction = (_numbers(head, *names) for names in (SPACING, ORIGIN, DIRECTION))
        direction = direction.reshape(3, 3).T  # each row of the file is an axis
        affine[:3, :3], affine[:3, 3] = direction * spacing, origin
        if not np.isfinite(affine).all() or min(spacing) <= 0:
            raise UnreadableFile(f"spacing {spacing} mm, origin {origin} mm; expected numbers, spacing above 0")
        if not np.allclose(direction @ direction.T, np.eye(3), atol=1e-3):
            raise UnreadableFile(f"axes that are not at right angles: {direction.tolist()}")
        _voxel_file(path, head, size)
        turn = io_orientation(affine)  # to positive axes, which in ITK's coordinates are left, back and head
        shape = tuple(size[i] for i in np.argsort(turn[:, 0]))
        return Grid(shape, affine @ inv_ornt_aff(turn, size), turn)


def read_volume(path: Path, grid: Grid) -> np.ndarray:
    """Return int16 HU [columns, rows, slices] on `grid`; raise UnreadableFile where the voxels don't decode."""
    from nibabel.orientations import apply_orientation

    with bounds.reading(bounds.name_error):
        head = _header(path)
        size = _size(head)
        raw, packed = _voxel_file(path, head, size)
        data = _unpacked(raw, 2 * math.prod(size)) if packed else np.fromfile(raw, np.uint8)
        order = (
            ">i2" if "true" in (_word(head, "BinaryDataByteOrderMSB"), _word(head, "ElementByteOrderMSB")) else "<i2"
        )
        voxels = np.frombuffer(data, order).astype(np.int16, copy=False).reshape(size[::-1])
        return apply_orientation(voxels.T, grid.turn)


def _header(path: Path) -> dict[str, str]:
    """Return the entries of a header; parsed here, since ITK's reader ends the process at an absurd number."""
    if bounds.check_regular(path) > HEADER:
        raise UnreadableFile(f"cannot read the header: more than {HEADER:,} bytes, and the voxels lie in another file")
    head = dict(re.findall(r"^\s*(\w+)\s*=[ \t]*(.*?)\s*$", path.read_text(errors="replace"), re.MULTILINE))
    if missing := [name for name in ("NDims", "DimSize", "ElementType", "ElementDataFile") if name not in head]:
        raise UnreadableFile(f"cannot read the header: no {', '.join(missing)}")
    return head


def _size(head: dict[str, str]) -> tuple[int, int, int]:
    """Return columns, rows and slices as stored; raise UnreadableFile where the voxels are no 3D HU, or too many."""
    dimensions, kind = head["NDims"], KINDS.get(head["ElementType"], head["ElementType"])
    if dimensions != "3" or kind != HU or _word(head, "ElementNumberOfChannels") not in ("", "1"):
        raise UnreadableFile(f"{dimensions} dimensions of {kind}; expected 3 of {HU} (HU)")
    size = tuple(int(n) for n in head["DimSize"].split() if n.isascii() and n.isdigit() and len(n) < 10)
    if len(size) != 3 or min(size) < 1:
        raise UnreadableFile("cannot read the header: DimSize is not three whole numbers above 0")
    bounds.check_need(COPIES * 2 * math.prod(size))
    return size


def _word(head: dict[str, str], name: str) -> str:
    return head.get(name, "").lower()


def _numbers(head: dict[str, str], *names: str) -> np.ndarray:
    """Return the numbers under the first name that is there; the last one is their default."""
    *names, default = names
    text = next((head[name] for name in names if name in head), default)
    try:
        found = np.array([float(part) for part in text.split()])
    except ValueError:
        found = np.array([])
    if len(found) != len(default.split()):
        raise UnreadableFile(f"cannot read the header: {names[0]} is not {len(default.split())} numbers")
    return found


def _voxel_file(path: Path, head: dict[str, str], size: tuple[int, ...]) -> tuple[Path, bool]:
    """Return the file of voxels that a header names, and whether it is compressed; raise where its size is wrong."""
    name, packed = head["ElementDataFile"], _word(head, "CompressedData") == "true"
    raw = path.parent / Path(name).name
    if not name or raw.name != name or not raw.is_file():
        raise UnreadableFile(f"no file '{name}' beside it, where its header says the voxels are")
    if _word(head, "BinaryData") == "false" or _word(head, "HeaderSize") not in ("", "0", "-1"):
        raise UnreadableFile("voxels as text, or behind a header in their own file; expected bare numbers of 16 bit")
    wanted = head.get("CompressedDataSize", "") if packed else str(2 * math.prod(size))
    if wanted.isdigit() and raw.stat().st_size != int(wanted):
        raise UnreadableFile(f"{name} has {raw.stat().st_size:,} bytes; its header says {int(wanted):,}")
    return raw, packed


def _unpacked(raw: Path, wanted: int) -> bytes:
    """Return the `wanted` bytes that voxels unpack to; raise UnreadableFile for another number, and unpack no more."""
    bounds.check_need(raw.stat().st_size + COPIES * wanted)
    unpacker = zlib.decompressobj(wbits=47)  # zlib or gzip, as ITK takes both
    try:
        data = unpacker.decompress(raw.read_bytes(), wanted + 1)
    except zlib.error as error:
        raise UnreadableFile(f"{raw.name} does not unpack: {error}") from error
    if len(data) == wanted + 1:
        raise UnreadableFile(f"{raw.name} unpacks to more than the {wanted:,} bytes that its header says")
    if not unpacker.eof:
        raise UnreadableFile(f"{raw.name} does not unpack: incomplete, {len(data):,} of {wanted:,} bytes")
    if len(data) != wanted:
        raise UnreadableFile(f"{raw.name} unpacks to {len(data):,} bytes; its header says {wanted:,}")
    return data
