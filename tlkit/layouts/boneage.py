"""Layout "boneage": RSNA Pediatric Bone Age, PNG radiographs of left hands in three parts with a table each.

Reads the archives as they are given out and the tree that the study renamed them to (radiologynet2025 2.4): which part
a file belongs to is in its name or its folders' names, and each table names its columns in its own way. Every image
counts as a patient of its own where `options["patient"]` does not say who is shown.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import AfterValidator

from tlkit.config import ConfigError
from tlkit.datasets.cards import DataCard, visible_files
from tlkit.datasets.layout import RANGE, Layout
from tlkit.declared import one_of, rising
from tlkit.layouts import folders
from tlkit.layouts.entries import FALSE, TRUE, Reject, keep_once, numbers, read_table, refuse, truth
from tlkit.layouts.patients import PATIENT, name_patients, patients

PARTS = {"train": "train", "valid": "val", "val": "val", "test": "test", "ground truth": "test"}
PART = re.compile(r"(?<![a-z])(train|valid|val(?![a-z])|test|ground truth)")
NAMES = {  # headers of the official tables and of the renamed ones; sex apart from male: a 1 there says nothing
    "number": ("id", "Image ID", "Case ID"),
    "boneage": ("boneage", "Bone Age (months)", "Ground truth bone age (months)"),
    "male": ("male",),
    "sex": ("Sex", "Gender"),
}
MALE, FEMALE = {"m", "male", "boy"}, {"f", "female", "girl"}
SINGLE = {"train": 2, "val": 8, "test": 8}  # a part of so many images or more that all have one sex is an error
INPUTS = ("male",)  # columns that a model may be told besides the image
COLUMNS = ["id", "path", "frame", "patient", "split", "label", "boneage", "male"]


def scan(root: Path, card: DataCard) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (samples, rejects), one row per image: `boneage` in months, `male` 0.0 or 1.0; no image is opened.

    `split` is the official one; `label` is the whole years of bone age and serves for stratified draws alone. Rejected
    with a reason: rows without image, images without row, doubled numbers, a sex that is no word for one, ages outside
    `options["ages"]` (months). Raises ConfigError where the training table is missing or sex is constant in a part.
    """
    files, tables, rejects = _files(root)
    entries, more = _entries(root, tables)
    rejects += more
    entries, equal = keep_once(entries, ["split", "number"])
    keys = list(zip(entries["split"], entries["number"], strict=True))
    entries["path"] = [files.get(key, "/".join(key)) for key in keys]
    rejects += [(f"{r.split}/{r.number}", "equal rows of the table, read once", "note") for r in equal.itertuples()]
    rejects += [(path, "no row for the image in the table of its part", "rule") for path in _left(files, keys)]
    low, high = card.options["ages"]
    male, age = _male(entries), numbers(entries["boneage"])
    told = "'" + entries["sex"].where(entries["male"] == "", entries["male"]) + "'"
    there = pd.Series([key in files for key in keys], index=entries.index, dtype=bool)
    checks = [
        (entries["number"] == "", "a row without the number of its image", "unreadable"),
        (entries["odd"], "rows of the table that differ", "unreadable"),
        (~there, "no image for this row of the table", "unreadable"),
        (male.isna(), "no known word for the sex: " + told, "unreadable"),
        (~age.between(low, high), f"bone age outside {low:g} to {high:g} months: '" + entries["boneage"] + "'", "rule"),
    ]
    kept, more = refuse(entries, checks)
    samples = kept.assign(frame=0, boneage=age, male=male, id=kept["split"] + "/" + kept["number"])
    samples["label"] = (samples["boneage"] // 12).astype(int)
    samples, unnamed = name_patients(root, samples.reset_index(drop=True), card)
    samples = samples[COLUMNS].sort_values("id", ignore_index=True)
    _check_sex(samples)
    return samples, pd.DataFrame(sorted(rejects + more + unnamed), columns=["path", "reason", "kind"])


def part_of(path: str) -> str:
    """Return the part ("train", "val", "test") that the last telling name in a path says, or an empty string."""
    for name in reversed(path.lower().split("/")):
        if found := PART.search(name):
            return PARTS[found[1]]
    return ""


def _files(root: Path) -> tuple[dict[tuple[str, str], str], list[str], list[Reject]]:
    """Return ({(part, number): path} of the images, paths of the tables, rejects of what else is there)."""
    files: dict[tuple[str, str], str] = {}
    tables, rejects = [], []
    for file in visible_files(root):
        path, kind = file.relative_to(root).as_posix(), file.suffix.lower()
        key = part_of(path), file.stem
        if kind in (".csv", ".xlsx"):
            tables.append(path)
        elif kind != ".png":
            rejects.append((path, f"'{file.suffix}' is neither a PNG image nor a table", "rule"))
        elif not key[0]:
            rejects.append((path, "neither file nor folders say train, validation or test", "rule"))
        elif key in files:
            rejects.append((path, f"{file.stem} of this part is there already: {files[key]}", "rule"))
        else:
            files[key] = path
    return files, tables, rejects


def _entries(root: Path, tables: list[str]) -> tuple[pd.DataFrame, list[Reject]]:
    """Return the rows of all tables as text (split, number, boneage, male, sex), and notes on what is not used."""
    frames, notes = [], []
    for path in tables:
        table = read_table(root / path, NAMES)
        lacks = [name for name in ("number", "boneage") if name not in table]
        lacks += [] if {"male", "sex"} & set(table) else ["male or sex"]
        lacks += [] if len(table) else ["rows"]
        if lacks or not part_of(path):
            why = f"lacks {', '.join(lacks)}" if lacks else "its name says neither train, validation nor test"
            notes.append((path, f"table not used: {why}", "note"))
            continue
        table["number"] = table["number"].str.replace(r"(\.0|\.png)$", "", regex=True, case=False)
        frames.append(table.reindex(columns=["number", "boneage", "male", "sex"], fill_value="").assign(
            split=part_of(path)
        ))  # fmt: skip
    parts = {frame["split"].iloc[0] for frame in frames if len(frame)}
    if "train" not in parts:
        found = "; ".join(f"{path}: {why}" for path, why, _ in notes) or "no table at all"
        raise ConfigError(
            f"{root} lacks the table of the training images, whose columns are "
            f"{', '.join(' or '.join(headers) for headers in NAMES.values())} (male or Sex suffices). Found: {found}."
        )
    notes += [
        (part, "no table of this part: its images are drawn from the training part", "note")
        for part in sorted({"val", "test"} - parts)
    ]
    return pd.concat(frames, ignore_index=True), notes


def _male(entries: pd.DataFrame) -> pd.Series:
    """Return 1.0 for boys and 0.0 for girls: words and numbers under "male", words alone under "sex"."""
    return truth(entries["male"], TRUE | MALE, FALSE | FEMALE).fillna(truth(entries["sex"], MALE, FEMALE))


def _left(files: dict[tuple[str, str], str], keys: list[tuple[str, str]]) -> list[str]:
    known = set(keys)
    return [path for key, path in files.items() if key not in known]


def _check_sex(samples: pd.DataFrame) -> None:
    """Raise ConfigError where all images of a part have one sex: then the input says nothing (radiologynet2025 2.4)."""
    for part, rows in samples.groupby("split"):
        if len(rows) >= SINGLE[part] and rows["male"].nunique() == 1:
            raise ConfigError(
                f"sex is constant: all {len(rows)} images of '{part}' have male = {rows['male'].iloc[0]:g}, so as an "
                "input it says nothing. Expected boys and girls; look at the column male (or Sex) of that table."
            )


LAYOUT = Layout(
    scan=scan,
    decode=folders.decode,  # its card says one channel, so luminance; a cut file is unreadable
    patients=patients,
    options={
        "channels": folders.CHANNEL,
        "patient": PATIENT,
        "ages": (tuple[float, float], AfterValidator(rising)),
        "inputs": (tuple[Annotated[str, one_of(INPUTS, "input")], ...], {}),
        "range": RANGE,
    },
)
