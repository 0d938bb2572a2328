"""What frozen encoders say of the images: computed once, in batches, and kept below the runs.

Files are named by a hash of all that decides them, images and weights included; of an arm the last one is kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tlkit.advice import reading
from tlkit.config import file_name
from tlkit.files import replacing, write_text
from tlkit.models import backbone
from tlkit.models.backbones import pyramid
from tlkit.runfolder import deciding_hash
from tlkit.stats.baselines import pixel_statistics
from tlkit.training.feed import feed_parts
from tlkit.training.inputs import load_pretrained
from tlkit.training.processes import pick_device
from tlkit.training.recipe import Recipe
from tlkit.training.supervised import plain_view

IMAGES = 64  # that go through a frozen encoder at once
VIEW = ("normalise", "window", "intensity", "crop")  # what of a recipe decides how an encoder sees an image
GRID, CELL = 32, 4  # of maps: cells a side at most, and pixels a cell at least
CHANNELS = 48  # of each resolution: its main directions over SAMPLE images
SAMPLE = 64
Config = dict[str, Any]


@torch.inference_mode()
def features(config: Config, store: Any, rows: np.ndarray) -> np.ndarray:
    """Return float32 [N,D]: what the frozen encoder of a run gives for rows of its store, before any training."""
    encoder, found = _encoder(config), None
    for at, images in _views(config, store, rows):
        values = encoder(images).float().cpu().numpy()
        found = np.empty((len(rows), values.shape[1]), np.float32) if found is None else found
        found[at] = values
    return found


@torch.inference_mode()
def maps(config: Config, store: Any, rows: np.ndarray) -> np.ndarray:
    """Return float16 [N,D,G,G]: the frozen encoder's maps of all resolutions, side by side on one grid of cells.

    Of each resolution the CHANNELS main directions alone, found on SAMPLE images and of no mask. Raises NoPyramidError.
    """
    encoder = _encoder(config)
    few = rows[np.unique(np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).astype(int))]
    seen = [pyramid(encoder, images) for _, images in _views(config, store, few)]
    turns = [_main_directions(torch.cat(level)) for level in zip(*seen, strict=True)]
    cells = cells_of(config["recipe"].get("crop") or store.images.shape[1])
    found = np.empty((len(rows), sum(t.shape[0] for t in turns), cells, cells), np.float16)
    for at, images in _views(config, store, rows):
        levels = zip(pyramid(encoder, images), turns, strict=True)
        turned = [_on_grid(torch.einsum("dc,bchw->bdhw", turn, level.float()), cells) for level, turn in levels]
        found[at] = torch.cat(turned, dim=1).half().cpu().numpy()
    return found


def cells_of(size: int) -> int:
    """Return the cells a side of the maps of images of `size` px."""
    return max(1, min(GRID, size // CELL))


def pixels(store: Any, rows: np.ndarray) -> np.ndarray:
    """Return `pixel_statistics` of rows of a store, read in batches: the histograms share the range of all of them."""
    parts = _parts(rows)
    ends = [(float(batch.min()), float(batch.max())) for batch in (store.take(part)[0].numpy() for part in parts)]
    span = min(low for low, _ in ends), max(high for _, high in ends)
    return np.concatenate([pixel_statistics(store.take(part)[0].numpy(), span) for part in parts])


def kept_array(name: str, arm: str, key: str, make: Callable[[], np.ndarray]) -> np.ndarray:
    """Return the array of an arm of the advice `name` that was kept under `key`, else what `make` gives; kept then."""
    file = _file(name, arm, f"{key}.npy")
    if not file.is_file():
        _drop_others(file)
        with replacing(file) as part, part.open("wb") as out:
            np.save(out, make())
    return np.load(file)


def kept_scores(name: str, arm: str, key: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the scores that were kept under `key`, else what `make` gives; kept then. Keys of a dict are texts."""
    file = _file(name, arm, f"{key}.json")
    if not file.is_file():
        _drop_others(file)
        write_text(file, json.dumps(make(), default=float))
    return json.loads(file.read_text(encoding="utf-8"))


def key_of(config: Config, rows: np.ndarray, *more: Any) -> str:
    """Return the hash of what decides the features of a config's frozen encoder for `rows`, and of `more`."""
    seen = {k: config[k] for k in ("data", "weights", "backbone", "seed")}
    seen["view"] = {k: config["recipe"].get(k) for k in VIEW}
    return deciding_hash({**seen, "held": [digest([rows.tobytes()]), *map(str, more)]})


def join_keys(*keys: str) -> str:
    """Return one key of several."""
    return digest(keys)[: len(keys[0])]


def digest(parts: Iterable[Any]) -> str:
    """Return the SHA-256 of bytes and texts."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part if isinstance(part, bytes) else f"{part}\n".encode())
    return found.hexdigest()


def _file(name: str, arm: str, end: str) -> Path:
    return reading.folder_of(name) / "features" / (file_name(arm) or "arm") / end


def _drop_others(file: Path) -> None:
    """Remove what was kept for other images, weights or views of the same arm."""
    if file.parent.is_dir():
        for other in file.parent.iterdir():
            if other.suffix == file.suffix:
                other.unlink(missing_ok=True)
    file.parent.mkdir(parents=True, exist_ok=True)


def _encoder(config: Config) -> nn.Module:
    encoder = backbone(config["backbone"], seed=config["seed"])
    load_pretrained(encoder, config["weights"])
    return encoder.to(pick_device(), memory_format=torch.channels_last).eval()


def _parts(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[i : i + IMAGES] for i in range(0, len(rows), IMAGES)]


def _views(config: Config, store: Any, rows: np.ndarray) -> Iterator[tuple[slice, torch.Tensor]]:
    """Yield the places and views of `rows`, as the network sees them in evaluation."""
    recipe, start = Recipe.from_dict(config["recipe"]), 0
    read = feed_parts(lambda part: (store.take(part)[0],), _parts(rows), pick_device())
    for part, (images,) in read:
        yield slice(start, start + len(part)), plain_view(images, recipe)
        start += len(part)


def _main_directions(level: torch.Tensor) -> torch.Tensor:
    """Return [D,C]: the directions in which the channels of maps [B,C,H,W] vary most."""
    values = level.float().movedim(1, -1).flatten(0, -2)
    _, vectors = torch.linalg.eigh(torch.cov(values.T).reshape(values.shape[1], -1).double())
    return vectors[:, -CHANNELS:].T.flip(0).float().to(level.device)


def _on_grid(level: torch.Tensor, cells: int) -> torch.Tensor:
    if level.shape[-1] > cells:
        return F.adaptive_avg_pool2d(level, cells)
    return F.interpolate(level, size=(cells, cells), mode="bilinear", align_corners=False)
