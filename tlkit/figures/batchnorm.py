"""Are a run's BatchNorm statistics stale? They are estimated again from its training images, and it is validated again.

In few steps the running statistics move little from where they started: by 1 - (1 - momentum)^steps. torchvision's
MobileNetV3 has momentum 0.01, so after 70 steps (ten epochs on 5 % of the data) half of them is still the start.
Source: radiologynet2025 6.13.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import pandas as pd
import torch
from torch import nn

from tlkit import runs
from tlkit.config import ConfigError
from tlkit.figures import finished, grids, panels
from tlkit.models import batch_norms
from tlkit.names import NAMES
from tlkit.report import lettering
from tlkit.report.style import BETTER, style
from tlkit.stats import differences

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tlkit.training.supervised import Supervised


def compare_statistics(run: str, images: int | None = None, seed: int = 0) -> dict[str, dict[str, float]]:
    """Return {"before": metrics, "after": metrics} of a finished run on its validation images (never on the test set).

    After: the running statistics are reset and are then the mean over the training batches, augmented as they were in
    the selected epoch; no other weight changes. `images`: as many of them, drawn by `seed` (default: all).
    Raises FileNotFoundError, ConfigError for a model without BatchNorm or one whose encoder kept its statistics on
    purpose, PredictionChangedError where the weights do not say what the run kept of its validation images.
    """
    from tlkit.training.supervised import Samples, Supervised, predict

    found = finished.load(run)
    if not batch_norms(found.model):
        raise ConfigError(f"{run}: {found.config['backbone']} has no BatchNorm layer, so nothing can be stale.")
    if found.recipe.bn == "frozen" or (found.recipe.freeze == "encoder" and found.recipe.bn != "adapt"):
        raise ConfigError(f"{run} kept the BatchNorm statistics of its pretraining on purpose (recipe.bn: frozen).")
    validation = Samples(found.store, found.split_rows("val"))
    train = Samples(found.store, found.training_rows(images, seed))
    with found.computing():
        said = predict(found.model, found.job, validation, found.recipe)
        finished.confirm(run, "val", said)
        before = found.job.metrics(said)
        other = copy.deepcopy(found.model)
        objective = Supervised(other, found.job, train, None, found.recipe, found.config["seed"])
        reestimate(objective, runs.read_json(runs.folder(run) / "status.json").get("selected_epoch", 0))
        return {"before": before, "after": found.job.metrics(predict(other, found.job, validation, found.recipe))}


def reestimate(objective: Supervised, epoch: int = 0) -> None:
    """Set the BatchNorm statistics of `objective.model` to those of its training images, augmented as in `epoch`.

    By torch's own `update_bn`: reset, then the mean over batches, in training mode and without gradients. The batches
    are those of an epoch (its last, partial one is left out), so the order is that of (seed, epoch).
    """
    from torch.optim.swa_utils import update_bn

    from tlkit.training.steps import batches, epoch_order

    order = epoch_order(objective.size, objective.seed, epoch)
    steps = _Step(objective, epoch)
    with torch.random.fork_rng():  # dropout draws, as in training
        torch.manual_seed(objective.seed)
        update_bn((torch.from_numpy(part) for part in batches(order, objective.recipe.batch)), steps)
    objective.model.eval()


def table(ids: Iterable[str], images: int | None = None) -> pd.DataFrame:
    """Return `compare_statistics` of runs.

    Columns: run, task, pretraining, fraction, seed, lr, metric, before, after, change.
    """
    rows = []
    for rid in ids:
        config, found = finished.config_of(rid), compare_statistics(rid, images)
        head = {"run": rid, **{k: config[k] for k in ("task", "pretraining", "fraction", "seed")}}
        head["lr"] = config["recipe"]["lr"]
        both = ((m, value, found["after"][m]) for m, value in found["before"].items())
        rows += [{**head, "metric": m, "before": b, "after": a, "change": a - b} for m, b, a in both]
    return pd.DataFrame(rows)


class _Step(nn.Module):
    """One training batch by its positions, through the loss of the objective: the very forward pass of training."""

    def __init__(self, objective: Supervised, epoch: int):
        super().__init__()
        self.model, self.objective, self.epoch = objective.model, objective, epoch

    def forward(self, positions: torch.Tensor) -> torch.Tensor:
        device, chosen = next(self.model.parameters()).device, positions.numpy()
        batch = tuple(None if t is None else t.to(device) for t in self.objective.fetch(chosen))
        return self.objective.loss(self.model, self.objective.views(batch, chosen, self.epoch))


def draw(
    rows: pd.DataFrame,
    *,
    names: Mapping[str, str] | None = None,
    columns: int = 3,
    phantom: bool = False,
) -> Figure:
    """Draw validation values before and after BatchNorm was re-estimated, by share of the training data.

    Args: rows: of `table`, one metric and learning rate: task, pretraining, fraction, seed, metric, before,
    after. A panel per task and pretraining. Raises ValueError for an empty frame, and as `differences.check` does for a
    run that comes twice. Source: radiologynet2025 6.13.
    """
    names, states = NAMES | (names or {}), {"before": "0.65", "after": BETTER}
    rows = rows.melt(["task", "pretraining", "fraction", "seed", "metric"], list(states), "state")
    differences.check(rows, ["task", "pretraining", "fraction", "state"])
    blocks = lettering.split_experiments(rows, ["task", "pretraining"])
    with style():
        fig, axes = panels.grid(blocks, columns, 36, 8, names)
        for block, places in axes.items():
            for runs, (ax,), edge in zip(blocks[block], places, panels.edges(places), strict=True):
                groups, arm = grids.draw_groups(ax, runs, "fraction", "state", states), runs["pretraining"].iloc[0]
                ax.set_xticks([*groups.values()], [f"{100 * share:g} %" for share in groups])
                ax.set_xlabel("share of the training images" if edge.lowest else "")
                ax.set_title(names.get(arm, arm))
                grids.name_metric(ax, runs, names, edge)
                ax.set_ylim(0, 1)
        grids.add_legend(fig, states, {"before": "as trained", "after": "BatchNorm re-estimated"})
        n = lettering.n_range(rows.groupby(["task", "pretraining", "fraction", "state"], observed=True).size())
        footer = (
            f"Large dots: mean of the runs on validation, {n} each. Whiskers: sd (ddof = 1). Small: single runs, in "
        )
        footer += "the same order in both. Re-estimated: the running mean and variance of every BatchNorm layer are "
        footer += "computed anew from the training images; no weight changes."
        return lettering.finish(fig, footer, phantom)
