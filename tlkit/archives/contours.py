"""Masks of a series of slices from a DICOM RTSTRUCT: closed contours in mm, each in the plane of a slice."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tlkit.archives.pixels import number, text
from tlkit.archives.planes import Plane, step_of
from tlkit.archives.segmentations import Mark, Slice
from tlkit.datasets.cards import UnreadableFile

CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "")


def names(ds) -> dict[int, tuple[str, ...]]:
    """Return what an RTSTRUCT calls its regions, by number."""
    return {int(number(roi, "ROINumber")): (text(roi, "ROIName"),) for roi in ds.get("StructureSetROISequence") or ()}


def series_of(ds) -> set[str]:
    """Return the SeriesInstanceUIDs of which an RTSTRUCT says that it was drawn on them."""
    frames = ds.get("ReferencedFrameOfReferenceSequence") or ()
    studies = [s for frame in frames for s in frame.get("RTReferencedStudySequence") or ()]
    return {
        text(item, "SeriesInstanceUID") for study in studies for item in study.get("RTReferencedSeriesSequence") or ()
    } - {""}


def marks(ds, slices: list[Slice]) -> Iterator[Mark]:
    """Yield the mask of each region on each slice that it has contours on; one within another is a hole.

    Raises UnreadableFile where all contours lie on no slice, or one is no list of points.
    """
    step = step_of([s.plane for s in slices if s.plane is not None] or [None]) if any(s.plane for s in slices) else 0.0
    index, seen, kept = {s.uid: i for i, s in enumerate(slices)}, 0, 0
    for region in ds.get("ROIContourSequence") or ():
        masks: dict[int, np.ndarray] = {}
        for contour in region.get("ContourSequence") or ():
            if text(contour, "ContourGeometricType").upper() not in CLOSED:
                continue
            points, seen = _points(contour), seen + 1
            at = _slice_of(contour, points, slices, index, step)
            if at is not None:
                filled, kept = fill(points, slices[at].plane), kept + 1
                masks[at] = masks[at] ^ filled if at in masks else filled
        for at, mask in masks.items():
            yield int(number(region, "ReferencedROINumber")), at, mask
    if seen and not kept:
        raise UnreadableFile(f"none of the {seen} contours lies on a slice of its series")


def fill(points: np.ndarray, plane: Plane) -> np.ndarray:
    """Return the pixels [H,W] whose centres lie within the polygon of points [N,3] in mm."""
    from matplotlib.path import Path

    corners = plane.pixels_of(points)
    mask = np.zeros(plane.shape, bool)
    low = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, plane.shape)
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 1, 0, plane.shape)
    rows, columns = (np.arange(a, b) for a, b in zip(low, high, strict=True))
    if len(rows) and len(columns):
        centres = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
        inside = Path(corners).contains_points(centres)
        mask[low[0] : high[0], low[1] : high[1]] = inside.reshape(len(rows), len(columns))
    return mask


def _points(contour) -> np.ndarray:
    try:
        numbers = np.array([float(v) for v in contour.get("ContourData") or ()])
    except (TypeError, ValueError):
        raise UnreadableFile("a contour that is no list of numbers") from None
    if not len(numbers) or len(numbers) % 3 or not np.isfinite(numbers).all():
        raise UnreadableFile(f"a contour of {len(numbers)} numbers, which are no points in mm")
    return numbers.reshape(-1, 3)


def _slice_of(contour, points: np.ndarray, slices: list[Slice], index: dict[str, int], step: float) -> int | None:
    """Return the slice that a contour names, or the one whose plane it lies in, up to half a step; None for no one."""
    for item in contour.get("ContourImageSequence") or ():
        at = index.get(text(item, "ReferencedSOPInstanceUID"))
        if at is not None and slices[at].plane is not None:
            return at
    apart = [(max(abs(s.plane.above(p)) for p in points), i) for i, s in enumerate(slices) if s.plane is not None]
    nearest, at = min(apart, default=(float("inf"), -1))
    return at if nearest <= 0.5 * min(step, 10.0) else None
