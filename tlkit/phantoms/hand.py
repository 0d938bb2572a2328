"""Hand and wrist radiographs: the bones of a hand and its soft tissue, projected along parallel rays.

Thickness is added up in mm on a film finer than the picture, then averaged; a detector and its processing follow as
in `xray`. How it is taken says nothing about the bones: pose, dose and processing are drawn apart from them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from tlkit.phantoms import xray
from tlkit.phantoms.handbones import RADII, Hand, bones, segments

BONE, SOFT, PLASTER = 0.062, 0.021, 0.022  # attenuation in 1/mm of what a 55 kVp beam meets
FINE = 128  # pixels that the film has at least


@dataclass(frozen=True)
class Shot:
    """How a hand is taken: exposure, roll about the forearm (0 from the back, 1.57 from the side), side, letter."""

    exposure: xray.Exposure
    roll: float
    right: bool
    marker: str


def whole_hand(rng: np.random.Generator, hand: Hand) -> Shot:
    """Return a shot of a whole left hand from the back, as for bone age; small hands fill less of the picture."""
    centre = (rng.normal(3, 5) * hand.scale, rng.uniform(72, 82) * hand.scale)
    return _shot(rng, 235 * hand.scale**0.6 * rng.uniform(0.95, 1.08), centre, 0.06, rng.normal(0, 0.1), "L")


def wrist(rng: np.random.Generator, hand: Hand, side: str, projection: int) -> Shot:
    """Return a shot of a wrist: `side` "L" or "R"; `projection` 1 from the back, 2 from the side."""
    centre = (rng.normal(0, 5), rng.uniform(-12, 8) * hand.scale)
    roll = rng.normal(1.45, 0.1) if projection == 2 else rng.normal(0, 0.12)
    return _shot(rng, 125 * hand.scale**0.6 * rng.uniform(0.9, 1.15), centre, 0.12, roll, side)


def _shot(rng: np.random.Generator, fov: float, centre: tuple, lean: float, roll: float, side: str) -> Shot:
    exposure = replace(
        xray.random_exposure(rng, "PA"),
        fov=float(fov),
        centre=(float(centre[0]), float(centre[1])),
        turn=float(rng.normal(0, lean)),
        photons=float(np.exp(rng.uniform(np.log(2e3), np.log(3e4)))),
        scatter=float(rng.uniform(0.03, 0.2)),
    )
    return Shot(exposure, float(roll), side == "R", side if rng.random() < 0.8 else "")


class Film:
    """A field of view in pixels of a hand's own mm, on which round pieces are projected."""

    def __init__(self, hand: Hand, shot: Shot, pixels: int):
        self.hand, self.shot, self.pixels = hand, shot, pixels
        self.mm = shot.exposure.fov / pixels / hand.scale  # mm of a grown hand in one pixel

    def place(self, points: np.ndarray) -> np.ndarray:
        """Return (column, row) [N,2] in pixels of points [N,3] in mm of a grown hand."""
        x, y, z = np.asarray(points, float).T
        shot, across_up = self.shot, np.array(self.shot.exposure.centre) / self.hand.scale
        x = x * np.cos(shot.roll) + z * np.sin(shot.roll) - across_up[0]
        y = y - across_up[1]
        c, s = np.cos(shot.exposure.turn), np.sin(shot.exposure.turn)
        x, y = c * x + s * y, c * y - s * x
        x = -x if shot.right else x
        return np.stack((self.pixels / 2 + x / self.mm, self.pixels / 2 - y / self.mm), 1)

    def around(
        self, a: np.ndarray, b: np.ndarray, reach: float
    ) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray, float] | None:
        """Return (slices, position along from 0 to 1, distance across in mm, length in mm) near a line; None outside.

        The line goes from `a` to `b` in pixels; what is nearer than `reach` mm is in the slices.
        """
        x0, y0 = np.maximum(np.floor(np.minimum(a, b) - reach / self.mm).astype(int), 0)
        x1, y1 = np.minimum(np.ceil(np.maximum(a, b) + reach / self.mm).astype(int) + 1, self.pixels)
        if x0 >= x1 or y0 >= y1:
            return None
        rows = np.arange(y0, y1, dtype=np.float32)[:, None] + np.float32(0.5 - a[1])
        columns = np.arange(x0, x1, dtype=np.float32)[None] + np.float32(0.5 - a[0])
        length = max(float(np.hypot(*(b - a))), 1e-3)
        way = ((b - a) / length).astype(np.float32)
        along = (columns * way[0] + rows * way[1]) / np.float32(length)
        across = np.abs(columns * way[1] - rows * way[0]) * np.float32(self.mm)
        return (slice(y0, y1), slice(x0, x1)), along, across, length * self.mm


