from __future__ import annotations

import os

import pytest
import torch
from safetensors.torch import load_file

from tlkit.models import UNet, WeightsMismatchError, backbone, classifier, load_encoder, save_weights, weights_hash


class Payload:
    def __reduce__(self):
        return os.system, ("echo a pickle ran",)


def same(a, b) -> bool:
    return all(torch.equal(a.state_dict()[k], v) for k, v in b.state_dict().items())


@pytest.fixture
def source():
    return backbone("resnet10", seed=1)


@pytest.fixture
def encoder():
    return backbone("resnet10", seed=2)


def test_round_trip(tmp_path, source, encoder):
    path = save_weights(source.to(memory_format=torch.channels_last), tmp_path / "deep" / "w.safetensors")
    report = load_encoder(encoder, path)
    assert same(encoder, source) and report.whole and not report.random
    assert not report.missing and not report.unexpected and not report.wrong_shape
    assert os.listdir(path.parent) == ["w.safetensors"]


@pytest.mark.parametrize("prefix", ["encoder.", "module.encoder.", "backbone.", "model.", "_orig_mod."])
@pytest.mark.parametrize("wrapper", [None, "state_dict"])
def test_prefixes_and_wrappers_come_off(tmp_path, source, encoder, prefix, wrapper):
    state = {prefix + k: v for k, v in source.state_dict().items()} | {"fc.weight": torch.zeros(2, 2)}
    torch.save({wrapper: state, "epoch": 3} if wrapper else state, tmp_path / "w.pth")
    report = load_encoder(encoder, tmp_path / "w.pth")
    assert same(encoder, source) and report.unexpected == ("fc.weight",)


@pytest.mark.parametrize("make", [lambda e: classifier(e, 4), lambda e: UNet(e, 2)])
def test_the_encoder_of_a_whole_model(tmp_path, source, encoder, make):
    report = load_encoder(encoder, save_weights(make(source), tmp_path / "w.safetensors"))
    assert same(encoder, source) and all(k.startswith(("head.", "decoder.")) for k in report.unexpected)


def test_one_tensor_of_another_shape_is_an_error_or_partial(tmp_path, source, encoder):
    before = encoder.layer2[0].conv1.weight.clone()
    torch.save(source.state_dict() | {"layer2.0.conv1.weight": torch.zeros(64, 64, 5, 5)}, tmp_path / "w.pt")
    with pytest.raises(WeightsMismatchError, match=r"1 are not filled: layer2.0.conv1.weight\. Say `partial`"):
        load_encoder(encoder, tmp_path / "w.pt")
    assert not torch.equal(encoder.conv1.weight, source.conv1.weight)
    report = load_encoder(encoder, tmp_path / "w.pt", partial=True)
    assert report.wrong_shape == (("layer2.0.conv1.weight", (64, 64, 5, 5), (64, 32, 3, 3)),)
    assert report.random == ("layer2.0.conv1.weight",) and "1 stayed random" in str(report)
    assert "(64, 64, 5, 5) for (64, 32, 3, 3)" in str(report)
    assert torch.equal(encoder.conv1.weight, source.conv1.weight)
    assert torch.equal(encoder.layer2[0].conv1.weight, before)


def test_a_foreign_architecture_is_refused_and_changes_nothing(tmp_path, encoder):
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    path = save_weights(backbone("mobilenetv3_small_050"), tmp_path / "w.safetensors")
    with pytest.raises(WeightsMismatchError, match="same architecture") as caught:
        load_encoder(encoder, path)
    assert len(caught.value.report.random) > 10
    assert all(torch.equal(before[k], v) for k, v in encoder.state_dict().items())


def test_a_file_without_some_tensors_names_ten_and_counts_them(tmp_path, source, encoder):
    names = [k for k in source.state_dict() if not k.endswith("num_batches_tracked")]
    lost = names[-13:]
    torch.save({k: source.state_dict()[k] for k in names if k not in lost}, tmp_path / "w.pt")
    with pytest.raises(WeightsMismatchError) as caught:
        load_encoder(encoder, tmp_path / "w.pt")
    assert f"13 are not filled: {', '.join(lost[:10])} ..." in str(caught.value) and lost[10] not in str(caught.value)
    assert load_encoder(encoder, tmp_path / "w.pt", partial=True).random == tuple(lost)


