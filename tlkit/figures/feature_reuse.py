"""Feature reuse (Fig. 5): how alike are the early features of a finished run before and after fine-tuning?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from functools import lru_cache
from itertools import combinations
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tlkit import runs
from tlkit.config import ConfigError, canonical
from tlkit.figures import finished
from tlkit.figures.similarity import FEWEST, alignment, centred, displacement, gram, minibatch_cka, parts, weight_matrix
from tlkit.names import NAMES
from tlkit.report import lettering
from tlkit.report.style import MM, PAPER_WIDTH, colours, style

if TYPE_CHECKING:
    import torch
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import nn

FEATURES = "features"  # what the head sees: the encoder's pooled output
GRID = 8  # positions a side at which a map is read
CHUNK = 32  # images in the network at once
KEPT = 6  # networks at once: a start, and its runs of five seeds
SHARED = ("kind", "mode", "task", "pretraining", "fraction")


def feature_reuse(ids: Iterable[str], images: int = 2000, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare each downstream run with the weights it started from, and every two that differ in their seed only.

    Returns two frames of one row per (run, layer, measure): run, SHARED, seed, layer, measure, value. The measures are
    those of `compare`, over `images` random test images of the run's task (`seed` draws them; all where there are
    fewer). The second frame says what the seed alone changes; differences between pretrainings are to be read against
    it. There `run` and `seed` name both ("42 and 1"). Runs of scratch also differ in their random start.
    Raises FileNotFoundError where a run or its pretraining is not done, ConfigError as `compare` does.
    """
    configs = {rid: finished.config_of(rid) for rid in ids}
    groups: dict[str, list[str]] = {}
    for rid, config in configs.items():
        groups.setdefault(canonical(_without_seed(config)), []).append(rid)
    reuse, seeds = {}, []
    for group in groups.values():  # seed by seed, and all of a group at once: what is known of a network is still there
        for rid in group:
            config = configs[rid]
            found = compare(_before(config), encoder_after(rid), config, images, seed)
            reuse[rid] = [{"run": rid, **_head(config), "seed": config["seed"], **row} for row in found]
        for a, b in combinations(group, 2):
            config, other = configs[a], configs[b]
            found = compare(encoder_after(a), encoder_after(b), config, images, seed)
            both = {"run": f"{a} and {b}", **_head(config), "seed": f"{config['seed']} and {other['seed']}"}
            seeds += [{**both, **row} for row in found]
    return pd.DataFrame([row for rid in configs for row in reuse[rid]]), pd.DataFrame(seeds)


def compare(before: nn.Module, after: nn.Module, config: dict[str, Any], images: int, seed: int) -> list[dict]:
    """Return rows (layer, measure, value) for two encoders of one architecture.

    For the first three convolutions: "weights_rbf" (RBF-CKA of the weights, as published) and "displacement". For
    them and for FEATURES: "activations_linear" and "activations_rbf", unbiased minibatch CKA over test images, in
    evaluation mode. A convolution's map is read at GRID x GRID evenly spaced positions and flattened: pooled
    over positions, a linear layer would keep little more than the mean grey value of the image.
    Source: jonske2025 5.7 (weights only); activations after Kornblith et al. 2019.
    """
    from tlkit.training.compute import limit_threads

    with limit_threads(config["compute"]["threads"]):
        return _compare(before, after, config, images, seed)


def _compare(before: nn.Module, after: nn.Module, config: dict[str, Any], images: int, seed: int) -> list[dict]:
    rows = []
    for (layer, (w, a)), (v, b) in zip(_weights(before).items(), _weights(after).values(), strict=True):
        rows.append((layer, "weights_rbf", alignment(a, b)))
        rows.append((layer, "displacement", displacement(w, v)))
    data, recipe = canonical(config["data"]), canonical(config["recipe"])
    ours, theirs = (_activations(e, config["task"], data, recipe, images, seed) for e in (before, after))
    values = minibatch_cka({layer: (a[layer], b[layer]) for layer in a} for a, b in zip(ours, theirs, strict=True))
    rows += [(layer, f"activations_{kernel}", value) for (layer, kernel), value in values.items()]
    return [dict(zip(("layer", "measure", "value"), row, strict=True)) for row in rows]


def encoder_before(config: dict[str, Any]) -> nn.Module:
    """Return the encoder that the run of `config` started from: its pretraining's, or for scratch its own initial one.

    The seed decides initial weights (`models.backbone`), so those of scratch are made again; another version of
    torch or timm might draw others (the run's environment.json names its versions).
    """
    from tlkit.models import backbone
    from tlkit.training.inputs import load_pretrained

    encoder = backbone(config["backbone"], seed=config["seed"])
    load_pretrained(encoder, config["weights"])
    return encoder


