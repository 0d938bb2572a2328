"""Phantom of LiTS 2017: abdominal CT volumes and their liver segmentations, in NIfTI or exported to PNG slices."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tlkit.phantoms import anatomy, ct
from tlkit.phantoms.anatomy import Tissue
from tlkit.phantoms.streams import stream
from tlkit.phantoms.tree import save_nifti
from tlkit.progress import track

WINDOW = (40.0, 400.0)  # HU centre and width that become 0 to 255 in PNG; the real export does not say its own


def liver_mask(scene: anatomy.Scene) -> np.ndarray:
    """Return uint8 [Z, P, P]: 1 liver with its vessels, 2 lesion, 0 all else."""
    table = np.zeros(len(Tissue), np.uint8)
    table[[Tissue.LIVER, Tissue.LIVER_VESSEL]], table[Tissue.LESION] = 1, 2
    return table[scene.labels()]


def _affine(view: anatomy.View, flips: tuple[bool, bool, bool]) -> np.ndarray:
    """Return the voxel-to-world matrix (RAS, mm) of a volume [x, y, z] (LPS order) with some axes flipped."""
    steps = np.array([-view.fov / view.pixels, -view.fov / view.pixels, float(view.z[1] - view.z[0])])
    first = np.array([view.fov / 2 - view.centre[0], view.fov / 2 - view.centre[1], float(view.z[0])])
    counts = np.array([view.pixels, view.pixels, len(view.z)])
    first = first + np.where(flips, steps * (counts - 1), 0)
    affine = np.diag([*np.where(flips, -steps, steps), 1.0])
    affine[:3, 3] = first
    return affine


def scan(
    seed: int, k: int, pixels: int, slices: tuple[int, int]
) -> tuple[anatomy.View, np.ndarray, np.ndarray, np.random.Generator]:
    """Return the `k`-th volume: its view, int16 HU [Z, P, P], its liver mask, and the stream that it was drawn from."""
    body = anatomy.random_body(stream(seed, "lits body", k), lesion_share=0.8)
    rng = stream(seed, "lits volume", k)
    view = anatomy.random_view(body, "liver", int(rng.integers(slices[0], slices[1] + 1)), pixels, rng)
    scene = anatomy.sample(body, view)
    return view, ct.image(scene, ct.random_protocol(rng, "liver"), rng), liver_mask(scene), rng


def write(root: Path, seed: int, volumes: int = 24, pixels: int = 96, slices: tuple[int, int] = (30, 40)) -> None:
    """Write phantom liver CTs `volume-N.nii` (int16 HU), `segmentation-N.nii` (1 liver, 2 lesion), N from 0.

    About four in five livers have lesions. A few volumes are stored flipped, and their affine says so.
    """
    for k in track(range(volumes), volumes, "phantom lits", "volume"):
        view, hu, mask, rng = scan(seed, k, pixels, slices)
        flips = tuple(bool(f) for f in rng.random(3) < (0.1, 0.1, 0.2))
        affine = _affine(view, flips)
        for name, array in (("volume", hu), ("segmentation", mask)):
            array = np.flip(array.transpose(2, 1, 0), [axis for axis in range(3) if flips[axis]])
            save_nifti(root / f"{name}-{k}.nii", array, affine)


def write_png(root: Path, seed: int, volumes: int = 24, pixels: int = 96, slices: tuple[int, int] = (30, 40)) -> None:
    """Write `volume-V_S.png`, `segmentation-V_livermask_S.png` and `segmentation-V_lesionmask_S.png`, S from the feet.

    The same seed gives the bodies and slices of `write`. Masks are 0 and 255; a lesion is a part of its liver.
    """
    import cv2

    low, width = WINDOW[0] - WINDOW[1] / 2, WINDOW[1]
    for v in track(range(volumes), volumes, "phantom lits_png", "volume"):
        _, hu, mask, _ = scan(seed, v, pixels, slices)
        grey = np.rint(np.clip((hu - low) / width, 0, 1) * 255).astype(np.uint8)
        for k in range(len(hu)):
            cv2.imwrite(str(root / f"volume-{v}_{k}.png"), grey[k])
            cv2.imwrite(str(root / f"segmentation-{v}_livermask_{k}.png"), np.uint8(255) * (mask[k] > 0))
            cv2.imwrite(str(root / f"segmentation-{v}_lesionmask_{k}.png"), np.uint8(255) * (mask[k] == 2))
