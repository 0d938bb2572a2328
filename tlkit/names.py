"""What things are called in figures and tables, in which order, and of which metrics less is better."""

from __future__ import annotations

from collections.abc import Iterable

LOWER = ("loss", "log_loss", "mae", "rmse", "mse")  # metrics of which less is better

NAMES = {
    "scratch": "Scratch",
    "imagenet": "ImageNet",
    "radnet": "RadNet",
    "radnet_lb": "RadNet, LB-adjusted",
    "radnet_ub": "RadNet, UB-adjusted",
    "radnet12m": "RadNet-12M",
    "mixed_sequential": "Mixed, sequential",
    "mixed_together": "Mixed, together",
    "radiologynet": "RadiologyNET",
    "finetune": "fine-tuning",
    "lineval": "linear evaluation",
    "lits": "LiTS",
    "auc": "AUC",
    "f1_macro": "macro F1",
    "dice_mean": "mean Dice",
    "dice_1": "Dice, class 1",
    "dice_2": "Dice, class 2",
    "dice_3": "Dice, class 3",
    "mae": "mean absolute error",
}
PRETRAININGS = (  # in the order of every figure and table; others follow, sorted
    "scratch", "imagenet", "radnet", "radnet_lb", "radnet_ub", "radnet12m_equal_steps", "radnet12m", "mixed_sequential",
    "mixed_together", "radiologynet",
)  # fmt: skip
ESTIMATED = ("radnet_lb", "radnet_ub")  # no runs of their own: stats.adjusted
EXPERIMENTS = ("finetune", "lineval", "E1", "E4", "E2")  # first of all, in the order of the paper


class Names(dict):
    """Display names; what has none is its own."""

    def __missing__(self, key: str) -> str:
        return key


def in_order(pretrainings: Iterable[str]) -> list[str]:
    """Return the distinct names: first those of PRETRAININGS in its order, then the others sorted."""
    found = set(pretrainings)
    known = [name for name in PRETRAININGS if name in found]
    return known + sorted(found.difference(known))


def sign(metric: str) -> int:
    """Return 1 for a metric of which more is better and -1 for one of which less is."""
    return -1 if metric in LOWER else 1
