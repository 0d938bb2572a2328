"""Example predictions (Fig. S1): test images on which every pretraining is right, and images on which one is wrong."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from tlkit.config import ConfigError
from tlkit.datasets import card_in
from tlkit.figures import finished
from tlkit.figures.gradcam import list_answers
from tlkit.names import NAMES
from tlkit.report.lettering import finish
from tlkit.report.style import BETTER, MM, PAPER_WIDTH, WORSE, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NEAR = {"months": 12}  # unit -> the largest error that counts as right
SETS = {"consensus": "all are right", "hard": "at least one is wrong"}


class Examples(NamedTuple):
    """Test images and what each pretraining said of them: see `examples`."""

    frame: pd.DataFrame
    images: np.ndarray
    right: str


def examples(ids: Mapping[str, str], count: int = 3, seed: int = 0) -> Examples:
    """Return `count` test images of each of SETS, drawn by `seed`, and what finished runs (pretraining -> run) said.

    frame: one row per image and pretraining: set, of (how many test images the set has), item (place in `images`), id,
    patient, true, pretraining, run, predicted, right; a set without images has no rows. images: float32 [n,H,W] or
    [n,H,W,3] in 0..1. right: what counts as right, in words. A class is right where it is the true one; a number where
    it is near enough (NEAR of its unit, else a tenth of the range of the true ones).
    Raises ConfigError for segmentation and for runs that were tested on other images.
    """
    everything = finished.check_same_test(ids.values())
    said, rule = answers(ids)
    right = said.pivot(index="id", columns="pretraining", values="right").all(axis=1)
    parts = []
    for name, members in (("consensus", right.index[right]), ("hard", right.index[~right])):
        for image in finished.draw_ids(members, count, seed):
            parts.append(said[said["id"] == image].assign(set=name, of=len(members)))
    if not parts:
        raise ConfigError(f"no test image to show: the runs kept {len(everything)} predictions and {count} are wanted.")
    frame = pd.concat(parts, ignore_index=True)
    shown = list(dict.fromkeys(frame["id"]))
    frame["item"] = frame["id"].map({image: i for i, image in enumerate(shown)})
    images, _ = finished.load(next(iter(ids.values()))).pictures(shown)
    first = ["set", "of", "item", "id", "patient", "true", "pretraining", "run", "predicted", "right"]
    return Examples(frame[first], images, rule)


def answers(ids: Mapping[str, str]) -> tuple[pd.DataFrame, str]:
    """Return what each run said of each test image (one row each: see `examples`), and what counts as right."""
    kinds = {finished.config_of(rid)["task_kind"] for rid in ids.values()}
    if kinds == {"regression"}:
        return _numbers(ids)
    parts = []
    for pretraining, rid in ids.items():
        found = list_answers(rid, finished.predictions(rid)["id"].tolist(), finished.class_names(rid))
        parts.append(found.assign(pretraining=pretraining, run=rid))
    return pd.concat(parts, ignore_index=True), "the most probable class is the true one"


def _numbers(ids: Mapping[str, str]) -> tuple[pd.DataFrame, str]:
    kept = {p: finished.predictions(rid) for p, rid in ids.items()}
    errors = {p: (k["output"] - k["target"]).abs() for p, k in kept.items()}
    options = card_in(finished.config_of(next(iter(ids.values())))["data"]).options
    unit = f" {options['unit']}" if "unit" in options else ""
    true_ones = next(iter(kept.values()))["target"]
    limit = NEAR.get(options.get("unit", ""), float(np.ptp(true_ones)) / 10)
    parts = []
    for pretraining, rid in ids.items():
        found = kept[pretraining]
        true = [f"{v:.0f}{unit}" for v in found["target"]]
        predicted = [f"{v:.0f}{unit}, {e:.0f} off" for v, e in zip(found["output"], errors[pretraining], strict=True)]
        right = errors[pretraining] <= limit
        part = found[["id", "patient"]].assign(true=true, predicted=predicted, right=right)
        parts.append(part.assign(pretraining=pretraining, run=rid))
    return pd.concat(parts, ignore_index=True), f"the error is at most {limit:g}{unit}"


MASK, TRUTH = "#e69f00", "#56b4e9"
LINE, GAP, LEFT, TOP, FOOT = 3.2, 1.5, 26.0, 17.0, 7.0  # mm: a line of text, between images, the margins


def draw_predictions(
    panels: Mapping[str, Examples], *, names: Mapping[str, str] | None = None, phantom: bool = False
) -> Figure:
    """Draw one row per task (its title -> `examples`): left images of consensus, right hard ones.

    Below each image stands what is true and what each pretraining said, wrong answers coloured and crossed.
    Raises ValueError without panels. Source: Sci Rep 2025 (RadiologyNET), Fig. S1.
    """
    import matplotlib.pyplot as plt

    if not panels:
        raise ValueError("no task to draw; `python -m tlkit plan` lists which runs are missing")
    names = NAMES | (names or {})
    frames = [found.frame for found in panels.values()]
    count = max(f.drop_duplicates("item").groupby("set").size().max() for f in frames)
    lines = max(f["pretraining"].nunique() for f in frames) + 1
    side = (PAPER_WIDTH / MM - LEFT - 2 * GAP) / (2 * count) - GAP
    block = side + lines * LINE + 8
    with style():
        fig = plt.figure(figsize=(PAPER_WIDTH, (TOP + len(panels) * block + FOOT) * MM))
        for i, (title, found) in enumerate(panels.items()):
            for j, name in enumerate(SETS):
                left = LEFT + j * (count * (side + GAP) + 2 * GAP)
                axes = [_square(fig, left + k * (side + GAP), TOP + i * block, side) for k in range(count)]
                _set(axes, found.frame[found.frame["set"] == name], found.images)
                if i == 0:
                    _beside(axes[0], f"{name}: {SETS[name]}", 0, 10, weight="bold", size=7.5)
                if j == 0:
                    _row_names(axes[0], title, ["true", *(names.get(p, p) for p in _order(found.frame))])
        rules = pd.Series({title: found.right for title, found in panels.items()})
        footer = "; ".join(f"{rule} ({' / '.join(part)})" for rule, part in rules.groupby(rules).groups.items())
        fig.suptitle("Example predictions", x=0.012, y=1 - 1.5 / (fig.get_figheight() / MM), ha="left", va="top",
                     weight="bold", size=8.5)  # fmt: skip
        return finish(fig, f"Right means: {footer}.", phantom)


def _square(fig: Figure, left: float, top: float, side: float) -> Axes:
    """Return axes of `side` mm, `left` and `top` mm from the figure's upper left corner."""
    width, height = (v / MM for v in fig.get_size_inches())
    ax = fig.add_axes((left / width, 1 - (top + side) / height, side / width, side / height))
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def _set(axes: Sequence[Axes], part: pd.DataFrame, images: np.ndarray) -> None:
    """Draw the images of one set of one task; the first says of how many they were drawn."""
    of = part["of"].iloc[0] if len(part) else 0
    _beside(axes[0], f"of {of} test images" if len(part) else "no test image", 0, 2, size=6, color="0.35")
    for ax, (item, facts) in zip(axes, part.groupby("item", sort=False), strict=False):
        ax.imshow(images[item], cmap="gray", vmin=0, vmax=1)
        _beside(ax, facts["true"].iloc[0], 0, 0, line=1)
        for i, one in enumerate(facts.itertuples(), 2):
            colour, mark = (BETTER, "") if one.right else (WORSE, "✗ ")
            _beside(ax, f"{mark}{one.predicted}", 0, 0, line=i, color=colour)


