"""One random body, the scans that may be taken of it, and its sampling on their slices; no modality in here.

`organs` says what a body is made of; `ct` turns a sampled scene into Hounsfield units.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from scipy import ndimage

from tlkit.phantoms import organs
from tlkit.phantoms.tubes import Tissue, Tube

STANDARD_HEIGHT = 1750.0
MARGIN = 14.0  # mm that warps and rough surfaces may push a structure out of its ellipse
FINE = 2.1  # the fine grain is the same noise at this multiple of its frequency
Slab = tuple[slice, slice, slice]  # slices, rows and columns of a volume
WHOLE: Slab = (slice(None),) * 3


@dataclass(frozen=True)
class Body:
    """One patient: what a header or a label may know, and the tubes that every modality images."""

    sex: str
    age: int
    height: float
    width: float
    fat: float
    pathology: tuple[str, ...]
    tubes: tuple[Tube, ...] = field(repr=False)
    grain: np.ndarray = field(repr=False)  # periodic smooth noise, mean 0, variance 1
    phases: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class View:
    """Where slices are laid: heights z (mm above the feet), centre and field of view (mm), pose (radians)."""

    z: np.ndarray
    centre: tuple[float, float]
    fov: float
    pixels: int
    turn: float = 0.0
    tilt: float = 0.0
    part: str = "body"
    name: str = ""


@dataclass(frozen=True)
class Layer:
    """One painted structure: its tissue, its box in the volume, and its soft share of each voxel there."""

    tissue: int
    box: Slab
    alpha: np.ndarray
    opacity: float


@dataclass(frozen=True)
class Scene:
    """A sampled view: layers to be painted in order, and the body's noise at every voxel."""

    view: View
    layers: tuple[Layer, ...]
    coarse: np.ndarray
    fine: np.ndarray

    def render(self, values: np.ndarray) -> np.ndarray:
        """Return float32 [Z, P, P]: `values[tissue]` mixed by the soft layers; any modality starts here."""
        out = np.full(self.coarse.shape, values[Tissue.AIR], np.float32)
        for layer in self.layers:
            target = out[layer.box]
            change = np.float32(values[layer.tissue]) - target
            change *= layer.alpha
            target += np.float32(layer.opacity) * change
        return out

    def labels(self) -> np.ndarray:
        """Return uint8 [Z, P, P]: the tissue that holds more than half of each voxel."""
        out = np.zeros(self.coarse.shape, np.uint8)
        for layer in self.layers:
            out[layer.box][layer.alpha > 0.5] = layer.tissue
        return out


def random_body(rng: np.random.Generator, lesion_share: float = 0.25) -> Body:
    """Draw one patient: sex, age (18-92), height (mm), fat, pathology, and every structure of the body.

    `lesion_share` is the probability of liver lesions. All randomness comes from `rng`.
    """
    female = bool(rng.random() < 0.48)
    age = int(np.clip(rng.normal(60, 16), 18, 92))
    height = float(rng.normal(1650 if female else 1770, 65))
    fat = float(np.clip(rng.lognormal(2.9, 0.5), 6, 60))
    drawn = {"lesions": lesion_share, "effusion": 0.12}
    pathology = tuple(k for k, p in drawn.items() if rng.random() < p)
    tubes = organs.build_body(rng, female, age, fat, pathology)
    grain = ndimage.gaussian_filter(rng.standard_normal((24, 32, 32)), 1.3, mode="wrap")
    grain = ((grain - grain.mean()) / grain.std()).astype(np.float32)
    width = float(np.clip(rng.normal(0.95 if female else 1.0, 0.04), 0.85, 1.12))
    sex, phases = "F" if female else "M", rng.uniform(0, 2 * np.pi, 4)
    return Body(sex, age, height, width, fat, pathology, tubes, grain, phases)


# --- sampling ---

