"""What a body is made of, by landmarks of the standard body of `tubes`; each patient deviates from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tlkit.phantoms.tubes import Builder, Tissue, Tube

# fmt: off
TRUNK_Z = (810, 850, 900, 960, 1040, 1120, 1200, 1280, 1360, 1420, 1450, 1475, 1500, 1545)
TRUNK_A = (150, 168, 165, 160, 145, 138, 142, 152, 162, 190, 165, 88, 58, 56)
TRUNK_B = (88, 104, 112, 108, 102, 103, 110, 114, 114, 98, 82, 66, 56, 58)
LEG_Z = (0, 35, 75, 100, 200, 350, 420, 480, 540, 650, 760, 880)
LEG_A = (30, 36, 32, 33, 42, 54, 50, 54, 58, 70, 82, 84)
LEG_B = (110, 105, 60, 42, 46, 58, 56, 58, 62, 74, 84, 84)
LEG_Y = (-50, -45, -18, 0, 4, 8, 4, 0, 0, 0, 2, 4)


def _add_walls(b: Builder, fat: float, female: bool) -> None:
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
    b.tube(Tissue.CORTICAL, inside[2:8], 0, -8, room[2:8] + 9, depth[2:8] + 9, shell=8.0, pattern="ribs", square=0.5,
           depth=4, level=0.35, **calm)


def _add_spine(b: Builder) -> None:
    z = np.array((1010, 1060, 1120, 1180, 1240, 1300, 1380, 1440, 1480, 1530, 1575))
    y = np.array((50, 40, 38, 42, 50, 57, 60, 48, 34, 24, 24), float)
    a = np.array((26, 25, 24, 22, 19, 17, 15, 13, 11, 10, 9), float)
    d = np.array((18, 18, 17, 16, 15, 14, 13, 11, 9, 8, 8), float)
    calm = dict(shift=0.8, grow=0.03)
    for side in (-1, 1):  # psoas and back muscles
        b.tube(Tissue.MUSCLE, (900, 960, 1060, 1150, 1190), side * np.array((75, 60, 45, 35, 28)),
               (-20, 10, 38, 42, 45), (18, 20, 22, 15, 6), (18, 22, 22, 15, 6))
        b.tube(Tissue.MUSCLE, z[:9], side * 34, y[:9] + 42, 32, 22, within="wall", rough=0.04)
    b.tube(Tissue.CORTICAL, z, 0, y + d + 6, 2.0 * a, 4.5, pattern="levels", level=0.1, **calm)  # transverse
    b.tube(Tissue.CORTICAL, z, 0, y + d + 32, 3.5, 16, pattern="levels", level=-0.2, **calm)  # spinous process
    b.tube(Tissue.CORTICAL, z, 0, y + d + 11, 13, 12, shell=5.0, **calm)  # arch
    b.bone(z, 0, y, a, d, wall=2.5, **calm)
    b.tube(Tissue.DISC, z, 0, y, a, d, pattern="levels", level=0.72, **calm)
    b.tube(Tissue.CSF, z, 0, y + d + 10, 9, 7.5, **calm)
    b.tube(Tissue.WHITE, z[3:], 0, y[3:] + d[3:] + 10, 5.5, 4, **calm)


def _add_thorax(b: Builder, pathology: Sequence[str]) -> None:
    zl = (1195, 1225, 1260, 1310, 1370, 1420, 1450, 1470)
    for side in (-1, 1):
        a = np.array((18, 40, 56, 60, 56, 44, 30, 6)) * (1.04 if side < 0 else 0.96)
        geometry = (zl, side * np.array((88, 80, 74, 72, 68, 58, 46, 40)), (30, 14, 0, -8, -4, 6, 14, 16), a,
                    (35, 66, 84, 88, 80, 58, 36, 6))
        state = b.rng.bit_generator.state
        b.tube(Tissue.LUNG, *geometry, within="cavity", space=f"lung{side}", square=0.35, rough=0.03, shift=3.0)
        b.rng.bit_generator.state = state
        b.tube(Tissue.BLOOD, *geometry, within=f"lung{side}", pattern="specks", level=1.35, opacity=0.75, shift=3.0)
        if "effusion" in pathology:
            size = b.rng.uniform(0.6, 1.2)
            b.ball(Tissue.FLUID, (side * 85, 62, 1235), (60 * size, 32 * size, 70 * size), within=f"lung{side}")
        b.bone((1415, 1432, 1446), side * np.array((95, 92, 82)), (-18, -34, -48), (60, 72, 34), (7, 7, 7), wall=3,
               turn=side * 0.25)  # clavicle
        b.bone((1300, 1350, 1400, 1440), side * np.array((112, 118, 128, 138)), (84, 76, 62, 44), (10, 26, 36, 28),
               (5, 6, 6, 9), wall=3, turn=-side * 0.7)  # scapula
        b.ball(Tissue.CORTICAL, (side * 163, 10, 1425), (23, 23, 24), shift=1.0, grow=0.02)
        b.ball(Tissue.MARROW, (side * 163, 10, 1425), (19, 19, 20), shift=1.0, grow=0.02)
    b.tube(Tissue.MUSCLE, (1260, 1300, 1400, 1450), 0, (-10, -10, 5, 12), (28, 24, 30, 34), (52, 50, 40, 30), rough=0.1,
           within="cavity")  # mediastinum
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


def _add_abdomen(b: Builder, lesions: Sequence[tuple]) -> None:
    inside = dict(within="cavity", rough=0.06)
    b.tube(Tissue.BOWEL, (930, 980, 1100, 1190), 0, -28, (70, 100, 110, 70), (50, 60, 56, 30), pattern="blobs",
           level=-0.35, within="cavity")
    b.tube(Tissue.GAS, (930, 980, 1100, 1180), 0, -44, (60, 90, 100, 60), (36, 42, 38, 20), pattern="blobs", level=1.1,
           within="cavity")
    for side in (-1, 1):  # colon
        b.tube(Tissue.BOWEL, (1000, 1080, 1170), side * 106, 2, 23, 24, **inside)
        b.tube(Tissue.GAS, (1000, 1080, 1170), side * 106, -5, 17, 15, pattern="blobs", level=0.1)
    liver = dict(space="liver", **inside)
    b.ball(Tissue.LIVER, (-72, -6, 1200), (70, 80, 82), square=0.3, shift=5.0, grow=0.1, **liver)
    b.ball(Tissue.LIVER, (-58, 8, 1238), (76, 72, 46), shift=4.0, **liver)
    b.ball(Tissue.LIVER, (8, -48, 1222), (82, 34, 44), turn=-0.12, shift=6.0, grow=0.15, **liver)
    for _ in range(7):
        x, y, z = b.rng.normal((-55, -10, 1215), (28, 24, 22))
        b.ball(Tissue.LIVER_VESSEL, (x, y, z), (b.rng.uniform(18, 40), 4.0, 6.0), turn=b.rng.uniform(-1.5, 1.5),
               within="liver")
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
    b.tube(Tissue.BLOOD, (1050, 1150, 1240, 1300, 1390), (6, 8, 12, 20, 26), (14, 18, 26, 32, 34), (8, 10, 12, 13, 13),
           (8, 10, 12, 13, 13))
    b.tube(Tissue.VEIN, (1050, 1150, 1200, 1270), (-16, -22, -26, -28), (16, 16, 12, 0), (11, 12, 13, 14),
           (9, 9, 10, 13))


def _add_pelvis(b: Builder, female: bool) -> None:
    b.bone((915, 940, 980, 1025, 1035), 0, (88, 88, 76, 56, 52), (12, 26, 48, 54, 40), (7, 10, 18, 20, 14), wall=3)
    full = b.rng.uniform(0.6, 1.25)
    b.ball(Tissue.MUSCLE, (0, -30, 905), (46 * full, 38 * full, 36), space="bladder")
    b.ball(Tissue.FLUID, (0, -30, 905), (41 * full, 33 * full, 32))
    b.ball(Tissue.MUSCLE, (0, 20, 925 if female else 872), (32, 22, 24), rough=0.08)
    b.tube(Tissue.MUSCLE, (860, 900, 940, 990), (0, 0, 4, 14), (62, 58, 56, 40), (20, 24, 22, 18), (18, 22, 20, 16),
           rough=0.1)
    b.tube(Tissue.GAS, (880, 900, 940, 990), (0, 0, 4, 14), (56, 52, 50, 34), 11, 9, pattern="blobs", level=-0.3)
    for side in (-1, 1):
        s = side
        b.bone((930, 960, 1000, 1040, 1052), s * np.array((98, 92, 98, 112, 116)), (16, 24, 20, 6, 0),
               (14, 12, 10, 10, 5), (38, 46, 54, 46, 20), wall=3.5, turn=s * 0.55)  # ilium
        b.bone((868, 885, 910, 935), s * np.array((78, 78, 84, 92)), (8, 8, 10, 14), (10, 12, 14, 16), (36, 34, 34, 36),
               wall=3.5, turn=s * 0.2)  # acetabulum
        b.bone((850, 868, 885), s * np.array((24, 32, 52)), (-52, -50, -40), (20, 28, 26), (11, 11, 10), wall=3,
               turn=s * 0.35)  # pubis
        b.bone((815, 840, 870), s * np.array((52, 58, 66)), (34, 40, 36), (13, 16, 13), (14, 20, 22), wall=3)  # ischium
        b.ball(Tissue.CORTICAL, (s * 100, 2, 895), (24, 24, 24), shift=1.0, grow=0.02)
        b.ball(Tissue.MARROW, (s * 100, 2, 895), (21, 21, 21), shift=1.0, grow=0.02)
        b.bone((848, 868, 890), s * np.array((132, 132, 128)), (6, 8, 8), (20, 26, 18), (16, 18, 16),
               wall=3)  # trochanter
        b.tube(Tissue.BLOOD, (820, 900, 990, 1052), s * np.array((72, 66, 40, 10)), (-58, -52, -10, 12), 5.5, 5.5)
        b.tube(Tissue.VEIN, (820, 900, 990, 1052), s * np.array((62, 56, 44, 18)), (-52, -44, 0, 18), 6.5, 6)


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
    b.tube(Tissue.CORTICAL, np.r_[1586, z[top]], 0, np.r_[-6, y[top]], np.r_[62, a[top] - 6], np.r_[72, d[top] - 6],
           rough=0.01, **calm)
    wall = b.rng.uniform(5, 8)
    inner_a, inner_d = np.maximum(a[top] - 6 - wall, 0.5), np.maximum(d[top] - 6 - wall, 0.5)
    b.tube(Tissue.CSF, z[top] - 1, 0, y[top], inner_a, inner_d, space="skull", **calm)
    shrink = 1.0 + 0.07 * max(age - 40, 0) / 50 + b.rng.uniform(0, 2.0)
    b.tube(Tissue.BRAIN, z[top] - 2, 0, y[top], np.maximum(inner_a - shrink, 0.4), np.maximum(inner_d - shrink, 0.4),
           rough=0.03, within="skull", **calm)
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
        b.bone((488, 515, 560, 700, 800, 850), np.interp((488, 515, 560, 700, 800, 850), z,
               x) + side * np.array((0, 0, 2, 8, 20, 34)), (6, 2, -4, -6, 0, 4), (40, 36, 17, 14, 15, 20),
               (30, 27, 16, 14, 15, 19), wall=5, hollow=(555, 810))
        b.bone((85, 100, 200, 350, 440, 476), np.interp((85, 100, 200, 350, 440, 476), z, x) - side * 5,
               (0, -4, -10, -14, -4, 2), (22, 18, 12, 14, 28, 38), (18, 16, 12, 14, 22, 27), wall=5, hollow=(130, 380))
        b.bone((70, 100, 300, 460), np.interp((70, 100, 300, 460), z, x) + side * np.array((24, 22, 26, 34)),
               (8, 10, 14, 16), (9, 7, 6, 9), (9, 7, 6, 9), wall=3)
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
    b.bone((8, 20, 120, 240, 258), (14, 14, 15, 10, 10), (-2, -2, -4, -6, -6), (16, 13, 8, 9, 12), (12, 11, 8, 9, 12),
           wall=3)
    b.bone((8, 20, 120, 240, 275), (-16, -15, -12, -8, -4), (2, 2, 8, 12, 18), (7, 7, 8, 12, 12), (7, 7, 8, 14, 10),
           wall=3)
    b.bone((256, 275, 320, 450, 560, 590), 0, (-4, -2, 0, 2, 2, 0), (30, 24, 13, 12, 20, 24), (12, 11, 12, 12, 20, 24),
           wall=4, hollow=(310, 530))
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
    _add_walls(b, fat, female)
    _add_thorax(b, pathology)
    _add_abdomen(b, _draw_lesions(rng) if "lesions" in pathology else ())
    _add_pelvis(b, female)
    _add_head(b, age)
    _add_spine(b)
    arm = Builder(rng, "arm")
    _add_arm(arm, fat)
    return tuple(sorted(b.tubes + arm.tubes, key=lambda t: t.depth))
