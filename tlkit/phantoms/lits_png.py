"""Phantom of LiTS as PNG slices: the volumes of the LiTS phantom, exported to 8 bits with two masks a slice."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tlkit.phantoms import lits
from tlkit.progress import track

WINDOW = (40.0, 400.0)  # HU centre and width that become 0 to 255; the real export does not say its own


def write(root: Path, seed: int, volumes: int = 24, pixels: int = 96, slices: tuple[int, int] = (30, 40)) -> None:
    """Write `volume-V_S.png`, `segmentation-V_livermask_S.png` and `segmentation-V_lesionmask_S.png`, S from the feet.

    The same seed gives the bodies and slices of `lits.write`. Masks are 0 and 255; a lesion is a part of its liver.
    """
    import cv2

    low, width = WINDOW[0] - WINDOW[1] / 2, WINDOW[1]
    for v in track(range(volumes), volumes, "phantom lits_png", "volume"):
        _, hu, mask, _ = lits.scan(seed, v, pixels, slices)
        grey = np.rint(np.clip((hu - low) / width, 0, 1) * 255).astype(np.uint8)
        for k in range(len(hu)):
            cv2.imwrite(str(root / f"volume-{v}_{k}.png"), grey[k])
            cv2.imwrite(str(root / f"segmentation-{v}_livermask_{k}.png"), np.uint8(255) * (mask[k] > 0))
            cv2.imwrite(str(root / f"segmentation-{v}_lesionmask_{k}.png"), np.uint8(255) * (mask[k] == 2))


def expected_bytes(settings: dict) -> int:
    """Return an upper estimate of the size on disk."""
    return settings["volumes"] * settings["slices"][1] * (settings["pixels"] ** 2 + 1024)
