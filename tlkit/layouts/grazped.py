"""Layout "grazped": GRAZPEDWRI-DX, 16-bit PNG radiographs of children's wrists with one dataset.csv.

Bone loss (osteopenia) is the label. Brightness: 16 bits are mapped linearly to 8, from the image's own percentiles
`options["percentiles"]` (clipped), since detectors differ in the range they use; 8-bit files stay as they are.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import AfterValidator

from tlkit.config import ConfigError
from tlkit.datasets import bounds
from tlkit.datasets.cards import DataCard, visible_files
from tlkit.datasets.layout import Layout, Percent
from tlkit.declared import rising
from tlkit.layouts import folders
from tlkit.layouts.entries import FALSE, Reject, keep_once, numbers, read_table, refuse, truth

CSV = "dataset.csv"
NAMES = {name: (name,) for name in ("filestem", "patient_id", "osteopenia", "age", "cast")}
NEEDED = ("filestem", "patient_id", "osteopenia")
NO = FALSE | {""}  # the official file leaves the field empty


def scan(root: Path, card: DataCard) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (samples, rejects), one row per image: label 0/1, class, age in years, cast 0/1 (NaN: not said).

    `patient` is the CSV's patient_id, so that several images of a child stay together; `split` is empty. An empty
    osteopenia is 0, as published; words and numbers for yes and no are read, anything else is rejected (published: any
    entry is 1). Rejected too: no patient, rows without image, images without row, doubled file stems. Raises
    ConfigError where dataset.csv is missing, there twice, or no such table.
    """
    files, csv, rejects = _files(root)
    table = _entries(root / csv, csv)
    table, equal = keep_once(table, ["filestem"])
    rejects += [(stem, f"equal rows of {CSV}, read once", "note") for stem in equal["filestem"]]
    rejects += [(files[s], f"{CSV} does not know the image", "rule") for s in sorted(set(files) - {*table["filestem"]})]
    table["path"] = table["filestem"].map(lambda stem: files.get(stem, stem))
    label = truth(table["osteopenia"], false=NO)
    checks = [
        (table["filestem"] == "", f"a row of {CSV} without a file stem", "unreadable"),
        (table["odd"], f"rows of {CSV} that differ", "unreadable"),
        (~table["filestem"].isin(files), f"no image for this row of {CSV}", "unreadable"),
        (table["patient_id"] == "", "no patient_id", "unreadable"),
        (label.isna(), "osteopenia is neither yes nor no: '" + table["osteopenia"] + "'", "unreadable"),
    ]
    kept, more = refuse(table, checks)
    rows = label[kept.index].astype(int)
    samples = pd.DataFrame({"id": kept["filestem"], "path": kept["path"], "frame": 0, "patient": kept["patient_id"]})
    samples["split"], samples["label"] = "", rows
    samples["class"] = pd.Categorical.from_codes(rows, list(card.classes))
    samples["age"], samples["cast"] = numbers(kept["age"]), truth(kept["cast"], false=NO)
    samples = samples.sort_values("id", ignore_index=True)
    return samples, pd.DataFrame(sorted(rejects + more), columns=["path", "reason", "kind"])


def decode(root: Path, rows: pd.DataFrame, card: DataCard) -> tuple[list[np.ndarray | str], list[None]]:
    """Return ([image], [None]) of one file, uint8 [H,W]; 16 bits by the card's percentiles.

    The reason in place of the image where all pixels are equal. Raises UnreadableFile where it does not decode.
    """
    with bounds.reading(partial(folders.reason, root)), folders.open_picture(root / rows["path"].iloc[0]) as image:
        if image.mode[0] != "I":
            return folders.decode(root, rows, card)
        pixels = np.asarray(image)
        return [to_bytes(pixels, card.options["percentiles"])], [None]


def to_bytes(pixels: np.ndarray, percentiles: tuple[float, float]) -> np.ndarray | str:
    """Return uint8 [H,W]: 0 at the lower percentile of the image, 255 at the upper one; a reason where there is none.

    Where both percentiles are one value (a few bright pixels on nothing), the whole range of the image counts.
    """
    low, high = np.percentile(pixels, percentiles)
    if low == high:
        low, high = float(pixels.min()), float(pixels.max())
    if low == high:
        return "all pixels are equal"
    return np.rint(np.clip((pixels - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def _files(root: Path) -> tuple[dict[str, str], str, list[Reject]]:
    """Return ({file stem: path} of the images, path of dataset.csv, rejects and notes on what else is there)."""
    files: dict[str, str] = {}
    tables, others, rejects = [], Counter(), []
    for file in visible_files(root):
        path, kind = file.relative_to(root).as_posix(), file.suffix.lower()
        if file.name.lower() == CSV:
            tables.append(path)
        elif kind != ".png":
            others[(file.relative_to(root).parent.as_posix(), file.suffix)] += 1
        elif file.stem in files:
            rejects.append((path, f"{file.name} is there already: {files[file.stem]}", "rule"))
        else:
            files[file.stem] = path
    if len(tables) != 1:
        found = f"{len(tables)}: {', '.join(tables)}" if tables else f"no {CSV}"
        raise ConfigError(f"{root}: expected one {CSV}, which holds patients and labels; found {found}.")
    rejects += [(folder, f"{n} files '{kind}' are not read", "note") for (folder, kind), n in others.items()]
    return files, tables[0], rejects


def _entries(file: Path, name: str) -> pd.DataFrame:
    table = read_table(file, NAMES)
    if missing := [column for column in NEEDED if column not in table]:
        raise ConfigError(
            f"{name} lacks the columns {', '.join(missing)}; known ones found: {', '.join(table) or 'none'}. "
            "Take the file as it was published: comma-separated, with its header."
        )
    table["filestem"] = table["filestem"].str.replace(r"\.png$", "", regex=True, case=False)
    table["patient_id"] = table["patient_id"].str.replace(r"\.0$", "", regex=True)
    return table.reindex(columns=list(NAMES), fill_value="?")  # neither a number nor yes or no


LAYOUT = Layout(
    scan=scan,
    decode=decode,
    options={"percentiles": (tuple[Percent, Percent], AfterValidator(rising))},
)
