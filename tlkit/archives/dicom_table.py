"""Layout "dicom_table": DICOM files of any modality in any tree, and a table, or folders, that say what they show.

A row names its file by its path, its name, or its SOPInstanceUID, or all files of a PatientID or StudyInstanceUID.
What is written is de-identified as in `multimodal`,
whose export it is: files, UIDs and patients have pseudonyms, and what the table calls them stays in memory.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
from pydantic import AfterValidator

from tlkit.archives import archive, ct_series, deidentify, export, multimodal
from tlkit.config import ConfigError
from tlkit.datasets.cards import NAMED, DataCard
from tlkit.datasets.layout import FLAG, PERCENTILES, Layout
from tlkit.declared import one_of
from tlkit.layouts import folders
from tlkit.layouts import table as tables
from tlkit.layouts.patients import UNKNOWN, check_way

WINDOWLESS = (1.0, 99.0)  # percentiles of a frame without a window that are black and white
NAMES = {"files": "", "patients": "patient", "exams": "exam"}  # what a row names: column of the archive's index
HEADER = {"header": "PatientID"}
FOLDERS = {"file": "file", "label": "class", "split": "split"}  # columns of the table that folders stand for
COLUMNS = ["id", "path", "frame", "window", "patient", "exam", "modality", "body_part"]


def scan(root: Path, card: DataCard) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (samples, rejects), one row per frame of a file that the table names; headers only.

    Of several windows the first is taken. Targets as in layout "table"; `modality` and `body_part` by the header.
    Raises: as `tables.open_table`.
    """
    key, rows = deidentify.load_key(root), open_rows(root, card)
    samples, left = multimodal.scan(root, archive_card(card))
    rows, found = named_rows(root, card, rows)
    answers, rejects = tables.label_rows(rows, found, card)
    hidden = [(p if p in set(found) else archive.file_name(key, p), reason, kind) for p, reason, kind in rejects]
    samples = samples.loc[samples["window"] == 0, COLUMNS]
    named = set(found) - {""}
    hidden += [(p, "no row of the table names the image", "rule") for p in set(samples["path"]) - named]
    samples = samples.merge(answers.drop(columns=["id", "frame", "patient"], errors="ignore"), on="path")
    samples, unnamed = _with_patients(root, samples, answers, card, key)
    rejects = pd.concat([left, pd.DataFrame(hidden + unnamed, columns=["path", "reason", "kind"])])
    return samples.sort_values("id", ignore_index=True), rejects.sort_values(["path", "reason"], ignore_index=True)


def open_rows(root: Path, card: DataCard) -> pd.DataFrame:
    """Return the rows of the card's table; with `options["level"]` those that folders stand for."""
    if "level" not in card.options:
        return tables.open_table(root, card)
    rows = folder_rows([path for path, *_ in archive.walk(root)], card.options["level"])
    return rows if (rows["split"] != "").all() else rows.assign(split="train")  # then `split` is no option


def folder_rows(paths: list[str], level: int) -> pd.DataFrame:
    """Return a table of files, each with the folder of that level as its class, and the split of another folder.

    Folders of splits are not counted. Files that do not lie so deep have no row.
    """
    rows = []
    for path in paths:
        above = [part for part in path.split("/")[:-1] if not folders.split_of(part)]
        if len(above) >= level:
            rows.append((path, above[level - 1], folders.split_above(PurePosixPath(path))))
    return pd.DataFrame(rows, columns=list(FOLDERS.values()))


def archive_card(card: DataCard) -> DataCard:
    """Return the card of the archive behind a table: every modality is admitted, and frames without a window."""
    own = {"percentiles": WINDOWLESS, "channels": 1, "drop": False}
    return replace(card, classes=multimodal.EVERY, options=own | dict(card.options))


def named_rows(root: Path, card: DataCard, rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Return the rows of a table, one a file, and the pseudonym of that file, "" for none.

    By `options["names"]` a row names one file, or all of a patient or of an exam.
    """
    what, names = card.options.get("names", "files"), rows[card.options["file"]]
    if what == "files":
        return rows, files_of(root, card, names)
    key, index = deidentify.load_key(root), multimodal.listing(root, archive_card(card))
    files = index[index["reason"] == ""].groupby(NAMES[what])["path"].agg(list)
    kind = "patient" if what == "patients" else "uid"
    found = names.map(lambda text: files.get(deidentify.pseudonym(key, kind, text), "") if text else "").explode()
    rows = rows.loc[found.index].reset_index(drop=True)
    return rows, found.reset_index(drop=True)


def files_of(root: Path, card: DataCard, names: pd.Series) -> pd.Series:
    """Return the pseudonym of the file that each text names, "" for none: by SOPInstanceUID, path, or name."""
    key = deidentify.load_key(root)
    index = multimodal.listing(root, archive_card(card))
    uids = dict(zip(index["sop"], index["path"], strict=True))
    real = tables.find_listed(names, [path for path, *_ in archive.walk(root)])
    by_uid = names.map(lambda text: uids.get(deidentify.pseudonym(key, "uid", text), "") if text else "")
    return by_uid.where(by_uid != "", real.map(lambda path: archive.file_name(key, path) if path else ""))


def _with_patients(
    root: Path, samples: pd.DataFrame, answers: pd.DataFrame, card: DataCard, key: bytes
) -> tuple[pd.DataFrame, list]:
    """Return the samples with pseudonyms of patients by the header, the table or a pattern in the real path."""
    how = card.options.get("patient")
    if how == HEADER:
        return samples, []
    if not how:
        return samples.assign(patient=samples["path"]), []  # the frames of a file stay together
    if "patient" in answers:
        said = samples["path"].map(dict(zip(answers["path"], answers["patient"], strict=True)))
    elif "pattern" in how:
        real = archive.locate(root, samples["path"].unique(), key)
        match = {p: re.search(how["pattern"], path) for p, path in real.items()}
        said = samples["path"].map(lambda p: match[p][1 if match[p].re.groups else 0] or "" if match[p] else "")
    else:
        raise ConfigError(f"{card.name}: `patient: {how}` is none of header, a column of the table, and pattern.")
    shown = said.map(lambda text: deidentify.pseudonym(key, "patient", text) if text else "")
    rejects = [(path, "nothing says who is shown", "rule") for path in samples.loc[shown == "", "path"].unique()]
    return samples.assign(patient=shown)[shown != ""], rejects


def _check(how: dict[str, Any] | None) -> dict[str, Any] | None:
    return how if how == HEADER else check_way(how)


def read(root: Path, samples: pd.DataFrame, card: DataCard, size: int, workers: int | None = None):
    """As `multimodal.read`."""
    return multimodal.read(root, samples, archive_card(card), size, workers)


LAYOUT = Layout(
    scan=scan,
    read=read,
    patients=lambda card: NAMED if card.options.get("patient") else UNKNOWN,
    identity=ct_series.identity,
    options={
        **tables.OPTIONS,
        "names": (str, one_of(NAMES, "what a row names")),
        "patient": (dict[str, str | int] | None, AfterValidator(_check)),
        "polarity": (str, one_of(export.POLARITIES, "polarity")),
        "percentiles": PERCENTILES,
        "channels": folders.CHANNEL,
        "level": (int, {"ge": 1}),  # of the folders whose names are the classes, in place of a table
        "burnt_in": FLAG,  # images that may have text burnt in are taken
    },
)
