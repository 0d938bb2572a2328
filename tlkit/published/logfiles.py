"""One CSV log of numbers, read strictly: a cut-off or garbled file is refused with its reason, never half used."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from tlkit.config import TlkitError

# Numbers as Python writes them. float() takes more ("1_0", " 1"), and a stray "e" would make another number.
WHOLE = r"(?:0|[1-9][0-9]*)"
DECIMAL = rf"(?:{WHOLE}\.[0-9]+|[1-9](?:\.[0-9]+)?e-[0-9][0-9])"


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
    header, *rows = (line.split(",") for line in _lines(path))
    used = [known[title] for title in header if title in known]
    if len(set(header)) < len(header) or len(set(used)) < len(used):
        raise LogFileError(f"two columns of one meaning in {','.join(header)[:200]!r}")
    if absent := [name for name in needed if name not in used]:
        raise LogFileError(f"no column for {', '.join(absent)} in {','.join(header)[:200]!r}")
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise LogFileError(f"line {number}: {len(row)} fields, expected {len(header)}")
    table, notes = {}, [f"unknown column {title[:80]!r} left out" for title in header if title not in known]
    for title, fields in zip(header, zip(*rows, strict=True) if rows else [()] * len(header), strict=True):
        if name := known.get(title):
            table[name] = _numbers(title, fields, "" if name in needed else r"|-?inf|nan", name in whole)
            if not (finite := np.isfinite(table[name])).all():
                if name in needed:
                    raise LogFileError(f"{name} holds {(~finite).sum()} numbers that are too large")
                notes.append(f"{name}: {(~finite).sum()} values that are not finite left out")
                table[name][~finite] = np.nan
    return table, notes


def _lines(path: Path) -> list[str]:
    data = path.read_bytes()
    if not data:
        raise LogFileError("empty file")
    if not data.isascii():
        at = next(k for k, byte in enumerate(data) if byte > 127)
        raise LogFileError(f"not ASCII: byte {data[at]:#04x} at {at}")
    if not data.endswith(b"\n"):
        raise LogFileError("cut off: the last line does not end")
    if data.count(b"\r\n") == data.count(b"\n"):  # all end as on Windows; a lone "\r" fails as a part of its field
        data = data.replace(b"\r\n", b"\n")
    return data.decode("ascii")[:-1].split("\n")


def _numbers(title: str, fields: Sequence[str], more: str, whole: bool) -> np.ndarray:
    good = re.compile(WHOLE if whole else f"{DECIMAL}{more}").fullmatch
    for line, field in enumerate(fields, 2):
        if not good(field):
            what = "a whole number" if whole else "a decimal of 0 or more"
            raise LogFileError(f"line {line}, {title}: {field[:40]!r}, expected {what}")
    return np.array([*map(float, fields)])