def _before(config: dict[str, Any]) -> nn.Module:
    whole = config["weights"] and not config["weights"].get("partial")  # they leave nothing to the seed
    start = {"backbone": config["backbone"], "seed": 0 if whole else config["seed"], "weights": config["weights"]}
    return _started(canonical(start))


@lru_cache(maxsize=KEPT)
def _started(start: str) -> nn.Module:
    return encoder_before(json.loads(start))


@lru_cache(maxsize=KEPT)
def encoder_after(rid: str) -> nn.Module:
    """Return the encoder of the finished run `rid`."""
    from tlkit.models import load_encoder

    encoder = deepcopy(_untrained(finished.config_of(rid)["backbone"]))
    load_encoder(encoder, runs.check_file(rid, "model.safetensors"))
    return encoder


@lru_cache(maxsize=1)
def _untrained(name: str) -> nn.Module:
    from tlkit.models import backbone

    return backbone(name)  # to copy: drawing initial weights, of which none is left, takes longer


def first_convolutions(encoder: nn.Module, count: int = 3) -> dict[str, nn.Conv2d]:
    """Return the first convolutions by name; of a ResNet: conv1, layer1.0.conv1, layer1.0.conv2 (jonske2025 5.7)."""
    from torch import nn

    found = [(name, m) for name, m in encoder.named_modules() if isinstance(m, nn.Conv2d)]
    if not found:
        raise ConfigError(f"{type(encoder).__name__} has no convolution; feature reuse is defined for early ones")
    return dict(found[:count])


def _without_seed(config: dict[str, Any]) -> dict[str, Any]:
    """Return a config less its seed, and that of its split, which a study may draw anew for each run."""
    data = config["data"] | {"split": {k: v for k, v in config["data"]["split"].items() if k != "seed"}}
    return {k: v for k, v in config.items() if k != "seed"} | {"data": data}


def _head(config: dict[str, Any]) -> dict[str, Any]:
    return {k: config[k] for k in SHARED}


