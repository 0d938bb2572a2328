"""Fig. 2 and 3 of Jonske et al. 2025: bars of the mean with every single run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import pandas as pd

from tlkit.names import LOWER, NAMES, Names, in_order
from tlkit.report import layout
from tlkit.report.style import colours, style
from tlkit.stats import differences

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(
    results: pd.DataFrame,
    *,
    names: Mapping[str, str] | None = None,
    estimated: Collection[str] = (),
    columns: int = 4,
    phantom: bool = False,
    baselines: pd.DataFrame | None = None,
) -> Figure:
    """Draw one panel per (experiment, task, metric): mean, sd (ddof=1) and every run of each pretraining.

    The dashed line is the best mean. Vertical limits follow jonske2025 5.4 (0.99 min(mean) to 1.01 max(mean + sd)),
    widened where they would cut off a point or a whisker; the footer says that they leave out 0. `results` is
    the tidy frame of `stats`; `names` adds display names to NAMES ("task/metric" names one task's metric);
    `estimated` pretrainings are hatched, as their rows are pseudo-runs; each experiment starts a new row of at
    most `columns` panels. `baselines` (of `stats.baselines`) are told in their panels, and drawn where the axis
    reaches them. Raises ValueError for an empty frame, and as `differences.check` does.
    Source: Jonske et al. 2025, Fig. 2 and 3.
    """
    experiments = layout.split_experiments(results, differences.PANEL)
    names = NAMES | (names or {})
    order, n = in_order(results["pretraining"], names), differences.summarise(results)["n"]
    with style():
        fig, axes = layout.grid(experiments, columns, 38, 16, names)
        for experiment, panels in experiments.items():
            places = axes[experiment]
            for runs, (ax,), edge in zip(panels, places, layout.edges(places), strict=True):
                _panel(ax, runs, order, names, estimated, edge)
                if baselines is not None:
                    _tell_baselines(ax, runs, baselines)
        return layout.finish(fig, _footer(fig, n, set(estimated) & set(order), baselines is not None), phantom)


def _panel(
    ax: Axes,
    runs: pd.DataFrame,
    order: list[str],
    names: Names,
    estimated: Collection[str],
    edge: layout.Edge,
) -> None:
    summary, palette = differences.summarise(runs).set_index("pretraining"), colours(order, names)
    many_n = summary["n"].nunique() > 1
    labels = []
    for x, name in enumerate(order):
        labels.append(names.get(name, name))
        if name not in summary.index:
            layout.note(ax, x, "not run")
            continue
        values = runs[runs["pretraining"] == name].sort_values("seed")["value"]
        layout.mean_bar(ax, x, values, palette[name], estimate=name in estimated)
        if many_n:
            labels[-1] += f", n = {len(values)}"
    task, metric = summary["task"].iloc[0], summary["metric"].iloc[0]
    best = summary["mean"].min() if metric in LOWER else summary["mean"].max()
    ax.axhline(best, ls=(0, (4, 2)), lw=0.7, color="0.15", zorder=0.5)
    layout.title(ax, names.get(task, task), 96)
    ax.set_ylabel(layout.metric_name(task, metric, names))
    close = len(order) * ax.get_gridspec().ncols > 24
    shown = labels if edge.lowest or many_n else [""] * len(labels)
    layout.name_columns(ax, shown, rotation=60 if close else 35, above_gap=edge.above_gap)
    ax.set_ylim(limits(summary, runs["value"]))
    ax.locator_params(axis="y", nbins=5, min_n_ticks=3)


def _tell_baselines(ax: Axes, runs: pd.DataFrame, baselines: pd.DataFrame) -> None:
    """Write what the panel's task gives without a network into its top, and draw it where the axis reaches it."""
    task, metric = runs["task"].iloc[0], runs["metric"].iloc[0]
    found = baselines[(baselines["task"] == task) & (baselines["metric"] == metric)]
    if found.empty:
        return
    low, high = ax.get_ylim()
    for value in found["value"]:
        if low < value < high:
            ax.axhline(value, ls=":", lw=0.8, color="0.4", zorder=0.6)
    text = "\n".join(f"{row.baseline}: {row.value:.3g}" for row in found.itertuples())
    ax.text(0.03, 0.98, text, transform=ax.transAxes, va="top", size=5, color="0.3")
    ax.set_ylim(low, high + 0.28 * (high - low))  # room for the text, above all bars


def limits(summary: pd.DataFrame, values: pd.Series) -> tuple[float, float]:
    """Return the vertical limits of a panel: jonske2025 5.4, widened until every point and whisker lies inside."""
    mean, sd = summary["mean"], summary["sd"].fillna(0)
    low, high = mean.min() - 0.01 * abs(mean.min()), (mean + sd).max() + 0.01 * abs((mean + sd).max())
    inner_low, inner_high = min(values.min(), (mean - sd).min()), max(values.max(), (mean + sd).max())
    margin = 0.04 * ((max(high, inner_high) - min(low, inner_low)) or 1)
    return float(min(low, inner_low - margin)), float(max(high, inner_high + margin))


def _footer(fig: Figure, n: pd.Series, estimated: Collection[str], told: bool) -> str:
    each = f"Bars: mean of the runs, {layout.n_range(n)} each."
    text = f"{each} Whiskers: sd (ddof = 1). Dots: single runs. Dashed: best mean."
    if estimated:
        text += " Hatched, with squares: estimates made from the runs of other pretrainings, not runs of their own."
    if told:
        text += " Text, and dotted lines: the task without a network."
    cut = any(ax.get_ylim()[0] > 0 for ax in fig.axes)
    return text + (" Vertical axes do not start at 0." if cut else "")
