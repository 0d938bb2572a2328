"""A body as a frontal chest radiograph: attenuation along the rays of a point source, then what a detector adds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from tlkit.phantoms import anatomy
from tlkit.phantoms.anatomy import Body, Scene, Tissue
from tlkit.phantoms.ct import HU
from tlkit.phantoms.tubes import Builder, Tube

WATER = 0.0195  # attenuation of water in 1/mm at the mean energy of a hardened 120 kVp beam
BONE_GAIN = 1.1  # bone attenuates more there, by the photo effect, than at the energy of its HU
GAP = 30.0  # mm between the body and the detector
CHEST = 1325.0  # mm above the feet of a standard body: the height of the central ray


@dataclass(frozen=True)
class Exposure:
    """How one radiograph is taken: projection, source to detector (mm), field of view (mm), dose, pose, processing."""

    view: str  # PA: the detector is in front of the chest | AP: behind the back, for those who cannot stand
    distance: float
    fov: float
    photons: float  # a pixel without a body
    scatter: float  # scattered over primary radiation
    heel: float  # relative change of the beam from top to bottom
    turn: float
    centre: tuple[float, float]  # mm that the body is off the central ray: across, up
    gamma: float
    sharpen: float


def random_exposure(rng: np.random.Generator, view: str, size: float = 1.0) -> Exposure:
    """Draw an exposure; AP is taken from nearer, with more scatter and a worse pose. `size` scales what is seen."""
    bed = view == "AP"
    return Exposure(
        view=view,
        distance=float(rng.uniform(1000, 1300) if bed else rng.uniform(1700, 1900)),
        fov=float(rng.uniform(355, 410) * size),
        photons=float(rng.uniform(1e4, 5e4)),
        scatter=float(rng.uniform(0.5, 0.9) if bed else rng.uniform(0.2, 0.5)),
        heel=float(rng.normal(0, 0.15)),
        turn=float(rng.normal(0, 0.08 if bed else 0.03)),
        centre=tuple(rng.normal(0, (10, 14) if bed else (5, 9))),
        gamma=float(rng.uniform(0.85, 1.25)),
        sharpen=float(rng.uniform(0.2, 1.0)),
    )


def random_patient(rng: np.random.Generator) -> Body:
    """Draw a body that stands for a radiograph of its chest."""
    return breathe_in(anatomy.random_body(rng, lesion_share=0.0), rng, rng.uniform(20, 45))


def breathe_in(body: Body, rng: np.random.Generator, depth: float) -> Body:
    """Return the body as it stands for a radiograph: diaphragm `depth` mm lower than in a CT scan, arms down."""
    tubes = [_lower(t, depth) if t.part == "body" and t.depth == 3 else t for t in body.tubes]
    b = Builder(rng)
    z, x = np.array((1180, 1300, 1390, 1440, 1462)), np.array((222, 205, 178, 152, 140))
    thick = np.array((44, 46, 56, 46, 10)) + 0.3 * body.fat
    for side in (-1, 1):
        b.tube(Tissue.FAT, z, side * x, 6, thick, thick, depth=0)
        b.tube(Tissue.MUSCLE, z, side * (x - 1), 6, thick - 7 - 0.3 * body.fat, thick - 7 - 0.3 * body.fat, depth=1)
        b.bone((1180, 1300, 1400, 1425), side * np.array((220, 204, 178, 170)), 8, (12, 12, 16, 20), (12, 12, 16, 20))
    return replace(body, tubes=tuple(sorted(tubes + b.tubes, key=lambda t: t.depth)))


def _lower(tube: Tube, depth: float) -> Tube:
    """Move what ends below the dome of the diaphragm all the way, what ends below the arch of the aorta in part."""
    share = min(max((1400 - tube.z[-1]) / 100, 0), 1)
    return replace(tube, z=tube.z - depth * share) if share else tube


def attenuation(rng: np.random.Generator) -> np.ndarray:
    """Return the attenuation (1/mm) of every tissue for one patient, from its HU with the usual spread."""
    table = np.array([HU[t][:2] for t in Tissue], np.float32)
    values = WATER * (1 + (table[:, 0] + 0.5 * table[:, 1] * rng.standard_normal(len(table))) / 1000)
    values[[Tissue.CORTICAL, Tissue.MARROW]] *= BONE_GAIN
    values[Tissue.AIR] = 0
    return np.maximum(values, 0).astype(np.float32)


def sample(body: Body, exposure: Exposure, pixels: int) -> Scene:
    """Return the scene that an exposure of the chest sees, `pixels` along each axis, from the lowest slice up."""
    line = (np.arange(pixels) + 0.5) / pixels - 0.5
    z = (CHEST - exposure.centre[1] + line * exposure.fov) * body.height / anatomy.STANDARD_HEIGHT
    return anatomy.sample(body, anatomy.View(z, (exposure.centre[0], 0.0), exposure.fov, pixels, turn=exposure.turn))


def project(volume: np.ndarray, exposure: Exposure) -> np.ndarray:
    """Return the line integrals [P,P] of `volume` (1/mm, [Z,Y,X], front first, feet first), head up, right side left.

    Planes across the beam are magnified by distance / (distance - their height over the detector), then summed.
    """
    pixels, mm = volume.shape[1], exposure.fov / volume.shape[1]
    out = np.zeros(volume.shape[::2], np.float32)
    planes = np.flatnonzero(volume.any(axis=(0, 2)))
    touch = (planes[0] if exposure.view == "PA" else planes[-1]) if len(planes) else 0  # lies on the detector
    for k in planes:
        scale = exposure.distance / (exposure.distance - GAP - abs(k - touch) * mm)
        move = np.array([[scale, 0, (1 - scale) * (pixels - 1) / 2], [0, scale, (1 - scale) * (pixels - 1) / 2]])
        out += cv2.warpAffine(np.ascontiguousarray(volume[:, k]), move, out.shape[::-1], flags=cv2.INTER_LINEAR)
    return out[::-1] * np.float32(mm)


def expose(integral: np.ndarray, exposure: Exposure, rng: np.random.Generator) -> np.ndarray:
    """Return the detector's reading as -log(signal / air) [P,P]: heel, scatter and photon noise are in it."""
    pixels = len(integral)
    beam = 1 + exposure.heel * np.linspace(-0.5, 0.5, pixels, dtype=np.float32)[:, None]
    primary = beam * np.exp(-integral)
    soft = cv2.GaussianBlur(primary * (integral > 0.05), (0, 0), pixels / 9, borderType=cv2.BORDER_REFLECT)
    photons = rng.poisson(exposure.photons * (primary + exposure.scatter * soft))
    return -np.log(np.maximum(photons, 1) / exposure.photons).astype(np.float32)


def develop(reading: np.ndarray, exposure: Exposure) -> np.ndarray:
    """Return the reading as a uint8 picture: edges sharpened, range set by the picture itself, dense is white."""
    smooth = cv2.GaussianBlur(reading, (0, 0), max(len(reading) / 40, 1))
    sharp = reading + exposure.sharpen * (reading - smooth)
    body = sharp[smooth > 0.4 * smooth.max()]
    low, high = np.percentile(body, (1, 99.5))
    level = np.clip((sharp - 0.75 * low) / max(high - 0.75 * low, 1e-3), 0, 1)
    return np.rint(255 * level**exposure.gamma).astype(np.uint8)


def image(body: Body, exposure: Exposure, pixels: int, rng: np.random.Generator) -> np.ndarray:
    """Return a uint8 radiograph [P,P] of a body's chest. Randomness: patient's attenuation and noise from `rng`."""
    volume = sample(body, exposure, pixels).render(attenuation(rng))
    return develop(expose(project(volume, exposure), exposure, rng), exposure)
