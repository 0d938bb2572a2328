"""Layout "lits": CT volumes with liver and lesion masks, volume-N.nii[.gz] and segmentation-N.nii[.gz]."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from tlkit.datasets.cards import DataCard, UnreadableFile, visible_files

NAME = re.compile(r"(volume|segmentation)-(\d+)\.nii(\.gz)?")
COLUMNS = ["id", "path", "mask_path", "frame", "patient", "split"]


def classes(root: Path, card: DataCard) -> tuple[str, ...]:
    """Return the names of the mask values 0, 1, 2."""
    return card.classes


def scan(root: Path, card: DataCard) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (samples, rejects) of all volumes below `root`, one row an axial slice; headers only.

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


def decode(root: Path, rows: pd.DataFrame, card: DataCard) -> tuple[list[np.ndarray | str], list[np.ndarray | None]]:
    """Return (images int16 HU [H,W], masks uint8 [H,W] of 0, 1, 2) for the rows of one volume.

    Slices are axial and seen as radiologists do: front of the body up, its right side on the left. With
    `options["only_liver"]`, a reason (str) stands in place of a slice without liver or lesion. Raises
    UnreadableFile for damaged files and for masks with other values.
    """
    volume = Axial(root / rows["path"].iloc[0])
    labels = Axial(root / rows["mask_path"].iloc[0])
    images: list[np.ndarray | str] = []
    masks: list[np.ndarray | None] = []
    for k in rows["frame"]:
        hu, mask = volume[k], labels[k]
        if not np.isin(mask, (0, 1, 2)).all():
            odd = sorted(set(np.unique(mask)) - {0, 1, 2})
            raise UnreadableFile(f"mask values {odd[:5]} in slice {k}; expected 0, 1, 2")
        if not np.isfinite(hu).all():
            raise UnreadableFile(f"values that are no numbers in slice {k}")
        if card.options.get("only_liver") and not mask.any():
            images.append("no liver in the slice")
            masks.append(None)
        else:
            images.append(np.clip(np.rint(hu), -32768, 32767).astype(np.int16))
            masks.append(mask.astype(np.uint8))
    return images, masks


class Axial:
    """The axial slices of a NIfTI file, scaled one at a time: no second copy of the volume is made."""

    def __init__(self, path: Path):
        import nibabel as nib
        from nibabel.orientations import apply_orientation

        try:
            image = nib.load(path)
            raw = image.dataobj.get_unscaled()  # a memory map, or an array where the file is compressed
            self.raw = apply_orientation(raw, _to_lps(image.affine))
        except MemoryError:
            raise
        except Exception as error:
            raise UnreadableFile(f"{path.name}: {type(error).__name__}: {error}".splitlines()[0]) from error
        self.slope, self.inter = float(image.dataobj.slope), float(image.dataobj.inter)

    def __getitem__(self, k: int) -> np.ndarray:
        return self.raw[:, :, k].T.astype(np.float32) * self.slope + self.inter


def _to_lps(affine: np.ndarray) -> np.ndarray:
    """Return the orientation change to axes that run to the patient's left, back and head."""
    from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

    return ornt_transform(io_orientation(affine), axcodes2ornt(("L", "P", "S")))


def count_slices(volume: Path, mask: Path) -> int:
    """Return the number of axial slices of a pair; raise UnreadableFile where the two do not fit."""
    import nibabel as nib

    heads = []
    for file in (volume, mask):
        try:
            heads.append(nib.load(file))
        except Exception as error:
            raise UnreadableFile(f"{file.name}: {type(error).__name__}: {error}".splitlines()[0]) from error
    a, b = heads
    if len(a.shape) != 3 or a.shape != b.shape:
        raise UnreadableFile(f"shapes of volume {a.shape} and mask {b.shape}; expected equal 3D shapes")
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in a.shape], [1])).reshape(4, -1)
    apart = np.linalg.norm(((a.affine - b.affine) @ corners)[:3], axis=0).max()
    if apart > 0.5 * min(a.header.get_zooms()):
        raise UnreadableFile(f"affines of volume and mask differ: corners lie {apart:.1f} mm apart")
    return a.shape[int(np.flatnonzero(_to_lps(a.affine)[:, 0] == 2)[0])]
