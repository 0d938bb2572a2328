"""The ways in which images of one's own lie in a folder, each a function from what is `Seen` to a reading or None."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath
from shlex import quote
from typing import Any

import pandas as pd

from tlkit.advice import class_folders, columns, endings, masks, masks_beside, medical, pictures
from tlkit.advice.choices import AmbiguousError, few
from tlkit.advice.seen import Seen
from tlkit.config import ConfigError
from tlkit.datasets.cards import visible
from tlkit.layouts import folders
from tlkit.layouts.entries import read_text, without_nothing
from tlkit.layouts.table import listed

TABLES = (".csv", ".tsv", ".xlsx", ".parquet")
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
    for way in (masks.described, masks.paired, masks_beside.beside) if not seen.root.is_file() else ():
        if found := way(seen):
            return found
    if found := medical.medmnist(seen, name):
        return found
    images = seen.ending(*folders.EXTENSIONS)
    if medical.is_dicom(seen):
        return medical.dicom(seen, _tables(seen))
    if not images:
        raise AmbiguousError(f"{seen.root} holds no images that can be read: {endings.contents(seen)}. {EXPECTED}")
    tables = [table_of(seen, path, images) for path in _tables(seen)]
    named = [t for t in tables if t["column"]]
    if seen.asked.get("labels", "none").lower() != "none":
        return by_table(seen, named[0] if named else _unread(tables[0], images), images)
    classes = class_folders.find(seen, images)
    if "labels" in seen.asked:
        return classes_or_error(seen, classes, images) | _for_patients(seen, named)
    ways = [("--labels none", f"the folders are classes: {few(classes['classes'])}")] if classes else []
    answering = [t for t in named if _answers(seen, t, True)]
    ways += [
        (f"--labels {quote(str(t['path']))}", _meaning(seen, t)) for t in (answering or ([] if classes else named))
    ]
    if len(ways) > 1:
        raise AmbiguousError("More than one way to know what the images show. Say which:", ways)
    for t in tables:
        if not t["column"]:
            _unread(t, images, ways)
    if classes:
        return classes | _for_patients(seen, named)
    if named:
        return by_table(seen, (answering or named)[0], images) | _who(seen, named, (answering or named)[0])
    return classes_or_error(seen, None, images)


def innermost(place: Path) -> Path:
    """Return the folder in which an archive has packed all it holds: the only one, with splits, masks or tables.

    Folders of classes, or of patients, are no such sign: what lies alone above them may be the one class.
    """
    found = place
    while place.is_dir():
        there = list(visible(place))
        inner = [p for p in there if p.is_dir()]
        if len(inner) != 1 or any(p.suffix.lower() in (*folders.EXTENSIONS, *TABLES, ".json") for p in there):
            return found
        place = inner[0]
        names = {p.name.lower() for p in visible(place)}
        signs = names & {*masks.IMAGES, "dataset.json"} or any(map(folders.split_of, names))
        if signs or any(name.endswith(TABLES) for name in names):
            found = place
    return found


def _tables(seen: Seen) -> list[Path]:
    """Return the tables that may say what the images show: the one asked for, else all in the folder."""
    asked = seen.asked.get("labels", "")
    if asked.lower() in ("", "none"):
        return [seen.root / f for f in seen.ending(*TABLES)]
    for path in (Path(asked).expanduser(), seen.root / asked):
        if path.is_file():
            return [path.resolve()]
    raise AmbiguousError(f"--labels: there is no file {asked}, neither here nor in {seen.root}.")


def table_of(seen: Seen, path: Path, images: list[str]) -> dict[str, Any]:
    """Return path, rows, and the column that names the files ("": none does) of a table."""
    try:
        rows = without_nothing(read_text(path))
    except ConfigError as error:
        if seen.asked.get("labels", "").lower() == "none":
            return {"path": path, "rows": pd.DataFrame(), "column": ""}
        raise AmbiguousError(str(error), [("--labels none", "leave tables unread")]) from error
    if (file := seen.asked.get("file", "")) and file not in rows:
        raise AmbiguousError(f"--file: {path} has no column '{file}'. It has {few(list(rows), 20)}.")
    column = columns.file_column(rows, images, file)
    headless = (
        column.startswith("Unnamed: ") or (listed(pd.Series([column] if column else list(rows)), images) != "").any()
    )
    if headless and seen.asked.get("labels", "").lower() == "none":
        return {"path": path, "rows": rows, "column": ""}
    if headless:
        raise AmbiguousError(
            f"The first line of {path} names no columns: it says {few(list(rows))}. Write one above the rows, such as "
            "file,label,patient, in a copy that you name: --labels FILE",
            [("--labels none", "leave tables unread")],
        )
    return {"path": path, "rows": rows, "column": column}


def _unread(table: dict[str, Any], images: list[str], ways: list = ()) -> Any:
    """Raise AmbiguousError for a table that names no files."""
    rows = table["rows"]
    first = "; ".join(f"{c}: {few(list(rows[c].unique()), 3)}" for c in list(rows)[:6])
    raise AmbiguousError(
        f"The table {table['path']} is not understood: no column names the images, which are called {few(images, 3)}. "
        f"Its columns begin with {first}.",
        ways or [("--labels none", "leave tables unread")],
    )


def _beside(seen: Seen, rows: pd.DataFrame, column: str) -> list[str]:
    """Return the columns that say something else than an answer."""
    said = [seen.asked.get(k, "") for k in ("patient", "split")]
    return [column, *columns.patient_columns(rows), *columns.named_splits(rows), *(c for c in said if c in rows)]


def _answers(seen: Seen, table: dict[str, Any], other: bool) -> bool:
    """Tell whether a table holds answers, be they to be chosen; without another reading the error for none stands."""
    beside = _beside(seen, table["rows"], table["column"])
    return not other or bool(seen.asked.get("label") or columns.targets(table["rows"], beside))


def _meaning(seen: Seen, table: dict[str, Any]) -> str:
    found = columns.targets(table["rows"], _beside(seen, table["rows"], table["column"]))
    return f"table with {'; '.join(f'{few(t.columns)} ({t.meaning})' for t in found[:4]) or 'no answers'}"


def by_table(seen: Seen, table: dict[str, Any], images: list[str]) -> dict[str, Any]:
    """Return the reading of a table's rows."""
    rows, column = table["rows"], table["column"]
    split = _split(seen, rows, images)
    target = columns.choose(rows, _beside(seen, rows, column), seen.asked.get("label", ""), seen.asked.get("task", ""))
    if target is None:
        raise AmbiguousError(
            f"{table['path']} names the images (column '{column}'), and no other column holds classes, yes and no, or "
            f"numbers that differ. It has {few(list(rows), 20)}. Name the column: --label COLUMN."
        )
    inside = table["path"].is_relative_to(seen.root)
    file = table["path"].relative_to(seen.root).as_posix() if inside else str(table["path"])
    looks, said = pictures.options(seen.root, images)
    options = {"table": file, "file": column, **target.options, **split, **looks}
    told = [f"table {table['path'].name}: {len(rows)} rows for {len(images)} images, named by column '{column}'"]
    told += [f"answers: {few(target.columns)}, {target.meaning}", *columns.notes(rows, target)]
    told += [_said_of_split(options), *_unread_splits(rows, options), *said]
    found = {"layout": "table", "task": target.task, "classes": list(target.classes), "options": options, "said": told}
    return found | {"table": (rows, file, column)}


