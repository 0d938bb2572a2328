"""Layout "open_ms": patientNN/{FLAIR,T1,T1POST,T2,GOLD_STANDARD}_..._regtoMNI.nii.gz, read as BraTS is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import AfterValidator

from tlkit.datasets.cards import DataCard, UnreadableFile, visible_files
from tlkit.datasets.layout import FLAG, WINDOW, Layout
from tlkit.declared import one_of
from tlkit.layouts import brats
from tlkit.layouts.lits import Axial

CONTRASTS = ("FLAIR", "T1", "T1POST", "T2")
FILE = re.compile(rf"({'|'.join(CONTRASTS)}|GOLD_STANDARD)_\w+_regtoMNI\.nii\.gz")
PATIENT = re.compile(r"patient\d+")
TEXTS = (".md", ".txt", ".pdf")  # come with the images; nothing here reads them


def scan(root: Path, card: DataCard) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (samples, rejects) of all patients below `root`, one row per axial slice; headers only.

    Columns as those of layout "brats". Rejected with a reason: files of other names (the repository has the same
    patients in other spaces, too), patients without one of the channels or the consensus mask, files that do not fit.
    """
    patients: dict[str, tuple[str, dict[str, Path]]] = {}
    rejects = []
    for file in visible_files(root):
        path, what = file.relative_to(root).as_posix(), FILE.fullmatch(file.name)
        number = file.parent.name
        if not (what and PATIENT.fullmatch(number)):
            if file.suffix not in TEXTS:
                rejects.append((path, "not named patientNN/{FLAIR,T1,...}_..._regtoMNI.nii.gz", "rule"))
            continue
        files = patients.setdefault(number, (number, {}))[1]
        kind = "seg" if what[1] == "GOLD_STANDARD" else what[1]
        if kind in files or any(other.parent != file.parent for other in files.values()):
            rejects.append((path, f"{number} is there already", "rule"))
        else:
            files[kind] = file
    channels = brats.find_channels(card, CONTRASTS)
    return brats.tabulate(root, patients, channels, rejects, "{}/{}_..._regtoMNI.nii.gz")


def decode(root: Path, rows: pd.DataFrame, card: DataCard) -> tuple[list[np.ndarray | str], list[np.ndarray | None]]:
    """Return (images int16 [H,W,channels] or [H,W], masks uint8 [H,W], 1 in lesions) for the rows of one patient.

    Slices are axial, front up, right side left; grey values as layout "brats" scales them. With
    `options["only_labelled"]`, a reason (str) stands in place of a slice without lesion. Raises UnreadableFile for
    damaged, constant or non-finite volumes and for masks of other values than 0 and 1.
    """
    labels, masks = Axial(root / rows["mask_path"].iloc[0]), []
    for k in rows["frame"]:
        mask = labels.whole(k)
        if not np.isin(mask, (0, 1)).all():
            raise UnreadableFile(
                f"the consensus mask holds {np.setdiff1d(mask, (0, 1))[:5]} in slice {k}; expected 0, 1"
            )
        masks.append(mask.astype(np.uint8))
    empty = "no lesion in the slice" if card.options.get("only_labelled") else ""
    channels = brats.find_channels(card, CONTRASTS)
    return brats.scale(root, rows, channels, masks, card.options.get("scale", "channel"), empty)


LAYOUT = Layout(
    scan=scan,
    decode=decode,
    options={
        "channels": (tuple[Annotated[str, one_of(CONTRASTS, "channel")], ...], AfterValidator(brats.check_count)),
        "scale": (str, one_of(brats.SCALES, "scale")),
        "only_labelled": FLAG,
        "window": WINDOW,
    },
)
