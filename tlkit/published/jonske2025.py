"""Names, sizes and log columns of the published fine-tuning runs of Jonske et al. (jonske2025 2.2, 2.3, 4, 6).

A run is a folder `E<number>/PT_<pretraining>_FT_<task>[_lineval][_f1|_f2|_f3]` with test.log, val.log and train.log.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from tlkit.config import TlkitError

NAME = "jonske2025"
PRETRAININGS = {
    "Scratch": "scratch",
    "SimCLR_I1k": "imagenet",
    "SimCLR_R": "radnet",
    "SimCLR_RF": "radnet12m",
    "SimCLR_IxRS": "mixed_sequential",
    "SimCLR_IxRM": "mixed_together",
}
LOOKS = {  # title and colour of each arm, in the order of every figure; LB and UB are estimates, made of no runs
    "scratch": ("random weights", "#8c8c8c"),
    "imagenet": ("ImageNet", "#e69f00"),
    "radnet": ("RadNet", "#56b4e9"),
    "radnet_lb": ("RadNet, LB-adjusted", "#399ed7"),
    "radnet_ub": ("RadNet, UB-adjusted", "#1d88c4"),
    "radnet12m": ("RadNet-12M", "#0072b2"),
    "mixed_sequential": ("Mixed, sequential", "#117733"),
    "mixed_together": ("Mixed, together", "#882255"),
}
ADJUSTMENT = {  # RadNet at the size at which it would hold as much as ImageNet: `published.adjusted.SizeAdjustment`
    "small": 1_281_167,
    "large": 12_034_617,
    "parents": ("radnet", "radnet12m"),
    "factors": {"radnet_lb": 1.136, "radnet_ub": 3.807},
}
FIGURES = {"fig2": ("E1", "E4"), "fig3": ("E2",), "mixed": ("E6", "E8")}  # tests of one are corrected together
ARMS = {name: name for name in PRETRAININGS.values()}  # each was made once, the random weights of scratch too
# Batch size of each task, in the order of the panels of Fig. 2, then Fig. 3 (jonske2025 5.4).
FIG2 = {"BraTS": 128, "CX8": 128, "I1k": 4096, "LiTS": 128, "R": 4096}
FIG3 = {"BraTSM": 128, "BraTSS": 128, "CX8M": 128, "CX8S": 128, "I1kS": 1024, "I1kXS": 256}
FIG3 |= {"I100": 1024, "I100S": 256, "I100XS": 256, "I10": 256, "I10S": 256, "I10XS": 64}
FIG3 |= {"LiTSM": 128, "LiTSS": 128, "RS": 1024, "RXS": 256, "RXXS": 256}
BATCH = FIG2 | FIG3
TASKS = list(BATCH)
EXPERIMENTS: dict[str, tuple[str, str, Collection[str]]] = {  # title, mode, tasks
    "E1": ("fine-tuning", "finetune", FIG2),
    "E2": ("fine-tuning, less data", "finetune", FIG3),
    "E4": ("linear evaluation", "lineval", FIG2),
    "E6": ("fine-tuning, mixed pretraining", "finetune", ("I1k", "R")),
    "E8": ("linear evaluation, mixed pretraining", "lineval", ("I1k", "R")),
}
REPEATS = {"": 42, "_f1": 1, "_f2": 2, "_f3": 3}
OTHER_SEED = {"E1/PT_SimCLR_RF_FT_LiTS_f1": 11}  # by its config, where all others of its kind say 1: jonske2025 2.7

# By the undivided task: title, epochs, the metric in each log column, the metrics that the paper shows.
TITLES = {"BraTS": "BraTS", "CX8": "ChestX-ray8", "LiTS": "LiTS", "R": "RadNet"}
TITLES |= {"I1k": "ImageNet-1k", "I100": "ImageNet-100", "I10": "ImageNet-10"}
EPOCHS = {"BraTS": 50, "CX8": 50, "I1k": 100, "I100": 100, "I10": 100, "LiTS": 50, "R": 100}
OVERLAPS = ("dice", "iou", "precision", "recall")
WEIGHTED = {f"weighted_{m}_avg": f"weighted_{m}_avg" for m in OVERLAPS}
ACCURACY = {"accuracy": "accuracy", "acc": "accuracy", "avg_val_loss": "loss", "avg_loss": "loss"}
METRICS = {
    "BraTS": {f"{m}_avg_class_{k}": f"{m}_{k}" for k in range(4) for m in OVERLAPS} | WEIGHTED,
    "CX8": {f"{m}_avg_overall": m for m in ("auc", *OVERLAPS)},
    "LiTS": {f"{m}_avg_class_{k}": f"{m}_{k}" for k in range(3) for m in OVERLAPS} | WEIGHTED,
    **dict.fromkeys(("I1k", "I100", "I10", "R"), ACCURACY),
}
SHOWN = {"BraTS": ("dice_1", "dice_2", "dice_3"), "CX8": ("auc",), "LiTS": ("dice_1", "dice_2")}
SHOWN |= dict.fromkeys(("I1k", "I100", "I10", "R"), ("accuracy",))
# What the columns hold by the code that wrote them; the published figures have the last two of BraTS swapped
# (jonske2025 4).
CLASSES = {"BraTS": ("enhancing tumour", "whole tumour", "tumour core"), "LiTS": ("liver", "lesion")}
CURVE_LIMITS = {"CX8": 1e5, "LiTS": 5e5, "I1k": 2e7, "R": 2e7}  # images seen at the right of Fig. 4: jonske2025 5.5

FOLDER = re.compile(r"PT_([0-9A-Za-z_]+)_FT_([0-9A-Za-z]+)(_lineval)?(_f[123])?(_lineval)?")
DIVIDED = re.compile(r"(BraTS|CX8|I1k|I100|I10|LiTS|R)(M|S|XS|XXS)?")
SHARES = {None: 1.0, "M": 0.5, "S": 0.1, "XS": 0.01, "XXS": 0.001}


class RunNameError(TlkitError):
    """A folder that is not one of the study's runs; the text says why."""


