"""Cheap evidence from frozen features: what neighbours, a linear probe and a few images a class tell of held-out ones.

Features are those of the training part: they are dealt into patient-disjoint parts here, or given ones are kept to.
Values are the metrics of the task, those of fine-tuned runs. What is learned of the features (scale, penalty) is
learned of the rows that train. `tlkit.advice.hints` are scores without held-out images.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from tlkit.advice import hints
from tlkit.advice.targets import Parts, ScoreError, check_target, folds, quarter
from tlkit.config import lookup

STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)  # inverse penalties, of features whose rows have a length of about 1
FEW = 1.0  # that of few images, which are too few to choose by
NEIGHBOURS = 20  # but no more than the root of the images that train
SHOTS = (1, 5, 10, 25)
Model = Callable[..., np.ndarray]


def evidence(
    features: np.ndarray,
    target: Sequence,
    kind: str,
    *,
    patients: Sequence | None = None,
    parts: Parts | None = None,
    metric: str = "",
    classes: Sequence[str] = (),
    shots: Sequence[int] = SHOTS,
    draws: int = 5,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the cheap evidence of one arm: metric, knn, probe, few_shot, hints.HINTS and seconds.

    Args: features [N,D]; target as in `targets`; `patients` [N] (None: each image is one); `parts` (rows that train,
    rows that test), None for those of `folds`; `metric` of the task ("": its own); `classes` their names.
    knn and probe are means over the parts, by their test rows; few_shot is {shots: {mean, sd, n}} over `draws`. The
    hints are of all rows that train in some part. NaN for what this target does not allow. `seed` deals parts and
    draws; one thread. Raises as `targets.check_target` and `folds`, ScoreError for parts that share a patient or lack
    rows, UnknownNameError for a metric that the task does not have.
    """
    from sklearn import config_context
    from threadpoolctl import threadpool_limits

    features, target = check_target(features, target, kind)
    parts = folds(target, kind, patients, seed=seed) if parts is None else _disjoint(parts, patients, len(target))
    job, seconds = _job(kind, target, classes), {}
    metric, rows = metric or job.monitor, np.unique(np.concatenate([train for train, _ in parts]))
    _load_pools()
    with threadpool_limits(1), config_context(assume_finite=True, skip_parameter_validation=True):  # checked once
        few = {"shots": shots, "draws": draws, "seed": seed}
        told = predictions(features, target, kind, parts, patients, **few, seconds=seconds)
        start = time.perf_counter()
        found = hints.hints(features[rows], target[rows], kind, seed)
        seconds["hints"] = time.perf_counter() - start
    few = {n: [value(part, job, metric) for _, part in told[f"few_{n}"].groupby("draw")] for n in shots}
    scores = {name: value(told[name], job, metric) for name in MODELS}
    return {"metric": metric, **scores, "few_shot": {n: _over(v) for n, v in few.items()}, **found, "seconds": seconds}


def value(predicted: pd.DataFrame, job: Any, metric: str) -> float:
    """Return a metric of predictions (part, target, output): the mean over the parts, weighted by their rows.

    Pooled over parts, a constant answer would rank each part by what the others hold: its AUC falls below 0.5. Parts
    where the metric is not defined are left out; NaN where none is.
    """
    each = predicted.groupby("part", sort=True)
    values = np.array([lookup(metric, job.metrics(part), "metric of the task") for _, part in each])
    sizes, there = each.size().to_numpy(), ~np.isnan(values)
    return float(np.average(values[there], weights=sizes[there])) if there.any() else float("nan")


