"""Free-text reports of an archive, by exam: read into memory, never written."""

from __future__ import annotations

import csv
import io
import logging
import unicodedata
import warnings
from pathlib import Path

import pandas as pd

from tlkit.archives import deidentify
from tlkit.config import TlkitError

REPORTS = "reports.csv"
COLUMNS = ("exam", "text")
log = logging.getLogger(__name__)


class ReportsError(TlkitError):
    """The table of the reports is not there, or is not a table of reports."""


def read_reports(file: Path, exams: pd.DataFrame, key: bytes) -> pd.Series:
    """Return the text of each exam (index: its pseudonym, sorted), "" where there is none.

    `exams` has the columns `exam` and `accession` of an archive's index; the file's `exam` is the StudyInstanceUID or
    the AccessionNumber as in the headers. Several reports of an exam are joined in the order of the file. Texts that
    are no UTF-8 are read by `decode_text`. `attrs` of the result counts what is "missing", of "other" exams and in
    "cp1250", and holds the reasons of the "rejected" by exam; warns of rejected ones. Raises ReportsError.
    """
    known = exams[["exam", "accession"]].drop_duplicates().sort_values(["exam", "accession"])
    by_accession = known[known["accession"] != ""].groupby("accession")["exam"].agg(list)
    found: dict[str, list[str]] = {exam: [] for exam in known["exam"]}
    rejected, other, cp1250 = {}, 0, 0
    for name, raw in _rows(file):
        study = deidentify.pseudonym(key, "uid", name)
        owners = [study] if study in found else by_accession.get(deidentify.pseudonym(key, "accession", name), [])
        text, foreign = decode_text(raw)
        other, cp1250 = other + (not owners), cp1250 + (foreign and text is not None)
        for exam in owners:
            if text is None:
                rejected[exam] = "the report is neither UTF-8 nor cp1250"
            elif text.strip():
                found[exam].append(text.strip())
    texts = pd.Series({exam: "\n".join(parts) for exam, parts in found.items()}, dtype="str", name="report")
    texts.attrs = {"missing": int((texts == "").sum()), "other": other, "cp1250": cp1250, "rejected": rejected}
    _tell(texts)
    return texts.rename_axis("exam")


def decode_text(text: str) -> tuple[str | None, bool]:
    """Return (text, whether it was in cp1250) of a text that was read as UTF-8 with surrogateescape.

    What is no UTF-8 is taken for cp1250 (Windows, Central Europe) if each of its bytes from 0x80 on then is a letter,
    a sign, or punctuation, as in Croatian and German; else the text is None, and nobody guesses.
    """
    raw = text.encode("utf-8", "surrogateescape")
    try:
        return raw.decode(), False
    except UnicodeDecodeError:
        pass
    try:
        read = raw.decode("cp1250")
    except UnicodeDecodeError:
        return None, True
    plausible = all(char.isascii() or unicodedata.category(char)[0] in "LPSZ" for char in read)
    return (read if plausible and "\0" not in read else None), True


def _rows(file: Path) -> list[tuple[str, str]]:
    """Return (exam, text) of each row, texts with the bytes that are no UTF-8 as surrogates."""
    wanted = "Expected: a CSV in UTF-8 with the columns exam (StudyInstanceUID or AccessionNumber) and text."
    if not file.is_file():
        raise ReportsError(f"no {file.name} beside the DICOM files in {file.parent}. {wanted}")
    text = file.read_bytes().removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    try:
        rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        head = [name.strip().casefold() for name in next(rows, [])]
        if missing := [name for name in COLUMNS if name not in head]:
            raise ReportsError(f"{file} has no column {' and no column '.join(missing)}. {wanted}")
        at = [head.index(name) for name in COLUMNS]
        found = []
        for row in rows:
            if row and len(row) != len(head):
                raise ReportsError(f"{file}, line {rows.line_num}: {len(row)} fields, not {len(head)}. {wanted}")
            if row:
                found.append((row[at[0]].strip(), row[at[1]]))
    except csv.Error as error:
        raise ReportsError(f"{file}, line {rows.line_num}: {error}. {wanted}") from error
    return found


def _tell(texts: pd.Series) -> None:
    facts = texts.attrs
    log.info(
        "reports: %d exams, %d without; %d in cp1250, %d of exams that are not in the archive",
        len(texts), facts["missing"], facts["cp1250"], facts["other"],
    )  # fmt: skip
    if facts["rejected"]:
        warnings.warn(
            f"{len(facts['rejected'])} exams have a report that is neither UTF-8 nor cp1250: they count as without "
            "(`attrs['rejected']` names them). Save reports.csv as UTF-8.",
            stacklevel=4,
        )
