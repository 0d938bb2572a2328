"""The files of a run's folder: read with a check, and named with what to do where they are damaged.

A finished run's `status.json` lists the size and SHA-256 of every other file, and the hash of itself.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tlkit import files, paths
from tlkit.config import NotAvailableError, TlkitError, short_hash
from tlkit.locks import Lock

PARTIAL = ".partial"
NAMED = re.compile(r".+-s-?\d+-[0-9a-f]{8}(\.partial)?")  # what `runs.run_id` makes
REMOVE = (
    "`python -m tlkit remove {0}` takes {0} away, with all that started from it; started again, they are made anew."
)
CARD = ("layout", "task", "classes", "options")  # what a study's own card of a data set says that decides numbers
FILE = ("sha256", "rules", "stem", "partial")  # and of its own weights
SMALL = 100_000  # bytes; smaller files are hashed at every look, larger ones where they are read


class RunDamagedError(TlkitError, RuntimeError):
    """A file of a run is missing, cut or changed; the message names it and the command that mends it."""


class RunBusyError(TlkitError, RuntimeError):
    """Another process is at work on this run."""


def damaged(path: Path, reason: str) -> RunDamagedError:
    """Return the error for a damaged file of a run, of a groups folder, or of another one that is made again."""
    name = _owner(path)
    if not name:
        return RunDamagedError(f"{path} is damaged ({reason}). Delete it; what wrote it writes it again.")
    return RunDamagedError(f"{path} is damaged ({reason}). {REMOVE.format(name)}")


def deciding_hash(config: dict[str, Any]) -> str:
    """Return the hash of a config without what decides no number.

    That is how many damaged files a data set may have, and of data sets and weights that a study brings itself where
    they lie and what they are called: their content is hashed.
    """

    def kept(data: Any) -> Any:
        found = {k: v for k, v in data.items() if k != "max_unreadable"} if isinstance(data, dict) else data
        return {**found, "card": _only(found["card"], CARD)} if isinstance(found, dict) and "card" in found else found

    data, weights = config.get("data"), config.get("weights")
    told = {**config, "data": [*map(kept, data)] if isinstance(data, list) else kept(data)}
    return short_hash(told | ({"weights": _only(weights, FILE)} if weights and "file" in weights else {}))


def _only(said: dict[str, Any], deciding: tuple[str, ...]) -> dict[str, Any]:
    return {k: v for k, v in said.items() if k in deciding}


def _owner(path: Path) -> str:
    """Return the run, or the folder of groups, that a file belongs to; "" for any other file."""
    if path.parent.parent == paths.groups_root():
        return path.parent.name
    root = paths.runs_root()
    top = root / path.relative_to(root).parts[0] if root in path.parents else root
    return id_of(top) if NAMED.fullmatch(top.name) or (top / "config.json").exists() else ""


def folder(rid: str) -> Path:
    """Return where the finished run `rid` lies (or will lie)."""
    return paths.runs_root() / rid


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader sees the old file or the new one, never half of it."""
    files.write_text(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def read_json(path: Path) -> Any:
    """Return what a JSON file holds. Raises: FileNotFoundError; RunDamagedError where it is no file, or not JSON."""
    try:
        return _parsed(path, path.read_bytes())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise damaged(path, error.strerror) from error


def _parsed(path: Path, data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        raise damaged(path, "empty" if not data else f"no JSON: {error}") from error


def write_status(where: Path, status: dict[str, Any]) -> None:
    """Write the status of a run folder, with its own hash."""
    write_json(where / "status.json", {**status, "check": short_hash(status)})


def read_status(where: Path) -> dict[str, Any]:
    """Return the status of a run folder. Raises: RunDamagedError where it is missing or not as it was written."""
    path = where / "status.json"
    try:
        status = read_json(path)
    except FileNotFoundError:
        raise damaged(path, "missing") from None
    if not isinstance(status, dict):
        raise damaged(path, "not a status")
    if status.pop("check", None) != short_hash(status):
        raise damaged(path, "not as it was written, or by an older version")
    return status


def manifest(where: Path) -> dict[str, list]:
    """Return the size and SHA-256 of the files of a run folder but its status."""
    kept = (
        p for p in sorted(where.iterdir()) if p.is_file() and p.name != "status.json" and not p.name.startswith(".")
    )
    return {p.name: [p.stat().st_size, files.sha256(p)] for p in kept}


def check(where: Path, verify: bool = False) -> None:
    """Raise RunDamagedError unless a finished folder holds what its status lists.

    Sizes are compared, and the hashes of small files; with `verify`, all hashes.
    """
    _require_folder(where)
    status = read_status(where)
    if status.get("state") != "done":
        raise damaged(where / "status.json", f"state {status.get('state')} in a finished folder")
    for name, (size, digest) in status.get("files", {}).items():
        _check_file(where / name, size, digest, verify or size <= SMALL)


def check_partial(where: Path) -> None:
    """Raise RunDamagedError for an unfinished folder whose status, config or inputs cannot be read."""
    _require_folder(where)
    if (where / "status.json").exists():
        read_status(where)
    config = where / "config.json"
    if config.exists() and deciding_hash(read_json(config)) != id_of(where)[-8:]:
        raise damaged(config, "not the config of this run")
    if (where / "inputs.json").exists():
        read_json(where / "inputs.json")


def check_file(rid: str, name: str) -> Path:
    """Return the path of a finished run's file, its bytes compared with what the run recorded.

    Raises: RunDamagedError where it is missing or another one.
    """
    where = folder(rid)
    status = read_status(where)
    kept = status.get("files", {})
    if name not in kept and status.get("packed"):
        raise NotAvailableError(
            f"run {rid} came in a pack {status['packed']}: {name} is not there. `python -m tlkit pack STUDY --weights` "
            "packs it, where the runs were made; tables and figures that came along are in paper/tables, paper/figures."
        )
    if name in kept:
        _check_file(where / name, *kept[name], verify=True)
    elif not (where / name).exists():
        raise damaged(where / name, "missing")
    return where / name


def require_done(rid: str) -> Path:
    """Return the folder of a finished run. Raises: FileNotFoundError where it is not done."""
    where = folder(rid)
    if not where.exists():
        raise FileNotFoundError(
            f"run {rid} is not done: expected {where}. `make plan` shows which runs are missing, and "
            "`make figures` makes them."
        )
    return where


def _require_folder(where: Path) -> None:
    if where.exists() and not where.is_dir():
        raise damaged(where, "a file, expected a folder")


def _check_file(path: Path, size: int, digest: str, verify: bool) -> None:
    try:
        found = path.stat().st_size
    except FileNotFoundError:
        raise damaged(path, "missing") from None
    if found != size:
        raise damaged(path, f"{found} bytes of {size}" if found else "empty")
    if verify and files.sha256(path) != digest:
        raise damaged(path, "its bytes changed")


def folders() -> list[Path]:
    """Return the folders of all runs, finished or not, in order: what is named like a run or holds a config."""
    root = paths.runs_root()
    found = sorted(root.iterdir()) if root.is_dir() else []
    return [p for p in found if NAMED.fullmatch(p.name) or (p / "config.json").exists()]


def id_of(where: Path) -> str:
    """Return the run whose finished or partial folder this is."""
    return where.name.removesuffix(PARTIAL)


def lock(rid: str) -> Lock:
    """Return the lock of a run, which is free again when its process ends, however it ends."""
    path = paths.runs_root() / ".locks" / f"{rid}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return Lock(path)


def is_at_work(rid: str) -> bool:
    """Tell whether a process holds the run."""
    return lock(rid).is_held()
