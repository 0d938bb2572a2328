from __future__ import annotations

import os
from dataclasses import replace

import published_files
import pytest
import torch

from tlkit.models import (
    WEIGHTS,
    MissingWeightsError,
    WeightsFileError,
    WeightsMismatchError,
    backbone,
    load_card,
    save_weights,
    segmenter,
)
from tlkit.models.weight_cards import present, weights_root, where

CARD = replace(WEIGHTS["radiologynet/resnet18"], backbone="resnet10", file="radiologynet/Small.tar.gz", rules=())


@pytest.fixture
def root(tmp_path, monkeypatch):
    folder = tmp_path / "weights"
    (folder / "radiologynet").mkdir(parents=True)
    monkeypatch.setenv("TLKIT_WEIGHTS", str(folder))
    return folder


@pytest.fixture
def source():
    return backbone("resnet10", seed=1)


def put(root, state) -> None:
    torch.save(published_files.checkpoint(state, "Small"), root / "made.pth")
    published_files.pack(root / CARD.file, ("Small.pth", root / "made.pth"))


def test_the_folder_of_weights(tmp_path, monkeypatch):
    monkeypatch.delenv("TLKIT_WEIGHTS", raising=False)
    assert weights_root() is None
    monkeypatch.setenv("TLKIT_DATA", str(tmp_path))
    assert weights_root() == tmp_path / "weights"
    monkeypatch.setenv("TLKIT_WEIGHTS", str(tmp_path / "other"))
    assert weights_root() == tmp_path / "other"


def test_missing_weights_come_with_steps(root, tmp_path, monkeypatch):
    (root / "radiologynet" / "ResNet34.tar.gz").write_bytes(b"")
    with pytest.raises(MissingWeightsError) as caught:
        load_card(backbone("torchvision/resnet18"), WEIGHTS["radiologynet/resnet18"])
    text = str(caught.value)
    for part in (
        "radiologynet/ResNet18.tar.gz, about 123 MB", "holds radiologynet/ResNet34.tar.gz",
        "1. Download http://radiologynet.riteh.hr/models/ResNet18.tar.gz", "2. Put it at TLKIT_WEIGHTS/radiologynet",
        "GPL-3.0", "python -m tlkit data",
    ):  # fmt: skip
        assert part in text, text
    monkeypatch.setenv("TLKIT_WEIGHTS", str(tmp_path / "nowhere"))
    with pytest.raises(MissingWeightsError, match="no folder"):
        where(CARD)
    monkeypatch.delenv("TLKIT_WEIGHTS")
    with pytest.raises(MissingWeightsError, match="neither TLKIT_WEIGHTS nor TLKIT_DATA is set"):
        where(CARD)


def test_a_package_that_is_not_installed_is_named():
    with pytest.raises(MissingWeightsError, match="package 'no_such_weights' is not installed"):
        where(replace(CARD, package="no_such_weights"))


def test_a_package_is_found_without_running_its_code(tmp_path, monkeypatch):
    package = tmp_path / "site" / "weights_in_a_package"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    (package / "models" / "Small.pth").write_bytes(b"x")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    card = replace(CARD, file="imagenet/Small.pth", package="weights_in_a_package")
    assert where(card) == package / "models" / "Small.pth"


@pytest.mark.parametrize("name", ["Small.tar.gz", "Small.pth", "Small.safetensors"])
def test_packed_unpacked_or_converted(root, source, name):
    if name == "Small.tar.gz":
        put(root, source.state_dict())
    elif name == "Small.pth":
        torch.save(published_files.checkpoint(source.state_dict(), "Small"), root / "radiologynet" / name)
    else:
        save_weights(source, root / "radiologynet" / name)
    encoder = backbone("resnet10", seed=2)
    assert present(CARD).name == name
    assert load_card(encoder, CARD).whole
    assert all(torch.equal(v, source.state_dict()[k]) for k, v in encoder.state_dict().items())


def test_transfer_into_the_encoder_of_a_unet(root, source):  # the encoder is the same module
    put(root, source.state_dict())
    encoder = backbone("resnet10", seed=2)
    net = segmenter(encoder, 2, seed=0).eval()
    x = torch.rand(1, 3, 48, 48)
    with torch.no_grad():
        before = net(x)
        load_card(net.encoder, CARD)
        same = segmenter(source, 2, seed=0).eval()(x)
        assert torch.equal(net(x), same) and not torch.equal(before, same)


def test_a_file_of_another_architecture_names_the_right_one(root, tmp_path):
    state = published_files.tensors("resnet18")
    put(root, {f"model.{k}": v for k, v in state.items()})
    encoder = published_files.empty("torchvision/resnet50")
    with pytest.raises(WeightsMismatchError, match="It fits 'torchvision/resnet18'") as caught:
        load_card(encoder, CARD)
    assert caught.value.better == "torchvision/resnet18" and len(caught.value.report.random) > 100
    assert all((v == -1).all() for v in encoder.state_dict().values())


def test_a_deeper_network_of_the_family_is_refused_though_it_fills_all(root):
    put(root, published_files.tensors("resnet34"))
    with pytest.raises(WeightsMismatchError, match="It fits 'torchvision/resnet34'") as caught:
        load_card(published_files.empty("torchvision/resnet18"), CARD)
    report = caught.value.report
    assert not report.random and "layer1.2.conv1.weight" in report.excess and "fc.weight" not in report.excess


def test_a_file_that_fits_nothing_gets_no_advice(root):
    put(root, {"stem.weight": torch.zeros(3, 3)})
    with pytest.raises(WeightsMismatchError, match="same architecture") as caught:
        load_card(backbone("resnet10"), CARD)
    assert caught.value.better is None and "It fits" not in str(caught.value)


def test_the_wrong_file_under_the_right_name(root, source):
    put(root, source.state_dict())
    encoder = backbone("resnet10", seed=2)
    with pytest.raises(WeightsFileError, match=r"not the file of 'radiologynet/resnet18'.*deadbeef.*Download"):
        load_card(encoder, replace(CARD, sha256="deadbeef"))
    os.remove(root / CARD.file)
    save_weights(source, root / "radiologynet" / "Small.safetensors")  # converted by the reader: another hash
    assert load_card(encoder, replace(CARD, sha256="deadbeef")).whole