def predictions(
    features: np.ndarray,
    target: np.ndarray,
    kind: str,
    parts: Parts,
    patients: Sequence | None = None,
    *,
    shots: Sequence[int] = SHOTS,
    draws: int = 5,
    seed: int = 0,
    seconds: dict[str, float] | None = None,
) -> dict[str, pd.DataFrame]:
    """Return what each of MODELS, and `few_<shots>`, says of the rows that test, as a run keeps it.

    Columns: part, row, patient, target, output, and draw of few images. A linear model of `shots` images a class: of
    several labels as many with each and without it, of a number as many in all, from 2. Draw d is of part d, and of the
    first again after the last; none where a class has fewer images that train than `shots`. Features are standardised
    by all rows that train, which needs no label. `seconds` is filled with what each took.
    """
    groups = np.arange(len(target)) if patients is None else np.asarray(patients)
    names, width = [*MODELS, *(f"few_{n}" for n in shots)], _width(target, kind)
    frames: dict[str, list] = {name: [] for name in names}
    seconds = {} if seconds is None else seconds
    for number, (train, test) in enumerate(parts):
        seen, unseen = _scaled(features[train], features[test])
        told = {"part": number, "row": test, "patient": groups[test], "target": list(target[test])}

        def keep(name: str, output: np.ndarray, start: float, told: dict = told, **more: int) -> None:
            frames[name].append(pd.DataFrame(told | more | {"output": list(output)}))
            seconds[name] = seconds.get(name, 0) + time.perf_counter() - start

        for name, model in MODELS.items():
            start = time.perf_counter()
            keep(name, model(seen, target[train], unseen, kind, width, groups[train], seed), start)
        for draw, n in product(range(number, draws, len(parts)), shots):
            start, rng = time.perf_counter(), np.random.default_rng([seed, draw, n])
            rows = _few(target[train], target, kind, n, rng)
            if rows is not None:
                output = next(linear(seen[rows], target[train][rows], unseen, kind, width, [FEW]))
                keep(f"few_{n}", output, start, draw=draw)
    empty = pd.DataFrame(columns=["part", "row", "patient", "target", "output", "draw"])
    return {name: pd.concat(each, ignore_index=True) if each else empty for name, each in frames.items()}


def knn(seen: np.ndarray, target: np.ndarray, unseen: np.ndarray, kind: str, width: int, *_: Any) -> np.ndarray:
    """Return the mean target of the nearest rows by the cosine of centred features, each as near as any other."""
    from sklearn.neighbors import NearestNeighbors

    near = max(1, min(NEIGHBOURS, round(len(seen) ** 0.5)))
    index = NearestNeighbors(n_neighbors=near, metric="cosine", algorithm="brute").fit(seen)
    found = index.kneighbors(unseen, return_distance=False)
    return (np.eye(width)[target] if kind == "multiclass" else target.astype(float))[found].mean(axis=1)


def probe(
    seen: np.ndarray, target: np.ndarray, unseen: np.ndarray, kind: str, width: int, groups: np.ndarray, seed: int
) -> np.ndarray:
    """Return what a linear model says, its penalty chosen by a quarter of the rows that train, of patients of its own.

    Logistic (of several labels one each), of a number ridge. Chosen by the likelihood (squared error), from strong to
    weak until it gets worse; the strongest where all rows are of one patient.
    """
    strength, fitted = STRENGTHS[0], {}
    if len(np.unique(groups)) > 1:
        fit, check = quarter(target, kind, groups, seed)
        least, path = np.inf, linear(seen[fit], target[fit], seen[check], kind, width, STRENGTHS, fitted)
        for tried, output in zip(STRENGTHS, path, strict=True):
            loss = _loss(output, target[check], kind)
            if loss >= least:
                break
            strength, least = tried, loss
    return next(linear(seen, target, unseen, kind, width, [strength], fitted))


MODELS: dict[str, Model] = {"knn": knn, "probe": probe}


def linear(
    seen: np.ndarray,
    target: np.ndarray,
    unseen: np.ndarray,
    kind: str,
    width: int,
    strengths: Sequence[float],
    fitted: dict[int, Any] | None = None,
) -> Iterator[np.ndarray]:
    """Yield for each inverse penalty, from strong to weak, the outputs of a linear model for the unseen rows.

    `fitted` keeps the logistic models by label; a later call with them starts where the last one ended.
    """
    from sklearn.linear_model import Ridge

    if kind == "regression":  # one solution a target: the same number, once for each penalty
        ridge = Ridge(1 / np.asarray(strengths), solver="cholesky")
        tiled = np.tile(target[:, None], len(strengths))
        yield from ridge.fit(seen, tiled).predict(unseen).reshape(len(unseen), -1).T
    elif kind == "multilabel":
        fits = [_logistic(seen, y, unseen, 2, strengths, fitted, i) for i, y in enumerate(target.T)]
        each = zip(*fits, strict=True)
        yield from (np.stack([p[:, 1] for p in labels], axis=1) for labels in each)
    else:
        each = _logistic(seen, target, unseen, width, strengths, fitted, 0)
        yield from (p[:, 1] if kind == "binary" else p for p in each)


