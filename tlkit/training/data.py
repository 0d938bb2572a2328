"""The data of a run: which rows of which store a config's `data` entry means, in which split, with which labels."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tlkit import paths, plugins, runs
from tlkit.config import ConfigError, NotAvailableError, TlkitError, lookup
from tlkit.datasets import card_in, cards, copies, dataset_in, identity, phantom_parameters, prepare, splits
from tlkit.datasets.store import Store, open_store
from tlkit.training.recipe import Recipe
from tlkit.training.supervised import Samples
from tlkit.training.tasks import Task, base_kind, task

log = logging.getLogger(__name__)
DATA_KEYS = (
    "name", "phantom", "content", "size", "split", "classes", "images", "fraction_by", "where", "groups", "balance",
    "options", "max_unreadable", "card",
)  # fmt: skip


HOUNSFIELD = ("ct_series", "lits")  # layouts whose stores hold HU


class DataChangedError(TlkitError, RuntimeError):
    """The data set on disk is not the one that the config was made for."""


def open_data(data: dict[str, Any]) -> tuple[Store, pd.DataFrame]:
    """Return the store of a config's `data` entry and the table of the rows it means, with the split of each.

    `where` keeps the rows whose columns have these values, `groups` makes pseudo-labels with these settings, `classes`
    chooses classes and `balance` as many rows of each. The store's labels are those of the table; -1 outside of it.
    Patients who share a copy of an image are one; `split` is "" for what is left out for that (`official`: where it
    stood), see `splits.assign`.
    Raises DataChangedError, MissingDataError, ConfigError, and NotAvailableError where fewer than two groups are left.
    """
    phantom = _same_phantom(data)
    how = {k: data.get(k) for k in ("options", "max_unreadable")}
    store = open_store(prepare(dataset_in(data), data["size"], phantom=phantom, **how))
    split = {k: v for k, v in data["split"].items() if k != "near"}
    table = store.table.assign(row=np.arange(len(store.table)))
    if split.get("copies", "drop") == "drop":
        table = table.assign(**find_owners(data, store))
        store.table = store.table.assign(patient=table["owner"])
    table = _labelled(_kept(table, data), data)
    if data.get("balance"):
        table = table[table["id"].isin(splits.balance(table, seed=data["split"]["seed"]))]
    table = table.assign(official=table.get("split", ""), split=splits.assign(table, **split).to_numpy())
    if split.get("by") != "image":
        table["patient"] = table.get("owner", table["patient"])
        splits.check_disjoint(table["split"], table["patient"])
    one_label = base_kind(store.meta["task"]) != "multilabel"
    if data.get("classes") is not None and one_label:
        table["label"] = splits.choose_classes(table["label"], data["classes"])
    if {"classes", "groups"} & set(data) and one_label:
        whole = pd.Series(-1, index=store.table.index)
        whole.iloc[table["row"]] = table["label"]
        store.table = store.table.assign(label=whole)
    return store, table


def _same_phantom(data: dict[str, Any]) -> dict[str, Any] | None:
    """Return the parameters of a `data` entry's phantom, None for real data; raise where it is not what is there."""
    phantom = phantom_parameters(data)
    found = identity(dataset_in(data), phantom)
    if found != {k: data[k] for k in ("name", "phantom", "content") if k in data}:
        raise DataChangedError(
            f"data set '{data['name']}' is not the one of this config: expected "
            f"{data.get('phantom') or data.get('content')}, found {found.get('phantom') or found.get('content')}. Load "
            "the study again (its runs get new ids), or bring the old data back."
        )
    return phantom


def groups_folder(data: dict[str, Any]) -> Path:
    """Return the folder of the pseudo-labels that a `data` entry asks for, made where it is missing.

    Raises: as `open_data` and `pseudolabels.make` do.
    """
    settings = {k: v for k, v in data["groups"].items() if k != "size"}
    size, most = data["groups"].get("size", data["size"]), data.get("max_unreadable")
    return plugins.pseudolabels().make(dataset_in(data), size, _same_phantom(data), most, **settings)


