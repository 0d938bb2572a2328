"""The tables that say what images show: those asked for or in the folder, several of one kind read as one."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import pandas as pd

from tlkit.advice import columns
from tlkit.advice.choices import AmbiguousError, name_few
from tlkit.advice.seen import Seen
from tlkit.config import ConfigError
from tlkit.layouts.entries import blank_nothing, read_text
from tlkit.layouts.folders import split_above, split_of
from tlkit.layouts.table import find_listed, group_paths, join_tables, select_part

ENDINGS = (".csv", ".tsv", ".xlsx", ".parquet")
UNNAMED = "Unnamed: "  # how pandas begins the name of a column without one
NONE = ("--labels none", "leave tables unread")


@dataclass(frozen=True)
class Labels:
    """Rows of one table, or of several: `column` names the images ("": none does), `names` what a row of it names."""

    paths: tuple[Path, ...]
    rows: pd.DataFrame
    column: str
    names: str = "files"
    parts: tuple[str, ...] = ()  # the split of each table

    @property
    def flag(self) -> str:
        """The flag that asks for these tables."""
        return f"--labels {quote(','.join(map(str, self.paths)))}"

    @property
    def said(self) -> str:
        """Which tables they are, in words."""
        return f"table{'s' if len(self.paths) > 1 else ''} {', '.join(path.name for path in self.paths)}"

    def options(self, root: Path) -> dict[str, Any]:
        """Return the options of a layout that mean these tables."""
        files = [p.relative_to(root).as_posix() if p.is_relative_to(root) else str(p) for p in self.paths]
        parts = self.parts or [""] * len(files)
        own = (
            {"table": files[0]}
            if not any(parts) and len(files) == 1
            else {"tables": dict(zip(files, parts, strict=True))}
        )
        return own | {"file": self.column} | ({} if self.names == "files" else {"names": self.names})

    def file(self, root: Path) -> str:
        """Return the first table as options name it."""
        options = self.options(root)
        return options.get("table") or next(iter(options["tables"]))


def files(seen: Seen) -> list[Path]:
    """Return the tables that may say what the images show: those asked for, else all in the folder."""
    asked = seen.asked.get("labels", "")
    if asked.lower() in ("", "none"):
        return [seen.root / f for f in seen.ending(*ENDINGS)]
    found = [_place(seen, asked)] if _place(seen, asked) else [_place(seen, part.strip()) for part in asked.split(",")]
    if None in found:
        raise AmbiguousError(f"--labels: there is no file {asked}, neither here nor in {seen.root}.")
    return found


def _place(seen: Seen, asked: str) -> Path | None:
    """Return the file of that name: here, in the folder that is read, or in those that hold it alone."""
    places = [base / Path(asked).expanduser() for base in (Path(), seen.root, *seen.root.parents[:2])]
    return next((place.resolve() for place in places if place.is_file()), None)


def read(seen: Seen, path: Path) -> pd.DataFrame:
    """Return the rows of a table as text; raise AmbiguousError for one that cannot be read, or has no rows."""
    try:
        rows = blank_nothing(read_text(path))
    except ConfigError as error:
        raise AmbiguousError(str(error), [NONE]) from error
    if rows.empty:
        raise AmbiguousError(f"{path} has the columns {name_few(list(rows), 20)} and no rows.", [NONE])
    for column in rows:
        first = re.sub(r"\.\d+$", "", column)
        if first != column and first in rows and not rows[column].equals(rows[first]):
            raise AmbiguousError(f"{path} has more than one column '{first}'. Give each a name of its own.", [NONE])
    return rows


def find_table(seen: Seen, path: Path, images: list[str]) -> Labels:
    """Return a table and its column that names the images; raise AmbiguousError for one that cannot be read."""
    leave = seen.asked.get("labels", "").lower() == "none"
    try:
        rows = read(seen, path)
    except AmbiguousError:
        if leave:
            return Labels((path,), pd.DataFrame(), "")
        raise
    if (file := seen.asked.get("file", "")) and file not in rows:
        raise AmbiguousError(f"--file: {path} has no column '{file}'. It has {name_few(list(rows), 20)}.")
    part = part_of(path, seen.root)
    own = select_part(images, part)
    parts = (part,) if len(own) < len(images) else ()  # names may stand for other files elsewhere
    column = columns.file_column(rows, own, file)
    names = pd.Series([column] if column else list(rows))
    full = [c for c in list(rows)[1:] if c.startswith(UNNAMED) and (rows[c] != "").mean() > columns.HALF]
    paths = names[names.str.contains("/")]
    if not leave and (
        column.startswith(UNNAMED)
        or full
        or (find_listed(names, own) != "").any()
        or (group_paths(paths, own) != "").any()
    ):
        said = ["nothing" if c.startswith(UNNAMED) else c for c in rows]
        raise AmbiguousError(
            f"The first line of {path} names no columns: it says {name_few(said)}. Write one right above the rows, "
            "such as file,label,patient, in a copy that you name: --labels FILE",
            [NONE],
        )
    if column or not (group := _group_column(rows, own, file)):
        return Labels((path,), rows, column, parts=parts)
    return Labels((path,), rows, group, "groups")


def _group_column(rows: pd.DataFrame, images: list[str], asked: str) -> str:
    """Return the column that names folders, or the beginnings of names, of most images; "" where none does.

    A row of it names all images of a patient, or of an exam.
    """
    for column in [asked] if asked else list(rows):
        if not rows[column].is_unique:
            continue
        found = group_paths(rows[column], images)
        paths = found[found != ""].explode()
        if len(paths) > columns.HALF * len(images) and paths.is_unique and (found != "").mean() >= columns.HALF:
            return column
    return ""


def part_of(path: Path, root: Path = Path()) -> str:
    """Return the split that a table's name says, as train.csv and labels_test.csv do; "" for none, or for two.

    Of a name that says none that of the folder below `root` in which it lies.
    """
    words = re.split(r"[\W_\d]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", path.stem))
    found = {split_of(word) for word in [path.stem, *words] if word} - {""}
    above = split_above(path.relative_to(root)) if not found and path.is_relative_to(root) else ""
    return found.pop() if len(found) == 1 else above


def join_alike(seen: Seen, tables: Sequence[Labels], answers: Callable[[Labels], Any]) -> Labels | None:
    """Return tables of one kind as one, each with the split of its name; None where they are not of one kind.

    `answers` returns what a table holds: of one kind are tables with the same of it or with the same columns, which
    name files in the same one.
    """
    parts = tuple(part_of(table.paths[0], seen.root) for table in tables)
    alike = len({(table.column, table.names) for table in tables}) == 1
    alike &= any(len(set(map(held, tables))) == 1 for held in (answers, lambda table: tuple(table.rows)))
    if len(tables) < 2 or not alike or (any(parts) and (not all(parts) or "train" not in parts)):
        return None
    rows = join_tables([table.rows for table in tables], list(parts))
    first = tables[0]
    return Labels(tuple(t.paths[0] for t in tables), rows, first.column, first.names, parts if any(parts) else ())


def unread(table: Labels, images: list[str], ways: Sequence[tuple[str, str]] = ()) -> AmbiguousError:
    """Return the error of a table that names no files."""
    rows, (path,) = table.rows, table.paths
    first = "; ".join(f"{c}: {name_few(list(rows[c].unique()), 3)}" for c in list(rows)[:6])
    told = (
        f"The table {path} is not understood: no column names the images, which are called {name_few(images, 3)}. "
        f"Its columns begin with {first}."
    )
    single = {re.sub(r"\.[^.]+$", "", image): image for image in images}
    for column in rows if len(single) < len(images) else ():
        if (find_listed(rows[column], single.values()) != "").mean() >= columns.HALF:
            told += f" Several files have the names in column '{column}', with other endings: write the ending, too."
            break
    if path.suffix.lower() == ".xlsx" and len(sheets := _sheets(path)) > 1:
        told += f" Of its sheets {name_few(sheets)} the first is read: put the other one first, or save it as CSV."
    return AmbiguousError(told, ways or [NONE])


def _sheets(path: Path) -> list[str]:
    with pd.ExcelFile(path) as book:
        return [str(name) for name in book.sheet_names]