def _logistic(
    seen: np.ndarray,
    target: np.ndarray,
    unseen: np.ndarray,
    width: int,
    strengths: Sequence[float],
    fitted: dict[int, Any] | None,
    label: int,
) -> Iterator[np.ndarray]:
    """Yield the probabilities [M,width] at each penalty; each fit starts where the one before it ended."""
    from sklearn.linear_model import LogisticRegression

    known = np.unique(target)
    if len(known) == 1:
        yield from [np.eye(width)[np.full(len(unseen), known[0])]] * len(strengths)
        return
    model = (fitted or {}).get(label)
    if model is None or not np.array_equal(model.classes_, known):
        model = LogisticRegression(max_iter=1000, warm_start=True)
    if fitted is not None:
        fitted[label] = model
    for strength in strengths:
        p = np.zeros((len(unseen), width))
        p[:, known] = model.set_params(C=strength).fit(seen, target).predict_proba(unseen)
        yield p


def _loss(output: np.ndarray, target: np.ndarray, kind: str) -> float:
    if kind == "regression":
        return float(((output - target) ** 2).mean())
    p = output[np.arange(len(output)), target] if kind == "multiclass" else np.where(target == 1, output, 1 - output)
    return float(-np.log(np.clip(p, 1e-7, 1)).mean())


def _few(target: np.ndarray, whole: np.ndarray, kind: str, shots: int, rng: np.random.Generator) -> np.ndarray | None:
    """Return rows of `target`, `shots` of each class that the whole target has; None where one has fewer."""
    if kind == "regression":
        pools = [np.arange(len(target))] if shots > 1 else [np.arange(0)]
    elif kind == "multilabel":
        labels = [label for label, all_of_it in zip(target.T, whole.T, strict=True) if np.ptp(all_of_it)]
        pools = [np.flatnonzero(label == there) for label in labels for there in (1, 0)]
    else:
        pools = [np.flatnonzero(target == c) for c in np.unique(whole)]
    if min(map(len, pools)) < shots:
        return None
    return np.unique(np.concatenate([rng.choice(pool, shots, replace=False) for pool in pools]))


def _scaled(seen: np.ndarray, unseen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both standardised by the rows that train, and divided by the root of the width: a row has a length of 1.

    So a penalty means the same at every width. What does not change by more than rounding becomes 0. In float32, which
    halves the time.
    """
    middle, spread = seen.mean(axis=0), seen.std(axis=0)
    flat = spread <= 1e-12 * np.abs(seen).max(axis=0)
    scale = np.where(flat, 0, 1 / np.where(flat, 1, spread)) / np.sqrt(seen.shape[1])
    return tuple(((part - middle) * scale).astype(np.float32) for part in (seen, unseen))


def _width(target: np.ndarray, kind: str) -> int:
    return int(target.max()) + 1 if kind == "multiclass" else 2


def _job(kind: str, target: np.ndarray, classes: Sequence[str]) -> Any:
    """Return the task whose metrics count."""
    from tlkit.training.tasks import task

    count = {"regression": 1, "binary": 2, "multilabel": target.shape[-1]}.get(kind) or int(target.max()) + 1
    names = tuple(map(str, classes)) if classes else tuple(map(str, range(count)))
    if len(names) < count or (kind != "multiclass" and len(names) > count):
        raise ScoreError(f"expected the names of {count} classes for the target, found {len(names)}.")
    return task(kind, names)


def _disjoint(parts: Parts, patients: Sequence | None, count: int) -> Parts:
    groups = np.arange(count) if patients is None else np.asarray(patients)
    for train, test in parts:
        if not len(train) or not len(test):
            raise ScoreError(f"expected rows that train and rows that test, found {len(train)} and {len(test)}.")
        if shared := sorted(set(groups[train].tolist()) & set(groups[test].tolist()), key=str):
            raise ScoreError(f"{len(shared)} patients both train and test, the first {shared[0]}; split by patients.")
    return parts


def _over(values: list[float]) -> dict[str, float]:
    there = [v for v in values if not np.isnan(v)]
    spread = float(np.std(there, ddof=1)) if len(there) > 1 else float("nan")
    return {"mean": float(np.mean(there)) if there else float("nan"), "sd": spread, "n": len(there)}


def _load_pools() -> None:
    """Import what brings thread pools of its own: threadpool_limits holds those that are loaded."""
    import sklearn.linear_model
    import sklearn.mixture
    import sklearn.neighbors  # noqa: F401
