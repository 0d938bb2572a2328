"""The run folder: one run, one folder, named by its config, complete or not there at all.

A run is worked on in `<id>.partial/` and renamed to `<id>/` when every file is written; so a folder without
the suffix is finished, and is never written again (only the executed notebook is added to it). `runs/README.md`
lists the files.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import platform
import shutil
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from tlkit import paths
from tlkit.config import TlkitError, short_hash

PARTIAL = ".partial"
PACKAGES = ("tlkit", "torch", "torchvision", "timm", "numpy", "pandas", "scipy", "scikit-learn", "pydicom")


class RunBusyError(TlkitError, RuntimeError):
    """Another process is at work on this run."""


class RunFailedError(TlkitError, RuntimeError):
    """A run stopped with an error; what it had reached is kept and the next start goes on from there."""


def run_id(config: dict[str, Any]) -> str:
    """Return the id of a resolved config: a readable slug and 8 hex digits of its hash."""
    if config["kind"] == "pretrain":
        parts = ["pretrain", config["pretraining"], config["backbone"]]
    else:
        share = f"{100 * config['fraction']:g}pct"
        parts = [config["mode"], config["task"], config["pretraining"], share]
    slug = "-".join([*parts, f"s{config['seed']}"]).replace("/", "_").replace(" ", "_")
    return f"{slug}-{short_hash(_deciding(config))}"


def _deciding(config: dict[str, Any]) -> dict[str, Any]:
    """Return the config without what decides no number: how many damaged files a data set may have."""
    if "data" not in config:
        return config
    kept = [{k: v for k, v in data.items() if k != "max_unreadable"} for data in corpora(config)]
    return {**config, "data": kept if isinstance(config["data"], list) else kept[0]}


def corpora(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the `data` entries of a config: one, or one a corpus where a pretraining joins several."""
    return config["data"] if isinstance(config["data"], list) else [config["data"]]


