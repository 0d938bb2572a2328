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
COPIES = 3  # of the voxels in memory: what ITK reads, NumPy's copy of it, and a mask or what ITK unpacks


@dataclass(frozen=True)
class Grid:
    """Where the voxels of a volume lie once its axes run to the patient's left, back and head."""

    shape: tuple[int, ...]  # columns, rows, slices
    affine: np.ndarray  # voxel to mm, 4 x 4
    turn: np.ndarray  # nibabel's orientation change from the axes of the file

    @property
    def spacing(self) -> np.ndarray:
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    def voxel(self, point: np.ndarray) -> np.ndarray:
        """Return the voxel coordinates (column, row, slice), not rounded, of a point in mm."""
        return np.linalg.solve(self.affine, [*point, 1.0])[:3]


def read_grid(path: Path) -> Grid:
    """Return the geometry in an .mhd header; raise UnreadableFile where it or the size of its raw file is wrong."""
    with bounds.reading(bounds.name_error):
        return _grid(path)


def _grid(path: Path) -> Grid:
    import SimpleITK as sitk
    from nibabel.orientations import inv_ornt_aff, io_orientation

    if bounds.check_regular(path) > HEADER:
        raise UnreadableFile(f"a header of more than {HEADER:,} bytes")
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:  # its text holds this machine's path
        raise UnreadableFile("SimpleITK cannot read the header") from error
    size, spacing = reader.GetSize(), reader.GetSpacing()
    if len(size) != 3 or reader.GetPixelID() != sitk.sitkInt16:
        kind = sitk.GetPixelIDValueAsString(reader.GetPixelID())
        raise UnreadableFile(f"{len(size)} dimensions of {kind}; expected 3 of 16-bit signed integer (HU)")
    direction, affine = np.reshape(reader.GetDirection(), (3, 3)), np.eye(4)
    affine[:3, :3], affine[:3, 3] = direction * spacing, reader.GetOrigin()
    if not np.isfinite(affine).all() or min(spacing) <= 0:
        raise UnreadableFile(f"spacing {spacing} mm, origin {reader.GetOrigin()} mm; expected numbers, spacing above 0")
    if not np.allclose(direction @ direction.T, np.eye(3), atol=1e-3):
        raise UnreadableFile(f"axes that are not at right angles: {direction.tolist()}")
    bounds.check_need(COPIES * 2.0 * math.prod(size))
    _voxel_file(path, size)
    turn = io_orientation(affine)  # to positive axes, which in ITK's coordinates are left, back and head
    shape = tuple(size[i] for i in np.argsort(turn[:, 0]))
    return Grid(shape, affine @ inv_ornt_aff(turn, size), turn)


def read_volume(path: Path, grid: Grid) -> np.ndarray:
    """Return int16 HU [columns, rows, slices] on `grid`; raise UnreadableFile where the voxels don't decode."""
    import SimpleITK as sitk
    from nibabel.orientations import apply_orientation

    with bounds.reading(bounds.name_error):
        raw, packed = _voxel_file(path, grid.shape)
        if packed:
            _check_packed(raw, grid.shape)
        try:
            voxels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        except RuntimeError as error:
            raise UnreadableFile("SimpleITK cannot read the voxels: their file is damaged") from error
        return apply_orientation(voxels.T, grid.turn)


def _voxel_file(path: Path, shape: tuple[int, ...]) -> tuple[Path, bool]:
    """Return the file of voxels that a header names, and whether it is compressed; raise where its size is wrong."""
    header = dict(re.findall(r"^\s*(\w+)\s*=[ \t]*(.*?)\s*$", path.read_text(errors="replace"), re.MULTILINE))
    name, packed = header.get("ElementDataFile", ""), header.get("CompressedData", "").lower() == "true"
    raw = path.parent / Path(name).name
    if not name or raw.name != name or not raw.is_file():
        raise UnreadableFile(f"no file '{name}' beside it, where its header says the voxels are")
    wanted = header.get("CompressedDataSize", "") if packed else str(2 * math.prod(shape))
    if wanted.isdigit() and raw.stat().st_size != int(wanted):
        raise UnreadableFile(f"{name} has {raw.stat().st_size:,} bytes; its header says {int(wanted):,}")
    return raw, packed


def _check_packed(raw: Path, shape: tuple[int, ...]) -> None:
    """Raise UnreadableFile where voxels do not unpack in full: ITK would return what memory holds, and no error."""
    try:
        with raw.open("rb") as stream:
            found = bounds.unpacked_size(stream, 47, copies=COPIES)  # zlib or gzip, as ITK takes both
    except zlib.error as error:
        raise UnreadableFile(f"{raw.name} does not unpack: {error}") from error
    if found != 2 * math.prod(shape):
        raise UnreadableFile(f"{raw.name} unpacks to {found:,} bytes; its header says {2 * math.prod(shape):,}")
