"""Who is shown on an image of a folder layout: by a pattern in its path, by a folder, or by a column of a table."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
from pydantic import AfterValidator

from tlkit.config import ConfigError
from tlkit.datasets.cards import NAMED, DataCard
from tlkit.layouts.entries import Reject, read_table

UNKNOWN = "unknown: every image counts as one"
WAYS = "{pattern: REGEX}, {level: N} or {table: FILE, file: COLUMN, patient: COLUMN}"


def patients(card: DataCard) -> str:
    """Return "named" where the card's option `patient` says who is shown, else that nobody knows."""
    return NAMED if card.options.get("patient") else UNKNOWN


def name_patients(root: Path, samples: pd.DataFrame, card: DataCard) -> tuple[pd.DataFrame, list[Reject]]:
    """Return the samples with `patient` as `options["patient"]` says, and rejects for those of whom it says nothing.

    {"pattern": regex}: its first group, or all of it, in the path below `root`. {"level": n}: the n-th folder of that
    path, the outermost is 1, the one that holds the file is -1. {"table": csv, "file": column, "patient": column}: the
    row of the file's name (whole path, name, or name without ending). Without the option every image is a patient.
    Raises ConfigError where it says nothing of any file.
    """
    how = card.options.get("patient")
    if not how or samples.empty:
        return samples.assign(patient=samples["id"]), []
    found = samples["path"].map(_way(root, how)).fillna("")
    if not found.astype(bool).any():
        raise ConfigError(
            f"{card.name}: `patient: {how}` finds no patient in any of {len(samples)} paths such as "
            f"'{samples['path'].iloc[0]}'. Expected one of {WAYS}."
        )
    left = samples.loc[found == "", "path"]
    rejects = [(path, f"no patient by {how}", "unreadable") for path in left]
    kept = samples.assign(patient=found)[found != ""]
    return kept.reset_index(drop=True), rejects


def check_way(how: dict[str, Any] | None) -> dict[str, Any] | None:
    """Raise ConfigError where the option `patient` is none of the ways."""
    keys = set(how or {})
    if how and keys not in ({"pattern"}, {"level"}, {"table", "file", "patient"}):
        raise ConfigError(f"expected one of {WAYS}, found the keys {', '.join(sorted(keys))}.")
    if "pattern" in keys:
        try:
            re.compile(how["pattern"])
        except re.error as error:
            raise ConfigError(f"expected a regular expression, found '{how['pattern']}' ({error}).") from error
    if "level" in keys and how["level"] == 0:
        raise ConfigError("expected a level of 1 or more, or of -1 or less; found 0.")
    return how


def _way(root: Path, how: dict[str, Any]):
    """Return the function from a file's path below `root` to its patient, None where there is none."""
    if "pattern" in how:
        pattern = re.compile(how["pattern"])

        def named(path: str) -> str | None:
            match = pattern.search(path)
            return match and match[1 if pattern.groups else 0]

        return named
    if "level" in how:
        level = how["level"] - (how["level"] > 0)

        def folder(path: str) -> str | None:
            parts = PurePosixPath(path).parts[:-1]
            return parts[level] if -len(parts) <= level < len(parts) else None

        return folder
    return _by_table(root, how)


def _by_table(root: Path, how: dict[str, Any]):
    file = root / how["table"]
    if not file.is_file():
        raise ConfigError(f"{root} lacks the table {how['table']} that `patient` names.")
    table = read_table(file, {"file": (how["file"],), "patient": (how["patient"],)}, ",;\t")
    if missing := {"file", "patient"} - set(table):
        named = ", ".join(how[name] for name in sorted(missing))
        raise ConfigError(f"{file} lacks {named}, which `patient` names.")
    known = table.drop_duplicates()
    if twice := sorted(known.loc[known["file"].duplicated(), "file"]):
        raise ConfigError(f"{file} names two patients for {', '.join(twice[:5])}.")
    patient = dict(zip(known["file"], known["patient"], strict=True))

    def listed(path: str) -> str | None:
        name = PurePosixPath(path)
        return next((patient[k] for k in (path, name.name, name.stem) if k in patient), None)

    return listed


PATIENT = (dict[str, str | int] | None, AfterValidator(check_way))  # the option, for a layout