@lru_cache(maxsize=KEPT)
def _weights(encoder: nn.Module) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return of each of the first convolutions its weights and their centred kernel matrix."""
    found = {n: c.weight.detach().cpu().numpy().astype(np.float64) for n, c in first_convolutions(encoder).items()}
    return {layer: (w, centred(gram(weight_matrix(w), "rbf"))) for layer, w in found.items()}


@lru_cache(maxsize=KEPT)
def _activations(
    encoder: nn.Module, task: str, data: str, recipe: str, images: int, seed: int
) -> list[dict[str, np.ndarray]]:
    """Return the activations of an encoder for one random part of the test images after another."""
    import torch

    from tlkit.training.processes import pick_device
    from tlkit.training.recipe import Recipe
    from tlkit.training.supervised import plain_view

    store, rows = _test_rows(data)
    rows = np.random.default_rng(seed).permutation(rows)[:images]
    if len(rows) < FEWEST:
        raise ConfigError(f"{task}: {len(rows)} test images; CKA of activations needs at least {FEWEST}")
    recipe, device, found = Recipe.from_dict(json.loads(recipe)), pick_device(), []
    encoder.to(device).eval()
    for part in parts(len(rows), seed=seed):
        chunks = []
        for chunk in np.array_split(rows[part], -(-len(part) // CHUNK)):
            views = plain_view(store.take(chunk)[0].to(device), recipe)
            with torch.inference_mode():
                chunks.append(_read(encoder, views))
        found.append({layer: np.concatenate([chunk[layer] for chunk in chunks]) for layer in chunks[0]})
    return found


def _read(encoder: nn.Module, views: torch.Tensor) -> dict[str, np.ndarray]:
    """Return [B, features] of the first convolutions, read on the grid, and of the pooled output."""
    found, hooks = {}, []
    for name, layer in first_convolutions(encoder).items():
        hooks.append(layer.register_forward_hook(lambda _m, _i, out, name=name: found.update({name: _on_grid(out)})))
    try:
        found[FEATURES] = encoder(views).float().cpu().numpy()
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _on_grid(maps: torch.Tensor) -> np.ndarray:
    """Return [B, C * positions]: `maps` [B,C,H,W] at the middles of GRID x GRID cells (all of a smaller map)."""
    rows, columns = ((np.arange(g := min(GRID, n)) * n + n // 2) // g for n in maps.shape[-2:])
    return maps[:, :, rows][..., columns].flatten(1).float().cpu().numpy()


@lru_cache(maxsize=8)  # the seeds and pretrainings of a task share it; opening checks every file's identity
def _test_rows(data: str) -> tuple[Any, np.ndarray]:
    from tlkit.training.run import chosen_rows, open_data

    data = json.loads(data)
    store, table = open_data(data)
    return store, chosen_rows(data, table, "test")


MEASURES = {
    "weights_rbf": "CKA of weights\n(RBF, as published)",
    "displacement": "weight displacement\n|after - before| / |before|",
    "activations_linear": "CKA of activations\n(linear, unbiased)",
    "activations_rbf": "CKA of activations\n(RBF, unbiased)",
}
FOOTER = (
    "White dots: single runs. Coloured: their mean, whisker: sd (ddof = 1). Black lines: the same measure between two "
    "runs that differ in their seed only (mean of all pairs). L1 to L3: the first three convolutions; pooled: the "
    "features that the head sees."
)


def draw(
    reuse: pd.DataFrame, baseline: pd.DataFrame, *, names: Mapping[str, str] | None = None, phantom: bool = False
) -> Figure:
    """Draw one panel per (measure, task): each layer's value by pretraining, with the seed-to-seed baseline.

    `reuse` and `baseline` are the frames of `feature_reuse` (the baseline may be empty), of one experiment; rows of
    panels share their vertical axis. The layers are L1, L2, L3 (the first three convolutions) and the pooled features.
    Raises ValueError for an empty `reuse`. Source: Jonske et al. 2025, Fig. 5 (its weights only).
    """
    import matplotlib.pyplot as plt

    if reuse.empty:
        raise ValueError("no runs to draw; `python -m tlkit plan` lists which runs are missing")
    names = NAMES | (names or {})
    palette = colours(reuse["pretraining"], names)
    measures = [m for m in MEASURES if m in set(reuse["measure"])]
    tasks, layers = list(reuse["task"].unique()), list(reuse["layer"].unique())
    with style():
        size = (PAPER_WIDTH, (14 + 36 * len(measures)) * MM)
        fig, grid = plt.subplots(
            len(measures), len(tasks), figsize=size, sharey="row", squeeze=False, layout="constrained"
        )
        for i, measure in enumerate(measures):
            for j, task in enumerate(tasks):
                found, seeds = (f[_of(f, measure, task)] for f in (reuse, baseline))
                _panel(grid[i, j], found, seeds, [x for x in layers if x in set(found["layer"])], palette)
                grid[i, j].set_title(ascii_lowercase[(i * len(tasks) + j) % 26], loc="left", weight="bold")
            grid[i, 0].set_ylabel(MEASURES[measure])
            values = pd.concat([f.loc[f["measure"] == measure, "value"] for f in (reuse, baseline) if len(f)])
            top = 1.04 if measure != "displacement" else 1.08 * values.max()
            grid[i, 0].set_ylim(min(0, values.min() - 0.03) if measure != "displacement" else 0, top)
        for ax, task in zip(grid[0], tasks, strict=True):
            ax.set_title(names.get(task, task))
        handles = [plt.Line2D([], [], marker="o", ls="", color=c, label=names.get(p, p)) for p, c in palette.items()]
        handles.append(plt.Line2D([], [], color="black", lw=1.3, label="two seeds of the same arm"))
        fig.legend(handles=handles, loc="outside upper left", ncols=len(handles), frameon=False)
        return lettering.finish(fig, FOOTER, phantom)


def _of(frame: pd.DataFrame, measure: str, task: str) -> pd.Series | slice:
    return (frame["measure"] == measure) & (frame["task"] == task) if len(frame) else slice(0)


def _panel(ax: Axes, reuse: pd.DataFrame, seeds: pd.DataFrame, layers: list[str], palette: Mapping[str, str]) -> None:
    step = 0.8 / len(palette)
    for x, layer in enumerate(layers):
        for i, (name, colour) in enumerate(palette.items()):
            at = x + (i - (len(palette) - 1) / 2) * step
            values = _values(reuse, layer, name)
            if len(values) == 0:
                continue
            baseline = _values(seeds, layer, name) if len(seeds) else []
            if len(baseline):
                ax.plot(
                    [at - 0.36 * step, at + 0.36 * step],
                    [np.mean(baseline)] * 2,
                    color="black",
                    lw=1.3,
                    zorder=1,
                    gid="seeds",
                )
            sd = np.std(values, ddof=1) if len(values) > 1 else None
            ax.errorbar(at, np.mean(values), sd, fmt="o", ms=3.4, color=colour, lw=0.9, zorder=3)
            ax.plot([at] * len(values), values, "o", ms=1.6, mfc="white", mec="0.3", mew=0.4, zorder=4, gid="runs")
    ax.set_xticks(range(len(layers)), [f"L{i + 1}" if x != "features" else "pooled" for i, x in enumerate(layers)])
    ax.set_xlim(-0.6, len(layers) - 0.4)
    for x in range(1, len(layers)):
        ax.axvline(x - 0.5, color="0.9", lw=0.6, zorder=0)


def _values(frame: pd.DataFrame, layer: str, pretraining: str) -> np.ndarray:
    return frame.loc[(frame["layer"] == layer) & (frame["pretraining"] == pretraining), "value"].to_numpy(float)
