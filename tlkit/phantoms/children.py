"""Phantoms of RSNA Pediatric Bone Age (left hands) and GRAZPEDWRI-DX (wrists, some with bone loss): children."""

from __future__ import annotations

from pathlib import Path

import cv2
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
# As given out: table, its header and words for girls and boys, folders of the images (in turn), number of the k-th.
VALIDATION = "Bone Age Validation Set"
PARTS = {
    "train": (
        "boneage-training-dataset.csv", "{id},{age},{male}", ("id", "boneage", "male"), ("False", "True"),
        ("boneage-training-dataset",), lambda k: 1377 + k + k // 8,
    ),
    "val": (
        f"{VALIDATION}/Validation Dataset.csv", "{id},{male},{age}",
        ("Image ID", "male", "Bone Age (months)"), ("FALSE", "TRUE"),
        (f"{VALIDATION}/boneage-validation-dataset-1", f"{VALIDATION}/boneage-validation-dataset-2"),
        lambda k: 1385 + 9 * k,
    ),
    "test": (
        "Bone Age Test Set/Bone age ground truth.csv", "{id},{male},{age}",
        ("Case ID", "Sex", "Ground truth bone age (months)"), ("F", "M"),
        ("Bone Age Test Set/Test Set Images",), lambda k: 4360 + k,
    ),
}  # fmt: skip


def draw_age(rng: np.random.Generator) -> int:
    """Return a bone age in months, 1 to 228: as in the real set around 127 with 41, but one in four from all ages."""
    age = rng.uniform(6, 222) if rng.random() < 0.25 else rng.normal(127, 41)
    return int(np.clip(round(age), 1, 228))


def write_boneage(root: Path, seed: int, train: int = 240, val: int = 60, test: int = 60, pixels: int = 96) -> None:
    """Write phantom hands `<part>/<number>.png` (8 bits, grey) and the three tables under their official headers.

    Of each two neighbours one is a girl. The official table of the test is an Excel sheet; here it is CSV.
    """
    for part, n in (("train", train), ("val", val), ("test", test)):
        table, line, header, words, folders, number = PARTS[part]
        lines = [",".join(header)]
        for folder in folders:
            (root / folder).mkdir(parents=True, exist_ok=True)
        for k in track(range(n), n, f"phantom bone age, {part}", "image"):
            rng = stream(seed, f"bone age {part}", k)
            male = bool(stream(seed, f"bone age sex {part}", k // 2).integers(2)) ^ bool(k % 2)
            age = draw_age(rng)
            child = random_hand(rng, age, male)
            picture = hand.image(child, hand.whole_hand(rng, child), pixels, rng)
            file = root / folders[k * len(folders) // n] / f"{number(k)}.png"
            cv2.imwrite(str(file), np.rint(255 * picture).astype(np.uint8))
            lines.append(line.format(id=number(k), age=age, male=words[male]))
        (root / table).write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_grazped(root: Path, seed: int, patients: int = 120, pixels: int = 96, osteopenia: float = 0.4) -> None:
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
