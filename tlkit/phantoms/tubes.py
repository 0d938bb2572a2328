"""What phantoms are made of: every structure is a tube, a stack of ellipses that changes along z.

Body coordinates are millimetres of a standard body of 1750 mm: x to the patient's left, y to the back (as in
DICOM), z from the feet to the head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

Tissue = IntEnum(
    "Tissue",
    "AIR FAT MUSCLE CORTICAL MARROW DISC LUNG BLOOD VEIN BRAIN WHITE CSF LIVER LIVER_VESSEL LESION SPLEEN "
    "KIDNEY FLUID BOWEL GAS GLAND EYE",
    start=0,
)
ANGLES = np.linspace(-np.pi / 2, np.pi / 2, 11)
HEIGHTS, WIDTHS = np.sin(ANGLES), np.cos(ANGLES)  # of the ellipses that a ball of radius 1 is made of


@dataclass(frozen=True)
class Tube:
    """A stack of ellipses: centre (x, y) and semi-axes (a, b) in mm at the heights z, linear in between."""

    tissue: int
    z: np.ndarray
    x: np.ndarray
    y: np.ndarray
    a: np.ndarray
    b: np.ndarray
    part: str = "body"
    depth: int = 3  # painted from low to high: 0 skin and fat, 1 muscle, 2 cavities, 3 organs and bones
    square: float = 0.0  # 0 an ellipse, towards 1 a rectangle (squircle)
    rough: float = 0.0  # bumps of the surface as a share of the radius
    shell: float = 0.0  # wall thickness in mm; 0 is solid
    turn: float = 0.0  # rotation in the slice plane, radians
    within: str = ""  # clipped to the space of this name
    space: str = ""  # adds to the space of this name
    pattern: str = ""  # key of PATTERNS
    level: float = 0.0  # threshold of the pattern
    opacity: float = 1.0


class Builder:
    """Collects tubes; every centre and radius gets its own small deviation from the standard body."""

    def __init__(self, rng: np.random.Generator, part: str = "body"):
        self.rng, self.part, self.tubes = rng, part, []

    def tube(self, tissue: int, z, x, y, a, b, **options) -> None:
        """Add a tube of half axes a, b (mm) around the line x, y (mm) at heights z, drawn to vary in place and size."""
        self._add(self.rng.standard_normal(4), tissue, z, x, y, a, b, **options)

    def ball(self, tissue: int, centre: Sequence[float], radii: Sequence[float], **options) -> None:
        """Add an ellipsoid of these radii (mm) around a centre (x, y, z), as a tube."""
        (x, y, z), (a, b, c) = centre, radii
        self.tube(tissue, z + c * HEIGHTS, x, y, a * WIDTHS + 1e-3, b * WIDTHS + 1e-3, **options)

    def bone(self, z, x, y, a, b, wall=4.0, hollow: tuple[float, float] | None = None, **options) -> None:
        """A cortical tube filled with marrow, or with fat between the heights `hollow` of a long shaft."""
        drawn = self.rng.standard_normal(4)  # the marrow takes the same deviation as its bone
        self._add(drawn, Tissue.CORTICAL, z, x, y, a, b, **options)
        inner = [np.maximum(np.asarray(v, float) - wall, 0.5) for v in (a, b)]
        self._add(drawn, Tissue.MARROW, z, x, y, *inner, **options)
        if hollow:
            shaft = np.linspace(*hollow, 7)
            line = [np.interp(shaft, z, np.broadcast_to(v, len(z))) for v in (x, y, *inner)]
            self._add(drawn, Tissue.FAT, shaft, *line, **options)

    def _add(self, drawn, tissue: int, z, x, y, a, b, shift: float = 2.0, grow: float = 0.06, **options) -> None:
        """Add a tube that `drawn` [4], of variance 1, moves by `shift` mm and widens by `grow` (of its logarithm)."""
        z, x, y, a, b = (np.asarray(v, np.float64) for v in (z, x, y, a, b))
        (dx, dy), (ga, gb) = shift * drawn[:2], np.exp(grow * drawn[2:])
        lines = np.empty((4, len(z)))
        lines[0], lines[1], lines[2], lines[3] = x + dx, y + dy, a * ga, b * gb
        self.tubes.append(Tube(tissue, z, *lines, part=self.part, **options))
