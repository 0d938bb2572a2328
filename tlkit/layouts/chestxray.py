"""Layout "chestxray": NIH ChestX-ray8/14, PNG radiographs with one CSV of findings and two official lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tlkit.config import ConfigError
from tlkit.datasets import bounds
from tlkit.datasets.cards import DataCard, UnreadableFile, visible_files
from tlkit.datasets.layout import RANGE, Layout
from tlkit.layouts import folders

CSVS = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")  # the first that is there is read
COLUMNS = {"Image Index": "image", "Finding Labels": "findings", "Patient ID": "patient"}
TRAIN_VAL, TEST = "train_val_list.txt", "test_list.txt"
REJECTS = ["path", "reason", "kind"]


def scan(root: Path, card: DataCard) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (samples, rejects), one row per image with a bool column per label; of the images only headers are read.

    `patient` is from the CSV, `split` ("test", "train") from the lists; `label` is the index of the image's rarest
    label and serves for stratified draws alone. Rejected with a reason: images that the CSV or the lists don't know,
    what has no image, labels that are unknown or contradict each other, and of patients in both lists the images of
    train_val_list.txt. Kind "note": used, but worth knowing. Raises ConfigError where CSV or lists can't be read.
    """
    names, also = [*card.classes, *card.options.get("also", ())], list(card.options.get("also", ()))
    files, rejects = _images(root)
    entries, more = _entries(root)
    lists = {name: _list(root, name) for name in (TRAIN_VAL, TEST)}
    known = set(entries["image"])
    rejects += more
    rejects += [(files[i], "the CSV does not know the image", "rule") for i in files if i not in known]
    rejects += [(i, "no image for this row of the CSV", "unreadable") for i in known if i not in files]
    rejects += [
        (i, f"no image for this line of {name}", "unreadable") for name in lists for i in lists[name] - known - {*files}
    ]

    table = entries[entries["image"].isin(files)].reset_index(drop=True)
    table["path"] = table["image"].map(files)
    labels = table["findings"].str.get_dummies("|").astype(bool)
    labels = labels.reindex(columns=labels.columns.union(names, sort=False), fill_value=False)
    told = _told(table, labels, names, also, lists)
    rejects += list(told[["path", "reason", "kind"]].itertuples(index=False, name=None))
    table, labels = (frame.drop(index=told.index) for frame in (table, labels[names]))
    samples = pd.DataFrame({"id": table["image"], "path": table["path"], "frame": 0, "patient": table["patient"]})
    samples["split"] = np.where(table["image"].isin(lists[TEST]), "test", "train")
    samples["label"] = np.where(labels, labels.sum().to_numpy(), len(labels) + 1).argmin(axis=1)
    samples = pd.concat([samples, labels], axis=1).sort_values("id", ignore_index=True)
    rejects += [
        (path, "stands in both official lists; used for the test", "note")
        for path in samples.loc[samples["id"].isin(lists[TRAIN_VAL] & lists[TEST]), "path"]
    ]
    rejects += [
        (path, f"mode {mode}: colours and transparency dropped", "note") for path, mode in _coloured(root, samples)
    ]
    return samples, pd.DataFrame(sorted(rejects), columns=REJECTS)


def _images(root: Path) -> tuple[dict[str, str], list[tuple[str, str, str]]]:
    """Return {file name: path} of all PNG files below `root`, and rejects of what else is there."""
    files: dict[str, str] = {}
    rejects = []
    for file in visible_files(root):
        path = file.relative_to(root).as_posix()
        if file.suffix.lower() == ".png" and file.name not in files:
            files[file.name] = path
        elif file.name in files:
            rejects.append((path, f"{file.name} is there already: {files[file.name]}", "rule"))
        elif path not in (*CSVS, TRAIN_VAL, TEST):
            rejects.append((path, f"'{file.suffix}' is no PNG image", "rule"))
    return files, rejects


