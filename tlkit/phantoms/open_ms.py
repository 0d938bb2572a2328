"""Phantom of open_ms_data: the brains of the BraTS phantom under its names, their tumours as lesions."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tlkit.phantoms import brats
from tlkit.progress import track

END = "_N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI.nii.gz"
NAMES = {"t1": "T1" + END, "t1ce": "T1POST" + END, "t2": "T2" + END, "flair": "FLAIR" + END,
         "seg": "GOLD_STANDARD_N4_noneck_reduced_winsor_regtoFLAIR_regtoMNI.nii.gz"}  # fmt: skip


def write(root: Path, seed: int, patients: int = 8, pixels: int = 96, slices: int = 31) -> None:
    """Write `cross_sectional/MNI/patientNN/` with four contrasts, float32, and a mask of 0 and 1.

    A patient is that of the BraTS phantom of the same seed: large tumours, where the real set has small lesions.
    """
    import nibabel as nib

    for k in track(range(patients), patients, "phantom open_ms", "patient"):
        volumes, affine = brats.volumes(seed, k, pixels, slices)
        folder = root / "cross_sectional" / "MNI" / f"patient{k + 1:02}"
        folder.mkdir(parents=True)
        for kind, volume in volumes.items():
            told = (volume > 0).astype(np.uint8) if kind == "seg" else volume.astype(np.float32)
            picture = nib.Nifti1Image(told.transpose(2, 1, 0), affine)
            picture.header["descrip"] = b"tlkit PHANTOM"
            nib.save(picture, folder / NAMES[kind])


def expected_bytes(settings: dict) -> int:
    """Return an upper estimate of the size on disk."""
    return settings["patients"] * (settings["slices"] * settings["pixels"] ** 2 * 17 + 4096)
