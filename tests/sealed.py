"""Run folders made or changed by hand, sealed as `runs.finish` would: their status lists what is there now."""

from __future__ import annotations

from tlkit import runfolder, runs


def seal(rid: str) -> None:
    where = runs.folder(rid)
    old = runfolder.read_status(where) if (where / "status.json").exists() else {"state": "done"}
    runfolder.write_status(where, {**old, "files": runfolder.manifest(where)})
