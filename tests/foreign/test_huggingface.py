"""ViTs as transformers saves them, and of another grid of patches, give the same features as timm's."""

from __future__ import annotations

import re

import pytest
import torch
from safetensors.torch import save_file

from tlkit.advice.brought import bring
from tlkit.config import ConfigError
from tlkit.foreign import huggingface
from tlkit.models import backbone, load_encoder
from tlkit.models.parts import regrid

VIT = {
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}
DINO = {"norm1": "norm1", "norm2": "norm2", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}
TURNED = {v: k for k, v in huggingface.TOP.items()}


def as_transformers(state: dict, prefix: str, blocks: dict[str, str]) -> dict:
    """Return timm's tensors of a ViT as transformers names them, query, key and value apart."""
    found = {}
    for name, tensor in state.items():
        block = re.fullmatch(r"blocks\.(\d+)\.(.+)\.(\w+)", name)
        if not block:
            found[prefix + TURNED.get(name, name)] = tensor.clone()
            continue
        number, part, kind = block.groups()
        above = f"{prefix}encoder.layer.{number}"
        if part == "attn.qkv":
            for own, piece in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                found[f"{above}.attention.attention.{own}.{kind}"] = piece.clone()
        elif part.startswith("ls"):
            found[f"{above}.layer_scale{part[2:]}.lambda1"] = tensor.clone()
        else:
            said = "attention.output.dense" if part == "attn.proj" else blocks[part]
            found[f"{above}.{said}.{kind}"] = tensor.clone()
    return found


@pytest.mark.parametrize(
    ("name", "prefix", "blocks"),
    [("vit_tiny_patch16_224", "vit.", VIT), 
     ("vit_small_patch14_dinov2", "", DINO)],
)  # fmt: skip
def test_tensors_of_transformers_are_recognised_and_give_the_same_features(tmp_path, name, prefix, blocks):
    model = backbone(name, seed=3)
    file = tmp_path / "model.safetensors"
    save_file(as_transformers(model.state_dict(), prefix, blocks), file)
    (found,) = bring([file])
    total = len(model.state_dict())
    assert found.backbone == name and f"{total} of {total} tensors" in found.line
    other = backbone(name, seed=4)
    report = load_encoder(other, file)
    assert report.whole and report.positions == ""
    images = torch.randn(2, 3, 56, 56)
    with torch.inference_mode():
        assert torch.allclose(other.eval()(images), model.eval()(images), atol=1e-6)


def test_registers_have_no_position_of_their_own():
    state = {
        "encoder.layer.0.attention.attention.query.weight": torch.ones(2, 2),
        "embeddings.cls_token": torch.ones(1, 1, 2),
    }
    state |= {"embeddings.register_tokens": torch.zeros(1, 4, 2), "embeddings.position_embeddings": torch.ones(1, 5, 2)}
    found = huggingface.as_timm(state)
    assert found["pos_embed"].shape == (1, 4, 2) and (found["cls_token"] == 2).all()


def test_other_families_of_transformers_are_said_to_be_such(tmp_path):
    file = tmp_path / "clip.safetensors"
    save_file({f"vision_model.encoder.layers.{i}.self_attn.q_proj.weight": torch.ones(2, 2) for i in range(3)}, file)
    with pytest.raises(ConfigError, match="Hugging Face's transformers, of which ViT, DeiT and DINOv2 are converted"):
        bring([file])


def test_positions_of_another_grid_are_stretched_and_said(tmp_path):
    larger = backbone("vit_tiny_patch16_224", seed=3).state_dict()
    old = larger["pos_embed"]
    larger["pos_embed"] = regrid(old, (1, 1 + 24 * 24, old.shape[2]))
    file = tmp_path / "vit_384.safetensors"
    save_file(larger, file)
    (found,) = bring([file])
    assert found.backbone == "vit_tiny_patch16_224" and "positions 577 to 197 (interpolated)" in found.line
    model = backbone(found.backbone, seed=5)
    report = load_encoder(model, file)
    assert report.whole and "positions: 577 to 197 (interpolated)" in report.title
    assert torch.equal(model.pos_embed[:, 0], old[:, 0]), "the class token has none of the grid"
    assert (model.pos_embed - old).abs().mean() < 0.5 * old.abs().mean()


@pytest.mark.parametrize("wanted", [(1, 198, 8), (1, 197, 9), (2, 197, 8), (1, 3)])
def test_positions_of_no_other_grid_are_none(wanted):
    assert regrid(torch.zeros(1, 195, 8), wanted) is None
