"""Phantom of LUNA16: chest CT with round solid nodules among vessels, in MetaImage, and annotations.csv."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from tlkit.phantoms import anatomy, ct
from tlkit.phantoms.anatomy import Layer, Scene, Tissue, View
from tlkit.phantoms.radnet import make_uid
from tlkit.phantoms.streams import stream
from tlkit.progress import track

HEADER = ("seriesuid", "coordX", "coordY", "coordZ", "diameter_mm")
WITHOUT = 287 / 888  # share of the real series that have no annotated nodule
SMALL, LARGE = 4.0, 25.0  # mm, of the diameters that are planted
FLIPS = (0.15, 0.15, 0.1)  # how often an axis is stored the other way round


def axes(view: View) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where the voxel centres of a view lie (mm): to the patient's left, to the back, to the head."""
    line = ((np.arange(view.pixels) + 0.5) / view.pixels - 0.5) * view.fov
    return line + view.centre[0], line + view.centre[1], view.z


def rod(view: View, ends: np.ndarray, radii: tuple[float, float], tissue: int, opacity: float = 1.0) -> Layer:
    """Return a straight piece of vessel between two points [2, (x, y, z)] mm, or a ball where they are one point."""
    centre, reach = ends.mean(0), np.abs(np.diff(ends, axis=0)[0]) / 2 + max(radii) + view.fov / view.pixels
    lines, box = [], []
    for line, c, r in zip(axes(view), centre, reach, strict=True):
        low, high = np.searchsorted(line, (c - r, c + r))
        lines.append(line[low:high])
        box.append(slice(int(low), int(high)))
    grid = np.stack(np.meshgrid(*lines, indexing="ij"), -1) - ends[0]
    along = ends[1] - ends[0]
    share = np.clip(grid @ along / max(along @ along, 1e-9), 0, 1)
    inside = radii[0] + share * (radii[1] - radii[0]) - np.linalg.norm(grid - share[..., None] * along, axis=-1)
    alpha = np.clip(inside * view.pixels / view.fov + 0.5, 0, 1).astype(np.float32)
    return Layer(tissue, tuple(box[::-1]), alpha.transpose(2, 1, 0), opacity)


def plant(scene: Scene, count: int, rng: np.random.Generator) -> tuple[Scene, list[tuple[np.ndarray, float]]]:
    """Return the scene with vessels and up to `count` nodules, and each one's centre [3] and diameter (mm).

    Nodules are balls of `SMALL` to `LARGE` mm, larger ones rarer, in the lung and apart from each other; they may
    touch vessels and press a little against the chest wall. A lung without room for one gets fewer.
    """
    view, lines = scene.view, axes(scene.view)
    layers = [layer for layer in scene.layers if layer.opacity == 1]  # rods take the place of thinly painted vessels
    air = replace(scene, layers=tuple(layers)).labels() == Tissue.LUNG
    steps = (float(view.z[1] - view.z[0]), *(2 * view.fov / view.pixels,) * 2)  # every second pixel is near enough
    depth = ndimage.distance_transform_edt(np.pad(air[:, ::2, ::2], 1), steps)[1:-1, 1:-1, 1:-1]

    def draw(deeper: float, tries: int) -> list[np.ndarray]:
        spots = np.argwhere(depth > deeper)
        spots = spots[rng.integers(len(spots), size=tries)] if len(spots) else spots
        return [np.array([lines[0][2 * i], lines[1][2 * j], lines[2][k]]) for k, j, i in spots]

    hub = np.array([np.sign(view.centre[0]) * 34, -2, view.z.mean()])
    for end in draw(0, int(rng.integers(24, 36))):
        ends, thick = np.array([hub + rng.normal(0, (4, 12, 12)), end]), rng.uniform(1.0, 4.0)
        vessel = rod(view, ends, (thick, rng.uniform(0.6, 1.2)), Tissue.BLOOD)
        layers.append(replace(vessel, alpha=vessel.alpha * air[vessel.box]))
    found: list[tuple[np.ndarray, float]] = []
    for diameter in np.clip(rng.lognormal(np.log(8), 0.55, count), SMALL, LARGE).tolist():
        apart = [(c, (diameter + d) / 2 + 4) for c, d in found]
        places = (p + rng.uniform(-0.5, 0.5, 3) for p in draw(0.45 * diameter, 20))
        centre = next((p for p in places if all(np.linalg.norm(p - c) > mm for c, mm in apart)), None)
        if centre is not None:
            ends, radius = np.array([centre, centre]), diameter / 2
            layers.append(rod(view, ends, (radius, radius), Tissue.MUSCLE, rng.uniform(0.8, 1)))
            found.append((centre, diameter))
    return replace(scene, layers=tuple(layers)), found


