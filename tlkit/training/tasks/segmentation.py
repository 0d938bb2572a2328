"""The task of a class for every pixel, and its metrics."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from tlkit.config import lookup
from tlkit.models.unet import segmenter


class Segmentation:
    """One class per pixel, 0 = background. Keeps the pixel counts of each slice; selects on the mean Dice.

    Dice of a class: 2|P∩T| / (|P|+|T|). Where prediction and truth are both empty it is undefined and left out of the
    mean; where only one is empty it is 0. Three ways of pooling: by "slice", by "case" (all slices of a patient; ours),
    and by "batch" of 128 slices (as published, jonske2025 4). `regions` are unions of classes by name, such as
    BraTS's whole tumour: the counts, and so all metrics, are then of the regions in their order instead of the classes.
    """

    monitor = "dice_mean"
    monitors = ("dice_mean", "dice_1", "dice_2", "dice_3")  # as many as there are
    reported = ("dice_1", "dice_2", "dice_3")  # as many as there are
    masks = True
    inputs: tuple[str, ...] = ()
    counts = (2, None)

    def __init__(
        self,
        classes: tuple[str, ...],
        weights: tuple[float, ...] | None = None,
        regions: dict[str, tuple[str, ...]] | None = None,
        loss: str = "cross_entropy",
        decoder: str = "unet",
    ):
        self.classes, self.minimised, self.decoder = classes, loss, decoder
        self.weights = torch.tensor(weights, dtype=torch.float32) if weights else None
        parts = [(name,) for name in classes] if regions is None else [classes[:1], *regions.values()]
        for name in chain.from_iterable(parts):
            lookup(name, dict.fromkeys(classes), "class of a region")
        self.member = np.array([[name in part for name in classes] for part in parts], dtype=np.int64)

    def fit(self, table: pd.DataFrame) -> Segmentation:
        """Return the task: its masks are not in the table, and the reader has held them against the classes."""
        return self

    def model(self, encoder: nn.Module) -> nn.Module:
        """Return the encoder with its decoder to one map a class."""
        return segmenter(encoder, len(self.classes), self.decoder)

    def loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the class-weighted pixel cross-entropy (or `dice_loss`) of logits [B,C,H,W] and labels [B,H,W]."""
        if self.minimised == "dice":
            return dice_loss(output, target)
        weights = None if self.weights is None else self.weights.to(output.device)
        return F.cross_entropy(output.float(), target.long(), weight=weights)

    def keep(self, output: torch.Tensor, target: torch.Tensor) -> dict[str, list]:
        """Return target, output and overlap of each image of logits [B,C,H,W]: the pixels of each class or region."""
        guess, target = output.argmax(1).flatten(1), target.long().flatten(1)
        n = len(self.classes)
        code = (target * n + guess + torch.arange(len(guess), device=guess.device)[:, None] * n * n).flatten()
        confusion = torch.bincount(code, minlength=len(guess) * n * n).view(len(guess), n, n).cpu().numpy()
        true, pred = confusion.sum(2) @ self.member.T, confusion.sum(1) @ self.member.T
        both = np.einsum("ri,bij,rj->br", self.member, confusion, self.member)
        return {"target": list(true), "output": list(pred), "overlap": list(both)}

    def metrics(self, kept: pd.DataFrame, full: bool = True) -> dict[str, float]:
        """Return Dice (and IoU if `full`) by case of each foreground class, their mean, and the other poolings."""
        values = overlap_metrics(kept, "case")
        dice = {k: v for k, v in values.items() if k.startswith("dice_")}
        found = [v for v in dice.values() if not np.isnan(v)]
        values["dice_mean"] = float(np.mean(found)) if found else 0.0
        if not full:
            return {k: v for k, v in values.items() if k.startswith("dice_")}
        for pooling in ("slice", "batch"):
            values |= {f"{k}_{pooling}": v for k, v in overlap_metrics(kept, pooling).items()}
        return values


def dice_loss(output: torch.Tensor, target: torch.Tensor, missed: float = 8.0) -> torch.Tensor:
    """Return soft Dice loss plus `missed` times that of the overlap alone, which punishes what is not found.

    Args: output logits [B,C,H,W], target [B,H,W]; all classes but 0 count as one. Per image, smoothed by 1.
    Source: radiologynet2025 2.5.
    """
    p, y = 1 - output.float().softmax(1)[:, 0], (target > 0).float()

    def loss(guess: torch.Tensor) -> torch.Tensor:
        both, size = (guess * y).flatten(1).sum(1), guess.flatten(1).sum(1) + y.flatten(1).sum(1)
        return (1 - (2 * both + 1) / (size + 1)).mean()

    return loss(p) + missed * loss(p * y)


def overlap_metrics(kept: pd.DataFrame, pooling: str, batch: int = 128) -> dict[str, float]:
    """Return dice_c and iou_c of each foreground class c, pooled by "slice", "case" (patient) or "batch".

    Args: kept: one row per slice with `patient` and the pixel counts `target`, `output`, `overlap` [C] by class.
    Undefined values (class empty in truth and prediction of the pool) are left out; the "batch" mean is weighted by
    the slices in the batch, as published (jonske2025 4, there in shuffled order). NaN where no pool has the class.
    """
    pools = {
        "slice": lambda: np.arange(len(kept)),
        "case": lambda: pd.factorize(kept["patient"])[0],
        "batch": lambda: np.arange(len(kept)) // batch,
    }
    pool = lookup(pooling, pools, "pooling")()
    counts = np.stack([np.stack(kept[c].to_numpy()) for c in ("target", "output", "overlap")]).astype(np.float64)
    n = pool.max() + 1 if len(pool) else 0
    summed = np.zeros((3, n, counts.shape[2]))
    np.add.at(summed, (slice(None), pool), counts)
    true, pred, both = summed
    weight = np.bincount(pool, minlength=n) if pooling == "batch" else np.ones(n)
    values = {}
    for c in range(1, counts.shape[2]):
        there = (true[:, c] + pred[:, c]) > 0
        for name, top, bottom in (
            ("dice", 2 * both[:, c], true[:, c] + pred[:, c]),
            ("iou", both[:, c], true[:, c] + pred[:, c] - both[:, c]),
        ):
            w = weight[there]
            values[f"{name}_{c}"] = (
                float(np.average(top[there] / bottom[there], weights=w)) if there.any() else float("nan")
            )
    return values
