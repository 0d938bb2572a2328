from __future__ import annotations

import subprocess
import sys

import published_files
import pytest
import torch

from tlkit.config import ConfigError, UnknownNameError
from tlkit.models import NoPyramidError, backbone, pyramid, pyramid_levels
from tlkit.models.backbones import check_name


def test_resnet10_is_small():
    encoder = backbone("resnet10", seed=0)
    assert sum(p.numel() for p in encoder.parameters()) == 1_230_240
    assert encoder(torch.rand(2, 3, 48, 40)).shape == (2, encoder.num_features) == (2, 256)
    assert pyramid_levels(encoder) == [(32, 2), (32, 4), (64, 8), (128, 16), (256, 32)]
    assert [f["num_chs"] for f in encoder.feature_info] == [32, 32, 64, 128, 256]


def test_resnet50_is_torchvisions_key_by_key():
    ours, theirs = backbone("resnet50", seed=0), backbone("torchvision/resnet50", seed=1)
    shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (ours, theirs)]
    assert shapes[0] == shapes[1]
    assert sum(p.numel() for p in ours.parameters()) == 23_508_032  # jonske2025 3.2
    ours.load_state_dict(theirs.state_dict())
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(ours.eval()(x), theirs.eval()(x), atol=1e-5)
        maps = [pyramid(m, x) for m in (ours, theirs)]
    assert [m.shape[1] for m in maps[0]] == [64, 256, 512, 1024, 2048]
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*maps, strict=True))


def test_no_batchnorm_starts_at_zero():  # under the published LARS it would stay there
    for name in ("resnet10", "resnet18"):
        encoder = backbone(name, seed=0)
        assert all(m.weight.min() == 1 for m in encoder.modules() if isinstance(m, torch.nn.BatchNorm2d))


@pytest.mark.parametrize("name", ["resnet10", "resnet18", "torchvision/resnet18"])
def test_the_seed_alone_decides_the_weights(name):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = backbone(name, seed=7).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    second, other = backbone(name, seed=7).state_dict(), backbone(name, seed=8).state_dict()
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])


def test_the_number_of_features_is_what_comes_out():
    for name in ("mobilenetv3_small_100", "torchvision/mobilenet_v3_small", "torchvision/convnext_tiny"):
        encoder = backbone(name).eval()
        with torch.no_grad():
            assert encoder(torch.rand(1, 3, 64, 64)).shape == (1, encoder.num_features)


def test_unknown_names_get_the_nearest():
    for wrong, right in (
        ("resnet5O", "resnet50"),
        ("rsnet10", "resnet10"),
        ("torchvision/resnet19", "torchvision/resnet1"),
    ):
        with pytest.raises(UnknownNameError, match=f"{wrong}.*Did you mean '{right}"):
            backbone(wrong)


def test_looking_at_the_levels_changes_nothing():
    encoder = backbone("resnet10", seed=0).train()
    encoder.layer2.eval()
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    pyramid_levels(encoder)
    assert all(torch.equal(before[k], v) for k, v in encoder.state_dict().items())
    assert encoder.training and encoder.layer3.training and not encoder.layer2.training


def test_a_vit_has_no_pyramid():
    encoder = backbone("vit_tiny_patch16_224", img_size=64, depth=1)
    assert encoder(torch.rand(1, 3, 64, 64)).shape == (1, encoder.num_features)
    with pytest.raises(NoPyramidError, match="resnet10"):
        pyramid_levels(encoder)
    with pytest.raises(NoPyramidError):
        pyramid_levels(encoder, size=96)


STUDY = {  # of RadiologyNET: features behind the encoder, millions of parameters, maps of the pyramid, published pixels
    "resnet18": (512, 11.18, [64, 64, 128, 256, 512], 224),
    "resnet34": (512, 21.28, [64, 64, 128, 256, 512], 224),
    "resnet50": (2048, 23.51, [64, 256, 512, 1024, 2048], 224),
    "vgg16": (512, 14.71, [64, 128, 256, 512, 512, 512], 224),
    "efficientnet_b3": (1536, 10.70, [24, 32, 48, 136, 1536], 300),
    "efficientnet_b4": (1792, 17.55, [24, 32, 56, 160, 1792], 380),
    "densenet121": (1024, 6.95, [64, 256, 512, 1024, 1024], 224),
    "mobilenet_v3_small": (1024, 1.52, [16, 16, 24, 48, 576], 224),
    "mobilenet_v3_large": (1280, 4.20, [16, 24, 40, 112, 960], 224),
    "inception_v3": (2048, 21.79, None, 299),
}