def _row_names(ax: Axes, title: str, names: Sequence[str]) -> None:
    look = {"rotation": 90, "va": "center", "ha": "center", "weight": "bold", "size": 6.5}
    place = (-LEFT * 72 / 25.4 + 14, 0)
    lines = title.replace(", ", "\n").replace(" for ", "\nfor ")
    ax.annotate(lines, (0, 0.5), place, "axes fraction", "offset points", **look)
    for i, name in enumerate(names, 1):
        _beside(ax, name, -4, 0, line=i, ha="right", color="0.35")


def _beside(ax: Axes, text: str, x: float, y: float, line: int = 0, **look) -> None:
    """Write above the axes (`x`, `y` in points from their upper left), or in a line below them."""
    at = (x, -(line - 0.2) * LINE * 72 / 25.4) if line else (x, y)
    ax.annotate(text, (0, 0 if line else 1), at, "axes fraction", "offset points", **{"size": 6} | look)


def _order(frame: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(frame["pretraining"]))


def draw_masks(
    images: np.ndarray,
    truths: np.ndarray,
    guesses: Mapping[str, np.ndarray],
    chosen: pd.DataFrame,
    label: int = 1,
    *,
    title: str = "",
    phantom: bool = False,
) -> Figure:
    """Draw one column per item: the image with its true mask, then the mask of each of two runs with its Dice.

    Args: images [n,H,W] in 0..1; truths [n,H,W]; guesses: two names -> masks [n,H,W], in the order a, b of `chosen`,
    which is `overlays.random_slices` (id, dice_a, dice_b); label: the class drawn.
    Source: Sci Rep 2025 (RadiologyNET), Fig. 4.
    """
    import matplotlib.pyplot as plt

    n, shown = len(images), {"truth": truths, **guesses}
    wide = min(PAPER_WIDTH / n, 40 * MM)
    with style():
        size = (n * wide + 8 * MM, len(shown) * (wide + 4.5 * MM) + 16 * MM)
        fig, axes = plt.subplots(len(shown), n, figsize=size, squeeze=False, layout="constrained")
        for row, (name, found) in zip(axes, shown.items(), strict=True):
            row[0].set_ylabel("\n".join(textwrap.fill(part, 22) for part in name.splitlines()), weight="bold")
            for ax, image, mask, truth in zip(row, images, found, truths, strict=True):
                ax.imshow(image, cmap="gray", vmin=0, vmax=1)
                if name != "truth":
                    filled = np.ma.masked_equal((mask == label).astype(float), 0)
                    ax.imshow(filled, cmap=_one_colour(MASK), vmin=0, vmax=1, alpha=0.6, interpolation="nearest")
                if (truth == label).any():
                    ax.contour(truth == label, [0.5], colors=TRUTH, linewidths=0.8)
                ax.set(xticks=[], yticks=[])
                ax.spines[:].set_visible(False)
        for ax, name in zip(axes[0], chosen["id"], strict=True):
            ax.set_title(finished.shorten(name), size=6, pad=2)
        for row, column in zip(axes[1:], ("dice_a", "dice_b"), strict=True):
            for ax, value in zip(row, chosen[column], strict=True):
                ax.set_xlabel(f"Dice {value:.2f}", size=6.5, labelpad=2)
        fig.suptitle(title or " ", x=0.012, ha="left", weight="bold", size=8.5)
        return finish(fig, "Blue outline: truth; orange: what the model marked.", phantom)


def _one_colour(colour: str):
    from matplotlib.colors import ListedColormap

    return ListedColormap([colour])
