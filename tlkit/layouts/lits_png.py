"""Layout "lits_png": LiTS as grey PNG slices with one liver and one lesion mask each (Kaggle's lits-png)."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from tlkit.datasets.cards import DataCard, UnreadableFile, visible_files
from tlkit.datasets.layout import FLAG, RANGE, SCANS, Layout
from tlkit.layouts import folders

NAME = re.compile(r"(volume-(\d+)_(\d+)|segmentation-(\d+)_(livermask|lesionmask)_(\d+))\.png")
ANY = (0.0, 255.0)  # range of masks of more than 8 bits: of what is above 0 all stays above 0
COLUMNS = ["id", "path", "liver_path", "lesion_path", "frame", "patient", "split"]


def scan(root: Path, card: DataCard) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (samples, rejects) of all slices below `root`, one row per slice; no file is opened.

    `patient` is the volume's number, `frame` the slice's. Rejected with a reason: slices that lack a mask, masks
    without a slice, second copies.
    """
    files: dict[tuple[int, int, str], str] = {}
    rows, rejects = [], []
    for file in visible_files(root):
        path, match = file.relative_to(root).as_posix(), NAME.fullmatch(file.name)
        if not match:
            rejects.append(
                (path, "named neither volume-V_S.png nor segmentation-V_{livermask,lesionmask}_S.png", "rule")
            )
            continue
        key = (int(match[2] or match[4]), int(match[3] or match[6]), match[5] or "volume")
        if key in files:
            rejects.append((path, f"{file.name} is there already: {files[key]}", "rule"))
        else:
            files[key] = path
    for (volume, k, kind), path in files.items():
        masks = [files.get((volume, k, name)) for name in ("livermask", "lesionmask")]
        if kind != "volume":
            if (volume, k, "volume") not in files:
                rejects.append((path, f"no volume-{volume}_{k}.png to this mask", "unreadable"))
        elif None in masks:
            lacks = ("livermask", "lesionmask")[masks.index(None)]
            rejects.append((path, f"no segmentation-{volume}_{lacks}_{k}.png to this slice", "unreadable"))
        else:
            rows.append((f"volume-{volume:03d}_{k:04d}", path, *masks, k, f"{volume:03d}", ""))
    samples = pd.DataFrame(rows, columns=COLUMNS).sort_values("id", ignore_index=True)
    return samples, pd.DataFrame(sorted(rejects), columns=["path", "reason", "kind"])


def decode(root: Path, rows: pd.DataFrame, card: DataCard) -> tuple[list[np.ndarray | str], list[np.ndarray | None]]:
    """Return ([image], [mask]) of one slice: uint8 grey [H,W] as exported, and 0, 1 liver, 2 lesion; lesion wins.

    A mask is what is above 0. With `options["only_liver"]`, a reason (str) stands in place of a slice without liver or
    lesion. Raises UnreadableFile for damaged files and for masks of another size.
    """
    image = _picture(root, rows["path"].iloc[0], card)
    of_masks = replace(card, options={**card.options, "range": ANY})
    liver, lesion = (_picture(root, rows[c].iloc[0], of_masks) for c in ("liver_path", "lesion_path"))
    if not image.shape == liver.shape == lesion.shape:
        raise UnreadableFile(f"sizes of slice {image.shape}, liver {liver.shape} and lesion {lesion.shape} differ")
    mask = np.where(lesion > 0, 2, liver > 0).astype(np.uint8)
    if card.options.get("only_liver") and not mask.any():
        return ["no liver in the slice"], [None]
    return [image], [mask]


def _picture(root: Path, path: str, card: DataCard) -> np.ndarray:
    try:
        return folders.decode(root, pd.DataFrame({"path": [path]}), card)[0][0]
    except UnreadableFile as error:
        raise UnreadableFile(f"{path}: {error}") from error


LAYOUT = Layout(scan=scan, decode=decode, patients=lambda card: SCANS, options={"only_liver": FLAG, "range": RANGE})
