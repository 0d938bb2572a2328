"""The brain of a phantom body in detail, with a glioma in it, as soft layers; `mr` makes images of them.

Structures are tubes as in `tubes` (same coordinates). The folds of the cortex and the tumour follow distances
within the sampled volume, so they are made after sampling.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from scipy import ndimage

from tlkit.phantoms import anatomy
from tlkit.phantoms.tubes import Builder, Tube

Matter = IntEnum(
    "Matter",
    "AIR CSF GREY WHITE NUCLEUS PLEXUS VESSEL STEM OEDEMA SOLID NECROSIS ENHANCING CEREBRUM CEREBELLUM FISSURE SKULL",
    start=0,
)
LABELS = {Matter.SOLID: 1, Matter.NECROSIS: 1, Matter.OEDEMA: 2, Matter.ENHANCING: 4}  # as BraTS writes them
BOTTOM, HEIGHT = 1584.0, 155.0  # mm of the standard body: below the cerebellum, from there to above the vertex
SULCUS = 3.1  # mm, width of the noise whose zeros are the sulci: they lie about 14 mm apart
DEEPEST = 15.0  # mm below the surface where sulci end
CORTEX = 2.9  # mm
CENTRE = (0.0, -5.0, 1664.0)  # mm, of the cerebrum


@dataclass(frozen=True)
class Brain:
    """A sampled brain: `scene` for rendering, `mask` bool [Z, P, P], `labels` uint8 [Z, P, P] of 0, 1, 2, 4.

    `room` float32 [Z, P, P] is the share (0-1) of each voxel that lies inside the skull.
    """

    scene: anatomy.Scene
    mask: np.ndarray
    labels: np.ndarray
    room: np.ndarray


def sample(
    body: anatomy.Body,
    view: anatomy.View,
    rng: np.random.Generator,
    masses: tuple[Tube, ...] | None = None,
    slab: anatomy.Slab | None = None,
) -> Brain:
    """Return the brain of `body` on the slices of `view`, with one glioma. All randomness comes from `rng`.

    Given `masses` (tubes of a Matter within the space "skull"; may be empty), these take the place of the glioma.
    Of a `slab` nothing else is made, so Z, P, P are its sides; the folds are others than in the whole.
    """
    body = replace(body, tubes=_tubes(body, rng) + (masses or ()))
    scene, middle, centre = anatomy.sample(body, view, slab or anatomy.WHOLE), view.pixels / 2, None
    if slab:
        middle, centre = middle - (slab[2].start or 0), _centre(body, view, slab)
    step = np.array([abs(view.z[1] - view.z[0]), *[view.fov / view.pixels] * 2], np.float32)
    parts = {m: _share(scene, m) for m in (Matter.CEREBRUM, Matter.CEREBELLUM, Matter.STEM, Matter.FISSURE)}
    grey, white = _cortex(parts, step, body.age, centre, rng)
    room = _share(scene, Matter.SKULL)
    mask = _stripped(np.maximum(grey, parts[Matter.STEM]) > 0.5, step) & (room > 0.5)
    deep = [layer for layer in scene.layers if layer.tissue < Matter.CEREBRUM]
    below, above = _tumour(grey, white, scene, deep, step, middle, rng) if masses is None else ([], [])
    everything = _layer(Matter.CSF, mask.astype(np.float32))
    layers = (everything, _layer(Matter.GREY, grey), _layer(Matter.WHITE, white), *below, *deep, *above)
    scene = replace(scene, layers=layers)
    table = np.zeros(len(Matter), np.uint8)
    table[list(LABELS)] = list(LABELS.values())
    return Brain(scene, mask, table[scene.labels()] * mask, room)


def view(body: anatomy.Body, slices: int, pixels: int, fov: float, rng: np.random.Generator) -> anatomy.View:
    """Return slices over the whole brain, near to straight and scaled to its size, as after registration."""
    size = body.height / anatomy.STANDARD_HEIGHT
    z = (BOTTOM + HEIGHT * (np.arange(slices) + 0.5) / slices) * size
    return anatomy.View(z, (0.0, -4.0), fov, pixels, float(rng.normal(0, 0.02)), float(rng.normal(0, 0.02)))


def _tubes(body: anatomy.Body, rng: np.random.Generator) -> tuple[Tube, ...]:
    """Return the structures inside this body's skull, in painting order."""
    skull = next(t for t in body.tubes if t.space == "skull")
    b = Builder(rng)
    calm = dict(shift=0.4, grow=0.02)
    inside = dict(within="skull", **calm)
    b.ball(Matter.CEREBRUM, (0, -5, 1674), (70, 88, 62), square=0.2, **inside)
    for side in (-1, 1):
        b.ball(Matter.CEREBRUM, (side * 40, -20, 1624), (26, 42, 26), **inside)
        b.ball(Matter.CEREBELLUM, (side * 21, 42, 1613), (33, 31, 25), **inside)
        b.ball(Matter.FISSURE, (side * 53, -14, 1650), (12, 3.5, 16), turn=side * 0.35, rough=0.25, **inside)  # Sylvian
        b.ball(Matter.FISSURE, (side * 43, -8, 1656), (1.6, 17, 12), turn=side * 0.15, rough=0.25, **inside)
    top = (1640, 1650, 1690, 1742)
    b.tube(Matter.FISSURE, top, 0, (-66, -62, -52, -40), 1.0, (28, 30, 42, 50), **inside)  # between the hemispheres
    b.tube(Matter.FISSURE, top, 0, (62, 66, 50, 34), 1.0, (24, 28, 44, 50), **inside)
    b.tube(Matter.FISSURE, (1692, 1742), 0, -4, 1.0, 90, **inside)
    b.ball(Matter.CSF, (0, -2, 1630), (16, 16, 9), rough=0.3, **inside)  # cisterns
    b.ball(Matter.CSF, (0, 22, 1642), (19, 8, 7), rough=0.3, **inside)
    stem = (1580, 1600, 1615, 1630, 1645, 1656)
    b.tube(Matter.STEM, stem, 0, (26, 17, 9, 7, 8, 8), (8, 11, 16, 15, 14, 12), (7, 10, 14, 12, 11, 9), **inside)
    _deep(b, body.age, inside)
    return (replace(skull, tissue=Matter.SKULL), *b.tubes)


