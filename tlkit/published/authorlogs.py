"""The published logs of a study as tidy frames; what cannot be used is named in a table of rejects.

The study is Jonske et al. 2025; `tlkit.published.jonske2025` has its names, `tlkit.published.logfiles` reads one file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tlkit import paths, plugins
from tlkit.config import TlkitError
from tlkit.names import NAMES, Names
from tlkit.published import jonske2025 as study
from tlkit.published.logfiles import LogFileError, columns

if TYPE_CHECKING:
    from tlkit.published.adjusted import SizeAdjustment

CLONE = "git clone https://github.com/TIO-IKIM/Transfer-learning-across-domain-boundaries"
PLACES = ("", "finetuning", "logs_and_checkpoints/finetuning")
MARK = "phantom.json"  # beside the experiments of phantom logs

CELL = ["experiment", "task", "pretraining"]
HEAD = ["experiment", "run", "mode", "task", "pretraining", "fraction", "seed"]
RESULTS = ["study", "experiment", "run", "kind", *HEAD[2:], "metric", "value"]
METRICS = dict.fromkeys(metric for names in study.METRICS.values() for metric in names.values())
EPOCHS = ["epoch", "loss", "val_loss", *(m for m in METRICS if m != "loss")]
TRAINING = ["experiment", "run", *HEAD[3:], "batch", "epochs", "steps", "steps_per_epoch"]
REJECTS = {"file": "str", "reason": "str", "used": bool}
NUMBERS = {"fraction": float, "seed": int, "value": float}  # all other columns of a frame's head are text
NUMBERS |= dict.fromkeys(("batch", "epochs", "steps", "steps_per_epoch"), int)


class PublishedLogsError(TlkitError):
    """No published logs where they should be, or a folder that cannot be listed."""


@dataclass(frozen=True)
class Logs:
    """Published logs as `read` returns them. `phantom`: the numbers are made up."""

    folder: Path
    phantom: bool
    results: pd.DataFrame
    epochs: pd.DataFrame
    training: pd.DataFrame
    curves: pd.DataFrame
    rejects: pd.DataFrame
    name: str = study.NAME

    def headline(self) -> pd.DataFrame:
        """Return the rows of `results` that the paper shows: accuracy, AUC, or Dice of each foreground class."""
        shown = [(t, m) for t in study.TASKS for m in study.SHOWN[study.find_whole(t)]]
        pairs = pd.MultiIndex.from_arrays([self.results["task"].astype(str), self.results["metric"]])
        return self.results[pairs.isin(shown)].reset_index(drop=True)

    def history(self) -> pd.DataFrame:
        """Return `epochs`, under the name that a `Study` has for it."""
        return self.epochs

    def missing(self) -> pd.DataFrame:
        """Return `rejects`: what is not there or cannot be used."""
        return self.rejects

    def size_adjustment(self) -> SizeAdjustment | None:
        """Return how to estimate RadNet pretraining at another size; None where either corpus is not in the logs."""
        from tlkit.published.adjusted import SizeAdjustment

        there = set(study.ADJUSTMENT["parents"]) <= set(self.results["pretraining"])
        return SizeAdjustment(**study.ADJUSTMENT) if there else None

    def names(self) -> Names:
        """Return display names of pretrainings, tasks and experiments; Dice as "task/metric" by its class."""
        looks = study.LOOKS.items()
        titled = NAMES | Names({arm: title for arm, (title, _) in looks}, {arm: colour for arm, (_, colour) in looks})
        titled |= {name: title for name, (title, _, _) in study.EXPERIMENTS.items()}
        for task in study.TASKS:
            base, share = study.find_whole(task), study.fraction(task)
            titled[task] = study.TITLES[base] + (f", {100 * share:g} %" if share < 1 else "")
            titled |= {f"{task}/dice_{k}": f"Dice, {c}" for k, c in enumerate(study.CLASSES.get(base, ()), 1)}
        return titled


def load(logs: str | Path = "") -> Logs:
    """Return the logs in the folder given, else in TLKIT_LOGS, else phantom logs, which are written once."""
    folder = logs or paths.logs_root()
    if not folder:
        folder = plugins.phantoms().make("logs", paths.phantom_root())
    return read(folder)


def read(folder: str | Path, train: bool = True) -> Logs:
    """Read the clone of the authors' repository, its logs_and_checkpoints, or the folder finetuning in it.

    Frames: `results` (RESULTS; one row per run and test metric), `epochs` (HEAD and what occurs of EPOCHS; one row per
    run and epoch), `training` (TRAINING; one row per train.log), `curves` (CELL, n runs, samples, loss: the mean over
    runs, row by row), `rejects` (file, reason, used: whether the rest of it is used). Without `train`, the large
    train.log are not opened. samples = (step + largest step * (epoch - 1)) * batch, as published (jonske2025 5.5).
    Raises: PublishedLogsError where no experiment is found.
    """
    root = _root(Path(folder).expanduser())
    rejects: list[tuple[str, str, bool]] = []
    results, epochs, training = [], [], []
    curves: dict[tuple, list] = {}
    for run in _runs(root, rejects):
        base = study.find_whole(run["task"])
        if (test := _use(root, f"{run['run']}/test.log", _test, base, rejects)) is not None:
            first = {"study": study.NAME, "kind": "finetune", **run}
            results += [{**first, "metric": m, "value": float(v[0])} for m, v in test.items() if not np.isnan(v[0])]
        if (val := _use(root, f"{run['run']}/val.log", _val, base, rejects)) is not None:
            epochs.append((run, val))
        file = f"{run['run']}/train.log"
        if train and (steps := _use(root, file, _train, base, rejects)) is not None:
            counts = {"epochs": study.EPOCHS[base], "steps": len(steps["step"])}
            per_epoch = int((steps["epoch"] == 2).sum())
            training.append({**run, "batch": study.BATCH[run["task"]], **counts, "steps_per_epoch": per_epoch})
            if reason := _add(curves, run, steps):
                rejects.append((file, reason, True))
    return Logs(
        folder=root,
        phantom=(root / MARK).is_file(),
        results=_frame(results, RESULTS),
        epochs=_epochs(epochs),
        training=_frame(training, TRAINING),
        curves=_curves(curves),
        rejects=pd.DataFrame(sorted(rejects), columns=list(REJECTS)).astype(REJECTS),
    )


# --- folders ---


def _root(folder: Path) -> Path:
    for place in PLACES:
        if any(re.fullmatch("E[0-9]+", p.name) and p.is_dir() for p in _entries(folder / place)):
            return folder / place
    found = ", ".join(p.name for p in _entries(folder)[:8]) or "nothing"
    raise PublishedLogsError(
        f"no published logs in {folder}: expected E1/PT_Scratch_FT_R/test.log and the like in it, in finetuning/ or in "
        f"logs_and_checkpoints/finetuning/; found {found}. Get them with `{CLONE}` and name the clone; without a "
        "folder and without TLKIT_LOGS, phantom logs are used."
    )


def _entries(folder: Path) -> list[Path]:
    try:
        shown = [p for p in folder.iterdir() if not p.name.startswith(".")] if folder.is_dir() else []
    except OSError as error:
        raise PublishedLogsError(f"unreadable: {error}") from error
    return sorted(shown, key=lambda p: p.name)


def _runs(root: Path, rejects: list) -> list[dict[str, Any]]:
    """Return HEAD of each run folder, in the order of the paper; list what is no run, and repeats that are missing."""
    found: dict[tuple, str] = {}
    for entry in _entries(root):
        if entry.name == MARK:
            continue
        if entry.name not in study.EXPERIMENTS or not entry.is_dir():
            known = ", ".join(study.EXPERIMENTS)
            rejects.append((entry.name, f"unknown experiment: {known} are read (E3: noise, not in the paper)", False))
            continue
        try:
            names = [p.name for p in _entries(entry)]
        except PublishedLogsError as error:
            rejects.append((entry.name, str(error), False))
            continue
        for name in names:
            _sort_in(entry.name, name, found, rejects)
    for experiment in study.EXPERIMENTS:
        cells = [key[1:3] for key in found if key[0] == experiment]
        for key in product([experiment], {t for t, _ in cells}, {p for _, p in cells}, study.REPEATS):
            if key not in found:
                rejects.append((study.folder(*key), "missing: a repeat that other cells of the experiment have", False))
    order = {name: k for k, name in enumerate([*study.EXPERIMENTS, *study.TASKS, *study.PRETRAININGS, *study.REPEATS])}
    return [study.head(key, found[key]) for key in sorted(found, key=lambda key: [order[part] for part in key])]


def _sort_in(experiment: str, name: str, found: dict[tuple, str], rejects: list) -> None:
    try:
        key = study.parse(experiment, name)
    except study.RunNameError as error:
        rejects.append((f"{experiment}/{name}", str(error), False))
        return
    if key in found:
        rejects.append((f"{experiment}/{name}", f"a second folder for the cell and seed of {found[key]}", False))
    else:
        found[key] = f"{experiment}/{name}"


# --- files ---


def _use(root: Path, file: str, reader, base: str, rejects: list) -> dict[str, np.ndarray] | None:
    """Return the columns that `reader` takes from a log, or None; what is not used goes to `rejects`."""
    try:
        table, notes = reader(root / file, base)
    except FileNotFoundError:
        if reader is not _train:  # most runs were published without it
            rejects.append((file, "missing", False))
        return None
    except OSError as error:
        rejects.append((file, f"unreadable: {error.strerror or error}", False))
        return None
    except LogFileError as error:
        rejects.append((file, str(error), False))
        return None
    rejects += [(file, note, True) for note in notes]
    return table


def _test(path: Path, base: str) -> tuple[dict[str, np.ndarray], list[str]]:
    table, notes = columns(path, study.METRICS[base], study.SHOWN[base])
    if (rows := len(table[study.SHOWN[base][0]])) != 1:
        raise LogFileError(f"{rows} rows of test metrics, expected 1")
    return _in_range(table), notes


def _val(path: Path, base: str) -> tuple[dict[str, np.ndarray], list[str]]:
    known = {title: "val_loss" if m == "loss" else m for title, m in study.METRICS[base].items()}
    known |= {"epoch": "epoch", "avg_epoch_train_loss": "loss"}
    table, notes = columns(path, known, ("epoch", "loss", *study.SHOWN[base]))
    if not np.array_equal(table["epoch"], np.arange(study.EPOCHS[base])):
        raise LogFileError(f"{len(table['epoch'])} rows that do not count the epochs 0 to {study.EPOCHS[base] - 1}")
    return _in_range(table), notes


def _train(path: Path, base: str) -> tuple[dict[str, np.ndarray], list[str]]:
    last, names = study.EPOCHS[base], ("epoch", "step", "loss")
    table, notes = columns(path, dict(zip(names, names, strict=True)), names)
    epoch, step = table["epoch"], table["step"]
    starts = np.flatnonzero(step == 1)
    lengths = np.diff(starts, append=len(step))
    if len(starts) != last or starts[0] != 0 or not np.array_equal(epoch, np.repeat(np.arange(1, last + 1), lengths)):
        raise LogFileError(f"{len(step)} rows that do not count the epochs 1 to {last}, each from step 1")
    if not np.array_equal(step, np.arange(len(step)) - np.repeat(starts, lengths) + 1):
        raise LogFileError("the steps of an epoch do not count 1, 2, 3 and so on")
    # The first epoch keeps its last batch, which is not full; all later ones drop it (jonske2025 2.1).
    if len(set(lengths[1:])) != 1 or lengths[0] - lengths[1] not in (0, 1):
        raise LogFileError(f"epochs of {min(lengths)} to {max(lengths)} steps, expected equal ones (first: one more)")
    return table, notes


def _in_range(table: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    for name, column in table.items():
        if name not in ("epoch", "loss", "val_loss") and (column > 1).any():
            raise LogFileError(f"{name} is {np.nanmax(column)}, expected 0 to 1")
    return table


# --- frames ---


def _frame(rows: list, names: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=names).astype({name: NUMBERS.get(name, "str") for name in names})
    return frame.assign(task=pd.Categorical(frame["task"], study.TASKS, ordered=True))


def _epochs(tables: list[tuple[dict[str, Any], dict[str, np.ndarray]]]) -> pd.DataFrame:
    lengths = [len(table["epoch"]) for _, table in tables]
    heads = _repeat(_frame([head for head, _ in tables], HEAD), lengths)
    there = [name for name in EPOCHS if name in EPOCHS[:2] or any(name in table for _, table in tables)]
    parts = [[t.get(c, np.full(n, np.nan)) for (_, t), n in zip(tables, lengths, strict=True)] for c in there]
    wide = pd.DataFrame({c: np.concatenate([[], *p]) for c, p in zip(there, parts, strict=True)})
    return pd.concat([heads, wide.astype({"epoch": int})], axis=1)


def _add(curves: dict[tuple, list], run: dict[str, Any], steps: dict[str, np.ndarray]) -> str:
    """Add a run to the sum of its cell, or return why not. All train.log at once would be large, so sums are kept."""
    epoch, step, loss = steps["epoch"], steps["step"], steps["loss"]
    samples = ((step + step.max() * (epoch - 1)) * study.BATCH[run["task"]]).astype(np.int64)
    total = curves.setdefault(tuple(run[c] for c in CELL), [0, samples, np.zeros(len(loss))])
    if len(loss) != len(total[2]):
        return f"{len(loss)} steps, {len(total[2])} in the first run of the cell: not in the mean curve"
    total[0] += 1
    total[2] += loss
    return ""


def _curves(curves: dict[tuple, list]) -> pd.DataFrame:
    lengths = [len(total) for _, _, total in curves.values()]
    heads = _frame(list(curves), CELL).astype({"experiment": "category", "pretraining": "category"})
    return _repeat(heads, lengths).assign(
        n=np.repeat(np.array([n for n, _, _ in curves.values()], np.int8), lengths),
        samples=np.concatenate([np.array([], np.int64), *(samples for _, samples, _ in curves.values())]),
        loss=np.concatenate([[], *(total / n for n, _, total in curves.values())]),
    )


def _repeat(frame: pd.DataFrame, times: list[int]) -> pd.DataFrame:
    return frame.loc[np.repeat(np.arange(len(frame)), times)].reset_index(drop=True)