def bone(film: Film, rng: np.random.Generator) -> np.ndarray:
    """Return the bone [P,P] in mm of compact bone: walls whole, what is inside by its share, with grain."""
    grain = rng.standard_normal((film.pixels, film.pixels), np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), max(0.7 / film.mm, 0.5))
    grain = 1 + np.float32(0.3 / grain.std()) * grain
    out = np.zeros((film.pixels, film.pixels), np.float32)
    pieces = bones(film.hand)
    starts, ends = (film.place([getattr(piece, end) for piece in pieces]) for end in ("start", "end"))
    for piece, a, b in zip(pieces, starts, ends, strict=True):
        found = film.around(a, b, max(piece.radii) + 1)
        if found is None:
            continue
        where, u, v, length = found
        first, middle, last = piece.radii
        side = np.abs(2 * u - 1)
        flare = np.where(u < 0.5, first, last)
        if first == 0:  # a ball: its half width is that of an ellipse
            radius = middle * np.sqrt(np.maximum(1 - side**2, 0))
        else:
            cap = np.clip((np.minimum(u, 1 - u) * length + 0.3) / (0.35 * np.maximum(flare, 1e-3)), 0, 1)
            radius = (middle + (flare - middle) * side**3) * np.sqrt(1 - (1 - cap) ** 2)
        wall = film.hand.cortex * (0.6 + (piece.wall - 0.6) * np.maximum(1 - side**2, 0))
        outer = _chord(radius, v)
        inner = _chord(np.maximum(radius - wall, 0), v)
        share = film.hand.spongy * (0.35 + 0.65 * side**2 if first else 1.0)
        out[where] += piece.opacity * (outer - inner + inner * share * grain[where])
    return out * np.float32(film.hand.scale)


def soft(film: Film, more: float = 0.0) -> np.ndarray:
    """Return soft tissue [P,P] in mm: fingers, palm and forearm as one; `more` mm on all sides, and no fingers."""
    hand = film.hand
    fat = hand.fat + more
    rods = [(np.array((-4, 12, 0)), np.array((-4, -190, 0)), 22 + fat, 31 + fat, 0.8)]
    for digit in range(5):
        (base, head), *phalanges = segments(hand, digit)
        rods.append((np.array((-2 + 0.3 * base[0], 0, 0)), head, 15 + fat, 12.5 + fat, 1.0))
        reach = 7.6 if digit else 8.6
        for k, (start, end) in enumerate(phalanges[: 0 if more else None], 1):
            tip = end + (end - start) * (0.2 if k == len(phalanges) else 0.08)
            radius = 0.5 * (reach * (1 + RADII[k] / RADII[1]) + fat)
            rods.append((start - (end - start) * 0.15, tip, radius, radius * 0.94, 1.0))
    out = np.zeros((film.pixels, film.pixels), np.float32)
    starts, ends = (film.place([rod[k] for rod in rods]) for k in (0, 1))
    for a, b, (_, _, first, last, depth) in zip(starts, ends, rods, strict=True):
        found = film.around(a, b, max(first, last) + 1)
        if found is None:
            continue
        where, u, v, length = found
        inside = np.clip(u, 0, 1)
        radius = first + (last - first) * inside
        beyond = np.abs(u - inside) * length
        out[where] = np.maximum(out[where], depth * _chord(radius, np.hypot(v, beyond)))
    return cv2.GaussianBlur(out, (0, 0), max(2.2 / film.mm, 0.3)) * np.float32(hand.scale)


def _chord(radius: np.ndarray, across: np.ndarray) -> np.ndarray:
    return 2 * np.sqrt(np.maximum(radius**2 - across**2, 0))


def image(hand: Hand, shot: Shot, pixels: int, rng: np.random.Generator, cast: bool = False) -> np.ndarray:
    """Return a radiograph [P,P], float32 from 0 (air) to 1, bone bright. Randomness: grain, noise, processing."""
    film = Film(hand, shot, pixels * -(-FINE // pixels))
    integral = BONE * bone(film, rng) + SOFT * soft(film)
    if cast:
        integral += PLASTER * _plaster(film, rng)
    integral = cv2.resize(integral, (pixels, pixels), interpolation=cv2.INTER_AREA)
    return _letter(develop(xray.expose(integral, shot.exposure, rng), shot.exposure), shot, rng)


def _plaster(film: Film, rng: np.random.Generator) -> np.ndarray:
    """Return the mm of plaster around forearm and palm, in layers of changing thickness."""
    shell = np.maximum(soft(film, 7.0) - soft(film, 1.5), 0)
    cells = rng.normal(1, 0.3, (12, 12)).astype(np.float32)
    return shell * cv2.resize(cells, shell.shape, interpolation=cv2.INTER_CUBIC)


def develop(reading: np.ndarray, exposure: xray.Exposure) -> np.ndarray:
    """Return the reading as brightness from 0 to 1: edges sharpened, air black, the densest bone white."""
    smooth = cv2.GaussianBlur(reading, (0, 0), max(len(reading) / 40, 1))
    sharp = reading + exposure.sharpen * (reading - smooth)
    inside = sharp[smooth > 0.3 * smooth.max()]
    low, high = np.percentile(sharp, 2), np.percentile(inside, 99.7)
    return np.clip((sharp - low) / max(high - low, 1e-3), 0, 1) ** np.float32(exposure.gamma)


def _letter(picture: np.ndarray, shot: Shot, rng: np.random.Generator) -> np.ndarray:
    """Set the letter of lead into a corner."""
    n = len(picture)
    x, y = rng.uniform(0.04, 0.12) * n, rng.uniform(0.12, 0.3) * n
    if shot.marker:
        mask = np.zeros((n, n), np.uint8)
        at = (round(x), round(y))
        cv2.putText(mask, shot.marker, at, cv2.FONT_HERSHEY_SIMPLEX, n / 300, 255, max(n // 80, 1), cv2.LINE_AA)
        picture = np.maximum(picture, mask.astype(np.float32) / 255)
    return picture.astype(np.float32)