def find_whole(task: str) -> str:
    """Return the task that `task` is a part of ("LiTS" for "LiTSM"), or itself."""
    return DIVIDED.fullmatch(task)[1]


def fraction(task: str) -> float:
    """Return the share of the training data that the name of a task stands for: 1.0 to 0.001."""
    return SHARES[DIVIDED.fullmatch(task)[2]]


def list_harder() -> dict[str, list[tuple[tuple[str, str], tuple[str, str]]]]:
    """Return the steps from an easier to a harder panel, each (experiment, task), by the domain of the task.

    The paper calls a task harder where fewer images are labelled, and linear evaluation harder than fine-tuning.
    """
    steps: dict[str, list[tuple[tuple[str, str], tuple[str, str]]]] = {"ct": [], "natural": []}
    for task in TASKS:
        whole = find_whole(task)
        domain = {"R": "ct", "LiTS": "ct", "I": "natural"}.get(whole if whole in ("R", "LiTS") else whole[:1], "")
        start = ("E1" if whole in FIG2 else "E2", whole)
        if domain and task != whole:
            steps[domain].append((start, ("E2", task)))
        elif domain and task in FIG2:
            steps[domain].append((start, ("E4", task)))
    return steps


def parse(experiment: str, name: str) -> tuple[str, str, str, str]:
    """Return (experiment, task, pretraining, repeat) of a run folder, all as the authors write them.

    "_lineval_f1" and "_f1_lineval" are the same. Raises: RunNameError.
    """
    if name.endswith("_testing"):
        raise RunNameError("a debug run, left out by its name")
    match = FOLDER.fullmatch(name)
    if match is None or (match[3] and match[5]):
        raise RunNameError("unknown name: expected PT_<pretraining>_FT_<task>[_lineval][_f1|_f2|_f3]")
    title, mode, tasks = EXPERIMENTS[experiment]
    if match[1] not in PRETRAININGS:
        raise RunNameError(f"unknown pretraining {match[1]}: expected one of {', '.join(PRETRAININGS)}")
    if match[2] not in tasks:
        raise RunNameError(f"unknown task {match[2]}: {experiment} has {', '.join(tasks)}")
    if (mode == "lineval") != bool(match[3] or match[5]):
        raise RunNameError(f"the name does not fit: {experiment} is {title}")
    return experiment, match[2], match[1], match[4] or ""


def folder(experiment: str, task: str, pretraining: str, repeat: str) -> str:
    """Return the run folder of what `parse` returns, in the usual spelling: "E4/PT_SimCLR_R_FT_R_lineval_f1"."""
    lineval = "_lineval" if EXPERIMENTS[experiment][1] == "lineval" else ""
    return f"{experiment}/PT_{pretraining}_FT_{task}{lineval}{repeat}"


def head(key: tuple[str, str, str, str], run: str) -> dict[str, Any]:
    """Return the facts of a run by what `parse` returns: experiment, run, mode, task, pretraining, fraction, seed."""
    experiment, task, pretraining, repeat = key
    facts = {"experiment": experiment, "run": run, "mode": EXPERIMENTS[experiment][1], "task": task}
    facts |= {"pretraining": PRETRAININGS[pretraining], "fraction": fraction(task)}
    return facts | {"seed": OTHER_SEED.get(run, REPEATS[repeat])}
