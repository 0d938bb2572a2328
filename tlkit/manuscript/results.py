"""Saved tables and figures: a reader's own where a study has any, else the reference ones; and the runs behind a row.

Each has a sidecar (`report.saving`) that names its runs. A result of the reader's own whose runs are not all there any
more does not count: its numbers are "not run".
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from tlkit import paths, runs
from tlkit.config import ConfigError, TlkitError, file_name, lookup
from tlkit.doubts import MARK
from tlkit.listings import SCALES
from tlkit.names import NAMES
from tlkit.studies import studyfile

REFERENCE = paths.REPO / "paper" / "reference"
KINDS = ("tables", "figures")
REDOES = {"jonske2025": "boundaries", "radiologynet2025": "radiologynet"}  # the study that redoes a paper
PUBLISHED = {"jonske2025": "50_published_results", "radiologynet2025": "51_radiologynet_claims"}
FORMER = {"Baseline": "random weights", "Scratch": "random weights"}  # in tables made before the arm had one name
DISPLAY = {"Pretraining": "pretraining", "Architecture": "task"}  # columns of tables for reading, by our names


class DamagedResultError(TlkitError, ValueError):
    """A saved table or its sidecar can't be read; the message names the file and the command that makes it anew."""


@dataclass(frozen=True)
class Saved:
    """A table or figure with what its sidecar says. `own`: of the reader's runs, not a reference result."""

    kind: str
    study: str
    name: str
    base: Path
    facts: Mapping[str, Any]
    own: bool

    @property
    def runs(self) -> list[str]:
        """The ids of the runs behind it."""
        return list(self.facts["runs"])

    @property
    def title(self) -> str:
        """What it is called in messages: "study/name"."""
        return f"{self.study}/{self.name}"

    def file(self, kind: str) -> Path:
        """Return the path of its file of a kind, such as csv, png or json."""
        return self.base.with_name(f"{self.base.name}.{kind}")

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The table: the .csv in full precision, else the .md, whose numbers have four digits."""
        for kind, read in (("csv", pd.read_csv), ("md", read_markdown)):
            if self.file(kind).is_file():
                try:
                    return read(self.file(kind)).replace(FORMER)
                except (ValueError, OSError) as error:
                    raise self.damaged(self.file(kind), error) from error
        raise self.damaged(self.file("csv"), "missing")

    def damaged(self, path: Path, why: object) -> DamagedResultError:
        """Return the error for a file of it that can't be read, with the command that writes it anew."""
        command = f"make figures STUDY={self.study} SCALE={self.facts.get('scale', 'quick')}"
        return DamagedResultError(f"{path} can't be read ({why}). Delete it; `{command}` writes it anew.")


