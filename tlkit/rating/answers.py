"""One rater's answers: a CSV file that grows by a line per answer and survives a kill at any moment."""

from __future__ import annotations

import csv
import os
from collections.abc import Collection
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from tlkit.config import TlkitError

COLUMNS = ["item", "letter", "rating", "remark", "seconds", "time"]
SCALE = range(1, 6)  # from 1, only irrelevant regions, to 5, only relevant ones


class RatingError(TlkitError, ValueError):
    """A session, its key or a file of answers is not what rating needs."""


class Answer(NamedTuple):
    """What a rater has said of one heat map so far; rating None: a remark alone."""

    rating: int | None = None
    remark: str = ""


def append(path: Path, item: str, letter: str, answer: Answer, seconds: float, time: str) -> None:
    """Add a line (at the first also the header) and return when the disk has it; a torn last line is healed first.

    Args: seconds: since the picture was shown. time: ISO 8601. Raises RatingError for a rating that is not of SCALE.
    """
    if answer.rating is not None and answer.rating not in SCALE:
        raise RatingError(f"rating is {answer.rating!r}; expected a whole number from 1 to 5")
    heal(path)
    new = not path.exists() or path.stat().st_size == 0
    row = [item, letter, "" if answer.rating is None else answer.rating, answer.remark, round(seconds, 1), time]
    with path.open("ab") as file:
        file.write(_line(COLUMNS) * new + _line(row))
        file.flush()
        os.fsync(file.fileno())


def heal(path: Path) -> str:
    """Cut off what a kill left of the last line, and return it ("" where the file is whole or absent).

    A line counts from its newline on, which is written last; the heat map of a torn line is simply open again.
    """
    if not path.exists():
        return ""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
    return content[whole:].decode(errors="replace")


def read(path: Path, items: Collection[str], letters: Collection[str]) -> pd.DataFrame:
    """Return all whole lines in their order, COLUMNS (rating Int64); a torn last line is left out.

    Raises RatingError, naming the line, for an item or letter that the session does not have and for a rating that is
    not of SCALE: the file was edited, or belongs to another session.
    """
    content = path.read_bytes()
    try:
        lines = content[: content.rfind(b"\n") + 1].decode().split("\n")[:-1]
        header, *rows = list(csv.reader(lines)) or [COLUMNS]
        if header != COLUMNS:
            raise ValueError(f"line 1: expected the header {','.join(COLUMNS)}, found {','.join(header)}")
        return _frame([_checked(n, row, items, letters) for n, row in enumerate(rows, 2)])
    except (ValueError, csv.Error) as error:
        raise RatingError(
            f"{path} can't be read: {error}. Answers are written by the rating panel alone; put back the file as "
            "it was, or move it away and rate again."
        ) from None


def latest(answers: pd.DataFrame) -> dict[tuple[str, str], Answer]:
    """Return the last answer to each (item, letter); earlier ones stay in the file."""
    last = answers.drop_duplicates(["item", "letter"], keep="last")
    return {
        (r.item, r.letter): Answer(None if pd.isna(r.rating) else int(r.rating), r.remark)
        for r in last.itertuples(index=False)
    }


def one_line(remark: str) -> str:
    """Return a remark as it is kept: printable, spaces for line breaks, so that a line of the file is one answer."""
    return " ".join("".join(c for c in remark if c.isprintable() or c.isspace()).split())


def _line(row: list) -> bytes:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerow(row)
    return text.getvalue().encode()


def _checked(number: int, row: list[str], items: Collection[str], letters: Collection[str]) -> list:
    if len(row) != len(COLUMNS):
        raise ValueError(f"line {number}: expected {len(COLUMNS)} values, found {len(row)}")
    item, letter, rating, remark, seconds, time = row
    if item not in items or letter not in letters:
        raise ValueError(f"line {number}: no heat map '{letter}' of item '{item}' in this session")
    if rating not in ("", *map(str, SCALE)):
        raise ValueError(f"line {number}: expected a rating from 1 to 5, found '{rating}'")
    return [item, letter, int(rating) if rating else None, remark, float(seconds), time]


def _frame(rows: list[list]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS).astype({"rating": "Int64", "seconds": float})
