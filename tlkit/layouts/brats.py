"""Layout "brats": BraTS20_Training_NNN/BraTS20_Training_NNN_{t1,t1ce,t2,flair,seg}.nii[.gz], one folder per patient."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import AfterValidator

from tlkit.config import ConfigError, lookup
from tlkit.datasets import bounds
from tlkit.datasets.cards import DataCard, UnreadableFile, visible_files
from tlkit.datasets.layout import FLAG, WINDOW, Layout
from tlkit.declared import one_of
from tlkit.layouts.lits import Axial, count_slices

MODALITIES = ("t1", "t1ce", "t2", "flair")
SCALES = ("channel", "patient")
FOLDER = re.compile(r"BraTS20_Training_(\d{3})")
ODD_SEG = re.compile(r"W39_1998\.09\.19_Segm\.nii(\.gz)?")  # what the official archive calls patient 355's
TABLES = ("name_mapping.csv", "survival_info.csv")  # come with the images; nothing here reads them
LABELS = np.array([0, 1, 2, -1, 3], np.int8)  # written 0, 1, 2, 4; there is no 3
WORK = 24  # bytes a voxel of a volume that is read and searched for its brightest
TOP, FULL = 99.9, 4000  # the percentile of a volume's non-zero voxels that is stored as FULL


def scan(root: Path, card: DataCard) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (samples, rejects) of all patients below `root`, one row per axial slice; headers only.

    `path` is the patient's folder, `frame` counts from the feet up; one more column for the file of each channel.
    Rejected with a reason: files of other names, second files of a patient, patients without one of the
    channels or the segmentation, files whose shape or affine differs from the segmentation's.
    Raises ConfigError for channels that the data set does not have.
    """
    patients, rejects = _patients(root)
    names = {number: (f"BraTS20_Training_{number}", files) for number, files in patients.items()}
    return tabulate(root, names, find_channels(card), rejects, "BraTS20_Training_{}_{}.nii[.gz]")


