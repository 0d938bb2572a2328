from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tlkit.config import UnknownNameError
from tlkit.models import (
    UNet,
    backbone,
    batch_norms,
    classifier,
    freeze,
    initial_weights,
    reconstructor,
    regressor,
    segmenter,
)
from tlkit.training.optim import build_optimizer
from tlkit.training.simclr import SimCLRModel


def make(kind: str):
    encoder = backbone("resnet10", seed=0)
    return classifier(encoder, 3, seed=0) if kind == "classifier" else UNet(encoder, 3, seed=0)


def trained(model, steps: int = 2):
    """Train with momentum and decay, evaluating in between, and return the state before and after."""
    before = {k: v.clone() for k, v in model.state_dict().items()}
    optimizer = build_optimizer(model, "sgd", lr=0.1, weight_decay=0.1)
    x = torch.rand(4, 3, 33, 33, generator=torch.Generator().manual_seed(0)) * 5
    for _ in range(steps):
        model.eval()
        model.train()
        out = model(x)
        target = torch.arange(4).remainder(3).view(-1, *[1] * (out.ndim - 2)).expand(4, *out.shape[2:])
        F.cross_entropy(out, target).backward()
        optimizer.step()
        optimizer.zero_grad()
    return before, model.state_dict()


def moved(before, after) -> set[str]:
    return {k for k in before if not torch.equal(before[k], after[k])}


@pytest.mark.parametrize("kind", ["classifier", "unet"])
def test_a_frozen_encoder_keeps_every_bit(kind):
    model = freeze(make(kind), "encoder")
    changed = moved(*trained(model))
    assert changed and not any(k.startswith("encoder.") for k in changed)
    assert not any(m.training for m in model.encoder.modules()) and model.head.training


@pytest.mark.parametrize("kind", ["classifier", "unet"])
def test_adapt_moves_batchnorm_and_nothing_else_of_the_encoder(kind):  # jonske2025 3.3
    model = freeze(make(kind), "encoder", bn="adapt")
    norms = {f"encoder.{n}" for n, m in model.encoder.named_modules() if m in batch_norms(model.encoder)}
    expected = {k for k in model.state_dict() if k.rpartition(".")[0] in norms}
    assert {k for k in moved(*trained(model)) if k.startswith("encoder.")} == expected


def test_the_published_linear_evaluation_trains_53120_encoder_parameters():  # jonske2025 0.5
    model = freeze(classifier(backbone("resnet50"), 2), "encoder", bn="adapt")
    learning = [p.numel() for p in model.encoder.parameters() if p.requires_grad]
    assert (len(learning), sum(learning)) == (106, 53_120)


def test_fine_tuning_moves_all_and_can_hold_batchnorm():
    model = make("classifier")
    assert moved(*trained(model)) == set(model.state_dict())
    model = freeze(make("classifier"), "none", bn="frozen")
    weights = {k for k, p in model.named_parameters() if p.ndim > 1}
    assert moved(*trained(model)) == weights | {"head.bias"}


def test_thawing_undoes_freezing():
    model = freeze(freeze(make("classifier"), "encoder"), "none")
    assert moved(*trained(model)) == set(model.state_dict())


def test_freezing_keeps_the_mode():
    assert not freeze(make("classifier").eval(), "none").training


def test_pairs_that_contradict_themselves():
    with pytest.raises(ValueError, match="'frozen' or 'adapt'"):
        freeze(make("classifier"), "encoder", bn="train")
    with pytest.raises(ValueError, match="'train' or 'frozen'"):
        freeze(make("classifier"), "none", bn="adapt")
    with pytest.raises(UnknownNameError, match="encoder"):
        freeze(make("classifier"), "encodr")


def test_the_published_head_has_no_bias():  # jonske2025 3.1
    assert classifier(backbone("resnet10"), 6, bias=False).head.bias is None


def outputs(model, precision: torch.dtype, size: int = 32) -> torch.Tensor:
    """What a network says of 8 images of noise in mixed precision, in evaluation mode."""
    x = torch.rand(8, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), torch.autocast("cpu", precision, enabled=precision != torch.float32):
        return model.eval()(x)


MODELS = {
    "classifier": lambda: classifier(backbone("resnet10", seed=0), 3, seed=0),
    "regressor": lambda: regressor(backbone("resnet10", seed=0), mean=130, sd=40, seed=0),
    "unet": lambda: UNet(backbone("resnet10", seed=0), 3, seed=0),
    "published unet": lambda: segmenter(backbone("resnet10", seed=0), 3, "published", seed=0),
    "small unet": lambda: segmenter(backbone("unet", seed=0), 3, seed=0),
    "reconstructor": lambda: reconstructor(backbone("unet", seed=0), seed=0),
    "simclr": lambda: SimCLRModel(backbone("resnet10", seed=0), published_head=True),
}


@pytest.mark.parametrize("kind", MODELS)
def test_heads_keep_float32_in_mixed_precision(kind):
    with initial_weights(0):
        model = MODELS[kind]()
    coarse, fine = outputs(model, torch.bfloat16), outputs(model, torch.float32)
    assert coarse.dtype == torch.float32
    rounded = (coarse.bfloat16().float() == coarse).float().mean()  # of outputs rounded to 8 bits: 1
    assert rounded < 0.05 and (coarse - fine).abs().max() < 0.1 * fine.std()
    assert len(coarse.unique()) > 0.5 * len(fine.unique())


def test_a_head_in_float64_stays_so():
    assert classifier(backbone("resnet10"), 2).double().eval()(torch.rand(1, 3, 32, 32).double()).dtype == torch.float64
