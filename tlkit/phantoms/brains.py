"""Phantom of BraTS 2020, brains with gliomas in four contrasts; and of open_ms_data: the same under its names."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tlkit.phantoms import anatomy, brain, mr
from tlkit.phantoms.streams import stream
from tlkit.phantoms.tree import save_nifti
from tlkit.progress import track

FOV = 240.0  # mm of the atlas that all patients are laid on
END = "_N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI.nii.gz"
NAMES = {"t1": "T1" + END, "t1ce": "T1POST" + END, "t2": "T2" + END, "flair": "FLAIR" + END,
         "seg": "GOLD_STANDARD_N4_noneck_reduced_winsor_regtoFLAIR_regtoMNI.nii.gz"}  # fmt: skip


def write(root: Path, seed: int, patients: int = 24, pixels: int = 96, slices: int = 31) -> None:
    """Write `MICCAI_BraTS2020_TrainingData/BraTS20_Training_NNN/BraTS20_Training_NNN_{t1,t1ce,t2,flair,seg}.nii`.

    int16, no unit, 0 outside the brain; seg 0, 1, 2, 4. Size and grid of the official files are pixels=240,
    slices=155 (15 s a patient); others cover the same 240 x 240 x 155 mm. About one tumour in five does not enhance.
    """
    for k in track(range(patients), patients, "phantom brats", "patient"):
        made, affine = volumes(seed, k, pixels, slices)
        name = f"BraTS20_Training_{k + 1:03d}"
        folder = root / "MICCAI_BraTS2020_TrainingData" / name
        folder.mkdir(parents=True)
        for kind, volume in made.items():
            save_nifti(folder / f"{name}_{kind}.nii", volume.transpose(2, 1, 0), affine)


def volumes(seed: int, patient: int, pixels: int, slices: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return (volumes int16 [Z,P,P] of a patient by contrast, and "seg"; their affine)."""
    mm = FOV / pixels
    affine = np.diag([-mm, -mm, brain.HEIGHT / slices, 1.0])
    affine[1, 3] = FOV - mm
    body, rng = anatomy.random_body(stream(seed, "brats body", patient)), stream(seed, "brats patient", patient)
    made = brain.sample(body, brain.view(body, slices, pixels, FOV, rng), rng)
    values = mr.tissues(rng)
    return {name: mr.image(made, values, name, rng) for name in mr.SEQUENCES} | {"seg": made.labels}, affine


def write_ms(root: Path, seed: int, patients: int = 8, pixels: int = 96, slices: int = 31) -> None:
    """Write `cross_sectional/MNI/patientNN/` with four contrasts, float32, and a mask of 0 and 1.

    A patient is that of the BraTS phantom of the same seed: large tumours, where the real set has small lesions.
    """
    for k in track(range(patients), patients, "phantom open_ms", "patient"):
        made, affine = volumes(seed, k, pixels, slices)
        folder = root / "cross_sectional" / "MNI" / f"patient{k + 1:02}"
        folder.mkdir(parents=True)
        for kind, volume in made.items():
            told = (volume > 0).astype(np.uint8) if kind == "seg" else volume.astype(np.float32)
            save_nifti(folder / NAMES[kind], told.transpose(2, 1, 0), affine, unit="")
