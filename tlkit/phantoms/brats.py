"""Phantom of BraTS 2020: brains with gliomas as T1, T1 with contrast agent, T2 and FLAIR, in the official layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tlkit.phantoms import anatomy, brain, mr
from tlkit.phantoms.streams import stream
from tlkit.progress import track

FOV = 240.0  # mm of the atlas that all patients are laid on


def write(root: Path, seed: int, patients: int = 24, pixels: int = 96, slices: int = 31) -> None:
    """Write `MICCAI_BraTS2020_TrainingData/BraTS20_Training_NNN/BraTS20_Training_NNN_{t1,t1ce,t2,flair,seg}.nii`.

    int16, no unit, 0 outside the brain; seg 0, 1, 2, 4. Size and grid of the official files are pixels=240,
    slices=155 (15 s a patient); others cover the same 240 x 240 x 155 mm. About one tumour in five does not enhance.
    """
    import nibabel as nib

    for k in track(range(patients), patients, "phantom brats", "patient"):
        made, affine = volumes(seed, k, pixels, slices)
        name = f"BraTS20_Training_{k + 1:03d}"
        folder = root / "MICCAI_BraTS2020_TrainingData" / name
        folder.mkdir(parents=True)
        for kind, volume in made.items():
            picture = nib.Nifti1Image(volume.transpose(2, 1, 0), affine)
            picture.header.set_xyzt_units("mm")
            picture.header["descrip"] = b"tlkit PHANTOM"
            nib.save(picture, folder / f"{name}_{kind}.nii")


def volumes(seed: int, patient: int, pixels: int, slices: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return (volumes int16 [Z,P,P] of a patient by contrast, and "seg"; their affine)."""
    mm = FOV / pixels
    affine = np.diag([-mm, -mm, brain.HEIGHT / slices, 1.0])
    affine[1, 3] = FOV - mm
    body, rng = anatomy.random_body(stream(seed, "brats body", patient)), stream(seed, "brats patient", patient)
    made = brain.sample(body, brain.view(body, slices, pixels, FOV, rng), rng)
    values = mr.tissues(rng)
    return {name: mr.image(made, values, name, rng) for name in mr.SEQUENCES} | {"seg": made.labels}, affine


def expected_bytes(settings: dict) -> int:
    """Return an upper estimate of the size on disk."""
    return settings["patients"] * (settings["slices"] * settings["pixels"] ** 2 * 9 + 2048)
