"""Brains and bodies as magnetic resonance imaging: relaxation times to signal, then what a scanner adds.

Signal of a spin echo and of an inversion recovery; relaxation times are round values for about 1.5 T.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from tlkit.phantoms import anatomy
from tlkit.phantoms.anatomy import Body, Scene, Tissue, View
from tlkit.phantoms.brain import Brain, Matter

# T1 and T2 in ms, proton density, and T1 after contrast agent.
TISSUES: dict[Matter, tuple[float, float, float, float]] = {
    Matter.CSF: (4000, 1200, 1.0, 4000), Matter.GREY: (1100, 98, 0.86, 1030), Matter.WHITE: (620, 78, 0.74, 600),
    Matter.NUCLEUS: (980, 88, 0.85, 930), Matter.PLEXUS: (1300, 160, 0.9, 420), Matter.VESSEL: (1300, 22, 0.7, 260),
    Matter.STEM: (720, 84, 0.77, 700), Matter.OEDEMA: (1250, 165, 0.87, 1220), Matter.SOLID: (1500, 170, 0.88, 1350),
    Matter.NECROSIS: (2600, 330, 0.95, 2500), Matter.ENHANCING: (1250, 120, 0.86, 300),
}  # fmt: skip

# The same of all tissues without contrast agent; density of protons that do not flow.
BODY: dict[Tissue, tuple[float, float, float]] = {
    Tissue.FAT: (260, 90, 1.0), Tissue.MUSCLE: (870, 45, 0.85), Tissue.CORTICAL: (500, 5, 0.1),
    Tissue.MARROW: (330, 75, 0.85), Tissue.DISC: (1000, 90, 0.85), Tissue.LUNG: (1200, 30, 0.12),
    Tissue.BLOOD: (1300, 60, 0.15), Tissue.VEIN: (1300, 60, 0.3), Tissue.BRAIN: (1050, 98, 0.85),
    Tissue.WHITE: (620, 78, 0.74), Tissue.CSF: (4000, 1200, 1.0), Tissue.LIVER: (570, 43, 0.85),
    Tissue.LIVER_VESSEL: (1300, 60, 0.3), Tissue.LESION: (1000, 95, 0.9), Tissue.SPLEEN: (1030, 80, 0.9),
    Tissue.KIDNEY: (900, 75, 0.9), Tissue.FLUID: (3500, 900, 1.0), Tissue.BOWEL: (900, 70, 0.8),
    Tissue.GLAND: (800, 70, 0.85), Tissue.EYE: (3500, 800, 1.0),
}  # fmt: skip


@dataclass(frozen=True)
class Sequence:
    """How a volume is taken: repetition, echo and inversion time in ms (0: none), contrast agent, thickness."""

    tr: float
    te: float
    ti: float = 0.0
    contrast: bool = False
    thick: float = 1.0  # mm, the standard deviation of the slice profile


SEQUENCES = {
    "t1": Sequence(550, 10, thick=0.8),
    "t1ce": Sequence(550, 10, contrast=True),
    "t2": Sequence(4500, 100, thick=1.5),
    "flair": Sequence(9000, 118, 2370, thick=2.0),
}


def signal(t1: np.ndarray, t2: np.ndarray, density: np.ndarray, sequence: Sequence) -> np.ndarray:
    """Return the signal (0 to `density`) of a spin echo, after an inversion where the sequence has one."""
    recovery = 1 - np.exp(-sequence.tr / t1)
    if sequence.ti:
        recovery = np.abs(1 - 2 * np.exp(-sequence.ti / t1) + np.exp(-sequence.tr / t1))
    return density * recovery * np.exp(-sequence.te / t2)


def tissues(rng: np.random.Generator, spread: float = 0.03) -> np.ndarray:
    """Return one patient's values, float [matter, 4]: T1, T2, proton density, T1 with contrast agent."""
    values = np.ones((len(Matter), 4))
    values[:, 2] = 0
    for matter, row in TISSUES.items():
        values[matter] = np.array(row) * np.exp(rng.normal(0, spread, 4))
    return values


