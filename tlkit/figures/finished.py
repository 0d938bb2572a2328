"""A finished run read back: its data, its task and its trained model, as its own training had them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tlkit import runs
from tlkit.config import ConfigError, TlkitError, canonical
from tlkit.runfolder import require_done

if TYPE_CHECKING:
    import torch
    from torch import nn

    from tlkit.datasets.store import Store
    from tlkit.training.recipe import Recipe


AGAIN = "`python -m tlkit remove {}` takes the run away; then do it again."


class PredictionChangedError(TlkitError, RuntimeError):
    """A finished run's weights do not give the predictions that the run kept, or do not fit its model any more."""


@dataclass(frozen=True)
class Finished:
    """What of a finished downstream run is needed to use its model again; the model is in evaluation mode."""

    id: str
    config: dict[str, Any]
    recipe: Recipe
    store: Store
    table: pd.DataFrame
    job: Any
    model: nn.Module

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names of the run's task."""
        return tuple(self.job.classes)

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Return the rows in the store of the image ids."""
        return self.table.set_index("id")["row"].loc[list(ids)].to_numpy()

    def split_rows(self, split: str) -> np.ndarray:
        """Return the rows in the store of one split."""
        from tlkit.training.data import chosen_rows

        return chosen_rows(self.config["data"], self.table, split)

    def training_rows(self, images: int | None = None, seed: int = 0) -> np.ndarray:
        """Return the rows that the run was trained on, or `images` of them, drawn by `seed`."""
        from tlkit.training.data import training_rows

        rows = training_rows(self.config, self.table)
        return rows if images is None else np.sort(np.random.default_rng(seed).permutation(rows)[:images])

    def pictures(self, ids: Sequence[str]) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the images to look at, float32 [n,H,W] (colour [n,H,W,3]) in [0,1], not normalised, and masks."""
        from tlkit.training.augment import to_float
        from tlkit.training.supervised import cut_middle

        images, masks = (cut_middle(part, self.recipe) for part in self.store.take(self.rows(ids)))
        shown = to_float(images, self.recipe.window, self.recipe.intensity).numpy()
        colour = shown.shape[1] == 3 and not (shown == shown[:, :1]).all()
        return shown.transpose(0, 2, 3, 1) if colour else shown[:, 0], None if masks is None else masks.numpy()

    def views(self, ids: Sequence[str]) -> torch.Tensor:
        """Return the images as the network sees them in evaluation, float32 [n,3,H,W] on the model's device."""
        from tlkit.training.supervised import plain_view

        device = next(self.model.parameters()).device
        return plain_view(self.store.take(self.rows(ids))[0].to(device), self.recipe)

    def computing(self) -> AbstractContextManager[None]:
        """Return a context with the threads of the run, so that a prediction made again has its bits."""
        from tlkit.training.compute import limit_threads

        return limit_threads(self.config["compute"]["threads"])

    def confirm(self, ids: Sequence[str]) -> None:
        """Raise PredictionChangedError where the model's output for test images is not what the run kept."""
        from tlkit.training.supervised import Samples, predict

        with self.computing():
            found = predict(self.model, self.job, Samples(self.store, self.rows(ids)), self.recipe)
        confirm(self.id, "test", found)


def confirm(rid: str, split: str, found: pd.DataFrame, most: float = 0.02) -> None:
    """Raise PredictionChangedError where predictions of images of a split are not those that the run kept.

    Outputs are compared, not metrics: of few images one that tips over moves a metric a lot. `most`: the largest change
    that counts as rounding (other devices and processors round otherwise), of probabilities or relative; of a
    segmentation, as a share of the pixels.
    """
    kept = predictions(rid, split).set_index("id").loc[found["id"]]
    old, new = (np.stack(part["output"].to_numpy()).astype(float) for part in (kept, found))
    if "overlap" in kept:  # a segmentation keeps numbers of pixels
        old, new = (counts / old.sum(axis=1, keepdims=True) for counts in (old, new))
    if not np.allclose(old, new, atol=most, rtol=most):
        gap = np.abs(old - new).max()
        raise PredictionChangedError(
            f"{rid}: the weights give outputs that differ by up to {gap:.3g} from what the run kept, so they "
            f"are not its weights, or the data changed. {AGAIN.format(rid)}"
        )


