"""The study behind an answer: which arms are tried on a reader's images, at which rates, and how long."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from tlkit import studies
from tlkit.advice import reading
from tlkit.config import ConfigError
from tlkit.files import write_text
from tlkit.models import WEIGHTS
from tlkit.models.weight_cards import present
from tlkit.training.recipe import NORMALISE
from tlkit.training.tasks import check_monitor

SCALE = "quick"
SMALL = "resnet10"  # the backbone where no weights are there
RATES = (0.0003, 0.001, 0.003)
SEEDS = (1, 2, 3, 4, 5)  # each with a split of its own, unless the images came with one
STEPS = 400  # of one fine-tuning, about
EPOCHS = (3, 30)  # least and most
ASSUMED = NORMALISE["imagenet"]  # mean and deviation of the input of the reader's own weights
BASE = {"segmentation": "nodule", "regression": "boneage"}  # recipe of a task; of all others: label
HEAD = """# The study behind the advice on {name}. `make figures` knows it by this name; a copy of it can ask for more.
"""


def choose_backbone() -> str:
    """Return the backbone that is tried: the first with published weights on this machine, else SMALL."""
    found = [card.backbone for card in WEIGHTS.values() if present(card)]
    return found[0] if found else SMALL


def arms(backbone: str, size: int, weights: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Return the pretrainings of the study: random weights, published ones that are there, and the reader's files."""
    found: dict[str, dict[str, Any]] = {"scratch": {"title": "random weights"}}
    for card in WEIGHTS.values():
        source = card.name.split("/")[0]
        if card.backbone == backbone and present(card):
            found.setdefault(source, {"title": card.title, "weights": source})
    for file in weights:
        if not file.is_file():
            raise ConfigError(f"--weights {file}: there is no such file.")
        own = {"file": str(file.resolve()), "mean": list(ASSUMED.mean), "std": list(ASSUMED.std), "size": size}
        found[file.stem] = {"title": file.name, "weights": own}
    return found


def write(
    found: dict[str, Any], images: int, size: int, weights: Iterable[Path] = (), metric: str = "", epochs: int = 0
) -> studies.Study:
    """Write the study of a reading to its folder, and return it; `images` are those that can be used.

    `metric` selects epoch and rate, and decides ("": the task's own); `epochs` of a run, 0 for
    those of STEPS. Raises UnknownNameError for a metric that the task does not have.
    """
    check_monitor(found["task"], metric)
    backbone, base = choose_backbone(), BASE.get(found["task"], "label")
    tried = arms(backbone, size, weights)
    card = reading.card_of(found)
    own = {"layout": card.layout, "folder": card.folder, "task": card.task, "title": found["name"]}
    own |= {"classes": list(card.classes), "options": reading.plain(card.options)}
    batch = min(32, max(4, images // 8))
    epochs = epochs or min(max(math.ceil(STEPS * batch / (0.6 * images)), EPOCHS[0]), EPOCHS[1])
    how = {
        "base": base,
        "epochs": epochs,
        "batch": batch,
        "monitor": metric,
        "normalise": "card" if len(tried) > 1 else "none",
    }
    common = {
        "title": f"Which pretraining should {found['name']} start from?",
        "data": "real",
        "backbone": backbone,
        "size": size,
        "seeds": list(SEEDS),
        "split": {"val": 0.2, "test": 0.25, "seed": "run", "official": found["official"]},
        "datasets": {card.name: {k: v for k, v in own.items() if v}},
        "pretrainings": tried,
        "tasks": {"answer": {"title": found["name"], "dataset": card.name, "recipe": how}},
        "experiments": {"fine_tuning": {"title": "fine-tuning", "mode": "finetune", "lrs": list(RATES)}},
    }
    _save(reading.folder_of(found["name"]) / "study.yaml", common)
    return studies.load(found["name"], SCALE)


def rewrite(file: Path, experiments: dict[str, dict[str, Any]], curve: str, configs: list[dict[str, Any]]) -> None:
    """Write the study anew with the experiments that were done; `curve` names the task of those on fewer images."""
    common = yaml.safe_load(file.read_text(encoding="utf-8"))["common"]
    if any(config["task"] == curve for config in configs):
        images = next(c["images_per_epoch"] for c in configs if c["task"] == curve)
        common["tasks"][curve] = common["tasks"]["answer"] | {"images_per_epoch": images}
    _save(file, common | {"experiments": experiments})


def _save(file: Path, common: dict[str, Any]) -> None:
    text = yaml.safe_dump({"common": common, "scales": {SCALE: {}}}, sort_keys=False, allow_unicode=True, width=110)
    write_text(file, HEAD.format(name=file.parent.name) + text)
