"""Layout "luna16": lung CT as subset<n>/<uid>.mhd and .raw, its nodules as centres and diameters in annotations.csv."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from tlkit.config import ConfigError, lookup
from tlkit.datasets.cards import DataCard, UnreadableFile, visible_files
from tlkit.datasets.layout import SCANS, WINDOW, Layout
from tlkit.declared import one_of
from tlkit.layouts.entries import Reject, numbers, read_table, refuse
from tlkit.layouts.metaimage import Grid, read_grid, read_volume

ANNOTATIONS = "annotations.csv"
NUMBERS = ["coordX", "coordY", "coordZ", "diameter_mm"]  # mm; the axes run to the patient's left, back and head
BESIDE = ("candidates.csv", "candidates_V2.csv", "sampleSubmission.csv", "evaluationScript", "seg-lungs-LUNA16")
AIR = -700  # HU: what is above it, in the region of a nodule, is the nodule (radiologynet2025 2.5)
SPLITS = ("", "published")
EVERY = 10  # published split: the series 0, 10, 20 ... of the sorted uids are for validation
Region = tuple[tuple[slice, ...], np.ndarray]


class Nodule(NamedTuple):
    """One usable line of annotations.csv; `index` counts the nodules of a series."""

    uid: str
    index: int
    line: str
    centre: np.ndarray  # mm
    diameter: float  # mm


def scan(root: Path, card: DataCard) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (samples, rejects), one row per nodule and slice that it touches; with mask "ball" only headers are read.

    `patient` is the series' uid, `frame` counts from the feet up, `row` and `col` are the nodule's centre. With
    `options["crop"]` None: one row per slice with nodules. `options["split"]`: "" fixes none, "published" makes every
    tenth series "val". Rejected with a reason: series without nodules, damaged or smaller than the crop; annotations
    outside their volume, of unknown series or given twice. Raises ConfigError for tables and options of no use.
    """
    crop, region, split = _options(card)
    files, rejects = _series(root)
    nodules, more = read_nodules(root)
    rejects += more + [(n.line, f"no series {n.uid} in subset<n>/", "rule") for n in nodules if n.uid not in files]
    val = set(sorted(files)[::EVERY])
    rows: list[dict] = []
    for uid, file in files.items():
        same = {"path": file.relative_to(root).as_posix(), "patient": uid}
        same["split"] = ("val" if uid in val else "train") if split else ""
        own = [n for n in nodules if n.uid == uid]
        try:
            found, more = _cuts(file, own, crop, region)
        except UnreadableFile as error:
            rejects.append((same["path"], str(error), "unreadable"))
            continue
        rejects += more
        if not found:
            rejects.append((same["path"], "no nodule to cut out", "rule"))
        rows += [{**same, **cut} for cut in found]
    return _samples(rows, crop), pd.DataFrame(sorted(rejects), columns=["path", "reason", "kind"])


def decode(root: Path, rows: pd.DataFrame, card: DataCard) -> tuple[list[np.ndarray | str], list[np.ndarray | None]]:
    """Return (images int16 HU [H,W], masks uint8 [H,W] of 0, 1 nodule) for rows of one series, which is read once.

    Front up, right side left. A crop has `options["crop"]` px in the scan's own resolution, around the nodule and
    shifted to stay inside; every nodule of the series is in its mask. A reason (str) stands in place of a slice where
    nothing of them is above `AIR`. Raises UnreadableFile for damaged volumes.
    """
    crop, region, _ = _options(card)
    path, uid = root / rows["path"].iloc[0], rows["patient"].iloc[0]
    grid = read_grid(path)
    volume = read_volume(path, grid)
    labels = np.zeros(volume.shape, np.uint8)
    for nodule in read_nodules(root)[0]:
        if nodule.uid == uid and _inside(nodule, grid):
            box, inside = region(nodule, grid, volume)
            labels[box] |= inside & (volume[box] > AIR)
    images: list[np.ndarray | str] = []
    masks: list[np.ndarray | None] = []
    for row in rows.itertuples():
        window = (slice(None), slice(None)) if crop is None else _window(row.row, row.col, crop, grid)
        image, mask = (np.ascontiguousarray(a[:, :, row.frame].T[window]) for a in (volume, labels))
        images.append(image if mask.any() else f"nothing of a nodule above {AIR} HU")
        masks.append(mask if mask.any() else None)
    return images, masks


