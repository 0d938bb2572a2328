"""Fig. 6 of Jonske et al. 2025: which combination of models is right how often, and their agreement beyond chance."""

from __future__ import annotations

from collections.abc import Mapping
from string import ascii_lowercase
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tlkit.analysis import agreement
from tlkit.report import layout
from tlkit.report.style import MM, NAMES, PAPER_WIDTH, colours, in_order, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FOOTER = (
    "Left: share of the test images that exactly the marked models get right; bars: mean over the seeds that all of "
    "them have, dots: each seed, filled: the first one; hatched: expected of independent models of these accuracies. A "
    "share of 0 has no place on a logarithmic axis and stands at its foot. Right: Cohen's kappa of who is right; each "
    "dot is a pair of runs of different seeds, ticks are means. Coloured: both runs from one pretraining."
)


def who_is_right(
    panels: Mapping[str, pd.DataFrame], *, names: Mapping[str, str] | None = None, phantom: bool = False
) -> Figure:
    """Draw one row a panel (its title -> `agreement.correctness`): shares of all combinations, and kappa by pair.

    The bars follow the published figure; the kappas say whether two pretrainings differ more than two seeds of one.
    The first seed is that of the first column. Raises ValueError without panels.
    Source: Jonske et al. 2025, Fig. 6; Geirhos et al. 2020 for kappa.
    """
    import matplotlib.pyplot as plt

    if not panels:
        raise ValueError("no multiclass runs to draw; `python -m tlkit status` lists which runs are missing")
    names = NAMES | dict(names or {})
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
            _kappas(side, agreement.pairs(right), names)
            side.set_title(ascii_lowercase[(2 * i + 1) % 26], loc="left", weight="bold")
        fig.suptitle("Which models are right on which images", x=0.012, ha="left", weight="bold", size=8.5)
        return layout.finish(fig, FOOTER, phantom)


def _bars(top: Axes, below: Axes, right: pd.DataFrame, names: Mapping[str, str]) -> None:
    right = agreement.complete_seeds(right)
    order = in_order(right.columns.get_level_values("pretraining"))
    seeds = list(right.columns.get_level_values("seed").unique())
    found = [agreement.combinations(right.xs(s, axis=1, level="seed")[order]) for s in seeds]
    shares, expected = (np.stack([f[c] for f in found]) for c in ("share", "expected"))
    chosen, at, floor = found[0][order].to_numpy(bool), np.arange(2 ** len(order)), 0.5 / len(right)
    palette = colours(order)
    fills = [palette[order[int(row.argmax())]] if row.sum() == 1 else "0.78" for row in chosen]
    top.bar(at - 0.2, shares.mean(0), 0.38, color=fills)
    top.bar(at + 0.2, expected.mean(0), 0.38, fc="white", ec="0.45", hatch="//////", lw=0.5)
    for seed, values in enumerate(shares):
        fill = {"mfc": "0.15" if seed == 0 else "white", "mec": "0.15", "mew": 0.5}
        top.plot(at - 0.2, np.maximum(values, floor), "o", ms=2.2, clip_on=False, zorder=3, gid="runs", **fill)
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


def _kappas(ax: Axes, pairs: pd.DataFrame, names: Mapping[str, str]) -> None:
    order = in_order([*pairs["a"], *pairs["b"]])
    rows = [(f"{names.get(n, n)}, two seeds", _pair(pairs, "seed", n, n), colours(order)[n]) for n in order]
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
