"""What runs started from: recorded by each, compared before another one starts, and taken away together."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from filelock import Timeout

from tlkit import paths, runfolder
from tlkit.config import TlkitError, UnknownNameError, nearest
from tlkit.runfolder import PARTIAL, REMOVE, RunBusyError, RunDamagedError, read_json, write_json

Inputs = dict[str, dict[str, str]]  # kind ("weights", "groups") -> name -> SHA-256


class InputsChangedError(TlkitError, RuntimeError):
    """A run would start from other weights or groups than it did before, or than other runs did."""


def record(where: Path, inputs: Inputs) -> None:
    """Write what a run starts from into its folder, unless it, or another run, started from something else.

    Raises: InputsChangedError.
    """
    path = where / "inputs.json"
    rid = runfolder.id_of(where)
    if path.exists() and (before := read_json(path)) != inputs:
        changed = [n for kind in inputs for n, sha in inputs[kind].items() if before.get(kind, {}).get(n) != sha]
        raise InputsChangedError(
            f"run {rid} was begun with another content of {', '.join(changed) or 'what it starts from'} than is there "
            f"now. {REMOVE.format(rid)}"
        )
    for kind, names in inputs.items():
        for name, digest in names.items():
            _compare(kind, name, digest, rid)
    if not path.exists():
        write_json(path, inputs)


def _compare(kind: str, name: str, digest: str, rid: str) -> None:
    others = {runfolder.id_of(p): _inputs(p).get(kind, {}).get(name, digest) for p in runfolder.folders()}
    if different := [r for r, found in others.items() if found != digest and r != rid]:
        raise InputsChangedError(
            f"the {kind} of {name} are not those that {len(different)} other runs started from (such as "
            f"{different[0]}): SHA-256 {digest[:12]}, there {others[different[0]][:12]}. It was made anew, perhaps on "
            f"another kind of processor, and runs of both cannot be compared. {REMOVE.format(name)}"
        )


def _inputs(where: Path) -> Inputs:
    """Return what a run recorded; nothing where it recorded nothing that can be read."""
    with contextlib.suppress(OSError, RunDamagedError, AttributeError):
        found = read_json(where / "inputs.json")
        if all(isinstance(sha, str) for names in found.values() for sha in names.values()):
            return found
    return {}


def sources(where: Path) -> set[str]:
    """Return the names of the runs and groups that a run started from, by its inputs and its config."""
    found = {name for names in _inputs(where).values() for name in names}
    with contextlib.suppress(OSError, RunDamagedError, AttributeError, TypeError):
        config = read_json(where / "config.json")
        found.add((config.get("weights") or {}).get("run"))
        data = config.get("data") or []
        data = data if isinstance(data, list) else [data]
        found |= {d.get("groups", {}).get("encoder") for d in data}
    return found - {None, ""}


def _all_sources() -> dict[str, set[str]]:
    """Return what each run and each groups folder on the disk started from."""
    found: dict[str, set[str]] = {}
    for where in runfolder.folders():
        found.setdefault(runfolder.id_of(where), set()).update(sources(where))
    for where in paths.groups_root().glob("[!.]*/"):
        found[where.name] = set()
        with contextlib.suppress(OSError, RunDamagedError, KeyError, TypeError):
            found[where.name] = {read_json(where / "groups.json")["settings"]["encoder"]}
    return found


def remove(name: str) -> list[str]:
    """Delete a run, finished or not (or a folder of groups), with all that started from it; return their names.

    Raises: UnknownNameError; RunBusyError, with nothing deleted, while one of them is at work.
    """
    known = _all_sources()
    if name not in known:
        raise UnknownNameError(
            f"no run '{name}' below {paths.runs_root()}.{nearest(name, known)} `python -m tlkit status` lists the runs."
        )
    doomed = {name}
    while more := {n for n, begun in known.items() if begun & doomed} - doomed:
        doomed |= more
    with contextlib.ExitStack() as locks:
        for one in sorted(doomed):
            try:
                locks.enter_context(runfolder.lock(one).acquire(timeout=0))
            except Timeout:
                told = f"run {one} is being trained, and nothing was removed: wait for it, or stop it first."
                raise RunBusyError(told) from None
        for one in sorted(doomed):
            for path in (runfolder.folder(one), runfolder.folder(one + PARTIAL), paths.groups_root() / one):
                if path.is_dir():
                    shutil.rmtree(path)
                path.unlink(missing_ok=True)  # a file in the place of a folder
    return sorted(doomed)