def read_markdown(path: Path) -> pd.DataFrame:
    """Return the pipe table of a saved .md; "–" is a missing value. Raises: ValueError where it holds none."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    if len(lines) < 2:
        raise ValueError("no table in it")
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    text = pd.DataFrame([rows[0], *rows[2:]]).to_csv(index=False, header=False)
    return pd.read_csv(io.StringIO(text), na_values=["–"])


@dataclass
class Results:
    """All saved results. `which`: "own" or "reference", or "" for each study's own where it has any.

    `scale`: of a reader's own, those at this scale; "" for the largest that a study has any at.

    Source: the files below `paths.paper_root()`, and paper/reference.
    """

    which: str = ""
    scale: str = ""
    _there: dict[str, bool] = field(default_factory=dict)
    _specs: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def root(self, study: str) -> Path:
        """Return the folder with the `tables` and `figures` of a study."""
        own = paths.paper_root()
        if self.which == "own" or (self.which != "reference" and self._counts(own, study)):
            return own
        return REFERENCE

    def _counts(self, own: Path, study: str) -> bool:
        """Tell whether there are results of the reader's own; made-up logs in place of published ones are none."""
        there = list(self._sidecars(own, study))
        if study in studyfile.names() or not there:
            return bool(there)
        return not self._read(*there[0]).facts.get("phantom")

    def command(self, study: str, name: str = "", experiment: str = "", task: str = "") -> str:
        """Return the command that makes a result: at the scale of the reference one, else of those that are there.

        Where that scale leaves out a task of an experiment, at the first of SCALES that has it.
        """
        if study in PUBLISHED:
            return f"python -m tlkit notebook {PUBLISHED[study]}"
        found = [p for kind in KINDS for p in (REFERENCE / kind / study).glob(f"{name or '*'}.json")]
        there = [*found, *(path for _, _, path in self._sidecars(self.root(study), study))]
        scale = json.loads(there[0].read_bytes()).get("scale", "quick") if there else "quick"
        if task:
            runs_it = (s for s in (scale, *SCALES) if task in self._tasks(study, s, experiment))
            scale = next(runs_it, scale)
        return f"make figures STUDY={study} SCALE={scale}"

    def _folder(self, root: Path, kind: str, study: str) -> Path:
        """Return where a study's tables or figures lie: reference results are of one scale, one's own of several."""
        if root == REFERENCE:
            return REFERENCE / kind / study
        there = {p.parent.name for k in KINDS for p in (root / k / study).glob("*/*.json")}
        scale = self.scale or next((s for s in reversed(SCALES) if s in there), min(there, default=""))
        return root / kind / study / scale

    def _sidecars(self, root: Path, study: str) -> Iterable[tuple[str, str, Path]]:
        """Yield kind, study and sidecar of each result below `root`."""
        for kind in KINDS:
            yield from ((kind, study, path) for path in sorted(self._folder(root, kind, study).glob("*.json")))

    def studies(self) -> list[str]:
        """Return the studies with any results."""
        roots = [paths.paper_root(), REFERENCE]
        roots = {"own": roots[:1], "reference": roots[1:]}.get(self.which, roots)
        found = {p.name for root in roots for kind in KINDS for p in (root / kind).glob("*") if p.is_dir()}
        return sorted(name for name in found if any(self._sidecars(self.root(name), name)))

    def saved(self, study: str) -> list[Saved]:
        """Return all tables and figures of a study, figures first."""
        root = self.root(study)
        found = [self._read(*sidecar) for sidecar in self._sidecars(root, study)]
        return sorted(found, key=lambda s: (s.kind, s.name))

    def saved_all(self) -> list[Saved]:
        """Return all tables and figures."""
        return [saved for study in self.studies() for saved in self.saved(study)]

    def find(self, kind: str, study: str, name: str) -> Saved | None:
        """Return a table or figure; None where it is not there."""
        path = self._folder(self.root(study), kind, study) / f"{name}.json"
        return self._read(kind, study, path) if path.is_file() else None

    def _read(self, kind: str, study: str, path: Path) -> Saved:
        try:
            facts = json.loads(path.read_bytes())
            facts["runs"] = [str(rid) for rid in facts["runs"]]
        except (ValueError, TypeError, KeyError) as error:
            raise DamagedResultError(f"{path} is no sidecar of a result ({error}). Delete it and its table.") from error
        own = REFERENCE not in path.parents
        return Saved(kind, study, path.stem, path.with_suffix(""), facts, own)

    def gone(self, saved: Saved, wanted: Iterable[str] | None = None) -> list[str]:
        """Return the runs of a result of the reader's own, or those `wanted` of them, that are not there any more.

        Reference results are kept without their runs. Runs of others, such as published logs, are no runs of ours.
        """
        if not saved.own or saved.study not in studyfile.names():
            return []
        return [rid for rid in (saved.runs if wanted is None else wanted) if not self.is_done(rid)]

    def is_done(self, rid: str) -> bool:
        """Tell whether a run is here and finished; each is looked at once."""
        if rid not in self._there:
            self._there[rid] = runs.state_is_done(rid)
        return self._there[rid]

    def titles(self, study: str, scale: str = "quick") -> dict[str, str]:
        """Return what the codes of a study, or of the one that redoes a paper, are called; and the metrics."""
        spec = self._spec(REDOES.get(study, study), "quick" if study in REDOES else scale)
        kinds = ("experiments", "tasks", "pretrainings", "estimates")
        return NAMES | {c: str(e["title"]) for k in kinds for c, e in spec.get(k, {}).items() if "title" in e}

    def spec(self, saved: Saved) -> dict[str, Any]:
        """Return what the study file says at the scale of a result; {} for what is no study of ours."""
        return self._spec(saved.study, saved.facts.get("scale", ""))

    def _spec(self, *key: str) -> dict[str, Any]:
        if key not in self._specs:
            try:
                self._specs[key] = studyfile.read(*key)
            except TlkitError:  # published results, or a study that was changed since
                self._specs[key] = {}
        return self._specs[key]

    def _tasks(self, study: str, scale: str, experiment: str) -> list[str]:
        entry = self._spec(study, scale).get("experiments", {}).get(experiment) or {}
        return entry.get("tasks") or []

    def behind(self, saved: Saved, row: Mapping[str, Any] | None = None) -> list[str]:
        """Return the runs behind a row of a table, by its experiment, task and pretrainings; all where it has none."""
        if row is None:
            return saved.runs
        spec = self.spec(saved)
        row = {DISPLAY.get(key, key): value for key, value in row.items()}
        arms = [a for key in ("pretraining", "a", "b") if key in row for a in self._parents(row[key], spec)]
        task = _named(row["task"], spec.get("tasks", {})) if "task" in row else ""
        ways = spec.get("experiments", {})
        mode = ways.get(row.get("experiment"), {}).get("mode", "")
        found = [rid for rid in saved.runs if _is_of(rid, mode, task, arms)]
        return found or saved.runs

    def _parents(self, arm: str, spec: Mapping[str, Any]) -> list[str]:
        """Return the pretraining of a cell; of an estimate those that it stands between."""
        name = _named(arm, {**spec.get("pretrainings", {}), **spec.get("estimates", {})})
        return list(spec.get("estimates", {}).get(name, {}).get("between", [name]))