def load(rid: str) -> Finished:
    """Return the finished downstream run `rid` with its trained model, on the device of this process.

    Raises FileNotFoundError where it is not done, ConfigError for a pretraining, PredictionChangedError for weights
    that do not fit.
    """
    from tlkit.models import backbone, read_tensors
    from tlkit.training import data
    from tlkit.training.processes import pick_device
    from tlkit.training.recipe import Recipe

    config = config_of(rid)
    if config["kind"] != "finetune":
        raise ConfigError(f"{rid} is a pretraining and has no task. Name a downstream run: `make plan` lists them.")
    store, table = data_of(config)
    recipe, job = Recipe.from_dict(config["recipe"]), data.task_of(config, table)
    model = job.model(backbone(config["backbone"]))
    tensors = read_tensors(runs.check_file(rid, "model.safetensors"))
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:  # the run is of another version of the code
        raise PredictionChangedError(
            f"{rid}: its weights do not fit the {type(model).__name__} that its config makes now. "
            f"{AGAIN.format(rid)} ({str(error).splitlines()[1].strip()[:120]} ...)"
        ) from error
    return Finished(rid, config, recipe, store, table, job, model.to(pick_device()).eval())


def task_of(rid: str) -> Any:
    """Return the task of the finished run `rid`, without loading its model."""
    from tlkit.training import data

    config = config_of(rid)
    return data.task_of(config, data_of(config)[1])


def class_names(rid: str) -> tuple[str, ...]:
    """Return the class names of the finished run `rid`, without loading its model."""
    from tlkit.training import data

    config = config_of(rid)
    return data.class_names(config["data"], data_of(config)[1])


def config_of(rid: str) -> dict[str, Any]:
    """Return the config of the finished run `rid`; raise FileNotFoundError where it is not done, RunDamagedError."""
    require_done(rid)
    return runs.read_json(runs.check_file(rid, "config.json"))


def predictions(rid: str, split: str = "test") -> pd.DataFrame:
    """Return what the finished run `rid` kept of each image of a split: id, patient, target, output ..."""
    config_of(rid)
    return pd.read_parquet(runs.check_file(rid, f"predictions_{split}.parquet"))


def check_same_test(ids: Iterable[str]) -> pd.DataFrame:
    """Return the test predictions of the first run; raise ConfigError where another was tested on other images."""
    first, *others = ids
    kept = predictions(first)
    for rid in others:
        found = predictions(rid)
        same = kept["id"].equals(found["id"])
        if not same or not np.array_equal(np.stack(kept["target"]), np.stack(found["target"])):
            raise ConfigError(
                f"{rid} was tested on other images or truths than {first} ({len(found)} and {len(kept)} images): "
                "compare runs of one data set and split."
            )
    return kept


def draw_ids(ids: Iterable[str], count: int, seed: int) -> list[str]:
    """Return `count` of the ids (all where there are fewer), drawn by `seed` from their sorted list, in that order."""
    found = sorted(ids)
    return [found[i] for i in np.random.default_rng(seed).permutation(len(found))[:count]]


def shorten(name: str, most: int = 24) -> str:
    """Return an id that a picture has room for: of a long number, such as a DICOM UID, the last five digits."""
    name = re.sub(r"[\d.]{15,}(?=\d{5})", "…", str(name))
    return name if len(name) <= most else f"…{name[1 - most :]}"


def data_of(config: dict[str, Any]) -> tuple[Store, pd.DataFrame]:
    """Return `training.data.open_data` of a config, opened once for the runs that have the same data."""
    return _data(canonical(config["data"]))


@lru_cache(maxsize=8)  # the pretrainings of a task share it; opening checks every file's identity
def _data(data: str) -> tuple[Store, pd.DataFrame]:
    from tlkit.training.data import open_data

    return open_data(json.loads(data))
