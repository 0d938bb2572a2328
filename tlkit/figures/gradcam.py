"""Grad-CAM: which regions of an image spoke for the class that the model predicted? Through the grad-cam library."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from tlkit.config import ConfigError
from tlkit.figures import finished

if TYPE_CHECKING:
    import torch
    from torch import nn

    from tlkit.rating import Item

CELLS = 4  # the least height and width of a feature map that can point at a place
CHUNK = 32  # images in the network at once
RANDOMISED = ("head", "all")


class Layer(NamedTuple):
    """A layer of an encoder that Grad-CAM looks at, and the height and width of its map."""

    name: str
    module: nn.Module
    cells: tuple[int, int]


class Heatmaps(NamedTuple):
    """Heat maps of some pretrainings on the same test images: see `explain_runs`."""

    frame: pd.DataFrame
    images: np.ndarray
    maps: dict[str, np.ndarray]


def last_layer(encoder: nn.Module, size: int, cells: int = CELLS) -> Layer:
    """Return the last stage of `encoder` whose map of an image of `size` pixels has at least `cells` x `cells` cells.

    At the published 224 px that is the last feature map: 7 x 7 after layer4 of a ResNet, after norm5 of a DenseNet,
    after `features` of VGG, MobileNet and EfficientNet. Of smaller images it is an earlier stage, for a map of 2 x 2
    shows no place. Stages are the modules of the first two levels; pooling, dropout and steps used twice are none.
    Raises ConfigError for encoders without such a map (transformers, too small images).
    """
    import torch
    from torch import nn

    found, hooks, first = [], [], next(encoder.parameters())
    if any("Attention" in type(m).__name__ for m in encoder.modules()):
        raise ConfigError(f"{type(encoder).__name__} is a transformer; Grad-CAM here needs a convolutional encoder.")
    for name, module in encoder.named_modules():
        if name and name.count(".") < 2 and not isinstance(module, nn.AdaptiveAvgPool2d | nn.Identity | nn.Dropout):
            hooks.append(module.register_forward_hook(lambda _m, _i, out, n=name: found.append((n, _cells(out)))))
    try:
        with torch.no_grad():
            encoder.eval()(torch.zeros(1, 3, size, size, device=first.device, dtype=first.dtype))
    finally:
        for hook in hooks:
            hook.remove()
    times = Counter(name for name, _ in found)
    maps = [(name, shape) for name, shape in found if shape and times[name] == 1]
    large = [(name, shape) for name, shape in maps if min(shape) >= cells]
    if not large:
        raise ConfigError(
            f"{type(encoder).__name__} has no feature map of {cells} x {cells} cells for images of {size} pixels "
            f"(found {sorted({shape for _, shape in maps})}). Take larger images (`size` in the study file)."
        )
    name, shape = large[-1]
    return Layer(name, encoder.get_submodule(name), shape)


def _cells(output: object) -> tuple[int, ...]:
    """Return height and width of a map [B,C,H,W]; () for anything else."""
    return tuple(output.shape[-2:]) if getattr(output, "ndim", 0) == 4 else ()


def heatmap(model: nn.Module, images: torch.Tensor, layer: nn.Module, target: Sequence[int]) -> np.ndarray:
    """Return the Grad-CAM of each image, float32 [B,H,W] in 0..1, each scaled to its own range.

    Args: images float [B,3,H,W] as the network sees them, on its device; layer: a module of `model` whose output is a
    map; target: the class of each image that the map explains (of a model with one output: 1, or 0 for its negative).
    All 0 where nothing at that layer speaks for the class. The model is left in evaluation mode, without gradients.
    Raises ConfigError for a class that the model does not have. Source: Selvaraju et al. 2017.
    """
    import torch
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import BinaryClassifierOutputTarget, ClassifierOutputTarget

    with torch.no_grad():
        outputs = model.eval()(images[:1]).shape[1]
    if bad := [t for t in target if not 0 <= t < max(2, outputs)]:
        raise ConfigError(f"Grad-CAM of class {bad[0]}: expected one of the model's {max(2, outputs)} classes (from 0)")
    explain = ClassifierOutputTarget if outputs > 1 else BinaryClassifierOutputTarget
    # Without a copy, a ReLU in place behind the layer would change its map on the CPU, but not on a GPU.
    camera = GradCAM(model, [layer], reshape_transform=lambda kept: kept.clone())
    found = []
    try:
        for start in range(0, len(images), CHUNK):
            part = slice(start, start + CHUNK)
            found.append(camera(images[part], [explain(int(t)) for t in target[part]]))
    finally:
        camera.activations_and_grads.release()
        model.zero_grad(set_to_none=True)
    return np.clip(np.concatenate(found), 0, 1).astype(np.float32)


def explain_runs(ids: Mapping[str, str], images: int = 20, seed: int = 0) -> Heatmaps:
    """Return the heat maps of finished runs (pretraining -> run) on the same random test images.

    The images are the first of a permutation, by `seed`, of the sorted test ids; fewer where the test set is smaller.
    The class is the predicted one. frame: one row per image and pretraining: item (place in the arrays), id, patient,
    true, pretraining, run, predicted, probability (of it), right, layer, cells, empty (nothing spoke for the class).
    images: float32 [n,H,W] or [n,H,W,3]; maps: pretraining -> float32 [n,H,W], both 0..1.
    Raises ConfigError for runs of other tests or of no classes, PredictionChangedError for other weights.
    Source: radiologynet2025 4.5 (Figs. S2 to S7): 20 random test images of GRAZPEDWRI-DX and of Brain Tumor MRI;
    neither layer nor class is published.
    """
    chosen = finished.draw_ids(finished.check_same_test(ids.values())["id"], images, seed)
    frames, maps, shown = [], {}, None
    for pretraining, rid in ids.items():
        run = finished.load(rid)
        shown = run.pictures(chosen)[0] if shown is None else shown
        facts, maps[pretraining] = _explained(run, chosen)
        frames.append(facts.assign(pretraining=pretraining, run=rid, item=range(len(chosen))))
    frame = pd.concat(frames).sort_values("item", kind="stable").reset_index(drop=True)
    first = ["item", "id", "patient", "true", "pretraining", "run"]
    return Heatmaps(frame[[*first, *frame.columns.drop(first)]], shown, maps)


def _explained(run: finished.Finished, ids: Sequence[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """Return what a run says of the test images, by their order, and the Grad-CAM of what it says."""
    said = list_answers(run.id, ids, run.classes)
    run.confirm(ids)
    views = run.views(ids)
    layer = last_layer(run.model.encoder, views.shape[-1])
    with run.computing():
        maps = heatmap(run.model, views, layer.module, said.pop("guess").to_numpy())
    where = {"layer": layer.name, "cells": "{} x {}".format(*layer.cells), "empty": ~maps.any((1, 2))}
    return said.assign(**where), maps


def list_answers(rid: str, ids: Sequence[str], classes: Sequence[str]) -> pd.DataFrame:
    """Return what a classification run said of test images: id, patient, true, predicted, probability, right, guess.

    `guess` is the index of the predicted class. Raises ConfigError for a run that predicts no classes.
    """
    kind = finished.config_of(rid)["task_kind"]
    if kind not in ("multiclass", "binary"):
        raise ConfigError(f"expected a run that predicts one class per image, found {rid} ({kind}).")
    kept = finished.predictions(rid).set_index("id").loc[list(ids)]
    p = np.stack(kept["output"].to_numpy()).reshape(len(kept), -1)
    p = np.concatenate([1 - p, p], axis=1) if p.shape[1] == 1 else p
    guess, target = p.argmax(1), kept["target"].to_numpy().astype(int)
    return pd.DataFrame(
        {
            "id": list(ids),
            "patient": kept["patient"].to_numpy(),
            "true": [classes[t] for t in target],
            "predicted": [classes[g] for g in guess],
            "probability": p.max(1),
            "right": guess == target,
            "guess": guess,
        }
    )


def compare_maps(found: Heatmaps) -> pd.DataFrame:
    """Return how alike the maps of every two pretrainings are: a, b, mean and sd (ddof=1) of `correlation`, n images.

    Images where either map is empty have no correlation and are left out of n.
    """
    rows = []
    for a, b in combinations(found.maps, 2):
        values = pd.Series(list(map(correlation, found.maps[a], found.maps[b])), dtype=float)
        rows.append({"a": a, "b": b, "mean": values.mean(), "sd": values.std(ddof=1), "n": values.count()})
    return pd.DataFrame(rows, columns=["a", "b", "mean", "sd", "n"])


def rating_items(found: Heatmaps, task: str = "") -> list[Item]:
    """Return the heat maps as what readers rate (`tlkit.rating`): grey images [H,W] uint8 and the maps of each."""
    from tlkit.rating import Item

    grey = found.images.mean(-1) if found.images.ndim == 4 else found.images
    names = found.frame.drop_duplicates("item").set_index("item")["id"]
    return [
        Item(names[i], (255 * image).round().astype(np.uint8), {p: maps[i] for p, maps in found.maps.items()}, task)
        for i, image in enumerate(grey)
    ]


def check_sanity(rid: str, images: int = 20, seed: int = 0) -> pd.DataFrame:
    """Return how far heat maps follow the weights: one row per image and randomised part ("head" or "all").

    Columns: part, id, correlation (Pearson, over pixels) of the map of the trained model with that of the same class
    once the part is random (by `seed`); NaN where either map is empty. A map that stays as it was would show the image,
    not what the model learnt. Source: Adebayo et al. 2018, arXiv:1810.03292.
    """
    run = finished.load(rid)
    chosen = finished.draw_ids(finished.predictions(rid)["id"], images, seed)
    target, views = list_answers(rid, chosen, run.classes)["guess"].to_numpy(), run.views(chosen)
    name = last_layer(run.model.encoder, views.shape[-1]).name
    rows = []
    with run.computing():
        before = heatmap(run.model, views, run.model.encoder.get_submodule(name), target)
    for part in RANDOMISED:
        other = randomise(run.model, part, seed)
        with run.computing():
            after = heatmap(other, views, other.encoder.get_submodule(name), target)
        values = map(correlation, before, after)
        rows += [{"part": part, "id": i, "correlation": r} for i, r in zip(chosen, values, strict=True)]
    return pd.DataFrame(rows)


def randomise(model: nn.Module, part: str, seed: int) -> nn.Module:
    """Return a copy of a `TransferModel` whose "head", or "all" of it, has initial weights again, drawn by `seed`."""
    from tlkit.config import lookup
    from tlkit.models import initial_weights

    other = copy.deepcopy(model)
    with initial_weights(seed):
        for module in lookup(part, {"head": other.head, "all": other}, "part to randomise").modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
    return other


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return Pearson's correlation of two maps of one shape; NaN where one is constant."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])
