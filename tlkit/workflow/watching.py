"""Runs at work, seen from any machine that has the runs folder: how far each is, where, and when it last said so."""

from __future__ import annotations

import sys
import time
from typing import Any

import pandas as pd

from tlkit import openrun, paths, runfolder, runs

COLUMNS = ["run", "state", "epoch", "step", "host", "job", "last_sign"]


def list_at_work() -> pd.DataFrame:
    """Return the runs that are at work, or lost: COLUMNS; `last_sign` is how many seconds ago."""
    found = {runfolder.id_of(p): openrun.read_status(p) for p in runfolder.folders() if p.name.endswith(runs.PARTIAL)}
    rows = [_row(rid, state, told) for rid, told in found.items() if (state := runs.state(rid)) in ("running", "lost")]
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(rid: str, state: str, told: dict[str, Any]) -> dict[str, Any]:
    row = {k: f"{told[k]}/{told[f'{k}s']}" if k in told else "" for k in ("epoch", "step")}
    row |= {"host": told.get("host", ""), "job": told.get("job", "")}
    age = round(time.time() - told["heartbeat"]) if "heartbeat" in told else None
    return {"run": rid, "state": state, **row, "last_sign": "" if age is None else f"{age} s ago"}


def say_at_work() -> str:
    """Return how many runs are in which state, and each that is at work or lost in a line."""
    table = list_at_work()
    lines = [table.to_string(index=False)] if len(table) else []
    lost = [openrun.say_lost(rid) for rid in table.loc[table["state"] == "lost", "run"]]
    every = {runfolder.id_of(p) for p in runfolder.folders()}
    told = {state: int((table["state"] == state).sum()) for state in ("running", "lost")}
    told["done"] = sum(runfolder.folder(rid).is_dir() for rid in every)
    told["ended before they were done"] = len(every) - sum(told.values())
    counts = ", ".join(f"{n} {state}" for state, n in told.items() if n) or "no runs yet"
    return "\n".join([*lines, *lost, f"{time.strftime('%H:%M:%S')}  {counts} below {paths.runs_root()}"])


def watch(every: float = 5.0) -> None:
    """Print `say_at_work` again and again, until Ctrl-C; on a terminal each time in the place of the last one."""
    clear = "\033[2J\033[H" if sys.stdout.isatty() else ""
    try:
        while True:
            print(f"{clear}{say_at_work()}", flush=True)
            time.sleep(every)
    except KeyboardInterrupt:
        return
