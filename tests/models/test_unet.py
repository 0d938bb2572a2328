from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tlkit.models import UNet, backbone, default_widths, segmenter


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.fixture(scope="module")
def small() -> UNet:
    return UNet(backbone("resnet10", seed=0), classes=3, seed=0).eval()


def test_the_published_parameter_counts():  # jonske2025 3.2
    net = UNet(backbone("resnet50", seed=0), classes=3)
    assert (count(net.encoder), count(net.decoder), count(net.head)) == (23_508_032, 12_987_584, 51)
    assert [b.conv[0].in_channels for b in net.decoder] == [1280, 640, 320, 96, 16]
    assert [b.conv[0].out_channels for b in net.decoder] == [256, 128, 64, 32, 16]


def test_the_encoder_stays_the_same_module_with_the_same_keys():
    encoder = backbone("resnet10", seed=0)
    keys = list(encoder.state_dict())
    net = UNet(encoder, classes=2)
    assert net.encoder is encoder and list(encoder.state_dict()) == keys


@given(h=st.integers(32, 75), w=st.integers(32, 75))
@settings(max_examples=8, deadline=None)
def test_any_input_size_comes_out_whole(small, h, w):
    with torch.no_grad():
        assert small(torch.rand(1, 3, h, w)).shape == (1, 3, h, w)


@pytest.mark.parametrize("name", ["torchvision/resnet18", "torchvision/vgg11", "tf_efficientnet_lite0"])
def test_gradients_reach_every_parameter(name):
    net = UNet(backbone(name, seed=0), classes=2, seed=0)
    out = net(torch.rand(2, 3, 39, 33))
    assert out.shape == (2, 2, 39, 33)
    out.square().mean().backward()
    parts = [("decoder", net.decoder), ("head", net.head), ("encoder", net.encoder)]
    idle = [f"{n}.{k}" for n, m in parts for k, p in m.named_parameters() if p.grad is None]
    # what pools and widens behind the last map has no part in segmentation
    assert all(k.startswith(("encoder.conv_head", "encoder.bn2")) for k in idle)


def test_the_seed_decides_the_decoder():
    first, second, other = (UNet(backbone("resnet10", seed=0), 2, seed=s).state_dict() for s in (3, 3, 4))
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_it_sees_detail_through_the_skips(small):
    """One pixel's change far finer than 1/32 changes the output at that pixel the most."""
    x = torch.rand(1, 3, 64, 64)
    y = x.clone()
    y[..., 20, 37] += 3
    with torch.no_grad():
        change = (small(x) - small(y)).abs().sum((0, 1))
    row, column = divmod(int(change.argmax()), 64)
    assert abs(row - 20) <= 6 and abs(column - 37) <= 6


def test_widths():
    assert default_widths(2048, 5) == (256, 128, 64, 32, 16)
    assert default_widths(256, 5) == (64, 32, 16, 16, 16)
    with pytest.raises(ValueError, match="5 decoder widths"):
        UNet(backbone("resnet10"), 2, widths=(8, 8))


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "efficientnet_b4", "densenet121", "mobilenet_v3_large"])
def test_a_unet_on_the_studys_encoders(name):
    with torch.device("meta"):
        encoder = backbone(f"torchvision/{name}").train()
        net = segmenter(encoder, 2)
        out = net(torch.zeros(2, 3, 96, 90))
    assert type(net) is UNet and net.encoder is encoder and out.shape == (2, 2, 96, 90)
