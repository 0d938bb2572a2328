"""Phantom of Brain Tumor MRI: single slices through heads with a glioma, a meningioma, a pituitary tumour or none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from tlkit.phantoms import anatomy, brain, mr
from tlkit.phantoms.anatomy import WHOLE, Body, Slab, Tissue, View
from tlkit.phantoms.brain import Matter
from tlkit.phantoms.streams import stream
from tlkit.phantoms.tubes import Builder, Tube
from tlkit.progress import track

Place = tuple[float, float, float]  # x, y, z in mm of the standard body
FOLDERS = {"Training": "Tr", "Testing": "Te"}
SEQUENCES = {"t1ce": 0.85, "t1": 0.05, "t2": 0.05, "flair": 0.05}  # shares, the same in every class
PLANES = {"axial": 0.76, "coronal": 0.12, "sagittal": 0.12}
AXES = {"axial": 0, "coronal": 1, "sagittal": 2}  # across the slices, in a volume [Z, P, P]
SELLA = (0.0, -22.0, 1606.0)  # mm
NECK = 1450.0  # mm; what ends below is not sampled
APART, HALF = 4.0, 12.0  # mm between axial slices, and to both sides of the wanted slice
# T1, T2 in ms, density, T1 with contrast agent; masses outside of the brain are even and take up much.
TISSUES = {"meningioma": (1080, 100, 0.86, 370), "pituitary": (1120, 105, 0.86, 450)}
SEEN = [Matter.SOLID, Matter.NECROSIS, Matter.ENHANCING]


def glioma_place(body: Body, rng: np.random.Generator) -> tuple[Place, None]:
    """Somewhere in the cerebrum; the mass is left to `brain.sample`."""
    return (float(rng.choice([-1, 1])) * rng.uniform(14, 46), rng.uniform(-55, 42), rng.uniform(1634, 1704)), None


def meningioma(body: Body, rng: np.random.Generator) -> tuple[Place, tuple[Tube, ...]]:
    """Broad on the skull's inner side, or (three in ten) beside the falx; it pushes the cortex away."""
    skull = next(t for t in body.tubes if t.space == "skull")
    size = float(np.clip(rng.lognormal(2.95, 0.22), 12, 28))
    side, z = float(rng.choice([-1, 1])), rng.uniform(1622, 1718)
    if rng.random() < 0.3:
        place = (side * 0.65 * size, rng.uniform(-58, 48), max(z, 1690.0))
    else:
        x, y, a, b = (float(np.interp(z, skull.z, v)) for v in (skull.x, skull.y, skull.a, skull.b))
        angle = rng.uniform(-1.25, 1.4)  # 0 is the side, negative to the front
        place = (x + side * (a - 0.45 * size) * np.cos(angle), y + (b - 0.45 * size) * np.sin(angle), z)
    radii = size * rng.uniform(0.85, 1.15, 3)
    return place, _ball(rng, place, (Matter.FISSURE, radii + 2.5), (Matter.CSF, radii + 1.3), (Matter.ENHANCING, radii))


def pituitary(body: Body, rng: np.random.Generator) -> tuple[Place, tuple[Tube, ...]]:
    """Round, in the midline, rising from the sella at the base of the brain."""
    size = float(np.clip(rng.lognormal(2.55, 0.25), 8, 20))
    place = (SELLA[0] + rng.normal(0, 1.5), SELLA[1], SELLA[2] + 0.55 * size)
    radii = size * rng.uniform((0.9, 0.85, 0.95), (1.15, 1.05, 1.3))
    return place, _ball(rng, place, (Matter.FISSURE, radii + 2.0), (Matter.ENHANCING, radii))


def none(body: Body, rng: np.random.Generator) -> tuple[Place, tuple[Tube, ...]]:
    """A slice where a tumour of one of the three kinds might have been, so that the place does not tell the class."""
    drawn = (glioma_place, meningioma, pituitary)[rng.choice(3, p=(0.6, 0.3, 0.1))]
    return drawn(body, rng)[0], ()


KINDS: dict[str, Callable] = {"glioma": glioma_place, "meningioma": meningioma, "notumor": none, "pituitary": pituitary}


def _ball(rng: np.random.Generator, place: Place, *shells: tuple[Matter, np.ndarray]) -> tuple[Tube, ...]:
    b = Builder(rng)
    for matter, radii in shells:
        b.ball(matter, place, radii, shift=0.0, grow=0.0, within="skull", rough=0.05)
    return tuple(b.tubes)


def picture(kind: str, pixels: int, rng: np.random.Generator) -> np.ndarray:
    """Return uint8 [P, P]: one slice of a new random head with a tumour of a kind of KINDS, front or top up.

    Plane and sequence are drawn alike for all kinds. The patient's left is on the right of axial and coronal slices.
    """
    body = anatomy.random_body(rng, lesion_share=0.0)
    body = replace(body, tubes=tuple(t for t in body.tubes if t.part == "body" and t.z[-1] > NECK))
    place, masses = KINDS[kind](body, rng)
    plane = str(rng.choice(list(PLANES), p=list(PLANES.values())))
    view, slab = _slab(body, place, plane, pixels, rng)
    if masses is not None and kind != "pituitary":  # a healthy gland takes up contrast agent, too
        masses = (*_ball(rng, SELLA, (Matter.PLEXUS, np.array([6.5, 4.5, 4.0]))), *masses)
    made = brain.sample(body, view, rng, masses, slab)
    axis = AXES[plane]
    area = np.isin(made.scene.labels(), SEEN).sum(tuple(k for k in range(3) if k != axis))
    at = rng.choice(np.flatnonzero(area >= 0.6 * area.max())) if kind != "notumor" else len(area) // 2
    volume = _signal(body, made, view, slab, kind, str(rng.choice(list(SEQUENCES), p=list(SEQUENCES.values()))), rng)
    apart = APART if plane == "axial" else view.fov / pixels
    image = ndimage.gaussian_filter1d(volume, 2.0 / apart, axis=axis).take(at, axis=axis)
    return _scanned(image if plane == "axial" else image[::-1], rng)


