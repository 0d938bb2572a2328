"""Frozen features and what they are to tell: checked once, and dealt into patient-disjoint parts.

`target` by the kind of task: multiclass and binary int [N], class indices; multilabel 0 or 1 [N,C]; regression [N].
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from tlkit.config import TlkitError, lookup

KINDS = ("multiclass", "binary", "multilabel", "regression")  # of a segmentation, the pixels of a map are rows
BINS = 5  # of a number, for folds that are alike
MANY = 2000  # images, of which three parts are enough
Parts = list[tuple[np.ndarray, np.ndarray]]  # rows that train, rows that test


class ScoreError(TlkitError, ValueError):
    """Features or targets that no score can be computed of."""


def check_target(features: np.ndarray, target: Sequence, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return features as float64 [N,D] and the target as int64 or float64.

    Raises: UnknownNameError for a kind, ScoreError for shapes that do not fit, values that are no finite numbers, and a
    target that is the same for all images.
    """
    lookup(kind, dict.fromkeys(KINDS), "task kind")
    found, wanted = np.asarray(features, dtype=np.float64), np.asarray(target, dtype=np.float64)
    axes = 2 if kind == "multilabel" else 1
    if found.ndim != 2 or wanted.ndim != axes or len(found) != len(wanted) or not found.size:
        raise ScoreError(
            f"expected features [images, numbers] and a target of as many images with {axes} "
            f"{'axes' if axes > 1 else 'axis'} ({kind}), found {list(found.shape)} and {list(wanted.shape)}."
        )
    for what, values in (("features", found), ("target", wanted)):
        if odd := int((~np.isfinite(values)).any(axis=tuple(range(1, values.ndim))).sum()):
            raise ScoreError(f"{what} of {odd} of {len(values)} images are no finite numbers; leave those images out.")
    if (wanted == wanted[:1]).all():
        one = f"{wanted.ravel()[0]:g}" if axes == 1 else "the same labels"
        raise ScoreError(f"all {len(wanted)} images have {one} as their target, so there is nothing to tell apart.")
    if kind == "regression":
        return found, wanted
    whole = wanted.astype(np.int64)
    most = {"multiclass": len(wanted) - 1}.get(kind, 1)
    if (whole != wanted).any() or whole.min() < 0 or whole.max() > most:
        raise ScoreError(
            f"a {kind} target is whole numbers from 0 to {most}, found {wanted.min():g} to {wanted.max():g}."
            + (" Numbers are a regression." if kind == "multiclass" else "")
        )
    return found, whole


def folds(target: np.ndarray, kind: str, patients: Sequence | None = None, count: int = 0, seed: int = 0) -> Parts:
    """Return `count` parts as (rows that train, rows that test): each row tests once, no patient is on both sides.

    Classes (of a number: fifths; of several labels: the rarest that an image has) are spread evenly as far as patients
    allow; `seed` deals them. `count` 0 stands for five, and for three of MANY images or more, which takes half the
    time. Without `patients` each image is one; with fewer patients than parts there are fewer parts.
    Raises ScoreError for fewer than two patients.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    groups = np.arange(len(target)) if patients is None else np.unique(np.asarray(patients), return_inverse=True)[1]
    if len(groups) != len(target):
        raise ScoreError(f"expected a patient for each of {len(target)} images, found {len(groups)}.")
    there = len(np.unique(groups))
    if there < 2:
        raise ScoreError(f"expected two or more patients, to train on some and to test on others, found {there}.")
    count = min(count or (5 if len(target) < MANY else 3), there)
    strata = _strata(target, kind)
    if np.bincount(strata).max() < count:
        strata = np.zeros(len(target), int)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        dealt = StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(strata, strata, groups)
        return [(train, test) for train, test in dealt if len(train) and len(test)]


def quarter(target: np.ndarray, kind: str, patients: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of three quarters of two or more patients, and of the others: the first of four `folds`.

    Of MANY images a patient counts as what the first of the rows shows, which is many times faster.
    """
    if len(target) < MANY:
        return folds(target, kind, patients, 4, seed)[0]
    _, first, owner = np.unique(patients, return_index=True, return_inverse=True)
    order = np.lexsort((np.random.default_rng(seed).random(len(first)), _strata(target, kind)[first]))
    apart = np.isin(owner, order[::4])
    return np.flatnonzero(~apart), np.flatnonzero(apart)


def _strata(target: np.ndarray, kind: str) -> np.ndarray:
    if kind == "regression":
        edges = np.quantile(target, np.arange(1, BINS) / BINS)
        return np.unique(np.searchsorted(edges, target), return_inverse=True)[1]
    if kind != "multilabel":
        return np.unique(target, return_inverse=True)[1]
    rare = np.argsort(target.sum(axis=0), kind="stable")
    first = np.where(target.any(axis=1), target[:, rare].argmax(axis=1), len(rare))
    return np.unique(first, return_inverse=True)[1]
