"""`pack` and `unpack`: the finished runs of a study as one file, without images, identifiers or traces of a machine.

Of each run go config, metrics, epochs, predictions and environment, scrubbed; its weights where they are asked for; its
executed notebook never. Every file is listed with size and SHA-256 in pack.json, and the pack is an RO-Crate.
"""

from __future__ import annotations

import io
import json
import secrets
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from tlkit import __version__, files, paths, runfolder, runs
from tlkit.config import ConfigError, TlkitError, short_hash
from tlkit.machine import commit
from tlkit.manuscript import crate, scrub
from tlkit.manuscript.provenance import Provenance
from tlkit.manuscript.results import Results
from tlkit.studies import Study, studyfile

FORMAT = 1
LIST = "pack.json"
RECORDS = ("config.json", "environment.json", "inputs.json", "metrics.json", "weights.json")
PREDICTIONS = ("predictions_val.parquet", "predictions_test.parquet")
WEIGHTS = "model.safetensors"
NAMING = {"id", "patient", "path", "file", "series", "image"}  # columns of tables that name images or patients
WHEN = (1980, 1, 1, 0, 0, 0)  # of every entry, so that equal content is an equal file


class PackError(TlkitError, ValueError):
    """A pack would hold, or holds, what it must not; or it is damaged."""


def pack(study: Study, out: Path, weights: bool = False) -> Path:
    """Write the finished runs of a study at its scale to the .zip file `out` and return it.

    `weights`: their model weights, too (of phantoms these make every notebook whole; of patients think twice: weights
    may remember). Raises: ConfigError where no run is done; PackError where an identifier would be left.
    """
    configs, done = study.planned(), _done(study)
    key, words, ids = secrets.token_bytes(32), scrub.private_words(), set()
    parts: dict[str, bytes] = {}
    for rid in done:
        parts |= _run(rid, study.phantom, key, words, weights, ids)
    parts |= _results(study, words)
    said = yaml.safe_load((studyfile.files()[study.name]).read_bytes())
    parts[f"study/{study.name}.yaml"] = yaml.safe_dump(scrub.record(said, words), sort_keys=False).encode()
    _require_clean(parts, words, ids)
    parts[crate.NAME] = _json(scrub.record(_crate(study, _listed(parts), done), words))
    told = {"format": FORMAT, "study": study.name, "scale": study.scale, "data": study.spec["data"], "runs": done}
    told |= {"contents": contents(configs[rid][1] for rid in done), "weights": weights, "tlkit": __version__}
    parts[LIST] = _json(told | {**commit(), "files": _listed(parts)})
    with files.replacing(out) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(parts):
            archive.writestr(zipfile.ZipInfo(name, WHEN), parts[name], zipfile.ZIP_DEFLATED)
    return out


def describe(study: Study) -> Path:
    """Write the RO-Crate of the finished runs of a study at its scale into the runs folder as it is; return its file.

    It describes every file of these runs, weights too, by size and SHA-256. Raises: ConfigError where no run is done.
    """
    done = _done(study)
    statuses = {rid: runfolder.read_status(runfolder.folder(rid)) for rid in done}
    held = {f"{rid}/{name}": told for rid, status in statuses.items() for name, told in status["files"].items()}
    path = paths.runs_root() / crate.NAME
    files.write_bytes(path, _json(_crate(study, held, done, packed=False)))
    return path


def _done(study: Study) -> list[str]:
    done = [rid for rid in study.planned() if runs.state_is_done(rid)]
    if not done:
        raise ConfigError(
            f"no run of {study.name} at {study.scale} is done, so there is nothing to pack. `make figures "
            f"STUDY={study.name} SCALE={study.scale}` does them."
        )
    return done


def _crate(study: Study, held: dict[str, list], done: list[str], packed: bool = True) -> dict[str, Any]:
    known = Provenance(Results())
    about = {"name": study.name, "scale": study.scale, "phantom": study.phantom}
    about |= {"title": study.spec.get("title", study.name), "source": study.spec.get("source", "")}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return crate.describe(about, held, {rid: known.facts(rid) for rid in done}, now, packed)


