"""The placeholders of the text: each reads results, gives Markdown, and notes which runs stand behind it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from tlkit.config import ConfigError, file_name
from tlkit.manuscript.results import Results, Saved, find_row, select
from tlkit.published import claims
from tlkit.report.lettering import p_text

LINES = 40  # of a table in the text; more are cut, and this is said
SURE = 0.05  # the papers' bound of p


@dataclass
class Note:
    """What stands behind a quoted result: what it is, and the runs (`saved.runs`, or those of one row)."""

    key: str
    label: str
    saved: Saved
    runs: list[str]


@dataclass
class Quotes:
    """The placeholders. `notes`: what was quoted, by key; `missing`: what is not run, by key, with its command."""

    results: Results
    notes: dict[str, Note] = field(default_factory=dict)
    missing: dict[str, tuple[str, str]] = field(default_factory=dict)

    def placeholders(self) -> dict[str, Any]:
        """Return the functions that a text may call, by name."""
        names = "mean value count pairs compare table figure about claim claims_table"
        return {name: getattr(self, name) for name in names.split()}

    # Numbers

    def value(self, study: str, name: str, column: str, form: str = ".3f", **where: Any) -> str:
        """Return one cell of a table: the only row with the values `where`."""
        row, saved, lost = self._row(study, name, where)
        return lost or self._link(_text(row[self._column(saved, column)], form), saved, where, row)

    def mean(self, study: str, name: str, form: str = ".3f", of: str = "mean", **where: Any) -> str:
        """Return mean ± sd of the only row with the values `where`; `of`: the column of the mean."""
        row, saved, lost = self._row(study, name, where)
        sd = "sd" if of == "mean" else f"{of}, sd"
        return lost or self._link(_spread(row[self._column(saved, of)], row.get(sd), form), saved, where, row)

    def count(self, study: str, name: str, **where: Any) -> str:
        """Return how many rows of a table have these values."""
        saved, lost = self._find("tables", study, name)
        return lost or self._link(str(len(select(saved, where))), saved, where, None)

    def pairs(self, study: str, name: str, p: str = "", **where: Any) -> str:
        """Return how many pairs a table of pairs compares, or at how many of them the p-value `p` lies below 0.05."""
        saved, lost = self._find("tables", study, name)
        if lost:
            return lost
        rows = select(saved, where)
        sides = rows[["a", "b"]].apply(lambda row: "\n".join(sorted(map(str, row))), axis=1)
        made = set(self.results.spec(saved).get("estimates", {}))  # of no runs of their own
        rows, sides = (t[~rows["a"].isin(made) & ~rows["b"].isin(made)] for t in (rows, sides))
        keys = [c for c in ("experiment", "task", "metric") if c in rows]
        rows = rows.assign(_sides=sides).drop_duplicates([*keys, "_sides"])  # both directions of a pair count once
        found = len(rows) if not p else int((rows[self._column(saved, p)] < SURE).sum())
        return self._link(str(found), saved, where | ({p: "below"} if p else {}), None)

    def compare(self, study: str, name: str, a: str, b: str, form: str = ".3f", **where: Any) -> str:
        """Return both means, their difference with its interval and p, and what that allows to say."""
        row, saved, lost = self._row(study, name, where | {"a": a, "b": b})
        return lost or self._link(f"{say_means(row, form)}: {verdict(row)}", saved, where | {"a": a, "b": b}, row)

    # Tables, figures, and where they come from

    def table(self, study: str, name: str, columns: Mapping[str, str], form: str = ".3f", **where: Any) -> str:
        """Return a table for reading: `columns` gives for each column its title; "mean" holds the sd, too."""
        saved, lost = self._find("tables", study, name)
        if lost:
            return f"{lost} (table {study}/{name})"
        rows = select(saved, where)
        lines = [self._cells(saved, row, columns, form) for row in rows.head(LINES).to_dict("records")]
        cut = f" The first {LINES} of {len(rows)} rows." if len(rows) > LINES else ""
        return f"{pipe(list(columns.values()), lines)}\n\n> {self._caption(saved)}{cut}"

    def figure(self, study: str, name: str) -> str:
        """Return a figure with its caption."""
        saved, lost = self._find("figures", study, name)
        if not lost and (gone := self.results.gone(saved)):
            lost = self._lost(saved.study, saved.name, gone)
        return f"{lost} (figure {study}/{name})" if lost else f"![{self._caption(saved)}]({study}/{name})"

    def about(self, study: str) -> str:
        """Return a sentence on where the results of a study come from."""
        there = self.results.saved(study) if study in self.results.studies() else []
        if not there:
            return self._lost(study, "", [])
        first = max(there, key=lambda s: len(s.runs))
        data = "**phantom data: no results on patients**" if first.facts.get("phantom") else "real images"
        whose = "your own runs" if first.own else "the reference results of this repository"
        made = str(first.facts.get("date", ""))[:10]
        what = f"{len({rid for s in there for rid in s.runs})} runs at scale `{first.facts.get('scale')}`"
        return f"{self._link(f'{what}, {made}', first, {}, None)}, {data}; {whose}"

    # What the papers print

    def claim(self, paper: str, column: str, statement: str) -> str:
        """Return what a paper prints, or its logs give, for the first claim whose statement begins so."""
        saved, lost = self._find("tables", paper, "claims")
        table = claims.read_quoted(paper) if lost else saved.frame
        rows = table[table["statement"].str.startswith(statement)]
        if rows.empty:
            raise ConfigError(f"paper/claims/{paper}.csv has no statement that begins with '{statement}'")
        if column not in table:
            return lost or self._column(saved, column)
        text = _text(rows.iloc[0][column], "+.2f" if column == "delta_pct" else ".3g")
        return text if lost else self._link(text, saved, {"statement": statement}, None)

    def claims_table(self, paper: str, columns: Mapping[str, str]) -> str:
        """Return the quoted numbers of a paper as its file has them."""
        rows, titles = claims.read_quoted(paper).to_dict("records"), self.results.titles(paper)
        return pipe(list(columns.values()), [[_titled(str(row[c]), titles) for c in columns] for row in rows])

    # Parts

    def _row(self, study: str, name: str, where: Mapping[str, Any]) -> tuple[dict[str, Any], Saved | None, str]:
        """Return the row, its table, and instead of both the text for what is not run."""
        saved, lost = self._find("tables", study, name)
        if lost:
            return {}, None, lost
        row = find_row(saved, where)
        if row is None:
            return {}, saved, self._lost(study, name, [])
        gone = self.results.gone(saved, self.results.behind(saved, row))
        return row, saved, self._lost(study, name, gone) if gone else ""

    def _find(self, kind: str, study: str, name: str) -> tuple[Saved | None, str]:
        saved = self.results.find(kind, study, name)
        return saved, "" if saved else self._lost(study, name, [])

    @staticmethod
    def _column(saved: Saved, column: str) -> str:
        if column not in saved.frame:
            raise ConfigError(f"{saved.title} has no column '{column}'; it has {', '.join(map(str, saved.frame))}.")
        return column

    def _lost(self, study: str, name: str, gone: Iterable[str]) -> str:
        key = f"missing-{_slug(study, name)}"
        gone = list(gone)
        why = f"{len(gone)} of its runs are not there ({gone[0]} ...)" if gone else "no result"
        self.missing[key] = (f"{study}/{name}: {why}" if name else f"{study}: {why}", self.results.command(study, name))
        return f"[**not run**](#{key})"

    def _link(self, text: str, saved: Saved, where: Mapping[str, Any], row: Mapping[str, Any] | None) -> str:
        behind = self.results.behind(saved, row) if row is not None else saved.runs
        gone = self.results.gone(saved, behind)
        return self._lost(saved.study, saved.name, gone) if gone else f"[{text}](#{self.note(saved, where, behind)})"

    def note(self, saved: Saved, where: Mapping[str, Any], behind: list[str]) -> str:
        """Note the runs behind a quoted result, and return the key under which the appendix lists them."""
        label = ", ".join(str(value) for value in where.values())
        key = f"runs-{_slug(saved.kind, saved.study, saved.name, *where.values())}"
        self.notes.setdefault(key, Note(key, f"{saved.title} {label}".strip(), saved, behind))
        return key

    def _cells(self, saved: Saved, row: Mapping[str, Any], columns: Iterable[str], form: str) -> list[str]:
        """Return a row for reading: each number leads to the runs behind it."""
        named = {c: row[c] for c in NAMING if c in row and isinstance(row[c], str)}
        found, titles = [], self.results.titles(saved.study, saved.facts.get("scale", ""))
        for column in columns:
            cell = row[self._column(saved, column)]
            if isinstance(cell, str) and not re.match(r"[\d.−-]+ ±", cell):
                found.append(_titled(cell, titles))  # a name, not a number
            else:
                text = _spread(cell, row.get("sd"), form) if column == "mean" else _text(cell, FORMS.get(column, form))
                found.append(self._link(text, saved, named, row))
        return found

    def _caption(self, saved: Saved) -> str:
        said = str(saved.facts.get("caption", "")).replace("*", "\\*").replace("[", "\\[").replace("]", "\\]")
        return f"{said} {self._link('Its runs', saved, {}, None)}."


FORMS = {"delta_pct": "+.2f", "p": "p", "p_sound": "p", "p_holm": "p", "p_welch_holm": "p", "p_bonferroni": "p"}
NAMING = ("experiment", "Architecture", "Pretraining", "task", "metric", "pretraining", "a", "b", "baseline", "images")


def say_means(row: Mapping[str, Any], form: str = ".3f") -> str:
    """Return what a row of a table of pairs has of both sides: means, sds, difference and interval."""
    sides = [_spread(row[f"mean_{side}"], row.get(f"sd_{side}"), form) for side in "ab"]
    gap = row["mean_a"] - row["mean_b"]
    told = f"{sides[0]} against {sides[1]}, a difference of {_text(gap, form)}"
    if math.isfinite(row.get("ci_low", math.nan)):
        told += f" ({_text(row['ci_low'], form)} to {_text(row['ci_high'], form)})"
    return told


def verdict(row: Mapping[str, Any]) -> str:
    """Return in words what a row of a table of pairs allows to say of a over b."""
    p, corrected = (row.get(name, math.nan) for name in ("p_sound", "p_holm"))
    if not math.isfinite(p):
        return "not tested, for want of runs"
    said = f"p {'' if p_text(p).startswith('<') else '= '}{p_text(p)}, corrected {p_text(corrected)}"
    if p < SURE:
        side = "higher" if row["mean_a"] > row["mean_b"] else "lower"
        return f"{side}, {'also' if corrected < SURE else 'but not'} after correction ({said})"
    return f"{'equal within the margin' if row.get('equivalent') is True else 'not told apart'} ({said})"


def pipe(head: list[str], rows: list[list[str]]) -> str:
    """Return a pipe table."""
    lines = [head, ["---"] * len(head), *([c.replace("|", "\\|") for c in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _titled(cell: str, titles: Mapping[str, str]) -> str:
    """Return what a cell of codes ("E1 LiTS") is called; one that is none as it is."""
    parts = cell.split()
    return ", ".join(titles[part] for part in parts) if parts and all(part in titles for part in parts) else cell


def _slug(*parts: Any) -> str:
    return re.sub(r"[^a-z0-9]+", "-", file_name("-".join(map(str, parts)), 200).lower()).strip("-")


def _text(value: Any, form: str) -> str:
    if isinstance(value, str):
        return value
    if value is None or not math.isfinite(value):
        return "–"
    if form == "p":
        return p_text(value)
    if float(value).is_integer() and form == ".3f" and abs(value) >= 1:
        return f"{value:,.0f}"
    text = format(value, form)
    return text.lstrip("-") if not float(text) else text.replace("-", "−")


def _spread(mean: Any, sd: Any, form: str) -> str:
    if isinstance(mean, str):
        return mean
    return _text(mean, form) + (f" ± {_text(sd, form)}" if sd is not None and pd.notna(sd) else "")
