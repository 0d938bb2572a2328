"""A task kind: the head it needs, its loss, what it keeps of each image, and its metrics.

Metrics are computed from the kept predictions alone (`predictions_{val,test}.parquet`), so they can be recomputed
from a finished run without images or model.
"""

from __future__ import annotations

from typing import Any

from tlkit import plugins
from tlkit.config import ConfigError, lookup
from tlkit.training.tasks.classes import (
    NO_FINDING,
    Binary,
    Multiclass,
    Multilabel,
    class_auc,
    label_metrics,
    log_loss,
    macro_auc,
)
from tlkit.training.tasks.regression import Regression
from tlkit.training.tasks.segmentation import Segmentation, dice_loss, overlap_metrics

__all__ = [
    "NO_FINDING", "TASKS", "Binary", "Multiclass", "Multilabel", "Regression", "Segmentation", "Task", "base_kind",
    "check_classes", "check_monitor", "class_auc", "dice_loss", "find_kind", "label_metrics", "log_loss", "macro_auc",
    "overlap_metrics", "task",
]  # fmt: skip

TASKS = {
    "multiclass": Multiclass,
    "multilabel": Multilabel,
    "binary": Binary,
    "regression": Regression,
    "segmentation": Segmentation,
}
Task = Multiclass | Multilabel | Binary | Regression | Segmentation


def find_kind(kind: str) -> type[Task]:
    """Return the class of a kind of task: of TASKS, or of "module:Class", which is made from one of these.

    Raises: UnknownNameError where there is none, ConfigError for what is no kind of task.
    """
    found = plugins.find(kind, TASKS, "task kind")
    if not (isinstance(found, type) and issubclass(found, tuple(TASKS.values()))):
        made = ", ".join(c.__name__ for c in TASKS.values())
        raise ConfigError(f"'{kind}' is no kind of task: expected a class made from one of {made}; found {found!r}.")
    return found


def base_kind(kind: str) -> str:
    """Return the kind of TASKS that a kind is made from, whose labels and recipe it has; "none" for none."""
    return kind if kind == "none" else next(name for name, c in TASKS.items() if issubclass(find_kind(kind), c))


def check_monitor(kind: str, monitor: str) -> None:
    """Raise UnknownNameError where no epoch of a kind of task has the metric; "" stands for the task's own."""
    if monitor:
        lookup(monitor, dict.fromkeys(find_kind(kind).monitors), f"monitor of a {kind} task")


def check_classes(kind: str, classes: int) -> None:
    """Raise ConfigError where a kind of task can't have so many classes, UnknownNameError for an unknown kind."""
    least, most = find_kind(kind).counts
    if classes < least or (most and classes > most):
        wanted = f"{least} class{'es' * (least > 1)}" if least == most else f"{least} or more classes"
        raise ConfigError(f"a {kind} task needs {wanted}, found {classes}. {HINTS.get(kind, '')}".rstrip())


HINTS = {
    "binary": "Of more than two classes, of which an image has one, it is `multiclass`.",
    "multiclass": "With one class every answer is right: look whether each class has a folder, or a value, of its own.",
}


def task(kind: str, classes: tuple[str, ...], weights: tuple[float, ...] | None = None, **options: Any) -> Task:
    """Return the task of that kind for these class names; `weights` are the loss weights of the classes.

    `options` go to the class: `regions`, `loss` and `decoder` of a segmentation, `target` and `inputs` of a regression,
    `head_bias` of the others.
    Raises: UnknownNameError for an unknown kind, ConfigError for a number of classes or weights that does not fit.
    """
    check_classes(kind, len(classes))
    if weights is not None and len(weights) != len(classes):
        raise ConfigError(
            f"recipe.class_weights: expected {len(classes)} values ({', '.join(classes)}), found {len(weights)}."
        )
    return find_kind(kind)(classes, weights, **options)