def contents(configs: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Return the content hash of the real data sets and weights of these configs, by which their runs are named."""
    found = {}
    for config in configs:
        found |= {d["name"]: d["content"] for d in runs.corpora(config) if d.get("content")}
        source = config.get("weights") or {}
        if source.get("sha256") and "card" in source:
            found[source["card"]] = source["sha256"]
    return found


def _run(rid: str, phantom: bool, key: bytes, words: list[str], weights: bool, ids: set[str]) -> dict[str, bytes]:
    """Return the files of a run as they go into the pack; `ids` gathers what names its images and patients."""
    where, found = runfolder.folder(rid), {}
    for name in RECORDS:
        if (where / name).exists():
            found[name] = _json(scrub.record(runfolder.read_json(where / name), words))
    if runfolder.deciding_hash(json.loads(found["config.json"])) != rid[-8:]:
        raise PackError(f"the config of {rid} names an absolute path or a name of this machine that decides the run.")
    if (where / "history.csv").exists():
        found["history.csv"] = runs.check_file(rid, "history.csv").read_bytes()
    for name in PREDICTIONS:
        if (where / name).exists():
            frame = pd.read_parquet(runs.check_file(rid, name))
            if not phantom:
                ids |= {str(v) for column in ("id", "patient") for v in frame[column]}
                frame = scrub.predictions(frame, key)
            held = io.BytesIO()
            pd.DataFrame(frame.to_dict("series")).to_parquet(held, index=False)
            found[name] = held.getvalue()
    if weights and (where / WEIGHTS).exists():
        found[WEIGHTS] = runs.check_file(rid, WEIGHTS).read_bytes()
    status = scrub.record(runfolder.read_status(where), words)
    status |= {"packed": "" if weights else "without weights", "files": _listed(found)}
    found["status.json"] = _json({**status, "check": short_hash(status)})
    return {f"runs/{rid}/{name}": content for name, content in found.items()}


def _results(study: Study, words: list[str]) -> dict[str, bytes]:
    """Return the tables of the study, and of phantoms its figures; no table of real data that names an image."""
    found = {}
    for saved in Results("own", study.scale).saved(study.name):
        kinds = ("csv", "md", "json") if saved.kind == "tables" else ("png", "json")
        if not study.phantom and (saved.kind == "figures" or NAMING & {str(c).lower() for c in saved.frame.columns}):
            continue
        for kind in kinds:
            content = saved.file(kind).read_bytes()
            if kind != "png":
                content = scrub.text(content.decode("utf-8"), words).encode()
            found[f"{saved.kind}/{study.name}/{study.scale}/{saved.name}.{kind}"] = content
    return found


def _require_clean(parts: dict[str, bytes], words: list[str], ids: set[str]) -> None:
    """Raise PackError where a part still holds a name of this machine, a patient or an image: the pack read back."""
    ids = {i for i in ids if len(i) >= 6 and not i.replace(".", "").isdigit()} | {i for i in ids if len(i) >= 8}
    for name, content in parts.items():
        if name.endswith((".png", ".safetensors")):
            continue
        if name.endswith(".parquet"):
            frame = pd.read_parquet(io.BytesIO(content))
            found = sorted({str(v) for c in ("id", "patient") if c in frame for v in frame[c]} & ids)
        else:
            found = list(scrub.find_left(content.decode("utf-8"), words, ids))
        if found:
            raise PackError(
                f"{name} would still hold '{found[0]}', which names a machine, a person or an image; nothing was "
                "packed. Please report it, or rename what it comes from."
            )


def _listed(parts: dict[str, bytes]) -> dict[str, list]:
    import hashlib

    return {name: [len(content), hashlib.sha256(content).hexdigest()] for name, content in sorted(parts.items())}


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
