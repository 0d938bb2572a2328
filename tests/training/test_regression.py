"""The task of a number an image, its head, and the columns that a model gets beside the image."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from tlkit import runs
from tlkit.config import ConfigError
from tlkit.datasets import identity
from tlkit.models import backbone, initial_weights, regressor
from tlkit.names import sign
from tlkit.training.loop import fit
from tlkit.training.recipes import recipe
from tlkit.training.run import run
from tlkit.training.supervised import Samples, Supervised, predict
from tlkit.training.tasks import Regression, task

TABLE = pd.DataFrame({"boneage": [10.0, 20.0, 60.0], "male": [0.0, 1.0, 1.0]})


def fitted(table: pd.DataFrame = TABLE) -> Regression:
    return task("regression", ("boneage",), target="boneage", inputs=("male",)).fit(table)


def test_metrics_by_hand():
    kept = pd.DataFrame({"target": [10.0, 20.0, 60.0], "output": [12.0, 20.0, 54.0]})
    found = fitted().metrics(kept)
    assert (found["mae"], found["mse"]) == (pytest.approx(8 / 3), pytest.approx(40 / 3))
    assert found["rmse"] == pytest.approx((40 / 3) ** 0.5)
    assert found["r2"] == pytest.approx(1 - 40 / (400 + 100 + 900))
    assert set(fitted().metrics(kept, full=False)) == {"mae", "mse"} and sign("mae") == -1
    assert np.isnan(fitted().metrics(kept.assign(target=5.0))["r2"])


def test_the_model_puts_out_months_and_the_loss_is_in_standard_deviations():
    job = fitted()
    model = job.model(backbone("resnet10", seed=0)).eval()
    images, male = torch.rand(4, 3, 32, 32), torch.tensor([[0.0], [1.0], [0.0], [1.0]])
    with torch.no_grad():
        out = model(images, male)
    assert out.shape == (4, 1) and (out - 30).abs().max() < 30  # around the mean of the training images
    loss = job.loss(out, out[:, 0] + job.sd)
    assert loss.item() == pytest.approx(1)
    assert torch.equal(model.state_dict()["unit"], torch.tensor([job.mean, job.sd]))


def test_sex_reaches_the_output():
    model = regressor(backbone("resnet10", seed=0), 1, seed=1).eval()
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        girl, boy = (model(image, torch.tensor([[v]])) for v in (0.0, 1.0))
    assert girl.item() != boy.item()


@pytest.mark.parametrize("column", ["male", "boneage"])
def test_a_constant_column_is_an_error(column):  # radiologynet2025 2.4: the published sex input was always 0
    with pytest.raises(ConfigError, match=f"column '{column}': expected values that differ"):
        fitted(TABLE.assign(**{column: 0.0}))
    with pytest.raises(ConfigError, match="no such column"):
        fitted(TABLE.drop(columns=column))


def test_a_run_from_hands_to_months():
    phantom = {"seed": 1, "train": 24, "val": 10, "test": 10, "pixels": 32}
    chosen = recipe("boneage", epochs=2, batch=8, warmup=0, normalise="imagenet", schedule="plateau")
    config = {
        "kind": "finetune", "mode": "finetune", "task": "bone age", "task_kind": "regression", "pretraining": "scratch",
        "fraction": 1.0, "data": {**identity("rsna-bone-age", phantom), "size": 32, "split": {"seed": 0}},
        "weights": None, "backbone": "resnet10", "recipe": chosen.to_dict(), "seed": 1,
        "compute": {"threads": 1, "processes": 1},
    }  # fmt: skip
    folder = run(config)
    metrics, kept = runs.read_json(folder / "metrics.json"), pd.read_parquet(folder / "predictions_test.parquet")
    assert metrics["mae"] == pytest.approx((kept["target"] - kept["output"]).abs().mean(), rel=1e-5)
    assert {"rmse", "r2", "val_mae", "best_epoch", "last_epoch"} <= set(metrics) and metrics["last_epoch"] == 2
    assert metrics["val_mae"] == pytest.approx(runs.history(folder.name)["mae"].min(), rel=1e-5)
    assert runs.read_json(folder / "status.json")["energy_kwh"] > 0
    assert {"energy_kwh", "mae"} <= set(runs.read_all([folder.name])["metric"])


class Blobs:
    """Images of a bright blob, and as target months that its size says."""

    def __init__(self, n: int):
        radius = np.random.default_rng(0).uniform(2, 14, n)
        x, y = np.meshgrid(np.arange(32) - 16, np.arange(32) - 16)
        blobs = 255 * np.exp(-(x**2 + y**2) / radius[:, None, None] ** 2)
        self.images = torch.from_numpy(blobs.astype(np.uint8))
        self.table = pd.DataFrame({"id": range(n), "patient": range(n), "months": 12 + 14 * radius})

    def take(self, index):
        return self.images[index], None


def predicted(precision: str, folder) -> pd.DataFrame:
    """Train on 64 blobs and predict 64 others."""
    store = Blobs(128)
    job = task("regression", ("months",), target="months").fit(store.table[:64])
    plain = recipe("boneage", epochs=8, batch=16, lr=0.002, augment="none", precision=precision)
    encoder = backbone("resnet10", seed=0)
    with initial_weights(0):
        model = job.model(encoder)
    train, test = (Samples(store, rows) for rows in np.split(np.arange(128), 2))
    fit(Supervised(model, job, train, test, plain, 0), plain, seed=0, folder=folder, device=torch.device("cpu"))
    return predict(model, job, test, plain)


def test_months_are_as_fine_in_bfloat16_as_in_float32(tmp_path):
    errors = {}
    for precision in ("float32", "bfloat16"):
        (tmp_path / precision).mkdir()
        kept = predicted(precision, tmp_path / precision)
        assert kept["output"].nunique() == 64, precision
        assert (kept["output"] % 0.5 != 0).all(), precision  # months rounded to 8 bits are whole or half
        errors[precision] = (kept["output"] - kept["target"]).abs().mean()
    assert max(errors.values()) < 25  # guessing the mean errs by 46
    assert errors["bfloat16"] < 1.5 * errors["float32"] + 0.5, errors
