"""The ways in which images of one's own lie in a folder, each a function from what is `Seen` to a reading or None."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath
from shlex import quote
from typing import Any

import pandas as pd

from tlkit.advice import (
    class_folders,
    columns,
    dicoms,
    endings,
    labels,
    mask_folders,
    masks,
    masks_beside,
    medmnist,
    named_classes,
    pictures,
)
from tlkit.advice.choices import AmbiguousError, name_few
from tlkit.advice.labels import Labels
from tlkit.advice.seen import Seen
from tlkit.datasets.cards import visible
from tlkit.layouts import folders
from tlkit.layouts.table import PART

EXPECTED = (
    "Expected folders of images named by their class; a table (CSV, TSV, XLSX, parquet) whose column names images: "
    "--labels FILE; images/ and masks/; dataset.json of nnU-Net or the Medical Segmentation Decathlon; a MedMNIST .npz "
    "file; or DICOM files with a table."
)


def find(seen: Seen, name: str) -> dict[str, Any]:
    """Return the reading of a folder without its patients; raise AmbiguousError for none, or for more than one.

    Besides the keys of `reading.Reading`: `table`, (rows, file, column of files), and the number of `folders` above an
    image that say its split or class.
    """
    for way in (masks.read_described, masks.read_paired, masks_beside.find) if not seen.root.is_file() else ():
        if found := way(seen):
            return found
    if found := medmnist.find(seen, name):
        return found
    images = seen.ending(*folders.EXTENSIONS)
    if dicoms.is_dicom(seen):
        return dicoms.read(seen, labels.files(seen))
    if not images:
        raise AmbiguousError(f"{seen.root} holds no images that can be read: {endings.count_endings(seen)}. {EXPECTED}")
    tables = [labels.find_table(seen, path, images) for path in labels.files(seen)]
    named = [t for t in tables if t.column]
    if seen.asked.get("labels", "none").lower() != "none":
        chosen, others = _asked_for(seen, tables, images), replace(seen, asked={"labels": "none"})
        every = [labels.find_table(others, path, images) for path in labels.files(others)]
        return read_table(seen, chosen, images) | _who(seen, [t for t in every if t.column], chosen)
    if seen.asked.get("label", "").startswith("name:"):
        return named_classes.find(seen, images) | _for_patients(seen, named)
    if "labels" in seen.asked:
        return classes_or_error(seen, class_folders.find(seen, images), images) | _for_patients(seen, named)
    answering = [t for t in named if _answers(seen, t)]
    parts = [labels.part_of(path, seen.root) for path in _paths(answering)]
    whole = labels.join_alike(seen, answering, lambda t: _answers(seen, t)) if all(parts) else None
    try:
        classes = class_folders.find(seen, images)
        ways = [("--labels none", f"the folders are classes: {name_few(classes['classes'])}")] if classes else []
    except AmbiguousError as error:
        if not (answering and error.choices):
            raise
        classes, ways = None, [(f"--labels none {flag}", f"folders: {meaning}") for flag, meaning in error.choices]
    offered = [whole] if whole else answering or ([] if classes else named)
    ways += [(t.flag, _meaning(seen, t)) for t in offered]
    if len(ways) > 1:
        raise AmbiguousError("More than one way to know what the images show. Say which:", ways)
    for t in tables:
        if not t.column:
            raise labels.unread(t, images, ways)
    if classes:
        return classes | _for_patients(seen, named)
    if named:
        found = read_table(seen, offered[0], images) | _who(seen, named, offered[0])
        unread = [t.paths[0].name for t in named if t.paths[0] not in offered[0].paths]
        found["said"] += [f"not read: {name_few(unread)}, which holds no such answers"] if unread else []
        return found
    return classes_or_error(seen, None, images)


def _asked_for(seen: Seen, tables: list[Labels], images: list[str]) -> Labels:
    """Return the table that was asked for; several as one."""
    for table in tables:
        if not table.column:
            raise labels.unread(table, images)
    if len(tables) == 1:
        return tables[0]
    if whole := labels.join_alike(seen, tables, lambda t: ()):
        return whole
    raise AmbiguousError(
        f"The tables {name_few([p.name for p in _paths(tables)])} cannot be read as one: they name the images in other "
        "columns, or only some are called like train, val and test. Name one: --labels FILE"
    )


def _paths(tables: list[Labels]) -> list[Path]:
    return [path for table in tables for path in table.paths]


def find_innermost(place: Path) -> Path:
    """Return the folder in which an archive has packed all it holds: the only one, with splits, masks or tables.

    Folders of classes, or of patients, are no such sign: what lies alone above them may be the one class.
    """
    found = place
    while place.is_dir():
        there = list(visible(place))
        inner = [p for p in there if p.is_dir()]
        if len(inner) != 1 or any(p.suffix.lower() in (*folders.EXTENSIONS, *labels.ENDINGS, ".json") for p in there):
            return found
        place = inner[0]
        names = {p.name.lower() for p in visible(place)}
        signs = names & {*mask_folders.IMAGES, "dataset.json"} or any(map(folders.split_of, names))
        if signs or any(name.endswith(labels.ENDINGS) for name in names):
            found = place
    return found


def _targets(seen: Seen, table: Labels) -> list[columns.Target]:
    return columns.targets(table.rows, columns.find_beside(table.rows, seen.asked, table.column, PART))


def _answers(seen: Seen, table: Labels) -> tuple:
    """Return the answers that a table holds, be they to be chosen: their columns."""
    if asked := seen.asked.get("label", ""):
        return (asked,) if asked in table.rows or "," in asked else ()
    return tuple(sorted(t.columns for t in _targets(seen, table)))


def _meaning(seen: Seen, table: Labels) -> str:
    found = _targets(seen, table)
    what = f"{table.said} with {'; '.join(f'{name_few(t.columns)} ({t.meaning})' for t in found[:4]) or 'no answers'}"
    return f"{what}; parts: {', '.join(dict.fromkeys(table.parts))}" if table.parts else what


def read_table(seen: Seen, table: Labels, images: list[str]) -> dict[str, Any]:
    """Return the reading of a table's rows."""
    if seen.asked.get("split", "none").lower() != "none":
        table = replace(table, parts=())
    rows, column = table.rows, table.column
    split = {} if table.parts else _split(seen, rows, images)
    beside = columns.find_beside(rows, seen.asked, column, PART)
    target = columns.choose(rows, beside, seen.asked.get("label", ""), seen.asked.get("task", ""))
    if target is None:
        raise AmbiguousError(
            f"{table.paths[0]} names the images (column '{column}'), and no other column holds classes, yes and no, or "
            f"numbers that differ. It has {name_few(list(rows), 20)}. Name the column: --label COLUMN."
        )
    looks, said = pictures.options(seen.root, images)
    options = {**table.options(seen.root), **target.options, **split, **looks}
    how = "named" if table.names == "files" else "each of all images in a folder, or of names that begin so: named"
    told = [f"{table.said}: {len(rows)} rows for {len(images)} images, {how} by column '{column}'"]
    told += [f"answers: {name_few(target.columns)}, {target.meaning}", *columns.notes(rows, target)]
    told += [_said_of_split(options), *_unread_splits(rows, options), *said]
    found = {"layout": "table", "task": target.task, "classes": list(target.classes), "options": options, "said": told}
    return found | {"table": (rows, table.file(seen.root), column)}


