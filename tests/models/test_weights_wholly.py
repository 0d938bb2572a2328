"""Every kind of encoder loads wholly or not at all; files are of random values, with torchvision's or timm's names."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from tlkit.config import UnknownNameError
from tlkit.foreign import recognise
from tlkit.models import WeightsMismatchError, backbone, load_encoder, save_weights
from tlkit.models.weights import first_convolution

TIMM = ("resnet26d", "mobilenetv3_small_050", "convnext_atto", "vit_tiny_patch16_224", "densenet121")
NAMES = (
    "resnet10", "unet", "torchvision/resnet18", "torchvision/resnet34", "torchvision/resnet50", "torchvision/vgg16",
    "torchvision/efficientnet_b3", "torchvision/efficientnet_b4", "torchvision/inception_v3",
    "torchvision/densenet121", "torchvision/mobilenet_v3_small", "torchvision/mobilenet_v3_large",
    "tf_efficientnet_lite0", *TIMM,
)  # fmt: skip


@pytest.fixture(scope="module", params=NAMES)
def pair(request):
    """Return a name, and two encoders of that name with other weights each."""
    return request.param, backbone(request.param, seed=1), backbone(request.param, seed=2)


def with_head(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return state | {"head.fc.weight": torch.rand(3, 4), "classifier.9.bias": torch.rand(3)}


def with_stem(source: nn.Module, change) -> dict[str, Tensor]:
    state, first = source.state_dict(), first_convolution(source)
    return state | {first: change(state[first])}


def written(state: dict[str, Tensor], tmp_path):
    torch.save(state, tmp_path / "w.pth")
    return tmp_path / "w.pth"


def values(encoder: nn.Module) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in encoder.state_dict().items()}


def test_a_whole_file_and_one_without_a_tensor(pair, tmp_path, monkeypatch):
    _, source, target = pair
    monkeypatch.setattr(recognise, "best", lambda *_: None)  # seconds each; tested below
    target.load_state_dict({k: v + 1 for k, v in target.state_dict().items()})
    before, state = values(target), with_head(source.state_dict())
    lost = next(k for k in reversed(source.state_dict()) if not k.endswith("num_batches_tracked"))
    path = written({k: v for k, v in state.items() if k != lost}, tmp_path)
    with pytest.raises(WeightsMismatchError, match=rf"1 are not filled: {lost}\. Say `partial`"):
        load_encoder(target, path)
    assert all(torch.equal(v, before[k]) for k, v in target.state_dict().items())
    assert load_encoder(target, path, partial=True).random == (lost,)
    after = target.state_dict()
    assert torch.equal(after[lost], before[lost])
    assert all(torch.equal(after[k], v) for k, v in source.state_dict().items() if k != lost)
    assert load_encoder(target, written(state, tmp_path)).whole
    assert torch.equal(target.state_dict()[lost], source.state_dict()[lost])


def test_a_grey_stem_is_an_error_partial_or_repeated(pair, tmp_path):
    name, source, target = pair
    first = first_convolution(source)
    path = written(with_head(with_stem(source, lambda w: w.sum(1, keepdim=True))), tmp_path)
    for wrong in ("", "sum"):
        with pytest.raises(WeightsMismatchError, match=r"stem='(repeat' on its card|sum' does not suit)"):
            load_encoder(target, path, stem=wrong)
    report = load_encoder(target, path, partial=True)
    assert report.random == (first,) and first in str(report)
    report = load_encoder(target, path, stem="repeat")
    assert report.whole and "1 channels to 3 (repeat)" in report.title
    if name in ("resnet10", "unet", "torchvision/mobilenet_v3_small", *TIMM[:2]):  # a forward pass is enough of some
        grey = torch.rand(2, 1, 64, 64).expand(-1, 3, -1, -1)
        with torch.no_grad():
            same, ours = source.eval()(grey), target.eval()(grey)
        assert torch.allclose(ours, same, atol=1e-4 * float(same.abs().max()))


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050", "convnext_atto"])
def test_a_colour_stem_into_a_grey_encoder_is_summed(name, tmp_path):
    source, target = backbone(name, seed=1).eval(), backbone(name, seed=2, in_chans=1).eval()
    path = save_weights(source, tmp_path / "w.safetensors")
    with pytest.raises(WeightsMismatchError, match="takes 3 channels, the encoder's 1: say stem='sum'"):
        load_encoder(target, path)
    assert load_encoder(target, path, stem="sum").whole
    grey = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        same = source(grey.expand(-1, 3, -1, -1))
        assert torch.allclose(target(grey), same, atol=1e-4 * float(same.abs().max()))


def test_a_grey_stem_names_the_option(tmp_path):
    source, target = (backbone("mobilenetv3_small_050", seed=s) for s in (1, 2))
    path = written(with_stem(source, lambda w: w[:, :1]), tmp_path)
    with pytest.raises(WeightsMismatchError, match="takes 1 channels, the encoder's 3: say stem='repeat'"):
        load_encoder(target, path)
    with pytest.raises(UnknownNameError, match="Did you mean 'repeat'"):
        load_encoder(target, path, stem="repeated")
    with pytest.raises(WeightsMismatchError, match="stem='repeat' does not suit"):
        load_encoder(target, save_weights(source, tmp_path / "w.safetensors"), stem="repeat")


def test_torchxrayvisions_densenet_does_not_pass(tmp_path):
    """Its DenseNet-121 has one channel, 18 outputs, and thresholds of its outputs among the tensors."""
    net = models.densenet121(weights=None, num_classes=18)
    net.features.conv0 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
    path = written({**net.state_dict(), "op_threshs": torch.rand(18)}, tmp_path)
    target = backbone("torchvision/densenet121", seed=0)
    with pytest.raises(WeightsMismatchError, match=r"1 are not filled: features.conv0.weight.*stem='repeat'") as caught:
        load_encoder(target, path)
    assert caught.value.better is None
    assert load_encoder(target, path, stem="repeat").unexpected == (
        "classifier.weight",
        "classifier.bias",
        "op_threshs",
    )


def test_the_channels_of_the_stem_do_not_hide_the_architecture(tmp_path):
    state = with_stem(backbone("torchvision/resnet18", seed=1), lambda w: w[:, :1])
    assert recognise.best(state).backbone == "torchvision/resnet18"
    with pytest.raises(WeightsMismatchError, match="It fits 'torchvision/resnet18'"):
        load_encoder(backbone("torchvision/resnet50", seed=0), written(state, tmp_path))
