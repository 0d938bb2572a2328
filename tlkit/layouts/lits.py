"""Layout "lits": CT volumes with liver and lesion masks, volume-N.nii[.gz] and segmentation-N.nii[.gz]."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from tlkit.datasets import bounds
from tlkit.datasets.cards import DataCard, UnreadableFile, visible_files
from tlkit.datasets.layout import FLAG, SCANS, Layout

NAME = re.compile(r"(volume|segmentation)-(\d+)\.nii(\.gz)?")
ROUND = 1e-3  # distance from a whole number up to which a mask's value is that number
COARSE = 0.1  # step between the values that a scaled file can hold, from which on they tell nothing of a whole number
START = 1024  # bytes read of a file, unpacked, for its header
WORK = 32  # bytes a voxel of one slice while it is scaled, rounded and searched
COLUMNS = ["id", "path", "mask_path", "frame", "patient", "split"]


def scan(root: Path, card: DataCard) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (samples, rejects) of all volumes below `root`, one row per axial slice; headers only.

    `patient` is the volume's number, `frame` counts from the feet up. Rejected with a reason: volumes without
    a mask and masks without a volume, second copies, pairs whose shapes or affines differ.
    """
    files: dict[tuple[str, int], Path] = {}
    rows, rejects = [], []
    for file in visible_files(root):
        path, match = file.relative_to(root).as_posix(), NAME.fullmatch(file.name)
        key = (match[1], int(match[2])) if match else None
        if key is None:
            rejects.append((path, "named neither volume-N.nii[.gz] nor segmentation-N.nii[.gz]", "rule"))
        elif key in files:
            first = files[key].relative_to(root).as_posix()
            rejects.append((path, f"{key[0]} {key[1]} is there already: {first}", "rule"))
        else:
            files[key] = file
    for (kind, number), file in files.items():
        path = file.relative_to(root).as_posix()
        mask = files.get(("segmentation", number))
        if kind == "segmentation":
            if ("volume", number) not in files:
                rejects.append((path, f"no volume-{number} beside it", "unreadable"))
            continue
        try:
            if mask is None:
                raise UnreadableFile(f"no segmentation-{number} beside it")
            n = count_slices(file, mask)
        except UnreadableFile as error:
            rejects.append((path, str(error), "unreadable"))
            continue
        mask_path = mask.relative_to(root).as_posix()
        rows += [(f"volume-{number:03d}_{k:04d}", path, mask_path, k, f"{number:03d}", "") for k in range(n)]
    samples = pd.DataFrame(rows, columns=COLUMNS).sort_values("id", ignore_index=True)
    return samples, pd.DataFrame(sorted(rejects), columns=["path", "reason", "kind"])


def slices(root: Path, rows: pd.DataFrame, card: DataCard) -> Iterator[tuple[np.ndarray | str, np.ndarray | None]]:
    """Yield (image int16 HU [H,W], mask uint8 [H,W] of 0, 1, 2) of the rows of one volume, slice by slice.

    Slices are axial and seen as radiologists do: front of the body up, its right side on the left. With
    `options["only_liver"]`, a reason (str) stands in place of a slice without liver or lesion. Raises
    UnreadableFile for damaged files and for masks with other values.
    """
    volume = Axial(root / rows["path"].iloc[0])
    labels = Axial(root / rows["mask_path"].iloc[0])
    for k in rows["frame"]:
        hu, mask = volume[k], labels.whole(k)
        if not np.isin(mask, (0, 1, 2)).all():
            odd = sorted(set(np.unique(mask)) - {0, 1, 2})
            raise UnreadableFile(f"mask values {odd[:5]} in slice {k}; expected 0, 1, 2")
        if not np.isfinite(hu).all():
            raise UnreadableFile(f"values that are no numbers in slice {k}")
        if card.options.get("only_liver") and not mask.any():
            yield "no liver in the slice", None
        else:
            yield np.clip(np.rint(hu), -32768, 32767).astype(np.int16), mask.astype(np.uint8)