def tabulate(
    root: Path, patients: dict[str, tuple[str, dict[str, Path]]], channels: Sequence[str], rejects: list, wanted: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (samples, rejects) of patients, one row per slice: {patient: (begin of ids, files by channel and "seg")}.

    `wanted` is the name of a file, with {} for patient and channel.
    """
    rows = []
    for number, (begin, files) in patients.items():
        folder = next(iter(files.values())).parent.relative_to(root).as_posix()
        missing = [k for k in (*channels, "seg") if k not in files]
        if missing:
            rejects.append((folder, f"no {wanted.format(number, missing[0])}", "unreadable"))
            continue
        names = {k: files[k].relative_to(root).as_posix() for k in (*channels, "seg")}
        for k in channels:
            try:
                n = count_slices(files[k], files["seg"])
            except UnreadableFile as error:
                rejects.append((names[k], str(error), "unreadable"))
                break
        else:
            same = {"path": folder, "mask_path": names.pop("seg"), **names, "patient": number, "split": ""}
            rows += [{"id": f"{begin}_{z:03d}", "frame": z, **same} for z in range(n)]
    columns = ["id", "path", "mask_path", *channels, "frame", "patient", "split"]
    samples = pd.DataFrame(rows, columns=columns).sort_values("id", ignore_index=True)
    return samples, pd.DataFrame(sorted(rejects), columns=["path", "reason", "kind"])


def decode(root: Path, rows: pd.DataFrame, card: DataCard) -> tuple[list[np.ndarray | str], list[np.ndarray | None]]:
    """Return (images int16 [H,W,channels] or [H,W], masks uint8 [H,W] of 0 to 3) for the rows of one patient.

    Slices are axial, front up, right side left. MR has no unit: the `TOP` percentile of a volume's non-zero
    voxels becomes `FULL`, nothing up to 8 times as bright is cut, 0 stays 0. `options["scale"]`: each "channel" has
    its own factor, or all of a "patient" share one, so that ratios between channels stay as they are in the files.
    With `options["only_tumour"]`, a reason (str) stands in place of a slice without tumour. Raises
    UnreadableFile for damaged, constant or non-finite volumes and for other labels than 0, 1, 2, 4.
    """
    masks = _masks(root / rows["mask_path"].iloc[0], rows["frame"])
    empty = "no tumour in the slice" if card.options.get("only_tumour") else ""
    return scale(root, rows, find_channels(card), masks, card.options.get("scale", "channel"), empty)


def scale(
    root: Path, rows: pd.DataFrame, channels: Sequence[str], masks: list, shared: str, empty: str
) -> tuple[list[np.ndarray | str], list[np.ndarray | None]]:
    """Return (images, masks) of the slices of one patient (see `decode`); `empty` stands for one without a mask."""
    first = rows.iloc[0]
    lookup(shared, dict.fromkeys(SCALES), "scale")
    volumes = [_volume(root / first[k]) for k in channels]
    tops = [_top(v, root / first[k]) for v, k in zip(volumes, channels, strict=True)]
    factors = np.float32(FULL) / np.array([max(tops)] * len(tops) if shared == "patient" else tops, np.float32)
    images: list[np.ndarray | str] = []
    for i, k in enumerate(rows["frame"]):
        if empty and not masks[i].any():
            images.append(empty)
            masks[i] = None
        else:
            image = np.stack([v[k] * f for v, f in zip(volumes, factors, strict=True)], axis=-1)
            image = np.clip(np.rint(image), -32768, 32767).astype(np.int16)
            images.append(image[..., 0] if len(volumes) == 1 else image)
    return images, masks


def find_channels(card: DataCard, known: Sequence[str] = MODALITIES) -> tuple[str, ...]:
    """Return the modalities that become the image: one (grey) or three."""
    channels = tuple(card.options.get("channels", ("t1", "t1ce", "flair")))
    for name in channels:
        lookup(name, dict.fromkeys(known), f"channel of {card.name}")
    return check_count(channels)


def check_count(channels: Sequence[str]) -> Sequence[str]:
    """Return the channels; raise ConfigError for another number than one or three."""
    if len(channels) not in (1, 3):
        raise ConfigError(f"an image has 1 or 3 channels; found {len(channels)}: {', '.join(channels)}")
    return channels


def _patients(root: Path) -> tuple[dict[str, dict[str, Path]], list[tuple[str, str, str]]]:
    """Return the files of each patient by modality (or "seg"), and rejects: other names, second files."""
    patients: dict[str, dict[str, Path]] = {}
    rejects = []
    for file in visible_files(root):
        path, number, kind = file.relative_to(root).as_posix(), *_what(file)
        if not kind:
            if file.name not in TABLES:
                wanted = f"BraTS20_Training_NNN/BraTS20_Training_NNN_{{{','.join(MODALITIES)},seg}}.nii[.gz]"
                rejects.append((path, f"not named {wanted}", "rule"))
            continue
        files = patients.setdefault(number, {})
        first = files.get(kind) or next(iter(files.values()), file)
        if kind in files or first.parent != file.parent:
            rejects.append((path, f"patient {number} is there already: {first.relative_to(root).as_posix()}", "rule"))
        else:
            files[kind] = file
    return patients, rejects


def _what(file: Path) -> tuple[str, str]:
    """Return the patient's number and the modality (or "seg") that a file's name gives; empty if none."""
    folder = FOLDER.fullmatch(file.parent.name)
    if not folder:
        return "", ""
    match = re.fullmatch(rf"{folder[0]}_({'|'.join(MODALITIES)}|seg)\.nii(\.gz)?", file.name)
    odd = folder[1] == "355" and ODD_SEG.fullmatch(file.name)
    return folder[1], match[1] if match else "seg" if odd else ""


def _masks(path: Path, frames: pd.Series) -> list[np.ndarray | None]:
    """Return the masks of some slices, uint8 [H,W]: 0 background, 1 NCR/NET, 2 ED, 3 ET."""
    labels, masks = Axial(path), []
    for k in frames:
        written = labels.whole(k)
        if not np.isin(written, (0, 1, 2, 4)).all():
            odd = ", ".join(f"{v:g}" for v in np.setdiff1d(written, (0, 1, 2, 4))[:5])
            raise UnreadableFile(f"{path.name}: labels {odd} in slice {k}; expected 0, 1, 2, 4")
        masks.append(LABELS[written.astype(np.intp)].astype(np.uint8))
    return masks


def _volume(path: Path) -> np.ndarray:
    """Return all slices, float32 [Z,H,W]; raise UnreadableFile where they cannot be an image."""
    slices = Axial(path)
    bounds.check_need(WORK * slices.raw.size)
    volume = np.stack([slices[k] for k in range(slices.raw.shape[2])])
    if not np.isfinite(volume).all():
        raise UnreadableFile(f"{path.name}: values that are no numbers")
    if volume.min() == volume.max():
        raise UnreadableFile(f"{path.name}: every voxel is {volume.flat[0]:g}")
    return volume


def _top(volume: np.ndarray, path: Path) -> float:
    top = float(np.percentile(volume[volume != 0], TOP))
    if top <= 0:
        raise UnreadableFile(f"{path.name}: no positive values")
    return top


LAYOUT = Layout(
    scan=scan,
    decode=decode,
    options={
        "channels": (tuple[Annotated[str, one_of(MODALITIES, "channel")], ...], AfterValidator(check_count)),
        "scale": (str, one_of(SCALES, "scale")),
        "only_tumour": FLAG,
        "window": WINDOW,
    },
)
