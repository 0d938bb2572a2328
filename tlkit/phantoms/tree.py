"""Files that several phantoms write."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def save_nifti(file: Path, array: np.ndarray, affine: np.ndarray, unit: str = "mm") -> None:
    """Write an array [x, y, z] with its voxel-to-world matrix; it says that it is a phantom."""
    import nibabel as nib

    picture = nib.Nifti1Image(array, affine)
    if unit:
        picture.header.set_xyzt_units(unit)
    picture.header["descrip"] = b"tlkit PHANTOM"
    nib.save(picture, file)
