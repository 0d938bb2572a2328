"""The study behind an answer: which arms are tried on a reader's images, at which rates, and how long."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
import yaml

from tlkit import studies
from tlkit.advice import reading
from tlkit.advice.brought import Brought, bring
from tlkit.config import ConfigError, file_name
from tlkit.files import write_text
from tlkit.models import WEIGHTS, NoPyramidError, backbone, pyramid_levels
from tlkit.models.backbones import check_name, smallest
from tlkit.models.weight_cards import megabytes, present
from tlkit.stats.baselines import CONSTANT, PIXELS
from tlkit.training.tasks import check_monitor

SCALE = "quick"
SMALL = "resnet10"  # the network where no weights are there
NETWORKS = 6  # tried at most, besides those of the reader's files
RANDOM, OWN = "scratch", "simclr"  # names of arms
RATES = (0.0003, 0.001, 0.003)
SEEDS = (1, 2, 3, 4, 5)  # each with a split of its own, unless the images came with one
STEPS = 400  # of one fine-tuning, about
EPOCHS = (3, 30)  # least and most
SPLIT = {"val": 0.2, "test": 0.25}  # shares
LEAST_OWN, OWN_STEPS, OWN_EPOCHS = 150, 1000, (20, 100)  # of SimCLR on the reader's images: fewer teach it nothing
BASE = {"segmentation": "nodule", "regression": "boneage"}  # recipe of a task; of all others: label
HEAD = """# The study behind the advice on {name}. `make figures` knows it by this name; a copy of it can ask for more.
"""


def write(
    found: dict[str, Any],
    images: int,
    size: int,
    weights: Iterable[Path] = (),
    metric: str = "",
    *,
    network: str = "",
    prefix: str = "",
    partial: bool = False,
    tell: Callable[[str], None] = print,
) -> studies.Study:
    """Write the study of a reading to its folder, and return it; `images` are those that can be used.

    `metric` selects epoch and rate, and decides ("": the task's own). `network`, `prefix` and `partial` are of the
    `weights` files, see `brought.bring`; each has a line to `tell`. Raises UnknownNameError for a metric that the task
    does not have, and for another network; ConfigError for a file that can't be tried.
    """
    check_monitor(found["task"], metric)
    if network:
        check_name(network)
    sources = {card.name.split("/")[0] for card in WEIGHTS.values()}
    files = bring(weights, network, prefix, partial, taken={RANDOM, OWN, PIXELS, CONSTANT, *sources})
    for file in files:
        tell(f"  {file.line}")
    groups = arms(_usable(_networks(files, network), found["task"], size, files, tell), files)
    card = reading.card_of(found)
    own = {"layout": card.layout, "folder": card.folder, "task": card.task, "title": found["name"]}
    own |= {"classes": list(card.classes), "options": reading.make_plain(card.options)}
    tasks, pretrainings, chosen = {}, {}, {}
    for i, (name, entries) in enumerate(groups.items()):
        task = f"answer_{_short(name)}" if i else "answer"
        other = {"backbone": name} if i else {}
        how = _recipe(found["task"], images, metric, weighted=any(len(e) > 1 for e in groups.values()))
        tasks[task] = {"title": found["name"], "dataset": card.name, **other, "recipe": how}
        pretrainings |= entries
        chosen[task] = list(entries)
    if images >= LEAST_OWN:
        own_arm = {"title": "SimCLR on these images", "dataset": card.name, "recipe": _own_recipe(images)}
        pretrainings[OWN] = own_arm
        chosen["answer"].append(OWN)
    common = {
        "title": f"Which pretraining should {found['name']} start from?",
        "data": "real",
        "backbone": next(iter(groups)),
        "size": size,
        "seeds": list(SEEDS),
        "split": {**SPLIT, "seed": "run", "official": found["official"]},
        "datasets": {card.name: {k: v for k, v in own.items() if v}},
        "pretrainings": pretrainings,
        "tasks": tasks,
        "experiments": {
            "fine_tuning": {
                "title": "fine-tuning",
                "mode": "finetune",
                "lrs": list(RATES),
                **({"pretrainings": chosen} if len(groups) > 1 else {}),
            }
        },
    }
    _save(reading.folder_of(found["name"]) / "study.yaml", common)
    return studies.load(found["name"], SCALE)


def shorten(study: studies.Study, epochs: int) -> studies.Study:
    """Write the study anew with so many epochs of every fine-tuning, and return it."""
    file = reading.folder_of(study.name) / "study.yaml"
    common = yaml.safe_load(file.read_text(encoding="utf-8"))["common"]
    for task in common["tasks"].values():
        task["recipe"]["epochs"] = epochs
    _save(file, common)
    return studies.load(study.name, SCALE)


def rewrite(file: Path, experiments: dict[str, dict[str, Any]], curve: str, configs: list[dict[str, Any]]) -> None:
    """Write the study anew with the experiments that were done; `curve` begins the tasks of those on fewer images."""
    common = yaml.safe_load(file.read_text(encoding="utf-8"))["common"]
    for config in configs:
        if (task := config["task"]).startswith(curve):
            same = common["tasks"][f"answer{task.removeprefix(curve)}"]
            common["tasks"][task] = same | {"images_per_epoch": config["images_per_epoch"]}
    _save(file, common | {"experiments": experiments})


def _save(file: Path, common: dict[str, Any]) -> None:
    text = yaml.safe_dump({"common": common, "scales": {SCALE: {}}}, sort_keys=False, allow_unicode=True, width=110)
    write_text(file, HEAD.format(name=file.parent.name) + text)


def arms(networks: Iterable[str], files: Iterable[Brought] = ()) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the pretrainings of a study for each network that is tried, each with random weights of its own first.

    Then published weights that are there, and the reader's `files`. Names differ between networks.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    several = len(networks := list(networks)) > 1
    for i, network in enumerate(networks):
        mark = f"_{_short(network)}" if i else ""
        beside = f" ({_short(network)})" if several else ""
        mine = found[network] = {f"{RANDOM}{mark}": {"title": f"random weights{beside}"}}
        for card in WEIGHTS.values():
            source = card.name.split("/")[0]
            if card.backbone == network and present(card):
                mine.setdefault(f"{source}{mark}", {"title": card.title, "weights": source})
        mine |= {file.name: file.entry for file in files if file.backbone == network}
    return found


def random_arms(study: studies.Study) -> list[str]:
    """Return the arms that start from random weights, one for each network."""
    return [n for n, e in study.spec["pretrainings"].items() if not {"weights", "dataset"} & e.keys()]


def random_of(study: studies.Study, arm: str) -> str:
    """Return the random weights of the network of an arm."""
    network = study.backbones(arm)[0]
    return next(name for name in random_arms(study) if network in study.backbones(name))


def networks(study: studies.Study) -> list[str]:
    """Return the networks that are tried."""
    return list(dict.fromkeys(t.get("backbone", study.spec["backbone"]) for t in study.spec["tasks"].values()))


def missing(study: studies.Study) -> list[dict[str, Any]]:
    """Return published weights that are not on this machine: name, size, licence, source.

    Those of the networks that are tried, and of a source of which nothing is here the first.
    """
    tried = networks(study)
    absent = [card for card in WEIGHTS.values() if not present(card)]
    here = {card.name.split("/")[0] for card in WEIGHTS.values() if present(card)}
    wanted = {card.name: card for card in absent if card.backbone in tried}
    named = here | {name.split("/")[0] for name in wanted}
    for card in absent:
        if (source := card.name.split("/")[0]) not in named:
            named.add(source)
            wanted[card.name] = card
    return [
        {"name": c.name, "size": f"{megabytes(c)} MB" if c.bytes else "", "licence": c.licence, "source": c.source}
        for c in wanted.values()
    ]


def _networks(files: Iterable[Brought], network: str) -> list[str]:
    """Return the networks to try: of the reader's files, then of medical weights, of a package, of the others here.

    SMALL where there is none.
    """
    here = [card for card in WEIGHTS.values() if present(card)]
    order = sorted(here, key=lambda card: (card.name.startswith("imagenet/") and not card.package, not card.package))
    own = [*(file.backbone for file in files), *([network] if network else [])]
    return list(dict.fromkeys([*own, *(card.backbone for card in order)])) or [SMALL]


def _usable(
    networks: list[str], kind: str, size: int, files: Iterable[Brought], tell: Callable[[str], None]
) -> list[str]:
    """Return the networks that take the images and the task, NETWORKS at most, and tell which do not.

    Raises ConfigError for one of the reader's own files.
    """
    own, kept = {file.backbone: file.entry["title"] for file in files}, []
    for network in networks:
        why = _hindrance(network, kind, size)
        if network in own and why:
            raise ConfigError(f"--weights {own[network]}: {why}")
        if not why and network not in own and len(kept) >= NETWORKS:
            why = f"{NETWORKS} networks are tried at most; --backbone {network} puts it first."
        if why:
            tell(f"  not tried: {network}: {why}")
        else:
            kept.append(network)
    return kept or [SMALL]


def _hindrance(network: str, kind: str, size: int) -> str:
    """Return why a network can't be tried; "" where it can."""
    if size < smallest(network):
        return f"it needs images of {smallest(network)} px, and these are brought to {size}."
    if kind == "segmentation":
        try:
            with torch.device("meta"):
                pyramid_levels(backbone(network), size)
        except NoPyramidError as error:
            return f"no decoder for masks can be put on it: {error}"
    return ""


def _recipe(kind: str, images: int, metric: str, weighted: bool) -> dict[str, Any]:
    """Return what a task's recipe says: about STEPS steps, and the input of the weights where there are any."""
    batch = min(32, max(4, images // 8))
    return {
        "base": BASE.get(kind, "label"),
        "epochs": min(max(math.ceil(STEPS * batch / (0.6 * images)), EPOCHS[0]), EPOCHS[1]),
        "batch": batch,
        "monitor": metric,
        "normalise": "card" if weighted else "none",
    }


def _own_recipe(images: int) -> dict[str, Any]:
    """Return the recipe of SimCLR on the reader's images: about OWN_STEPS steps; it is priced before it is done."""
    train = (1 - SPLIT["val"] - SPLIT["test"]) * images
    batch = int(min(64, max(8, train // 4)))
    epochs = math.ceil(OWN_STEPS * batch / train)
    return {"base": "simclr", "epochs": min(max(epochs, OWN_EPOCHS[0]), OWN_EPOCHS[1]), "batch": batch}


def _short(network: str) -> str:
    return file_name(network.rpartition("/")[2])
