"""Pretrainings in doubt: what their runs measured, held against named limits.

A network that starts from weights that learned nothing is compared as if it were pretrained, so tables and figures
mark the arm and their captions say why.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

MARK = "†"  # behind the name of an arm
# Of the default studies at quick: SimCLR 0.09 to 0.34 of skill, reconstruction 0.45; of classification, where eight of
# nine have an AUC of 0.66 to 0.91, the ninth learned nothing: 0.49. Spread 0.58 and rank 10 are the least. What gives
# all images one answer has a skill of 0 or less, an AUC of 0.5, and a spread of 1e-6 or less.
LEAST_SKILL = 0.005  # of the way from the loss at chance (0) to the best one (1)
LEAST_AUC = 0.55  # of classes, which a network that is too sure of itself has in spite of its loss
LEAST_SPREAD = 0.001  # how far features differ from image to image, of their size
LEAST_RANK = 1.5  # directions in which they differ


def doubt(metrics: Mapping[str, float | None]) -> str:
    """Return why a pretraining is in doubt, by its metrics; "" where it is not, or is of a time that measured nothing.

    In doubt: the first of several epochs was kept, the loss is at chance (and the AUC, where there is one), or the
    features of all images are alike. Reads what `training.learned.measure` returns, best_epoch and last_epoch.
    """
    if "skill" not in metrics:
        return ""
    skill, auc = (metrics.get(k) for k in ("skill", "val_auc"))
    told, found = [], []
    if _known(skill):
        told.append(f"loss {100 * skill:.0f} % of the way from chance to the best")
    if _known(auc):
        told.append(f"AUC {auc:.2f}")
    if metrics["best_epoch"] == 1 < metrics["last_epoch"]:
        found.append(f"kept the first of {metrics['last_epoch']} epochs")
    if _known(skill) and skill < LEAST_SKILL and not (_known(auc) and auc >= LEAST_AUC):
        found.append("at chance")
    if metrics["feature_spread"] < LEAST_SPREAD or metrics["feature_rank"] < LEAST_RANK:
        spread, rank = (metrics[k] for k in ("feature_spread", "feature_rank"))
        found.append(f"features of all images alike (spread {spread:.2g}, rank {rank:.2g})")
    return ", ".join([*found, *told]) if found else ""


def _known(value: float | None) -> bool:
    return value is not None and not math.isnan(value)
