"""The trunk of a body: its walls, spine, thorax, abdomen and pelvis, by landmarks of the standard body of `tubes`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tlkit.phantoms.tubes import Builder, Tissue

TRUNK_Z = (810, 850, 900, 960, 1040, 1120, 1200, 1280, 1360, 1420, 1450, 1475, 1500, 1545)
TRUNK_A = (150, 168, 165, 160, 145, 138, 142, 152, 162, 190, 165, 88, 58, 56)
TRUNK_B = (88, 104, 112, 108, 102, 103, 110, 114, 114, 98, 82, 66, 56, 58)


def add_walls(b: Builder, fat: float, female: bool) -> None:
    z, a, d = np.array(TRUNK_Z), np.array(TRUNK_A, float), np.array(TRUNK_B, float)
    belly = np.interp(z, (850, 960, 1150, 1300, 1450), (0.8, 1.0, 1.0, 0.6, 0.25)) * fat
    calm = dict(shift=0.0, grow=0.02)
    b.tube(Tissue.FAT, z, 0, -0.35 * belly, a + belly, d + 1.2 * belly, depth=0, square=0.6, **calm)
    if female:
        for side in (-1, 1):
            size = b.rng.uniform(0.6, 1.2)
            b.ball(Tissue.FAT, (side * 80, -108, 1315), (58 * size, 42 * size, 60 * size), depth=0)
    b.tube(Tissue.MUSCLE, z, 0, 0, a, d, depth=1, square=0.6, rough=0.02, space="wall", **calm)
    b.tube(Tissue.FAT, z, 0, 0, a, d, depth=1, square=0.6, pattern="line", level=0.09, within="wall", **calm)
    inside = (930, 1000, 1120, 1200, 1280, 1360, 1420, 1450, 1462)
    room = np.interp(inside, z, a) - np.array((55, 32, 20, 19, 20, 25, 62, 75, 90))
    depth = np.interp(inside, z, d) - np.array((24, 24, 20, 18, 18, 20, 22, 28, 40))
    b.tube(Tissue.FAT, inside, 0, -12, room, depth, depth=2, square=0.5, rough=0.02, space="cavity", **calm)
    b.tube(
        Tissue.CORTICAL,
        inside[2:8],
        0,
        -8,
        room[2:8] + 9,
        depth[2:8] + 9,
        shell=8.0,
        pattern="ribs",
        square=0.5,
        depth=4,
        level=0.35,
        **calm,
    )


def add_spine(b: Builder) -> None:
    z = np.array((1010, 1060, 1120, 1180, 1240, 1300, 1380, 1440, 1480, 1530, 1575))
    y = np.array((50, 40, 38, 42, 50, 57, 60, 48, 34, 24, 24), float)
    a = np.array((26, 25, 24, 22, 19, 17, 15, 13, 11, 10, 9), float)
    d = np.array((18, 18, 17, 16, 15, 14, 13, 11, 9, 8, 8), float)
    calm = dict(shift=0.8, grow=0.03)
    for side in (-1, 1):  # psoas and back muscles
        b.tube(
            Tissue.MUSCLE,
            (900, 960, 1060, 1150, 1190),
            side * np.array((75, 60, 45, 35, 28)),
            (-20, 10, 38, 42, 45),
            (18, 20, 22, 15, 6),
            (18, 22, 22, 15, 6),
        )
        b.tube(Tissue.MUSCLE, z[:9], side * 34, y[:9] + 42, 32, 22, within="wall", rough=0.04)
    b.tube(Tissue.CORTICAL, z, 0, y + d + 6, 2.0 * a, 4.5, pattern="levels", level=0.1, **calm)  # transverse
    b.tube(Tissue.CORTICAL, z, 0, y + d + 32, 3.5, 16, pattern="levels", level=-0.2, **calm)  # spinous process
    b.tube(Tissue.CORTICAL, z, 0, y + d + 11, 13, 12, shell=5.0, **calm)  # arch
    b.bone(z, 0, y, a, d, wall=2.5, **calm)
    b.tube(Tissue.DISC, z, 0, y, a, d, pattern="levels", level=0.72, **calm)
    b.tube(Tissue.CSF, z, 0, y + d + 10, 9, 7.5, **calm)
    b.tube(Tissue.WHITE, z[3:], 0, y[3:] + d[3:] + 10, 5.5, 4, **calm)


def add_thorax(b: Builder, pathology: Sequence[str]) -> None:
    zl = (1195, 1225, 1260, 1310, 1370, 1420, 1450, 1470)
    for side in (-1, 1):
        a = np.array((18, 40, 56, 60, 56, 44, 30, 6)) * (1.04 if side < 0 else 0.96)
        geometry = (
            zl,
            side * np.array((88, 80, 74, 72, 68, 58, 46, 40)),
            (30, 14, 0, -8, -4, 6, 14, 16),
            a,
            (35, 66, 84, 88, 80, 58, 36, 6),
        )
        state = b.rng.bit_generator.state
        b.tube(Tissue.LUNG, *geometry, within="cavity", space=f"lung{side}", square=0.35, rough=0.03, shift=3.0)
        b.rng.bit_generator.state = state
        b.tube(Tissue.BLOOD, *geometry, within=f"lung{side}", pattern="specks", level=1.35, opacity=0.75, shift=3.0)
        if "effusion" in pathology:
            size = b.rng.uniform(0.6, 1.2)
            b.ball(Tissue.FLUID, (side * 85, 62, 1235), (60 * size, 32 * size, 70 * size), within=f"lung{side}")
        b.bone(
            (1415, 1432, 1446),
            side * np.array((95, 92, 82)),
            (-18, -34, -48),
            (60, 72, 34),
            (7, 7, 7),
            wall=3,
            turn=side * 0.25,
        )  # clavicle
        b.bone(
            (1300, 1350, 1400, 1440),
            side * np.array((112, 118, 128, 138)),
            (84, 76, 62, 44),
            (10, 26, 36, 28),
            (5, 6, 6, 9),
            wall=3,
            turn=-side * 0.7,
        )  # scapula
        b.ball(Tissue.CORTICAL, (side * 163, 10, 1425), (23, 23, 24), shift=1.0, grow=0.02)
        b.ball(Tissue.MARROW, (side * 163, 10, 1425), (19, 19, 20), shift=1.0, grow=0.02)
    b.tube(
        Tissue.MUSCLE,
        (1260, 1300, 1400, 1450),
        0,
        (-10, -10, 5, 12),
        (28, 24, 30, 34),
        (52, 50, 40, 30),
        rough=0.1,
        within="cavity",
    )  # mediastinum
    b.ball(Tissue.MUSCLE, (22, -34, 1285), (60, 50, 56), turn=0.5, shift=5.0, within="cavity", rough=0.02)
    b.ball(Tissue.BLOOD, (34, -32, 1280), (26, 20, 32), turn=0.5, shift=4.0)
    b.ball(Tissue.VEIN, (-8, -42, 1295), (26, 20, 32), turn=0.5, shift=4.0)
    b.ball(Tissue.BLOOD, (10, -12, 1318), (52, 12, 12))  # pulmonary arteries
    b.ball(Tissue.BLOOD, (10, 4, 1392), (17, 38, 14), turn=-0.35)  # arch
    b.tube(Tissue.BLOOD, (1300, 1345, 1392), (2, -8, -4), (-28, -32, -22), 15, 15)
    b.tube(Tissue.VEIN, (1330, 1450), (-30, -34), (-22, -14), 9, 9)
    b.tube(Tissue.GAS, (1375, 1440), 0, (12, 14), 9, 8)
    for side in (-1, 1):
        b.tube(Tissue.GAS, (1335, 1378), side * np.array((32, 5)), 12, (7, 6), (6, 6))
        b.tube(Tissue.BLOOD, (1392, 1470, 1540), side * np.array((14, 24, 26)), (-8, 2, 4), 5, 5)
    b.bone((1275, 1400, 1425), 0, (-98, -92, -80), (17, 20, 26), (6, 7, 7), wall=3)  # sternum


def add_abdomen(b: Builder, lesions: Sequence[tuple]) -> None:
    inside = dict(within="cavity", rough=0.06)
    b.tube(
        Tissue.BOWEL,
        (930, 980, 1100, 1190),
        0,
        -28,
        (70, 100, 110, 70),
        (50, 60, 56, 30),
        pattern="blobs",
        level=-0.35,
        within="cavity",
    )
    b.tube(
        Tissue.GAS,
        (930, 980, 1100, 1180),
        0,
        -44,
        (60, 90, 100, 60),
        (36, 42, 38, 20),
        pattern="blobs",
        level=1.1,
        within="cavity",
    )
    for side in (-1, 1):  # colon
        b.tube(Tissue.BOWEL, (1000, 1080, 1170), side * 106, 2, 23, 24, **inside)
        b.tube(Tissue.GAS, (1000, 1080, 1170), side * 106, -5, 17, 15, pattern="blobs", level=0.1)
    liver = dict(space="liver", **inside)
    b.ball(Tissue.LIVER, (-72, -6, 1200), (70, 80, 82), square=0.3, shift=5.0, grow=0.1, **liver)
    b.ball(Tissue.LIVER, (-58, 8, 1238), (76, 72, 46), shift=4.0, **liver)
    b.ball(Tissue.LIVER, (8, -48, 1222), (82, 34, 44), turn=-0.12, shift=6.0, grow=0.15, **liver)
    for _ in range(7):
        x, y, z = b.rng.normal((-55, -10, 1215), (28, 24, 22))
        b.ball(
            Tissue.LIVER_VESSEL,
            (x, y, z),
            (b.rng.uniform(18, 40), 4.0, 6.0),
            turn=b.rng.uniform(-1.5, 1.5),
            within="liver",
        )
    for centre, radius, opacity in lesions:
        shape = radius * b.rng.uniform(0.8, 1.2, 3)
        b.ball(Tissue.LESION, centre, shape, rough=0.12, within="liver", opacity=opacity, shift=0.0, grow=0.0)
    b.ball(Tissue.FLUID, (-42, -52, 1158), (15, 20, 26), shift=6.0)  # gall bladder
    b.ball(Tissue.MUSCLE, (62, -34, 1205), (50, 36, 52), turn=0.4, shift=7.0, grow=0.15, space="stomach", **inside)
    b.ball(Tissue.BOWEL, (62, -30, 1205), (44, 30, 46), turn=0.4, shift=3.0)
    b.ball(Tissue.GAS, (64, -48, 1212), (34, 15, 32), within="stomach", shift=6.0, grow=0.3)
    b.ball(Tissue.SPLEEN, (102, 26, 1218), (27, 44, 48), turn=-0.5, shift=5.0, grow=0.12, **inside)
    b.ball(Tissue.GLAND, (20, -2, 1168), (60, 13, 15), turn=-0.3, rough=0.15, shift=5.0)  # pancreas
    for side in (-1, 1):
        z = 1138 if side < 0 else 1152
        b.ball(Tissue.KIDNEY, (side * 62, 38, z), (28, 27, 56), turn=side * 0.6, shift=4.0, grow=0.1, rough=0.03)
        b.ball(Tissue.FAT, (side * 55, 33, z), (11, 12, 32), turn=side * 0.6, rough=0.2)
        b.ball(Tissue.FLUID, (side * 52, 32, z - 4), (6, 7, 12))
    b.tube(
        Tissue.BLOOD,
        (1050, 1150, 1240, 1300, 1390),
        (6, 8, 12, 20, 26),
        (14, 18, 26, 32, 34),
        (8, 10, 12, 13, 13),
        (8, 10, 12, 13, 13),
    )
    b.tube(
        Tissue.VEIN, (1050, 1150, 1200, 1270), (-16, -22, -26, -28), (16, 16, 12, 0), (11, 12, 13, 14), (9, 9, 10, 13)
    )


def add_pelvis(b: Builder, female: bool) -> None:
    b.bone((915, 940, 980, 1025, 1035), 0, (88, 88, 76, 56, 52), (12, 26, 48, 54, 40), (7, 10, 18, 20, 14), wall=3)
    full = b.rng.uniform(0.6, 1.25)
    b.ball(Tissue.MUSCLE, (0, -30, 905), (46 * full, 38 * full, 36), space="bladder")
    b.ball(Tissue.FLUID, (0, -30, 905), (41 * full, 33 * full, 32))
    b.ball(Tissue.MUSCLE, (0, 20, 925 if female else 872), (32, 22, 24), rough=0.08)
    b.tube(
        Tissue.MUSCLE,
        (860, 900, 940, 990),
        (0, 0, 4, 14),
        (62, 58, 56, 40),
        (20, 24, 22, 18),
        (18, 22, 20, 16),
        rough=0.1,
    )
    b.tube(Tissue.GAS, (880, 900, 940, 990), (0, 0, 4, 14), (56, 52, 50, 34), 11, 9, pattern="blobs", level=-0.3)
    for side in (-1, 1):
        s = side
        b.bone(
            (930, 960, 1000, 1040, 1052),
            s * np.array((98, 92, 98, 112, 116)),
            (16, 24, 20, 6, 0),
            (14, 12, 10, 10, 5),
            (38, 46, 54, 46, 20),
            wall=3.5,
            turn=s * 0.55,
        )  # ilium
        b.bone(
            (868, 885, 910, 935),
            s * np.array((78, 78, 84, 92)),
            (8, 8, 10, 14),
            (10, 12, 14, 16),
            (36, 34, 34, 36),
            wall=3.5,
            turn=s * 0.2,
        )  # acetabulum
        b.bone(
            (850, 868, 885),
            s * np.array((24, 32, 52)),
            (-52, -50, -40),
            (20, 28, 26),
            (11, 11, 10),
            wall=3,
            turn=s * 0.35,
        )  # pubis
        b.bone((815, 840, 870), s * np.array((52, 58, 66)), (34, 40, 36), (13, 16, 13), (14, 20, 22), wall=3)  # ischium
        b.ball(Tissue.CORTICAL, (s * 100, 2, 895), (24, 24, 24), shift=1.0, grow=0.02)
        b.ball(Tissue.MARROW, (s * 100, 2, 895), (21, 21, 21), shift=1.0, grow=0.02)
        b.bone(
            (848, 868, 890), s * np.array((132, 132, 128)), (6, 8, 8), (20, 26, 18), (16, 18, 16), wall=3
        )  # trochanter
        b.tube(Tissue.BLOOD, (820, 900, 990, 1052), s * np.array((72, 66, 40, 10)), (-58, -52, -10, 12), 5.5, 5.5)
        b.tube(Tissue.VEIN, (820, 900, 990, 1052), s * np.array((62, 56, 44, 18)), (-52, -44, 0, 18), 6.5, 6)