def _split(seen: Seen, rows: pd.DataFrame, images: list[str]) -> dict[str, Any]:
    """Return the option that says where the splits are: a column, folders, or none."""
    asked = seen.asked.get("split", "")
    if asked.lower() == "none":
        return {}
    if asked and asked not in rows:
        raise AmbiguousError(
            f"--split: the table has no column '{asked}'. It has {name_few(list(rows), 20)}, or say none."
        )
    if asked and (odd := sorted({text for text in rows[asked] if not folders.split_of(text)})):
        raise AmbiguousError(f"--split: column '{asked}' holds {name_few(odd)}; expected train, val and test.")
    if column := asked or columns.split_column(rows):
        return {"split": column}
    above = [{folders.split_of(p) for p in PurePosixPath(f).parts[:-1]} - {""} for f in images]
    return {"split_folders": True} if all(len(a) == 1 for a in above) and len(set.union(*above)) > 1 else {}


def _unread_splits(rows: pd.DataFrame, options: dict[str, Any]) -> list[str]:
    """Return a line for each column that is called like a split and is not read as one."""
    odd = [c for c in columns.named_splits(rows) if c != options.get("split") and rows[c].nunique() > 1]
    return [
        f"column '{c}' is not read as parts: it says {name_few(list(rows[c].unique()))}, not train, val, test"
        for c in odd
    ]


def _said_of_split(options: dict[str, Any]) -> str:
    if any(parts := (options.get("tables") or {}).values()):
        there = [part for part in folders.PARTS if part in parts]
        drawn = class_folders.say_drawn(there)
        return f"splits: by the tables, {', '.join(there)} (--split none draws them anew){drawn}"
    if options.get("split_folders"):
        return "splits: by the folders train, val, test (--split none draws them anew)"
    return f"splits: by column '{options['split']}'" if "split" in options else "splits: none, they are drawn"


def _who(seen: Seen, named: list[Labels], used: Labels) -> dict[str, Any]:
    """Return another table than the one of the answers where that alone can say who is shown."""
    others = [t for t in named if t.paths[0] not in used.paths and columns.patient_columns(t.rows)]
    return {} if columns.patient_columns(used.rows) else _for_patients(seen, others)


def _for_patients(seen: Seen, named: list[Labels]) -> dict[str, Any]:
    """Return the table that can say who is shown in class folders."""
    named = [t for t in named if t.names == "files"]
    if not named:
        return {}
    t = next((t for t in named if seen.asked.get("patient") in t.rows), named[0])
    return {"table": (t.rows, t.file(seen.root), t.column)}


def classes_or_error(seen: Seen, classes: dict[str, Any] | None, images: list[str]) -> dict[str, Any]:
    """Return the reading of class folders; without one raise the error that says what could name the classes."""
    if classes:
        return classes
    parts, ways = [PurePosixPath(f).parts for f in images], []
    level = next((n for n in range(1, max(map(len, parts)) - 1) if len({p[n] for p in parts if len(p) > n + 1}) > 1), 0)
    deep = sorted({p[level] for p in parts if len(p) > level + 1}) if level else []
    if all(map(folders.split_of, deep)):
        pass  # parts are no classes
    elif level == 1:
        ways = [("--label folder:2", f"the folders below are {len(deep)} classes: {name_few(deep)}")]
    else:
        inner = seen.root.joinpath(*parts[0][:level])
        ways = [(quote(str(inner)), f"this folder holds {len(deep)} others: {name_few(deep)}")]
    ways = ways or [*masks_beside.proposals(seen), *named_classes.proposals(images)]
    above = sorted({PurePosixPath(f).parent.name or "." for f in images})
    where = "in no folders of classes" if above == ["."] else f"in {name_few(above)}"
    told = f"Nothing says what the {len(images)} images in {seen.root} show: they lie {where}, and one class leaves "
    told = " ".join([f"{told}nothing to learn.", *(f"{s}." for s in endings.say_what_to_do(seen.files))])
    if ways:
        raise AmbiguousError(f"{told} Say what does, or name a table: --labels FILE", ways)
    raise AmbiguousError(f"{told} {EXPECTED}")
