"""Phantom logs: the tree that Jonske et al. 2025 published, with made-up numbers and every oddity of the real one.

The oddities (jonske2025 0.8, 0.9, 0.10, 4, 6) are planted so that the analysis can be seen to find them without the
real logs: ODD names the runs, RXS lies far below its neighbours, and ChestX-ray8 takes as many steps an epoch on a
tenth of its data.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from zlib import crc32

import numpy as np

from tlkit.config import lookup
from tlkit.published import jonske2025 as study

FIRST = ("Scratch", "SimCLR_I1k", "SimCLR_R", "SimCLR_RF")
PRETRAININGS = {"E1": FIRST, "E2": FIRST, "E4": FIRST[1:]}
PRETRAININGS |= dict.fromkeys(("E6", "E8"), ("SimCLR_I1k", "SimCLR_R", "SimCLR_IxRS", "SimCLR_IxRM"))
COPIES = {"E6": "E1", "E8": "E4"}  # their runs of FIRST are those of another experiment, byte by byte
ODD = {
    "E1/PT_Scratch_FT_LiTS_f1": "collapsed",
    "E2/PT_Scratch_FT_LiTSS_f3": "collapsed",
    "E1/PT_Scratch_FT_BraTS_f2": "unsettled",
}
TESTED = "E1/PT_SimCLR_I1k_FT_BraTS"  # the run that has a debug twin, "_testing"

# Steps an epoch, fewer than published; the shares of a task's data stay as published.
STEPS = {"BraTS": 20, "BraTSM": 10, "BraTSS": 2, "LiTS": 20, "LiTSM": 10, "LiTSS": 2, "CX8": 15, "CX8M": 15, "CX8S": 15}
STEPS |= {"I1k": 31, "I1kS": 13, "I1kXS": 5, "I100": 25, "I100S": 10, "I100XS": 1, "I10": 50, "I10S": 5, "I10XS": 2}
STEPS |= {"R": 60, "RS": 25, "RXS": 10, "RXXS": 1}
LEVELS = {"BraTS": (0.82, 0.86, 0.78), "CX8": (0.72,), "LiTS": (0.92, 0.75), "R": (0.9,)}
LEVELS |= {"I1k": (0.6,), "I100": (0.65,), "I10": (0.75,)}
GAINS = {"Scratch": 0.0, "SimCLR_I1k": 0.02, "SimCLR_R": 0.015, "SimCLR_RF": 0.025}
GAINS |= {"SimCLR_IxRS": 0.01, "SimCLR_IxRM": 0.02}
LESS = {1.0: 0.0, 0.5: 0.01, 0.1: 0.04, 0.01: 0.12, 0.001: 0.2}
# Recall over Dice of each class: the balance of the two tells the whole tumour (class 2) from its parts.
BALANCE = {"BraTS": (0.96, 1.03, 0.93), "LiTS": (1.02, 0.9)}
FOREGROUND = 0.03  # share of pixels


def write(
    root: Path, seed: int, experiments: tuple[str, ...] = tuple(study.EXPERIMENTS), all_train: bool = False
) -> None:
    """Write `E<number>/PT_<pretraining>_FT_<task>.../{test,val,train}.log` with made-up numbers; seeded by run name.

    train.log of the first of each four runs, with `all_train` of all. The numbers are not derived from the real logs.
    """
    for experiment in experiments:
        _, _, tasks = lookup(experiment, study.EXPERIMENTS, "experiment")
        for key in product([experiment], tasks, PRETRAININGS[experiment], study.REPEATS):
            _write_run(root, seed, key, train=all_train or not key[3])
    if "E1" in experiments:
        _write_debug_run(root)


def _write_run(root: Path, seed: int, key: tuple[str, str, str, str], train: bool) -> None:
    _, task, pretraining, _ = key
    source = COPIES.get(key[0], key[0]) if pretraining in FIRST else key[0]
    name = study.folder(source, *key[1:])
    rng = np.random.default_rng([seed, crc32(name.encode())])
    base, target = study.find_whole(task), root / study.folder(*key)
    curves = _curves(rng, _level(source, task, pretraining), study.EPOCHS[base], ODD.get(name, ""))
    table = _columns(rng, base, curves, key[0], pretraining)
    losses = _losses(rng, base, STEPS[task])
    target.mkdir(parents=True)
    epochs = np.arange(study.EPOCHS[base])
    means = [part.mean() for part in np.split(losses, 1 + STEPS[task] * epochs[1:])]
    _csv(target / "test.log", {title: values[-1:] for title, values in table.items()})
    val = {title: values[:-1] for title, values in table.items()}
    _csv(target / "val.log", {"epoch": epochs, "avg_epoch_train_loss": np.array(means), **val})
    if train:
        counts = np.r_[STEPS[task] + 1, np.full(len(epochs) - 1, STEPS[task])]  # the first epoch has one step more
        steps = np.concatenate([np.arange(1, n + 1) for n in counts])
        _csv(target / "train.log", {"epoch": np.repeat(epochs + 1, counts), "step": steps, "loss": losses})


def _level(experiment: str, task: str, pretraining: str) -> np.ndarray:
    """Return the value that a run settles at, [metrics that the paper shows]."""
    levels = np.array(LEVELS[study.find_whole(task)]) + GAINS[pretraining]
    if study.EXPERIMENTS[experiment][1] == "lineval":
        return levels - 0.05
    if task.startswith("CX8"):  # M and S were trained on all data
        return levels
    return levels - (0.35 if task == "RXS" else LESS[study.fraction(task)])


def _curves(rng: np.random.Generator, levels: np.ndarray, epochs: int, odd: str) -> np.ndarray:
    """Return the validation values of each epoch and last the test value, [metrics, epochs + 1]."""
    epoch = np.arange(epochs + 1)
    levels = (levels + rng.normal(0, 0.005, len(levels))) * (0.45 if odd == "collapsed" else 1)
    rise = 1 - 0.4 * np.exp(-epoch / rng.uniform(2, 5)) + rng.normal(0, 0.0015, (len(levels), epochs + 1))
    if odd == "unsettled":
        rise = 1 + 0.04 * (-1.0) ** epoch + rng.normal(0, 0.001, (len(levels), epochs + 1))
    return np.clip(levels[:, None] * rise, 0.02, 0.97)


def _columns(
    rng: np.random.Generator, base: str, curves: np.ndarray, experiment: str, pretraining: str
) -> dict[str, np.ndarray]:
    """Return the columns of test.log, with the titles that differ between versions of the authors' code."""
    noisy = rng.uniform(0.98, 1.02, curves.shape[1])
    if base == "CX8":
        scales = (1, 0.3 * noisy, 0.2 * noisy, 0.4 * noisy, 0.5 * noisy)
        return {title: curves[0] * scale for title, scale in zip(study.METRICS[base], scales, strict=True)}
    if base not in BALANCE:
        older, oldest = base == "R" and rng.random() < 0.6, base == "R" and rng.random() < 0.2
        titles = "acc" if older else "accuracy", "avg_loss" if oldest else "avg_val_loss"
        return dict(zip(titles, (curves[0], 2.5 * (1 - curves[0]) * noisy), strict=True))
    classes = [_overlaps(dice, b * noisy) for dice, b in zip(curves, BALANCE[base], strict=True)]
    # Background is all that is in no class: in BraTS, all but class 2; in LiTS, all but the union of the two.
    union = classes[1] if base == "BraTS" else _overlaps(curves[0], np.full_like(noisy, 0.985))
    classes = [_background(*union[2:]), *classes]
    titles = [f"{m}_avg_class_{k}" for k in range(len(classes)) for m in study.OVERLAPS]
    found = dict(zip(titles, np.concatenate(classes), strict=True))
    if base == "LiTS" and experiment == "E1" and pretraining != "SimCLR_RF":
        means = np.average(classes, axis=0, weights=(1, 3, 10))
        found = dict(zip(study.WEIGHTED, means, strict=True)) | found
    return found