def read_nodules(root: Path) -> tuple[list[Nodule], list[Reject]]:
    """Return the nodules of annotations.csv in its order, and rejects, whose path is the file and the line.

    Rejected: lines without a uid, with what is no finite number, with a diameter of 0 or less, and a place given
    twice. Raises ConfigError where the table is missing, is no table, or lacks a column.
    """
    file, wanted = root / ANNOTATIONS, ["seriesuid", *NUMBERS]
    if not file.is_file():
        raise ConfigError(f"{root} lacks {ANNOTATIONS}, which says where the nodules are; it comes with the data.")
    table = read_table(file, {name: (name,) for name in wanted})
    if missing := [c for c in wanted if c not in table]:
        raise ConfigError(f"{file} lacks {', '.join(missing)}; expected the columns {', '.join(wanted)}, as published.")
    table["path"] = [f"{ANNOTATIONS}:{line}" for line in range(2, len(table) + 2)]
    values = table[NUMBERS].apply(numbers)
    finite, size = np.isfinite(values).all(axis=1), values["diameter_mm"]
    place = values[NUMBERS[:3]].assign(uid=table["seriesuid"]).where(finite & (size > 0))
    checks = [
        (table["seriesuid"] == "", "no seriesuid", "unreadable"),
        (~finite, "a coordinate or diameter that is no finite number", "unreadable"),
        (size <= 0, "diameter " + table["diameter_mm"] + " mm; expected more than 0", "unreadable"),
        (place.duplicated() & place["uid"].notna(), "this place is annotated in an earlier line", "rule"),
    ]
    kept, rejects = refuse(table, checks)
    order = kept.groupby("seriesuid").cumcount()
    rows = zip(kept["seriesuid"], order, kept["path"], values.loc[kept.index].to_numpy(float), strict=True)
    return [Nodule(uid, i, line, v[:3], float(v[3])) for uid, i, line, v in rows], rejects


def _ball(nodule: Nodule, grid: Grid, volume: np.ndarray | None) -> Region:
    """Return the box and the voxels in it whose centres lie in the ball of the annotated diameter."""
    centre, radius = grid.voxel(nodule.centre), nodule.diameter / 2
    low = np.maximum(np.ceil(centre - radius / grid.spacing), 0).astype(int)
    high = np.maximum(np.minimum(np.floor(centre + radius / grid.spacing) + 1, grid.shape), low).astype(int)
    along = [(np.arange(a, b) - c) * s for a, b, c, s in zip(low, high, centre, grid.spacing, strict=True)]
    x, y, z = np.ix_(*along)
    return tuple(map(slice, low, high)), x**2 + y**2 + z**2 <= radius**2


def _box(nodule: Nodule, grid: Grid, volume: np.ndarray) -> Region:
    """Return the published region (radiologynet2025 2.5): along each axis until one of two opposite voxels is air.

    The first pair with air in it is still inside; two voxels each way at least; the annotated diameter plays no part.
    """
    centre = np.rint(grid.voxel(nodule.centre)).astype(int)
    box = []
    for axis, c in enumerate(centre):
        line = np.moveaxis(volume, axis, 0)[:, *np.delete(centre, axis)]
        both = min(c, len(line) - 1 - c)  # as far as two opposite voxels are there
        steps = np.arange(2, both + 1)
        air = steps[np.minimum(line[c - steps], line[c + steps]) <= AIR]
        reach = int(air[0]) if len(air) else max(2, both)
        box.append(slice(max(c - reach, 0), min(c + reach + 1, len(line))))
    return tuple(box), np.ones([s.stop - s.start for s in box], bool)


REGIONS: dict[str, Callable[..., Region]] = {"ball": _ball, "box": _box}


def _options(card: DataCard) -> tuple[int | None, Callable[..., Region], str]:
    """Return the crop (px, or None), the rule of the regions and the rule of the split."""
    crop, split = card.options.get("crop", 96), card.options.get("split", "")
    if crop is not None and (not isinstance(crop, int) or crop < 1):
        raise ConfigError(f"{card.name}: crop is a number of pixels, or None for whole slices; found {crop!r}")
    lookup(split, dict.fromkeys(SPLITS), f"split of {card.name}")
    return crop, lookup(card.options.get("mask", "ball"), REGIONS, f"mask of {card.name}"), split


