"""The body outside of the brain as magnetic resonance imaging: knees, spines, bellies; `mr` has the brain in detail."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from tlkit.phantoms import anatomy, mr
from tlkit.phantoms.anatomy import Body, Tissue

# T1 and T2 in ms at about 1.5 T, and the density of protons that do not flow; round values.
TISSUES: dict[Tissue, tuple[float, float, float]] = {
    Tissue.FAT: (260, 90, 1.0), Tissue.MUSCLE: (870, 45, 0.85), Tissue.CORTICAL: (500, 5, 0.1),
    Tissue.MARROW: (330, 75, 0.85), Tissue.DISC: (1000, 90, 0.85), Tissue.LUNG: (1200, 30, 0.12),
    Tissue.BLOOD: (1300, 60, 0.15), Tissue.VEIN: (1300, 60, 0.3), Tissue.BRAIN: (1050, 98, 0.85),
    Tissue.WHITE: (620, 78, 0.74), Tissue.CSF: (4000, 1200, 1.0), Tissue.LIVER: (570, 43, 0.85),
    Tissue.LIVER_VESSEL: (1300, 60, 0.3), Tissue.LESION: (1000, 95, 0.9), Tissue.SPLEEN: (1030, 80, 0.9),
    Tissue.KIDNEY: (900, 75, 0.9), Tissue.FLUID: (3500, 900, 1.0), Tissue.BOWEL: (900, 70, 0.8),
    Tissue.GLAND: (800, 70, 0.85), Tissue.EYE: (3500, 800, 1.0),
}  # fmt: skip


def image(
    body: Body, view: anatomy.View, sequence: mr.Sequence, rng: np.random.Generator, sagittal: bool = False
) -> np.ndarray:
    """Return int16 [Z, P, P] of a body, as many slices as `view` has; grey values have no unit.

    `sagittal` slices run along the body through the middle of the view, head up, front to the left. Added: texture,
    blur, the falling sensitivity of a coil, Rician noise, and a gain of its own.
    """
    slices, pixels = len(view.z), view.pixels
    if sagittal:
        middle, half = view.z.mean(), view.fov / 2
        view = replace(view, z=np.linspace(middle - half, middle + half, pixels), tilt=0.0)
    out = _signal(body, view, sequence, rng)
    if sagittal:
        columns = np.linspace(0.36, 0.64, slices) * pixels
        out = out[::-1].transpose(2, 0, 1)[columns.astype(int)]
    out = ndimage.gaussian_filter(out, (0, 0.5, 0.5))
    ramp = np.linspace(-1, 1, pixels, dtype=np.float32) * np.float32(rng.normal(0, 0.25))
    out *= np.exp(ramp)[None, :, None]
    noise = rng.uniform(0.015, 0.04) * rng.standard_normal((2, *out.shape), np.float32)
    out = np.hypot(out + noise[0], noise[1]) * np.float32(rng.uniform(300, 1500))
    return np.clip(np.rint(out), 0, 32767).astype(np.int16)


def _signal(body: Body, view: anatomy.View, sequence: mr.Sequence, rng: np.random.Generator) -> np.ndarray:
    """Return the signal of every voxel [Z, P, P], about 0 to 1; relaxation times vary by 3 % between patients."""
    values = np.tile(np.array([1.0, 1.0, 0.0]), (len(Tissue), 1))
    for tissue, row in TISSUES.items():
        values[tissue] = np.array(row) * np.exp(rng.normal(0, 0.03, 3))
    levels = mr.signal(*values.T, sequence)
    scene = anatomy.sample(body, view)
    return scene.render((levels / levels.max()).astype(np.float32)) * (1 + 0.03 * scene.fine)
