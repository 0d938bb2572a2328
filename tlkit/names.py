"""What things are called in figures and tables, in which order and colour, and of which metrics less is better."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import cycle

LOWER = ("loss", "log_loss", "mae", "rmse", "mse")  # metrics of which less is better
GREY = "#8c8c8c"  # random weights
# Of pretrainings that a study gives none. Okabe-Ito, Tol's muted ones: told apart with every kind of colour blindness.
COLOURS = (
    "#e69f00", "#56b4e9", "#009e73", "#0072b2", "#44aa99", "#117733", "#882255",
    "#cc79a7", "#d55e00", "#f0e442", "#7a5195", "#a6761d", "#999933",
)  # fmt: skip


class Names(dict):
    """Display names; what has none is its own. `colours`: those of pretrainings, in the order of every figure."""

    def __init__(self, names: Mapping[str, str], colours: Mapping[str, str] | None = None):
        super().__init__(names)
        self.colours = dict(colours or {})

    def __missing__(self, key: str) -> str:
        return key

    def __or__(self, other: Mapping[str, str]) -> Names:
        return Names({**self, **other}, self.colours | getattr(other, "colours", {}))


NAMES = Names(
    {
        "finetune": "fine-tuning",
        "lineval": "linear evaluation",
        "auc": "AUC",
        "f1_macro": "macro F1",
        "dice_mean": "mean Dice",
        "dice_1": "Dice, class 1",
        "dice_2": "Dice, class 2",
        "dice_3": "Dice, class 3",
        "mae": "mean absolute error",
    }
)


def free_colours(taken: Iterable[str]) -> Iterator[str]:
    """Yield COLOURS that are not taken, over and over; all of them where none is free."""
    taken = set(taken)
    return cycle([colour for colour in COLOURS if colour not in taken] or COLOURS)


def in_order(pretrainings: Iterable[str], names: Names) -> list[str]:
    """Return the distinct pretrainings: first those of `names.colours` in its order, then the others sorted."""
    found = set(pretrainings)
    known = [name for name in names.colours if name in found]
    return known + sorted(found.difference(known))


def sign(metric: str) -> int:
    """Return 1 for a metric of which more is better and -1 for one of which less is."""
    return -1 if metric in LOWER else 1
