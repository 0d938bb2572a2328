"""Phantom of COVID-19 Radiography: chest radiographs with the opacities of the disease, or without finding."""

from __future__ import annotations

from pathlib import Path

from tlkit.phantoms import anatomy, chestxray, xray
from tlkit.phantoms.anatomy import Tissue
from tlkit.phantoms.streams import stream
from tlkit.phantoms.tubes import Builder, Tube
from tlkit.progress import track

SHARE = 3_616 / (3_616 + 10_192)  # of COVID-19 in the real images of the two classes
IN_BED = {"COVID": 0.5, "Normal": 0.2}  # share of AP exposures: the sick are taken in bed more often


def _covid(b: Builder, lungs: dict[int, Tube]) -> None:
    """Patches near the wall of both lungs, more in their lower half, between ground glass and consolidation."""
    dense = b.rng.uniform(0.6, 1.0)
    for side in (-1, 1):
        for _ in range(b.rng.integers(3, 6)):
            centre = (side * b.rng.uniform(84, 112), b.rng.uniform(-45, 55), b.rng.triangular(1255, 1290, 1400))
            patch = dict(pattern="blobs", level=b.rng.uniform(-1.2, -0.5), opacity=dense * b.rng.uniform(0.7, 1.0))
            b.ball(
                Tissue.MUSCLE,
                centre,
                b.rng.uniform((20, 40, 22), (36, 70, 46)),
                within=f"lung{side}",
                rough=0.2,
                **patch,
            )


def write(root: Path, seed: int, images: int = 160, pixels: int = 96) -> None:
    """Write phantom radiographs `COVID/images/COVID-N.png` and `Normal/images/Normal-N.png`, a body each, N from 1.

    As many of COVID-19 as in the real images: 1 to 2.8 without finding.
    """
    import cv2

    sick = max(round(SHARE * images), 1)
    counts = {"COVID": sick, "Normal": images - sick}
    names = [(kind, n) for kind, count in counts.items() for n in range(1, count + 1)]
    for kind in counts:
        (root / kind / "images").mkdir(parents=True)
    for kind, n in track(names, len(names), "phantom covid", "image"):
        rng = stream(seed, f"covid {kind}", n)
        body = xray.breathe_in(anatomy.random_body(rng, lesion_share=0.0), rng, rng.uniform(20, 45))
        found = ("COVID",) if kind == "COVID" else ()
        body = chestxray.plant(body, found, rng.integers(2**32, size=2).tolist(), {"COVID": _covid})
        exposure = xray.random_exposure(rng, "AP" if rng.random() < IN_BED[kind] else "PA", body.width)
        picture = xray.image(body, exposure, pixels, rng)
        cv2.imwrite(str(root / kind / "images" / f"{kind}-{n}.png"), picture)


def expected_bytes(settings: dict) -> int:
    """Return an upper estimate of the size on disk."""
    return settings["images"] * (settings["pixels"] ** 2 + 1024)
