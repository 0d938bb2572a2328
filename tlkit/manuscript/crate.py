"""The RO-Crate of a study (version 1.1): what an archive, and a machine, reads of a pack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tlkit import __version__
from tlkit.datasets import DATASETS
from tlkit.manuscript.provenance import Facts

NAME = "ro-crate-metadata.json"
KINDS = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
}
KINDS |= {".png": "image/png", ".svg": "image/svg+xml", ".pdf": "application/pdf", ".yaml": "application/yaml"}
KINDS |= {".safetensors": "application/octet-stream", ".ipynb": "application/x-ipynb+json"}
CODE = "#tlkit"


def describe(
    study: Mapping[str, Any], files: Mapping[str, Sequence], runs: Mapping[str, Facts], date: str, packed: bool = True
) -> dict[str, Any]:
    """Return the metadata of a crate: its files, the runs as actions, their data sets, the program and the paper.

    Args: study: name, title, source (of the study file), scale, phantom; files: size and SHA-256 by name in the crate;
    runs: by id, with what each says of itself; date: ISO 8601; packed: no runs folder, but a pack, without names.
    """
    data = sorted({pair for facts in runs.values() for pair in facts.data})
    entities = [
        {"@id": NAME, "@type": "CreativeWork", "about": {"@id": "./"},
         "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"}},
        {"@id": "./", "@type": "Dataset", "name": f"Runs of {study['name']} at scale {study['scale']}",
         "description": _description(study, packed), "datePublished": date, "license": {"@id": LICENCE["@id"]},
         "hasPart": [{"@id": name} for name in sorted(files)], "mentions": [{"@id": f"#{rid}"} for rid in sorted(runs)],
         "creator": {"@id": "#authors"}},
        LICENCE,
        {"@id": "#authors", "@type": "Organization", "name": "the tlkit authors"},
        {"@id": CODE, "@type": "SoftwareSourceCode", "name": "tlkit", "version": __version__,
         "programmingLanguage": "Python", "license": {"@id": LICENCE["@id"]}},
    ]  # fmt: skip
    entities += [_file(name, *facts) for name, facts in sorted(files.items())]
    entities += [_data(name, content) for name, content in data]
    entities += [_run(facts, files) for _, facts in sorted(runs.items())]
    return {"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": entities}


LICENCE = {"@id": "https://spdx.org/licenses/MIT", "@type": "CreativeWork", "name": "MIT"}


def _description(study: Mapping[str, Any], packed: bool) -> str:
    names = "are replaced" if packed else "are in it: to hand it on, pack it (python -m tlkit pack)"
    kind = f"Real data, without images; names of images and patients {names}."
    kind = "Phantom data: no results on patients." if study["phantom"] else kind
    return f"{study['title']} {kind} After: {study['source'] or 'a study of its own'}."


def _file(name: str, size: int, digest: str) -> dict[str, Any]:
    kind = KINDS.get(f".{name.rpartition('.')[2]}", "application/octet-stream")
    return {"@id": name, "@type": "File", "name": name.rpartition("/")[2], "contentSize": str(size), "sha256": digest,
            "encodingFormat": kind}  # fmt: skip


def _data(name: str, content: str) -> dict[str, Any]:
    """Return a data set that runs read: none of it is in the crate."""
    found: dict[str, Any] = {"@id": f"#data-{name}", "@type": "Dataset", "name": name, "identifier": content}
    if card := DATASETS.get(name):
        found |= {"name": card.title, "license": card.licence, "citation": card.citation}
        found |= {"url": card.source} if card.source.startswith("http") else {}
    return found


def _run(facts: Facts, files: Mapping[str, Sequence]) -> dict[str, Any]:
    mine = [name for name in sorted(files) if facts.id in name.split("/")[:-1]]
    used = [{"@id": f"#data-{name}"} for name in dict.fromkeys(name for name, _ in facts.data)]
    start = (facts.config.get("weights") or {}).get("run")
    return {
        "@id": f"#{facts.id}", "@type": "CreateAction", "name": facts.id, "instrument": {"@id": CODE},
        "object": used + ([{"@id": f"#{start}"}] if start else []), "result": [{"@id": name} for name in mine],
        "endTime": facts.status.get("updated", ""), "description": f"commit {facts.commit}",
    }  # fmt: skip