def _slab(body: Body, place: Place, plane: str, pixels: int, rng: np.random.Generator) -> tuple[View, Slab]:
    """Return the view of a head and the thin slab of it round a place, across one plane."""
    size = body.height / anatomy.STANDARD_HEIGHT
    x, y, z = place[0] * body.width, place[1] * body.width, place[2] * size
    fov, centre = rng.uniform(208, 230) * max(body.width, 0.95), (rng.normal(0, 3), rng.normal(-4, 3))
    turn, tilt = rng.normal(0, 0.04, 2)
    if plane == "axial":
        heights = z + np.arange(-HALF, HALF + 1, APART)
        return View(heights, centre, fov, pixels, turn, tilt), WHOLE
    mm = fov / pixels
    heights = 1758 * size - rng.uniform(0, 8) - mm * (pixels - 0.5 - np.arange(pixels))
    middle = int(((y - centre[1] if plane == "coronal" else x - centre[0]) / fov + 0.5) * pixels)
    reach = max(2, round(HALF / mm))
    thin = slice(max(middle - reach, 0), min(middle + reach + 1, pixels))
    slab = (slice(None), thin, slice(None)) if plane == "coronal" else (slice(None), slice(None), thin)
    return View(heights, centre, fov, pixels, turn, tilt), slab


def _signal(
    body: Body, made: brain.Brain, view: View, slab: Slab, kind: str, name: str, rng: np.random.Generator
) -> np.ndarray:
    """Return the signal of every voxel of the slab; white matter is 1. Head and brain lie in one scanner."""
    sequence, values = mr.SEQUENCES[name], mr.tissues(rng)
    if kind in TISSUES:
        values[Matter.ENHANCING] = np.array(TISSUES[kind]) * np.exp(rng.normal(0, 0.15, 4))
    column = 3 if sequence.contrast else 0
    inner = mr.signal(values[:, column], values[:, 1], values[:, 2], sequence)
    inner[Matter.AIR] = inner[Matter.CSF]  # what is left inside the skull
    levels = mr.body_levels(sequence, rng).astype(np.float32)
    out = anatomy.sample(body, view, slab).render(levels)
    within, base = made.scene.render(inner.astype(np.float32)), _base(made, view)
    floor = levels[Tissue.MUSCLE] + (levels[Tissue.MARROW] - levels[Tissue.MUSCLE]) * np.clip(made.scene.coarse, 0, 1)
    out += made.room * (within + base * (floor - within) - out)
    return out * (1 + 0.03 * made.scene.fine) / np.float32(inner[Matter.WHITE])


def _base(made: brain.Brain, view: View) -> np.ndarray:
    """Return the share (0-1) of each voxel that is skull base: inside the standard skull, but 6 mm from the brain."""
    mm = np.array([view.z[1] - view.z[0], view.fov / view.pixels, view.fov / view.pixels])
    empty = ndimage.distance_transform_edt(made.scene.labels() == Matter.AIR, sampling=mm)
    return np.clip((empty - 6) / mm[1] + 0.5, 0, 1).astype(np.float32)


def _scanned(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the slice as the scanner shows it, uint8: blur, uneven coils, Rician noise, and a window of its own."""
    import cv2

    image = ndimage.gaussian_filter(image, 0.4)
    image *= np.exp(cv2.resize(rng.normal(0, 0.12, (3, 3)), image.shape, interpolation=cv2.INTER_CUBIC))
    noise = rng.uniform(0.02, 0.05) * rng.standard_normal((2, *image.shape))
    image = np.hypot(image + noise[0], noise[1])
    top = np.percentile(image, 99) * rng.uniform(0.75, 1.15)
    return np.clip(np.rint(255 * image / top), 0, 255).astype(np.uint8)


def write(root: Path, seed: int, train: int = 40, test: int = 12, pixels: int = 96, copies: float = 0.0) -> None:
    """Write `Training/<class>/Tr-<cl>_NNNN.jpg` and `Testing/<class>/Te-<cl>_NNNN.jpg`, N from 10, 8 bits, grey.

    `train` and `test` images a class, each of a patient of its own (of the real images many share one). The mix of
    sequences is the same in all classes; in the real set the healthy have others than the sick. `copies`: share of the
    test images, 0 to 1, that are files of training images of their class, as in the real set (there 0.64).
    """
    from PIL import Image

    counts = {"Training": train, "Testing": test}
    todo = [(part, kind, k) for part, n in counts.items() for kind in KINDS for k in range(n)]
    for part in counts:
        for kind in KINDS:
            (root / part / kind).mkdir(parents=True)
    for part, kind, k in track(todo, len(todo), "phantom brain tumour", "image"):
        source = "Training" if part == "Testing" and k < min(round(copies * test), train) else part
        image = picture(kind, pixels, stream(seed, f"brain tumour {source} {kind}", k))
        file = root / part / kind / f"{FOLDERS[part]}-{kind[:2]}_{k + 10:04d}.jpg"
        Image.fromarray(image).save(file, quality=92)