def _deep(b: Builder, age: int, inside: dict) -> None:
    """Add commissure, basal ganglia, ventricles (wider with age), choroid plexus and vessels."""
    wide = b.rng.uniform(0.75, 1.15) * (1 + max(age - 50, 0) / 70)
    b.ball(Matter.WHITE, (0, -8, 1682), (24, 44, 11), **inside)
    for side in (-1, 1):
        b.ball(Matter.NUCLEUS, (side * 14, -27, 1666), (6.5, 11, 13), turn=-side * 0.3, **inside)  # caudate
        b.ball(Matter.NUCLEUS, (side * 26, -12, 1658), (6, 18, 13), turn=-side * 0.2, **inside)  # putamen
        b.ball(Matter.NUCLEUS, (side * 19, -8, 1656), (4.5, 10, 8), turn=-side * 0.35, opacity=0.5, **inside)
        b.ball(Matter.NUCLEUS, (side * 11, 10, 1662), (9, 15, 11), turn=-side * 0.3, opacity=0.85, **inside)
        b.ball(Matter.CSF, (side * 8, -31, 1672), (4.2 * wide, 14, 12 * wide), turn=side * 0.35, **inside)
        b.ball(Matter.CSF, (side * 11, -4, 1683), (5 * wide, 31, 9 * wide), turn=-side * 0.15, **inside)
        b.ball(Matter.CSF, (side * 21, 28, 1670), (6 * wide, 14, 14 * wide), turn=-side * 0.45, **inside)
        b.ball(Matter.CSF, (side * 26, 46, 1662), (3.5 * wide, 14, 6 * wide), **inside)
        b.ball(Matter.CSF, (side * 33, -2, 1638), (2.5 * wide, 15, 3 * wide), **inside)
        b.ball(Matter.PLEXUS, (side * 22, 29, 1670), (2.6, 6, 6), rough=0.3, **inside)
        b.ball(Matter.VESSEL, (side * 22, -32, 1643), (18, 1.8, 1.8), turn=side * 0.2, **inside)  # middle cerebral
    b.ball(Matter.CSF, (0, 0, 1658), (2.4 * wide, 13, 11), **inside)
    b.ball(Matter.CSF, (0, 29, 1613), (7, 6, 11), **inside)
    b.tube(Matter.VESSEL, (1590, 1632), 0, (2, -7), 1.9, 1.9, **inside)  # basilar
    b.tube(Matter.VESSEL, (1652, 1668), 0, (40, 34), 2.2, 4.0, **inside)  # great vein


