"""The run folder: one run, one folder, named by its config, complete or not there at all.

A run is worked on in `<id>.partial/` and renamed to `<id>/` when every file is written; so a folder without
the suffix is finished, and is never written again (only the executed notebook is added to it). `runs/README.md`
lists the files.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import Timeout

from tlkit import files, openrun, runfolder
from tlkit.config import NotAvailableError, TlkitError, file_name
from tlkit.doubts import doubt
from tlkit.lineage import InputsChangedError, remove
from tlkit.openrun import Run, read_status
from tlkit.runfolder import (
    PARTIAL,
    RunBusyError,
    RunDamagedError,
    check,
    check_file,
    folder,
    is_at_work,
    read_json,
    write_json,
)

__all__ = [
    "PARTIAL", "InputsChangedError", "Run", "RunBusyError", "RunDamagedError", "RunFailedError", "add_notebook",
    "check_file", "claim", "corpora", "doubt_of", "finish", "folder", "history", "is_at_work", "listing", "read_all",
    "read_json", "read_metrics", "remove", "run_id", "state", "state_is_done", "write_json",
]  # fmt: skip
COLUMNS = ["id", "state", "kind", "task", "pretraining", "seed", "minutes", "updated", "error"]


class RunFailedError(TlkitError, RuntimeError):
    """A run stopped with an error; what it had reached is kept and the next start goes on from there."""


def run_id(config: dict[str, Any]) -> str:
    """Return the id of a resolved config: a readable slug and 8 hex digits of its hash."""
    if config["kind"] == "pretrain":
        parts = ["pretrain", config["pretraining"], config["backbone"]]
    else:
        share = f"{100 * config['fraction']:g}pct"
        parts = [config["mode"], config["task"], config["pretraining"], share]
    return f"{file_name('-'.join(parts))}-s{config['seed']}-{runfolder.deciding_hash(config)}"


def corpora(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the `data` entries of a config: one, or one a corpus where a pretraining joins several."""
    return config["data"] if isinstance(config["data"], list) else [config["data"]]


def state(rid: str, verify: bool = False) -> str:
    """Return the state of the run `rid`, by what lies on the disk.

    "done", "damaged", "running", "lost" (no sign of life for minutes), "failed", "not available" (it cannot be made
    from these data), "interrupted" or "missing". Damage is looked for as `runfolder.check` does; `verify` compares all.
    """
    return _state(rid, verify)[0]


def _state(rid: str, verify: bool = False) -> tuple[str, str]:
    """Return the state and, of a damaged or lost run, what is wrong with it."""
    final, partial = folder(rid), folder(rid + PARTIAL)
    try:
        if final.exists():
            check(final, verify)
            return "done", ""
        if not partial.exists():
            return "missing", ""
        if is_at_work(rid):
            return openrun.find_state(rid, held=True)
        runfolder.check_partial(partial)
    except RunDamagedError as error:
        return "damaged", str(error)
    return openrun.find_state(rid, held=False)


def state_and_cause(rid: str) -> tuple[str, str]:
    """Return the state of a run and, where it is not done, the error that its status names, or what is damaged."""
    found, damage = _state(rid)
    return found, damage or ("" if found == "done" else read_status(folder(rid + PARTIAL)).get("error", ""))


@contextlib.contextmanager
def claim(config: dict[str, Any], wait: bool = False) -> Iterator[Run | None]:
    """Open the run of `config` for this process alone; yield None where it is already done.

    Args: wait: wait for another process that is at work on it, instead of raising RunBusyError.
    The body trains and calls `finish`. An error inside leaves the folder resumable, with status "failed" (on
    Ctrl-C "interrupted", on NotAvailableError "not available").
    Raises: RunBusyError; RunDamagedError; RunFailedError for a disk that is full, or away (what was reached is kept).
    """
    rid = run_id(config)
    lock = runfolder.lock(rid)
    try:
        lock.acquire(timeout=-1 if wait else 0.5, poll_interval=0.1)  # `state` holds it for a moment
    except Timeout:
        raise RunBusyError(openrun.say_busy(rid)) from None
    run = Run(config, rid, folder(rid + PARTIAL), lock)
    try:
        if _is_finished(run):
            yield None
            return
        try:
            run.folder.mkdir(parents=True, exist_ok=True)
            write_json(run.folder / "config.json", config)
            run.live()
            yield run
        except BaseException as error:
            run.rest()
            with contextlib.suppress(OSError, RunBusyError):
                if read_status(run.folder).get("state") != "done":  # else only its rename was interrupted
                    run.status(_state_after(error), error=f"{type(error).__name__}: {error}")
            if isinstance(error, OSError) and (told := openrun.say_disk(rid, error)):
                raise RunFailedError(told) from error
            raise
    finally:
        run.rest()
        lock.release()