# What a pattern lets through, from the local coordinates (u, v, z) and the noise f; positive is inside.
PATTERNS = {
    "blobs": lambda u, v, z, f, level: f - level,  # of the coarse noise
    "specks": lambda u, v, z, f, level: f - level,  # of the fine noise
    "line": lambda u, v, z, f, level: level - np.abs(f),
    "ribs": lambda u, v, z, f, level: np.cos((z - 48.0 * v) * np.float32(2 * np.pi / 27.0)) - level,
    "levels": lambda u, v, z, f, level: np.cos(z * np.float32(2 * np.pi / 31.0)) - level + 0 * v,
    "front": lambda u, v, z, f, level: 0.35 - v,
}


def _noise(body: Body, x: np.ndarray, y: np.ndarray, z: np.ndarray, scale: float) -> np.ndarray:
    """Look up the body's periodic noise, 8 mm a cell at scale 1: linear in all three axes, by slice."""
    layers, rows, cols = body.grain.shape
    tile = np.pad(body.grain, ((0, 1), (0, 1), (0, 1)), mode="wrap")
    out, step = np.empty(x.shape, np.float32), np.float32(scale / 8.0)
    u, v = x * step, y * step
    u -= cols * np.floor(u * np.float32(1 / cols))
    v -= rows * np.floor(v * np.float32(1 / rows))
    for i, height in enumerate(z * scale / 8.0 % layers):
        low, t = int(height), height - int(height)
        level = cv2.addWeighted(tile[low], 1 - t, tile[low + 1], t, 0)
        cv2.remap(level, u[i], v[i], cv2.INTER_LINEAR, dst=out[i], borderMode=cv2.BORDER_REPLICATE)
    return out


