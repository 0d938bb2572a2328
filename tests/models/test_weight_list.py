"""Every card on a file with the published names; one on the real file, and on real photographs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import published_files
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import models

from tlkit.config import ConfigError, UnknownNameError
from tlkit.foreign.recognise import FAMILIES
from tlkit.models import WEIGHTS, WeightsFileError, load_card, segmenter, weight_cards, weight_list

RADIOLOGYNET_PARTS = {  # what the study's own classes wrap the torchvision model into (radiologynet2025 1.9)
    "resnet18": ["model."], "resnet34": ["model."], "resnet50": ["model."], "inception_v3": ["model."],
    "densenet121": ["", "model."], "vgg16": [""], "efficientnet_b3": [""], "efficientnet_b4": [""],
    "mobilenet_v3_small": [""], "mobilenet_v3_large": [""],
}  # fmt: skip
HALF, IMAGENET_MEAN, IMAGENET_STD = (0.5,) * 3, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HEADS = ("fc.", "classifier.", "AuxLogits.", "model.fc.", "model.classifier.", "model.AuxLogits.")


@pytest.fixture(autouse=True)
def weights_folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("TLKIT_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def load(card, state: dict[str, Tensor], expected: dict[str, Tensor]):
    """Load and check that each tensor of the encoder is the one of its name in `expected`; return the report."""
    encoder = published_files.empty(card.backbone)
    report = load_card(encoder, replace(card, sha256=""))
    assert report.whole
    for name, tensor in encoder.state_dict().items():
        assert (tensor == expected[name].flatten()[0]).all(), name
    assert {*report.unexpected, *report.repeated} < {*state}
    return report


@pytest.mark.parametrize("arch", RADIOLOGYNET_PARTS)
def test_radiologynets_archives(arch, tmp_path):
    card, plain = WEIGHTS[f"radiologynet/{arch}"], published_files.tensors(arch)
    state = {prefix + k: v for prefix in RADIOLOGYNET_PARTS[arch] for k, v in plain.items()}
    name = Path(card.file).name.removesuffix(".tar.gz")
    torch.save(published_files.checkpoint(state, name), tmp_path / "made.pth")
    published_files.pack(tmp_path / "weights" / card.file, (f"{name}.pth", tmp_path / "made.pth"))
    report = load(card, state, plain)
    assert all(k.startswith(HEADS) for k in report.unexpected)
    assert len(report.repeated) == (len(plain) - 2 if arch == "densenet121" else 0)  # all but the last layer


@pytest.mark.parametrize("arch", RADIOLOGYNET_PARTS)
def test_torchvisions_files(arch, tmp_path):
    card, plain = WEIGHTS[f"imagenet/{arch}"], published_files.tensors(arch)
    state = plain
    if arch == "densenet121":  # the published file is older than the names in the code
        state = {re.sub(r"(layer\d+\.(?:norm|conv))(\d)", r"\1.\2", k): v for k, v in plain.items()}
        assert "features.denseblock1.denselayer1.norm.1.weight" in state
    file = tmp_path / "weights" / card.file
    file.parent.mkdir(parents=True)
    torch.save(state, file)
    report = load(card, state, plain)
    assert report.unexpected and all(k.startswith(HEADS) for k in report.unexpected)


@pytest.mark.parametrize("arch", ["resnet50", "densenet121", "inception_v3"])
def test_radimagenets_files(arch, tmp_path):
    card = WEIGHTS[f"radimagenet/{arch}"]
    options = {"aux_logits": False, "init_weights": False} if arch == "inception_v3" else {}
    plain = published_files.tensors(arch, **options)
    with torch.device("meta"):
        parts = nn.Sequential(*models.get_model(arch, weights=None, **options).children())
    state = {f"backbone.{new}": v for new, v in zip(parts.state_dict(), plain.values(), strict=True)}
    first = {"resnet50": "backbone.4.0.conv1", "densenet121": "backbone.0.conv0", "inception_v3": "backbone.0.conv"}
    assert f"{first[arch]}.weight" in state
    file = tmp_path / "weights" / card.file
    file.parent.mkdir(parents=True)
    torch.save(state, file)
    assert all(len(k.split(".")) == 3 for k in load(card, state, plain).unexpected)  # backbone.<last part>.weight


def test_a_simclr_encoder_named_tar(tmp_path):
    card, plain = WEIGHTS["radnet/resnet50"], published_files.tensors("resnet50")
    file = tmp_path / "weights" / card.file
    file.parent.mkdir(parents=True)
    torch.save({f"module.{k}": v for k, v in plain.items() if not k.startswith("fc.")}, file)
    assert file.suffix == ".tar" and not load(card, plain, plain).unexpected


def test_the_cards_say_what_torchvision_says():
    for arch in RADIOLOGYNET_PARTS:
        card = WEIGHTS[f"imagenet/{arch}"]
        published = models.get_model_weights(arch).DEFAULT  # V2 for two of the ten: radiologynet2025 2.0
        v2 = arch in ("resnet50", "mobilenet_v3_large")
        assert published.name == ("IMAGENET1K_V2" if v2 else "IMAGENET1K_V1")
        assert published.url.endswith(Path(card.file).name) and published.url in card.access[0]
        assert card.bytes == round(published.meta["_file_size"] * 2**20)
        transform = published.transforms()
        assert [card.size] == transform.crop_size and len(card.sha256) == 8
        if arch == "inception_v3":  # ImageNet's mean first, then w x + b inside the model: radiologynet2025 2.4
            x = (0.7 - np.array(transform.mean)) / np.array(transform.std)
            x = x * np.array(transform.std) / 0.5 + (np.array(transform.mean) - 0.5) / 0.5
            assert np.allclose(x, (0.7 - np.array(card.mean)) / np.array(card.std))
        else:
            assert (card.mean, card.std) == (tuple(transform.mean), tuple(transform.std))


def test_every_card_is_whole():
    for name, card in WEIGHTS.items():
        assert card.name == name and any(card.backbone in names for names in FAMILIES.values())
        assert card.access and card.bytes > 1e6 and card.channels in ("RGB", "grey")
        for text in (card.title, card.licence, card.source, card.citation):
            assert text, name
    radiologynet = [c for n, c in WEIGHTS.items() if n.startswith("radiologynet/")]
    assert len(radiologynet) == 10 and all(c.mean == (0, 0, 0) and c.channels == "grey" for c in radiologynet)


def test_the_card_of_a_source_for_a_backbone():
    assert weight_list.find("imagenet", "torchvision/resnet50").name == "imagenet/resnet50"
    assert weight_list.find("imagenet", "tf_efficientnet_lite0").name == "imagenet/tf_efficientnet_lite0"
    assert weight_list.find("radiologynet", "torchvision/vgg16").name == "radiologynet/vgg16"
    with pytest.raises(UnknownNameError):
        weight_list.find("radiologynet", "resnet10")
    with pytest.raises(UnknownNameError):
        weight_list.find("radiologienet", "torchvision/vgg16")


# -- the real one ----------------------------------------------------------------------------------------------------

LITE = WEIGHTS["imagenet/tf_efficientnet_lite0"]
PHOTOGRAPHS = {  # in the package of scikit-image, and what ImageNet calls them
    "cat": {"tabby", "tiger_cat", "Egyptian_cat"},
    "coffee": {"espresso", "cup", "coffee_mug"},
    "rocket": {"missile", "projectile", "space_shuttle"},
    "camera": {"tripod", "reflex_camera"},
}


def photograph(name: str) -> Tensor:
    """Return the middle 7/8 of the photograph at the card's size, float [1,3,H,W] in [0,1]."""
    data = pytest.importorskip("skimage.data")
    image = Image.fromarray(getattr(data, name)()).convert("RGB")
    side = min(image.size) * 7 // 8
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side)).resize((LITE.size, LITE.size), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255


@pytest.fixture(scope="module")
def lite():
    """Return timm's whole classifier, filled from the file in the Python package."""
    import timm

    pytest.importorskip(LITE.package)
    model = timm.create_model(LITE.backbone, pretrained=False).eval()
    report = load_card(model, LITE)
    assert report.whole and not report.unexpected
    return model


@torch.no_grad()
def answer(model, image: Tensor, mean=LITE.mean, std=LITE.std) -> tuple[str, float]:
    from timm.data import ImageNetInfo

    take, divide = (torch.tensor(v).view(1, 3, 1, 1) for v in (mean, std))
    p = model((image - take) / divide).softmax(1)[0]
    info, best = ImageNetInfo(), int(p.argmax())
    return info.index_to_description(best).split(",")[0].replace(" ", "_"), float(p[best])


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_imagenets_weights_name_photographs(lite, name):
    assert answer(lite, photograph(name))[0] in PHOTOGRAPHS[name]


def test_the_preprocessing_on_the_card_is_that_of_the_file(lite):
    """Tried on the coffee: with the card's mean and deviation, TensorFlow's 127 and 128, the answer is surest.

    0.5 and 0.5, which timm names, give the same to three digits; ImageNet's own and none give clearly less.
    """
    coffee = photograph("coffee")
    label, sure = answer(lite, coffee)
    assert label == "espresso" and sure > 0.9
    assert abs(answer(lite, coffee, HALF, HALF)[1] - sure) < 0.003
    for other in ((IMAGENET_MEAN, IMAGENET_STD), ((0.0,) * 3, (1.0,) * 3)):
        assert answer(lite, coffee, *other)[1] < sure - 0.05


def test_the_encoder_has_the_classifiers_weights_also_below_a_unet(lite):
    from tlkit.models import backbone

    net = segmenter(backbone(LITE.backbone, seed=0), 2, seed=0)
    report = load_card(net.encoder, LITE)
    assert report.unexpected == ("_fc.weight", "_fc.bias")
    theirs = lite.state_dict()
    assert all(torch.equal(v, theirs[k]) for k, v in net.encoder.state_dict().items())
    x = photograph("cat")
    with torch.no_grad():
        assert torch.allclose(lite.classifier(net.eval().encoder(x)), lite(x), atol=1e-4)


def test_a_check_value_guards_the_card(lite):
    """Float32 gives the check values of the card to four digits, on whatever processor; another input does not."""
    found = weight_cards.checked_features(lite, LITE)
    assert torch.allclose(found, torch.tensor(LITE.check), rtol=0, atol=1e-3)
    with torch.autocast("cpu", torch.bfloat16):
        weight_cards.check_features(lite, LITE)  # rougher than any float32, and still far from a wrong input
    for wrong in (
        {"mean": IMAGENET_MEAN, "std": IMAGENET_STD},
        {"mean": (0.0,) * 3, "std": (1.0,) * 3},
        {"input_range": (0.0, 255.0)},
        {"check": LITE.check[:-1]},
    ):
        with pytest.raises(WeightsFileError, match="gives other features of the check image than its card says"):
            weight_cards.check_features(lite, replace(LITE, **wrong))


def test_the_check_is_made_on_loading_and_leaves_the_mode():
    from tlkit.models import backbone

    pytest.importorskip(LITE.package)
    encoder = backbone(LITE.backbone, seed=0).train()
    with pytest.raises(WeightsFileError, match="Its file, its key rules, its mean and std"):
        load_card(encoder, replace(LITE, check=tuple(2 * v for v in LITE.check)))
    assert load_card(encoder, LITE).whole and encoder.training


def test_the_check_image_is_the_same_everywhere():
    image = weight_cards.check_image(4)
    assert image.shape == (1, 3, 4, 4) and image.dtype == torch.float32
    # channel 0: 0.5 + 0.5 sin(2 pi 2 y / 4) cos(2 pi 5 x / 4): the sine is 0 at every whole y
    assert torch.allclose(image[0, 0], torch.full((4, 4), 0.5), atol=1e-6)
    # channel 1: sin(2 pi 3 y / 4) is 0, -1, 0, 1 and cos(2 pi 4 x / 4) is 1
    assert torch.allclose(image[0, 1], torch.tensor([0.5, 0.0, 0.5, 1.0]).repeat(4, 1).T, atol=1e-6)


def test_a_key_of_a_card_that_nothing_reads_is_an_error(tmp_path):
    text = (Path(weight_list.__file__).parent / "cards" / "radnet.yaml").read_text(encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    assert next(weight_list.read_cards(tmp_path / "mine.yaml")).name == "mine/resnet50"
    (tmp_path / "mine.yaml").write_text(text.replace("intensity:", "intensitty:"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"has no 'intensitty'.*intensity"):
        next(weight_list.read_cards(tmp_path / "mine.yaml"))