def _share(scene: anatomy.Scene, matter: int) -> np.ndarray:
    """Return the share (0-1) of each voxel that the layers of one matter cover."""
    out = np.zeros(scene.coarse.shape, np.float32)
    for layer in scene.layers:
        if layer.tissue == matter:
            np.maximum(out[layer.box], layer.alpha, out=out[layer.box])
    return out


def _centre(body: anatomy.Body, view: anatomy.View, slab: anatomy.Slab) -> np.ndarray:
    """Return where the middle of the cerebrum lies, in voxels of the slab (also outside of it)."""
    plane = (np.array([CENTRE[1], CENTRE[0]]) * body.width - np.array(view.centre)[::-1]) / view.fov + 0.5
    height = CENTRE[2] * body.height / anatomy.STANDARD_HEIGHT - view.z[0]
    found = np.r_[height / (view.z[1] - view.z[0]), plane * view.pixels]
    return found - [part.start or 0 for part in slab]


def _layer(matter: int, alpha: np.ndarray) -> anatomy.Layer:
    return anatomy.Layer(matter, tuple(slice(0, n) for n in alpha.shape), alpha.astype(np.float32), 1.0)


def _soft(inside: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Return the share of a voxel within a surface that lies `inside` mm away: a transition of one voxel."""
    return np.clip(inside / step[1] + 0.5, 0, 1).astype(np.float32)


def _offsets(shape: tuple[int, ...], centre: np.ndarray, step: np.ndarray) -> list[np.ndarray]:
    """Return the distances in mm from `centre` (voxels) along z, y, x, each shaped to broadcast."""
    lines = [(np.arange(n, dtype=np.float32) - np.float32(c)) * s for n, c, s in zip(shape, centre, step, strict=True)]
    return list(np.meshgrid(*lines, indexing="ij", sparse=True))


def _noise(points: list[np.ndarray], width: float, rng: np.random.Generator, fitted: bool = False) -> np.ndarray:
    """Return smooth noise (mean 0, variance 1, Gaussian of `width` mm) at points within 100 mm of the origin.

    `fitted` draws it only where the points are: much faster for a slab, but not the noise of the whole.
    """
    cell, ends = width / 2, [(-100.0, 100.0)] * 3
    if fitted:
        ends = [(float(p.min()) - width, float(p.max()) + width) for p in points]
    sides = [int((high - low) / cell) for low, high in ends]
    lattice = ndimage.gaussian_filter(rng.standard_normal(sides, np.float32), 2.0)
    lattice /= lattice.std()
    at = [(p - low) / cell for p, (low, _) in zip(np.broadcast_arrays(*points), ends, strict=True)]
    return ndimage.map_coordinates(lattice, at, order=1, mode="mirror")


def _stripped(matter: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Return what is left when the skull is taken off: brain matter, and fluid that it encloses or nearly so."""
    reach = max(1, round(6 / float(step[1])))
    plane = ndimage.generate_binary_structure(2, 1)[None]  # each slice by itself
    padded = np.pad(matter, ((0, 0), (reach, reach), (reach, reach)))
    closed = ndimage.binary_closing(padded, plane, iterations=reach)[:, reach:-reach, reach:-reach]
    return ndimage.binary_fill_holes(closed, plane)


def _cortex(
    parts: dict, step: np.ndarray, age: int, centre: np.ndarray | None, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the shares of grey matter (painted first) and white matter of each voxel.

    Sulci are the zeros of a noise that changes along the surface and hardly with depth: sheets that run inwards.
    They run to `centre` (voxels), which a slab must be told; None: of the cerebrum that is seen.
    """
    whole = parts[Matter.CEREBRUM] > 0.5
    depth = ndimage.distance_transform_edt(whole & (parts[Matter.FISSURE] < 0.3), sampling=step) - step[1] / 2
    z, y, x = _offsets(whole.shape, np.array(ndimage.center_of_mass(whole)) if centre is None else centre, step)
    pull = 0.3 + 40 / np.sqrt(z**2 + y**2 + x**2 + 25)
    sulci = np.abs(_noise([z * pull, y * pull, x * pull], SULCUS, rng, centre is not None)) * SULCUS
    sulci -= 1.8 * np.exp(-np.maximum(depth, 0) / 3)  # wide at the surface
    apart = np.minimum(depth, sulci + 0.8 * np.maximum(depth - DEEPEST, 0))  # mm from the nearest surface
    open_ = 0.35 + 0.5 * max(age - 40, 0) / 50
    grey = _soft(apart - open_, step) * whole
    white = _soft(apart - open_ - CORTEX, step) * whole
    folia = parts[Matter.CEREBELLUM] > 0.5
    inner = ndimage.distance_transform_edt(folia, sampling=step)
    bent = np.sqrt((z + 56) ** 2 + (y - 32) ** 2 + 0.3 * x**2) + 1.5 * _noise([z, y, x], 6.0, rng, centre is not None)
    lines = 0.75 + 0.25 * np.cos(2 * np.pi * bent / 3.6)
    grey = np.maximum(grey, parts[Matter.CEREBELLUM] * np.where(step[1] < 2, lines, 0.8))
    return grey, np.maximum(white, _soft(inner - 11, step) * folia)


def _tumour(
    grey: np.ndarray,
    white: np.ndarray,
    scene: anatomy.Scene,
    deep: list,
    step: np.ndarray,
    middle: float,
    rng: np.random.Generator,
) -> tuple[list[anatomy.Layer], list[anatomy.Layer]]:
    """Return the layers of a glioma: oedema along the white matter, then the core, which is painted last.

    Four in five enhance: a rim of uneven width round necrosis. The others have a solid core that takes up nothing.
    `middle` is the column between the hemispheres.
    """
    free = white.copy()
    for layer in deep:
        free[layer.box] *= 1 - layer.alpha
    room = ndimage.distance_transform_edt(_share(scene, Matter.CEREBRUM) > 0.5, sampling=step)
    free *= np.minimum(room, 18.0)
    seats = np.argwhere(free > 0.7 * free.max())
    centre = seats[rng.integers(len(seats))]
    radius = float(np.clip(rng.lognormal(2.75, 0.35), 8, 28))
    reach, rim = radius + rng.uniform(6, 26), rng.uniform(3, 7)
    z, y, x = _offsets(white.shape, centre, step)
    bumps, patches = (_noise([z, y, x], width, rng) for width in (7.0, 5.0))
    apart = np.sqrt((z * rng.uniform(0.9, 1.2)) ** 2 + (y * rng.uniform(0.8, 1.2)) ** 2 + x**2) + 0.16 * radius * bumps
    side = np.sign(centre[2] - middle)
    across = _soft((np.arange(white.shape[2], dtype=np.float32) - middle) * side * step[2] + 4, step)  # not over there
    spread = (0.52 * grey + 0.48 * white) * _soft((reach + 5 * patches - apart) / 2, step) * across
    core = _soft(radius - apart, step)
    if rng.random() < 0.2:
        return [_layer(Matter.OEDEMA, spread)], [_layer(Matter.SOLID, core)]
    hollow = _soft(radius - rim * np.clip(1 + 0.6 * patches, 0.15, 2) - apart, step)
    return [_layer(Matter.OEDEMA, spread)], [_layer(Matter.ENHANCING, core), _layer(Matter.NECROSIS, hollow)]
