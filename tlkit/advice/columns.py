"""What the columns of a table of images may be: files, labels, patients, splits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from shlex import quote
from typing import Any

import numpy as np
import pandas as pd

from tlkit.advice.choices import AmbiguousError, name_few
from tlkit.advice.words import are_dates, find_spellings, yes_no_columns
from tlkit.config import nearest
from tlkit.layouts.entries import numbers
from tlkit.layouts.folders import split_of
from tlkit.layouts.table import RESERVED, as_class, find_listed, parts_of, yes_or_no

LABELS = {
    "label", "labels", "class", "classes", "target", "diagnosis", "dx", "category", "y", "findings", "finding",
    "finding labels", "class name", "class id", "class label", "label name", "label id", "image label", "ground truth",
    "disease", "pathology", "outcome", "diagnose", "diagnosen", "klasse", "klassen", "befund", "befunde", "kategorie",
}  # fmt: skip
PATIENT = re.compile(
    r"(pat(ient(en)?)?|pt|subject|case|fall|person|participant|proband|individual|donor|animal|lesion"
    r"|study( ?instance)?|exam|pseudonym)( ?(id|uid|nr|no|num|number|nummer|code|name))?|pid|mrn|sub"
)
PERSONAL = re.compile(r".*(name|vorname|birth|geburt|accession|address|adresse).*")
SPLIT = {
    "split", "set", "subset", "partition", "fold", "part", "phase", "usage", "dataset", "aufteilung", "teil",
    "teilmenge", "datensatz",
}  # fmt: skip
SEPARATORS = "|;,+"  # of these the last two may as well belong to one name
MOST_CLASSES, GRADES = 200, 10  # different texts, and whole numbers, up to which a column is taken for classes
SURE = 30  # different whole numbers from which on a column is taken for a number
AS = {"multiclass": "classes", "multilabel": "labels joined in one text", "regression": "a number"}
HALF = 0.5  # of a table's rows that name a file, at least


@dataclass(frozen=True)
class Target:
    """One way to read an answer from a table: a task, its class names, and the options of the layout."""

    columns: tuple[str, ...]
    task: str
    classes: tuple[str, ...]
    options: dict[str, Any]
    others: tuple[str, ...] = ()  # tasks that the same column can be read for
    same: tuple[str, ...] = ()  # columns that say the same in other words

    @property
    def flag(self) -> str:
        """The flag that asks for this way."""
        return f"--label {quote(','.join(self.columns))}"

    @property
    def meaning(self) -> str:
        """What the answers are, in words."""
        if self.task == "regression":
            return "a number"
        kind = {"multiclass": "one of {} classes", "multilabel": "any of {} labels"}[self.task]
        return f"{kind.format(len(self.classes))}: {name_few(self.classes)}"


def simplify_name(name: str) -> str:
    """Return a column's name in lower case, words apart."""
    return re.sub(r"[\W_]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)).strip().lower()


def file_column(table: pd.DataFrame, paths: Sequence[str], asked: str = "") -> str:
    """Return the column that names the files, "" for none; raise AmbiguousError where several name other ones."""
    found = {c: find_listed(table[c], paths) for c in ([asked] if asked else table.columns)}
    good = {
        c: f for c, f in found.items() if f[f != ""].nunique() >= max(1, HALF * table[c].nunique(), HALF * len(f) / 4)
    }
    alone = {c: f for c, f in good.items() if table[c].is_unique}  # a number that repeats is no name beside such a one
    good = alone or good
    if len({tuple(f) for f in good.values()}) > 1:
        raise AmbiguousError(
            "More than one column of the table names files. Say which are the images:",
            [(f"--file {quote(c)}", f"such as {name_few(list(table[c]), 3)}") for c in good],
        )
    return max(good, key=lambda c: table[c].str.len().mean(), default="")


def split_column(table: pd.DataFrame) -> str:
    """Return the column that says nothing but train, val and test, "" where none does; one called so goes first."""
    fits = [c for c in table if table[c].nunique() > 1 and table[c].map(split_of).all()]
    return next((c for c in sorted(fits, key=lambda c: simplify_name(c) not in SPLIT)), "")


def patient_columns(table: pd.DataFrame) -> list[str]:
    """Return the columns that are called like a patient."""
    return [c for c in table if PATIENT.fullmatch(simplify_name(c))]


def targets(table: pd.DataFrame, beside: Sequence[str], task: str = "") -> list[Target]:
    """Return each way to read an answer from the columns that are not `beside` it; a column of one value is none."""
    left = [c for c in table if c not in beside and not _counts_rows(table[c])]
    yes_no, no = yes_no_columns(table, left)
    left = [
        c
        for c in left
        if c in yes_no or (len(find_spellings(table[c])) > 1 and not are_dates(table[c][table[c] != ""]))
    ]
    found = read_several(table, yes_no, task, no) if len(yes_no) > 1 else []
    if found and not task and found[0].task == "multilabel" and (one_of := _exclusive(table, yes_no, no)):
        found += read_several(table, one_of, "multiclass", no)
    for column in [c for c in left if c not in yes_no or len(yes_no) == 1]:
        found += read_one(table, column, task)
    return _told_once(table, found)


def _counts_rows(column: pd.Series) -> bool:
    """Tell whether a column numbers the rows, from 0 or 1."""
    value = numbers(column)
    return len(value) > 2 and any(np.array_equal(value, np.arange(len(value)) + first) for first in (0, 1))


def _told_once(table: pd.DataFrame, found: list[Target]) -> list[Target]:
    """Return the ways, and of columns that name the same classes the one way of their words, not of their numbers."""
    alike: dict[tuple, list[Target]] = {}
    for target in found:
        classes = target.task == "multiclass" and "label" in target.options
        codes = pd.factorize(table[target.columns[0]].map(as_class))[0] if classes else ()
        alike.setdefault((target.task, *(codes if classes else target.columns)), []).append(target)
    kept = []
    for ways in alike.values():
        first = min(ways, key=lambda t: all(name.isdigit() for name in t.classes))
        kept.append(replace(first, same=tuple(c for t in ways if t is not first for c in t.columns)))
    numbered = {(c,) for target in kept for c in target.same}
    return [t for t in kept if t.columns not in numbered]


def read_several(table: pd.DataFrame, columns: Sequence[str], task: str = "", no: Sequence[str] = ()) -> list[Target]:
    """Return the reading of columns of yes and no: classes where each row has exactly one, else labels."""
    values = table[list(columns)].apply(yes_or_no, no=no)
    alone = bool((values.sum(axis=1) == 1).all())
    task = task or ("multiclass" if alone else "multilabel")
    if task == "regression" or (task == "multiclass" and not alone) or values.isna().all(axis=None):
        return []
    names = tuple(f"{c} (label)" if c in RESERVED else c for c in columns)
    options = {"columns": list(columns)} | ({"no": list(no)} if no else {})
    return [Target(tuple(columns), task, names, options)]


def _exclusive(table: pd.DataFrame, columns: Sequence[str], no: Sequence[str]) -> Sequence[str]:
    """Return most neighbouring columns of yes and no, three or more, of which each row has exactly one; else none."""
    values = table[list(columns)].apply(yes_or_no, no=no).to_numpy()
    most = min(len(columns), 40)
    runs = [(a, b) for a in range(most) for b in range(a + 3, most + 1)]
    found = [(b - a, -a) for a, b in runs if (values[:, a:b].sum(axis=1) == 1).all() and values[:, a:b].any(0).all()]
    size, start = max(found, default=(0, 0))
    return columns[-start : size - start]


def read_one(table: pd.DataFrame, column: str, task: str = "") -> list[Target]:
    """Return the ways to read the answers of one column: none, one, or two where it may be grades or numbers.

    Of a `task` that is named, what the column can be at all.
    """
    text = table[column][table[column] != ""]
    known, ways = find_spellings(text), {}
    distinct, many = len(known), min(MOST_CLASSES, len(text) / 2)
    if 1 < distinct <= max(2, many):
        names = tuple(sorted(known.values(), key=_by_number))
        ways["multiclass"] = Target((column,), "multiclass", names, {"label": column})
    value = numbers(text)
    if np.isfinite(value).all() and len(text):
        target = f"{column} (number)" if column in RESERVED else column
        ways["regression"] = Target((column,), "regression", (target,), {"number": column, "target": target})
        whole = bool((value % 1 == 0).all())
        few_whole = distinct <= (GRADES if whole else 2)
        likely = ["multiclass"] if few_whole else ["regression"] if not whole or distinct > SURE else list(ways)
    else:
        sure = False
        for sign in SEPARATORS + (" " if task == "multilabel" else ""):
            cells = text.map(lambda cell, sign=sign: parts_of(cell, sign))
            shown = find_spellings(pd.Series([part for cell in cells for part in cell], dtype=object))
            cells = cells.map(lambda cell, shown=shown: [shown[as_class(part)] for part in cell if part])
            parts = Counter(part for cell in cells for part in set(cell))
            if cells.map(len).max() > 1 and 1 < len(parts) <= max(2, min(many, distinct + 1)):
                said = {"label": column, "separator": sign}
                ways["multilabel"] = Target((column,), "multilabel", tuple(sorted(parts)), said)
                alone, joined = ({p for c in cells if (len(c) > 1) == both for p in c} for both in (False, True))
                sure = sign in "|;" or bool(alone & joined)
                break
        likely = ["multilabel"] if sure else list(ways)
    chosen = [task] if task else likely
    return [replace(ways[kind], others=tuple(set(ways) - set(chosen))) for kind in chosen if kind in ways]


def _by_number(text: str) -> tuple:
    value = pd.to_numeric(text, errors="coerce")
    return (bool(np.isnan(value)), 0 if np.isnan(value) else value, text)


def choose(table: pd.DataFrame, beside: Sequence[str], label: str = "", task: str = "") -> Target | None:
    """Return the one way to read the answers, None where no column holds any.

    `label` names columns (with commas between), `task` how they are read; both are for where there is more than one
    way. A column that is called like a label goes before others. Raises AmbiguousError where more ways than one are
    left, or where the columns do not fit the task.
    """
    if label:
        wanted = [label] if label in table else [part.strip() for part in label.split(",")]
        if missing := [c for c in wanted if c not in table]:
            raise AmbiguousError(
                f"The table has no column {name_few(missing)} for --label.{nearest(missing[0], table)} "
                f"It has {name_few(list(table), 30)}."
            )
        no = yes_no_columns(table, wanted)[1]
        ways = [
            read_several(table, wanted, t, no) if len(wanted) > 1 else read_one(table, wanted[0], t) for t in (task, "")
        ]
    else:
        ways = [_called(targets(table, beside, t)) for t in (task, "")]
        only = [
            c
            for c in table
            if simplify_name(c) in LABELS and c not in beside and table[c].replace("", np.nan).nunique() == 1
        ]
        if only and not any(simplify_name(c) in LABELS for t in ways[0] for c in t.columns):
            value = next(iter(table[only[0]].replace("", np.nan).dropna()))
            raise AmbiguousError(
                f"Column '{only[0]}' says '{value}' of every image: one class leaves nothing to learn."
                + (" What else the table says:" if ways[1] else ""),
                [_choice(t, False) for t in ways[1]],
            )
    found = ways[0]
    if not found and (task or label):
        given = " ".join(filter(None, [f"--task {task}" if task else "", f"--label {quote(label)}" if label else ""]))
        seen = "What they can be:" if ways[1] else "Expected classes, yes and no, or numbers, of which not all differ."
        raise AmbiguousError(
            f"The answers in the table do not fit {given}. {seen}", [_choice(t, True) for t in ways[1]]
        )
    if len(found) > 1:
        twice = len({t.columns for t in found}) < len(found)
        raise AmbiguousError(
            "More than one way to read the answers from the table. Say which:", [_choice(t, twice) for t in found]
        )
    return found[0] if found else None


def _called(found: list[Target]) -> list[Target]:
    """Return the ways whose column, or one that says the same, is called like a label; all where none is."""
    called = [
        t for t in found if len(t.columns) == 1 and any(simplify_name(c) in LABELS for c in (*t.columns, *t.same))
    ]
    return called or found


def _choice(target: Target, with_task: bool) -> tuple[str, str]:
    return target.flag + (f" --task {target.task}" if with_task else ""), target.meaning


def find_beside(table: pd.DataFrame, asked: Mapping[str, str], *others: str) -> list[str]:
    """Return the columns that say something else than an answer: patients, splits, those `asked` for, and `others`."""
    said = [split_column(table), asked.get("patient"), asked.get("split")]
    return [*others, *patient_columns(table), *named_splits(table), *(c for c in said if c in table)]


def find_personal(table: pd.DataFrame) -> list[str]:
    """Return the columns that are called like what tells who somebody is."""
    return [c for c in table if PERSONAL.fullmatch(simplify_name(c))]


def named_splits(table: pd.DataFrame) -> list[str]:
    """Return the columns that are called like a split, whatever they say."""
    return [c for c in table if simplify_name(c) in SPLIT]


def notes(table: pd.DataFrame, target: Target) -> list[str]:
    """Return what else is to be said of an answer: other ways to read it, rows without one."""
    told = [f"--task {task} reads '{target.columns[0]}' as {AS[task]}" for task in target.others]
    told += [f"column '{column}' says the same in other words" for column in target.same]
    no = target.options.get("no", ())
    told += (
        [f"{' and '.join(w or 'nothing' for w in no)}: read as no (`no`; without it such rows are left out)"]
        if no
        else []
    )
    shown = (
        find_spellings(table[target.columns[0]])
        if "label" in target.options and "separator" not in target.options
        else {}
    )
    cells = [" ".join(text.split()) for text in table[target.columns[0]].unique() if shown]
    other = sorted(text for text in cells if shown.get(as_class(text), text) != text.removesuffix(".0"))
    told += [f"{name_few(other)}: taken for the class of that name in other letters"] if other else []
    empty = int((table[list(target.columns)] == "").any(axis=1).sum()) if "" not in no else 0
    if empty:
        told.append(f"{empty} rows say nothing there, and are left out")
        if "separator" in target.options:
            told[-1] += "; `none: ['']` in data.yaml reads them as images without any label"
        elif len(target.columns) > 1:
            told[-1] += "; fewer columns (--label A,B) leave fewer out"
    return told
