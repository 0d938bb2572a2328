"""What still holds: one difference of all panels with its interval and p-values, and the p-values under the null."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tlkit.names import NAMES
from tlkit.report import lettering
from tlkit.report.style import BETTER, MM, PAPER_WIDTH, SAME, WORSE, style
from tlkit.stats import differences

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Where the columns beside the forest stand, over its width, and how they are aligned.
TABLE = {
    "points [95 % CI]": (0.265, "right"),
    "published": (0.46, "right"),
    "sound": (0.595, "right"),
    "Holm": (0.73, "right"),
    "verdict": (0.755, "left"),
}


def forest(
    pairs: pd.DataFrame,
    *,
    a: str,
    b: str,
    margin: float = 0.01,
    names: Mapping[str, str] | None = None,
    phantom: bool = False,
) -> Figure:
    """Draw a row per panel: the difference of the means a - b in points (x 100) with its 95 % interval, and what holds.

    The band is +-`margin` (in units of the metric). Beside it: the difference, the three P_VALUES (bold below 0.05),
    and the verdict: higher or lower (p_holm < 0.05), within the margin (`equivalent`), both, or open. Where an
    interval goes beyond ten times the margin, the axis is logarithmic outside of twice the margin.
    `pairs` is the frame of `differences.pairwise`. Raises ValueError where it has no pair (a, b).
    """
    import matplotlib.pyplot as plt

    chosen = pairs[(pairs["a"] == a) & (pairs["b"] == b)]
    if chosen.empty:
        raise ValueError(f"no pair ({a}, {b}) to draw; the pairs hold {sorted(set(pairs['a']))}")
    names = NAMES | (names or {})
    rows = _rows(chosen, names)
    with style():
        size = (PAPER_WIDTH, (34 + 4.6 * rows["y"].max()) * MM)
        fig, (ax, table) = plt.subplots(1, 2, figsize=size, sharey=True, width_ratios=(1, 1.6), layout="constrained")
        for row in rows.dropna(subset="mean_a").to_dict("records"):
            _row(ax, table, row, margin)
        _axes(ax, rows, margin)
        _head(fig, ax, table, *(names.get(name, name) for name in (a, b)))
        n = lettering.n_range(pd.concat([chosen["n_a"], chosen["n_b"]]))
        return lettering.finish(fig, _footer(n, f"±{100 * margin:g}"), phantom)


def nulls(frame: pd.DataFrame) -> Figure:
    """Draw how often each p-value comes out where there is no difference: p_published and p_sound of `frame`.

    One row per simulated comparison; bins of 0.05, so that the first bin is the share of false positives at 0.05. The
    grey band holds 95 % of the bins of a sound test (binomial, each bin by itself). Raises ValueError where a column
    is missing or has no value.
    """
    import matplotlib.pyplot as plt
    from scipy.stats import binom

    looks = {"p_published": ("as published", WORSE, (0, (3, 1))), "p_sound": ("contrast of the real runs", BETTER, "-")}
    p_values = frame.reindex(columns=list(looks))
    if p_values.isna().all().any():
        raise ValueError(f"no p-values to draw: expected one row per simulated comparison, with {list(looks)}")
    bins, n = np.linspace(0, 1, 21), int(p_values.count().min())
    with style():
        fig, ax = plt.subplots(figsize=(PAPER_WIDTH / 2, 65 * MM), layout="constrained")
        low, high = (100 * k / n for k in binom.interval(0.95, n, 0.05))
        ax.axhspan(low, high, color="0.85", lw=0, label="expected of a sound test (95 % of the bins)", gid="band")
        ax.axhline(5, color="0.45", lw=0.8, gid="uniform")
        for column, (label, colour, dashes) in looks.items():
            values = p_values[column].dropna()
            shares = 100 * np.histogram(values, bins)[0] / len(values)
            below = f"{label}: {100 * (values < 0.05).mean():.1f} % below 0.05"
            ax.stairs(shares, bins, baseline=None, color=colour, lw=1.4, ls=dashes, label=below)
        ax.set(xlim=(0, 1), xlabel="p-value where there is no difference", ylabel="share of the comparisons (%)")
        ax.set_ylim(0, 1.35 * ax.get_ylim()[1])
        ax.legend(frameon=False, loc="upper center")
        return lettering.finish(fig, f"n = {n:,} simulated comparisons; bins of 0.05.", phantom=False)


def _rows(pairs: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Return the pairs with their place `y` and `label`; the name of an experiment is a row without a pair."""
    rows, y = [], 0.0
    for experiment, panels in lettering.split_experiments(pairs, differences.PANEL).items():
        rows.append({"y": y, "label": lettering.heading(experiment, names)})
        for i, panel in enumerate(panels, 1):
            pair = panel.iloc[0].to_dict()
            task, metric = pair["task"], pair["metric"]
            label = f"{names.get(task, task)}, {lettering.metric_name(task, metric, names)}"
            rows.append(pair | {"y": y + i, "label": label})
        y += len(panels) + 1.5
    return pd.DataFrame(rows)