def _named(title: object, entries: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the name of what a table calls by its title, or by its name."""
    text = strip_title(title)
    return next((name for name, entry in entries.items() if strip_title(entry.get("title")) == text), text)


def strip_title(title: object) -> str:
    """Return a title as the study has it: without the mark of a doubt and the network that stands in for its own."""
    return re.sub(r", \S+ for ", ", ", str(title).removesuffix(MARK).strip())


def _is_of(rid: str, mode: str, task: str, arms: list[str]) -> bool:
    """Tell by its name whether a run is of these (`runs.run_id`)."""
    parts = [mode or "", task, ""]
    for arm in arms or [""]:
        parts[2] = arm
        told = file_name("-".join(filter(None, parts)))
        if told and (rid.startswith(f"{told}-") or (not (mode and arm) and f"-{told}-" in f"-{rid}")):
            return True
    return not (task or arms or mode)


def select(saved: Saved, where: Mapping[str, Any]) -> pd.DataFrame:
    """Return the rows of a table with these values. Raises: ConfigError for a column that it does not have."""
    frame = saved.frame
    for column, value in where.items():
        lookup(column, dict.fromkeys(map(str, frame.columns)), f"column of {saved.title}")
        frame = frame[frame[column].map(strip_title) == strip_title(value)]
    return frame


def find_row(saved: Saved, where: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the row of a table with these values; None for none. Raises: ConfigError where several fit."""
    found = select(saved, where)
    if len(found) > 1:
        raise ConfigError(f"{len(found)} rows of {saved.title} have {dict(where)}; name more of its columns.")
    return None if found.empty else found.iloc[0].to_dict()
