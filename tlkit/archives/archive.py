"""The index of an archive: the header of every file below a folder, in parts on disk, without any identifier.

`<runs>/data/index/<8 hex>/part-00000.parquet ...` hold one row per file. Files are named by pseudonyms; who has the
archive and the key finds them again (`locate`). A part stands as soon as its files are read, so an index that was
killed goes on where it was, and that of a grown archive reads what is new or changed.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from tlkit import paths
from tlkit.archives import deidentify, dicom, headers, regions
from tlkit.datasets import bounds
from tlkit.datasets.cards import PHANTOM_FACTS, UnreadableFile, hidden, is_loop
from tlkit.files import replacing
from tlkit.locks import Lock
from tlkit.progress import track

BLOCK = 2000  # files read by one process at a time, and rows of a part
PLACES = 3  # decimals of an orientation: scanners write it to 6, and equal ones a little differently
TEXTS = {  # column of the index: keyword
    "study": "StudyInstanceUID", "series": "SeriesInstanceUID", "sop": "SOPInstanceUID", "patient": "PatientID",
    "date": "StudyDate", "body_part": "BodyPartExamined", "image_type": "ImageType", "manufacturer": "Manufacturer",
    "model": "ManufacturerModelName", "kernel": "ConvolutionKernel", "spacing": "PixelSpacing",
}  # fmt: skip
NUMBERS = {
    "instance": "InstanceNumber", "rows": "Rows", "columns": "Columns", "thickness": "SliceThickness", "kvp": "KVP",
}  # fmt: skip
COLUMNS = {
    **dict.fromkeys(("path", "reason", "kind", *TEXTS, "syntax", "orientation"), "str"),
    **dict.fromkeys((*NUMBERS, "position"), "float64"),
    "label": "int8",
    "state": "uint64",
}
A, B = TypeVar("A"), TypeVar("B")


@dataclass(frozen=True)
class Reading:
    """What an index keeps of headers: `row(header, key)` gives one file's values, de-identified, by `columns`.

    A row with a `reason` stands for a file that a rule leaves out. `version` changes whenever rows would;
    `options` go to `headers.read_headers`.
    """

    version: str
    columns: dict[str, str]  # name to dtype
    row: Callable[[dict[str, str], bytes], dict[str, str | float]]
    options: dict[str, Any] = field(default_factory=dict)


def index(root: Path, key: bytes, workers: int | None = None, reading: Reading | None = None) -> pd.DataFrame:
    """Return one row per file below `root`, from the headers alone: as `reading` says, by default `CT_SLICES`.

    `path` is the file's pseudonym. Files that are not wanted have a `reason`, and as `kind` "rule" or "unreadable".
    `position` (mm) is along the normal of `orientation`, NaN where either is missing. `workers` processes (default:
    all cores, at most 4; one for a few files) do not change the rows, which are sorted by `path`.
    """
    root, present, reading = Path(root).resolve(), [], reading or CT_SLICES
    bound = bounds.identity()  # a header that was too much may be read with more memory
    folder = paths.index_root() / deidentify.pseudonym(key, "index", f"{root} {reading.version}{bound or ''}")[:8]
    none = _table([], reading.columns)
    folder.mkdir(parents=True, exist_ok=True)
    with Lock(folder / ".lock"):
        known = pd.concat([pd.read_parquet(part, columns=["state"]) for part in _parts(folder)] or [none])
        new = _new(root, key, np.sort(known["state"].to_numpy()), present)
        first = len(_parts(folder))
        blocks = ((root, key, block, reading) for block in new)
        for number, table in enumerate(spread(_read, blocks, workers), first):
            part = folder / f"part-{number:05d}.parquet"
            with replacing(part) as aside:
                table.to_parquet(aside)
        table = pd.concat([pd.read_parquet(part) for part in _parts(folder)] or [none])
    there = np.isin(table["state"], np.concatenate(present or [[]]).astype(np.uint64))
    return table[there].drop(columns="state").sort_values("path", ignore_index=True)


def locate(root: Path, files: Iterable[str], key: bytes | None = None) -> pd.Series:
    """Return the real paths, relative to `root`, of pseudonyms of files (the index of the result).

    Only where the archive and the key are. Such paths may hold names: they belong into no table that is passed on.
    Raises KeyError for pseudonyms that no file has.
    """
    key, files = key or deidentify.load_key(root), pd.Index(files, dtype="str")
    found = [pd.Series(index=files[:0], dtype="str")]
    for block in _blocks((path for path, *_ in walk(root)), BLOCK):
        names = pd.Series(block, index=[file_name(key, path) for path in block])
        found.append(names[names.index.isin(files)])
    return pd.concat(found).loc[files]


def empty(columns: dict[str, str]) -> dict[str, str | float]:
    """Return what stands for missing values: "" for texts, NaN for numbers, -1 for labels."""
    return {name: {"str": "", "float64": math.nan}.get(kind, -1) for name, kind in columns.items()}


def file_name(key: bytes, path: str) -> str:
    """Return the pseudonym of a file by its path relative to the root of its archive."""
    return deidentify.pseudonym(key, "file", path)


def walk(root: Path) -> Iterator[tuple[str, int, int]]:
    """Yield (path relative to `root`, bytes, time of change in ns) of all files, hidden ones left out."""
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = sorted(f for f in folders if not hidden(f) and not is_loop(folder, f))
        under = Path(folder).relative_to(root).as_posix()
        for name in sorted(names):
            if not hidden(name) and name != PHANTOM_FACTS:
                try:
                    facts = os.stat(os.path.join(folder, name))
                    size, changed = facts.st_size, facts.st_mtime_ns
                except OSError:  # a link to nowhere: reading it gives the reason
                    size, changed = -1, -1
                yield (name if under == "." else f"{under}/{name}"), size, changed


def spread(work: Callable[..., B], blocks: Iterable[tuple], workers: int | None = None) -> Iterator[B]:
    """Yield `work(*block)` in the order of `blocks`, by processes; two blocks a process are ahead.

    Without `workers`: TLKIT_WORKERS, else as many as there are cores, at most 4; for up to two blocks this process
    alone.
    """
    from joblib import Parallel, delayed

    blocks = iter(blocks)
    first = list(islice(blocks, 3))
    most = int(os.environ.get("TLKIT_WORKERS") or min(4, os.cpu_count() or 1))
    jobs = workers or (most if len(first) > 2 else 1)
    calls = (delayed(work)(*block) for block in chain(first, blocks))
    if jobs == 1:
        yield from (call(*args) for call, args, _ in calls)
    else:
        yield from Parallel(jobs, return_as="generator", pre_dispatch="2*n_jobs", batch_size=1)(calls)


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("part-*.parquet"))


def _new(root: Path, key: bytes, known: np.ndarray, present: list[np.ndarray]) -> Iterator[list[tuple[str, int]]]:
    """Yield blocks of (path, state) of the files that no part knows; `present` gets the states of all."""
    for block in _blocks(track(walk(root), label="DICOM headers", unit="file"), BLOCK):
        states = np.array([int(deidentify.pseudonym(key, "state", f"{f}"), 16) for f in block], np.uint64)
        present.append(states)
        new = np.flatnonzero(~np.isin(states, known))
        if len(new):
            yield [(block[i][0], int(states[i])) for i in new]


def _blocks(items: Iterable[A], size: int) -> Iterator[list[A]]:
    items = iter(items)
    return iter(lambda: list(islice(items, size)), [])


def _table(rows: list[dict], columns: dict[str, str]) -> pd.DataFrame:
    """Return the rows with all columns, and `empty` values where a row has none."""
    nothing = empty(columns)
    return pd.DataFrame([nothing | row for row in rows], columns=list(columns)).astype(columns)


def _read(root: Path, key: bytes, files: list[tuple[str, int]], reading: Reading) -> pd.DataFrame:
    heads = headers.read_headers([root / path for path, _ in files], **reading.options)
    names = ({"path": file_name(key, path), "state": state} for path, state in files)
    return _table([known | _row(h, key, reading) for known, h in zip(names, heads, strict=True)], reading.columns)


def _row(head: dict[str, str] | UnreadableFile | None, key: bytes, reading: Reading) -> dict[str, str | float]:
    if head is None:
        return {"reason": "no DICOM file", "kind": "rule"}
    if isinstance(head, UnreadableFile):
        return {"reason": str(head), "kind": "unreadable"}
    try:
        with bounds.reading(bounds.name_error):  # no value of a header may end the index
            return reading.row(head, key)
    except UnreadableFile as error:
        return {"reason": f"{error}: the header holds what cannot be", "kind": "unreadable"}


def slice_values(head: dict[str, str], key: bytes) -> dict[str, str | float]:
    """Return what the header of a slice says, de-identified, by COLUMNS; `label` is RadNet's rule."""
    kept = deidentify.replace_values(head, key)
    where, turn = (floats(kept[f"Image{name}Patient"]) for name in ("Position", "Orientation"))
    row: dict[str, str | float] = {name: kept[word] for name, word in TEXTS.items()}
    row |= {name: next(iter(floats(kept[word])), math.nan) for name, word in NUMBERS.items()}
    row |= {"syntax": _known_uid(head["TransferSyntaxUID"]), "label": dicom.body_part(kept["BodyPartExamined"])}
    row["spacing"] = kept["PixelSpacing"] if floats(kept["PixelSpacing"]) else ""
    if len(turn) == 6:
        row["orientation"] = " ".join(f"{round(v, PLACES) + 0.0:g}" for v in turn)
        if len(where) == 3:
            row["position"] = _along_normal(turn[:3], turn[3:], where)
    return row


