"""A MedMNIST .npz file, and DICOM files with a table that says what they show."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath
from shlex import quote
from typing import Any

from tlkit.advice import columns, people, reading
from tlkit.advice.choices import AmbiguousError, few
from tlkit.advice.seen import Seen
from tlkit.archives import dicom_table, multimodal
from tlkit.datasets.cards import DataCard
from tlkit.layouts import npz
from tlkit.layouts.entries import read_text, without_nothing

ENDINGS = (".dcm", ".dicom", ".ima")
MAGIC = (128, b"DICM")
BARE = DataCard(*[""] * 11)  # of an archive of which nothing is said
FIRST = 20  # files without a known ending that are opened to see whether they are DICOM


def medmnist(seen: Seen, name: str) -> dict[str, Any] | None:
    """Return the reading of the one .npz file that was named, or lies in the folder; None where there is none.

    A file that was named alone is linked into the folder of the advice, so that only it counts as the data.
    Raises AmbiguousError where there are several.
    """
    root = seen.root
    if root.is_file():
        if root.suffix.lower() != ".npz":
            raise AmbiguousError(f"{root} is a file. Expected a folder of images, or a MedMNIST .npz file.")
        link = reading.folder_of(name) / "files" / root.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(root.resolve())
        root = link.parent
    elif len(files := seen.ending(".npz")) > 1:
        raise AmbiguousError(
            f"{root} holds {len(files)} .npz files. Name one of them in place of the folder:",
            [(quote(str(root / f)), "") for f in files],
        )
    elif not files:
        return None
    file = npz.the_file(root)
    shapes, answers = npz.headers(file), npz.labels(file, "train")
    asked = seen.asked.get("task", "")
    number = answers.shape[1] == 1 and (asked == "regression" or answers.dtype.kind == "f")
    if number:
        told = [f"MedMNIST: images of {' x '.join(map(str, shapes['train_images'][0][1:]))}, a number for each"]
        found = {"folder": str(root), "layout": "npz", "task": "regression", "classes": ["number"]}
        return found | {"options": {"target": "number"}, "said": [*told, _said_of_parts(shapes)]}
    task = "multilabel" if answers.shape[1] > 1 else "multiclass"
    count = answers.shape[1] if task == "multilabel" else 1 + max(npz.labels(file, p).max() for p in _parts(shapes))
    (_, *size), _ = shapes["train_images"]
    told = [
        f"MedMNIST: images of {' x '.join(map(str, size))}, {count} {'labels' if task == 'multilabel' else 'classes'}"
    ]
    told += ["--task regression reads the classes as a number"] if task == "multiclass" and count > 2 else []
    told.append(_said_of_parts(shapes))
    classes = [f"class {i}" for i in range(count)]
    return {"folder": str(root), "layout": "npz", "task": task, "classes": classes, "options": {}, "said": told}


def _said_of_parts(shapes: dict) -> str:
    return "splits: " + ", ".join(f"{p} {shapes[f'{p}_images'][0][0]}" for p in _parts(shapes))


def _parts(shapes: dict) -> list[str]:
    return [p for p in npz.PARTS if f"{p}_images" in shapes]


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


def dicom(seen: Seen, tables: list[Path]) -> dict[str, Any]:
    """Return the reading of DICOM files and the table that names them; nothing in it, or said, identifies anybody.

    Raises AmbiguousError where there is no such table, or more than one.
    """
    if not tables:
        raise AmbiguousError(
            f"{seen.root} holds DICOM files, and nothing says what they show. Name the table that does, with a column "
            "of file names or SOPInstanceUIDs: --labels FILE"
        )
    read = [(path, without_nothing(read_text(path))) for path in tables]
    found = [(path, rows, *by) for path, rows in read if (by := _names(seen, rows))]
    if not found:
        raise AmbiguousError(
            f"No column of {few([p.name for p in tables])} names the DICOM files, by path, name, SOPInstanceUID, "
            f"StudyInstanceUID or PatientID. Columns: {few(list(read[0][1]), 20)}. Name another table: --labels FILE"
        )
    if len(found) > 1:
        raise AmbiguousError(
            "More than one table names the DICOM files. Say which:",
            [(f"--labels {quote(str(p))}", f"columns {few(list(rows), 8)}") for p, rows, *_ in found],
        )
    (path, rows, column, names) = found[0]
    out = [column, *columns.patient_columns(rows), *columns.personal(rows), *columns.named_splits(rows)]
    out += [c for c in (seen.asked.get(k, "") for k in ("patient", "split")) if c in rows]
    target = columns.choose(rows, out, seen.asked.get("label", ""), seen.asked.get("task", ""))
    if target is None:
        raise AmbiguousError(f"{path} names the DICOM files, and no other column holds answers. Say --label COLUMN.")
    inside = path.is_relative_to(seen.root)
    file = path.relative_to(seen.root).as_posix() if inside else str(path)
    split = seen.asked.get("split") or columns.split_column(rows)
    options = {"table": file, "file": column, **target.options, "percentiles": dicom_table.WINDOWLESS}
    options |= {"split": split} if split and split.lower() != "none" else {}
    options |= {"names": names} if names != "files" else {}
    told = [f"DICOM files, and table {path.name}: {len(rows)} rows, which name {names} in column '{column}'"]
    told += [f"answers: {few(target.columns)}, {target.meaning}"]
    told.append(f"splits: by column '{options['split']}'" if "split" in options else "splits: none, they are drawn")
    told.append("a frame without a window is shown from its 1st to its 99th percentile (`percentiles`)")
    found = {"layout": "dicom_table", "task": target.task, "classes": list(target.classes), "options": options}
    return found | {"said": told, "table": (rows, file, column)}


def _names(seen: Seen, rows) -> tuple[str, str] | None:
    """Return the column that names DICOM files by at least half of its rows, and what it names; None for no column."""
    asked = seen.asked.get("file", "")
    for what in dicom_table.NAMES:
        for column in [asked] if asked in rows else list(rows):
            card = replace(BARE, options={"file": column, "names": what})
            named = dicom_table.named_rows(seen.root, card, rows)[1]
            if (named != "").mean() >= columns.HALF and named.nunique() > 1:
                return column, what
    return None


def patient_way(found: dict[str, Any], samples, says: str, rows, file: str, column: str) -> dict[str, Any] | None:
    """Return the option `patient` of DICOM files; raise AmbiguousError where it is to be chosen, without any name."""
    root, heads = Path(found["folder"]), dicom_table.archive_card(BARE)
    shown = multimodal.listing(root, heads)
    shown = shown[shown["path"].isin(samples["path"])]
    offers = [("--patient PatientID", f"{shown['patient'].nunique()} ids for {len(shown)} files, by the headers")]
    for name in columns.patient_columns(rows):
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
