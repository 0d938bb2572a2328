"""Fig. 2 and 3 of the RadiologyNET study: what the pseudo-labels are made of; and mosaics to judge groups by eye."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tlkit.report.lettering import finish
from tlkit.report.style import MM, PAPER_WIDTH, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MODALITIES = {"CT": "#0072b2", "MR": "#e69f00", "CR": "#009e73", "XA": "#cc79a7", "RF": "#56b4e9"}  # Okabe-Ito
WORDS = {
    "CSPINE": "Cervical spine", "TSPINE": "Thoracic spine", "LSPINE": "Lumbar spine", "SSPINE": "Sacrum",
    "WHOLESPINE": "Whole spine", "URINARYTRACT": "Urinary tract", "WHOLEBODY": "Whole body",
}  # fmt: skip
OTHER, UNKNOWN = "#8c8c8c", "unknown"
SIDE = 14 * MM  # of an image in a mosaic
MOST_PARTS = 20  # body parts that are named; the rarer ones are one bar


def sizes(summary: pd.DataFrame, *, phantom: bool = False) -> Figure:
    """Draw the number of images of each kept group, largest first, in the colour of its most frequent modality.

    `summary` is `summary.csv` of the groups. Raises ValueError where no group is kept. Source: Fig. 2.
    """
    import matplotlib.pyplot as plt
    from matplotlib.patches import Patch

    kept = summary[summary["kept"]].sort_values(["images", "label"], ascending=[False, True])
    if kept.empty:
        raise ValueError("no group is kept, so there is nothing to draw")
    with style():
        fig, ax = plt.subplots(figsize=(PAPER_WIDTH, 62 * MM), layout="constrained")
        main = kept["modality"].replace("", UNKNOWN)
        ax.bar(range(len(kept)), kept["images"], color=[MODALITIES.get(m, OTHER) for m in main], width=0.8)
        ax.set_xticks(range(len(kept)), kept["label"], size=6 if len(kept) > 25 else None)
        ax.set_xlim(-0.7, len(kept) - 0.3)
        ax.tick_params(axis="x", length=0)
        ax.set(xlabel="label of the group", ylabel="images")
        marks = [Patch(color=MODALITIES.get(m, OTHER), label=m) for m in _order(main)]
        above = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 6, "frameon": False}
        ax.legend(handles=marks, title="most frequent modality", alignment="left", **above)
        text = f"{len(kept)} groups kept of {len(summary)}; n = {kept['images'].sum():,} images of "
        return finish(fig, f"{text}{kept['size'].sum():,} files.", phantom)


def shares(table: pd.DataFrame, *, phantom: bool = False) -> Figure:
    """Draw the images of the kept groups by modality (a) and by body part (b, each bar split by modality), in %.

    `table` is `groups.parquet`. Body parts beyond the 20 most frequent are one bar. Source: Fig. 3.
    """
    import matplotlib.pyplot as plt

    kept = table[table["kept"]]
    if kept.empty:
        raise ValueError("no image is in a kept group, so there is nothing to draw")
    modality, part = (kept[name].replace("", UNKNOWN) for name in ("modality", "body_part"))
    frequent = part.value_counts().index[:MOST_PARTS]
    part = part.where(part.isin(frequent), "other parts")
    by_part = 100 * pd.crosstab(part, modality)[_order(modality)] / len(kept)
    by_part = by_part.loc[by_part.sum(axis=1).sort_values().index]
    with style():
        size = (PAPER_WIDTH, max(50, 16 + 4 * len(by_part)) * MM)
        fig, (left, right) = plt.subplots(1, 2, figsize=size, width_ratios=(1, 1.6), layout="constrained")
        count = by_part.sum()[::-1]
        left.barh(range(len(count)), count, color=[MODALITIES.get(m, OTHER) for m in count.index])
        left.set_yticks(range(len(count)), count.index)
        _percent(left, count)
        start = np.zeros(len(by_part))
        for name, values in by_part.items():
            right.barh(
                range(len(by_part)), values, left=start, color=MODALITIES.get(name, OTHER), label=name, lw=0.3, ec="w"
            )
            start += values.to_numpy()
        right.set_yticks(range(len(by_part)), [_words(name) for name in by_part.index])
        _percent(right, by_part.sum(axis=1))
        right.legend(title="modality", frameon=False, loc="lower right")
        for ax, letter, title in ((left, "a", "Modality"), (right, "b", "Body part, by modality")):
            ax.set(xlabel="share of the images in %", title=title)
            ax.set_title(letter, loc="left", weight="bold")
            ax.tick_params(axis="y", length=0)
        text = f"n = {len(kept):,} images of {kept['path'].nunique():,} files in {kept['label'].nunique()} groups."
        return finish(fig, text, phantom)


def mosaic(
    images: np.ndarray,
    table: pd.DataFrame,
    summary: pd.DataFrame,
    groups: Iterable[int],
    *,
    each: int = 10,
    seed: int = 0,
    phantom: bool = False,
) -> Figure:
    """Draw `each` random members of some groups, one row per group, of different files, for a person to look at.

    `images` [N,H,W] are the store's, row by row with `table` (`groups.parquet`); `summary` has one row per group (its
    number, not its label, is the index). Random: the members, by (`seed`, group). Raises KeyError for a group that is
    not there.
    """
    import matplotlib.pyplot as plt

    groups = list(groups)
    described = [_describe(number, summary.loc[number]) for number in groups]
    with style():
        size = (PAPER_WIDTH, (SIDE + 1.5 * MM) * len(groups) + 6 * MM)
        widths = (2.2, *[1] * each)
        fig, axes = plt.subplots(
            len(groups), each + 1, figsize=size, squeeze=False, width_ratios=widths, layout="constrained"
        )
        for ax in axes.ravel():
            ax.set_axis_off()
        for number, text, row in zip(groups, described, axes, strict=True):
            row[0].text(0, 0.5, text, va="center", size=6, transform=row[0].transAxes)
            for ax, i in zip(row[1:], _members(table, number, each, seed), strict=False):
                ax.imshow(images[i], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        heading = f"Random members, one image per file, up to {each} of a group. Entropy: 0 = one value, 1 = all mixed."
        fig.suptitle(heading, x=0.012, ha="left", size=6.5, color="0.25")
        return finish(fig, "", phantom)


def _members(table: pd.DataFrame, group: int, each: int, seed: int) -> np.ndarray:
    """Return up to `each` row numbers of a group, at most one of each file, in the order they were drawn."""
    rows = np.random.default_rng([seed, group]).permutation(np.flatnonzero(table["group"] == group))
    return rows[~table["path"].iloc[rows].duplicated().to_numpy()][:each]


def _describe(group: int, row: pd.Series) -> str:
    lines = [f"group {group}, n = {row['size']:,} files"]
    for name, target in (("modality", "modality"), ("body_part", "body part")):
        share, entropy = row[f"{name}_share"], row[f"{name}_entropy"]
        known = f"{_words(row[name])} {share:.0%} (entropy {entropy:.2f})"
        lines.append(known if row[name] else f"{target} unknown")
    return "\n".join([*lines, "kept" if row["kept"] else "dropped"])


def _words(name: str) -> str:
    return WORDS.get(name, name if len(name) <= 2 else name[:1] + name[1:].lower())


def _order(modality: Iterable[str]) -> list[str]:
    found = set(modality)
    return [m for m in MODALITIES if m in found] + sorted(found.difference(MODALITIES))


def _percent(ax: Axes, values: Sequence[float]) -> None:
    for y, value in enumerate(values):
        ax.annotate(f"{value:.1f}", (value, y), (2, 0), textcoords="offset points", va="center", size=6)
    ax.set_xlim(0, 1.12 * max(values))
