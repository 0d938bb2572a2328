"""Files with the names that published training code writes: the network and the prefix are told from them."""

from __future__ import annotations

import argparse
from pathlib import Path

import published_files
import pytest
import torch
from torch import Tensor, nn

from tlkit.foreign import recognise
from tlkit.models import backbone, load_encoder, read_tensors

RESNET, VIT = "torchvision/resnet18", "vit_tiny_patch16_224"


def state_of(name: str) -> dict[str, Tensor]:
    """Return a state dict with a different number in each tensor, which takes the bytes of one number."""
    with torch.device("meta"):
        shapes = backbone(name).state_dict()
    return {k: torch.tensor(i, dtype=v.dtype).expand(v.shape) for i, (k, v) in enumerate(shapes.items())}


def under(prefix: str, state: dict[str, Tensor], head: str = "fc", change: float = 0) -> dict[str, Tensor]:
    more = {f"{head}.0.weight": torch.zeros(5, 4), f"{head}.0.bias": torch.zeros(5)}
    return {prefix + k: v + change if change else v for k, v in (state | more).items()}


def sequence(name: str) -> dict[str, Tensor]:
    """Return the state with the names that `nn.Sequential(*list(model.children())[:-1])` has."""
    model = published_files.empty(name)
    parts = nn.Sequential(*list(model.children())[:-1])
    return dict(zip(parts.state_dict(), state_of(name).values(), strict=True))


def moco(online: str, other: str, name: str, head: str = "fc"):
    return {
        "epoch": 200,
        "arch": "resnet50",
        "state_dict": under(online, state_of(name), head)
        | under(other, state_of(name), head, change=1000)
        | {"module.queue": torch.zeros(4, 7)},
        "optimizer": {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": []},
    }


FILES = {  # what was saved, the network, where its tensors are
    "torchvision": (lambda: published_files.tensors("resnet18"), RESNET, "", ()),
    "timm": (lambda: state_of("convnext_atto") | {"head.fc.weight": torch.zeros(9, 320)}, "convnext_atto", "", ()),
    "timm's training": (lambda: {"arch": "x", "state_dict": under("", state_of(VIT), "head")}, VIT, "", ()),
    "Lightning": (
        lambda: {"pytorch-lightning_version": "2.2", "state_dict": under("model.", state_of(RESNET))}, RESNET,
        "model.", (),
    ),
    "Lightning, net": (lambda: {"state_dict": under("net.", state_of(RESNET))}, RESNET, "net.", ()),
    "MoCo v2": (lambda: moco("module.encoder_q.", "module.encoder_k.", RESNET), RESNET, "module.encoder_q.", ()),
    "MoCo v3": (
        lambda: moco("module.base_encoder.", "module.momentum_encoder.", VIT, "head"), VIT, "module.base_encoder.", (),
    ),
    "DINO": (
        lambda: {
            "student": under("module.backbone.", state_of(VIT), "head.mlp"),
            "teacher": under("backbone.", state_of(VIT), "head.mlp", change=1000),
            "args": argparse.Namespace(lr=0.1, output_dir=Path("x")),
        },
        VIT, "teacher.backbone.", (),
    ),
    "DINOv2's training": (
        lambda: {"teacher": {
            "backbone." + k.replace("blocks.", f"blocks.{int(k.split('.')[1]) // 3}.") if k.startswith("blocks") else
            "backbone." + k: v
            for k, v in state_of("vit_small_patch14_dinov2").items()
        }},
        "vit_small_patch14_dinov2", "teacher.backbone.", ("block_chunks",),
    ),
    "BYOL": (
        lambda: under("online_encoder.net.", state_of(RESNET)) | under("target_encoder.net.", state_of(RESNET), "fc", 9)
        | under("net.", state_of(RESNET)),
        RESNET, "net.", (),
    ),
    "BYOL, online and target": (
        lambda: {"state_dict": under("online_network.encoder.", state_of(RESNET))
                 | under("target_network.encoder.", state_of(RESNET), "fc", 9)},
        RESNET, "online_network.encoder.", (),
    ),
    "SimCLR": (lambda: {"state_dict": under("backbone.", state_of(RESNET), "backbone.fc")}, RESNET, "backbone.", ()),
    "SimSiam": (lambda: {"state_dict": under("module.encoder.", state_of(RESNET))}, RESNET, "module.encoder.", ()),
    "Barlow Twins": (
        lambda: {"epoch": 1, "model": under("module.backbone.", state_of(RESNET), "module.projector")}, RESNET,
        "module.backbone.", (),
    ),
    "lightly": (
        lambda: {"state_dict": under("backbone.", sequence(RESNET), "projection_head.layers")}, RESNET, "backbone.",
        ("children",),
    ),
    "lightly, momentum": (
        lambda: {"state_dict": under("backbone.", sequence(RESNET), "projection_head.layers")
                 | under("backbone_momentum.", sequence(RESNET), "x", 1000)},
        RESNET, "backbone.", ("children",),
    ),
    "Sequential": (lambda: sequence("torchvision/densenet121"), "torchvision/densenet121", "", ("children",)),
    "RadImageNet": (lambda: under("backbone.", sequence("torchvision/resnet50"), "classifier"), "torchvision/resnet50",
                    "backbone.", ("children",)),
    "MAE": (
        lambda: {"model": state_of(VIT) | {"mask_token": torch.zeros(1, 1, 8), "decoder_embed.weight": torch.zeros(8)}},
        VIT, "", (),
    ),
    "a U-Net": (
        lambda: {"model_state_dict": under("encoder.", state_of(RESNET), "decoder")}, RESNET, "encoder.", (),
    ),
}  # fmt: skip


@pytest.mark.parametrize("style", FILES)
@pytest.mark.parametrize("ending", [".pth.tar", ".ckpt"])
def test_network_and_prefix_are_told_from_the_names(style, ending, tmp_path):
    made, name, prefix, rules = FILES[style]
    saved = made()
    file = tmp_path / f"checkpoint{ending}"
    torch.save(saved, file, _use_new_zipfile_serialization=ending == ".ckpt")
    tensors = read_tensors(file)
    found = recognise.choose(recognise.search(tensors), tensors)
    assert (found.backbone, found.rules, found.whole) == (name, rules, True)
    assert found.prefix == prefix or (style == "BYOL" and found.prefix == "online_encoder.net.")
    encoder = published_files.empty(name)
    assert load_encoder(encoder, file, found.rules, prefix=found.prefix).whole
    expected = state_of(name)
    for key, tensor in encoder.state_dict().items():
        wanted = expected[key].flatten()[0] + (1000 if style == "DINO" else 0)
        if style != "torchvision":  # whose last layer counts, too
            assert (tensor == wanted).all(), key
