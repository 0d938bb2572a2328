"""Copies and patients on two sides of a split: what there is in a data set, and what it does to a test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tlkit.datasets.store import Store
from tlkit.figures import finished
from tlkit.figures.bars import tell_baselines
from tlkit.figures.grids import add_legend, draw_groups
from tlkit.names import Names
from tlkit.report.lettering import finish, n_range
from tlkit.report.style import MM, PAPER_WIDTH, colours, style
from tlkit.training.data import find_owners
from tlkit.training.tasks import Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNKNOWN = "patients unknown"
KINDS = ("all", "copies", "others")  # of test images


def describe_splits(opened: Mapping[str, tuple[Store, pd.DataFrame]]) -> pd.DataFrame:
    """Return one row per data set of `training.data.open_data`: images, patients, copies, and what was left out.

    Columns: images, patients and patients_in_two_splits (text "patients unknown" where nobody knows them);
    equal_copies, look_the_same and with_two_labels: images with such a copy of another patient in the whole set;
    left_out: images of val and test that are in no split, since one before it has a copy.
    """
    rows = {}
    for title, (store, table) in opened.items():
        used = table[table["split"] != ""]
        shared = int((used.groupby("patient")["split"].nunique() > 1).sum())
        found = store.meta["copies"]
        rows[title] = {
            "images": len(used),
            "patients": used["patient"].nunique() if store.patients_named else UNKNOWN,
            "patients_in_two_splits": shared if store.patients_named else UNKNOWN,
            "equal_copies": found["equal"],
            "look_the_same": found["look_same"],
            "with_two_labels": found["with_two_labels"],
            "left_out": len(table) - len(used),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("task").reset_index()


def split_by_copies(results: pd.DataFrame) -> pd.DataFrame:
    """Return each task's metric on test images that have a copy before the test, and on the others.

    `results` is the tidy frame of `Study.headline()`. One row per run and kind of test image ("all", "copies",
    "others"): task, pretraining, seed, run, metric, images, n (images of the kind), value. A task whose
    test was cleaned has "all" alone. Metrics are computed again from the predictions that the run kept.
    """
    rows = []
    for found in results.drop_duplicates(["run", "metric"]).to_dict("records"):
        head = {k: found[k] for k in ("task", "pretraining", "seed", "run", "metric")}
        kept, job, copied = _tested(found["run"])
        kinds = {"all": np.ones(len(kept), bool)} | ({"copies": copied, "others": ~copied} if copied.any() else {})
        for kind, chosen in kinds.items():
            value = job.metrics(kept[chosen])[found["metric"]]
            rows.append(head | {"images": kind, "n": int(chosen.sum()), "value": value})
    return pd.DataFrame(rows)


def summarise(apart: pd.DataFrame) -> pd.DataFrame:
    """Return mean, sd (ddof=1), runs and n (images) of `split_by_copies`, by task, pretraining, metric and kind."""
    cells = apart.groupby(["task", "pretraining", "metric", "images"], observed=True, sort=False)
    return cells.agg(
        mean=("value", "mean"), sd=("value", "std"), runs=("run", "nunique"), n=("n", "first")
    ).reset_index()


def say(shown: pd.DataFrame, names: Mapping[str, str]) -> list[str]:
    """Return what `summarise` found in sentences: copies against others, and each task against the first."""
    told = []
    for (task_, arm, metric), cell in shown.groupby(["task", "pretraining", "metric"], observed=True, sort=False):
        value = cell.set_index("images")["mean"]
        line = f"{names[task_]}, {names[arm]}: {names[metric]} {value['all']:.3f} on {cell['n'].iloc[0]} test images"
        if "copies" in value:
            n = cell.set_index("images")["n"]
            line += f"; {value['copies']:.3f} on {n['copies']} copies, {value['others']:.3f} on {n['others']} others"
        told.append(line)
    return told


def draw(apart: pd.DataFrame, names: Names, baselines: pd.DataFrame, phantom: bool) -> Figure:
    """Draw one panel per task: each run's value on all test images, copies and others; dotted, the baselines."""
    import matplotlib.pyplot as plt

    metric, tasks = apart["metric"].iloc[0], list(apart["task"].unique())
    palette = colours(apart["pretraining"], names)
    with style():
        size = {"figsize": (PAPER_WIDTH, 66 * MM), "layout": "constrained"}
        fig, axes = plt.subplots(1, len(tasks), sharey=True, squeeze=False, **size)
        for task, ax in zip(tasks, axes[0], strict=True):
            runs = apart[apart["task"] == task]
            groups = draw_groups(
                ax, runs.assign(place=runs["images"].map(KINDS.index)), "place", "pretraining", palette
            )
            ax.set_xticks([*groups.values()], [KINDS[kind] for kind in groups])
            own = baselines[(baselines["task"] == task) & (baselines["metric"] == metric)]
            tell_baselines(ax, dict(zip(own["baseline"], own["value"], strict=True)))
            ax.set(title=names[task], xlabel="test images")
        axes[0][0].set(ylim=(0, 1.02), ylabel=names[metric])
        add_legend(fig, palette, names)
        n = n_range(apart.groupby(["task", "pretraining", "images"], observed=True).size())
        footer = (
            f"Large dots: mean of the runs, {n} each. Whiskers: sd (ddof = 1). Small: single runs. Dotted: the task "
        )
        return finish(fig, f"{footer}without a network. Copies: test images with a copy before the test.", phantom)


def _tested(rid: str) -> tuple[pd.DataFrame, Task, np.ndarray]:
    """Return the test predictions of a run, its task, and which of the images have a copy in training or validation."""
    config, kept = finished.config_of(rid), finished.predictions(rid)
    store, table = finished.data_of(config)
    owner = pd.Series(find_owners(config["data"], store)["owner"].to_numpy(), store.table["id"])
    before = table.loc[table["split"].isin(["train", "val"]), "id"]
    return kept, finished.task_of(rid), owner[kept["id"]].isin(owner[before]).to_numpy()
