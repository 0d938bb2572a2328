"""Layout "table": images anywhere below a folder, and a table whose column names their files and says the answers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np
import pandas as pd
from pydantic import AfterValidator

from tlkit.config import ConfigError, nearest
from tlkit.datasets.cards import DataCard, visible_files
from tlkit.datasets.layout import RANGE, Layout
from tlkit.declared import one_of, some
from tlkit.files import sha256
from tlkit.layouts import folders
from tlkit.layouts.entries import Reject, blank_nothing, numbers, read_text, refuse, truth
from tlkit.layouts.patients import PATIENT, name_patients, patients

T = TypeVar("T")
RESERVED = (
    "id", "path", "frame", "patient", "split", "label", "class", "row", "owner", "copy", "pixels", "official", "odd",
    "window", "exam", "modality", "body_part",
)  # fmt: skip
OPTIONS = {
    "table": (str, {}),  # below the folder of the images, or anywhere
    "table_sha256": (str, {}),  # of one that lies elsewhere, which the hash of the folder does not hold
    "tables": (dict[str, str], {}),  # several in place of one: file to the split of its rows, "" for none
    "file": (str, {}),  # the column that names the files
    "names": (str, one_of(("files", "groups"), "what a row names")),  # groups: folders, or how names of files begin
    "label": (str, {}),  # a column of classes, or of labels with `separator` between them
    "separator": (str, {}),
    "none": (tuple[str, ...], {}),  # words that say that there is no label
    "columns": (tuple[str, ...], AfterValidator(some)),  # of yes and no, one a class
    "no": (tuple[str, ...], {}),  # what else says no in them, such as "" or -1
    "number": (str, {}),  # a column of numbers, `target` in the store
    "target": (str, {}),
    "split": (str, {}),  # a column that says train, val or test
    "split_folders": (bool, {}),  # a folder says it
}


IMAGE_END = rf"({'|'.join(map(re.escape, sorted(folders.EXTENSIONS)))}|\.dcm|\.dicom)$"
DIFFER = "rows of the table that differ"  # a reason
PATH, PART = "\0path", "\0table"  # no column of a table is called so


def scan(root: Path, card: DataCard) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (samples, rejects), one row per image that a row of the table names; no image is opened.

    Targets are `label` and `class`; a column of 0.0 and 1.0 for each class; or `options["target"]`. Of the last two
    `label` serves for stratified draws alone. Rejected with a reason: files without row, rows without file, rows of one
    file that differ, rows that lack an answer or have one that is no class. Raises ConfigError for a table that is
    missing, was changed, or lacks a column.
    """
    own = {file.resolve() for file in table_paths(root, card)}
    rows, files = open_table(root, card), [f.relative_to(root).as_posix() for f in visible_files(root)]
    images = [f for f in files if PurePosixPath(f).suffix.lower() in folders.EXTENSIONS]
    rows, found = named_files(rows, card.options, images)
    samples, rejects = label_rows(rows, found, card)
    rejects += [(f, "no row of the table names the image", "rule") for f in set(images) - set(found)]
    rejects += [(f, "no image", "rule") for f in set(files) - set(images) if (root / f).resolve() not in own]
    samples, unnamed = _with_patients(root, samples, card)
    rejects = pd.DataFrame(sorted(rejects + unnamed), columns=["path", "reason", "kind"])
    return samples.sort_values("id", ignore_index=True), rejects


def table_paths(root: Path, card: DataCard) -> list[Path]:
    """Return the files of a card's table or tables, below `root` unless they are absolute."""
    return [root / table for table in card.options.get("tables") or [card.options["table"]]]  # absolute ones stay so


def open_table(root: Path, card: DataCard) -> pd.DataFrame:
    """Return the rows of the card's tables as text, and of several the split of each as PART.

    Raises ConfigError where one is missing, is not the one that the card means, or lacks a column.
    """
    files = table_paths(root, card)
    if absent := [file for file in files if not file.is_file()]:
        raise ConfigError(f"the table {absent[0]} is missing, which says what the images in {root} show.")
    if card.options.get("table_sha256", digest := digest_of(files)) != digest:
        raise ConfigError(f"{files[0]} was changed since it was read first: remove `table_sha256`, or bring it back.")
    read = []
    for file in files:
        table = blank_nothing(read_text(file))
        for column in (*_columns(card), card.options["file"], *filter(None, [card.options.get("split")])):
            if column not in table:
                raise ConfigError(
                    f"{file} has no column '{column}'.{nearest(column, table)} It has: {', '.join(table)}."
                )
        read.append(table)
    return join_tables(read, list((card.options.get("tables") or {}).values()))


def digest_of(files: Iterable[Path]) -> str:
    """Return the SHA-256 of each file, in order and with a space between."""
    return " ".join(map(sha256, files))


