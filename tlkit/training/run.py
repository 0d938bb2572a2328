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

from tlkit import launching, lineage, runs, stopping
from tlkit.config import ConfigError, NotAvailableError, TlkitError, is_own, lookup
from tlkit.datasets import card_in
from tlkit.datasets.copies import say_of_test
from tlkit.datasets.store import Store
from tlkit.doubts import doubt
from tlkit.files import replacing
from tlkit.machine import environment
from tlkit.models import backbone, initial_weights
from tlkit.models.backbones import checkpoint_activations
from tlkit.models.heads import freeze
from tlkit.models.weights import save_weights
from tlkit.openrun import read_status
from tlkit.training import cardinput, compute, energy, inputs, learned, pretraining
from tlkit.training.data import (
    DATA_KEYS,
    check_window,
    chosen_rows,
    describe_test,
    open_data,
    sampled_rows,
    task_of,
    training_rows,
)
from tlkit.training.loop import Fit, fit
from tlkit.training.processes import pick_device, process_group, rank
from tlkit.training.recipe import Recipe
from tlkit.training.supervised import Samples, Supervised, predict
from tlkit.training.tasks import base_kind

log = logging.getLogger(__name__)
CONFIG_KEYS = {
    "pretrain": ("kind", "pretraining", "data", "backbone", "recipe", "seed", "compute"),
    "finetune": (
        "kind", "mode", "task", "task_kind", "pretraining", "fraction", "data", "weights", "backbone", "recipe", "seed",
        "compute",
    ),
}  # fmt: skip
OPTIONAL_KEYS = {"pretrain": ("method", "weights", "images_per_epoch"), "finetune": ("images_per_epoch",)}


class SelectionError(TlkitError, RuntimeError):
    """The selected weights do not give the validation value that selected them."""


def run(config: dict[str, Any], wait: bool = False) -> Path:
    """Do the run of `config` unless it is done, and return its folder.

    Interrupted runs go on from the last epoch that was kept. With `wait`, a run that another process works on is waited
    for. Threads and processes are those of `config.compute`, whatever the caller or the environment has set; several
    processes are started here, unless torchrun has started them already.
    Raises: runs.RunBusyError, runs.RunDamagedError, runs.InputsChangedError, loop.DivergedError,
    cards.MissingDataError, weights.WeightsMismatchError; compute.ProcessesError for other processes than the config is
    for.
    """
    _check_keys(config)
    threads, processes = (config["compute"][part] for part in compute.PARTS)
    if processes > 1 and not compute.started_by_torchrun():
        return _run_processes(config, processes, wait)
    with compute.limit_threads(threads), process_group() as (_, world):
        compute.check_world(processes, world)
        return _run(config, wait)


def _run(config: dict[str, Any], wait: bool) -> Path:
    work = {"pretrain": _pretrain, "finetune": _finetune}[config["kind"]]
    with _one_writer(config, wait) as job:
        if job is None:
            return runs.folder(runs.run_id(config))
        start = time.time()
        if rank() == 0:
            lineage.record(job.folder, inputs.find(config))
            runs.write_json(job.folder / "environment.json", environment(pick_device().type))
        with energy.measure_energy() as used:
            metrics, fitted = work(config, job.folder)
        if rank() != 0:
            return runs.folder(job.id)
        metrics |= {"best_epoch": fitted.selected + 1, "last_epoch": len(fitted.history)}
        if "skill" in metrics:  # of a pretraining
            metrics["learned"] = float(not (why := doubt(metrics)))
            if why:
                log.warning("%s is in doubt: %s", job.id, why)
        timing = {
            **used,
            "seconds": max(time.time() - start, fitted.seconds),  # a resumed run's epochs were not all today
            "train_seconds": fitted.seconds,
            "train_cpu_seconds": fitted.cpu_seconds,
        }
        done = runs.finish(job, metrics, selected_epoch=fitted.selected, **timing)
        log.info("%s: %s", job.id, "  ".join(f"{k} {v:.3f}" for k, v in metrics.items()))
        return done


def _run_processes(config: dict[str, Any], processes: int, wait: bool) -> Path:
    """Do the run by processes of its own, again where one was lost, and say in one line where they failed."""
    with runs.claim(config, wait) as job:
        if job is None:
            return runs.folder(runs.run_id(config))
    compute.check_devices(processes)
    for left in reversed(range(1 + launching.RESTARTS)):
        status = launching.launch(job.folder / "config.json", processes)
        told = read_status(job.folder).get("error", f"exit status {status}")
        if told.startswith(stopping.Stopped.__name__):
            raise stopping.Stopped(told)
        if not left or not status or is_own(told) or runs.state_is_done(job.id):
            break
        log.warning("%s: a process was lost (%s); all are started again, from the last state", job.id, told)
    if status and not runs.state_is_done(job.id):
        if runs.state(job.id) == "not available":
            raise NotAvailableError(told)
        raise runs.RunFailedError(f"run {job.id} failed in its {processes} processes: {told}")
    return runs.folder(job.id)


def _check_keys(config: dict[str, Any]) -> None:
    keys = lookup(config.get("kind"), CONFIG_KEYS, "kind of run")
    _check_dict(config, "a config", (*keys, *OPTIONAL_KEYS.get(config["kind"], ())), keys)
    for data in runs.corpora(config):
        _check_dict(data, "config.data", DATA_KEYS, ("name", "size", "split"))

    Recipe.from_dict(config["recipe"]).check_versions(config["recipe"].get("versions", {}))
    compute.check(config["compute"])
    if config["compute"]["processes"] > 1 and config["recipe"].get("batch", 0) % config["compute"]["processes"]:
        raise ConfigError(
            f"recipe.batch is {config['recipe']['batch']}, which config.compute.processes "
            f"({config['compute']['processes']}) cannot share evenly: take a multiple, or other `gpus` in the study."
        )
    _ = Recipe.from_dict(config["recipe"]).normalisation  # raises for "card", before anything is trained
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


