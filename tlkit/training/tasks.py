"""A task kind: the head it needs, its loss, what it keeps of each image, and its metrics.

Metrics are computed from the kept predictions alone (`predictions_{val,test}.parquet`), so they can be recomputed
from a finished run without images or model.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from tlkit.config import ConfigError, lookup


class Multiclass:
    """One class an image. Keeps the class probabilities; selects on accuracy."""

    monitor = "accuracy"
    reported = ("accuracy",)  # the metrics that the figures of a paper show
    masks = False

    def __init__(self, classes: tuple[str, ...], weights: tuple[float, ...] | None = None):
        self.classes = classes
        self.weights = torch.tensor(weights, dtype=torch.float32) if weights else None

    def model(self, encoder: nn.Module) -> nn.Module:
        from tlkit.models.heads import classifier

        return classifier(encoder, len(self.classes))

    def loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the mean cross-entropy of logits [B,C] and class indices [B]."""
        weights = None if self.weights is None else self.weights.to(output.device)
        return F.cross_entropy(output.float(), target, weight=weights)

    def keep(self, output: torch.Tensor, target: torch.Tensor) -> dict[str, list]:
        probabilities = output.float().softmax(1).cpu().numpy()
        return {"target": target.cpu().tolist(), "output": list(probabilities)}

    def metrics(self, kept: pd.DataFrame, full: bool = True) -> dict[str, float]:
        """Return accuracy and, if `full`, macro F1 and macro one-against-rest AUC (0 to 1).

        A class that is absent from the targets has no AUC and is left out of its mean.
        """
        target, p = kept["target"].to_numpy(), np.stack(kept["output"].to_numpy())
        guess = p.argmax(1)
        values = {"accuracy": float((guess == target).mean())}
        if full:
            values["f1_macro"] = macro_f1(target, guess, len(self.classes))
            values["auc"] = macro_auc(target, p)
        return values


class Segmentation:
    """One class a pixel, 0 = background. Keeps the pixel counts of each slice; selects on the mean Dice.

    Dice of a class: 2|P∩T| / (|P|+|T|). Where prediction and truth are both empty it is undefined and left out of the
    mean; where only one is empty it is 0. Three ways of pooling: by "slice", by "case" (all slices of a patient; ours),
    and by "batch" of 128 slices (as published, spec 4).
    """

    monitor = "dice_mean"
    reported = ("dice_1", "dice_2")
    masks = True

    def __init__(self, classes: tuple[str, ...], weights: tuple[float, ...] | None = None):
        self.classes = classes
        self.weights = torch.tensor(weights, dtype=torch.float32) if weights else None

    def model(self, encoder: nn.Module) -> nn.Module:
        from tlkit.models.unet import UNet

        return UNet(encoder, len(self.classes))

    def loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the class-weighted pixel cross-entropy of logits [B,C,H,W] and labels [B,H,W]."""
        weights = None if self.weights is None else self.weights.to(output.device)
        return F.cross_entropy(output.float(), target.long(), weight=weights)

    def keep(self, output: torch.Tensor, target: torch.Tensor) -> dict[str, list]:
        guess, target = output.argmax(1).flatten(1), target.long().flatten(1)
        n = len(self.classes)
        code = (target * n + guess + torch.arange(len(guess), device=guess.device)[:, None] * n * n).flatten()
        confusion = torch.bincount(code, minlength=len(guess) * n * n).view(len(guess), n, n)
        true, pred = confusion.sum(2), confusion.sum(1)
        both = confusion.diagonal(dim1=1, dim2=2)
        return {name: list(v.cpu().numpy()) for name, v in (("target", true), ("output", pred), ("overlap", both))}

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


TASKS = {"multiclass": Multiclass, "segmentation": Segmentation}


def task(kind: str, classes: tuple[str, ...], weights: tuple[float, ...] | None = None) -> Multiclass | Segmentation:
    """Return the task of that kind for these class names; `weights` are the loss weights of the classes."""
    if weights is not None and len(weights) != len(classes):
        raise ConfigError(
            f"recipe.class_weights: expected {len(classes)} values ({', '.join(classes)}), found {len(weights)}."
        )
    return lookup(kind, TASKS, "task kind")(classes, weights)


def macro_f1(target: np.ndarray, guess: np.ndarray, classes: int) -> float:
    """Return the mean F1 over all classes; a class that is neither present nor predicted counts 0."""
    from sklearn.metrics import f1_score

    return float(f1_score(target, guess, labels=range(classes), average="macro", zero_division=0))


def macro_auc(target: np.ndarray, scores: np.ndarray) -> float:
    """Return the mean one-against-rest ROC-AUC over the classes with both positives and negatives; NaN if none.

    Args: target [N] class indices; scores [N,C]. By ranks with ties halved (Mann-Whitney), as sklearn's value.
    """
    from scipy.stats import rankdata

    values = []
    for c in range(scores.shape[1]):
        positive = target == c
        n_pos, n_neg = int(positive.sum()), int((~positive).sum())
        if n_pos and n_neg:
            rank_sum = rankdata(scores[:, c])[positive].sum()
            values.append((rank_sum - n_pos * (n_pos + 1) / 2) / (n_pos * n_neg))
    return float(np.mean(values)) if values else float("nan")


def overlap_metrics(kept: pd.DataFrame, pooling: str, batch: int = 128) -> dict[str, float]:
    """Return dice_c and iou_c of each foreground class c, pooled by "slice", "case" (patient) or "batch".

    Args: kept: one row a slice with `patient` and the pixel counts `target`, `output`, `overlap` [C] by class.
    Undefined values (class empty in truth and prediction of the pool) are left out; the "batch" mean is weighted by
    the slices in the batch, as published (spec 4, there in shuffled order). NaN where no pool has the class.
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
