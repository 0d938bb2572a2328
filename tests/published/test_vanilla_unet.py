from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tlkit.models import (
    backbone,
    classifier,
    freeze,
    load_encoder,
    pyramid_levels,
    reconstructor,
    save_weights,
    segmenter,
)


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.fixture(scope="module")
def model():
    return reconstructor(backbone("unet", seed=0), seed=0).eval()


def test_the_published_parameter_count(model):  # radiologynet2025 1.12
    assert count(model) == 117_715
    assert count(segmenter(backbone("unet"), 1)) == 117_715 - 51 + 17


def test_the_order_is_convolution_relu_batchnorm(model):
    assert [type(m).__name__ for m in model.encoder.down[0]] == ["Conv2d", "ReLU", "BatchNorm2d"] * 2


@given(h=st.integers(4, 41), w=st.integers(4, 41))
@settings(max_examples=15, deadline=None)
def test_an_image_of_any_size_comes_back(model, h, w):
    with torch.no_grad():
        out = model(torch.rand(1, 3, h, w))
    assert out.shape == (1, 3, h, w) and out.min() > 0 and out.max() < 1


def test_it_learns_to_copy():
    model = reconstructor(backbone("unet", seed=0), seed=0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    x = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    losses = []
    for _ in range(40):
        loss = F.mse_loss(model(x), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 4
    assert all(p.grad is not None for p in model.parameters())


def test_reconstruction_goes_over_into_segmentation(tmp_path):
    """All but the last convolution: both ways, down and up."""
    pretrained = reconstructor(backbone("unet", seed=1), seed=1)
    file = save_weights(pretrained.encoder, tmp_path / "w.safetensors")
    net = segmenter(backbone("unet", seed=2), 2, seed=2).eval()
    assert load_encoder(net.encoder, file).whole
    x = torch.rand(1, 3, 20, 20)
    with torch.no_grad():
        assert torch.equal(net.encoder.maps(x), pretrained.eval().encoder.maps(x))
        assert torch.allclose(net(x), net.head(pretrained.encoder.maps(x)))


def test_as_an_encoder_of_a_classifier():
    encoder = backbone("unet", seed=0)
    x = torch.rand(2, 3, 33, 30)
    assert encoder(x).shape == (2, encoder.num_features) == (2, 64)
    assert classifier(encoder, 5)(x).shape == (2, 5)
    assert torch.allclose(encoder.eval()(x), encoder.forward_intermediates(x)[-1].mean((2, 3)))
    assert pyramid_levels(encoder) == [(16, 1), (32, 2), (64, 4)]


def test_frozen_only_the_head_learns():
    net = freeze(segmenter(backbone("unet", seed=0), 2, seed=0), "encoder").train()
    before = {k: v.clone() for k, v in net.encoder.state_dict().items()}
    net(torch.rand(2, 3, 16, 16)).sum().backward()
    assert {k for k, p in net.named_parameters() if p.grad is not None} == {"head.weight", "head.bias"}
    assert all(torch.equal(before[k], v) for k, v in net.encoder.state_dict().items())
    adapting = freeze(net, "encoder", bn="adapt").train()
    adapting(torch.rand(2, 3, 16, 16)).sum().backward()
    assert {k.split(".")[1] for k, p in adapting.encoder.named_parameters() if p.grad is not None} >= {"0", "1"}


def test_the_seed_decides_encoder_and_head():
    first, second, other = (segmenter(backbone("unet", seed=s), 2, seed=s).state_dict() for s in (5, 5, 6))
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])
    assert not torch.equal(first["encoder.grow.0.weight"], other["encoder.grow.0.weight"])


def test_other_encoders_reconstruct_through_their_unet():
    net = reconstructor(backbone("resnet10", seed=0), seed=0)
    out = net(torch.rand(2, 3, 39, 33))
    assert out.shape == (2, 3, 39, 33) and out.min() > 0 and out.max() < 1