def _kept(table: pd.DataFrame, data: dict[str, Any]) -> pd.DataFrame:
    """Return the rows whose columns have the values that `where` gives."""
    for column, value in data.get("where", {}).items():
        if column not in table:
            raise ConfigError(f"{data['name']} has no column '{column}' to choose by; it has {', '.join(table)}.")
        chosen = table[column].astype(str) == str(value)
        if not chosen.any():
            there = ", ".join(sorted(table[column].astype(str).unique())[:20])
            raise ConfigError(f"{data['name']}: no row has {column} '{value}'; there are {there}.")
        table = table[chosen]
    return table


def _labelled(table: pd.DataFrame, data: dict[str, Any]) -> pd.DataFrame:
    """Return the rows of kept groups with their pseudo-labels, numbered from 0; all rows where none are asked for.

    Groups that `where` leaves too few files of are dropped as well (radiologynet2025 1.11).
    """
    if "groups" not in data:
        return table
    pseudolabels = plugins.pseudolabels()
    settings = {k: v for k, v in data["groups"].items() if k != "size"}
    folder = groups_folder(data)
    table = table.assign(label=pseudolabels.labels(table, folder))
    floor = pseudolabels.settings(**settings).floor
    sizes = table[table["label"] >= 0].groupby("label")["path"].nunique()
    kept = sizes[sizes >= floor]
    if len(kept) < 2:
        raise NotAvailableError(_too_few(data, folder, sizes, kept, floor))
    table = table[table["label"].isin(kept.index)]
    codes = {label: code for code, label in enumerate(sorted(table["label"].unique()))}
    return table.assign(group=table["label"], label=table["label"].map(codes))


def _too_few(data: dict[str, Any], folder: Path, sizes: pd.Series, kept: pd.Series, floor: int) -> str:
    """Return why there is nothing to learn: `sizes` are the files of each group that the rule keeps, here."""
    alone = "".join(f", {value} alone" for value in data.get("where", {}).values())
    groups, verb = ("group", "is") if len(kept) == 1 else ("groups", "are")
    files = ", ".join(map(str, sorted(sizes, reverse=True))) or "no"
    summary = folder / "summary.csv"
    return (
        f"{data['name']}{alone}: {len(kept)} {groups} of {floor} or more files {verb} kept, 2 are needed\n"
        f"The rule keeps {len(sizes)} of {len(pd.read_csv(summary))} groups with such files ({files} files). See "
        f"{summary.relative_to(paths.runs_root()).as_posix()} in the runs folder; other `groups` (k, limit, floor) "
        "keep more."
    )


def chosen_rows(data: dict[str, Any], table: pd.DataFrame, split: str) -> np.ndarray:
    """Return the rows of one split that the config's `data` entry asks for (classes, number of training images).

    Raises ConfigError where there is none.
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


def training_rows(config: dict[str, Any], table: pd.DataFrame) -> np.ndarray:
    """Return the rows that a downstream run trains on: of `chosen_rows` its `fraction`, drawn by its seed."""
    data, rows = config["data"], chosen_rows(config["data"], table, "train")
    if config["fraction"] >= 1:
        return rows
    part = table[table["row"].isin(rows)]
    keep = splits.fraction(part, config["fraction"], seed=config["seed"], by=data.get("fraction_by", "patient"))
    return part[part["id"].isin(keep)]["row"].to_numpy()


def find_owners(data: dict[str, Any], store: Store) -> pd.DataFrame:
    """Return `Store.owners` of all rows, at the distance that a config's `data` entry says."""
    return store.owners(data["split"].get("near", copies.DISTANCE))


def describe_test(data: dict[str, Any], store: Store, table: pd.DataFrame) -> dict[str, float]:
    """Return what the test is made of, as metrics of a run.

    test_images; test_patients (NaN where nobody knows patients); test_copies: of how many test images training or
    validation has a copy (0 unless `split: {copies: keep}`); test_left_out and val_left_out: how many images of an
    official split were left out for such a copy.
    """
    owner = find_owners(data, store)["owner"].iloc[table["row"]].to_numpy()
    test = (table["split"] == "test").to_numpy()
    seen = np.isin(owner[test], owner[table["split"].isin(["train", "val"])])
    left = table.loc[table["split"] == "", "official"].value_counts()
    return {
        "test_images": int(test.sum()),
        "test_patients": table.loc[test, "patient"].nunique() if store.patients_named else math.nan,
        "test_copies": int(seen.sum()),
        "test_left_out": int(left.get("test", 0)),
        "val_left_out": int(left.get("val", 0)),
    }


