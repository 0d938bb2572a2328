"""The record of a job: one small file that says what came of it, and which notebook to open.

Snakemake asks whether a file is there, and a run folder cannot be that file: a job makes several runs, a figure none,
and what failed or cannot be had has no folder. So a record is only a mark, never the truth about runs: before each DAG
`dag.drop_stale` compares it with the run folders, stores and sidecars. Its name holds a hash of what the job makes, so
that of a study that was changed no older record counts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tlkit import runs
from tlkit.config import TlkitError

GOOD = ("done", "not available")  # not available: these data do not give what was asked for
STATES = (*GOOD, "incomplete", "failed", "missing")  # incomplete: a figure drawn without some of its runs
REASON = {"missing": "not done: what it needs is not there, or its process was killed"}


def write(
    path: Path, job: str, state: str = "done", cause: str = "", notebook: str = "", **more: str
) -> dict[str, Any]:
    """Write the record of a job and return it. `cause` may have several lines, of which `say` shows the first."""
    record = {"job": job, "state": state, "cause": cause, "notebook": notebook, **more}
    path.parent.mkdir(parents=True, exist_ok=True)
    runs.write_json(path, record)
    return record


def read(path: Path, job: str = "") -> dict[str, Any]:
    """Return the record at `path`; one of state "missing" where there is none, or it cannot be read."""
    empty = {"job": job, "state": "missing", "cause": "", "notebook": ""}
    try:
        found = runs.read_json(path)
    except (OSError, TlkitError):
        return empty
    return {**empty, **found} if isinstance(found, dict) and found.get("state") in STATES else empty


def say(record: dict[str, Any]) -> str:
    """Return one line about a job: its state, the first line of its cause, and the notebook to open."""
    cause = (record["cause"].strip() or REASON.get(record["state"], "")).splitlines()
    opened = f" Open {_short(Path(record['notebook']))}" if record["notebook"] and record["state"] != "done" else ""
    return f"{record['state']:<13} {record['job']}: {cause[0] if cause else ''}{opened}"


def list_failed(folder: Path) -> list[Path]:
    """Return the records of failed jobs below a folder: of one study at one scale, or of all."""
    return [path for path in sorted(folder.rglob("*.json")) if read(path)["state"] == "failed"]


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
