"""Phantom of a folder of one's own: chest radiographs in two folders, two of each patient, named by the patient."""

from __future__ import annotations

from pathlib import Path

import cv2

from tlkit import paths, plugins
from tlkit.phantoms import chests, xray
from tlkit.phantoms.streams import stream
from tlkit.progress import track

CLASSES = {"consolidation": ("Consolidation",), "no finding": ()}
IMAGES = 2  # of each patient
PATIENT = r"(p\d+)_"  # what says in the name of a file who is shown
PATIENTS = {"smoke": 12}  # by scale; of all others those of `write`


def write(root: Path, seed: int, patients: int = 60, pixels: int = 96) -> None:
    """Write phantom radiographs `<class>/p<patient>_<number>.png`, 8 bits, grey; half of the patients have a finding.

    The images of a patient show the same body and finding, each with an exposure and a pose of its own.
    """
    for name in CLASSES:
        (root / name).mkdir(parents=True)
    for number in track(range(1, patients + 1), patients, "phantom own images", "patient"):
        rng = stream(seed, "own images", number)
        body = xray.random_patient(rng)
        name = list(CLASSES)[number % len(CLASSES)]
        body = chests.plant(body, CLASSES[name], [seed, number])
        for shot in range(1, IMAGES + 1):
            exposure = xray.random_exposure(rng, "AP" if rng.random() < 0.3 else "PA", body.width)
            cv2.imwrite(str(root / name / f"p{number:03d}_{shot}.png"), xray.image(body, exposure, pixels, rng))


def example(scale: str = "quick") -> Path:
    """Return a folder of these phantoms to try the advice on, written below the runs where it is missing."""
    more = {"patients": PATIENTS[scale]} if scale in PATIENTS else {}
    return plugins.phantoms().make("own_images", paths.phantom_root(), seed=1, **more)
