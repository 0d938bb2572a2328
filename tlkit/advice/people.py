"""Who is shown: ways to tell it from the names of files or a column, proposed with counts, for the user to accept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from shlex import quote
from typing import Any

import pandas as pd

from tlkit.advice import columns
from tlkit.advice.choices import AmbiguousError, name_few
from tlkit.config import nearest

NAME_PATTERNS = (  # what comes before the last number of a file's name, and what comes first in it
    r"([^/]+?)[-_ .(]+\d+\)?\.[^/.]+(?:\.gz)?$",
    r"([^-_ ./]+)[-_ ][^/]*$",
)
MOST_ALIKE, LARGEST = 0.9, 0.25  # ids per image, and the share of images that one id has, up to which they are proposed
FEWEST = 3


def proposals(
    paths: pd.Series, label: pd.Series | None, table: pd.DataFrame | None, folders: int
) -> list[tuple[str, str]]:
    """Return (flag, meaning with counts) of each way that could say who is shown.

    `paths` of the images (and their `label`, where they have classes), the rows of a table for the same images, and the
    number of `folders` above an image that say something else (split, class).
    """
    found = []
    for column in columns.patient_columns(table) if table is not None else ():
        found.append((f"--patient {quote(column)}", _counts(table[column], "column of the table")))
    depth = min((path.count("/") for path in paths), default=0)
    for level in range(folders, depth):
        pattern = rf"^(?:[^/]+/){{{level}}}([^/]+)/" if level else r"^([^/]+)/"
        if _plausible(ids(paths, pattern), len(paths), label):
            found.append((f"--patient {quote(pattern)}", _counts(ids(paths, pattern), "folders")))
    seen: set[tuple] = set()
    names = paths.str.rpartition("/")[2].nunique()  # files of one name in two folders are no sign of one patient
    for pattern in NAME_PATTERNS:
        named = ids(paths, pattern)
        if _plausible(named, names, label) and tuple(named) not in seen:
            seen.add(tuple(named))
            found.append((f"--patient {quote(pattern)}", _counts(named, "names of files")))
    return found


def ids(paths: pd.Series, pattern: str) -> pd.Series:
    """Return what the first group of a pattern, or all of it, finds in each path; "" where it finds nothing."""
    known = re.compile(pattern)

    def found(path: str) -> str:
        match = known.search(path)
        return (match[1 if known.groups else 0] or "") if match else ""

    return paths.map(found)


def _plausible(named: pd.Series, names: int, label: pd.Series | None) -> bool:
    """Tell whether ids could be patients: of nearly all images, several for some, more than a few, no class alike."""
    counts = named[named != ""].value_counts()
    if (named == "").mean() > 0.1 or len(counts) < FEWEST or len(counts) > MOST_ALIKE * names:
        return False
    classes = label.nunique() if label is not None else 0
    return counts.iloc[0] <= max(2, LARGEST * len(named)) and len(counts) > 2 * classes


def _counts(named: pd.Series, where: str) -> str:
    known = named[named != ""]
    return f"{known.nunique()} ids for {len(named)} images ({where}), such as {name_few(list(known.unique()), 3)}"


def way(asked: str, paths: pd.Series, table: pd.DataFrame | None, file: str, column: str) -> dict[str, Any] | None:
    """Return the option `patient` that a flag asks for, None for "none"; raise AmbiguousError where it finds nobody.

    A column of the table (whose path is `file` and whose `column` names the images) goes before a pattern.
    """
    if asked.lower() == "none":
        return None
    if table is not None and asked in table:
        return {"table": file, "file": column, "patient": asked}
    has = f" The table has the columns {name_few(list(table), 20)}.{nearest(asked, table)}" if table is not None else ""
    try:
        found = (ids(paths, asked) != "").sum()
    except re.error as error:
        raise AmbiguousError(f"--patient: '{asked}' is no column, and no pattern either ({error}).{has}") from error
    if found < len(paths):
        left = paths[ids(paths, asked) == ""]
        raise AmbiguousError(
            f"--patient: '{asked}' is no column, and as a pattern it finds a patient in {found} of {len(paths)} paths, "
            f"not in {name_few(list(left), 3)}.{has} Expected a column, none, or a regular expression whose first "
            "group is the patient."
        )
    return {"pattern": asked}


def settle(asked: str, offered: Sequence[tuple[str, str]]) -> None:
    """Raise AmbiguousError where patients are offered and nobody has said whether that is right."""
    if offered and not asked:
        none = ("--patient none", "nobody knows: every image counts as a patient of its own")
        raise AmbiguousError(
            "Who is shown? Images of one patient must stay on one side of a test. Say which:", [*offered, none]
        )
