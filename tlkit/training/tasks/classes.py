"""Tasks of labels for the whole image, and their metrics."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from tlkit.config import ConfigError

NO_FINDING = "No Finding"  # an output for the absence of findings is no finding


class Labels:
    """A task of labels for the whole image: one output each."""

    masks = False
    inputs: tuple[str, ...] = ()  # columns that the model gets beside the image
    counts: tuple[int, int | None] = (2, None)  # classes, from and to

    def __init__(self, classes: tuple[str, ...], weights: tuple[float, ...] | None = None, head_bias: bool = True):
        self.classes, self.head_bias = classes, head_bias
        self.weights = torch.tensor(weights, dtype=torch.float32) if weights else None

    def fit(self, table: pd.DataFrame) -> Labels:
        """Look at the labels of the training images, and return the task.

        Raises ConfigError where they are no numbers of the classes, or all the same.
        """
        found = table["label"].unique().tolist() if "label" in table else []
        if not found or not set(found) <= set(range(len(self.classes))):
            raise ConfigError(
                f"column 'label': expected numbers of the {len(self.classes)} classes {', '.join(self.classes)}, found "
                f"{found[:10] or 'none'}. See the task kind of the data set's card."
            )
        if len(found) < 2:
            raise ConfigError(
                f"all {len(table)} training images are of the class '{self.classes[found[0]]}', so there is nothing to "
                "tell apart. Take more images, or look how the reader finds the classes."
            )
        return self

    def model(self, encoder: nn.Module) -> nn.Module:
        """Return a classifier of the encoder's pooled features, one output a class."""
        from tlkit.models.heads import classifier

        return classifier(encoder, len(self.classes), self.head_bias)