def _overlaps(dice: np.ndarray, balance: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return (dice, iou, precision, recall) with recall = dice * balance."""
    recall = np.minimum(dice * balance, 0.99)
    return dice, dice / (2 - dice), dice * recall / (2 * recall - dice), recall


def _background(precision: np.ndarray, recall: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return (dice, iou, precision, recall) of all pixels but those of a class with these values."""
    missed, wrong = FOREGROUND * (1 - recall), FOREGROUND * recall * (1 / precision - 1)
    right = 1 - FOREGROUND - wrong
    hits = 2 * right + missed + wrong
    return 2 * right / hits, right / (hits - right), right / (right + missed), right / (right + wrong)


def _losses(rng: np.random.Generator, base: str, steps: int) -> np.ndarray:
    """Return the training loss of each step, [epochs * steps + 1], falling from about 1.7 to 0.1."""
    n = study.EPOCHS[base] * steps + 1
    return (0.1 + 1.6 * np.exp(-5 * np.arange(n) / n)) * rng.uniform(0.9, 1.1, n)


def _write_debug_run(root: Path) -> None:
    """Write a short run whose test.log is that of a real one, as the authors left it behind."""
    real, debug = root / TESTED, root / f"{TESTED}_testing"
    debug.mkdir()
    for name, lines in (("old_test", 2), ("test", 2), ("val", 4), ("train", 62)):
        text = (real / f"{name.removeprefix('old_')}.log").read_text().splitlines(keepends=True)
        (debug / f"{name}.log").write_text("".join(text[:lines]))


def _csv(path: Path, table: dict[str, np.ndarray]) -> None:
    rows = zip(*(values.tolist() for values in table.values()), strict=True)
    lines = (",".join(table), *(",".join(map(repr, row)) for row in rows))
    path.write_text("\n".join(lines) + "\n", encoding="ascii", newline="\n")
