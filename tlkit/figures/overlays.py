"""Where in a slice is one segmentation right and another wrong (Fig. 7)? Slices are chosen by a rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tlkit.config import ConfigError
from tlkit.figures import finished
from tlkit.figures.agreement import kept_predictions
from tlkit.figures.finished import PredictionChangedError
from tlkit.report.lettering import finish
from tlkit.report.style import MM, PAPER_WIDTH, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

QUANTILES = (0.25, 0.5, 0.75, 1.0)
# What a pixel of two predictions is; the truth is the background, or a class of its own.
KINDS = ("only a, target", "only b, target", "only a, background", "only b, background", "both wrong")


def dice_difference(a: str, b: str, label: int = 1) -> pd.DataFrame:
    """Return id, patient, dice_a, dice_b and d of the test slices of two segmentation runs that show class `label`.

    d = dice_a - dice_b of that class (or region) by slice; sorted by d, then id. Slices without the class are left
    out: on them Dice is 0 or undefined, whatever the number of wrong pixels.
    Raises ConfigError for runs of another kind of task or with other test slices.
    """
    kept = [kept_predictions(rid, "segmentation") for rid in (a, b)]
    counts = [{c: np.stack(k[c].to_numpy()) for c in ("target", "output", "overlap")} for k in kept]
    same = len(kept[0]) == len(kept[1]) and (kept[0]["id"].to_numpy() == kept[1]["id"].to_numpy()).all()
    if not same or not np.array_equal(counts[0]["target"], counts[1]["target"]):
        raise ConfigError(f"{a} and {b} were tested on other slices or truths: compare runs of one task and data set.")
    true = counts[0]["target"][:, label]
    found = kept[0][["id", "patient"]].copy()
    for name, c in zip(("dice_a", "dice_b"), counts, strict=True):
        found[name] = 2 * c["overlap"][:, label] / np.maximum(true + c["output"][:, label], 1)
    found["d"] = found["dice_a"] - found["dice_b"]
    return found[true > 0].sort_values(["d", "id"]).reset_index(drop=True)


def choose(difference: pd.DataFrame, quantiles: Sequence[float] = QUANTILES) -> pd.DataFrame:
    """Return the slices to show: of those where a is better, and of those where b is, the ones at the quantiles of |d|.

    The rule is the same for both sides, so neither is favoured; `better` ("a" or "b"), `quantile`, and `of` (how many
    slices that side has) stand beside the columns of `dice_difference`. A slice at two quantiles is shown once (at the
    lower one); a side without slices gives none.
    """
    sides = []
    for better, side in (("a", difference[difference["d"] > 0]), ("b", difference[difference["d"] < 0])):
        side = side.assign(size=side["d"].abs()).sort_values(["size", "id"]).drop(columns="size")
        at = [round(q * (len(side) - 1)) for q in quantiles] if len(side) else []
        chosen = side.iloc[at].assign(better=better, quantile=quantiles[: len(at)], of=len(side))
        sides.append(chosen.drop_duplicates("id"))
    return pd.concat(sides, ignore_index=True)


def random_slices(a: str, b: str, count: int = 4, seed: int = 0, label: int = 1) -> pd.DataFrame:
    """Return `dice_difference` of `count` random test slices that show class `label`, one a patient while they last.

    The draw is a permutation, by `seed`, of their sorted ids: neither run has a say. Slices of one patient are
    neighbours and look alike, so each patient comes once before any comes twice. `of`: how many slices there are.
    Raises ConfigError where no test slice shows the class.
    """
    found = dice_difference(a, b, label).set_index("id")
    if found.empty:
        raise ConfigError(f"{a}: no test slice shows class {label}, so there is no mask to look at.")
    drawn = found.loc[finished.draw_ids(found.index, len(found), seed)].assign(of=len(found)).reset_index()
    turn = drawn.groupby("patient").cumcount()
    return drawn.loc[turn.sort_values(kind="stable").index].head(count).reset_index(drop=True)


def predict_masks(rid: str, ids: Sequence[str]) -> np.ndarray:
    """Return the masks uint8 [n,H,W] that the finished segmentation run `rid` predicts for the test slices `ids`.

    The weights are loaded again. Raises PredictionChangedError where they do not give the pixel counts that the run
    kept (more than 1 % of a slice's pixels; other devices round differently), ConfigError for an id that is
    not in its test set.
    """
    import torch

    from tlkit.training.supervised import cut_middle

    kept = kept_predictions(rid, "segmentation").set_index("id")
    if unknown := [i for i in ids if i not in kept.index]:
        raise ConfigError(f"{rid} has no test slice {unknown[0]}; its {len(kept)} ids are such as {kept.index[0]}")
    run, found = finished.load(rid), []
    for name, row in zip(ids, run.rows(ids), strict=True):
        with torch.inference_mode(), run.computing():
            output = run.model(run.views([name]))
        truth = cut_middle(run.store.take(np.array([row]))[1], run.recipe).to(output.device)
        moved = np.abs(run.job.keep(output, truth)["output"][0] - kept.at[name, "output"]).max()
        if moved > 0.01 * truth.numel():
            raise PredictionChangedError(f"{rid}, slice {name}: {moved} pixels differ from what the run kept")
        found.append(output.argmax(1)[0].to(torch.uint8).cpu().numpy())
    return np.stack(found) if found else np.zeros((0, *run.store.images.shape[1:3]), np.uint8)


def slices(rid: str, ids: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the slices `ids` as float32 [n,H,W] in [0,1] (of colour the first channel) and their masks [n,H,W]."""
    images, truths = finished.load(rid).pictures(ids)
    return images[..., 0] if images.ndim == 4 else images, truths


def pixel_kinds(truth: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return [..., H, W] of uint8: 0 where both are right, else 1 + the pixel's place in KINDS.

    Right means the exact class, background included: "only a, background" is a false positive of b. The published
    figure leaves the background out (jonske2025 5.9).
    """
    right_a, right_b, target = a == truth, b == truth, truth > 0
    conditions = [
        right_a & ~right_b & target,
        ~right_a & right_b & target,
        right_a & ~right_b & ~target,
        ~right_a & right_b & ~target,
        ~right_a & ~right_b,
    ]
    return np.select(conditions, range(1, len(KINDS) + 1), 0).astype(np.uint8)


COLOURS = ("#0072b2", "#e69f00", "#9bd4f5", "#f7dc9c", "#cc79a7")  # in the order of KINDS
LABELS = (
    "target, only {a} is right",
    "target, only {b} is right",
    "background, only {a} is right",
    "background, only {b} is right",
    "both are wrong",
)


def draw(
    images: np.ndarray,
    truths: np.ndarray,
    kinds: np.ndarray,
    chosen: pd.DataFrame,
    names: Sequence[str],
    phantom: bool = False,
    classes: Sequence[str] = (),
) -> Figure:
    """Draw the slices of `choose`, first those where model a is better, then those where b is.

    Args: images [n,H,W] grey; truths [n,H,W] labels, outlined (white: class 1, black: higher ones); kinds [n,H,W] of
    `pixel_kinds`; `names` of models a and b; `classes`: what is outlined white, and black. A side without slices says
    so, and both do where the runs have the same Dice on every slice. Source: Jonske et al. 2025, Fig. 7 (target pixels
    only).
    """
    import matplotlib.pyplot as plt
    from matplotlib.patches import Patch

    columns = max(1, *(int((chosen["better"] == better).sum()) for better in "ab"))
    wide = PAPER_WIDTH / max(columns, 4)
    with style():
        size = (PAPER_WIDTH, 2 * (wide + 8 * MM) + 18 * MM)
        fig, grid = plt.subplots(2, columns, figsize=size, squeeze=False, layout="constrained")
        for ax in grid.ravel():
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        for axes, better in zip(grid, "ab", strict=True):
            rows = np.flatnonzero(chosen["better"] == better)
            of = chosen["of"].iloc[rows[0]] if len(rows) else 0
            axes[0].set_ylabel(f"{names['ab'.index(better)]} better\n({of} slices)", weight="bold")
            for ax, i in zip(axes, rows, strict=False):
                _slice(ax, images[i], truths[i], kinds[i])
                row = chosen.iloc[i]
                ax.set_title(f"{finished.shorten(row['id'])} (quantile {row['quantile']:g})", size=6)
                ax.set_xlabel(f"Dice {row['dice_a']:.2f} / {row['dice_b']:.2f}", size=6, labelpad=2)
        marks = [Patch(color=c, label=t.format(a=names[0], b=names[1])) for c, t in zip(COLOURS, LABELS, strict=True)]
        outlines = zip(("white", "black"), classes or ("class 1", "higher classes"), strict=False)
        marks += [Patch(fc="0.6", ec=c, lw=1.2, label=f"outline: true {name}") for c, name in outlines]
        fig.legend(handles=marks, loc="outside upper left", ncols=2, frameon=False)
        return finish(fig, f"Dice of {names[0]} / {names[1]} below each slice.", phantom)


def _slice(ax: Axes, image: np.ndarray, truth: np.ndarray, kinds: np.ndarray) -> None:
    from matplotlib.colors import BoundaryNorm, ListedColormap

    ax.imshow(image, cmap="gray", interpolation="nearest")
    norm = BoundaryNorm(np.arange(len(KINDS) + 1) + 0.5, len(KINDS))
    shown = np.ma.masked_equal(kinds, 0)
    ax.imshow(shown, cmap=ListedColormap(COLOURS), norm=norm, interpolation="nearest", alpha=0.8)
    for label in range(1, int(truth.max()) + 1):
        if (truth == label).any():
            ax.contour(truth == label, [0.5], colors="white" if label == 1 else "black", linewidths=0.7)