def join_tables(read: list[pd.DataFrame], parts: list[str]) -> pd.DataFrame:
    """Return the rows of tables under each other, without columns that only some have; with `parts` their PART."""
    if any(parts):
        read = [table.assign(**{PART: part}) for table, part in zip(read, parts, strict=True)]
    return pd.concat(read, join="inner", ignore_index=True) if len(read) > 1 else read[0]


def named_files(rows: pd.DataFrame, said: dict, images: list[str]) -> tuple[pd.DataFrame, pd.Series]:
    """Return the rows of a table, one a file that they name, and the path of that file, "" for none.

    A row of a split first means the files in a folder of that split, where there are any.
    """
    if said.get("names") == "groups":
        found = group_paths(rows[said["file"]], images).explode()
        return rows.loc[found.index].reset_index(drop=True), found.reset_index(drop=True)
    if PART not in rows:
        return rows, find_listed(rows[said["file"]], images)
    found = [find_listed(own[said["file"]], select_part(images, part)) for part, own in rows.groupby(PART, sort=False)]
    return rows, pd.concat(found).loc[rows.index]


def select_part(images: list[str], part: str) -> list[str]:
    """Return the images in folders of a split; all where there are none."""
    return [f for f in images if part and folders.split_above(PurePosixPath(f)) == part] or images


def group_paths(names: pd.Series, paths: Iterable[str]) -> pd.Series:
    """Return for each name the paths with a folder of that name, or a file's name that begins with it; "" for none.

    A folder may be named by its path, which may begin elsewhere.
    """
    known: dict[str, list[str]] = {}
    for path in paths:
        *above, name = PurePosixPath(_plain(path)).parts
        stem = PurePosixPath(name).stem
        begins = {stem[: m.start()] for m in re.finditer(r"[-_ .]", stem)} - {""}
        ends = {"/".join(above[a:b]) for b in range(1, len(above) + 1) for a in range(b)}
        for said in {*ends, *begins}:
            known.setdefault(said, []).append(path)
    return names.map(lambda name: _meant(_plain(name), known))


def _columns(card: DataCard) -> tuple[str, ...]:
    said = card.options
    return tuple(said.get("columns", ())) or (said.get("number") or said["label"],)


def find_listed(names: pd.Series, paths: Iterable[str]) -> pd.Series:
    """Return the path that each name means, "" for none: its end of whole parts, with or without the ending.

    Case, Unicode's two ways to write an umlaut, and \\ for / do not count. A name that several files have means none;
    the whole path of one counts more than the end of another. Last, a name stands for the file that has it with
    another ending of images, or with zeros before its number.
    """
    whole: dict[str, str] = {}
    ends: dict[str, str] = {}
    bare: dict[str, str] = {}  # without ending and zeros
    for path in paths:
        stem = _bare(_plain(path))
        bare[stem] = path if bare.get(stem, path) == path else ""
        parts = PurePosixPath(_plain(path)).parts
        for start in range(len(parts)):
            for end in {"/".join(parts[start:]), "/".join([*parts[start:-1], PurePosixPath(parts[-1]).stem])}:
                known = ends if start else whole
                known[end] = path if known.get(end, path) == path else ""
    known = ends | whole
    return names.map(lambda name: _meant(_plain(name), known) or bare.get(_bare(_plain(name)), ""))


def _bare(name: str) -> str:
    """Return the name of a file without folders, an ending of images, and zeros before a number."""
    stem = re.sub(IMAGE_END, "", name.partition("?")[0].rpartition("/")[2])
    stem = re.sub(r"^(\d+)\.0$", r"\1", stem)  # a number that a spreadsheet took for a decimal one
    return stem.lstrip("0") or "0" if stem.isdecimal() else stem


