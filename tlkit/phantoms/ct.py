"""A sampled body as computed tomography: tissues to Hounsfield units, then what a scanner adds."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from tlkit.phantoms.anatomy import Scene, Tissue

# Mean HU without contrast medium, spread between patients, and the gain in the (arterial, venous) phase.
HU: dict[Tissue, tuple[float, float, float, float]] = {
    Tissue.AIR: (-1000, 0, 0, 0), Tissue.FAT: (-100, 8, 0, 2),
    Tissue.MUSCLE: (52, 5, 5, 14), Tissue.CORTICAL: (850, 160, 0, 0), Tissue.MARROW: (190, 70, 0, 5),
    Tissue.DISC: (85, 10, 0, 5), Tissue.LUNG: (-820, 45, 8, 10), Tissue.BLOOD: (42, 4, 240, 105),
    Tissue.VEIN: (42, 4, 70, 110), Tissue.BRAIN: (37, 2, 2, 4), Tissue.WHITE: (27, 2, 1, 2), Tissue.CSF: (8, 3, 0, 0),
    Tissue.LIVER: (57, 8, 14, 50), Tissue.LIVER_VESSEL: (44, 5, 30, 95), Tissue.LESION: (25, 9, 25, 28),
    Tissue.SPLEEN: (50, 5, 65, 65), Tissue.KIDNEY: (32, 4, 110, 130), Tissue.FLUID: (8, 6, 0, 2),
    Tissue.BOWEL: (30, 14, 12, 25), Tissue.GAS: (-960, 20, 0, 0), Tissue.GLAND: (38, 8, 40, 45),
    Tissue.EYE: (18, 4, 0, 0),
}  # fmt: skip
PHASES = {"none": 0, "arterial": 2, "venous": 3}


@dataclass(frozen=True)
class Scanner:
    """A make with its habits: the stored intercept, the value outside its circle (None: air), its kernels."""

    maker: str
    model: str
    intercept: int
    signed: bool
    padding: int | None
    kernels: tuple[str, str]  # soft, sharp
    table: int  # HU of the table top


SCANNERS = (
    Scanner("PHANTOM-S", "Somaphantom 64", -1024, False, None, ("B30f", "B70f"), 60),
    Scanner("PHANTOM-G", "Lightphantom VCT", 0, True, -2000, ("STANDARD", "BONE"), 20),
    Scanner("PHANTOM-P", "Briphantom 40", -1024, False, -1024, ("B", "YB"), 110),
    Scanner("PHANTOM-T", "Aquiphantom ONE", -1000, False, None, ("FC18", "FC30"), -40),
)


@dataclass(frozen=True)
class Protocol:
    """How one series is taken: contrast phase, dose noise (HU), kernel, tube voltage, table, padding."""

    scanner: Scanner
    phase: str
    noise: float
    sharp: bool
    kvp: int
    table: bool
    circle: bool
    streaks: float


def random_protocol(rng: np.random.Generator, region: str) -> Protocol:
    """Draw a protocol; contrast medium is usual in the trunk, sharp kernels where bone is the question."""
    liver = region == "liver"  # taken to find lesions: venous phase, more dose
    contrast = 0.9 if liver else 0.7 if region in ("thorax", "abdomen", "pelvis", "other") else 0.1
    late = 0.85 if liver else 0.5
    phase = ("venous" if rng.random() < late else "arterial") if rng.random() < contrast else "none"
    sharp = bool(rng.random() < (0.5 if region in ("spine", "extremities", "thorax") else 0.12))
    return Protocol(
        scanner=SCANNERS[rng.integers(len(SCANNERS))],
        phase=phase,
        noise=float(np.clip(rng.lognormal(2.0 if liver else 2.5, 0.4), 4, 45)),
        sharp=sharp,
        kvp=int(rng.choice([80, 100, 120, 140], p=[0.05, 0.25, 0.6, 0.1])),
        table=bool(rng.random() < 0.85),
        circle=bool(rng.random() < 0.6),
        streaks=float(rng.uniform(0, 0.8)),
    )


def tissue_values(protocol: Protocol, rng: np.random.Generator) -> np.ndarray:
    """Return the HU of every tissue for one patient and phase; low voltages brighten iodine and bone."""
    table = np.array([HU[t] for t in Tissue], np.float32)
    values = table[:, 0] + table[:, 1] * rng.standard_normal(len(table)).astype(np.float32)
    gain = (120 / protocol.kvp) ** 0.8
    values[[Tissue.CORTICAL, Tissue.MARROW]] *= gain
    if PHASES[protocol.phase]:
        values += table[:, PHASES[protocol.phase]] * np.float32(gain * rng.uniform(0.75, 1.25))
    values[Tissue.LESION] = min(values[Tissue.LESION], values[Tissue.LIVER] - 32)
    return values


def _couch(hu: np.ndarray, scene: Scene, protocol: Protocol, rng: np.random.Generator) -> None:
    """Lay a curved table top under the patient: it belongs to the scanner, so the pose leaves it alone."""
    pixels, mm = scene.view.pixels, scene.view.fov / scene.view.pixels
    solid = (hu.max(0) > -300).any(1)
    back = np.flatnonzero(solid)[-1] if solid.any() else pixels
    cols = (np.arange(pixels) - pixels / 2) * mm
    drop = back + (6 + rng.uniform(0, 8)) / mm - cols**2 / 1400 / mm
    depth = (np.arange(pixels)[:, None] - drop[None]) * mm
    wide = np.abs(cols)[None] < 210
    shape = np.where((np.abs(depth) < 2.5) & wide, np.float32(protocol.scanner.table), np.float32(-1000))
    shape = np.where((depth > 2.5) & (depth < 26) & wide, np.float32(-910), shape)
    np.maximum(hu, shape, out=hu)


def _noise(shape: tuple[int, ...], protocol: Protocol, rng: np.random.Generator) -> np.ndarray:
    """Return noise [Z, P, P] of unit strength with the grain of the kernel and some horizontal streaks."""
    noise = rng.standard_normal(shape, np.float32)
    for plane in noise:
        streak = cv2.blur(plane, (15, 1)) * np.float32(3.0 * protocol.streaks)
        if not protocol.sharp:
            cv2.GaussianBlur(plane, (3, 3), 0.7, dst=plane)
            plane *= 2.0
        plane += streak
    return noise


def image(scene: Scene, protocol: Protocol, rng: np.random.Generator) -> np.ndarray:
    """Return int16 HU [Z, P, P] of a sampled body: tissue values, table, blur, beam, noise, padding.

    Air is near -1000; outside the circle of reconstruction some scanners store -1024 or -2000.
    """
    hu = scene.render(tissue_values(protocol, rng))
    if protocol.table:
        _couch(hu, scene, protocol, rng)
    solid = hu > -300
    hu += scene.fine * solid * np.float32(4.0)
    sigma = 0.45 if protocol.sharp else 0.65
    thick = solid.mean((1, 2)) * (scene.view.fov / 380) ** 2 + 0.15  # photons left over fall with the path
    noise = _noise(hu.shape, protocol, rng)
    strength = protocol.noise * (1.6 if protocol.sharp else 1.0) * np.sqrt(thick / 0.6)
    for plane, grain, sd in zip(hu, noise, strength, strict=True):
        cv2.GaussianBlur(plane, (3, 3), sigma, dst=plane)
        if protocol.sharp:
            smooth = cv2.GaussianBlur(plane, (5, 5), 1.2)
            cv2.addWeighted(plane, 1.5, smooth, -0.5, 0, dst=plane)
        cv2.scaleAdd(grain, float(sd), plane, dst=plane)
    np.clip(hu, -1024, 3071, out=hu)
    if protocol.circle and protocol.scanner.padding is not None:
        line = (np.arange(scene.view.pixels) + 0.5) / scene.view.pixels - 0.5
        hu[:, (line[:, None] ** 2 + line[None] ** 2) > 0.25] = protocol.scanner.padding
    return np.rint(hu).astype(np.int16)