class Axial:
    """The axial slices of a NIfTI file, scaled one at a time: no second copy of the volume is made.

    Of a file with a fourth dimension, `channel` of it.
    """

    def __init__(self, path: Path, channel: int = 0):
        from nibabel.orientations import apply_orientation

        with bounds.reading(partial(_reason, path)):
            image, head = open_nifti(path)
            size, wanted = path.stat().st_size, image.offset + math.prod(image.shape) * image.dtype.itemsize
            if path.suffix == ".nii" and size < wanted:  # else nibabel makes room for all of it, and then reads
                raise OSError(f"{size:,} bytes; its header says {wanted:,}")
            raw = image.get_unscaled()  # a memory map, or an array where the file is compressed
            raw = raw.reshape(solid(image.shape))
            raw = raw[..., channel] if raw.ndim == 4 else raw
            self.raw = apply_orientation(raw, to_lps(head.get_best_affine()))
        self.slope, self.inter = float(image.slope), float(image.inter)

    def __getitem__(self, k: int) -> np.ndarray:
        return self.raw[:, :, k].T.astype(np.float32) * self.slope + self.inter

    def whole(self, k: int) -> np.ndarray:
        """Return a slice of a mask: whole numbers where it has them but for its writing, other values as they are.

        Resampling leaves 1.0000153 for 1; one in 256 steps from 0 to 2 has 0.996: half a step off.
        """
        mask = self[k]
        rounded, step = np.rint(mask), abs(self.slope)
        near = max(ROUND, 0.51 * step) if step < COARSE else ROUND
        return np.where(np.abs(mask - rounded) <= near, rounded, mask)


def solid(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape without the dimensions of one behind its third: X x Y x Z x 1 is a volume."""
    return shape[:3] if set(shape[3:]) <= {1} else shape


def open_nifti(path: Path):
    """Return (nibabel's proxy of the voxels, the header) of a NIfTI file; raise UnreadableFile where it is too large.

    Counted are the voxels as stored and one slice in what it passes through. Header extensions are not read: nothing
    here needs them, and one may be as long as it says.
    """
    import nibabel as nib
    from nibabel.arrayproxy import ArrayProxy
    from nibabel.filebasedimages import ImageFileError
    from nibabel.openers import ImageOpener

    bounds.check_regular(path)
    with ImageOpener(path) as stream:
        start = stream.read(START)
    second = nib.Nifti2Header.sizeof_hdr in (int.from_bytes(start[:4], order) for order in ("little", "big"))
    kind = nib.Nifti2Header if second else nib.Nifti1Header
    if len(start) < kind.sizeof_hdr:
        raise ImageFileError("no header of a NIfTI file")
    head = kind(start[: kind.sizeof_hdr])
    shape, stored = [float(n) for n in head.get_data_shape()], float(head.get_data_dtype().itemsize)
    if min(shape, default=0) < 1:
        raise UnreadableFile("a volume without voxels")
    bounds.check_need(stored * math.prod(shape) + WORK * math.prod(sorted(shape)[-2:]))
    return ArrayProxy(str(path), head), head


def _reason(path: Path, error: BaseException) -> str:
    return f"{path.name}: {bounds.quote_error(error)}".replace(f"{path.parent}/", "")


def to_lps(affine: np.ndarray) -> np.ndarray:
    """Return the orientation change to axes that run to the patient's left, back and head."""
    from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

    return ornt_transform(io_orientation(affine), axcodes2ornt(("L", "P", "S")))


def count_slices(volume: Path, mask: Path) -> int:
    """Return the number of axial slices of a pair; raise UnreadableFile where the two do not fit."""
    heads = []
    for file in (volume, mask):
        with bounds.reading(partial(_reason, file)):
            head = open_nifti(file)[1]
            heads.append((solid(head.get_data_shape()), head.get_best_affine()))
            turn = to_lps(heads[0][1])
    (shape, affine), (other, its_affine) = heads
    if len(shape) != 3 or shape != other:
        raise UnreadableFile(f"shapes of volume {shape} and mask {other}; expected equal 3D shapes")
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape], [1])).reshape(4, -1)
    apart = np.linalg.norm(((affine - its_affine) @ corners)[:3], axis=0).max()
    if not apart <= 0.5 * np.linalg.norm(affine[:3, :3], axis=0).min():
        raise UnreadableFile(f"affines of volume and mask differ: corners lie {apart:.1f} mm apart")
    return shape[int(np.flatnonzero(turn[:, 0] == 2)[0])]


LAYOUT = Layout(scan=scan, slices=slices, patients=lambda card: SCANS, options={"only_liver": FLAG})
