"""What tells whether a pretraining has learned anything (`tlkit.doubts` judges): its loss, and its features."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tlkit import runs
from tlkit.models.parts import eval_mode
from tlkit.training.contrastive import nt_xent_range
from tlkit.training.data import chosen_rows, open_data
from tlkit.training.loop import Fit
from tlkit.training.recipe import Recipe
from tlkit.training.steps import Objective
from tlkit.training.supervised import plain_view, predict

IMAGES = 256  # of each corpus, looked at
Scale = tuple[str, float, float]  # metric, its value at chance, its best value


def measure(config: dict[str, Any], objective: Objective, encoder: nn.Module, fitted: Fit) -> dict[str, float]:
    """Return skill, feature_spread and feature_rank of a finished pretraining, at the epoch that was kept.

    Skill is 0 at chance and 1 where the task is solved, by the validation loss (SimCLR has none: by that of training).
    Classification has val_auc, too. The others are `spread_and_rank` of the features of at most IMAGES validation
    images a corpus.
    """
    recipe = Recipe.from_dict(config["recipe"])
    metric, chance, best = SCALES[config.get("method", "contrastive")](objective)
    value = float(fitted.history[metric].iloc[fitted.selected])
    spread, rank = spread_and_rank(_features(config, encoder, recipe))
    found = {"skill": skill(value, chance, best), "feature_spread": spread, "feature_rank": rank}
    if metric == "log_loss":  # which a network that is too sure of itself has badly, however much it knows
        kept = predict(objective.model, objective.task, objective.val, recipe)
        found["val_auc"] = objective.task.metrics(kept)["auc"]
    return found


def skill(value: float, chance: float, best: float) -> float:
    """Return how much of the way from chance (0) to the best value (1) is made; NaN where one class alone is left."""
    return (value - chance) / (best - chance) if best != chance else math.nan


def spread_and_rank(features: np.ndarray) -> tuple[float, float]:
    """Return how far features [N,D] differ from image to image, and in how many directions.

    The spread is the root of the mean variance over that of the mean square: 0 where all images have the same features.
    The rank is the exponential of the entropy of the singular values of the centred features (Roy and Vetterli 2007),
    1 to min(N - 1, D); 0 where all are the same.
    """
    x = np.asarray(features, np.float64)
    centred = x - x.mean(axis=0)
    size, values = np.sqrt((x**2).mean()), np.linalg.svd(centred, compute_uv=False)
    if values.sum() <= 1e-12 * max(size, 1e-300) * len(x):
        return 0.0, 0.0
    shares = values / values.sum()
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1))).sum()
    return float(np.sqrt((centred**2).mean()) / size), float(np.exp(entropy))


@torch.inference_mode()
def _features(config: dict[str, Any], encoder: nn.Module, recipe: Recipe) -> np.ndarray:
    """Return [N,D], the pooled features of at most IMAGES validation images of each corpus."""
    device, found = next(encoder.parameters()).device, []
    with eval_mode(encoder):
        for data in runs.corpora(config):
            store, table = open_data(data)
            rows = chosen_rows(data, table, "val")
            rows = rows[np.linspace(0, len(rows) - 1, min(IMAGES, len(rows))).astype(int)]
            for part in np.array_split(rows, math.ceil(len(rows) / 64)):
                found.append(encoder(plain_view(store.take(part)[0].to(device), recipe)).float().cpu().numpy())
    return np.concatenate(found)


def _contrastive(objective: Any) -> Scale:
    """All similarities equal; positives at 1 and negatives at 0."""
    recipe = objective.recipe
    chance, best = nt_xent_range(recipe.negatives or min(recipe.batch, objective.size), recipe.temperature)
    return "loss", chance, best


def _classification(objective: Any) -> Scale:
    """The best answer that is the same for all images."""
    shares = objective.val.table["label"].value_counts(normalize=True).to_numpy()
    return "log_loss", float(-(shares * np.log(shares)).sum()), 0.0


def _reconstruction(objective: Any) -> Scale:
    """The mean of each channel, painted everywhere."""
    views: Tensor = objective.view(objective.read(objective.val[:IMAGES]))
    return "mse", float(views.var(dim=(0, 2, 3), correction=0).mean()), 0.0


SCALES: dict[str, Callable[[Any], Scale]] = {
    "contrastive": _contrastive,
    "classification": _classification,
    "reconstruction": _reconstruction,
}