def image(brain: Brain, values: np.ndarray, name: str, rng: np.random.Generator) -> np.ndarray:
    """Return int16 [Z, P, P], the sequence `name` of a brain with the `tissues` values; 0 outside the brain.

    Grey values have no unit: each volume has its own gain. Added: texture, partial volumes, a bias field of up to
    about 20 %, and Rician noise.
    """
    sequence, scene = SEQUENCES[name], brain.scene
    drawn = Sequence(sequence.tr * rng.uniform(0.93, 1.07), sequence.te * rng.uniform(0.93, 1.07), sequence.ti)
    t1 = values[:, 3 if sequence.contrast else 0]
    levels = signal(t1, values[:, 1], values[:, 2], drawn).astype(np.float32)
    out = scene.render(levels)
    out *= 1 + 0.025 * scene.fine
    mm = scene.view.fov / scene.view.pixels
    apart = abs(scene.view.z[1] - scene.view.z[0])
    out = ndimage.gaussian_filter(out, (sequence.thick / apart, 0.55 / mm, 0.55 / mm))
    out *= _bias(out.shape, rng)
    out /= levels[Matter.WHITE]
    noise = rng.uniform(0.025, 0.06) * rng.standard_normal((2, *out.shape), np.float32)
    out = np.hypot(out + noise[0], noise[1])
    out = ndimage.gaussian_filter(out, (0, 0.4, 0.4)) * np.float32(rng.uniform(120, 900))
    return np.where(brain.mask, np.clip(np.rint(out), 1, 32767), 0).astype(np.int16)


def _bias(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return the smooth sensitivity of the coils at every voxel, around 1."""
    coarse = rng.normal(0, 0.15, (3, 3, 3))
    return np.exp(ndimage.zoom(coarse, np.array(shape) / 3, order=2, mode="nearest", grid_mode=True)).astype(np.float32)


def sample_body(body: Body, view: View, sagittal: bool = False) -> tuple[Scene, np.ndarray | None]:
    """Return what `image_body` takes: a scene, and which of its columns are the slices if they are `sagittal`.

    Sagittal slices, as many as `view` has, run along the body through the middle of it, head up, front to the left.
    """
    if not sagittal:
        return anatomy.sample(body, view), None
    middle, half = view.z.mean(), view.fov / 2
    columns = (np.linspace(0.36, 0.64, len(view.z)) * view.pixels).astype(int)
    view = replace(view, z=np.linspace(middle - half, middle + half, view.pixels), tilt=0.0)
    thin = slice(int(columns[0]), int(columns[-1]) + 1)
    return anatomy.sample(body, view, (slice(None), slice(None), thin)), columns - columns[0]


def image_body(scene: Scene, columns: np.ndarray | None, sequence: Sequence, rng: np.random.Generator) -> np.ndarray:
    """Return int16 [Z, P, P] of what `sample_body` gives; grey values have no unit.

    Added: texture, blur, the falling sensitivity of a coil, Rician noise, and a gain of its own.
    """
    levels = body_levels(sequence, rng)
    out = scene.render((levels / levels.max()).astype(np.float32)) * (1 + 0.03 * scene.fine)
    if columns is not None:
        out = out[::-1].transpose(2, 0, 1)[columns]
    out = ndimage.gaussian_filter(out, (0, 0.5, 0.5))
    ramp = np.linspace(-1, 1, scene.view.pixels, dtype=np.float32) * np.float32(rng.normal(0, 0.25))
    out *= np.exp(ramp)[None, :, None]
    noise = rng.uniform(0.015, 0.04) * rng.standard_normal((2, *out.shape), np.float32)
    out = np.hypot(out + noise[0], noise[1]) * np.float32(rng.uniform(300, 1500))
    return np.clip(np.rint(out), 0, 32767).astype(np.int16)


def body_levels(sequence: Sequence, rng: np.random.Generator) -> np.ndarray:
    """Return the signal of every tissue of one patient; relaxation times vary by 3 % between patients."""
    values = np.tile(np.array([1.0, 1.0, 0.0]), (len(Tissue), 1))
    for tissue, row in BODY.items():
        values[tissue] = np.array(row) * np.exp(rng.normal(0, 0.03, 3))
    return signal(*values.T, sequence)
