"""What a task gives without a network: a constant answer, and a linear model of a few numbers about the grey values.

A result near them shows nothing of a pretraining. The third baseline, frozen random weights, is a run of its own: the
pretraining "scratch" in linear evaluation.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from tlkit.datasets.cards import MissingDataError
from tlkit.training.data import chosen_rows, open_data, task_of, training_rows
from tlkit.training.tasks import base_kind

CONSTANT, PIXELS = "no image", "pixel statistics"
QUANTILES = (0, 5, 25, 50, 75, 95, 100)
BINS = 16
COLUMNS = ["task", "metric", "baseline", "value", "n"]


def pixel_statistics(images: np.ndarray, span: tuple[float, float] | None = None) -> np.ndarray:
    """Return float64 [N,F] of images [N,H,W] or [N,H,W,C]: mean, sd, quantiles and a histogram of each channel.

    The 16 bins of the histogram share `span`, by default the range of all the images given.
    """
    channels = images if images.ndim == 4 else images[..., None]
    span = span or (channels.min(), channels.max())
    found = []
    for image in channels:
        for values in image.reshape(-1, image.shape[-1]).T.astype(np.float64):
            counts = np.histogram(values, BINS, span)[0] / len(values)
            found.append(np.concatenate([[values.mean(), values.std()], np.percentile(values, QUANTILES), counts]))
    return np.array(found).reshape(len(images), -1)


def baselines(configs: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Return the test metrics of both baselines for each task of the downstream `configs`: COLUMNS, n test images.

    Trained on the images that a run of the task has, the first config of each. "no image" answers with the classes'
    frequencies (regression: the median) in training; "pixel statistics" is a logistic (regression: ridge) regression of
    `pixel_statistics`, standardised. Segmentations have neither, nor has what has no images here. Deterministic.
    """
    rows = []
    for name, config in {c["task"]: c for c in reversed(list(configs))}.items():
        kind = base_kind(config["task_kind"])
        if kind == "segmentation":
            continue
        try:
            store, table = open_data(config["data"])
        except MissingDataError as error:  # its runs came in a pack
            print(f"{name}: no baselines, for its images are not here (python -m tlkit data show {error.card.name}).")
            continue
        job = task_of(config, table)
        train, test = training_rows(config, table), chosen_rows(config["data"], table, "test")
        target = job.targets(store.table).numpy()
        features = pixel_statistics(np.asarray(store.images[np.concatenate([train, test])]))
        for baseline, output in (
            (CONSTANT, _constant(kind, target[train], len(job.classes), len(test))),
            (PIXELS, _probe(kind, features, target[train], len(job.classes))),
        ):
            found = job.metrics(pd.DataFrame({"target": list(target[test]), "output": list(output)}), full=False)
            rows += [(name, metric, baseline, value, len(test)) for metric, value in found.items()]
    return pd.DataFrame(rows, columns=COLUMNS)


def _constant(kind: str, target: np.ndarray, classes: int, n: int) -> np.ndarray:
    """Return the same output for `n` images: what training says of all images alike."""
    if kind == "regression":
        return np.full(n, np.median(target))
    if kind == "multiclass":
        return np.tile(np.bincount(target, minlength=classes) / len(target), (n, 1))
    return np.repeat(target.mean(axis=0, keepdims=True), n, axis=0).astype(float)


def _probe(kind: str, features: np.ndarray, target: np.ndarray, classes: int) -> np.ndarray:
    """Return the outputs of a linear model for the rows of `features` after those of `target`, which train it."""
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    seen, unseen = features[: len(target)], features[len(target) :]
    if kind == "regression":
        with threadpool_limits(1):
            return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 3, 6))).fit(seen, target).predict(unseen)

    def probabilities(labels: np.ndarray, count: int) -> np.ndarray:
        out = np.zeros((len(unseen), count))
        known = np.unique(labels).astype(int)
        if len(known) == 1:
            out[:, known] = 1
            return out
        linear = LogisticRegression(max_iter=10_000, tol=1e-6)  # to the end: halfway, the rounding of threads is seen
        with threadpool_limits(1):
            out[:, known] = make_pipeline(StandardScaler(), linear).fit(seen, labels).predict_proba(unseen)
        return out

    if kind == "multilabel":
        return np.stack([probabilities(label, 2)[:, 1] for label in target.T], axis=1)
    return probabilities(target, classes) if kind == "multiclass" else probabilities(target, 2)[:, 1]