def folder(rid: str) -> Path:
    """Return where the finished run `rid` lies (or will lie)."""
    return paths.runs_root() / rid


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader sees the old file or the new one, never half of it."""
    part = path.with_name(path.name + ".tmp")
    part.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")
    part.replace(path)


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


def environment(device: str = "cpu") -> dict[str, Any]:
    """Return what the run ran on: packages, Python, machine, device, threads, commit."""
    import torch

    versions = {}
    for name in PACKAGES:
        with contextlib.suppress(ModuleNotFoundError):
            versions[name] = version(name)
    tree = commit()
    gpu = torch.cuda.get_device_name() if device.startswith("cuda") else None
    return {
        "packages": versions,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "device": gpu or platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "commit": {"id": tree["commit"], "dirty": tree["dirty"]},
    }


def commit() -> dict[str, Any]:
    """Return {"commit": hash, "dirty": whether the tree differs from it}; "unknown" and None outside git."""
    if (paths.REPO / ".git").exists() and shutil.which("git"):
        git = ["git", "-C", str(paths.REPO)]
        head, changes = (
            subprocess.run([*git, *command], capture_output=True, text=True, check=False)
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain"])
        )
        if head.returncode == 0 and changes.returncode == 0:
            return {"commit": head.stdout.strip(), "dirty": bool(changes.stdout.strip())}
    return {"commit": "unknown", "dirty": None}


def state(rid: str) -> str:
    """Return "done", "running", "failed", "interrupted" or "missing" for the run `rid`."""
    if state_is_done(rid):
        return "done"
    partial = folder(rid + PARTIAL)
    if not partial.exists():
        return "missing"
    if _lock(rid).is_held_elsewhere():
        return "running"
    status = read_json(partial / "status.json") if (partial / "status.json").exists() else {}
    return "failed" if status.get("state") == "failed" else "interrupted"


class _lock:
    """An advisory lock that the system drops when its process ends, however it ends."""

    def __init__(self, rid: str):
        from filelock import FileLock

        path = paths.runs_root() / ".locks" / f"{rid}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        self.inner = FileLock(path)

    def is_held_elsewhere(self) -> bool:
        from filelock import Timeout

        try:
            with self.inner.acquire(timeout=0):
                return False
        except Timeout:
            return True


class Run:
    """An open run: its config, its folder, and its status."""

    def __init__(self, config: dict[str, Any], rid: str, where: Path):
        self.config, self.id, self.folder = config, rid, where

    def status(self, state: str, **more: Any) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        old = self.folder / "status.json"
        started = read_json(old)["started"] if old.exists() else now
        who = {"pid": os.getpid(), "host": socket.gethostname()}
        write_json(old, {"started": started, "state": state, "updated": now, **who, **more})


@contextlib.contextmanager
def claim(config: dict[str, Any], wait: bool = False) -> Iterator[Run | None]:
    """Open the run of `config` for this process alone; yield None where it is already done.

    Args: wait: wait for another process that is at work on it, instead of raising RunBusyError.
    The body trains and calls `finish`. An error inside leaves the folder resumable, with status "failed" (on
    Ctrl-C "interrupted").
    Raises: RunBusyError; RunFailedError for a full disk (what was reached is kept).
    """
    from filelock import Timeout

    rid = run_id(config)
    lock = _lock(rid)
    try:
        lock.inner.acquire(timeout=-1 if wait else 0.5, poll_interval=0.1)  # `state` holds it for a moment
    except Timeout:
        raise RunBusyError(_busy_text(rid)) from None
    try:
        run = Run(config, rid, folder(rid + PARTIAL))
        if (run.folder / "metrics.json").exists():
            _seal(run)  # it was killed just before
        if state_is_done(rid):
            yield None
            return
        try:
            run.folder.mkdir(parents=True, exist_ok=True)
            write_json(run.folder / "config.json", config)
            run.status("running")
            yield run
        except BaseException as error:
            state = "failed" if isinstance(error, Exception) else "interrupted"
            with contextlib.suppress(OSError):
                run.status(state, error=f"{type(error).__name__}: {error}")
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise RunFailedError(_full_text(rid)) from error
            raise
    finally:
        lock.inner.release()


def state_is_done(rid: str) -> bool:
    return (folder(rid) / "metrics.json").exists()


def _busy_text(rid: str) -> str:
    status = folder(rid + PARTIAL) / "status.json"
    who = read_json(status) if status.exists() else {}
    return (
        f"run {rid} is being trained by process {who.get('pid', '?')} on {who.get('host', '?')} since "
        f"{who.get('started', '?')}. Wait for it (python -m tlkit status), or stop that process first."
    )


def _full_text(rid: str) -> str:
    free = shutil.disk_usage(paths.runs_root()).free / 1e9
    return (
        f"run {rid} stopped: no space left below {paths.runs_root()} ({free:.2f} GB free). Free some, or set "
        "TLKIT_RUNS to another disk, and start again: it goes on from its last finished epoch."
    )


def finish(run: Run, metrics: dict[str, float], **status: Any) -> Path:
    """Write the metrics, drop the resume state and rename the folder: from here on the run is done."""
    run.status("done", **status)
    write_json(run.folder / "metrics.json", {k: None if math.isnan(v) else v for k, v in metrics.items()})
    return _seal(run)


def _seal(run: Run) -> Path:
    shutil.rmtree(run.folder / "checkpoint", ignore_errors=True)
    for left in [*run.folder.glob("*.tmp"), *run.folder.glob(".*.part")]:  # by a kill in the middle of a file
        left.unlink()
    run.folder = run.folder.replace(folder(run.id))
    return run.folder


def add_notebook(rid: str, notebook: Path) -> None:
    """Keep the executed notebook with a finished run (a link where the disk allows, else a copy)."""
    target = folder(rid) / "notebook.ipynb"
    if target.exists() or not target.parent.exists():
        return
    try:
        os.link(notebook, target)
    except OSError:
        shutil.copy2(notebook, target)


def listing() -> pd.DataFrame:
    """Return one row a run below the runs folder: id, state, kind, task, pretraining, seed, minutes, updated."""
    rows = []
    for path in sorted(paths.runs_root().glob("*/config.json")):
        rid = path.parent.name.removesuffix(PARTIAL)
        config, status = read_json(path), {}
        if (path.parent / "status.json").exists():
            status = read_json(path.parent / "status.json")
        rows.append(
            {
                "id": rid,
                "state": state(rid),
                "kind": config["kind"],
                "task": config.get("task", ""),
                "pretraining": config["pretraining"],
                "seed": config["seed"],
                "minutes": round(status.get("seconds", 0) / 60, 2),
                "updated": status.get("updated", ""),
                "error": status.get("error", ""),
            }
        )
    return pd.DataFrame(
        rows, columns=["id", "state", "kind", "task", "pretraining", "seed", "minutes", "updated", "error"]
    )


def read_all(ids: list[str] | None = None) -> pd.DataFrame:
    """Return the test metrics of finished runs as a tidy frame, one row a run and metric.

    Columns: run, kind, mode, task, pretraining, fraction, seed, backbone, lr (peak), metric, value. Metrics whose name
    starts with "val_" are validation values; energy_kwh is from status.json. `ids` limits the runs; an id that is not
    done is left out.
    """
    found = ids if ids is not None else [p.parent.name for p in paths.runs_root().glob("*/metrics.json")]
    rows = []
    for rid in sorted(r for r in found if state_is_done(r)):
        config, metrics = read_json(folder(rid) / "config.json"), read_json(folder(rid) / "metrics.json")
        head = {
            "run": rid,
            **{k: config.get(k) for k in ("kind", "mode", "task", "pretraining", "fraction", "seed", "backbone")},
            "lr": config["recipe"]["lr"],
        }
        spent = read_json(folder(rid) / "status.json")
        metrics |= {k: spent[k] for k in ("energy_kwh",) if k in spent}
        rows += [{**head, "metric": k, "value": v} for k, v in metrics.items()]
    columns = [
        "run", "kind", "mode", "task", "pretraining", "fraction", "seed", "backbone", "lr", "metric", "value",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def history(rid: str) -> pd.DataFrame:
    """Return the epochs of a run: epoch, loss, lr, the validation metrics, seconds, cpu_seconds."""
    return pd.read_csv(folder(rid) / "history.csv")
