"""A whole body of tubes: head, legs and an arm here, the rest in `trunk`.

The tables are landmarks of the standard body of `tubes`; each patient deviates.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tlkit.phantoms import trunk
from tlkit.phantoms.tubes import Builder, Tissue, Tube

LEG_Z = (0, 35, 75, 100, 200, 350, 420, 480, 540, 650, 760, 880)
LEG_A = (30, 36, 32, 33, 42, 54, 50, 54, 58, 70, 82, 84)
LEG_B = (110, 105, 60, 42, 46, 58, 56, 58, 62, 74, 84, 84)
LEG_Y = (-50, -45, -18, 0, 4, 8, 4, 0, 0, 0, 2, 4)


def _add_head(b: Builder, age: int) -> None:
    z = np.array((1520, 1545, 1570, 1600, 1640, 1680, 1715, 1735, 1747))
    a = np.array((56, 62, 68, 73, 77, 77, 64, 44, 4), float)
    d = np.array((58, 74, 86, 96, 98, 96, 80, 55, 4), float)
    y = np.array((0, -12, -14, -10, -6, -4, 0, 2, 2), float)
    calm = dict(shift=0.0, grow=0.015)
    b.tube(Tissue.FAT, z, 0, y, a, d, depth=0, **calm)
    b.tube(Tissue.MUSCLE, z, 0, y, a - 5, d - 5, depth=1, rough=0.04, **calm)
    b.tube(Tissue.GAS, (1440, 1500, 1545, 1580), 0, (14, -2, -2, -12), (8, 9, 11, 8), (8, 8, 9, 12))  # airway
    b.tube(Tissue.CORTICAL, (1532, 1545, 1560), 0, -30, (38, 42, 44), (44, 46, 46), shell=9.0, pattern="front")
    b.tube(Tissue.CORTICAL, (1556, 1560, 1578), 0, -38, (36, 37, 35), (40, 41, 38), shell=8.0, pattern="front")
    top = z >= 1590
    b.tube(
        Tissue.CORTICAL,
        np.r_[1586, z[top]],
        0,
        np.r_[-6, y[top]],
        np.r_[62, a[top] - 6],
        np.r_[72, d[top] - 6],
        rough=0.01,
        **calm,
    )
    wall = b.rng.uniform(5, 8)
    inner_a, inner_d = np.maximum(a[top] - 6 - wall, 0.5), np.maximum(d[top] - 6 - wall, 0.5)
    b.tube(Tissue.CSF, z[top] - 1, 0, y[top], inner_a, inner_d, space="skull", **calm)
    shrink = 1.0 + 0.07 * max(age - 40, 0) / 50 + b.rng.uniform(0, 2.0)
    b.tube(
        Tissue.BRAIN,
        z[top] - 2,
        0,
        y[top],
        np.maximum(inner_a - shrink, 0.4),
        np.maximum(inner_d - shrink, 0.4),
        rough=0.03,
        within="skull",
        **calm,
    )
    b.tube(Tissue.CSF, z[top], 0, y[top] - 4, 1.2, np.maximum(inner_d - 4, 0.4), within="skull", **calm)  # falx
    swell = b.rng.uniform(0.7, 1.2) * (1 + max(age - 50, 0) / 60)
    for side in (-1, 1):
        b.ball(Tissue.WHITE, (side * 30, -8, 1668), (22, 60, 34), rough=0.25, within="skull")
        b.ball(Tissue.CSF, (side * 10, -26, 1668), (6.5 * swell, 20, 17 * swell), turn=side * 0.25)
        b.ball(Tissue.CSF, (side * 20, 24, 1662), (6.5 * swell, 19, 16 * swell), turn=-side * 0.35)
        b.ball(Tissue.FAT, (side * 32, -84, 1606), (19, 22, 17))
        b.ball(Tissue.EYE, (side * 32, -88, 1606), (12, 12, 12))
        b.ball(Tissue.GAS, (side * 24, -62, 1580), (15, 16, 15), rough=0.1)  # maxillary sinus
        b.ball(Tissue.CORTICAL, (side * 48, 14, 1600), (20, 10, 12), turn=side * 0.6)  # petrous bone
        b.ball(Tissue.GAS, (side * 58, 26, 1592), (9, 10, 13), pattern="blobs", level=0.2)  # mastoid cells
        b.ball(Tissue.GLAND, (side * 46, 2, 1550), (14, 18, 20))
    b.ball(Tissue.GAS, (0, -74, 1595), (13, 22, 18), pattern="blobs", level=-0.4)  # nose, ethmoid cells
    b.ball(Tissue.GAS, (0, -83, 1630), (16, 7, 12))  # frontal sinus


def _add_legs(b: Builder, fat: float, female: bool) -> None:
    z, a, d, y = (np.array(v, float) for v in (LEG_Z, LEG_A, LEG_B, LEG_Y))
    thick = np.interp(z, (0, 480, 850), (0.12, 0.28, 0.7)) * fat * (1.3 if female else 1.0)
    for side in (-1, 1):
        x = side * np.interp(z, (0, 480, 880), (70, 84, 92))
        calm = dict(shift=0.0, grow=0.02)
        b.tube(Tissue.FAT, z, x, y, a + thick - 2, d + thick - 2, depth=0, rough=0.02, **calm)
        wall = f"leg{side}"
        b.tube(Tissue.MUSCLE, z, x, y, a - 6, d - 6, depth=1, rough=0.05, space=wall, **calm)
        b.tube(Tissue.FAT, z, x, y, a, d, depth=1, pattern="line", level=0.13, within=wall, **calm)
        b.bone(
            (488, 515, 560, 700, 800, 850),
            np.interp((488, 515, 560, 700, 800, 850), z, x) + side * np.array((0, 0, 2, 8, 20, 34)),
            (6, 2, -4, -6, 0, 4),
            (40, 36, 17, 14, 15, 20),
            (30, 27, 16, 14, 15, 19),
            wall=5,
            hollow=(555, 810),
        )
        b.bone(
            (85, 100, 200, 350, 440, 476),
            np.interp((85, 100, 200, 350, 440, 476), z, x) - side * 5,
            (0, -4, -10, -14, -4, 2),
            (22, 18, 12, 14, 28, 38),
            (18, 16, 12, 14, 22, 27),
            wall=5,
            hollow=(130, 380),
        )
        b.bone(
            (70, 100, 300, 460),
            np.interp((70, 100, 300, 460), z, x) + side * np.array((24, 22, 26, 34)),
            (8, 10, 14, 16),
            (9, 7, 6, 9),
            (9, 7, 6, 9),
            wall=3,
        )
        b.ball(Tissue.CORTICAL, (side * 84, -46, 500), (20, 10, 22))
        b.ball(Tissue.FLUID, (side * 84, -30, 508), (26, 7, 18))
        for step in range(4):  # tarsal and metatarsal bones
            b.ball(Tissue.CORTICAL, (side * (56 + 10 * step), -30 - 22 * step, 45), (10, 18, 16))
        b.ball(Tissue.CORTICAL, (side * 72, 32, 38), (17, 28, 22))
        b.tube(Tissue.BLOOD, (100, 480, 850), side * np.array((64, 84, 76)), (22, 34, -30), 3.5, 3.5)


def _add_arm(b: Builder, fat: float) -> None:
    z = np.array((-60, 0, 60, 160, 250, 300, 420, 540, 600), float)
    a = np.array((40, 30, 32, 42, 44, 40, 46, 56, 60), float) + 0.25 * fat
    d = np.array((18, 22, 26, 38, 42, 42, 50, 62, 64), float) + 0.25 * fat
    calm = dict(shift=0.0, grow=0.02)
    b.tube(Tissue.FAT, z, 0, 0, a, d, depth=0, rough=0.03, **calm)
    b.tube(Tissue.MUSCLE, z, 0, 0, a - 5 - 0.2 * fat, d - 5 - 0.2 * fat, depth=1, rough=0.06, space="arm", **calm)
    b.tube(Tissue.FAT, z, 0, 0, a, d, depth=1, pattern="line", level=0.14, within="arm", **calm)
    b.bone(
        (8, 20, 120, 240, 258),
        (14, 14, 15, 10, 10),
        (-2, -2, -4, -6, -6),
        (16, 13, 8, 9, 12),
        (12, 11, 8, 9, 12),
        wall=3,
    )
    b.bone(
        (8, 20, 120, 240, 275), (-16, -15, -12, -8, -4), (2, 2, 8, 12, 18), (7, 7, 8, 12, 12), (7, 7, 8, 14, 10), wall=3
    )
    b.bone(
        (256, 275, 320, 450, 560, 590),
        0,
        (-4, -2, 0, 2, 2, 0),
        (30, 24, 13, 12, 20, 24),
        (12, 11, 12, 12, 20, 24),
        wall=4,
        hollow=(310, 530),
    )
    for x in (-26, -13, 0, 13, 26):
        b.tube(Tissue.CORTICAL, (-60, -8), x, 0, 5, 5, rough=0.1)
    b.ball(Tissue.CORTICAL, (0, 0, 0), (24, 10, 9), pattern="blobs", level=-0.8)


def _draw_lesions(rng: np.random.Generator) -> list[tuple]:
    """Draw centres, radii (mm, many small, few large) and opacities (1 plain, 0.3 faint) inside the liver."""
    centres = rng.uniform(0, 1, (1 + rng.geometric(0.4), 3)) * (110, 100, 90) + (-125, -55, 1165)
    return [(c, float(np.clip(rng.lognormal(2.9, 0.42), 8, 42)), rng.uniform(0.4, 1.0)) for c in centres]


def build_body(
    rng: np.random.Generator, female: bool, age: int, fat: float, pathology: Sequence[str]
) -> tuple[Tube, ...]:
    """Return all tubes of one patient in painting order; `fat` in mm under the skin. All draws from `rng`."""
    b = Builder(rng)
    _add_legs(b, fat, female)
    trunk.add_walls(b, fat, female)
    trunk.add_thorax(b, pathology)
    trunk.add_abdomen(b, _draw_lesions(rng) if "lesions" in pathology else ())
    trunk.add_pelvis(b, female)
    _add_head(b, age)
    trunk.add_spine(b)
    arm = Builder(rng, "arm")
    _add_arm(arm, fat)
    return tuple(sorted(b.tubes + arm.tubes, key=lambda t: t.depth))
