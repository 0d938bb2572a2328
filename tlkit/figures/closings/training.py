"""What closes the notebooks on data and on single runs."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from tlkit.names import Names, sign
from tlkit.report.lettering import metric_name


def say_far(losses: pd.DataFrame, shown: str) -> str:
    """Say how far a contrastive loss came: `losses` with start, floor, "last epoch"; `shown`: the row of our run."""
    row = losses.loc[shown]
    share = (row["start"] - row["last epoch"]) / (row["start"] - row["floor"])
    reads = (
        "It has barely begun" if share < 0.25 else "It is on its way" if share < 0.75 else "It has gone most of the way"
    )
    return f"{reads}: {100 * max(share, 0):.0f} % of the way from the start to the floor."


def say_above_chance(kept: pd.DataFrame, chance: float) -> list[str]:
    """Say of each network (index) whether the accuracy of its kept epoch is above that of naming one class."""
    said = []
    for network, row in kept.iterrows():
        gain = row["accuracy"] - chance
        reads = "well above" if gain > 0.5 * (1 - chance) else "above" if gain > 0.02 else "no better than"
        first = "; the epoch that was kept is the first one" if row["epoch"] == 0 else ""
        said.append(
            f"{network}: accuracy {row['accuracy']:.3f}, {reads} naming the largest class ({chance:.3f}){first}."
        )
    return said


def say_copying(error: float, mean: float, own: float) -> str:
    """Say whether a reconstruction knows more of an image than its mean does: mean squared errors."""
    best = min(mean, own)
    if error < 0.2 * best:
        return (
            f"Its error is {best / error:.0f} times smaller than what a mean gives ({best:.4f}): it copies the image."
        )
    reads = "little better than" if error < best else "no better than"
    return f"Its error of {error:.4f} is {reads} painting a mean ({best:.4f}): it has hardly learnt to copy yet."


def say_redundancy(least: Mapping[str, float], most: Mapping[str, float], slices: int) -> str:
    """Say what both bounds make of a number of slices."""
    return (
        f"S_LB {least['bound']:.3f} and S_UB {most['bound']:.3f} on {least['scans']} scans: {slices:,} slices would be "
        f"worth {slices / most['bound']:,.0f} to {slices / least['bound']:,.0f} independent ones; {most['left_out']} "
        "scans had no usable number of effective slices."
    )


def say_fusion(scores: pd.DataFrame) -> list[str]:
    """Say whether groups of all sources together are better than those of the best one: NMI by target and source."""
    said = []
    for target, row in scores.pivot(index="target", columns="source", values="nmi").iterrows():
        alone, fused = row.drop("fusion", errors="ignore"), row.get("fusion", float("nan"))
        reads = "ahead of" if fused > alone.max() else "behind"
        said.append(
            f"{target.replace('_', ' ')}: the fusion (NMI {fused:.2f}) is {reads} {alone.idxmax()} alone "
            f"({alone.max():.2f})."
        )
    return said


def say_first(results: pd.DataFrame, names: Mapping[str, str]) -> list[str]:
    """Say what accuracy each first run reached, by mode and pretraining (`runs.read_all`)."""
    names, said = Names(names), []
    accuracy = results[results["metric"] == "accuracy"]
    for mode, rows in accuracy.groupby("mode", sort=False):
        told = ", ".join(f"{names[row.pretraining]} {row.value:.3f}" for row in rows.itertuples())
        said.append(f"Accuracy in {names[mode]}: {told}; one run each, so which is higher may be chance.")
    return said or ["This task has no accuracy; its metrics stand in the table above."]


def say_best(headline: pd.DataFrame, names: Mapping[str, str]) -> list[str]:
    """Say the mean of the runs of each experiment, task and metric, and the best single run beside it."""
    names, said = Names(names), []
    for (experiment, task, metric), rows in headline.groupby(["experiment", "task", "metric"], sort=False):
        best = rows.loc[(sign(metric) * rows["value"]).idxmax()]
        runs = f"{len(rows)} run{'s' * (len(rows) != 1)}"
        what = f"{names[task]}, {names[experiment]}: {metric_name(task, metric, names)}"
        said.append(
            f"{what} {rows['value'].mean():.3f} over {runs}"
            + (f"; the best, of seed {best['seed']}, {best['value']:.3f}, which flatters." if len(rows) > 1 else ".")
        )
    return said


def say_splits(found: pd.DataFrame) -> list[str]:
    """Say whom splits share and what was left out: `leaks.describe_splits`."""
    said = []
    for row in found.to_dict("records"):
        known = isinstance(row["patients"], int)
        who = (
            f"{row['patients_in_two_splits']} of {row['patients']} patients"
            if known
            else "an unknown number of patients"
        )
        left = f"; {row['left_out']} images of val and test were left out, since a copy stands before them"
        said.append(f"{row['task']}: {who} in two splits{left if row['left_out'] else ''}.")
    return said


def say_archive(index: pd.DataFrame, samples: pd.DataFrame, stored: int, counts: pd.DataFrame) -> list[str]:
    """Say how much of an archive became slices of the store: its index, what stays, and patients by split."""
    slices = index[index["reason"] == ""]
    lost = slices["series"].nunique() - samples["series"].nunique()
    parts = ", ".join(f"{split} {row['patients']}" for split, row in counts.iterrows() if split)
    return [
        f"{lost} of {slices['series'].nunique()} series went; {stored:,} slices of {len(index):,} files are stored.",
        f"Patients by split: {parts}; nobody is in two.",
    ]


def say_sets(sets: pd.DataFrame) -> list[str]:
    """Say what medical sets there are to start from: `medical_sets` with the columns large and private."""
    large, weights = sets["large"], sets["Published weights"] > 0
    private = int((large & sets["private"]).sum())
    open_ones = sets.loc[large & ~sets["private"], "Data set"].str.partition(":")[0]
    return [
        f"{len(sets)} sets; {int(large.sum())} of at least a million images, of which {private} are private;"
        f" large and not private: {', '.join(open_ones) or 'none'}.",
        f"Weights that were trained on {int(weights.sum())} of them can be loaded here.",
    ]
