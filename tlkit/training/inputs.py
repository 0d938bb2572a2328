"""What a run starts from besides its data: checked, and recorded before it trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tlkit import runfolder, runs
from tlkit.files import sha256
from tlkit.lineage import Inputs
from tlkit.training.data import groups_folder


def find(config: dict[str, Any]) -> Inputs:
    """Return the SHA-256 of the weights and groups that a run starts from, as those who made them recorded it.

    That of published weights is a part of the config.
    Raises: FileNotFoundError where a pretraining is not done, RunDamagedError, and as `data.groups_folder` does.
    """
    weights = config.get("weights") or {}
    found: Inputs = {"weights": {}, "groups": {}}
    if "run" in weights:
        found["weights"][weights["run"]] = sha256(finished_weights(weights["run"]))  # as it recorded it
    for data in runs.corpora(config):
        if "groups" in data:
            folder = groups_folder(data)
            found["groups"][folder.name] = runs.read_json(folder / "groups.json")["sha256"]
    return found


def finished_weights(rid: str) -> Path:
    """Return the weights of a finished pretraining, compared with what it recorded.

    Raises: FileNotFoundError where it is not done, RunDamagedError.
    """
    runfolder.check(runfolder.require_done(rid))
    return runs.checked(rid, "model.safetensors")
