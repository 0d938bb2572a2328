"""Words in the cells of a table: spellings of one class, dates, and what says yes and no."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

from tlkit.layouts.entries import FALSE, TRUE
from tlkit.layouts.table import as_class

DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([ T].*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}( .*)?|\d{1,2}:\d{2}(:\d{2})?"
)
UNSURE = {"-1", "-1.0"}  # where 1 and 0 are yes and no: as CheXpert has it; beside 1 alone it is no


def find_spellings(texts: pd.Series) -> dict[str, str]:
    """Return {what the spellings of a class have in common: the most frequent of them}, of texts that say something."""
    found: dict[str, str] = {}
    for text in texts[texts != ""].value_counts().index:
        found.setdefault(as_class(text), " ".join(text.split()))
    return {common: common if re.fullmatch(r"[-+]?\d+", common) else shown for common, shown in found.items()}


def are_dates(texts: pd.Series) -> bool:
    """Tell whether all of some texts are dates; not where there is none."""
    return bool(len(texts)) and all(map(DATE.fullmatch, texts))


def yes_no_columns(table: pd.DataFrame, columns: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the columns of yes and no, and the words that say no in them besides those that always do.

    Nothing says no in a column where nothing else does, and where -1 marks what is unsure, which then is no as well.
    """
    words = {c: set(table[c].str.lower()) for c in columns}
    words = {c: w for c, w in words.items() if w & TRUE and w <= TRUE | FALSE | UNSURE | {""} and w - TRUE}
    alone = {c for c, w in words.items() if not w & (FALSE | UNSURE)}  # such as x and nothing
    unsure = set().union(*words.values()) & UNSURE
    nothing = {""} if alone or (unsure and any("" in w for w in words.values())) else set()
    return list(words), sorted(unsure | nothing)