def _row(ax: Axes, table: Axes, row: Mapping, margin: float) -> None:
    points, low, high = (100 * v for v in (row["mean_a"] - row["mean_b"], row["ci_low"], row["ci_high"]))
    holds = bool(row["p_holm"] < 0.05)  # NaN (not tested) holds nothing
    colour = (BETTER if points > 0 else WORSE) if holds else "0.3"
    for side in (ax, table):
        side.axhline(row["y"] + 0.5, color="0.92", lw=0.5, zorder=0)
    ax.plot([low, high], [row["y"]] * 2, color=colour, lw=1.2, solid_capstyle="butt", gid="interval")
    ax.plot(points, row["y"], "o", ms=4, mec=colour, mfc=colour if holds else "white", mew=1, gid="difference")
    verdict = ["higher" if points > 0 else "lower"] * holds
    verdict += [f"within ±{100 * margin:g}"] * bool(row["equivalent"])
    interval = f" [{low:+.2f}, {high:+.2f}]" if np.isfinite(low) else ""
    cells = [f"{points:+.2f}{interval}".replace("-", "−"), *(lettering.p_text(row[p]) for p in differences.P_VALUES)]
    cells.append(", ".join(verdict) or "open")
    bold = [False, *(row[p] < 0.05 for p in differences.P_VALUES), False]
    ink = ["0.1"] * 4 + [colour if holds or not verdict else SAME]
    for (x, align), text, heavy, shade in zip(TABLE.values(), cells, bold, ink, strict=True):
        table.text(x, row["y"], text, ha=align, va="center", size=6.5, weight="bold" if heavy else None, color=shade)


def _axes(ax: Axes, rows: pd.DataFrame, margin: float) -> None:
    reach = 100 * np.nanmax(np.abs([*rows["ci_low"], *rows["ci_high"], *(rows["mean_a"] - rows["mean_b"]), margin]))
    label = "difference in points (x 100)"
    if reach > 1000 * margin:
        linear = 200 * margin
        ax.set_xscale("symlog", linthresh=linear, linscale=0.7)
        steps = [100 * margin, *(s for s in (2, 10, 50) if linear <= s <= 1.1 * reach)]
        ax.set_xticks([*(-s for s in reversed(steps)), 0, *steps])
        ax.set_xticks([], minor=True)
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}".replace("-", "−"))
        label += f"; logarithmic beyond ±{linear:g}"
    ax.set_xlim(-1.15 * reach, 1.15 * reach)
    bottom = rows["y"].max() + 0.6
    ax.set_ylim(bottom, -2.2)
    ax.fill_betweenx([-0.5, bottom], -100 * margin, 100 * margin, color=SAME, alpha=0.18, lw=0, gid="margin")
    ax.plot([0, 0], [-0.5, bottom], color="0.3", lw=0.7, zorder=0.5)
    ax.set_xlabel(label)
    ax.set_yticks(rows["y"], rows["label"])
    for text, heading in zip(ax.get_yticklabels(), rows["mean_a"].isna(), strict=True):
        text.set_weight("bold" if heading else "normal")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)


def _head(fig: Figure, ax: Axes, table: Axes, a: str, b: str) -> None:
    """Say what is compared, on which side of 0 which is higher, and what the columns of the table are."""
    fig.suptitle(f"{a} minus {b}", x=0.012, ha="left", weight="bold", size=8.5)
    for name, align, shift in ((f"{a}\nhigher →", "left", 4), (f"{b}\n← higher", "right", -4)):
        ax.annotate(name, (0, -1.3), xytext=(shift, 0), textcoords="offset points", ha=align, va="center", size=6.5)
    table.set_axis_off()
    table.set_xlim(0, 1)
    for name, (x, align) in TABLE.items():
        table.text(x, -1, name, ha=align, va="center", weight="bold", size=6.5)
    table.text(TABLE["sound"][0], -1.9, "p-values", ha="right", va="center", size=6.5, color="0.3")


def _footer(n: str, band: str) -> str:
    return (
        f"Difference of the mean test results x 100, {n} each; whiskers: 95 % interval of the contrast of the real "
        f"runs. Green band: {band} points. Filled: p < 0.05 after Holm's correction. p-values: Welch's test as "
        f"published, contrast of the real runs, that after Holm's correction; bold below 0.05. Verdict: higher or "
        f"lower after correction; within {band} by two one-sided tests (p < 0.05); else open."
    )
