"""A task kind: the head it needs, its loss, what it keeps of each image, and its metrics.

Metrics are computed from the kept predictions alone (`predictions_{val,test}.parquet`), so they can be recomputed
from a finished run without images or model.
"""

from __future__ import annotations

from itertools import chain

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from tlkit.config import ConfigError, lookup

NO_FINDING = "No Finding"  # an output for the absence of findings is no finding


class _Labels:
    """A task of labels for the whole image: one output each."""

    masks = False

    def __init__(self, classes: tuple[str, ...], weights: tuple[float, ...] | None = None):
        self.classes = classes
        self.weights = torch.tensor(weights, dtype=torch.float32) if weights else None

    def model(self, encoder: nn.Module) -> nn.Module:
        from tlkit.models.heads import classifier

        return classifier(encoder, len(self.classes))


class Multiclass(_Labels):
    """One class an image. Keeps the class probabilities; selects on accuracy."""

    monitor = "accuracy"
    reported = ("accuracy",)  # the metrics that the figures of a paper show

    def targets(self, table: pd.DataFrame) -> torch.Tensor:
        """Return the class index of every row of a store's table, int64 [N]."""
        return torch.tensor(table["label"].to_numpy(), dtype=torch.long)

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


class Multilabel(_Labels):
    """Any number of labels an image, one sigmoid output each. Keeps the probabilities; selects on the mean AUC.

    `weights` are the labels' weights in the loss. An output named "No Finding" is trained like the others, but left out
    of the mean AUC; only `auc_published` counts it in (spec 4).
    """

    monitor = "auc"
    reported = ("auc",)

    def targets(self, table: pd.DataFrame) -> torch.Tensor:
        """Return 1 for every label that a row of a store's table has and 0 for the others, float32 [N,C]."""
        return torch.tensor(table[list(self.classes)].to_numpy(np.float32))

    def loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the weighted binary cross-entropy of logits [B,C] and targets [B,C], mean over all B x C."""
        weights = None if self.weights is None else self.weights.to(output.device)
        return F.binary_cross_entropy_with_logits(output.float(), target, weight=weights)

    def keep(self, output: torch.Tensor, target: torch.Tensor) -> dict[str, list]:
        probabilities = output.float().sigmoid().cpu().numpy()
        return {"target": list(target.cpu().numpy().astype(np.uint8)), "output": list(probabilities)}

    def metrics(self, kept: pd.DataFrame, full: bool = True) -> dict[str, float]:
        """Return `auc` (0 to 1), the mean over the findings; if `full`, also that of each label and `auc_published`.

        A label that all or none of the images have has no AUC (NaN) and is left out of the means.
        """
        target, p = (np.stack(kept[column].to_numpy()) for column in ("target", "output"))
        each = dict(zip(self.classes, class_auc(target > 0, p), strict=True))
        values = {"auc": _mean([v for name, v in each.items() if name != NO_FINDING])}
        if full:
            values |= {f"auc_{name}": v for name, v in each.items()}
            if NO_FINDING in each:
                values["auc_published"] = _mean(list(each.values()))
        return values


class Segmentation:
    """One class a pixel, 0 = background. Keeps the pixel counts of each slice; selects on the mean Dice.

    Dice of a class: 2|P∩T| / (|P|+|T|). Where prediction and truth are both empty it is undefined and left out of the
    mean; where only one is empty it is 0. Three ways of pooling: by "slice", by "case" (all slices of a patient; ours),
    and by "batch" of 128 slices (as published, spec 4). `regions` are unions of classes by name, such as BraTS's whole
    tumour: the counts, and so all metrics, are then of the regions in their order instead of the classes.
    """

    monitor = "dice_mean"
    reported = ("dice_1", "dice_2", "dice_3")  # as many as there are
    masks = True

    def __init__(
        self,
        classes: tuple[str, ...],
        weights: tuple[float, ...] | None = None,
        regions: dict[str, tuple[str, ...]] | None = None,
    ):
        self.classes = classes
        self.weights = torch.tensor(weights, dtype=torch.float32) if weights else None
        parts = [(name,) for name in classes] if regions is None else [classes[:1], *regions.values()]
        for name in chain.from_iterable(parts):
            lookup(name, dict.fromkeys(classes), "class of a region")
        self.member = np.array([[name in part for name in classes] for part in parts], dtype=np.int64)

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


TASKS = {"multiclass": Multiclass, "multilabel": Multilabel, "segmentation": Segmentation}


def task(
    kind: str,
    classes: tuple[str, ...],
    weights: tuple[float, ...] | None = None,
    regions: dict[str, tuple[str, ...]] | None = None,
) -> Multiclass | Multilabel | Segmentation:
    """Return the task of that kind for these class names; `weights` are the loss weights of the classes.

    `regions` (segmentation only): unions of classes that are measured in the place of the classes.
    """
    if weights is not None and len(weights) != len(classes):
        raise ConfigError(
            f"recipe.class_weights: expected {len(classes)} values ({', '.join(classes)}), found {len(weights)}."
        )
    made = lookup(kind, TASKS, "task kind")
    return made(classes, weights, regions) if regions else made(classes, weights)


def macro_f1(target: np.ndarray, guess: np.ndarray, classes: int) -> float:
    """Return the mean F1 over all classes; a class that is neither present nor predicted counts 0."""
    from sklearn.metrics import f1_score

    return float(f1_score(target, guess, labels=range(classes), average="macro", zero_division=0))


def macro_auc(target: np.ndarray, scores: np.ndarray) -> float:
    """Return the mean one-against-rest ROC-AUC over the classes with both positives and negatives; NaN if none.

    Args: target [N] class indices; scores [N,C].
    """
    return _mean(class_auc(target[:, None] == np.arange(scores.shape[1]), scores))


def class_auc(positive: np.ndarray, scores: np.ndarray) -> list[float]:
    """Return the ROC-AUC of each class, NaN where positives or negatives are missing.

    Args: positive [N,C] bool; scores [N,C]. By ranks with ties halved (Mann-Whitney), as sklearn's value.
    """
    from scipy.stats import rankdata

    values = []
    for hit, score in zip(positive.T, scores.T, strict=True):
        n_pos, n_neg = int(hit.sum()), int((~hit).sum())
        rank_sum = rankdata(score)[hit].sum()
        both = n_pos and n_neg
        values.append(float((rank_sum - n_pos * (n_pos + 1) / 2) / (n_pos * n_neg)) if both else float("nan"))
    return values


def _mean(values: list[float]) -> float:
    """Return the mean of the values that are numbers; NaN where none is."""
    found = [v for v in values if not np.isnan(v)]
    return float(np.mean(found)) if found else float("nan")


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
