"""`unpack`: a pack is read with mistrust, checked byte by byte, and only then are its runs put beside the others."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

from tlkit import files, paths, runfolder, runs
from tlkit.manuscript.pack import FORMAT, LIST, PREDICTIONS, RECORDS, WEIGHTS, PackError

IN_RUN = {*RECORDS, *PREDICTIONS, WEIGHTS, "history.csv", "status.json"}
NAME = re.compile(r"[\w.=-]+")  # of a file or study: nothing that leads elsewhere
MOST = 20_000_000_000  # bytes of one pack when unpacked
OTHER = (EOFError, NotImplementedError, RuntimeError, KeyError, ValueError)  # that zipfile raises for damage
SMALL = 50_000_000  # of the list itself


def unpack(path: Path) -> dict[str, list[str]]:
    """Put the runs of a pack into the runs folder, and return which were added and which were there already.

    Tables and figures of it go to `paper/` where the study has none there. Nothing is written before all was checked.
    Raises: PackError for what is no pack, damaged, or leads out of its folders; TlkitError for a full disk.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            told = _read_list(archive)
            _check_names(archive, told)
            files.require_room(_made(paths.runs_root()), sum(size for size, _ in told["files"].values()), "the pack")
            part = paths.runs_root() / f".unpack-{hashlib.sha256(str(path).encode()).hexdigest()[:8]}.part"
            shutil.rmtree(part, ignore_errors=True)
            try:
                _extract(archive, told["files"], part)
                return _place(part, told)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, *OTHER) as error:
        if isinstance(error, PackError):
            raise
        raise PackError(f"{path} is no whole pack ({error}). Get it anew, or pack it anew.") from error


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _read_list(archive: zipfile.ZipFile) -> dict[str, Any]:
    info = archive.getinfo(LIST)
    if info.file_size > SMALL:
        raise PackError(f"{LIST} has {info.file_size:,} bytes, more than any pack needs.")
    try:
        told = json.loads(archive.read(info))
        listed = {str(name): (int(size), str(digest)) for name, (size, digest) in told["files"].items()}
        found = {"study": str(told["study"]), "scale": str(told["scale"]), "runs": [str(r) for r in told["runs"]]}
        found |= {"contents": {str(k): str(v) for k, v in told["contents"].items()}, "files": listed}
    except (ValueError, TypeError, AttributeError) as error:
        raise PackError(f"{LIST} of the pack can't be read: {error}.") from error
    if told.get("format") != FORMAT:
        raise PackError(
            f"the pack has the format {told.get('format')}; this tlkit reads {FORMAT}. Use the one it names."
        )
    if not (NAME.fullmatch(found["study"]) and NAME.fullmatch(found["scale"])):
        raise PackError(f"the pack names the study '{found['study']}' at '{found['scale']}', which is no name.")
    return found


def _check_names(archive: zipfile.ZipFile, told: dict[str, Any]) -> None:
    """Raise PackError unless the entries are those of the list, each of a kind and at a place that a pack has."""
    names = [info.filename for info in archive.infolist()]
    wanted = {*told["files"], LIST}
    if len(names) != len(set(names)) or set(names) != wanted:
        odd = sorted(set(names) ^ wanted) or ["an entry that comes twice"]
        raise PackError(f"the pack does not hold what it lists: {odd[0]!r}. It is damaged, or was changed.")
    for info in archive.infolist():
        size = told["files"].get(info.filename, (info.file_size, ""))[0]
        linked = (info.external_attr >> 16) & 0o170000 == 0o120000
        if linked or info.flag_bits & 1 or info.is_dir() or info.file_size != size or not _allowed(info.filename, told):
            raise PackError(f"the pack has an entry that no pack has: {info.filename!r}. Nothing was unpacked.")
    if sum(size for size, _ in told["files"].values()) > MOST:
        raise PackError(f"the pack would take more than {MOST / 1e9:.0f} GB. Nothing was unpacked.")


def _allowed(name: str, told: dict[str, Any]) -> bool:
    parts = PurePosixPath(name).parts
    if "\\" in name or "/".join(parts) != name or not all(NAME.fullmatch(p) and p.strip(".") for p in parts):
        return False
    if parts[0] == "runs":
        known = len(parts) == 3 and parts[1] in told["runs"] and runfolder.NAMED.fullmatch(parts[1])
        return bool(known) and parts[2] in IN_RUN and not parts[1].endswith(runfolder.PARTIAL)
    if parts[0] in ("tables", "figures"):
        return parts[1:-1] == (told["study"], told["scale"]) and parts[-1].endswith((".csv", ".md", ".json", ".png"))
    return parts in {(LIST,), ("ro-crate-metadata.json",), ("study", f"{told['study']}.yaml")}


def _extract(archive: zipfile.ZipFile, listed: dict[str, tuple[int, str]], part: Path) -> None:
    """Write every file of the pack below `part`. Raises: PackError where one is not as the list says."""
    for name, (size, digest) in listed.items():
        target, seen, read = part / name, hashlib.sha256(), 0
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with archive.open(name) as source, target.open("wb") as out:
                while block := source.read(1 << 20):
                    read += len(block)
                    if read > size:
                        break
                    seen.update(block)
                    out.write(block)
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
            raise PackError(f"{name} of the pack is damaged ({error}). Nothing was unpacked; get it anew.") from error
        if read != size or seen.hexdigest() != digest:
            raise PackError(f"{name} of the pack is damaged: its bytes changed. Nothing was unpacked; get it anew.")


def _place(part: Path, told: dict[str, Any]) -> dict[str, list[str]]:
    for rid in told["runs"]:
        folder = part / "runs" / rid
        runfolder.check(folder, verify=True)
        if runfolder.deciding_hash(runfolder.read_json(folder / "config.json")) != rid[-8:]:
            raise PackError(f"the config of {rid} in the pack is not that of this run. Nothing was unpacked.")
    found: dict[str, list[str]] = {"added": [], "there": [], "results": []}
    for rid in told["runs"]:
        with runfolder.lock(rid):
            if runs.state_is_done(rid):
                found["there"].append(rid)
                continue
            shutil.rmtree(runfolder.folder(rid), ignore_errors=True)  # damaged
            (part / "runs" / rid).replace(runfolder.folder(rid))
            found["added"].append(rid)
    _remember(told)
    for kind in ("tables", "figures"):
        target = paths.paper_root() / kind / told["study"] / told["scale"]
        brought = part / kind / told["study"] / told["scale"]
        if brought.is_dir() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(brought, target)  # perhaps on another disk
            found["results"].append(str(target))
    return found


def _remember(told: dict[str, Any]) -> None:
    """Keep the content hashes of data that are not here: runs are named by them (`studies.sources`)."""
    if not told["contents"]:
        return
    path = paths.packed_root() / f"{told['study']}.json"
    known = runfolder.read_json(path) if path.exists() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    runfolder.write_json(path, known | told["contents"])