def _ct_row(head: dict[str, str], key: bytes, derived: bool = False, described: bool = False) -> dict[str, str | float]:
    """Return `slice_values`; of what is no slice of a CT series the reason alone.

    `described`: the label may come from descriptions, of which nothing else is kept.
    """
    if rule := dicom.not_a_slice(head, derived):
        return {"reason": rule, "kind": "rule"}
    row = slice_values(head, key)
    if described:
        row["label"] = regions.region(*(head[word] for word in ("BodyPartExamined", *DESCRIPTIONS)))
    return row


def _known_uid(text: str) -> str:
    """Return a UID that the standard has, "" for any other text."""
    from pydicom.uid import UID_dictionary

    return text if text in UID_dictionary else ""


DESCRIPTIONS = {"SeriesDescription": (0x0008, 0x103E), "StudyDescription": (0x0008, 0x1030)}


def ct_reading(derived: bool = False, described: bool = False) -> Reading:
    """Return how CT slices are read: derived ones too; labelled by descriptions where the tag says nothing."""
    version = "2" + " derived" * derived + " described" * described
    options = {"tags": headers.TAGS | DESCRIPTIONS} if described else {}
    return Reading(version, COLUMNS, partial(_ct_row, derived=derived, described=described), options)


CT_SLICES = ct_reading()


def _along_normal(a: list[float], b: list[float], where: list[float]) -> float:
    """Return `where` in the direction of a x b; plain Python, since NumPy takes ten times as long for three numbers."""
    return sum(w * (a[i - 2] * b[i - 1] - a[i - 1] * b[i - 2]) for i, w in enumerate(where))


def floats(text: str) -> list[float]:
    """Return the numbers of a text with backslashes between; none where one is missing or not finite."""
    try:
        numbers = [float(part) for part in text.split("\\")]
    except ValueError:
        return []
    return numbers if all(map(math.isfinite, numbers)) else []
