"""What closes the notebooks that look at how networks learn, reuse features and err."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from tlkit.names import LOWER, Names
from tlkit.report.lettering import n_range


def say_settled(times: pd.DataFrame) -> list[str]:
    """Say how many runs settled by each rule of `convergence.times`, and what that allows to say."""
    said = []
    for rule, runs in times.groupby("rule"):
        n = int(runs["reached"].sum())
        said.append(f"By the rule '{rule}' {n} of {len(runs)} runs settled within {_range(runs['epochs'])} epochs.")
    share = times["reached"].mean()
    said.append(
        "Most runs were too short for these rules, so nothing can be said of who learns faster."
        if share < 0.5
        else "Most runs settled, so their epochs can be compared; those that did not are marked and have no mean."
    )
    return said


def _range(values: pd.Series) -> str:
    return n_range(values).removeprefix("n = ")


def say_reuse(table: pd.DataFrame, scratch: str, names: Mapping[str, str]) -> list[str]:
    """Say what feature reuse shows: `table` by (measure, layer, task, pretraining) with mean, sd, n, two_seeds."""
    names, said = Names(names), []
    weights = table.loc["weights_rbf", "mean"].unstack("pretraining")
    if scratch in weights and weights.shape[1] > 1:
        highest = int((weights[scratch] >= weights.drop(columns=scratch).max(axis=1)).sum())
        said.append(
            f"{names[scratch]}, which have nothing to reuse, have the highest CKA of weights in {highest} of "
            f"{len(weights)} layers and tasks"
            + (": there the value measures how little training moved the weights." if highest else ".")
        )
    if "two_seeds" in table:
        alike = table.index.get_level_values("measure") != "displacement"  # of which less is more alike
        there = table[alike].dropna(subset="two_seeds")
        kept = int((there["mean"] > there["two_seeds"]).sum())
        said.append(
            f"In {kept} of {len(there)} values a network is more like its own start than two networks of two seeds are "
            "like each other; only there can a feature have been kept rather than found again."
        )
    return said


def say_lost(lost: pd.DataFrame, names: Mapping[str, str]) -> list[str]:
    """Say what agreement another pretraining costs beyond another seed (`agreement.compare_with_seeds`, experiment)."""
    names, said = Names(names), []
    for way, rows in lost.groupby("experiment", sort=False):
        mean = rows["lost"].mean()
        reads = "about what another seed changes" if abs(mean) < 0.05 else "more than another seed changes"
        reads = "less than another seed changes" if mean <= -0.05 else reads
        said.append(f"{names[way]}: another pretraining costs a kappa of {mean:.2f} beyond another seed: {reads}.")
    return said or ["No two seeds of a pretraining are there, so nothing can be set against a seed."]


def say_slices(difference: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Say which of two runs is ahead on how many slices (`overlays.dice_difference`)."""
    a, b = int((difference["d"] > 0).sum()), int((difference["d"] < 0).sum())
    median = difference["d"].median()
    said = f"{names[0]} is ahead on {a} of {len(difference)} slices, {names[1]} on {b}; median {median:+.3f} Dice."
    both = (
        "Both sides have their slices: a figure of one side alone could have been made for either." if a and b else ""
    )
    return [said, *filter(None, [both])]


def say_epochs(curves: pd.DataFrame, names: Mapping[str, str]) -> str:
    """Say who is ahead after the first and the last epoch drawn (`first_epochs.curves`): how often, of the tasks."""
    names, said = Names(names), []
    for when, pick in (("first", "min"), ("last", "max")):
        at = curves[curves["epoch"] == curves.groupby("task")["epoch"].transform(pick)]
        sign = at["metric"].isin(LOWER).map({True: -1, False: 1})
        best = at.assign(rank=sign * at["mean"]).sort_values("rank").groupby(["task", "fraction"]).tail(1)
        told = ", ".join(f"{names[arm]} in {n}" for arm, n in best["pretraining"].value_counts().items())
        said.append(f"After the {when} epoch the best mean of {len(best)} panels is that of {told}")
    return ". ".join(said) + ". No test is behind this count: read it with the whiskers."


def say_statistics(table: pd.DataFrame, names: Mapping[str, str]) -> list[str]:
    """Say what re-estimated BatchNorm statistics change (`batchnorm.table`), by task and share of the data."""
    names, said = Names(names), []
    for task, rows in table.groupby("task", sort=False):
        means = rows.groupby("fraction")["change"].mean()
        told = ", ".join(f"{change:+.2f} at {100 * share:g} %" for share, change in means.items())
        large = means.abs().max() >= 0.1
        reads = (
            "part of what looks like failing to learn is in the evaluation"
            if large
            else "the evaluation is not to blame"
        )
        said.append(f"{names[task]}: macro F1 changes by {told} of the data with no weight changed: {reads}.")
    return said


def say_hard(hard: pd.DataFrame, names: Mapping[str, str]) -> list[str]:
    """Say of each task whether hard images are hard for all: `hard` by (task, id), a bool per pretraining."""
    names, said = Names(names), []
    for task, rows in hard.groupby("task", sort=False):
        nobody = int((~rows).all(axis=1).sum())
        reads = (
            "mostly it is the image"
            if nobody > len(rows) / 2
            else "most of them some model gets right, so there it is the model"
        )
        said.append(f"{names[task]}: all models fail on {nobody} of {len(rows)} hard images: {reads}.")
    return said or ["Every model is right on every image: none is hard."]


def say_right(frame: pd.DataFrame, task: str, names: Mapping[str, str]) -> str:
    """Say how often each model is right on the images whose heat maps are shown (`gradcam.explain_runs`)."""
    names, right = Names(names), frame.groupby("pretraining", sort=False)["right"].mean()
    told = ", ".join(f"{names[arm]} {100 * share:.0f} %" for arm, share in right.items())
    empty = int(frame["empty"].sum())
    return f"{task}: right on the images shown: {told}; {empty or 'none'} of {len(frame)} maps are empty."