def _is_finished(run: Run) -> bool:
    """Tell whether a run is done, sealing one that was killed just before; raise RunDamagedError for damage."""
    if folder(run.id).exists():
        check(folder(run.id))
        return True
    runfolder.check_partial(run.folder)
    if read_status(run.folder).get("state") != "done":
        return False
    check(run.folder)
    _seal(run)
    return True


def _state_after(error: BaseException) -> str:
    if isinstance(error, NotAvailableError):
        return "not available"
    return "failed" if isinstance(error, Exception) else "interrupted"


def state_is_done(rid: str) -> bool:
    """Tell whether a run is finished and undamaged; what another process is at work on is not."""
    return folder(rid).exists() and state(rid) == "done"


def finish(run: Run, metrics: dict[str, float], **status: Any) -> Path:
    """Write the metrics, and the status with the size and hash of every file; then rename the folder: it is done."""
    run.rest()
    write_json(run.folder / "metrics.json", {k: None if math.isnan(v) else v for k, v in metrics.items()})
    _drop_left(run.folder)
    run.status("done", **status, files=runfolder.manifest(run.folder))
    return _seal(run)


def _seal(run: Run) -> Path:
    shutil.rmtree(run.folder / "checkpoint", ignore_errors=True)
    _drop_left(run.folder)
    files.sync(run.folder)
    run.folder = run.folder.replace(folder(run.id))
    files.sync(run.folder.parent)
    return run.folder


def _drop_left(where: Path) -> None:
    for left in where.glob(".*.part"):  # by a kill in the middle of a file
        left.unlink()


def add_notebook(rid: str, notebook: Path) -> None:
    """Keep the executed notebook with a finished run (a link where the disk allows, else a copy)."""
    target = folder(rid) / "notebook.ipynb"
    if target.exists() or not target.parent.exists():
        return
    try:
        os.link(notebook, target)
    except OSError:
        shutil.copy2(notebook, target)


def read_metrics(rid: str) -> dict[str, float]:
    """Return the metrics of a finished run."""
    return read_json(folder(rid) / "metrics.json")


def doubt_of(rid: str) -> str:
    """Return why a finished pretraining is in doubt (`doubts.doubt`); "" for any other run."""
    return doubt(read_metrics(rid)) if state_is_done(rid) else ""


def listing() -> pd.DataFrame:
    """Return one row per run below the runs folder: id, state, kind, task, pretraining, seed, minutes, updated, error.

    `error` says why a run failed, cannot be made, is damaged, or is a pretraining in doubt; of a damaged one the rest
    may be empty.
    """
    rows = []
    for rid, where in {runfolder.id_of(p): p for p in reversed(runfolder.folders())}.items():
        found, damage = _state(rid)
        config, status = _config(where), read_status(where)
        told = {k: config.get(k, "") for k in ("kind", "task", "pretraining", "seed")}
        minutes = round(status.get("seconds", 0) / 60, 2)
        why = f"in doubt: {unsure}" if found == "done" and (unsure := doubt_of(rid)) else ""
        error = damage or status.get("error", "") or why
        told |= {"minutes": minutes, "updated": status.get("updated", ""), "error": error}
        rows.append({"id": rid, "state": found, **told})
    return pd.DataFrame(rows[::-1], columns=COLUMNS)


def _config(where: Path) -> dict[str, Any]:
    """Return the config of a run folder; nothing where there is none that can be read."""
    with contextlib.suppress(OSError, RunDamagedError):
        found = read_json(where / "config.json")
        return found if isinstance(found, dict) else {}
    return {}


def read_all(ids: list[str] | None = None) -> pd.DataFrame:
    """Return the test metrics of finished runs as a tidy frame, one row per run and metric.

    Columns: run, kind, mode, task, pretraining, fraction, seed, backbone, lr (peak), metric, value. Metrics whose name
    starts with "val_" are validation values; energy_kwh is from status.json. `ids` limits the runs; an id that is not
    done, or damaged, is left out.
    """
    found = ids if ids is not None else {runfolder.id_of(p) for p in runfolder.folders()}
    rows = []
    for rid in sorted(r for r in found if state_is_done(r)):
        config, metrics = read_json(folder(rid) / "config.json"), read_metrics(rid)
        head = {
            "run": rid,
            **{k: config.get(k) for k in ("kind", "mode", "task", "pretraining", "fraction", "seed", "backbone")},
            "lr": config["recipe"]["lr"],
        }
        spent = read_status(folder(rid))
        metrics |= {k: spent[k] for k in ("energy_kwh",) if k in spent}
        rows += [{**head, "metric": k, "value": v} for k, v in metrics.items()]
    columns = [
        "run", "kind", "mode", "task", "pretraining", "fraction", "seed", "backbone", "lr", "metric", "value",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def history(rid: str) -> pd.DataFrame:
    """Return the epochs of a run: epoch, loss, lr, the validation metrics, seconds, cpu_seconds.

    Raises: RunDamagedError.
    """
    return pd.read_csv(check_file(rid, "history.csv"))