def _view(body: anatomy.Body, slices: tuple[int, int], pixels: int, rng: np.random.Generator) -> View:
    """Draw a stack of about 55 mm through one lung, in the resolution that real scans have at 192 pixels."""
    side, height = rng.choice((-1, 1)), body.height / anatomy.STANDARD_HEIGHT
    n = int(rng.integers(slices[0], slices[1] + 1))
    z = rng.uniform(1285, 1365) * height + np.arange(n) * rng.uniform(50, 60) / n
    centre = (side * 70 * body.width + rng.normal(0, 4), rng.normal(-4, 5))
    return View(z, centre, rng.uniform(155, 175) * body.width, pixels, rng.normal(0, 0.05))


def _save(file: Path, hu: np.ndarray, view: View, flips: np.ndarray) -> None:
    """Write int16 HU [Z, P, P] as .mhd and .raw, some axes backwards; header and annotations agree on every place."""
    import SimpleITK as sitk

    lines = axes(view)
    picture = sitk.GetImageFromArray(np.flip(hu, np.flatnonzero(flips[::-1])))
    picture.SetSpacing([float(line[1] - line[0]) for line in lines])
    picture.SetOrigin([float(line[-1] if flip else line[0]) for line, flip in zip(lines, flips, strict=True)])
    picture.SetDirection(np.diag(np.where(flips, -1.0, 1.0)).ravel().tolist())
    picture.SetMetaData("Comment", "tlkit PHANTOM")
    sitk.WriteImage(picture, str(file))


def write(root: Path, seed: int, series: int = 24, pixels: int = 192, slices: tuple[int, int] = (22, 28)) -> None:
    """Write phantom scans `subset<n>/<uid>.mhd` and `.raw` (int16 HU) and `annotations.csv`, exact to 0.1 µm.

    One lung each and about 55 mm high, as in a targeted reconstruction, so that a small file has the pixels of the
    real scans (about 0.8 mm at 192). One to four nodules; about a third has none. Some are stored with axes reversed.
    """
    rows = []
    for k in track(range(series), series, "phantom luna16", "series"):
        body = anatomy.random_body(stream(seed, "luna16 body", k), lesion_share=0.0)
        rng = stream(seed, "luna16 series", k)
        view = _view(body, slices, pixels, rng)
        count = 0 if rng.random() < WITHOUT else 1 + int(rng.binomial(3, 0.3))
        scene, nodules = plant(anatomy.sample(body, view), count, rng)
        protocol = replace(ct.random_protocol(rng, "thorax"), table=False, circle=False)  # neither is in view
        hu = ct.image(scene, protocol, rng)
        uid = make_uid("luna16", seed, k)
        folder = root / f"subset{k % 10}"
        folder.mkdir(exist_ok=True)
        _save(folder / f"{uid}.mhd", hu, view, rng.random(3) < FLIPS)
        rows += [(uid, *(f"{v:.4f}" for v in (*centre, diameter))) for centre, diameter in nodules]
    with (root / "annotations.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([HEADER, *sorted(rows)])