def _entries(root: Path) -> tuple[pd.DataFrame, list[tuple[str, str, str]]]:
    """Return the CSV as text (image, findings, patient, odd: rows that differ), one row per image, and its rejects."""
    there = [name for name in CSVS if (root / name).is_file()]
    if not there:
        raise ConfigError(f"{root} lacks {CSVS[1]} (or {CSVS[0]}), which holds findings and patients.")
    rejects = [(name, f"{there[0]} is read in its place", "note") for name in there[1:]]
    try:
        table = pd.read_csv(root / there[0], dtype=str, keep_default_na=False, index_col=False, encoding="utf-8-sig")
    except ValueError as error:  # pandas' errors of decoding and parsing are all of this kind
        raise ConfigError(f"{root / there[0]} is no table of comma-separated values: {error}") from error
    if missing := [c for c in COLUMNS if c not in table]:
        raise ConfigError(
            f"{root / there[0]} lacks the columns {', '.join(missing)}; found {', '.join(table.columns)}. "
            "Take the file as it was published: comma-separated, with its header."
        )
    table = table[list(COLUMNS)].rename(columns=COLUMNS).apply(lambda column: column.fillna("").str.strip())
    twice = set(table.loc[table["image"].duplicated(), "image"])
    table = table.drop_duplicates()
    table["odd"] = table["image"].duplicated(keep=False)
    rejects += [(i, "equal rows of the CSV, read once", "note") for i in twice - {*table.loc[table["odd"], "image"]}]
    return table.drop_duplicates("image"), rejects


def _list(root: Path, name: str) -> set[str]:
    if not (root / name).is_file():
        raise ConfigError(f"{root} lacks {name}, one of the two lists that say which images are for the test.")
    return set((root / name).read_text(encoding="utf-8", errors="replace").split())


def _told(
    table: pd.DataFrame, labels: pd.DataFrame, names: list[str], also: list[str], lists: dict[str, set[str]]
) -> pd.DataFrame:
    """Return the rows that can't be used, with the first `reason` and its `kind`."""
    test = table["image"].isin(lists[TEST])
    both = table["patient"].isin(table.loc[test, "patient"]) & ~test
    row, patient = table["findings"], "patient " + table["patient"]
    checks = [
        (table["odd"], "rows of the CSV that differ", "unreadable"),
        (table["patient"] == "", "no patient in the CSV", "unreadable"),
        (row == "", "no label in the CSV", "unreadable"),
        (labels.drop(columns=names).any(axis=1), "unknown label in: " + row, "unreadable"),
        ((labels.sum(axis=1) > 1) & labels[also].any(axis=1), "labels that exclude each other: " + row, "unreadable"),
        (~table["image"].isin(lists[TEST] | lists[TRAIN_VAL]), "in neither official list", "rule"),
        (both, patient + " stands in both official lists; used for the test alone", "rule"),
    ]
    told = table.assign(reason="", kind="")
    for bad, reason, kind in checks:
        first = bad & (told["reason"] == "")
        told.loc[first, "kind"] = kind
        told.loc[first, "reason"] = reason if isinstance(reason, str) else reason[first]
    return told[told["reason"] != ""]


def _coloured(root: Path, samples: pd.DataFrame) -> list[tuple[str, str]]:
    """Return (path, mode) of the files that are not plain grey; what has no header is left to `decode`."""
    found = []
    for path in samples["path"]:
        try:
            with bounds.reading(bounds.quote_error), folders.open_picture(root / path) as image:
                mode = image.mode
        except UnreadableFile:  # `decode` gives the reason
            continue
        if mode in ("RGB", "RGBA", "LA", "P", "PA"):
            found.append((path, mode))
    return found


# its card says one channel, so luminance; a cut file is unreadable
LAYOUT = Layout(scan=scan, decode=folders.decode, options={"channels": folders.CHANNEL, "range": RANGE})
