from __future__ import annotations

import pytest
import torch

from tlkit.config import ConfigError, UnknownNameError
from tlkit.models import NoPyramidError, backbone, freeze, segmenter
from tlkit.published.unet_published import PublishedUNet, published_maps


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("name", "widths", "decoder", "bridge"),  # radiologynet2025 2.5: in millions 185.4 and 75.5, 20.0 and 4.7, ...
    [
        ("resnet50", [2048, 1024, 512, 256, 64, 3], 185_364_171, 75_509_760),
        ("vgg16", [512, 512, 256, 128, 64, 3], 19_972_811, 4_721_664),
        ("efficientnet_b4", [1792, 448, 272, 160, 112, 56, 32, 24, 48, 3], 116_402_011, 57_813_504),
    ],
)
def test_the_published_parameter_counts(name, widths, decoder, bridge):
    with torch.device("meta"):  # half a gigabyte of nothing
        net = segmenter(backbone(f"torchvision/{name}"), 1, decoder="published")
    assert [b.conv[0].out_channels for b in net.decoder] == widths
    assert (count(net.decoder), count(net.bridge), count(net.head)) == (decoder, bridge, 4)


def test_half_of_a_block_counts_but_does_not_learn():
    with torch.device("meta"):
        net = segmenter(backbone("torchvision/resnet50"), 1, decoder="published")
    first, *others = net.decoder  # the first joins the bridge with the map that it came from: one size
    assert not first.grow.weight.requires_grad and first.same.weight.requires_grad
    assert all(b.grow.weight.requires_grad and not b.same.weight.requires_grad for b in others)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("resnet10", (64, 64)),
        ("resnet10", (45, 39)),
        ("torchvision/vgg11", (45, 39)),
        ("torchvision/mobilenet_v3_small", (45, 39)),
        ("torchvision/efficientnet_b0", (45, 39)),
    ],
)
def test_any_size_and_gradients_everywhere(name, size):
    encoder = backbone(name, seed=0)
    net = segmenter(encoder, 2, decoder="published", seed=0)
    assert isinstance(net, PublishedUNet) and net.encoder is encoder
    out = net(torch.rand(2, 3, *size))
    assert out.shape == (2, 2, *size)
    out.square().mean().backward()
    parts = {"decoder": net.decoder, "bridge": net.bridge, "head": net.head}
    idle = [f"{n}.{k}" for n, m in parts.items() for k, p in m.named_parameters() if p.requires_grad and p.grad is None]
    assert not idle


def test_the_raw_image_is_the_last_skip():
    net = segmenter(backbone("resnet10", seed=0), 1, decoder="published", seed=0).eval()
    x = torch.rand(1, 3, 64, 64)
    y = x.clone()
    y[..., 20, 37] += 3
    with torch.no_grad():
        maps = published_maps(net.encoder, x)
        change = (net(x) - net(y)).abs()[0, 0]
    assert maps[0] is x and [m.shape[-1] for m in maps] == [64, 32, 16, 8, 4, 2]
    assert change.max() == change[18:23, 35:40].max() > 100 * change.median()  # two 3x3 convolutions reach two pixels


def test_efficientnet_gives_all_its_stages():
    with torch.device("meta"):
        maps = published_maps(backbone("torchvision/efficientnet_b4").eval(), torch.zeros(1, 3, 64, 64))
    assert [m.shape[1] for m in maps] == [3, 48, 24, 32, 56, 112, 160, 272, 448, 1792]
    assert [64 // m.shape[-1] for m in maps] == [1, 2, 2, 4, 8, 16, 16, 32, 32, 32]


def test_the_seed_decides_all_but_the_encoder():
    nets = [segmenter(backbone("resnet10", seed=0), 1, decoder="published", seed=s).state_dict() for s in (3, 3, 4)]
    assert all(torch.equal(nets[0][k], nets[1][k]) for k in nets[0])
    for part in ("bridge.0.weight", "decoder.0.same.weight", "head.weight"):
        assert not torch.equal(nets[0][part], nets[2][part])


def test_a_frozen_encoder_is_left_alone():
    net = freeze(segmenter(backbone("resnet10", seed=0), 1, decoder="published"), "encoder")
    before = {k: v.clone() for k, v in net.encoder.state_dict().items()}
    net.train()(torch.rand(2, 3, 32, 32)).sum().backward()
    assert all(p.grad is None for p in net.encoder.parameters()) and net.bridge[0].weight.grad is not None
    assert all(torch.equal(before[k], v) for k, v in net.encoder.state_dict().items())


def empty(name: str) -> torch.nn.Module:
    """Return a backbone of zeros: made in no time."""
    with torch.device("meta"):
        encoder = backbone(name)
    return encoder.to_empty(device="cpu").requires_grad_(False)


def test_encoders_that_it_cannot_take():
    with pytest.raises(NoPyramidError, match="whole or half"):
        segmenter(empty("torchvision/convnext_tiny"), 1, decoder="published")
    with pytest.raises(NoPyramidError, match="halve"):
        segmenter(empty("torchvision/inception_v3"), 1, decoder="published")
    with pytest.raises(ConfigError, match="has its own"):
        segmenter(backbone("unet"), 1, decoder="published")
    with pytest.raises(UnknownNameError, match="Did you mean 'published'"):
        segmenter(backbone("resnet10"), 1, decoder="publishd")
