"""Fig. 2 of Jonske et al. 2025: bars of the mean with every single run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from string import ascii_lowercase
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tlkit.analysis import stats
from tlkit.report.style import (
    FIRST_EXPERIMENTS,
    LOWER_IS_BETTER,
    MM,
    NAMES,
    PAPER_WIDTH,
    colours,
    in_order,
    mark_phantom,
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def bars(
    results: pd.DataFrame,
    *,
    names: Mapping[str, str] | None = None,
    columns: int = 4,
    phantom: bool = False,
) -> Figure:
    """Draw one panel an (experiment, task, metric): mean, sd (ddof=1) and every run of each pretraining.

    The dashed line is the best mean. Vertical limits follow spec 5.3 (0.99 min(mean) to 1.01 max(mean + sd)),
    widened where they would cut off a point or a whisker; the footer says that they leave out 0. `results` is
    the tidy frame of `stats`; `names` adds display names to NAMES ("task/metric" names one task's metric);
    each experiment starts a new row of at most `columns` panels. Raises ValueError for an empty frame, and as
    `stats.check` does.
    Source: Jonske et al. 2025, Fig. 2.
    """
    import matplotlib.pyplot as plt

    if results.empty:
        raise ValueError("no results to draw; `python -m tlkit status` lists which runs are missing")
    names = NAMES | dict(names or {})
    order, n = in_order(results["pretraining"]), stats.summarise(results)["n"]
    experiments = _experiments(results)
    most = max(map(len, experiments.values()))
    columns = int(np.ceil(most / np.ceil(most / columns)))  # 5 panels: 3 + 2, not 4 + 1
    rows = [int(np.ceil(len(panels) / columns)) for panels in experiments.values()]
    letters = _letters()
    with style():
        fig = plt.figure(figsize=(PAPER_WIDTH, (8 + 54 * sum(rows)) * MM), layout="constrained")
        fig.get_layout_engine().set(w_pad=2 * MM)
        grid = fig.subplots(sum(rows), columns, squeeze=False)
        blocks = np.split(grid, np.cumsum(rows)[:-1])
        for (experiment, panels), block in zip(experiments.items(), blocks, strict=True):
            axes = block.ravel()
            for ax, runs in zip(axes, panels, strict=False):
                _panel(ax, runs, order, names)
                ax.set_title(next(letters), loc="left", weight="bold")
            for ax in axes[len(panels) :]:
                ax.remove()
            heading = names.get(experiment, experiment)
            above = {"xycoords": "axes fraction", "xytext": (0, 20), "textcoords": "offset points"}
            text = axes[0].annotate(heading[:1].upper() + heading[1:], (0, 1), **above, weight="bold", size=8.5)
            text.set_in_layout(False)  # a long heading must not widen its panel's column, only take its height:
            axes[0].annotate("X", (0, 1), **above, size=8.5, alpha=0)
        fig.supxlabel(_footer(fig, n.min(), n.max()), x=0.012, ha="left", size=6.5, color="0.25")
        if phantom:
            mark_phantom(fig)
        plt.close(fig)  # a notebook would show it a second time at the end of the cell
    return fig


def _experiments(results: pd.DataFrame) -> dict[str, list[pd.DataFrame]]:
    panels: dict[str, list[pd.DataFrame]] = {}
    for (experiment, *_), runs in results.groupby(list(stats.PANEL), observed=True):
        panels.setdefault(experiment, []).append(runs)
    first = [e for e in FIRST_EXPERIMENTS if e in panels]
    return {e: panels[e] for e in dict.fromkeys([*first, *panels])}


def _panel(ax: Axes, runs: pd.DataFrame, order: list[str], names: Mapping[str, str]) -> None:
    summary, palette = stats.summarise(runs).set_index("pretraining"), colours(order)
    many_n = summary["n"].nunique() > 1
    ticks = []
    for x, name in enumerate(order):
        label = names.get(name, name)
        if name not in summary.index:
            ticks.append(label)
            at_foot = {"transform": ax.get_xaxis_transform(), "ha": "center", "va": "bottom", "rotation": 90}
            ax.text(x, 0.03, "not run", **at_foot, color="0.45", size=6)
            continue
        mean, sd, n = summary.loc[name, ["mean", "sd", "n"]]
        values = runs[runs["pretraining"] == name].sort_values("seed")["value"]
        ax.bar(x, mean, width=0.72, color=palette[name])
        ax.errorbar(x, mean, None if np.isnan(sd) else sd, color="0.15", capsize=2.2, lw=0.9, capthick=0.9)
        # In order of seed: a run stands at the same place in each bar and can be followed from bar to bar.
        at = x + (np.linspace(-0.24, 0.24, len(values)) if len(values) > 1 else np.zeros(1))
        ax.plot(at, values, "o", ms=2.8, mfc="white", mec="0.15", mew=0.6, zorder=3, gid="runs")
        ticks.append(f"{label}, n = {n:.0f}" if many_n else label)
    task, metric = summary["task"].iloc[0], summary["metric"].iloc[0]
    best = summary["mean"].min() if metric in LOWER_IS_BETTER else summary["mean"].max()
    ax.axhline(best, ls=(0, (4, 2)), lw=0.7, color="0.15", zorder=0.5)
    ax.set_title(names.get(task, task))
    ax.set_ylabel(names.get(f"{task}/{metric}", names.get(metric, metric.replace("_", " "))))
    ax.set_xticks(range(len(order)), ticks, rotation=35, ha="right", rotation_mode="anchor")
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.6, len(order) - 0.4)
    ax.set_ylim(limits(summary, runs["value"]))
    ax.locator_params(axis="y", nbins=5, min_n_ticks=3)


def limits(summary: pd.DataFrame, values: pd.Series) -> tuple[float, float]:
    """Return the vertical limits of a panel: spec 5.3, widened until every point and whisker lies inside."""
    mean, sd = summary["mean"], summary["sd"].fillna(0)
    low, high = mean.min() - 0.01 * abs(mean.min()), (mean + sd).max() + 0.01 * abs((mean + sd).max())
    inner_low, inner_high = min(values.min(), (mean - sd).min()), max(values.max(), (mean + sd).max())
    margin = 0.04 * ((max(high, inner_high) - min(low, inner_low)) or 1)
    return float(min(low, inner_low - margin)), float(max(high, inner_high + margin))


def _footer(fig: Figure, low: int, high: int) -> str:
    n = f"n = {low}" if low == high else f"n = {low} to {high}"
    text = f"Bars: mean of the runs, {n} each. Whiskers: sd (ddof = 1). Dots: single runs. Dashed: best mean."
    cut = any(ax.get_ylim()[0] > 0 for ax in fig.axes)
    return text + (" Vertical axes do not start at 0." if cut else "")


def _letters() -> Iterator[str]:
    """Yield a, b, ... z, aa, bb, ..."""
    return (letter * times for times in count(1) for letter in ascii_lowercase)
