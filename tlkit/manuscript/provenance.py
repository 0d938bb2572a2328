"""What stands behind what: figure or table, its runs, their data and commit; and the way back."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tlkit import lineage, paths, runfolder, runs
from tlkit.config import UnknownNameError, nearest, short_hash
from tlkit.manuscript.results import Results, Saved
from tlkit.runfolder import RunDamagedError

MOST = 12  # runs or places that are listed; of more, how many there are
NUMBER = re.compile(r"[+−-]?(?:\d+(?:[.,]\d+)*|\.\d+)(?:e[+-]?\d+)?")


class NotFoundError(UnknownNameError):
    """Nothing is known by this name, number or file."""


@dataclass
class Facts:
    """What a run folder says of itself; of one that is not here, its id and nothing else."""

    id: str
    state: str
    config: dict[str, Any]
    environment: dict[str, Any]
    status: dict[str, Any]

    @property
    def data(self) -> list[tuple[str, str]]:
        """The run's data sets: name, and what decides their content: a hash of the files, or of a phantom's facts."""
        found = runs.corpora(self.config) if self.config else []
        return [(d["name"], str(d.get("content") or f"phantom {short_hash(d.get('phantom'))}")) for d in found]

    @property
    def commit(self) -> str:
        """The commit that the run was made with, "with changes" where files had been changed."""
        told = self.environment.get("commit", {})
        return f"{told.get('id', 'unknown')}{' with changes' if told.get('dirty') else ''}"

    @property
    def start(self) -> str:
        """The run whose weights it starts from, a file of weights, or nothing."""
        weights = self.config.get("weights") or {}
        return str(weights.get("run") or weights.get("card") or weights.get("file") or "")


class Provenance:
    """All results and all runs, and how they hang together."""

    def __init__(self, results: Results):
        self.results = results
        self.saved = results.saved_all()
        self._facts: dict[str, Facts] = {}

    @cached_property
    def used_by(self) -> dict[str, list[Saved]]:
        """The figures and tables of each run."""
        found: dict[str, list[Saved]] = defaultdict(list)
        for saved in self.saved:
            for rid in dict.fromkeys(saved.runs):
                found[rid].append(saved)
        return found

    def facts(self, rid: str) -> Facts:
        """Return what is known of a run, here or not."""
        if rid not in self._facts:
            where, read = runfolder.folder(rid), {}
            for name in ("config", "environment", "status"):
                try:
                    read[name] = runfolder.read_json(where / f"{name}.json")
                except (OSError, RunDamagedError):
                    read[name] = {}
            read = {name: value if isinstance(value, dict) else {} for name, value in read.items()}
            self._facts[rid] = Facts(rid, runs.state(rid), **read)
        return self._facts[rid]

    def here(self) -> list[str]:
        """Return the finished runs below the runs folder."""
        ids = dict.fromkeys(runfolder.id_of(path) for path in runfolder.folders())
        return [rid for rid in ids if runs.state_is_done(rid)]

    # The command

    def walk(self, what: str) -> Iterator[str]:
        """Yield lines on where a file, run, data set, commit or number comes from, and what was made of it.

        Raises: NotFoundError where nothing is known by it.
        """
        name = Path(what).name if ("/" in what or "\\" in what or Path(what).exists()) else what
        stem = Path(name).stem if Path(name).suffix in (".csv", ".md", ".json", ".png", ".svg", ".pdf") else name
        around = [p.name for p in Path(what).parents][:2]  # study and scale, study, or nothing
        chosen = [s for s in self.saved if s.name == stem and (s.study in around or not any(around))]
        rid = self._run_in(what)
        if chosen:
            yield from (line for saved in chosen for line in self._of_result(saved))
        elif rid:
            yield from self._of_run(rid)
        elif lines := [*self._of_data(stem), *self._of_commit(stem)]:
            yield from lines
        elif NUMBER.fullmatch(what.strip().removesuffix("%").strip()):
            yield from self._of_number(what.strip())
        else:
            raise self._unknown(what)

    def _run_in(self, what: str) -> str:
        """Return the run that a path lies in, or that a name is."""
        known = {*self.used_by, *(runfolder.id_of(p) for p in runfolder.folders())}
        parts = [what, *Path(what).parts]
        return next(
            (p.removesuffix(runfolder.PARTIAL) for p in parts if p.removesuffix(runfolder.PARTIAL) in known), ""
        )

    def _of_result(self, saved: Saved) -> Iterator[str]:
        facts = saved.facts
        yield f"{saved.kind[:-1]} {saved.title}: {facts.get('caption', '')}"
        yield f"  files     {saved.base}.*"
        yield f"  made by   notebook {facts.get('notebook')}, {facts.get('date')}, {_commit(facts)}"
        if "machine" in facts:
            yield f"  on        {facts['machine']}"
        data = "phantom" if facts.get("phantom") else "real"
        yield f"  from      {len(saved.runs)} runs at scale {facts.get('scale')}, {data} data"
        gone = self.results.gone(saved)
        if gone:
            yield f"  NOT THERE {len(gone)} of them, such as {gone[0]}: {self.results.command(saved.study, saved.name)}"
        yield from self._runs(saved.runs)

    def _runs(self, ids: list[str]) -> Iterator[str]:
        found = [self.facts(rid) for rid in ids]
        for facts in found[:MOST]:
            data = ", ".join(f"{name} ({content[:16]})" for name, content in facts.data)
            known = (
                f"{facts.state}; data {data}; commit {facts.commit[:10]}" if facts.config else "kept without its folder"
            )
            yield f"    {facts.id}: {known}"
        if len(ids) > MOST:
            yield f"    and {len(ids) - MOST} more; the sidecar lists them"
        data = sorted({f"{name} ({content[:16]})" for facts in found for name, content in facts.data})
        commits = sorted({facts.commit[:10] for facts in found if facts.config})
        if data:
            yield f"  data      {', '.join(data)}"
            yield f"  commits   {', '.join(commits)}"

    def _of_run(self, rid: str) -> Iterator[str]:
        facts = self.facts(rid)
        yield f"run {rid}: {facts.state}"
        for name, content in facts.data:
            yield f"  data      {name}: {content}"
        if facts.config:
            yield f"  start     {facts.start or 'random weights'}"
            yield f"  commit    {facts.commit}"
            book = runfolder.folder(rid) / "notebook.ipynb"
            yield f"  notebook  {book if book.exists() else 'none: started by a command'}"
        after = [runfolder.id_of(p) for p in runfolder.folders() if rid in lineage.sources(p)]
        yield from (f"  then      run {name}" for name in after[:MOST])
        for saved in self.used_by.get(rid, []):
            yield f"  used in   {saved.kind[:-1]} {saved.title} ({saved.facts.get('notebook')})"
        if not self.used_by.get(rid):
            yield "  used in   no figure or table"

    def _of_data(self, what: str) -> Iterator[str]:
        """Yield the runs and results of a data set: its name, or the begin of its hash."""
        of = defaultdict(list)
        for rid in self.here():
            for name, content in self.facts(rid).data:
                if what == name or (len(what) >= 8 and what in content):
                    of[f"{name} ({content})"].append(rid)
        for data, ids in of.items():
            yield f"data set {data}: {len(ids)} runs"
            yield from (f"    {rid}" for rid in ids[:MOST])
            used = sorted({s.title for rid in ids for s in self.used_by.get(rid, [])})
            yield f"  used in   {', '.join(used) or 'no figure or table'}"

    def _of_commit(self, what: str) -> Iterator[str]:
        if not re.fullmatch(r"[0-9a-f]{7,40}", what):
            return
        ids = [rid for rid in self.here() if self.facts(rid).commit.startswith(what)]
        made = [saved.title for saved in self.saved if str(saved.facts.get("commit")).startswith(what)]
        if ids or made:
            yield f"commit {what}: {len(ids)} runs here; {len(made)} figures and tables: {', '.join(made) or 'none'}"
            yield from (f"    {rid}" for rid in ids[:MOST])

    def _of_number(self, what: str) -> Iterator[str]:
        """Yield the cells of all tables that round to a number, with the runs of their rows; means come first."""
        hits = [(saved, *place) for saved in self.saved if saved.kind == "tables" for place in _cells(saved, what)]
        hits.sort(key=lambda hit: not re.match(r"mean|value|\d.* ± ", f"{hit[2]} {hit[0].frame[hit[2]].iloc[hit[1]]}"))
        if not hits:
            raise NotFoundError(f"no cell of the {len(self.saved)} saved figures and tables rounds to {what}.")
        for hit in hits[:MOST]:
            yield from self._of_cell(*hit)
        if len(hits) > MOST:
            yield f"and {len(hits) - MOST} more cells; give more digits, or the name of the table"

    def _of_cell(self, saved: Saved, row: int, column: str) -> Iterator[str]:
        cells = saved.frame.iloc[row].to_dict()
        named = ", ".join(str(v) for v in cells.values() if isinstance(v, str))[:120]
        yield f"{column} = {cells[column]} in table {saved.title}, row {row + 1} ({named})"
        yield f"  made by   notebook {saved.facts.get('notebook')}, {_commit(saved.facts)}"
        yield from self._runs(self.results.behind(saved, cells))

    def _unknown(self, what: str) -> NotFoundError:
        names = [saved.title for saved in self.saved]
        return NotFoundError(
            f"nothing is known of '{what}'.{nearest(what, [*names, *self.used_by])} Expected a file or the name of a "
            "figure or table (boundaries/fig2), a run, a data set or its hash, a commit, or a number of a table. "
            f"Results lie in {paths.paper_root()} and paper/reference."
        )


def _commit(facts: Any) -> str:
    return f"commit {str(facts.get('commit', 'unknown'))[:10]}{' with changes' if facts.get('dirty') else ''}"


def _cells(saved: Saved, what: str) -> Iterator[tuple[int, str]]:
    """Yield row and column of the cells of a table that round to a number, or show it in a text ("0.87 ± 0.01")."""
    text = what.removesuffix("%").strip().replace("−", "-").replace(",", "")
    digits = len(text.partition(".")[2]) if "e" not in text.lower() else 9
    shown = re.compile(rf"(?<![\d.]){re.escape(text)}(?![\d.])")
    for column in saved.frame:
        cells = saved.frame[column]
        if pd.api.types.is_numeric_dtype(cells) and cells.dtype != bool:
            found = np.flatnonzero(np.round(cells.to_numpy(float), digits) == float(text))
        else:
            found = [i for i, cell in enumerate(cells) if isinstance(cell, str) and "±" in cell and shown.search(cell)]
        yield from ((int(row), str(column)) for row in found)
