"""What a run starts from besides its data: checked, recorded before it trains, and loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tlkit import runfolder, runs
from tlkit.config import lookup
from tlkit.files import sha256
from tlkit.lineage import Inputs
from tlkit.models import weight_cards, weight_list
from tlkit.models.weights import LoadReport, load_encoder, weights_hash
from tlkit.training.data import DataChangedError, groups_folder


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
    return runs.check_file(rid, "model.safetensors")


def load_pretrained(encoder: torch.nn.Module, weights: dict[str, Any] | None) -> LoadReport | None:
    """Load the encoder of the run, or the published checkpoint, that `weights` names; None starts from scratch.

    {"run": id}, {"card": a key of WEIGHTS, "sha256": of the file} or {"file": path, "sha256": ..., and what a study
    says of it}, with "partial": true where the file may fill only a part. Raises FileNotFoundError,
    MissingWeightsError, WeightsMismatchError; DataChangedError or RunDamagedError where the file is another one.
    """
    if weights is None:
        return None
    if "run" in weights:
        return load_encoder(encoder, finished_weights(weights["run"]))
    card = card_of(weights)
    found = weights_hash(weight_cards.where(card))
    if found != weights["sha256"]:
        raise DataChangedError(
            f"weights '{card.name}' are not those of this config: expected SHA-256 {weights['sha256']}, found {found}. "
            "Load the study again (its runs get new ids), or bring the old file back."
        )
    return weight_cards.load_card(encoder, card, partial=weights.get("partial", False))


def card_of(weights: dict[str, Any]) -> weight_cards.WeightsCard:
    """Return the card of published weights, or of the file that a study names."""
    if "file" in weights:
        return weight_cards.own_weights(weights)
    return lookup(weights["card"], weight_list.WEIGHTS, "published weights")