def _split(seen: Seen, rows: pd.DataFrame, images: list[str]) -> dict[str, Any]:
    """Return the option that says where the splits are: a column, folders, or none."""
    asked = seen.asked.get("split", "")
    if asked.lower() == "none":
        return {}
    if asked and asked not in rows:
        raise AmbiguousError(f"--split: the table has no column '{asked}'. It has {few(list(rows), 20)}, or say none.")
    if asked and (odd := sorted({text for text in rows[asked] if not folders.split_of(text)})):
        raise AmbiguousError(f"--split: column '{asked}' holds {few(odd)}; expected train, val and test.")
    if column := asked or columns.split_column(rows):
        return {"split": column}
    above = [{folders.split_of(p) for p in PurePosixPath(f).parts[:-1]} - {""} for f in images]
    return {"split_folders": True} if all(len(a) == 1 for a in above) and len(set.union(*above)) > 1 else {}


def _unread_splits(rows: pd.DataFrame, options: dict[str, Any]) -> list[str]:
    """Return a line for each column that is called like a split and is not read as one."""
    odd = [c for c in columns.named_splits(rows) if c != options.get("split") and rows[c].nunique() > 1]
    return [
        f"column '{c}' is not read as parts: it says {few(list(rows[c].unique()))}, not train, val, test" for c in odd
    ]


def _said_of_split(options: dict[str, Any]) -> str:
    if options.get("split_folders"):
        return "splits: by the folders train, val, test (--split none draws them anew)"
    return f"splits: by column '{options['split']}'" if "split" in options else "splits: none, they are drawn"


def _who(seen: Seen, named: list[dict[str, Any]], used: dict[str, Any]) -> dict[str, Any]:
    """Return another table than the one of the answers where that alone can say who is shown."""
    others = [t for t in named if t is not used and columns.patient_columns(t["rows"])]
    return {} if columns.patient_columns(used["rows"]) else _for_patients(seen, others)


def _for_patients(seen: Seen, named: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the table that can say who is shown in class folders."""
    if not named:
        return {}
    t = next((t for t in named if seen.asked.get("patient") in t["rows"]), named[0])
    return {"table": (t["rows"], t["path"].relative_to(seen.root).as_posix(), t["column"])}


def classes_or_error(seen: Seen, classes: dict[str, Any] | None, images: list[str]) -> dict[str, Any]:
    if classes:
        return classes
    above = Counter(PurePosixPath(f).parent.name or "." for f in images)
    deep = sorted({PurePosixPath(f).parts[1] for f in images if len(PurePosixPath(f).parts) > 2})
    ways = [("--label folder:2", f"the folders below are {len(deep)} classes: {few(deep)}")] if len(deep) > 1 else []
    flat = set(above) == {"."}
    where = f"in {'no folders of classes' if flat else few(sorted(above))}, and one class leaves nothing to learn"
    hint = " Where their names say it, write a table: file,label." if flat else ""
    raise AmbiguousError(
        f"Nothing says what the {len(images)} images in {seen.root} show: they lie {where}.{hint} "
        f"{' '.join(f'{s}.' for s in endings.what_to_do(map(endings.ending_of, seen.files)))} {EXPECTED}".replace(
            "  ", " "
        ),
        ways,
    )