def test_step_counters_are_no_fit(tmp_path, source, encoder):
    counters = {k: v for k, v in source.state_dict().items() if k.endswith("num_batches_tracked")}
    torch.save(counters, tmp_path / "w.pt")
    with pytest.raises(WeightsMismatchError, match="No name fits"):
        load_encoder(encoder, tmp_path / "w.pt", partial=True)


def test_nothing_that_fits_is_an_error_even_where_a_part_would_do(tmp_path, encoder):
    torch.save({"other.weight": torch.zeros(2)}, tmp_path / "w.pt")
    with pytest.raises(WeightsMismatchError, match="No name fits"):
        load_encoder(encoder, tmp_path / "w.pt", partial=True)


def test_files_without_step_counters_are_whole(tmp_path, source, encoder):
    state = {k: v for k, v in source.state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "old.pth")
    assert load_encoder(encoder, tmp_path / "old.pth").whole


def test_a_second_tensor_of_the_same_name_is_named(tmp_path, source, encoder):
    state = source.state_dict() | {"module.conv1.weight": torch.zeros(32, 3, 7, 7)}
    torch.save(state, tmp_path / "w.pt")
    assert load_encoder(encoder, tmp_path / "w.pt").unexpected == ("module.conv1.weight",)
    assert torch.equal(encoder.conv1.weight, source.conv1.weight)


def test_no_foreign_pickle_runs(tmp_path, encoder, capfd):
    torch.save({"x": Payload()}, tmp_path / "evil.pt")
    with pytest.raises(ValueError, match="holds more than tensors"):
        load_encoder(encoder, tmp_path / "evil.pt")
    assert "a pickle ran" not in capfd.readouterr().out


def test_files_without_tensors(tmp_path, encoder):
    torch.save({"epoch": 1}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match="no named tensors"):
        load_encoder(encoder, tmp_path / "w.pt")
    with pytest.raises(FileNotFoundError, match="no weights file"):
        load_encoder(encoder, tmp_path / "none.pt")


def test_a_failed_save_leaves_the_old_file(tmp_path, source, monkeypatch):
    path = save_weights(source, tmp_path / "w.safetensors")
    before = weights_hash(path)
    monkeypatch.setattr(os, "replace", lambda *a: (_ for _ in ()).throw(OSError("disk gone")))
    with pytest.raises(OSError, match="disk gone"):
        save_weights(backbone("resnet10", seed=9), path)
    assert weights_hash(path) == before and os.listdir(tmp_path) == ["w.safetensors"]


def test_equal_weights_have_equal_hashes(tmp_path):
    hashes = [
        weights_hash(save_weights(backbone("resnet10", seed=s), tmp_path / f"{i}.safetensors"))
        for i, s in enumerate((5, 5, 6))
    ]
    assert hashes[0] == hashes[1] != hashes[2] and len(hashes[0]) == 64


def test_tied_tensors_are_saved_twice(tmp_path):
    layer = torch.nn.Linear(2, 2, bias=False)
    tied = torch.nn.ModuleDict({"a": layer, "b": layer})
    assert set(load_file(save_weights(tied, tmp_path / "w.safetensors"))) == {"a.weight", "b.weight"}


def test_the_report_reads_well(tmp_path, source, encoder):
    report = load_encoder(encoder, save_weights(classifier(source, 2), tmp_path / "<w>.safetensors"))
    count = sum(not name.endswith("num_batches_tracked") for name in encoder.state_dict())
    assert f"{count} of {count} of the encoder's tensors" in str(report) and "head.bias" in str(report)
    assert "&lt;w&gt;" in report._repr_html_() and "<table>" in report._repr_html_()
