"""Pretrainings in doubt: what their runs measured, held against named limits.

A network that starts from weights that learned nothing is compared as if it were pretrained, so tables and figures
mark the arm and their captions say why.
"""

from __future__ import annotations

from collections.abc import Mapping

MARK = "†"  # behind the name of an arm
# The pretrainings of the default studies lie far above these limits: see `tests/test_doubts.py`.
LEAST_SKILL = 0.02  # of the way from the loss at chance (0) to the best one (1)
LEAST_AUC = 0.6  # of classes, which a network that is too sure of itself has in spite of its loss
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
    told = f"{'loss undefined' if skill is None else f'loss {100 * skill:.0f} % of the way from chance to the best'}"
    told += "" if auc is None else f", AUC {auc:.2f}"
    found = []
    if metrics["best_epoch"] == 1 < metrics["last_epoch"]:
        found.append(f"kept the first of {metrics['last_epoch']} epochs")
    if not _above(skill, LEAST_SKILL) and not _above(auc, LEAST_AUC):
        found.append("at chance")
    if metrics["feature_spread"] < LEAST_SPREAD or metrics["feature_rank"] < LEAST_RANK:
        spread, rank = (metrics[k] for k in ("feature_spread", "feature_rank"))
        found.append(f"features of all images alike (spread {spread:.2g}, rank {rank:.2g})")
    return ", ".join([*found, told]) if found else ""


def _above(value: float | None, least: float) -> bool:
    return value is not None and value >= least  # NaN is not