def _grid(body: Body, view: View) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return body coordinates x, y [Z, P, P] and z [Z, P, 1] of the voxel centres, smoothly warped.

    z is [Z, 1, 1] where the slices are not tilted.
    """
    line = ((np.arange(view.pixels, dtype=np.float32) + 0.5) / view.pixels - 0.5) * np.float32(view.fov)
    cos, sin = np.float32(np.cos(view.turn)), np.float32(np.sin(view.turn))
    x = (cos * line[None, :] - sin * line[:, None] + np.float32(view.centre[0])) / np.float32(body.width)
    y = (sin * line[None, :] + cos * line[:, None] + np.float32(view.centre[1])) / np.float32(body.width)
    height = np.asarray(view.z, np.float32)[:, None, None]
    if view.tilt:
        height = height + line[None, :, None] * np.float32(np.tan(view.tilt))
    z = height * np.float32(STANDARD_HEIGHT / body.height)
    p, zz = body.phases.astype(np.float32), z[:, :1]
    dx = 4.0 * np.sin(y[None] / 60 + zz / 90 + p[0]) + 2.0 * np.sin(x[None] / 35 - zz / 50 + p[1])
    dy = 4.0 * np.sin(x[None] / 70 - zz / 80 + p[2]) + 2.0 * np.sin(y[None] / 30 + zz / 60 + p[3])
    return x + dx, y + dy, z


def _box(tube: Tube, low: np.ndarray, high: np.ndarray, body: Body, view: View, slab: Slab) -> Slab | None:
    """Return the part of a slab that a tube can touch, or None; `low`, `high` [Z] are the ends of each slice."""
    hit = np.flatnonzero((high >= tube.z[0]) & (low <= tube.z[-1]))
    if not len(hit):
        return None
    lo, hi = float(low[hit].min()), float(high[hit].max())
    at = np.concatenate([(lo, hi), tube.z[(tube.z >= lo) & (tube.z <= hi)]])
    x, y, a, b = (np.interp(at, tube.z, v) for v in (tube.x, tube.y, tube.a, tube.b))
    if tube.turn:
        a = b = np.maximum(a, b)
    margin = MARGIN + np.maximum(a, b) * 2.5 * tube.rough
    xs = [v * body.width - view.centre[0] for v in ((x - a - margin).min(), (x + a + margin).max())]
    ys = [v * body.width - view.centre[1] for v in ((y - b - margin).min(), (y + b + margin).max())]
    cos, sin = np.cos(view.turn), np.sin(view.turn)
    edges = [(int(hit[0]), int(hit[-1]) + 1)]
    for ends in ([cos * v - sin * u for u in xs for v in ys], [cos * u + sin * v for u in xs for v in ys]):
        first, last = ((end / view.fov + 0.5) * view.pixels for end in (min(ends), max(ends)))
        edges.append((int(first), int(last) + 2))
    box = tuple(slice(max(a, s.start), min(b, s.stop)) for (a, b), s in zip(edges, slab, strict=True))
    return box if all(side.start < side.stop for side in box) else None


def _alpha(tube: Tube, x: np.ndarray, y: np.ndarray, z: np.ndarray, coarse, fine, pixel: float) -> np.ndarray:
    """Return the soft share (0-1) of a tube in each voxel: one pixel of transition at its surface."""
    at = z.ravel()
    centre = [np.interp(at, tube.z, v) for v in (tube.x, tube.y)]
    axes = [np.interp(at, tube.z, v, left=0, right=0) for v in (tube.a, tube.b)]  # nothing beyond its ends
    cx, cy, a, b = (p.astype(np.float32).reshape(z.shape) for p in (*centre, *axes))
    u, v = x - cx, y - cy
    if tube.turn:
        cos, sin = np.float32(np.cos(tube.turn)), np.float32(np.sin(tube.turn))
        u, v = cos * u + sin * v, cos * v - sin * u
    u /= np.maximum(a, 1e-3)
    v /= np.maximum(b, 1e-3)
    uu, vv = u * u, v * v
    r = uu + vv
    if tube.square:
        uu *= vv
        uu *= np.float32(tube.square**2)
        r -= np.minimum(uu, r * np.float32(0.5))
    np.sqrt(r, out=r)
    if tube.rough:
        r += np.float32(tube.rough) * coarse
    inside = 1.0 - r
    inside *= np.minimum(a, b)
    if tube.shell:
        half = np.float32(tube.shell / 2)
        inside = half - np.abs(inside - half)
    inside *= np.float32(1 / pixel)
    alpha = np.clip(inside + np.float32(0.5), 0, 1)
    alpha *= a > 0
    if tube.pattern:
        noise = coarse if tube.pattern == "blobs" else fine
        alpha *= np.clip(PATTERNS[tube.pattern](u, v, z, noise, np.float32(tube.level)) * 4 + 0.5, 0, 1)
    return alpha


def sample(body: Body, view: View, slab: Slab = WHOLE) -> Scene:
    """Lay the slices of `view` through `body` and return the soft tissue layers, in painting order.

    Given a `slab` of the volume, the scene has what lies in it; its `view` stays that of the whole.
    """
    x, y, z = _grid(body, view)
    low, high = z.min((1, 2)), z.max((1, 2))
    bottom, top = low.min(), high.max()
    middle = z[:, z.shape[1] // 2, 0]
    coarse, fine = _noise(body, x, y, middle, 0.5), _noise(body, x, y, middle, FINE * 0.5)
    pixel = view.fov / view.pixels / body.width
    slab = tuple(slice(*part.indices(n)) for part, n in zip(slab, x.shape, strict=True))
    spaces: dict[str, np.ndarray] = {}
    layers = []
    for tube in body.tubes:
        if tube.part != view.part or tube.z[0] > top or tube.z[-1] < bottom:
            continue
        if tube.within and tube.within not in spaces:
            continue
        box = _box(tube, low, high, body, view, slab)
        if box is None:
            continue
        heights = z[box[0], box[1] if view.tilt else slice(None)]
        alpha = _alpha(tube, x[box], y[box], heights, coarse[box], fine[box], pixel)
        if tube.within:
            alpha *= spaces[tube.within][box]
        if tube.space:
            space = spaces.setdefault(tube.space, np.zeros(x.shape, np.float32))
            np.maximum(space[box], alpha, out=space[box])
        here = tuple(slice(b.start - s.start, b.stop - s.start) for b, s in zip(box, slab, strict=True))
        layers.append(Layer(tube.tissue, here, alpha, tube.opacity))
    return Scene(view, tuple(layers), coarse[slab], fine[slab])


# --- regions ---


@dataclass(frozen=True)
class Region:
    """A scan range: lowest and highest slice (each drawn from a range), field of view, centre; in mm."""

    name: str
    low: tuple[float, float]
    high: tuple[float, float]
    fov: tuple[float, float]
    centre: tuple[float, float] = (0.0, 0.0)
    part: str = "body"
    tilt: float = 0.0
    spread: float = 8.0


REGIONS: dict[str, tuple[Region, ...]] = {
    "head": (
        Region("head", (1525, 1600), (1690, 1752), (205, 250), (0, -8), tilt=0.2, spread=4),
        Region("head", (1560, 1600), (1720, 1762), (205, 250), (0, -8), tilt=0.2, spread=4),
        Region("neck", (1455, 1500), (1580, 1640), (180, 240), (0, 0), spread=4),
    ),
    "thorax": (Region("thorax", (1150, 1240), (1420, 1475), (320, 410)),),
    "abdomen": (
        Region("abdomen", (1000, 1110), (1230, 1310), (315, 405)),
        Region("abdomen", (870, 960), (1230, 1290), (330, 420)),
    ),
    "extremities": (
        Region("knee", (400, 450), (520, 570), (140, 190), (84, 0), spread=4),
        Region("knee", (400, 450), (520, 570), (140, 190), (-84, 0), spread=4),
        Region("leg", (460, 560), (700, 800), (310, 360)),
        Region("leg", (150, 250), (340, 430), (250, 280)),
        Region("foot", (0, 40), (100, 200), (150, 210), (-72, -10), spread=4),
        Region("arm", (0, 120), (220, 330), (90, 120), part="arm", spread=3),
        Region("arm", (220, 300), (420, 590), (115, 150), part="arm", spread=3),
    ),
    "pelvis": (Region("pelvis", (790, 850), (960, 1060), (320, 410)),),
    "spine": (
        Region("spine", (1020, 1070), (1150, 1220), (150, 250), (0, 55)),
        Region("spine", (1200, 1270), (1330, 1420), (150, 250), (0, 62)),
        Region("spine", (1455, 1475), (1540, 1570), (130, 200), (0, 26)),
        Region("spine", (930, 1060), (1230, 1400), (240, 340), (0, 25)),
    ),
    "other": (
        Region("wholebody", (500, 850), (1560, 1735), (370, 440)),
        Region("wholebody", (850, 1000), (1420, 1475), (340, 420)),
    ),
    "liver": (Region("liver", (1040, 1120), (1280, 1330), (320, 410)),),
}


def random_view(body: Body, region: str, slices: int, pixels: int, rng: np.random.Generator) -> View:
    """Draw a scan of one region: range, field of view, centre, and pose all vary as in a clinic."""
    r = REGIONS[region][rng.integers(len(REGIONS[region]))]
    size = body.height / STANDARD_HEIGHT if r.part == "body" else 1.0
    z = np.linspace(rng.uniform(*r.low), rng.uniform(*r.high), slices) * size
    fat = 1.0 + max(body.fat - 20, 0) / 250
    fov = rng.uniform(*r.fov) * body.width * (fat if r.fov[1] > 260 else 1.0)
    centre = tuple(np.array(r.centre) * body.width + rng.normal(0, r.spread, 2))
    turn, tilt = rng.normal(0, 0.07), rng.uniform(-r.tilt, r.tilt)
    return View(z, centre, float(fov), pixels, turn, tilt, r.part, r.name)
