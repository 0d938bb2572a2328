"""Any region of a body as a radiograph, and with contrast medium in it: angiograms and fluoroscopy of the bowel."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from tlkit.phantoms import anatomy, xray
from tlkit.phantoms.anatomy import Body

FINE = 3  # contrast medium is drawn on a grid that is finer by so much


@dataclass(frozen=True)
class Region:
    """What a radiograph shows: height above the feet and distance from the middle, field of view; in mm."""

    height: float
    across: float
    fov: float
    part: str = "body"


REGIONS = {
    "head": Region(1635, 0, 250), "thorax": Region(1340, 0, 370), "abdomen": Region(1080, 0, 380),
    "pelvis": Region(900, 0, 390), "spine": Region(1110, 0, 270), "knee": Region(485, 84, 230),
    "leg": Region(650, 84, 380), "foot": Region(90, -72, 220), "arm": Region(300, 0, 260, "arm"),
    "hand": Region(10, 0, 190, "arm"),
}  # fmt: skip


def integral(body: Body, name: str, exposure: xray.Exposure, pixels: int, rng: np.random.Generator) -> np.ndarray:
    """Return the line integrals of attenuation [P,P] through a region of `REGIONS`, head up."""
    region = REGIONS[name]
    size = body.height / anatomy.STANDARD_HEIGHT if region.part == "body" else 1.0
    line = (np.arange(pixels) + 0.5) / pixels - 0.5
    z = (region.height - exposure.centre[1]) * size + line * exposure.fov
    centre = (region.across * body.width + exposure.centre[0], 0.0)
    view = anatomy.View(z, centre, exposure.fov, pixels, exposure.turn, part=region.part)
    return xray.project(anatomy.sample(body, view).render(xray.attenuation(rng)), exposure)


def random_exposure(rng: np.random.Generator, name: str, photons: float = 1.0) -> xray.Exposure:
    """Draw an exposure of a region; `photons` scales the dose, small for fluoroscopy. Limbs scatter little."""
    drawn = xray.random_exposure(rng, "AP")
    fov = REGIONS[name].fov
    scatter = drawn.scatter * min(1.0, fov / 380)
    return replace(drawn, fov=fov * float(rng.uniform(0.92, 1.1)), photons=drawn.photons * photons, scatter=scatter)


def plain(body: Body, name: str, pixels: int, rng: np.random.Generator) -> np.ndarray:
    """Return a radiograph of a region, uint8 [P,P], bone white."""
    exposure = random_exposure(rng, name)
    return xray.develop(xray.expose(integral(body, name, exposure, pixels, rng), exposure, rng), exposure)


# --- contrast medium ---

# Region: vessels at their start (x, y as shares of the picture), heading (radians, 0 is to the right, downwards
# positive), calibre (share of the picture), and how many times they fork.
VESSELS = {
    "head": (((0.5, 1.0), -1.57, 0.035, 6),),
    "thorax": (((0.52, 0.3), 0.6, 0.022, 5), ((0.46, 0.3), 2.2, 0.022, 5)),
    "abdomen": (((0.5, 0.0), 1.57, 0.05, 5), ((0.5, 0.4), 0.4, 0.025, 4), ((0.5, 0.4), 2.7, 0.025, 4)),
    "leg": (((0.45, 0.0), 1.5, 0.03, 3), ((0.52, 0.0), 1.6, 0.02, 4)),
}
# Region: the way of swallowed or given barium (x, y as shares of the picture) and its calibre.
BARIUM = {
    "thorax": (((0.52, 0.0), (0.54, 0.3), (0.5, 0.6), (0.55, 0.85), (0.6, 1.0)), 0.05),
    "abdomen": (((0.6, 0.1), (0.68, 0.25), (0.66, 0.5), (0.52, 0.62), (0.4, 0.55)), 0.16),
    "pelvis": (((0.2, 0.9), (0.2, 0.2), (0.5, 0.28), (0.8, 0.2), (0.8, 0.7), (0.6, 0.85), (0.5, 1.0)), 0.09),
}


def angiogram(
    body: Body, name: str, pixels: int, frames: int, subtracted: bool, rng: np.random.Generator
) -> np.ndarray:
    """Return frames [F,P,P], uint8: vessels (dark) fill from their start; `subtracted` has nothing but them."""
    exposure = random_exposure(rng, name, photons=0.1)
    ground = integral(body, name, exposure, pixels, rng)
    depth = rng.uniform(0.5, 0.9) * np.clip(ground / 0.5, 0, 1)  # no vessel runs outside of the body
    ground = np.full_like(ground, 1.0) if subtracted else ground
    pieces = [piece for vessel in VESSELS[name] for piece in _vessel(*vessel, 0.0, rng)]
    last = max(arrival for *_, arrival in pieces)
    out = []
    for k in range(frames):
        filled = _drawn([p for p in pieces if p[3] <= last * k / max(frames - 2, 1) - 0.05], pixels)
        out.append(xray.expose(ground + depth * filled, exposure, rng))
    return _grey(np.stack(out), rng)


def fluoroscopy(body: Body, name: str, pixels: int, rng: np.random.Generator) -> np.ndarray:
    """Return one picture [P,P], uint8: barium (dark) in a gut, few photons, black outside of a round collimator."""
    exposure = random_exposure(rng, name, photons=0.03)
    way, calibre = BARIUM[name]
    points = np.array(way) + rng.normal(0, 0.025, (len(way), 2))
    t = np.linspace(0, len(points) - 1, 40)
    line = np.stack([np.interp(t, np.arange(len(points)), points[:, i]) for i in (0, 1)], 1)
    widths = calibre * (1 + 0.25 * np.sin(t * rng.uniform(4, 9) + rng.uniform(0, 6)))  # folds, or peristalsis
    reach = rng.uniform(0.6, 1.0) * len(line)
    pieces = [(line[i], line[i + 1], widths[i], float(i)) for i in range(len(line) - 1) if i < reach]
    filled = cv2.GaussianBlur(_drawn(pieces, pixels), (0, 0), pixels / 80)
    ground = 0.6 * integral(body, name, exposure, pixels, rng)  # a harder beam than for radiographs
    picture = _grey(xray.expose(ground + 2.0 * filled, exposure, rng), rng)
    y, x = np.mgrid[-1 : 1 : pixels * 1j, -1 : 1 : pixels * 1j]
    return np.where(y**2 + x**2 <= rng.uniform(0.9, 1.1), picture, 0).astype(np.uint8)


def _vessel(start, heading: float, calibre: float, forks: int, arrival: float, rng: np.random.Generator) -> list[tuple]:
    """Return the pieces (from, to, calibre, arrival) of a vessel and all its branches; shares of the picture."""
    pieces, at, bend = [], np.array(start, float), float(rng.normal(0, 0.06))
    for _ in range(int(rng.integers(4, 8))):
        heading += bend + float(rng.normal(0, 0.12))
        to = at + rng.uniform(0.02, 0.035) * np.array((np.cos(heading), np.sin(heading)))
        arrival += 1.0
        pieces.append((at, to, calibre, arrival))
        at = to
    if forks:
        for side in (-1, 1):
            turn = heading + side * float(rng.uniform(0.2, 0.7))
            pieces += _vessel(at, turn, calibre * float(rng.uniform(0.65, 0.85)), forks - 1, arrival, rng)
    return pieces


def _drawn(pieces: list[tuple], pixels: int) -> np.ndarray:
    """Return the pieces as a picture [P,P], 0 to 1."""
    side = pixels * FINE
    canvas = np.zeros((side, side), np.uint8)
    for a, b, calibre, _ in pieces:
        ends = [tuple(int(v) for v in np.rint(p * side)) for p in (a, b)]
        cv2.line(canvas, *ends, 255, max(round(calibre * side), 1), cv2.LINE_AA)
    return cv2.resize(canvas, (pixels, pixels), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _grey(reading: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return readings as uint8 with one range for all frames; what absorbs is dark, as on a screen."""
    low, high = np.percentile(reading, (2, 99.8))
    level = np.clip(1 - (reading - low) / max(high - low, 0.8), 0, 1) ** rng.uniform(0.8, 1.2)
    return np.rint(30 + 215 * level).astype(np.uint8)
