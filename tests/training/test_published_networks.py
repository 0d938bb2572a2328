"""The networks of the second study, at full depth and few pixels: each is pretrained and fine-tuned for one step.

The smoke scale of the study uses small networks; `test_run` stops and resumes runs of those.
"""

from __future__ import annotations

import pytest

from tlkit import runs
from tlkit.published.recipes_published import RADIOLOGYNET
from tlkit.training.run import run

SMALLEST = {"inception_v3": 80}  # pixels; 32 for the others
ONE_STEP = {"epochs": 1, "batch": 8, "warmup": 0}


@pytest.mark.parametrize("arch", RADIOLOGYNET)
def test_a_published_network_is_pretrained_and_hands_on_its_encoder(arch, config, data):
    said = {"backbone": f"torchvision/{arch}", "data": {"size": SMALLEST.get(arch, 32), "images": 8}}
    pretraining = config("pretrain", method="classification", recipe={**ONE_STEP, "monitor": "log_loss"}, **said)
    run(pretraining)
    weights = {"run": runs.run_id(pretraining)}
    started = config("finetune", pretraining="imagenet", weights=weights, recipe=ONE_STEP, **said)
    folder = run(started)
    assert runs.read_json(folder / "weights.json")["random"] == [], "the whole encoder is handed on"
    assert all(runs.state_is_done(runs.run_id(c)) for c in (pretraining, started))
