"""Who is right where (Fig. 6): do models that start from other pretrainings get other images right?

Correctness is one of an image's class (multiclass tasks). A mask is neither right nor wrong, and any limit on its
Dice would decide the answer, so segmentation is left to the pixels (`overlays`).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations as every_two
from itertools import product
from string import ascii_lowercase
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tlkit.config import ConfigError
from tlkit.figures import finished
from tlkit.names import NAMES, Names, in_order
from tlkit.report import lettering
from tlkit.report.style import MM, PAPER_WIDTH, colours, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NONE = "none"
WHY = {
    "multiclass": "Right or wrong is said of one class per image only.",
    "segmentation": "Masks come from segmentation runs only.",
}
PAIR = ("a", "b", "seed_a", "seed_b")


def correctness(ids: Mapping[tuple[str, int], str]) -> pd.DataFrame:
    """Return [images x runs] of bool: is the most probable class the true one? Rows by image id.

    Args: ids: (pretraining, seed) -> run, which become the columns; the runs must share their test images.
    Raises ConfigError for a task that is not multiclass and for runs with other test images or truths,
    FileNotFoundError for a run that is not done.
    """
    columns, first = {}, None
    for key, rid in ids.items():
        found = kept_predictions(rid, "multiclass").set_index("id")
        first = found if first is None else first
        if not found["target"].equals(first["target"]):
            raise ConfigError(
                f"{rid} was tested on other images or truths than {next(iter(ids.values()))} ({len(found)} and "
                f"{len(first)} images): compare runs of one task, data set and split."
            )
        columns[key] = np.stack(found["output"].to_numpy()).argmax(1) == found["target"].to_numpy()
    return pd.DataFrame(columns, index=None if first is None else first.index).rename_axis(
        columns=["pretraining", "seed"]
    )


def kept_predictions(rid: str, kind: str) -> pd.DataFrame:
    """Return predictions_test.parquet of the finished run `rid`, whose task must be of that kind."""
    if (found := finished.config_of(rid)["task_kind"]) != kind:
        raise ConfigError(f"expected a {kind} run, found {rid} ({found}). {WHY[kind]}")
    return finished.predictions(rid)


def combinations(right: pd.DataFrame) -> pd.DataFrame:
    """Return how many images each combination of models gets right, and what independent models would.

    Args: right [images x models] of bool, such as one seed of `correctness` (as published, seed 42).
    Columns: right (the names that are right, joined by " + ", or NONE), one bool a model, count, share, se
    (sqrt(count) / n) and expected, the product over the models of accuracy or 1 - accuracy. All 2^models rows. Images
    differ in difficulty, so independence is a straw man: even two seeds of one pretraining exceed it; see `pairs`.
    Source: jonske2025 5.8 (Fig. 6).
    """
    names, values, n = list(right.columns), right.to_numpy(bool), len(right)
    accuracy, rows = values.mean(0), []
    for chosen in sorted(product((True, False), repeat=len(names)), key=sum):
        count = int((values == chosen).all(1).sum())
        rows.append(
            {
                "right": " + ".join(str(m) for m, yes in zip(names, chosen, strict=True) if yes) or NONE,
                **dict(zip(names, chosen, strict=True)),
                "count": count,
                "share": count / n,
                "se": np.sqrt(count) / n,
                "expected": float(np.where(chosen, accuracy, 1 - accuracy).prod()),
            }
        )
    return pd.DataFrame(rows)


def pairs(right: pd.DataFrame) -> pd.DataFrame:
    """Compare every two runs of `correctness`: one row per unordered pair, PAIR and the columns below.

    kind: "pretraining" (another pretraining, same seed), "both" (another one and another seed) or "seed" (same
    pretraining: the baseline for "both"). acc_a, acc_b, only_a, only_b, both, neither (shares of the images): only_a -
    only_b = acc_a - acc_b whatever the models, so the difference of these two says nothing beyond accuracy. kappa:
    see `error_consistency`. p_mcnemar: exact two-sided test of only_a = only_b; p_holm: Holm's correction over the
    "pretraining" pairs of this frame (NaN elsewhere). Images of one patient are counted as independent.
    """
    rows = []
    for (a, s), (b, t) in every_two(right.columns, 2):
        x, y = right[a, s].to_numpy(bool), right[b, t].to_numpy(bool)
        kind = "seed" if a == b else "pretraining" if s == t else "both"
        shares = {"only_a": x & ~y, "only_b": ~x & y, "both": x & y, "neither": ~x & ~y}
        rows.append(
            dict(zip(PAIR, (a, b, s, t), strict=True))
            | {"kind": kind, "n": len(x), "acc_a": x.mean(), "acc_b": y.mean()}
            | {name: v.mean() for name, v in shares.items()}
            | {"kappa": error_consistency(x, y), "p_mcnemar": mcnemar(x, y)}
        )
    return add_holm(pd.DataFrame(rows))


def add_holm(compared: pd.DataFrame) -> pd.DataFrame:
    """Return `pairs`, or several of them in one frame, with p_holm over all their "pretraining" pairs."""
    from statsmodels.stats.multitest import multipletests

    tested = compared.index[compared["kind"] == "pretraining"] if len(compared) else []
    p = multipletests(compared.loc[tested, "p_mcnemar"], method="holm")[1] if len(tested) else []
    return compared.assign(p_holm=pd.Series(p, index=tested, dtype=float).reindex(compared.index))


def error_consistency(x: np.ndarray, y: np.ndarray) -> float:
    """Return Cohen's kappa of two models' correctness [images] of bool: agreement beyond what their accuracies give.

    1: right on the same images; 0: as independent models of these accuracies; below 0: less. NaN where both are
    always right or always wrong. Source: Geirhos, Meding and Wichmann 2020, arXiv:2006.16736.
    """
    p, q = x.mean(), y.mean()
    expected = p * q + (1 - p) * (1 - q)
    return float(((x == y).mean() - expected) / (1 - expected)) if expected < 1 else float("nan")


def mcnemar(x: np.ndarray, y: np.ndarray) -> float:
    """Return the two-sided exact McNemar p of two models' correctness; 1 where they are right on the same images."""
    from statsmodels.stats.contingency_tables import mcnemar as test

    table = [[(x & y).sum(), (x & ~y).sum()], [(~x & y).sum(), (~x & ~y).sum()]]
    return float(test(table, exact=True).pvalue) if (x != y).any() else 1.0


