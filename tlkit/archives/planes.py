"""Where a slice lies in the patient, and what another plane's mask is on its grid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tlkit.archives.pixels import holder
from tlkit.datasets.cards import UnreadableFile

PARALLEL = 1e-3  # 1 - cosine of the angle between two planes, up to which they count as parallel
EXACT = 0.1  # of the step between slices: a plane so near to a slice is that slice's


@dataclass(frozen=True)
class Plane:
    """A grid of pixels in mm: `corner` is the centre of the first one, `down` and `right` lead to the next ones."""

    corner: np.ndarray
    down: np.ndarray
    right: np.ndarray
    shape: tuple[int, int]

    @cached_property
    def normal(self) -> np.ndarray:
        """The direction that lies on the plane upright, of length 1."""
        upright = np.cross(self.right, self.down)
        return upright / np.linalg.norm(upright)

    def above(self, point: np.ndarray) -> float:
        """Return how many mm a point lies over the plane."""
        return float((point - self.corner) @ self.normal)

    def is_parallel(self, other: Plane) -> bool:
        """Tell whether another plane has the same normal, or the opposite one."""
        return abs(self.normal @ other.normal) >= 1 - PARALLEL

    @cached_property
    def into_pixels(self) -> np.ndarray:
        """[2,3]: what turns mm from `corner` into rows and columns."""
        return np.linalg.pinv(np.stack([self.down, self.right], axis=1))

    def pixels_of(self, points: np.ndarray) -> np.ndarray:
        """Return rows and columns [N,2] of points [N,3] in mm; whole numbers are centres of pixels."""
        return (points - self.corner) @ self.into_pixels.T

    def sample(self, mask: np.ndarray, at: Plane) -> np.ndarray:
        """Return a mask [H,W] of this plane on the grid of a parallel one: the nearest pixel's value, 0 beside it."""
        from scipy.ndimage import affine_transform

        turn = np.round(self.into_pixels @ np.stack([at.down, at.right], axis=1), 6)
        start = np.round(self.into_pixels @ (at.corner - self.corner), 3)
        if self.shape == at.shape and np.allclose(turn, np.eye(2), atol=1e-3) and np.abs(start).max() < 0.1:
            return mask
        return affine_transform(mask, turn, offset=start, output_shape=at.shape, order=0, mode="constant", cval=0)


def plane_of(ds, frame: int = 0) -> Plane | None:
    """Return the plane of a slice, or of a frame of an object with many; None where its header does not say.

    Raises UnreadableFile where what it says is no plane.
    """
    parts = {}
    for name, count in (("ImagePositionPatient", 3), ("ImageOrientationPatient", 6), ("PixelSpacing", 2)):
        value = holder(ds, name, frame).get(name)
        if not value or len(value) != count:
            return None
        parts[name] = np.array([float(v) for v in value])
    turn, spacing = parts["ImageOrientationPatient"], parts["PixelSpacing"]
    right, down = turn[:3] * spacing[1], turn[3:] * spacing[0]
    numbers = np.concatenate(list(parts.values()))
    if not np.isfinite(numbers).all() or not np.linalg.norm(np.cross(right, down)) > 0:
        raise UnreadableFile("position, orientation or spacing of a slice are no plane")
    return Plane(parts["ImagePositionPatient"], down, right, (int(ds.Rows), int(ds.Columns)))


def step_of(planes: list[Plane]) -> float:
    """Return the usual distance between neighbouring planes in mm; infinity for one alone."""
    heights = np.unique(np.round([planes[0].above(p.corner) for p in planes], 3))
    return float(np.median(np.diff(heights))) if len(heights) > 1 else float("inf")


def least_gap(planes: list[Plane]) -> float:
    """Return the smallest distance between two planes in mm that are not at one place; infinity for one alone."""
    heights = np.unique(np.round([planes[0].above(p.corner) for p in planes], 3))
    return float(np.diff(heights).min()) if len(heights) > 1 else float("inf")
