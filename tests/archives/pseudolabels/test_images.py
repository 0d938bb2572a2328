"""Image embeddings see what an image shows, give the same bits twice, and refuse what is no encoder."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from sealed import seal

from tlkit import runs
from tlkit.archives.pseudolabels import images
from tlkit.config import ConfigError
from tlkit.models import backbone, save_weights
from tlkit.training.recipes import recipe

N = 48
KINDS = np.arange(N) % 2


def store(channels: int = 1):
    """Return a store of horizontal and vertical stripes of random phase and brightness."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:16, :16]
    waves = [np.sin((x if kind else y) + rng.uniform(0, 6)) for kind in KINDS]
    pixels = np.stack([127 + rng.uniform(90, 120) * wave for wave in waves]).astype(np.uint8)
    pixels = np.repeat(pixels[..., None], channels, axis=-1) if channels > 1 else pixels

    class Stripes(SimpleNamespace):
        def __len__(self) -> int:
            return N

    table = pd.DataFrame({"id": np.arange(N).astype(str)})
    return Stripes(table=table, take=lambda rows: (torch.from_numpy(pixels[rows]), None))


def separation(codes: np.ndarray) -> float:
    between = np.linalg.norm(codes[:, None] - codes[None], axis=-1)
    same = KINDS[:, None] == KINDS[None]
    return between[~same].mean() / between[same].mean()


VAL = np.arange(N) % 8 == 0


@pytest.mark.parametrize("name", ["autoencoder", "simclr"])
def test_kinds_of_images_lie_apart_and_bits_repeat(name):
    extract = images.EXTRACTORS[name]
    codes = extract(store(), VAL, 8, 1, 16, 8)
    assert codes.dtype == np.float32 and codes.shape == (N, {"autoencoder": 8, "simclr": 256}[name])
    assert separation(codes) > 1.2
    assert (codes == extract(store(), VAL, 8, 1, 16, 8)).all()


def test_colour_is_read_as_grey():
    assert images.autoencoder(store(3), VAL, 1, pixels=16, size=8) == pytest.approx(
        images.autoencoder(store(), VAL, 1, pixels=16, size=8), abs=1e-4
    )


def test_a_side_that_does_not_halve_is_refused():
    with pytest.raises(ConfigError, match="multiple of 8, found 20"):
        images.autoencoder(store(), VAL, 1, pixels=20)


def test_features_of_a_finished_run_are_its_encoders():
    encoder = backbone("resnet10", seed=3)
    folder = runs.folder("pretrain-x")
    folder.mkdir(parents=True)
    save_weights(encoder, folder / "model.safetensors")
    config = {"kind": "pretrain", "backbone": "resnet10", "seed": 1, "recipe": recipe("simclr").to_dict()}
    runs.write_json(folder / "config.json", config)
    seal("pretrain-x")
    found = images.of_run(store(), "pretrain-x")
    with torch.inference_mode():
        grey = store().take(np.arange(2))[0].float()[:, None].expand(-1, 3, -1, -1) / 255
        expected = encoder.eval()(grey)
    assert found[:2] == pytest.approx(expected.numpy(), abs=1e-4)


def test_a_run_that_is_not_there_is_said():
    with pytest.raises(ConfigError, match=r"finished pretraining run, found 'none'.*tlkit status"):
        images.of_run(store(), "none")