def complete_seeds(right: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of `correctness` of those seeds that every pretraining has.

    Where there is no such seed, pretrainings are left out until there is one, those with the fewest seeds first.
    """
    there = right.columns.to_frame(index=False).groupby("pretraining", sort=False)["seed"].agg(set)
    while not (shared := set.intersection(*there)):
        there = there.drop(there.map(len).idxmin())
    return right.loc[:, [a in there.index and s in shared for a, s in right.columns]]


def compare_with_seeds(compared: pd.DataFrame) -> pd.DataFrame:
    """Return the mean kappa of every two pretrainings beside that of two seeds of each: a, b, kappa, seeds_a, seeds_b.

    kappa is over pairs of other pretraining and other seed, so that they differ from the baseline in the pretraining
    alone. `lost` = mean of seeds_a and seeds_b, less kappa: about 0 where the pretraining changes no more than a seed.
    No test: the pairs share runs. Columns n_pairs and n_seeds say how many pairs stand behind.
    """
    seeds = compared[compared["kind"] == "seed"].groupby("a")["kappa"].agg(["mean", "size"])
    rows = []
    for (a, b), group in compared[compared["kind"] == "both"].groupby(["a", "b"], sort=False):
        one, two = (seeds["mean"].get(name, np.nan) for name in (a, b))
        row = {"a": a, "b": b, "kappa": group["kappa"].mean(), "seeds_a": one, "seeds_b": two}
        n_seeds = int(seeds["size"].reindex([a, b]).fillna(0).sum())
        rows.append(row | {"lost": (one + two) / 2 - row["kappa"], "n_pairs": len(group), "n_seeds": n_seeds})
    return pd.DataFrame(rows, columns=["a", "b", "kappa", "seeds_a", "seeds_b", "lost", "n_pairs", "n_seeds"])


FOOTER = (
    "Left: share of the test images that exactly the marked models get right; large dots: mean over the seeds that all "
    "of them have, small: each seed, filled: the first one; dashes: expected of independent models of these "
    "accuracies. A share of 0 has no place on a logarithmic axis and is at its foot. Right: Cohen's kappa of who is "
    "right; a dot is a pair of runs of different seeds, ticks are means. Coloured: both runs from one pretraining."
)


def draw(
    panels: Mapping[str, pd.DataFrame], *, names: Mapping[str, str] | None = None, phantom: bool = False
) -> Figure:
    """Draw one row per panel (its title -> `correctness`): shares of all combinations, and kappa by pair.

    The left side follows the published figure; the kappas say whether two pretrainings differ more than two seeds of
    one. The first seed is that of the first column. Raises ValueError without panels.
    Source: Jonske et al. 2025, Fig. 6; Geirhos et al. 2020 for kappa.
    """
    import matplotlib.pyplot as plt

    if not panels:
        raise ValueError("no multiclass runs to draw; `python -m tlkit plan` lists which runs are missing")
    names = NAMES | (names or {})
    with style():
        fig = plt.figure(figsize=(PAPER_WIDTH, (12 + 62 * len(panels)) * MM), layout="constrained")
        grid = fig.add_gridspec(2 * len(panels), 2, width_ratios=[1.75, 1], height_ratios=[3, 1] * len(panels))
        for i, (title, right) in enumerate(panels.items()):
            top = fig.add_subplot(grid[2 * i, 0])
            below = fig.add_subplot(grid[2 * i + 1, 0], sharex=top)
            _bars(top, below, right, names)
            top.set_title(title)
            top.set_title(ascii_lowercase[(2 * i) % 26], loc="left", weight="bold")
            side = fig.add_subplot(grid[2 * i : 2 * i + 2, 1])
            _kappas(side, pairs(right), names)
            side.set_title(ascii_lowercase[(2 * i + 1) % 26], loc="left", weight="bold")
        fig.suptitle("Which models are right on which images", x=0.012, ha="left", weight="bold", size=8.5)
        return lettering.finish(fig, FOOTER, phantom)


def _bars(top: Axes, below: Axes, right: pd.DataFrame, names: Names) -> None:
    right = complete_seeds(right)
    order = in_order(right.columns.get_level_values("pretraining"), names)
    seeds = list(right.columns.get_level_values("seed").unique())
    found = [combinations(right.xs(s, axis=1, level="seed")[order]) for s in seeds]
    shares, expected = (np.stack([f[c] for f in found]) for c in ("share", "expected"))
    chosen, at, floor = found[0][order].to_numpy(bool), np.arange(2 ** len(order)), 0.5 / len(right)
    palette = colours(order, names)
    fills = [palette[order[int(row.argmax())]] if row.sum() == 1 else "0.6" for row in chosen]
    for x, value, colour in zip(at, np.maximum(shares.mean(0), floor), fills, strict=True):
        top.plot(x - 0.18, value, "o", ms=5, color=colour, clip_on=False, gid="mean")
    top.plot(at + 0.22, np.maximum(expected.mean(0), floor), "_", ms=8, mew=1.4, color="0.15", gid="expected")
    for seed, values in enumerate(shares):
        fill = {"mfc": "0.15" if seed == 0 else "white", "mec": "0.15", "mew": 0.5}
        top.plot(at, np.maximum(values, floor), "o", ms=2, clip_on=False, zorder=3, gid="runs", **fill)
    top.grid(axis="y", lw=0.4, color="0.92")
    top.set_axisbelow(True)
    top.set_yscale("log")
    top.set_ylim(floor, 1)
    top.set_ylabel("share of test images")
    top.tick_params(axis="x", bottom=False, labelbottom=False)
    for y, name in enumerate(reversed(order)):
        on = chosen[:, order.index(name)]
        below.plot(at, np.full(len(at), y), "o", ms=3, color="0.88")
        below.plot(at[on], np.full(on.sum(), y), "o", ms=3.6, color=palette[name])
    below.set_yticks(range(len(order)), [names.get(n, n) for n in reversed(order)])
    below.set_ylim(-0.6, len(order) - 0.4)
    below.tick_params(bottom=False, labelbottom=False, left=False)
    below.spines[["left", "bottom"]].set_visible(False)


def _kappas(ax: Axes, pairs: pd.DataFrame, names: Names) -> None:
    order = in_order([*pairs["a"], *pairs["b"]], names)
    rows = [(f"{names.get(n, n)}, two seeds", _pair(pairs, "seed", n, n), colours(order, names)[n]) for n in order]
    for i, a in enumerate(order):
        rows += [(f"{names.get(a, a)} / {names.get(b, b)}", _pair(pairs, "both", a, b), "0.25") for b in order[i + 1 :]]
    for y, (_, values, colour) in enumerate(reversed(rows)):
        ax.plot(values, np.full(len(values), y), "o", ms=2.4, mfc="none", mec=colour, mew=0.6, gid="runs")
        if len(values):
            ax.plot([np.nanmean(values)] * 2, [y - 0.32, y + 0.32], color=colour, lw=1.6)
        else:
            ax.text(0.02, y, "one seed only", transform=ax.get_yaxis_transform(), va="center", size=6, color="0.45")
    ax.axhline(len(rows) - len(order) - 0.5, color="0.8", lw=0.6)
    ax.axvline(0, color="0.15", lw=0.7, ls=(0, (4, 2)))
    ax.set_yticks(range(len(rows)), [label for label, *_ in reversed(rows)])
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.set_xlim(min(-0.05, 1.1 * pairs["kappa"].min()), 1.02)
    ax.set_xlabel("error consistency (kappa)")


def _pair(pairs: pd.DataFrame, kind: str, a: str, b: str) -> np.ndarray:
    same = pairs["a"].isin([a, b]) & pairs["b"].isin([a, b]) & (pairs["kind"] == kind)
    if kind == "seed":
        same &= pairs["a"] == a
    return pairs.loc[same, "kappa"].to_numpy(float)
