"""Masks of a series of slices from a DICOM SEG: its frames, each on the slice that it was drawn on.

A frame names its slice (SourceImageSequence), or lies where the slice lies; a grid of another size, turned, or with
another distance between planes is sampled. Planes that a SEG leaves out are empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tlkit.archives.pixels import check_pixels, frame_count, frames, holder, number, text
from tlkit.archives.planes import EXACT, Plane, least_gap, plane_of, step_of
from tlkit.datasets.cards import UnreadableFile

HALF = 0.5  # of the largest value of a fractional mask: from here on a pixel is inside
Mark = tuple[int, int, np.ndarray]  # number of the segment, of the slice, and a mask [H,W] of bool


@dataclass(frozen=True)
class Slice:
    """One slice of a series: its SOPInstanceUID, which stays in memory, and where it lies (None: nobody knows)."""

    uid: str
    plane: Plane | None


def names(ds) -> dict[int, tuple[str, ...]]:
    """Return what a SEG calls its segments, by number: the label, then the meaning of the code of what is shown."""
    found = {}
    for segment in ds.get("SegmentSequence") or ():
        codes = segment.get("SegmentedPropertyTypeCodeSequence") or ()
        found[int(number(segment, "SegmentNumber"))] = (
            text(segment, "SegmentLabel"),
            *(text(code, "CodeMeaning") for code in codes),
        )
    return found


def series_of(ds) -> set[str]:
    """Return the SeriesInstanceUIDs of which a SEG says that it was drawn on them."""
    return {text(item, "SeriesInstanceUID") for item in ds.get("ReferencedSeriesSequence") or ()} - {""}


def marks(ds, slices: list[Slice]) -> Iterator[Mark]:
    """Yield the mask of each segment on each slice that has one; several of one segment may come for a slice.

    Raises UnreadableFile where a frame belongs to no segment, names a slice and lies elsewhere, or all lie on none.
    """
    check_pixels(ds)
    kind, count = text(ds, "SegmentationType") or "BINARY", frame_count(ds)
    if kind not in ("BINARY", "FRACTIONAL", "LABELMAP"):
        raise UnreadableFile("a segmentation of a type that the standard does not have")
    where = _places(ds, count, slices)
    if not any(where):
        raise UnreadableFile(f"none of the {count} frames lies on a slice of its series")
    wanted = [frame for frame in range(count) if where[frame]]
    top = number(ds, "MaximumFractionalValue", 1) if kind == "FRACTIONAL" else 1
    for frame, stored in frames(ds, wanted):
        if kind == "LABELMAP":
            parts = [(int(value), stored == value) for value in np.unique(stored) if value]
        else:
            parts = [(_segment(ds, frame), stored >= HALF * top if kind == "FRACTIONAL" else stored > 0)]
        own = plane_of(ds, frame)
        for segment, mask in parts:
            for index in where[frame]:
                yield segment, index, _on(mask, own, slices[index].plane)


def _on(mask: np.ndarray, own: Plane | None, at: Plane | None) -> np.ndarray:
    return mask if own is None or at is None else own.sample(mask.view(np.uint8), at).astype(bool)


def _segment(ds, frame: int) -> int:
    for groups, at in (("PerFrameFunctionalGroupsSequence", frame), ("SharedFunctionalGroupsSequence", 0)):
        for group in list(ds.get(groups) or ())[at : at + 1]:
            for item in group.get("SegmentIdentificationSequence") or ():
                return int(number(item, "ReferencedSegmentNumber"))
    raise UnreadableFile(f"frame {frame + 1} belongs to no segment")


def _places(ds, count: int, slices: list[Slice]) -> list[list[int]]:
    """Return the slices that each frame lies on: the one it names, the one at its place, or those that it covers."""
    index = {s.uid: i for i, s in enumerate(slices)}
    planes = [plane_of(ds, frame) for frame in range(count)]
    known = [(i, s.plane) for i, s in enumerate(slices) if s.plane is not None]
    step = step_of([p for _, p in known]) if known else float("inf")
    found = [_named(ds, frame, planes[frame], slices, index, step) for frame in range(count)]
    open_ = [f for f in range(count) if not found[f] and planes[f] is not None]
    for frame in open_:
        found[frame] = [i for i, p in known if _apart(p, planes[frame]) <= EXACT * min(step, 10.0)][:1]
    if left := [f for f in open_ if not found[f]]:  # another grid: a frame is as thick as its planes lie apart
        between = number(holder(ds, "SpacingBetweenSlices"), "SpacingBetweenSlices", 0)
        reach = 0.5 * min(abs(between) or float("inf"), least_gap([planes[f] for f in open_]), 10 * step)
        for frame in left:
            near = [(round(_apart(p, planes[frame]), 3), i) for i, p in known]
            found[frame] = [i for apart, i in near if apart <= min(reach, 1e3) * (1 + 1e-3)]
    return found


def _named(ds, frame: int, own: Plane | None, slices: list[Slice], index: dict[str, int], step: float) -> list[int]:
    """Return the slice that a frame names, if it is one alone and of this series."""
    uids = {uid for uid in _sources(ds, frame) if uid in index}
    if len(uids) != 1:
        return []
    at = index[uids.pop()]
    there = slices[at].plane
    if own is None or there is None:
        return [at] if there is None or there.shape == (ds.Rows, ds.Columns) else []
    if _apart(there, own) > 0.5 * min(step, 1e3):
        raise UnreadableFile(f"frame {frame + 1} names a slice and lies {_apart(there, own):.1f} mm off it")
    return [at]


def _sources(ds, frame: int) -> list[str]:
    groups = list(ds.get("PerFrameFunctionalGroupsSequence") or ())[frame : frame + 1]
    derived = [item for group in groups for item in group.get("DerivationImageSequence") or ()]
    return [text(s, "ReferencedSOPInstanceUID") for item in derived for s in item.get("SourceImageSequence") or ()]


def _apart(plane: Plane, other: Plane) -> float:
    """Return how far a plane lies over another one, in mm; infinity where they are not parallel."""
    return abs(plane.above(other.corner)) if plane.is_parallel(other) else float("inf")
