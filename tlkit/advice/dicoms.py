"""DICOM files, and the table or the folders that say what they show."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath
from shlex import quote
from typing import Any

import numpy as np
import pandas as pd

from tlkit.advice import columns, labels, people, reading
from tlkit.advice.choices import AmbiguousError, name_few
from tlkit.advice.labels import Labels
from tlkit.advice.seen import Seen
from tlkit.archives import archive, dicom_table, headers, multimodal
from tlkit.datasets.cards import DataCard
from tlkit.layouts.table import PART

ENDINGS = (".dcm", ".dicom", ".ima")
MAGIC = (128, b"DICM")
FIRST = 20  # files without a known ending that are opened to see whether they are DICOM
LOOKED_AT = 200  # headers that are read to see whether there are colours
COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "PALETTE COLOR")
MOST_CLASSES = 20  # folders that may be classes: more are patients or exams, whose names are not shown
Reading = dict[str, Any]


def _bare(seen: Seen, **options: Any) -> DataCard:
    """Return the card of an archive of which nothing is said but what flags say."""
    return replace(DataCard(*[""] * 11), options=_asked(seen) | options)


def _asked(seen: Seen) -> dict[str, Any]:
    return {"burnt_in": True} if seen.asked.get("burnt_in", "") else {}


def is_dicom(seen: Seen) -> bool:
    """Tell whether a folder holds DICOM files, by their endings or, of some without a known one, their first bytes."""
    if seen.ending(*ENDINGS):
        return True
    bare = [f for f in seen.files if not PurePosixPath(f).suffix or PurePosixPath(f).suffix[1:].isdigit()]
    return any(_magic(seen.root / f) for f in bare[:FIRST])


def _magic(file: Path) -> bool:
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        stream.seek(MAGIC[0])
        return stream.read(4) == MAGIC[1]


def read(seen: Seen, tables: list[Path]) -> Reading:
    """Return the reading of DICOM files and what tells their classes; nothing in it, or said, identifies anybody.

    Raises AmbiguousError where nothing tells them, or more than one table.
    """
    tables = [] if seen.asked.get("labels", "").lower() == "none" else tables
    if not tables:
        if found := _by_folders(seen):
            return found
        raise AmbiguousError(
            f"{seen.root} holds DICOM files, and nothing says what they show. Name the table that does, with a column "
            "of file names, SOPInstanceUIDs, StudyInstanceUIDs or PatientIDs: --labels FILE. Or put the files into "
            "folders named by their class."
        )
    read = [(path, labels.read(seen, path)) for path in tables]
    found = [Labels((path,), rows, *by) for path, rows in read if (by := _names(seen, rows))]
    if not found:
        raise AmbiguousError(
            f"No column of {name_few([p.name for p in tables])} names the DICOM files, by path, name, SOPInstanceUID, "
            f"StudyInstanceUID or PatientID. Columns: {name_few(list(read[0][1]), 20)}. Name another table: "
            "--labels FILE"
        )
    whole = labels.join_alike(
        seen, found, lambda t: tuple(x.columns for x in columns.targets(t.rows, _beside(seen, t)))
    )
    if len(found) > 1 and whole is None:
        raise AmbiguousError(
            "More than one table names the DICOM files. Say which:",
            [(t.flag, f"columns {name_few(list(t.rows), 8)}") for t in found],
        )
    return _by_table(seen, whole or found[0])


def _beside(seen: Seen, table: Labels) -> list[str]:
    return columns.find_beside(table.rows, seen.asked, table.column, PART, *columns.find_personal(table.rows))


def _by_table(seen: Seen, table: Labels) -> Reading:
    rows, asked = table.rows, seen.asked.get("split", "")
    label, task = (seen.asked.get(flag, "") for flag in ("label", "task"))
    target = columns.choose(rows, _beside(seen, table), label, task)
    if target is None:
        raise AmbiguousError(
            f"{table.said} names the DICOM files, and no other column holds answers. Say --label COLUMN."
        )
    split = asked or ("" if table.parts else columns.split_column(rows))
    options = {**table.options(seen.root), **target.options}
    options |= {"split": split} if split and split.lower() != "none" else {}
    told = [f"DICOM files, and {table.said}: {len(rows)} rows, which name {table.names} in column '{table.column}'"]
    told += [f"answers: {name_few(target.columns)}, {target.meaning}", *columns.notes(rows, target)]
    parts = "the tables" if table.parts else f"column '{split}'" if "split" in options else ""
    told.append(f"splits: by {parts}" if parts else "splits: none, they are drawn")
    found = {"layout": "dicom_table", "task": target.task, "classes": list(target.classes)}
    return _shown(
        seen, found | {"options": options, "said": told, "table": (rows, table.file(seen.root), table.column)}
    )


def _by_folders(seen: Seen) -> Reading | None:
    """Return the reading of folders as classes; None where they are none, or rather patients.

    Classes are few, and each has images of several patients; names of other folders are not shown.
    """
    paths = [path for path, *_ in archive.walk(seen.root) if PurePosixPath(path).suffix.lower() not in labels.ENDINGS]
    index = multimodal.listing(seen.root, dicom_table.archive_card(_bare(seen))).set_index("path")
    for level in (1, 2):
        rows = dicom_table.folder_rows(paths, level)
        card = _bare(seen, file=dicom_table.FOLDERS["file"], names="files")
        rows["patient"] = dicom_table.files_of(seen.root, card, rows["file"]).map(index["patient"]).fillna("").tolist()
        rows = rows[rows["patient"] != ""]
        patients = rows.groupby("class")["patient"].nunique()
        alone = rows["patient"].nunique() == 1  # all of one name: it was taken out
        if 2 <= len(patients) <= MOST_CLASSES and (alone or patients.min() > 1):
            break
    else:
        return None
    names = sorted(patients.index)
    splits = rows["split"].nunique() > 1 and (rows["split"] != "").all()
    options = {**dicom_table.FOLDERS, "level": level}
    if not splits:
        options.pop("split")
    told = [f"DICOM files, whose folders are classes: {len(names)} of them, {name_few(names)}; {len(rows)} files"]
    told.append(
        f"splits: by folders, {', '.join(Counter(rows['split']))}" if splits else "splits: none, they are drawn"
    )
    found = {"layout": "dicom_table", "task": "multiclass", "classes": names, "options": options, "said": told}
    return _shown(seen, found | {"table": (rows[["file", "class"]], "", "file")})


def _shown(seen: Seen, found: Reading) -> Reading:
    """Return a reading with what is said of how frames are shown."""
    looks: dict[str, Any] = {"percentiles": dicom_table.WINDOWLESS, **_asked(seen)}
    told = ["a frame without a window is shown from its 1st to its 99th percentile (`percentiles`)"]
    if _coloured(seen):
        looks["channels"] = 3
        told.append("colour images (`channels: 1` reads greys)")
    return found | {"options": found["options"] | looks, "said": found["said"] + told}


def _coloured(seen: Seen) -> bool:
    paths = [path for path, *_ in archive.walk(seen.root)]
    chosen = [paths[i] for i in sorted({round(i) for i in np.linspace(0, len(paths) - 1, LOOKED_AT)})]
    heads = headers.read_headers([seen.root / path for path in chosen], multimodal.TAGS)
    return any(isinstance(head, dict) and head["PhotometricInterpretation"] in COLOURS for head in heads)


def _names(seen: Seen, rows: pd.DataFrame) -> tuple[str, str] | None:
    """Return the column that names DICOM files by at least half of its rows, and what it names; None for no column."""
    asked = seen.asked.get("file", "")
    for what in dicom_table.NAMES:
        for column in [asked] if asked in rows else list(rows):
            named = dicom_table.named_rows(seen.root, _bare(seen, file=column, names=what), rows)[1]
            if (named != "").mean() >= columns.HALF and named.nunique() > 1:
                return column, what
    return None


def patient_way(found: dict[str, Any], samples, says: str, rows, file: str, column: str) -> dict[str, Any] | None:
    """Return the option `patient` of DICOM files; raise AmbiguousError where it is to be chosen, without any name."""
    root = Path(found["folder"])
    shown = multimodal.listing(root, dicom_table.archive_card(reading.card_of(found)))
    shown = shown[shown["path"].isin(samples["path"])]
    offers = [("--patient PatientID", f"{shown['patient'].nunique()} ids for {len(shown)} files, by the headers")]
    for name in columns.patient_columns(rows) if file else ():
        if name != "PatientID":
            told = f"{rows[name].nunique()} ids for {len(rows)} rows of the table"
            offers.append((f"--patient {quote(name)}", told))
    people.settle(says, offers)
    if says == "PatientID" and says not in rows:
        return dicom_table.HEADER
    if says.lower() == "none":
        return None
    if says not in rows:
        raise AmbiguousError(f"--patient: the table has no column '{says}'. Say which:", offers)
    return {"table": file, "file": column, "patient": says}
