"""Phantom of GRAZPEDWRI-DX: wrists of children in several studies each, some with bone loss, some in a cast."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tlkit.phantoms import hand
from tlkit.phantoms.handbones import lose_bone, random_hand
from tlkit.phantoms.streams import stream
from tlkit.progress import track

HEADER = (
    "filestem,patient_id,study_number,timehash,gender,age,laterality,projection,initial_exam,ao_classification,cast,"
    "diagnosis_uncertain,osteopenia,fracture_visible,metal,pixel_spacing,device_manufacturer"
)
CAST = {False: 0.2, True: 0.4}  # bone is lost at rest: a cast is more frequent with osteopenia, and proves nothing
DEPTHS = (4095, 16383, 65535)  # greatest values of detectors


def write(root: Path, seed: int, patients: int = 120, pixels: int = 96, osteopenia: float = 0.4) -> None:
    """Write phantom wrists `images_part<k>/<filestem>.png` (16 bits, grey) and dataset.csv with its official header.

    `osteopenia` is the share of patients who have it (real images: 12 %), some from a later study on. One to three
    studies of a wrist, from the back and mostly also from the side. Fractures are not shown: their fields are empty.
    """
    lines = [HEADER]
    for number in track(range(1, patients + 1), patients, "phantom grazpedwri", "patient"):
        folder = root / f"images_part{1 + 4 * (number - 1) // patients}"
        folder.mkdir(parents=True, exist_ok=True)
        lines += _patient(folder, number, stream(seed, "grazpedwri patient", number), pixels, osteopenia)
    (root / "dataset.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _patient(folder: Path, number: int, rng: np.random.Generator, pixels: int, share: float) -> list[str]:
    """Write the images of one patient and return their lines of the table."""
    import cv2

    male, side = bool(rng.integers(2)), str(rng.choice(("L", "R")))
    years, ill = float(np.clip(rng.normal(10.9, 3.6), 1.5, 18.9)), rng.random() < share
    begins, lines = 1 + int(ill and rng.random() < 0.3), []
    months = float(np.clip(12 * years + rng.normal(0, 9), 6, 228))  # bone age is not the age
    well = random_hand(rng, months, male)
    children = {False: well, True: lose_bone(well, rng)}
    studies = max(begins, min(int(rng.geometric(0.6)), 3))
    for study, when in enumerate(np.sort(rng.integers(10**8, 2 * 10**9, studies)), 1):
        lost = bool(ill and study >= begins)
        cast = rng.random() < CAST[lost]
        for projection in (1, 2)[: 2 if rng.random() < 0.9 else 1]:
            shot = hand.wrist(rng, children[lost], side, projection)
            picture = hand.image(children[lost], shot, pixels, rng, cast=cast)
            sex, mm = "FM"[male], shot.exposure.fov / pixels
            stem = f"{number:04d}_{when:010d}_{study:02d}_WRI-{side}{projection}_{sex}{int(years):03d}"
            cv2.imwrite(str(folder / f"{stem}.png"), np.rint(picture * rng.choice(DEPTHS)).astype(np.uint16))
            marks = [_mark(study == 1), "", _mark(cast), "", _mark(lost), "", ""]
            facts = [stem, number, study, when, sex, f"{years:.1f}", side, projection, *marks, f"{mm:.3f}", "PHANTOM"]
            lines.append(",".join(map(str, facts)))
    return lines


def _mark(yes: bool) -> str:
    return "1" if yes else ""


def expected_bytes(settings: dict) -> int:
    """Return an upper estimate of the size on disk."""
    return settings["patients"] * 4 * (2 * settings["pixels"] ** 2 + 1024)
