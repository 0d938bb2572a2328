"""From a resolved config to a finished run folder: what notebooks, `python -m tlkit run` and cluster jobs call."""

from __future__ import annotations

import contextlib
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from tlkit import runs
from tlkit.config import ConfigError, TlkitError, lookup
from tlkit.datasets import cards, identity, prepare, splits
from tlkit.datasets.store import Store, open_store
from tlkit.models.backbones import backbone, initial_weights
from tlkit.models.heads import freeze
from tlkit.models.weights import LoadReport, load_encoder, save_weights, weights_hash
from tlkit.training.loop import Fit, fit
from tlkit.training.processes import pick_device, process_group, rank
from tlkit.training.recipe import Recipe
from tlkit.training.simclr import Contrastive, SimCLRModel
from tlkit.training.supervised import Samples, Supervised, predict
from tlkit.training.tasks import task

log = logging.getLogger(__name__)
CONFIG_KEYS = {
    "pretrain": ("kind", "pretraining", "data", "backbone", "recipe", "seed"),
    "finetune": (
        "kind", "mode", "task", "task_kind", "pretraining", "fraction", "data", "weights", "backbone", "recipe", "seed",
    ),
}  # fmt: skip
OPTIONAL_KEYS = {"pretrain": ("weights", "images_per_epoch")}
DATA_KEYS = ("name", "phantom", "content", "size", "split", "classes", "images", "fraction_by")


class SelectionError(TlkitError, RuntimeError):
    """The selected weights do not give the validation value that selected them."""


class DataChangedError(TlkitError, RuntimeError):
    """The data set on disk is not the one that the config was made for."""


def run(config: dict[str, Any], wait: bool = False) -> Path:
    """Do the run of `config` unless it is done, and return its folder.

    Interrupted runs go on from their last epoch. With `wait`, a run that another process works on is waited for.
    Raises: runs.RunBusyError, loop.DivergedError, cards.MissingDataError, weights.WeightsMismatchError.
    """
    _check_keys(config)
    work = {"pretrain": _pretrain, "finetune": _finetune}[config["kind"]]
    with process_group(), _one_writer(config, wait) as job:
        if job is None:
            return runs.folder(runs.run_id(config))
        start = time.time()
        if rank() == 0:
            runs.write_json(job.folder / "environment.json", runs.environment(pick_device().type))
        metrics, fitted = work(config, job.folder)
        if rank() != 0:
            return runs.folder(job.id)
        timing = {
            "seconds": max(time.time() - start, fitted.seconds),  # a resumed run's epochs were not all today
            "train_seconds": fitted.seconds,
            "train_cpu_seconds": fitted.cpu_seconds,
        }
        done = runs.finish(job, metrics, selected_epoch=fitted.selected, **timing)
        log.info("%s: %s", job.id, "  ".join(f"{k} {v:.3f}" for k, v in metrics.items()))
        return done


def _check_keys(config: dict[str, Any]) -> None:
    keys = lookup(config.get("kind"), CONFIG_KEYS, "kind of run")
    _check_dict(config, "a config", (*keys, *OPTIONAL_KEYS.get(config["kind"], ())), keys)
    for data in runs.corpora(config):
        _check_dict(data, "config.data", DATA_KEYS, ("name", "size", "split"))

    lineval = config.get("mode") == "lineval"
    if config["kind"] == "finetune" and lineval != (config["recipe"].get("freeze") == "encoder"):
        raise ConfigError(
            f"config.mode is '{config['mode']}' but recipe.freeze is '{config['recipe'].get('freeze')}': linear "
            "evaluation freezes the encoder, fine-tuning does not."
        )


def _check_dict(found: dict[str, Any], what: str, known: tuple[str, ...], needed: tuple[str, ...]) -> None:
    for name in found:
        lookup(name, dict.fromkeys(known), f"key of {what}")
    if missing := [k for k in needed if k not in found]:
        raise ConfigError(f"{what} lacks {', '.join(missing)}; found {', '.join(found)}.")


@contextlib.contextmanager
def _one_writer(config: dict[str, Any], wait: bool):
    """Rank 0 claims the run folder; the others of its process group only read it."""
    if rank() == 0:
        with runs.claim(config, wait) as job:
            _agree(job is None)
            yield job
    else:
        done = _agree(None)
        rid = runs.run_id(config)
        yield None if done else runs.Run(config, rid, runs.folder(rid + runs.PARTIAL))