def _series(root: Path) -> tuple[dict[str, Path], list[Reject]]:
    """Return {uid: its .mhd} of all subset folders, and rejects: second copies, voxels alone, unknown files."""
    files: dict[str, Path] = {}
    rejects = []
    for file in visible_files(root):
        inside = file.relative_to(root)
        path, subset = inside.as_posix(), re.fullmatch(r"subset\d+", file.parent.name)
        if path == ANNOTATIONS or inside.parts[0] in BESIDE:
            continue
        if subset and file.suffix == ".mhd":
            first = files.setdefault(file.stem, file)
            if first is not file:
                rejects.append((path, f"the series is there already: {first.relative_to(root).as_posix()}", "rule"))
        elif subset and file.suffix in (".raw", ".zraw"):
            if not file.with_suffix(".mhd").is_file():
                rejects.append((path, f"no {file.stem}.mhd beside it", "unreadable"))
        else:
            rejects.append((path, f"neither {ANNOTATIONS} nor subset<n>/<uid>.mhd, .raw, .zraw", "rule"))
    return files, rejects


def _cuts(
    file: Path, nodules: list[Nodule], crop: int | None, region: Callable[..., Region]
) -> tuple[list[dict], list[Reject]]:
    """Return what to cut out of one series, a row per nodule and slice, and rejects of its annotations."""
    grid = read_grid(file)
    if crop and min(grid.shape[:2]) < crop:
        raise UnreadableFile(f"slices of {grid.shape[1]} x {grid.shape[0]} px are smaller than the crop of {crop} px")
    volume = read_volume(file, grid) if region is _box and nodules else None
    cuts, rejects = [], []
    for nodule in nodules:
        col, row, k = np.rint(grid.voxel(nodule.centre)).astype(int).tolist()
        if not _inside(nodule, grid):
            reason = f"column {col}, row {row}, slice {k} lies outside the volume of {grid.shape}"
            rejects.append((nodule.line, reason, "unreadable"))
            continue
        box, inside = region(nodule, grid, volume)
        frames = (box[2].start + np.flatnonzero(inside.any(axis=(0, 1)))).tolist()
        if not frames:
            rejects.append((nodule.line, f"{nodule.diameter:g} mm are so small that they hold no voxel", "rule"))
        at = {"nodule": nodule.index, "row": row, "col": col, "diameter_mm": nodule.diameter}
        cuts += [{"frame": frame, **at} for frame in frames]
    return cuts, rejects


def _inside(nodule: Nodule, grid: Grid) -> bool:
    voxel = np.rint(grid.voxel(nodule.centre))
    return bool((voxel >= 0).all() and (voxel < grid.shape).all())


def _window(row: int, col: int, crop: int, grid: Grid) -> tuple[slice, ...]:
    """Return the rows and columns of a crop around a voxel, shifted to stay inside the slice."""
    low = np.clip([row - crop // 2, col - crop // 2], 0, [grid.shape[1] - crop, grid.shape[0] - crop])
    return tuple(slice(a, a + crop) for a in low)


def _samples(rows: list[dict], crop: int | None) -> pd.DataFrame:
    """Return the table of samples: one row per nodule and slice, or one per slice where whole slices are wanted."""
    cut = ["nodule", "row", "col", "diameter_mm"]
    table = pd.DataFrame(rows, columns=["id", "path", "frame", "patient", "split", *cut])
    which = "" if crop is None else table["nodule"].map("_{:02d}".format)
    table["id"] = table["patient"] + which + table["frame"].map("_{:04d}".format)
    if crop is None:
        table = table.drop(columns=cut).drop_duplicates("id")
    return table.sort_values("id", ignore_index=True)


LAYOUT = Layout(
    scan=scan,
    decode=decode,
    patients=lambda card: SCANS,
    options={
        "mask": (str, one_of(REGIONS, "mask")),
        "crop": (int | None, {"ge": 1}),
        "split": (str, one_of(SPLITS, "split of luna16")),
        "window": WINDOW,
    },
)