def _pretrain(config: dict[str, Any], folder: Path) -> tuple[dict[str, float], Fit]:
    recipe, seed = Recipe.from_dict(config["recipe"]), config["seed"]
    with initial_weights(seed):
        encoder = _encoder(config, recipe)
        objective = pretraining.objective(config, encoder, recipe)
    _start_from(config, encoder, folder)
    fitted = fit(objective, recipe, seed=seed, folder=folder, per_epoch=config.get("images_per_epoch"))
    if rank() == 0:
        save_weights(encoder, folder / "model.safetensors")
    selected = fitted.history.iloc[fitted.selected]
    found = {"loss": float(selected["loss"]), "images": objective.size}
    if objective.monitor:
        found[f"val_{objective.monitor}"] = float(selected[objective.monitor])
    return found | learned.measure(config, objective, encoder, fitted), fitted


def _finetune(config: dict[str, Any], folder: Path) -> tuple[dict[str, float], Fit]:
    recipe, seed, data = Recipe.from_dict(config["recipe"]), config["seed"], config["data"]
    store, table = open_data(data)
    card = card_in(data)
    check_window(card, recipe)
    facts = describe_test(data, store, table)
    if told := say_of_test(facts):
        log.warning("%s: %s", data["name"], told)
    rows, per_epoch = training_rows(config, table), config.get("images_per_epoch")
    seen = sampled_rows(rows, store, recipe, seed)
    seen = np.resize(seen, max(len(seen), per_epoch or 0))  # repeated in turn, each time with another augmentation
    train, val = Samples(store, seen), Samples(store, chosen_rows(data, table, "val"))
    job = task_of(config, table)
    recipe.check_read(base_kind(config["task_kind"]))
    job.fit(train.table)
    if job.masks and store.masks is None:
        raise ConfigError(f"a segmentation task needs masks; '{card.name}' has none ({card.task}).")
    encoder = _encoder(config, recipe, seed)
    _start_from(config, encoder, folder)
    with initial_weights(seed):  # of the head: the same for all pretrainings
        model = job.model(encoder)
    freeze(model, recipe.freeze, recipe.bn)
    objective = Supervised(model, job, train, val, recipe, seed)
    fitted = fit(objective, recipe, seed=seed, folder=folder, per_epoch=per_epoch)
    found = _evaluate(config, folder, objective, store, table, fitted)
    return found | {"images": len(rows), **facts}, fitted


def _encoder(config: dict[str, Any], recipe: Recipe, seed: int | None = None) -> torch.nn.Module:
    encoder = backbone(config["backbone"], seed=seed)
    return checkpoint_activations(encoder) if recipe.checkpointing else encoder


def _start_from(config: dict[str, Any], encoder: torch.nn.Module, folder: Path) -> None:
    """Load the weights that the config names, if any, and leave the report in `weights.json`.

    It names the tensors that stayed random, and in what the input differs from that on a card.
    """
    report = inputs.load_pretrained(encoder, config.get("weights"))
    if rank() == 0 and report is not None:
        found = {"report": str(report), "random": report.random}
        if "card" in config["weights"] or {"mean", "std", "size"} <= config["weights"].keys():
            found["other_input"] = cardinput.tell(config, inputs.card_of(config["weights"]))
        runs.write_json(folder / "weights.json", found)


def _evaluate(
    config: dict[str, Any], folder: Path, objective: Supervised, store: Store, table: pd.DataFrame, fitted: Fit
) -> dict[str, float]:
    """Check the selected weights on the validation set, then touch the test set, once."""
    model, job, recipe, monitor = objective.model, objective.task, objective.recipe, objective.monitor
    val = predict(model, job, Samples(store, chosen_rows(config["data"], table, "val")), recipe)
    found = job.metrics(val)
    told = _confirm_selected(found[monitor], monitor, fitted, len(val))
    test = predict(model, job, Samples(store, chosen_rows(config["data"], table, "test")), recipe)
    if rank() == 0:
        for name, frame in (("val", val), ("test", test)):
            with replacing(folder / f"predictions_{name}.parquet") as part:
                frame.to_parquet(part)
        save_weights(model, folder / "model.safetensors")
    return {**job.metrics(test), **{f"val_{k}": v for k, v in (found | told).items()}}


def _confirm_selected(value: float, monitor: str, fitted: Fit, images: int) -> dict[str, float]:
    """Return what to tell of a selected epoch whose weights now give another validation value; mostly nothing.

    On the CPU that trained it, the value is the logged one to the bit. On a GPU, or where it was trained elsewhere,
    rounding moves it; the selection stands as long as that is less than the epochs differ among each other, or than one
    image and 5 %. Raises SelectionError for more: these are other weights.
    """
    values = fitted.history[monitor]
    logged = values.iloc[fitted.selected]
    if np.isclose(value, logged, atol=1e-6, equal_nan=True):
        return {}
    text = f"the selected epoch logged {monitor} {logged:.6f}, its weights give {value:.6f}"
    rounds = fitted.resumed or pick_device().type != "cpu"
    if not rounds or not abs(value - logged) <= max(values.max() - values.min(), 1.01 / images, 0.05 * abs(logged)):
        raise SelectionError(text)
    log.warning("%s; it was computed on another machine or on a GPU, whose rounding differs", text)
    return {f"{monitor}_logged": float(logged)}