def _agree(value: Any) -> Any:
    if not torch.distributed.is_initialized():
        return value
    box = [value]
    torch.distributed.broadcast_object_list(box)
    return box[0]


def open_data(data: dict[str, Any]) -> tuple[Store, pd.DataFrame]:
    """Return the store of a config's `data` entry and its table with the split of every row.

    Where the entry has `classes`, the labels of both are `splits.of_classes`.
    """
    made = data.get("phantom")
    phantom = made and {k: v for k, v in made.items() if k not in ("writer", "version")}
    found = identity(data["name"], phantom)
    if found != {k: data[k] for k in ("name", "phantom", "content") if k in data}:
        raise DataChangedError(
            f"data set '{data['name']}' is not the one of this config: expected {made or data.get('content')}, "
            f"found {found.get('phantom') or found.get('content')}. Load the study again (its runs get new ids), or "
            "bring the old data back."
        )
    store = open_store(prepare(data["name"], data["size"], phantom=phantom))
    table = store.table.assign(row=np.arange(len(store.table)))
    table["split"] = splits.assign(table, **data["split"]).to_numpy()
    if data["split"].get("by") != "image":
        splits.check_disjoint(table["split"], table["patient"])
    if data.get("classes") is not None and store.meta["task"] != "multilabel":
        table["label"] = splits.of_classes(table["label"], data["classes"])
        store.table = store.table.assign(label=table["label"])
    return store, table


def chosen_rows(data: dict[str, Any], table: pd.DataFrame, split: str) -> np.ndarray:
    """Return the rows of one split that the config's `data` entry asks for (classes, number of training images).

    Raises ValueError where there is none.
    """
    part = table[table["split"] == split]
    if data.get("classes") is not None:  # of images of other classes the label is -1
        part = part[part["label"] >= 0]
    if split == "train" and data.get("images"):
        if data["images"] > len(part):
            log.warning(
                "%s: %d training images asked for, %d there; taking all",
                data["name"],
                data["images"],
                len(part),
            )
        part = part[
            part["id"].isin(splits.take_count(part, min(data["images"], len(part)), seed=data["split"]["seed"]))
        ]
    if part.empty:
        counts = table["split"].value_counts().to_dict()
        raise ConfigError(
            f"{data['name']}: no image to take in split '{split}'; found {counts}. See data.split and data.classes."
        )
    return part["row"].to_numpy()


def class_names(data: dict[str, Any], table: pd.DataFrame) -> tuple[str, ...]:
    """Return the class names of a task, the chosen `classes` alone: the card's, or those that the store found."""
    card, chosen = cards.DATASETS[data["name"]], data.get("classes")
    names = card.classes
    if card.task == "multilabel":
        return _outputs(card, chosen)
    if not names:
        named = table if chosen is None else table[table["label"] >= 0]
        return tuple(named.sort_values("label")["class"].unique())
    if chosen is None:
        return names
    labels = splits.of_classes(pd.Series(range(len(names))), chosen)
    return tuple(n for n, label in zip(names, labels, strict=True) if label >= 0)


def _outputs(card: cards.DataCard, chosen: list[str] | None) -> tuple[str, ...]:
    """Return the labels of a multi-label task: the card's classes, or those chosen by name."""
    if chosen is None:
        return card.classes
    if not isinstance(chosen, list | tuple):
        raise ConfigError(f"{card.name} is a multi-label task, so `classes` is a list of names; found {chosen!r}.")
    known = dict.fromkeys((*card.classes, *card.options.get("also", ())))
    for name in chosen:
        lookup(name, known, f"label of {card.name}")
    return tuple(chosen)


def training_images(config: dict[str, Any]) -> list[Samples]:
    """Return the training images of a pretraining's config, one entry a corpus."""
    found = []
    for data in runs.corpora(config):
        store, table = open_data(data)
        check_window(cards.DATASETS[data["name"]], Recipe.from_dict(config["recipe"]))
        found.append(Samples(store, chosen_rows(data, table, "train")))
    return found


