"""Tables of labels that lie beside the images: read as text, words for yes and no, and why a row can't be used."""

from __future__ import annotations

import codecs
import io
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from tlkit.config import ConfigError

TRUE = {
    "true", "t", "yes", "y", "1", "1.0", "x", "positive", "pos", "present", "ja", "j", "wahr", "positiv", "oui", "vrai",
}  # fmt: skip
FALSE = {"false", "f", "no", "n", "0", "0.0", "negative", "neg", "absent", "nein", "falsch", "negativ", "non", "faux"}
MARKS = {  # the longer ones first: that of UTF-32 begins as that of UTF-16 does
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16", codecs.BOM_UTF8: "utf-8-sig",
}  # fmt: skip
NOTHING = {"na", "n/a", "#n/a", "nan", "null", "<na>", "?"}  # words that stand where nothing is known
Reject = tuple[str, str, str]  # path, reason, kind


def read_table(file: Path, names: dict[str, tuple[str, ...]], separators: str = ",") -> pd.DataFrame:
    """Return the columns of a table (see `read_text`) that `names` knows, as stripped text, renamed.

    `names` gives the headers that stand for each column; case, spaces and signs do not count. A column that is not
    there is left out. Raises ConfigError for a file that is no table or has two columns for one name.
    """
    table = read_text(file, separators)
    wanted = {_plain(header): name for name, headers in names.items() for header in headers}
    found = [wanted.get(_plain(column), "") for column in table]
    if twice := {name for name in found if name and found.count(name) > 1}:
        headers = [str(c) for c, name in zip(table, found, strict=True) if name in twice]
        raise ConfigError(f"{file} has more than one column for {', '.join(sorted(twice))}: {', '.join(headers)}.")
    table.columns = found
    return table[[name for name in found if name]].apply(lambda column: column.fillna("").astype(str).str.strip())


def read_text(file: Path, separators: str = ",;\t|") -> pd.DataFrame:
    """Return a CSV, TSV or parquet file, or the first sheet of an .xlsx, as stripped text: "" where nothing stands.

    A CSV has that one of the `separators` which its header has most of (of none, blanks, where each row has as many),
    and is in UTF-8, UTF-16, UTF-32 with its mark, or else Windows-1252. Raises ConfigError for a file that is no table.
    """
    try:
        if file.suffix.lower() == ".xlsx":
            table = pd.read_excel(file, dtype=str, keep_default_na=False)
        elif file.suffix.lower() == ".parquet":
            table = pd.read_parquet(file)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
                how = {"dtype": str, "keep_default_na": False, "index_col": False}
                table = pd.read_csv(io.StringIO(text := _decoded(file)), sep=_separator(text, separators), **how)
    except pd.errors.ParserWarning as error:
        first = text.splitlines()[0][:80]
        raise ConfigError(
            f"{file} is no table that can be read: its rows are longer than its first line, '{first}', where the names "
            "of the columns are expected."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is in an encoding that is not known here: save it as UTF-8.") from error
    except ImportError as error:
        raise ConfigError(f"{file} is an Excel sheet: save it as CSV beside it, or `pip install openpyxl`.") from error
    except Exception as error:  # broken files fail in every way, in pandas and in the parsers below it
        raise ConfigError(
            f"{file} is no table that can be read: {type(error).__name__}: {str(error).strip()}"
        ) from error
    table.columns = [str(c).strip() for c in table]
    return table.astype(object).where(table.notna(), "").apply(lambda column: column.astype(str).str.strip())


def _decoded(file: Path) -> str:
    data = file.read_bytes()
    for mark, name in MARKS.items():
        if data.startswith(mark):
            return data.decode(name)
    if b"\0" in data[:100]:  # UTF-16 without its mark
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252")


def _separator(text: str, known: str) -> str:
    lines = [line for line in text.splitlines()[:50] if line.strip()]
    header = re.sub(r'"[^"]*"', "", next(iter(lines), ""))
    if not any(sign in header for sign in known) and len({len(line.split()) for line in lines}) == 1 and " " in header:
        return r"\s+"
    return max(known, key=header.count)


def _plain(header: object) -> str:
    return re.sub(r"[^a-z0-9]+", " ", str(header).lower()).strip()


def keep_once(table: pd.DataFrame, key: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (one row per key, with `odd` where its rows differ; the rows of keys whose rows were all equal)."""
    twice = table[table.duplicated()].drop_duplicates()
    table = table.drop_duplicates()
    table = table.assign(odd=table.duplicated(key, keep=False))
    equal = twice[~twice.index.isin(table.index) & ~_keys(twice, key).isin(_keys(table[table["odd"]], key))]
    return table.drop_duplicates(key), equal


def _keys(table: pd.DataFrame, key: list[str]) -> pd.Series:
    return table[key].agg("/".join, axis=1) if len(table) else pd.Series([], dtype=str)


def blank_nothing(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of text with "" for the words of NOTHING, in any case."""
    return table.apply(lambda column: column.where(~column.str.lower().isin(NOTHING), ""))


def truth(column: pd.Series, true: set[str] = TRUE, false: set[str] = FALSE) -> pd.Series:
    """Return 1.0 for the words of `true`, 0.0 for those of `false`, in any case, and NaN for all others."""
    words = column.str.lower()
    values = np.select([words.isin(true), words.isin(false)], [1.0, 0.0], np.nan)
    return pd.Series(values, index=column.index)


def numbers(column: pd.Series) -> pd.Series:
    """Return the numbers that text stands for, NaN where it is none.

    A comma before the decimals is read, unless three digits stand behind each: those may be thousands.
    """
    text = column.astype(str)
    decimal = text.str.fullmatch(r"\s*[-+]?\d+,\d+\s*")
    if decimal.any() and not text[decimal].str.fullmatch(r".*,\d{3}\s*").all():
        text = text.where(~decimal, text.str.replace(",", ".", regex=False))
    return pd.to_numeric(text, errors="coerce").astype(float)


def refuse(table: pd.DataFrame, checks: list[tuple[pd.Series, pd.Series | str, str]]) -> tuple[pd.DataFrame, list]:
    """Return (rows that no check is against, rejects of the others): its `path`, the first reason, and its kind.

    A check is (bad rows, reason or one reason a row, kind of the reject).
    """
    rejects: list[Reject] = []
    for bad, reason, kind in checks:
        first = bad.reindex(table.index, fill_value=False)
        texts = pd.Series(reason, index=table.index) if isinstance(reason, str) else reason
        rejects += [(path, texts[i], kind) for i, path in table.loc[first, "path"].items()]
        table = table[~first]
    return table, rejects
