"""A reader's weights files: one line each, what is tried of them, and errors with the flag that helps."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tlkit.advice.brought import bring
from tlkit.config import ConfigError, UnknownNameError
from tlkit.models import backbone

SMALL = "resnet10"


@pytest.fixture
def state():
    return backbone(SMALL, seed=1).state_dict()


def saved(path: Path, what) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(what, path)
    return path


def prefixed(prefix: str, state: dict, plus: float = 0.0) -> dict:
    return {prefix + k: v + plus if v.is_floating_point() else v for k, v in state.items()}


def test_a_line_says_network_place_tensors_and_input(tmp_path, state):
    two = prefixed("module.encoder_q.", state | {"fc.0.weight": torch.zeros(3, 3), "fc.0.bias": torch.zeros(3)})
    file = saved(tmp_path / "moco.pth.tar", {"state_dict": two | prefixed("module.encoder_k.", state, 1)})
    (found,) = bring([file])
    count = sum(not k.endswith("num_batches_tracked") for k in state)
    assert found.line.startswith(f"moco.pth.tar: {SMALL}, prefix module.encoder_q., {count} of {count} tensors, ")
    for part in ("left: ", "fc.*", "taken before module.encoder_k. (else --prefix)", "ImageNet's mean", "224 px"):
        assert part in found.line, found.line
    assert found.name == "moco" and found.backbone == SMALL
    assert found.entry["weights"] == {
        "file": str(file), "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "size": 224,
        "prefix": "module.encoder_q.",
    }  # fmt: skip
    (other,) = bring([file], prefix="module.encoder_k.")
    assert other.entry["weights"]["prefix"] == "module.encoder_k."


@pytest.mark.parametrize("ending", [".pth", ".pt", ".ckpt", ".bin", ".tar", ".safetensors", ".pth.tar"])
def test_every_ending(tmp_path, state, ending):
    file = tmp_path / f"mine{ending}"
    save_file(state, file) if ending == ".safetensors" else torch.save({"state_dict": state}, file)
    (found,) = bring([file])
    assert (found.name, found.backbone) == ("mine", SMALL)


def test_less_than_the_whole_is_refused_unless_partial(tmp_path, state):
    file = saved(tmp_path / "part.pth", {k: v for k, v in state.items() if not k.startswith("layer4.0.conv2")})
    with pytest.raises(ConfigError, match=r"Not filled: layer4\.0\.conv2\.weight\..*--partial"):
        bring([file])
    (found,) = bring([file], partial=True)
    assert found.entry["partial"] is True
    assert "partial" not in bring([saved(tmp_path / "whole.pth", state)], partial=True)[0].entry


def test_a_larger_network_is_not_taken_for_a_smaller_one(tmp_path):
    with torch.device("meta"):
        deep = backbone("resnet26d").state_dict()
    deep = {k: torch.tensor(0.0).expand(v.shape) for k, v in deep.items()}
    (found,) = bring([saved(tmp_path / "deep.pth", deep)])
    assert found.backbone == "resnet26d"


def test_an_unknown_network_names_the_flag(tmp_path, state):
    file = saved(tmp_path / "odd.pth", {"first.weight": torch.zeros(3, 3), "second.weight": torch.zeros(2)})
    with pytest.raises(ConfigError, match=r"odd\.pth: its tensors \(first.*no network that is known.*--backbone NAME"):
        bring([file])
    with pytest.raises(ConfigError, match=r"not those of resnet10.*Leave --backbone out"):
        bring([file], network=SMALL)
    with pytest.raises(UnknownNameError, match="Did you mean 'resnet18'"):
        bring([file], network="resnet81")


def test_a_network_that_no_list_has_is_found_by_its_name_or_said(tmp_path):
    theirs = backbone("test_resnet", seed=1).state_dict()
    with pytest.raises(ConfigError, match="--backbone NAME"):
        bring([saved(tmp_path / "mine.pth", theirs)])
    assert bring([tmp_path / "mine.pth"], network="test_resnet")[0].backbone == "test_resnet"
    assert bring([saved(tmp_path / "test_resnet_ep3.pth", theirs)])[0].backbone == "test_resnet"


def test_two_encoders_that_nothing_tells_apart_need_the_prefix(tmp_path, state):
    file = saved(tmp_path / "two.pth", prefixed("left.", state) | prefixed("right.", state, 1))
    with pytest.raises(ConfigError, match=r"holds 2 encoders.*'left\.'.*'right\.'.*Say --prefix left\."):
        bring([file])
    assert bring([file], prefix="right.")[0].entry["weights"]["prefix"] == "right."
    with pytest.raises(ConfigError, match=r"--prefix wrong: no tensor of two\.pth begins so.*'left\.'"):
        bring([file], prefix="wrong")


class Payload:
    def __reduce__(self):
        return os.system, ("echo a pickle ran",)


def test_what_is_no_checkpoint_is_said_to_be_none(tmp_path, state, capfd):
    (tmp_path / "note.pth").write_text("hello")
    (tmp_path / "empty.pth").write_bytes(b"")
    for name in ("note.pth", "empty.pth"):
        with pytest.raises(ConfigError, match=rf"--weights .*{name}: .*(damaged|no weights file)"):
            bring([tmp_path / name])
    with pytest.raises(ConfigError, match=r"evil\.pth.*would call .*system"):
        bring([saved(tmp_path / "evil.pth", {"state_dict": state, "more": Payload()})])
    assert "a pickle ran" not in capfd.readouterr().out
    with pytest.raises(ConfigError, match=r"no named tensors"):
        bring([saved(tmp_path / "epoch.pth", {"epoch": 3})])
    with pytest.raises(ConfigError, match=r"this is a folder; name a file in it. It holds empty.pth, epoch.pth"):
        bring([tmp_path])


def test_files_of_one_name_are_told_apart_and_one_file_twice_is_an_error(tmp_path, state):
    files = [saved(tmp_path / where / "model.pth", state) for where in ("erste ä", "second")]
    assert [found.name for found in bring(files)] == ["erste_a_model", "second_model"]
    assert [found.name for found in bring(files[:1], taken=["model"])] == ["erste_a_model"]
    with pytest.raises(ConfigError, match="named twice"):
        bring([files[0], files[0]])


def test_a_whole_model_is_read_without_its_code(tmp_path, state):
    file = tmp_path / "whole.pth"
    model = torch.nn.DataParallel(backbone(SMALL, seed=1))
    torch.save(model, file)
    (found,) = bring([file])
    assert (found.backbone, found.entry["weights"]["prefix"]) == (SMALL, "module.")


def test_the_input_is_that_of_the_library_where_the_file_is_a_classifier_of_it(tmp_path):
    with torch.device("meta"):
        shapes = backbone("vit_tiny_patch16_224").state_dict()
    plain = {k: torch.tensor(0.0).expand(v.shape) for k, v in shapes.items()}
    classifier = plain | {"head.weight": torch.zeros(1000, 192), "head.bias": torch.zeros(1000)}
    (theirs,) = bring([saved(tmp_path / "a.pth", classifier)])
    assert theirs.entry["weights"]["mean"] == [0.5, 0.5, 0.5] and "timm's of vit_tiny" in theirs.line
    (dino,) = bring([saved(tmp_path / "b.pth", {"teacher": prefixed("backbone.", plain)})])
    assert dino.entry["weights"]["mean"] == [0.485, 0.456, 0.406] and "assumed" in dino.line
    assert "the same tensors as deit_tiny_patch16_224 (else --backbone)" in dino.line
    (named,) = bring([saved(tmp_path / "deit_tiny_patch16_224-a1311bcf.pth", plain)])
    assert named.backbone == "deit_tiny_patch16_224" and "timm's of deit" in named.line


def test_a_grey_first_convolution_is_repeated(tmp_path, state):
    file = saved(tmp_path / "grey.pth", state | {"conv1.weight": state["conv1.weight"].sum(1, keepdim=True)})
    (found,) = bring([file])
    assert found.entry["weights"]["stem"] == "repeat" and "first convolution" in found.line