def _pretrain(config: dict[str, Any], folder: Path) -> tuple[dict[str, float], Fit]:
    recipe, seed = Recipe.from_dict(config["recipe"]), config["seed"]
    images = training_images(config)
    with initial_weights(seed):
        model = SimCLRModel(backbone(config["backbone"]), recipe.projection == "published")
    _start_from(config, model.encoder, folder)
    objective = Contrastive(model, images, recipe, seed)
    fitted = fit(objective, recipe, seed=seed, folder=folder, per_epoch=config.get("images_per_epoch"))
    if rank() == 0:
        save_weights(model.encoder, folder / "model.safetensors")
    return {"loss": float(fitted.history["loss"].iloc[-1]), "images": objective.size}, fitted


def check_window(card: cards.DataCard, recipe: Recipe) -> None:
    """Raise ConfigError where the recipe's window is not that of the data set's grey values (MR is not in HU)."""
    wanted = card.options.get("window")
    if wanted and recipe.intensity == "range" and recipe.window != tuple(wanted):
        raise ConfigError(
            f"recipe.window is {recipe.window}, but the grey values of '{card.name}' need {tuple(wanted)}. Say "
            f"window: {list(wanted)} in its recipe, or intensity: minmax."
        )


def _finetune(config: dict[str, Any], folder: Path) -> tuple[dict[str, float], Fit]:
    recipe, seed, data = Recipe.from_dict(config["recipe"]), config["seed"], config["data"]
    store, table = open_data(data)
    card = cards.DATASETS[data["name"]]
    check_window(card, recipe)
    rows = chosen_rows(data, table, "train")
    if config["fraction"] < 1:
        part = table.iloc[rows]
        keep = splits.fraction(part, config["fraction"], seed=seed, by=data.get("fraction_by", "patient"))
        rows = part[part["id"].isin(keep)]["row"].to_numpy()
    train, val = Samples(store, rows), Samples(store, chosen_rows(data, table, "val"))
    job = task(config["task_kind"], class_names(data, table), recipe.class_weights, card.options.get("regions"))
    encoder = backbone(config["backbone"], seed=seed)
    _start_from(config, encoder, folder)
    with initial_weights(seed):  # of the head: the same for all pretrainings
        model = job.model(encoder)
    freeze(model, recipe.freeze, recipe.bn)
    fitted = fit(Supervised(model, job, train, val, recipe, seed), recipe, seed=seed, folder=folder)
    return _evaluate(config, folder, model, job, store, table, recipe, fitted) | {"images": len(rows)}, fitted


def _start_from(config: dict[str, Any], encoder: torch.nn.Module, folder: Path) -> None:
    """Load the weights that the config names, if any, and leave the report in `weights.json`."""
    report = load_pretrained(encoder, config.get("weights"))
    if rank() == 0 and report is not None:
        weights = runs.folder(config["weights"]["run"]) / "model.safetensors"
        runs.write_json(folder / "weights.json", {"report": str(report), "sha256": weights_hash(weights)})


def load_pretrained(encoder: torch.nn.Module, weights: dict[str, Any] | None) -> LoadReport | None:
    """Load the encoder of the pretraining run that `weights` names; None starts from scratch."""
    if weights is None:
        return None
    path = runs.folder(weights["run"]) / "model.safetensors"
    if not path.exists():
        raise FileNotFoundError(
            f"pretraining run {weights['run']} is not done: expected {path}. See which runs are missing with "
            "`make plan`, and make them with `make figures`."
        )
    return load_encoder(encoder, path)


def _evaluate(
    config: dict[str, Any],
    folder: Path,
    model: torch.nn.Module,
    job: Any,
    store: Store,
    table: pd.DataFrame,
    recipe: Recipe,
    fitted: Fit,
) -> dict[str, float]:
    """Check the selected weights on the validation set, then touch the test set, once."""
    val = predict(model, job, Samples(store, chosen_rows(config["data"], table, "val")), recipe)
    found, logged = job.metrics(val), fitted.history[job.monitor].iloc[fitted.selected]
    if not np.isclose(found[job.monitor], logged, atol=1e-3 if pick_device().type != "cpu" else 1e-6, equal_nan=True):
        raise SelectionError(
            f"the selected epoch logged {job.monitor} {logged:.6f}, its weights give {found[job.monitor]:.6f}"
        )
    test = predict(model, job, Samples(store, chosen_rows(config["data"], table, "test")), recipe)
    if rank() == 0:
        val.to_parquet(folder / "predictions_val.parquet")
        test.to_parquet(folder / "predictions_test.parquet")
        save_weights(model, folder / "model.safetensors")
    return {**job.metrics(test), **{f"val_{k}": v for k, v in found.items()}}