@pytest.mark.parametrize("arch", STUDY)
def test_every_architecture_of_the_study(arch):
    features, millions, channels, published = STUDY[arch]
    encoder = published_files.empty(f"torchvision/{arch}").eval()
    for tensor in encoder.state_dict().values():
        tensor.fill_(0.01) if tensor.is_floating_point() else tensor.zero_()
    assert encoder.num_features == features
    assert sum(p.numel() for p in encoder.parameters()) / 1e6 == pytest.approx(millions, abs=0.005)
    with torch.no_grad():
        assert encoder(torch.rand(2, 3, 80, 80)).shape == (2, features)
    with torch.device("meta"):
        assert backbone(f"torchvision/{arch}").eval()(torch.zeros(1, 3, published, published)).shape == (1, features)
    if channels is None:
        with pytest.raises(NoPyramidError, match=r"halve step by step"):
            pyramid_levels(encoder)
        assert pyramid(encoder, torch.zeros(1, 3, 80, 80))[-1].shape[1] == 2048
        return
    levels = pyramid_levels(encoder)
    assert [c for c, _ in levels] == channels
    assert [r for _, r in levels] == [2**k for k in range(*((0, 6) if arch == "vgg16" else (1, 6)))]


@pytest.mark.parametrize(("arch", "smallest"), [("inception_v3", 75), ("vgg16", 32), ("densenet121", 29)])
def test_an_image_too_small_is_said_to_be(arch, smallest):
    with torch.device("meta"):
        encoder = backbone(f"torchvision/{arch}").eval()
        assert encoder(torch.zeros(1, 3, smallest, smallest)).shape == (1, encoder.num_features)
        with pytest.raises(
            ConfigError, match=f"{arch} needs images of at least {smallest} pixels, found {smallest - 1}"
        ):
            encoder(torch.zeros(1, 3, 200, smallest - 1))


def test_inception_gives_one_output_and_leaves_its_input_alone():
    with torch.device("meta"):
        encoder = backbone("torchvision/inception_v3").train()
        assert encoder(torch.zeros(2, 3, 80, 80)).shape == (2, 2048)
    assert encoder.AuxLogits is None and not encoder.transform_input


def test_the_pyramid_ends_in_what_is_pooled():
    """Also in DenseNet, whose last ReLU is no part of its features."""
    for name in ("torchvision/densenet121", "torchvision/efficientnet_b0", "torchvision/vgg11", "resnet10"):
        encoder = backbone(name, seed=0).eval()
        x = torch.rand(1, 3, 64, 64)
        with torch.no_grad():
            assert torch.allclose(pyramid(encoder, x)[-1].mean((2, 3)), encoder(x), atol=1e-5), name


def test_what_ends_in_no_linear_layer():
    with pytest.raises(ConfigError, match="no linear classifier"):
        backbone("torchvision/squeezenet1_0")


@pytest.mark.parametrize(
    "name", ["resnet10", "unet", "resnet50", "mobilenetv3_small_050", "tf_efficientnet_lite0", "torchvision/vgg16"]
)
def test_a_name_is_known_without_building_it(name):
    check_name(name)
    with pytest.raises(UnknownNameError, match=r"unknown backbone '.*x'\. Did you mean"):
        check_name(f"{name}x")


def test_a_name_is_looked_up_without_the_seconds_that_a_library_takes():
    code = (
        "import sys; from tlkit.models.backbones import check_name; check_name('resnet50'); "
        "check_name('torchvision/vgg16'); print({'timm', 'torchvision'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


@pytest.mark.parametrize("arch", [a for a in STUDY if a != "vgg16"])  # its first dense layer alone takes 400 MB
def test_features_are_what_torchvisions_last_layer_gets(arch):
    from torchvision import models

    theirs = models.get_model(arch, weights=None, **({"init_weights": False} if arch == "inception_v3" else {})).eval()
    theirs.transform_input = False  # of Inception: a step of the input, which is ours to say
    encoder = published_files.empty(f"torchvision/{arch}").eval()
    whole = theirs.state_dict()
    encoder.load_state_dict({name: whole[name] for name in encoder.state_dict()})
    seen: list[torch.Tensor] = []
    last = [module for module in theirs.modules() if isinstance(module, torch.nn.Linear)][-1]
    last.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    image = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs(image)
        assert torch.allclose(encoder(image), seen[0], atol=1e-6)