def sampled_rows(rows: np.ndarray, store: Store, recipe: Recipe, seed: int) -> np.ndarray:
    """Return the training rows of an epoch: `rows`, or with `sampling: oversample` some of them several times.

    Random: which images of a class come once more, by `seed`. Raises ConfigError where the store has no classes.
    """
    if recipe.sampling != "oversample":
        return rows
    if base_kind(store.meta["task"]) not in ("multiclass", "binary"):  # `label` of others is for stratified draws
        raise ConfigError(f"recipe.sampling is 'oversample', but '{store.meta['name']}' has no classes. Say `all`.")
    return rows[splits.oversample(store.table["label"].to_numpy()[rows], seed=seed)]


def class_names(data: dict[str, Any], table: pd.DataFrame) -> tuple[str, ...]:
    """Return the class names of a task, the chosen `classes` alone: the card's, or those that the store found."""
    card, chosen = card_in(data), data.get("classes")
    names = card.classes
    if "groups" in data:
        numbers = table[["label", "group"]].drop_duplicates().sort_values("label")["group"]
        return tuple(f"group {n}" for n in numbers)
    if base_kind(card.task) == "multilabel":
        return _outputs(card, chosen)
    if base_kind(card.task) == "regression":
        if "target" not in card.options:
            raise ConfigError(
                f"'{card.name}' is a task of regression; its card lacks options.target, a column of numbers."
            )
        return (card.options["target"],)
    if not names:
        named = table if chosen is None else table[table["label"] >= 0]
        return tuple(named.sort_values("label")["class"].unique())
    if chosen is None:
        return names
    labels = splits.choose_classes(pd.Series(range(len(names))), chosen)
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


def task_options(card: cards.DataCard, recipe: Recipe) -> dict[str, Any]:
    """Return what a task is told besides its classes: by the card (regions, target, inputs) and by the recipe."""
    told = {k: card.options[k] for k in ("regions", "target", "inputs") if k in card.options}
    if base_kind(card.task) == "segmentation":
        return told | {"loss": recipe.loss, "decoder": recipe.decoder}
    return told if recipe.head_bias else told | {"head_bias": False}


def task_of(config: dict[str, Any], table: pd.DataFrame) -> Task:
    """Return the task of a downstream config, on the `table` of `open_data`."""
    data, recipe = config["data"], Recipe.from_dict(config["recipe"])
    options = task_options(card_in(data), recipe)
    return task(config["task_kind"], class_names(data, table), recipe.class_weights, **options)


def training_images(config: dict[str, Any]) -> list[Samples]:
    """Return the training images of a pretraining's config, one entry per corpus."""
    found = []
    for data in runs.corpora(config):
        store, table = open_data(data)
        check_window(card_in(data), Recipe.from_dict(config["recipe"]))
        found.append(Samples(store, chosen_rows(data, table, "train")))
    return found


def check_window(card: cards.DataCard, recipe: Recipe) -> None:
    """Raise ConfigError where the recipe's window is not that of the data set's grey values, or there is none.

    MR is not in HU; where the card asks for no window, any does for HU.
    """
    wanted = card.options.get("window")
    if card.layout in HOUNSFIELD and recipe.intensity == "range" and recipe.window is None:
        raise ConfigError(
            f"recipe.window is null, but the grey values of '{card.name}' are HU. Say window: [40, 400] (centre and "
            "width, of soft tissue) in its recipe, or intensity: minmax."
        )
    if wanted and recipe.intensity == "range" and recipe.window != tuple(wanted):
        raise ConfigError(
            f"recipe.window is {recipe.window}, but the grey values of '{card.name}' need {tuple(wanted)}. Say "
            f"window: {list(wanted)} in its recipe, or intensity: minmax."
        )