def _meant(name: str, known: dict[str, T]) -> T | str:
    """Return what is known by a name; of a longer one, such as a path of another machine, by its end; "" for none."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    ends = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((known[end] for end in ends if end in known), "")


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).replace("\\", "/").casefold()


def label_rows(rows: pd.DataFrame, path: pd.Series, card: DataCard) -> tuple[pd.DataFrame, list[Reject]]:
    """Return (samples without patients, rejects) of the rows of a table whose files lie at `path` ("": nowhere)."""
    said, file = card.options, rows[card.options["file"]]
    rejects = [(name, "the table names it, and there is no such file, or several", "rule") for name in file[path == ""]]
    kept = [*_columns(card), *filter(None, [said.get("split"), PART if PART in rows else ""])]
    column = (said.get("patient") or {}).get("patient")
    kept += [column] if column in rows else []
    both = pd.concat([path.rename(PATH), rows[list(dict.fromkeys(kept))]], axis=1)[path != ""].drop_duplicates()
    twice = set(both.loc[both[PATH].duplicated(), PATH])
    both = both.drop_duplicates(PATH)
    table, text = both[[PATH]].set_axis(["path"], axis=1), both.drop(columns=PATH)
    values, faults = _targets(text, card)
    table, more = refuse(table, [(table["path"].isin(twice), DIFFER, "unreadable"), *faults])
    samples = pd.DataFrame({"id": table["path"], "path": table["path"], "frame": 0})
    samples["split"] = _splits(table["path"], text.loc[table.index], said)
    if column in text:
        samples["patient"] = text[column]
    samples = pd.concat([samples, values.loc[table.index]], axis=1)
    return samples.reset_index(drop=True), rejects + more


def _targets(table: pd.DataFrame, card: DataCard) -> tuple[pd.DataFrame, list]:
    """Return the targets of a table's rows, and checks (see `refuse`) for those that have none."""
    said, names = card.options, list(card.classes)
    if card.task == "regression":
        value = numbers(table[said["number"]])
        rank = value.rank(pct=True).fillna(0)  # in tenths: for stratified draws
        found = pd.DataFrame({"label": np.ceil(rank * 10).astype(int), said["target"]: value})
        return found, [(~np.isfinite(value), "no number: '" + table[said["number"]] + "'", "rule")]
    if card.task == "multilabel":
        if "columns" in said:
            found = table[list(said["columns"])].apply(yes_or_no, no=said.get("no", ())).set_axis(names, axis=1)
            faults = [(found.isna().any(axis=1), "neither yes nor no in a column of labels", "rule")]
        else:
            parts = table[said["label"]].map(lambda text: {*map(as_class, parts_of(text, said["separator"]))})
            known = {n: as_class(n) for n in names}
            found = pd.DataFrame({n: parts.map(lambda had, n=n: float(known[n] in had)) for n in names}, table.index)
            odd = parts.map(lambda had: bool(had - {*known.values(), *map(as_class, said.get("none", ()))}))
            faults = [(odd & (table[said["label"]] == ""), "no label in the table", "rule")]
            faults += [(odd, "a label that is no class: '" + table[said["label"]] + "'", "rule")]
        frequency = found.sum().to_numpy()
        rarest = np.where(found == 1, frequency, len(found) + 1).argmin(axis=1) if len(found) else 0
        return found.assign(label=np.where((found == 1).any(axis=1), rarest, len(names))), faults
    if "columns" in said:  # one a class, of which each row has one
        found = table[list(said["columns"])].apply(yes_or_no, no=said.get("no", ()))
        one = found.notna().all(axis=1) & (found.sum(axis=1) == 1)
        text = found.fillna(0).set_axis(names, axis=1).idxmax(axis=1).where(one, "")
    else:
        text = table[said["label"]]
    label = text.map(as_class).map({as_class(name): i for i, name in enumerate(names)})
    codes = label.fillna(-1).astype(int)
    found = pd.DataFrame({"label": codes, "class": pd.Categorical.from_codes(codes, names)}, table.index)
    return found, [(text == "", "no label in the table", "rule"), (label.isna(), "no class: '" + text + "'", "rule")]


def as_class(text: str) -> str:
    """Return what the spellings of one class have in common: no case, single blanks, no .0 behind a whole number."""
    return re.sub(r"^([-+]?\d+)\.0+$", r"\1", " ".join(text.split()).casefold())


def yes_or_no(column: pd.Series, no: Iterable[str] = ()) -> pd.Series:
    """Return 1.0 for yes, 0.0 for no and the words of `no`, NaN for all others."""
    return truth(column.where(~column.isin(list(no)), "no"))


def parts_of(text: str, separator: str) -> list[str]:
    """Return the labels that are joined in a text, without brackets and quotes; [""] of an empty text."""
    parts = [part.strip(" []{}()'\"") for part in text.split(separator)] if text else [""]
    return parts if text == "" else [part for part in parts if part]


def _splits(path: pd.Series, text: pd.DataFrame, said: dict) -> pd.Series | str:
    if said.get("split_folders"):
        return path.map(lambda file: folders.split_above(PurePosixPath(file)))
    if PART in text:
        return text[PART]
    if not said.get("split"):
        return ""
    split = text[said["split"]].map(folders.split_of)
    if (split == "").any():
        odd = ", ".join(sorted(set(text.loc[split == "", said["split"]]))[:10])
        raise ConfigError(f"column '{said['split']}': expected train, val or test, found '{odd}'.")
    return split


def _with_patients(root: Path, samples: pd.DataFrame, card: DataCard) -> tuple[pd.DataFrame, list[Reject]]:
    how = card.options.get("patient") or {}
    if how.get("table") not in {*card.options.get("tables", ()), card.options.get("table")} or "patient" not in samples:
        return name_patients(root, samples, card)
    return refuse(samples, [(samples["patient"] == "", "no patient in the table", "rule")])


LAYOUT = Layout(
    scan=scan,
    decode=folders.decode,
    patients=patients,
    options={**OPTIONS, "channels": folders.CHANNEL, "patient": PATIENT,
             "range": RANGE},
)  # fmt: skip
