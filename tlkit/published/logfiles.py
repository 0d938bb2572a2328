"""One CSV log of numbers, read strictly: a cut-off or garbled file is refused with its reason, never half used."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from tlkit.config import TlkitError

# Numbers as Python writes them. float() takes more ("1_0", " 1"), and a stray "e" would make another number.
WHOLE = r"(?:0|[1-9][0-9]*)"
DECIMAL = rf"(?:{WHOLE}\.[0-9]+|[1-9](?:\.[0-9]+)?e-[0-9][0-9])"
FIELDS = {"whole": WHOLE, "needed": DECIMAL, "optional": rf"(?:{DECIMAL}|-?inf|nan)", "unknown": r"[^,\n]*"}
EXPECTED = {"whole": "a whole number", "needed": "a decimal of 0 or more", "optional": "a decimal of 0 or more"}


class LogFileError(TlkitError):
    """One log that cannot be used; the text is the reason."""


def columns(
    path: Path, known: Mapping[str, str], needed: Collection[str], whole: Collection[str] = ("epoch", "step")
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return the columns of a CSV log, float64 [rows], by their name in `known`, and notes on what was left out.

    Left out, with a note: columns that `known` lacks, and values that are not finite in columns not `needed` (NaN in
    their place). `whole` names the columns of whole numbers; all others hold decimals of 0 or more.
    Raises: LogFileError for anything else than a whole ASCII table of such numbers with the `needed` columns; OSError.
    """
    header, _, body = _text(path).partition("\n")
    titles = header.split(",")
    names = [known.get(title) for title in titles]
    used = [name for name in names if name]
    if len(set(titles)) < len(titles) or len(set(used)) < len(used):
        raise LogFileError(f"two columns of one meaning in {header[:200]!r}")
    if absent := [name for name in needed if name not in used]:
        raise LogFileError(f"no column for {', '.join(absent)} in {header[:200]!r}")
    kinds = tuple(_kind(name, needed, whole) for name in names)
    if not _table(kinds).fullmatch(body):
        raise LogFileError(_fault(titles, kinds, body))
    notes = [f"unknown column {title[:80]!r} left out" for title, name in zip(titles, names, strict=True) if not name]
    if notes:
        body = "\n".join(_kept(line, names) for line in body.split("\n"))
    # The text is checked above, and fromstring rounds as float() does: it is the quickest parser of it.
    values = np.fromstring(body.replace(",", " "), sep=" ").reshape(-1, len(used)).T
    table = dict(zip(used, values, strict=True))
    for name, column in table.items():
        if not (finite := np.isfinite(column)).all():
            if name in needed:
                raise LogFileError(f"{name} holds {(~finite).sum()} numbers that are too large")
            notes.append(f"{name}: {(~finite).sum()} values that are not finite left out")
            column[~finite] = np.nan
    return table, notes


def _text(path: Path) -> str:
    data = path.read_bytes()
    if not data:
        raise LogFileError("empty file")
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise LogFileError(f"not ASCII: byte {data[error.start]:#04x} at {error.start}") from error
    if not text.endswith("\n"):
        raise LogFileError("cut off: the last line does not end")
    if text.count("\r\n") == text.count("\n"):  # all lines end as on Windows
        return text.replace("\r\n", "\n")
    return text  # a lone "\r" fails as a part of its field


def _kind(name: str | None, needed: Collection[str], whole: Collection[str]) -> str:
    if name is None:
        return "unknown"
    return "whole" if name in whole else "needed" if name in needed else "optional"


@lru_cache
def _table(kinds: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(f"(?>{','.join(FIELDS[kind] for kind in kinds)}\n)*+")


def _fault(titles: list[str], kinds: tuple[str, ...], body: str) -> str:
    """Return the first place at which `body` is no table of these columns, in words."""
    for number, line in enumerate(body.split("\n"), 2):
        fields = line.split(",")
        if len(fields) != len(titles):
            return f"line {number}: {len(fields)} fields, expected {len(titles)}"
        for title, kind, field in zip(titles, kinds, fields, strict=True):
            if not re.fullmatch(FIELDS[kind], field):
                return f"line {number}, {title}: {field[:40]!r}, expected {EXPECTED[kind]}"
    return "no table"


def _kept(line: str, names: list[str | None]) -> str:
    return ",".join(field for field, name in zip(line.split(","), names, strict=False) if name)
