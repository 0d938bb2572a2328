"""Cheap evidence for masks: a linear decoder on frozen maps, cross-validated over patients.

Cells of a coarse grid are the rows; a cell may hold several classes, each with its share. The linear model's
probabilities are enlarged to the size of the mask, and a class is said where its probability is above what gives the
best Dice on the cells that train. Values are those of the task, pooled as in its fine-tuned runs.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from tlkit.advice.scores import value
from tlkit.advice.targets import Parts, folds

CELLS = 20_000  # that train, half of them with a class in them where there are as many
STRENGTH = 100.0  # inverse penalty, of rows whose length is about 1
PARTS = 3
SHARES = np.linspace(0.04, 0.8, 20)  # of a probability, from which on a class is said
BATCH = 64


def score_maps(
    maps: np.ndarray, masks: np.ndarray, job: Any, metric: str, patients: Sequence, seed: int = 0
) -> dict[str, Any]:
    """Return metric, probe and seconds of maps [N,D,G,G] for masks [N,H,W] of the classes of a segmentation `job`.

    `seed` deals patients into parts and draws cells; one thread. Raises ScoreError for fewer than two patients.
    """
    from threadpoolctl import threadpool_limits

    start, shares = time.perf_counter(), class_shares(masks, len(job.classes), maps.shape[-1])
    with threadpool_limits(1):
        said = [_fitted(maps, shares, part, seed) for part in _parts(shares, patients, seed)]
    found = _value(said, masks, job, metric, patients)
    return {"metric": metric, "probe": found, "seconds": {"probe": time.perf_counter() - start}}


def score_constant(
    cells: int, masks: np.ndarray, job: Any, metric: str, patients: Sequence, seed: int = 0
) -> dict[str, Any]:
    """Return metric, probe and seconds of one answer for all images: how often a place holds each class in training."""
    start, shares = time.perf_counter(), class_shares(masks, len(job.classes), cells)
    said = []
    for train, test in _parts(shares, patients, seed):
        mean = shares[train].mean(axis=0)
        flat = mean.reshape(len(mean), -1).T
        said.append((test, np.broadcast_to(mean, (len(test), *mean.shape)), _thresholds(flat, flat)))
    found = _value(said, masks, job, metric, patients)
    return {"metric": metric, "probe": found, "seconds": {"probe": time.perf_counter() - start}}


def intensity_maps(images: np.ndarray, cells: int) -> np.ndarray:
    """Return float16 [N,D,G,G] of images [N,H,W] or [N,H,W,C]: mean grey, its square, deviation, and the place."""
    grey = images.mean(axis=-1, dtype=np.float32) if images.ndim == 4 else images.astype(np.float32)
    grey = (grey - grey.mean()) / max(float(grey.std()), 1e-6)
    mean, square = (F.adaptive_avg_pool2d(torch.from_numpy(x)[:, None], cells)[:, 0].numpy() for x in (grey, grey**2))
    spread = np.sqrt(np.maximum(square - mean**2, 0))
    y, x = np.meshgrid(*[np.linspace(-1, 1, cells, dtype=np.float32)] * 2, indexing="ij")
    place = [np.broadcast_to(p, mean.shape) for p in (x, y, x * x, y * y, x * y)]
    return np.stack([mean, mean**2, spread, *place], axis=1).astype(np.float16)


def class_shares(masks: np.ndarray, classes: int, cells: int) -> np.ndarray:
    """Return float32 [N,C,G,G]: the share of each class in the cells of masks [N,H,W]."""
    found = np.empty((len(masks), classes, cells, cells), np.float32)
    for i in range(0, len(masks), BATCH):
        whole = F.one_hot(torch.from_numpy(masks[i : i + BATCH].astype(np.int64)), classes).movedim(-1, 1).float()
        found[i : i + BATCH] = F.adaptive_avg_pool2d(whole, cells).numpy()
    return found


def _parts(shares: np.ndarray, patients: Sequence, seed: int) -> Parts:
    """Return rows that train and rows that test; images of the same rarest class are spread evenly."""
    there = shares[:, 1:].max(axis=(2, 3)) > 0
    rare = np.argsort(there.sum(axis=0), kind="stable")
    first = np.where(there.any(axis=1), there[:, rare].argmax(axis=1) + 1, 0)
    return folds(first, "multiclass", patients, PARTS, seed)


def _fitted(
    maps: np.ndarray, shares: np.ndarray, part: tuple[np.ndarray, np.ndarray], seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows that test, the probabilities [M,C,G,G] of their cells, and from where on a class is said."""
    from sklearn.linear_model import LogisticRegression

    train, test = part
    image, cell, weight = _drawn(shares[train], np.random.default_rng([seed, len(train)]))
    side, classes = maps.shape[-1], shares.shape[1]
    at = (train[image], slice(None), cell // side, cell % side)
    seen, told = maps[at].astype(np.float32), shares[at]
    middle, scale = seen.mean(axis=0), seen.std(axis=0)
    scale = np.where(scale > 1e-6, 1 / np.maximum(scale, 1e-6), 0) / np.sqrt(len(scale))
    row, label = np.nonzero(told > 0)
    share = told[row, label] * weight[row]
    known = np.unique(label)

    def answers(values: np.ndarray) -> np.ndarray:
        p = np.zeros((len(values), classes), np.float32)
        p[:, known] = model.predict_proba((values - middle) * scale) if len(known) > 1 else 1.0
        return p

    model = LogisticRegression(C=STRENGTH, max_iter=300)
    if len(known) > 1:
        model.fit(((seen - middle) * scale)[row], label, sample_weight=share)
    level = _thresholds(answers(seen), told, weight)
    flat = maps[test].swapaxes(0, 1).reshape(maps.shape[1], -1).T.astype(np.float32)
    p = answers(flat).reshape(len(test), side, side, classes)
    return test, np.moveaxis(p, -1, 1), level


def _drawn(shares: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return image, cell and weight of the cells that train; a weight is how many cells the drawn one stands for."""
    inside = (shares[:, 0] < 1).reshape(len(shares), -1)
    found, weights = [], []
    few = np.flatnonzero(inside)
    taken = rng.choice(few, min(len(few), CELLS // 2), replace=False)
    rest = np.flatnonzero(~inside)
    others = rng.choice(rest, min(len(rest), CELLS - len(taken)), replace=False)
    for drawn, pool in ((taken, few), (others, rest)):
        found.append(np.sort(drawn))
        weights.append(np.full(len(drawn), len(pool) / max(len(drawn), 1)))
    at, weight = np.concatenate(found), np.concatenate(weights)
    return at // inside.shape[1], at % inside.shape[1], weight * len(weight) / weight.sum()


def _thresholds(p: np.ndarray, told: np.ndarray, weight: np.ndarray | float = 1.0) -> np.ndarray:
    """Return for each class [C] the probability from which on saying it gives the best Dice; 1 of the background."""
    found, weight = np.ones(p.shape[1]), np.broadcast_to(weight, len(p))
    for c in range(1, p.shape[1]):
        levels = np.unique(np.quantile(p[:, c], 1 - SHARES) if p[:, c].max() < SHARES[0] else SHARES)
        dice = []
        for level in levels:
            said = (p[:, c] >= level) * weight
            dice.append(2 * (said * told[:, c]).sum() / max(said.sum() + (weight * told[:, c]).sum(), 1e-12))
        best = np.flatnonzero(np.array(dice) >= max(dice) - 1e-9)
        found[c] = max(levels[best[len(best) // 2]], 1e-6)  # the middle of equal ones: edges are blurred when enlarged
    return found


def _value(said: Sequence[tuple], masks: np.ndarray, job: Any, metric: str, patients: Sequence) -> float:
    groups, frames = np.asarray(patients), []
    for number, (test, p, level) in enumerate(said):
        for i in range(0, len(test), BATCH):
            rows = test[i : i + BATCH]
            fine = F.interpolate(
                torch.from_numpy(np.ascontiguousarray(p[i : i + BATCH])), masks.shape[1:], mode="bilinear"
            )
            output = fine / torch.from_numpy(level).float()[:, None, None]
            output[:, 0] = 1  # the background, where no class is above its own level
            kept = job.keep(output, torch.from_numpy(masks[rows].astype(np.int64)))
            frames.append(pd.DataFrame({"part": number, "patient": groups[rows], **kept}))
    return value(pd.concat(frames, ignore_index=True), job, metric)