class Multiclass(Labels):
    """One class per image. Keeps the class probabilities; selects on accuracy."""

    monitor = "accuracy"
    monitors = ("accuracy", "f1_macro", "log_loss")  # the metrics of an epoch, by which one can be selected
    reported = ("accuracy",)  # the metrics that the figures of a paper show

    def targets(self, table: pd.DataFrame) -> torch.Tensor:
        """Return the class index of every row of a store's table, int64 [N]."""
        return torch.tensor(table["label"].to_numpy(), dtype=torch.long)

    def loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the mean cross-entropy of logits [B,C] and class indices [B]."""
        weights = None if self.weights is None else self.weights.to(output.device)
        return F.cross_entropy(output.float(), target, weight=weights)

    def keep(self, output: torch.Tensor, target: torch.Tensor) -> dict[str, list]:
        """Return target and output (the probabilities) of each image of logits [B,C]."""
        probabilities = output.float().softmax(1).cpu().numpy()
        return {"target": target.cpu().tolist(), "output": list(probabilities)}

    def metrics(self, kept: pd.DataFrame, full: bool = True) -> dict[str, float]:
        """Return accuracy, macro F1 and log loss and, if `full`, macro precision, recall and one-against-rest AUC.

        A class that is absent from the targets has no AUC and is left out of its mean.
        """
        target, p = kept["target"].to_numpy(), np.stack(kept["output"].to_numpy())
        values = label_metrics(target, p.argmax(1), len(self.classes), full)
        values["log_loss"] = log_loss(p[np.arange(len(p)), target])
        return values | ({"auc": macro_auc(target, p)} if full else {})


class Binary(Labels):
    """One of two classes an image, one sigmoid output: the probability of the second. Selects on accuracy.

    The second of two loss `weights` over the first is the weight of a positive.
    """

    monitor = "accuracy"
    monitors = ("accuracy", "f1_macro", "log_loss")
    reported = ("f1_macro",)
    counts = (2, 2)
    targets = Multiclass.targets

    def model(self, encoder: nn.Module) -> nn.Module:
        """Return a classifier of the encoder's pooled features with one output."""
        from tlkit.models.heads import classifier

        return classifier(encoder, 1, self.head_bias)

    def loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the mean binary cross-entropy of logits [B,1] and labels 0 or 1 [B]."""
        weight = None if self.weights is None else (self.weights[1] / self.weights[0]).to(output.device)
        return F.binary_cross_entropy_with_logits(output[:, 0].float(), target.float(), pos_weight=weight)

    def keep(self, output: torch.Tensor, target: torch.Tensor) -> dict[str, list]:
        """Return target and output (the probability of label 1) of each image of logits [B,1]."""
        return {"target": target.cpu().tolist(), "output": output[:, 0].float().sigmoid().cpu().tolist()}

    def metrics(self, kept: pd.DataFrame, full: bool = True) -> dict[str, float]:
        """Return what `Multiclass.metrics` does, with 0.5 as the threshold; macro means are over both classes."""
        target, p = (kept[c].to_numpy() for c in ("target", "output"))
        values = label_metrics(target, (p > 0.5).astype(int), 2, full)
        values["log_loss"] = log_loss(np.where(target == 1, p, 1 - p))
        return values | ({"auc": class_auc(target[:, None] == 1, p[:, None])[0]} if full else {})


class Multilabel(Labels):
    """Any number of labels an image, one sigmoid output each. Keeps the probabilities; selects on the mean AUC.

    `weights` are the labels' weights in the loss. An output named "No Finding" is trained like the others, but left out
    of the mean AUC; only `auc_published` counts it in (jonske2025 4).
    """

    monitor = "auc"
    monitors = ("auc",)
    reported = ("auc",)
    counts = (1, None)

    def fit(self, table: pd.DataFrame) -> Multilabel:
        """Look at the labels of the training images, and return the task.

        Raises ConfigError where one has no column, holds anything but 0 and 1, or where none ever changes.
        """
        missing = [name for name in self.classes if name not in table]
        if missing:
            raise ConfigError(
                f"a multilabel task needs a column of 0 and 1 for each label, found none for {', '.join(missing)}. Of "
                "classes of which an image has one, it is `multiclass`."
            )
        values = table[list(self.classes)]
        if odd := [name for name in self.classes if not values[name].isin((0, 1)).all()]:
            raise ConfigError(f"columns {', '.join(odd)}: expected 0 or 1 for every training image.")
        if (values.nunique() < 2).all():
            raise ConfigError(f"no label changes between the {len(table)} training images: {', '.join(self.classes)}.")
        return self

    def targets(self, table: pd.DataFrame) -> torch.Tensor:
        """Return 1 for every label that a row of a store's table has and 0 for the others, float32 [N,C]."""
        return torch.tensor(table[list(self.classes)].to_numpy(np.float32))

    def loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the weighted binary cross-entropy of logits [B,C] and targets [B,C], mean over all B x C."""
        weights = None if self.weights is None else self.weights.to(output.device)
        return F.binary_cross_entropy_with_logits(output.float(), target, weight=weights)

    def keep(self, output: torch.Tensor, target: torch.Tensor) -> dict[str, list]:
        """Return target and output (the probability of each label) of each image of logits [B,C]."""
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


def label_metrics(target: np.ndarray, guess: np.ndarray, classes: int, full: bool = True) -> dict[str, float]:
    """Return accuracy, macro F1 and, if `full`, macro precision and recall (0 to 1) of class indices [N].

    A class that is neither present nor predicted counts 0 in the macro means.
    """
    counts = np.bincount(target * classes + guess, minlength=classes**2).reshape(classes, classes)
    right, true, told = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)

    def mean(part: np.ndarray, whole: np.ndarray) -> float:  # 0 where there is nothing to divide by
        return float(np.divide(part, whole, out=np.zeros(classes), where=whole > 0).mean())

    values = {"accuracy": float((guess == target).mean()), "f1_macro": mean(2 * right, true + told)}
    return values | ({"precision_macro": mean(right, told), "recall_macro": mean(right, true)} if full else {})


def log_loss(p: np.ndarray) -> float:
    """Return the mean of -ln p, where p [N] is each image's probability of its own class, taken to be 1e-7 or more."""
    return float(-np.log(np.clip(p.astype(np.float64), 1e-7, 1)).mean())


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
    for hit, ranks in zip(positive.T, rankdata(scores, axis=0).T, strict=True):
        n_pos, n_neg = int(hit.sum()), int((~hit).sum())
        rank_sum = ranks[hit].sum()
        both = n_pos and n_neg
        values.append(float((rank_sum - n_pos * (n_pos + 1) / 2) / (n_pos * n_neg)) if both else float("nan"))
    return values


def _mean(values: list[float]) -> float:
    """Return the mean of the values that are numbers; NaN where none is."""
    found = [v for v in values if not np.isnan(v)]
    return float(np.mean(found)) if found else float("nan")
