from __future__ import annotations

import io
import os
import tarfile
import tempfile
from pathlib import Path

import published_files
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tlkit.models import WeightsFileError, read_tensors, save_weights

STATE = {"conv.weight": torch.arange(6.0).view(2, 3), "bn.weight": torch.ones(4)}


class Payload:
    def __reduce__(self):
        return os.system, ("echo a pickle ran",)


@pytest.fixture
def made(tmp_path) -> Path:
    torch.save(published_files.checkpoint(STATE, "Small"), tmp_path / "made.pth")
    return tmp_path / "made.pth"


@pytest.fixture
def archive(tmp_path, made) -> Path:
    return published_files.pack(tmp_path / "Small.tar.gz", ("Small.pth", made))


def same(found) -> bool:
    return found.keys() == STATE.keys() and all(torch.equal(found[k], v) for k, v in STATE.items())


def test_of_a_checkpoint_the_model_alone(made):
    assert same(read_tensors(made))


def test_an_archive_of_one_file_leaves_nothing_behind(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = sorted(os.listdir(tmp_path))
    assert same(read_tensors(archive))
    assert sorted(os.listdir(tmp_path)) == before


def test_folders_and_hidden_files_beside_it(tmp_path, made):
    (tmp_path / "folder").mkdir()
    members = [("folder", tmp_path / "folder"), ("folder/._Small.pth", made), ("folder/Small.pth", made)]
    assert same(read_tensors(published_files.pack(tmp_path / "w.tar.gz", *members)))


def test_a_plain_tar(tmp_path, made):
    with tarfile.open(tmp_path / "w.tar", "w") as tar:
        tar.add(made, arcname="w.pth")
    assert same(read_tensors(tmp_path / "w.tar"))


def test_the_old_format_of_torch(tmp_path):
    torch.save(STATE, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert same(read_tensors(tmp_path / "old.pth"))


def test_none_or_two_files_in_the_archive(tmp_path, made):
    two = published_files.pack(tmp_path / "w.tar.gz", ("a.pth", made), ("b.pth", made))
    with pytest.raises(WeightsFileError, match=r"expected one file .* found a\.pth, b\.pth"):
        read_tensors(two)
    none = published_files.pack(tmp_path / "w.tar.gz", ("readme.txt", made))
    with pytest.raises(WeightsFileError, match=r"expected one file .* found readme\.txt"):
        read_tensors(none)


@pytest.mark.parametrize("name", ["../outside.pth", "/outside.pth", "a/../../outside.pth"])
def test_a_member_that_leads_out_is_refused(tmp_path, name):
    path = tmp_path / "deep" / "w.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo(name)
        info.size = 3
        tar.addfile(info, io.BytesIO(b"abc"))
    with pytest.raises(WeightsFileError, match=r"refused: its member .*outside\.pth"):
        read_tensors(path)
    assert not list(tmp_path.rglob("outside.pth"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "w.tar.gz", "w:gz") as tar:
        info = tarfile.TarInfo("w.pth")
        info.type, info.linkname = kind, "elsewhere"
        tar.addfile(info)
    with pytest.raises(WeightsFileError, match="no plain file"):
        read_tensors(tmp_path / "w.tar.gz")


def test_a_pickle_with_code_in_an_archive(tmp_path, capfd):
    torch.save({"model_state": {"w": Payload()}}, tmp_path / "evil.pth")
    evil = published_files.pack(tmp_path / "w.tar.gz", ("evil.pth", tmp_path / "evil.pth"))
    with pytest.raises(WeightsFileError, match=r"w\.tar\.gz/evil\.pth holds more than tensors"):
        read_tensors(evil)
    assert "a pickle ran" not in capfd.readouterr().out


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.95])
def test_a_download_cut_short(archive, made, tmp_path, share):
    for path in (archive, made):
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(WeightsFileError, match=r"damaged"):
            read_tensors(path)


def test_an_archive_with_flipped_bytes(archive):
    data = bytearray(archive.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(255 - b for b in data[middle : middle + 40])
    archive.write_bytes(data)
    with pytest.raises(WeightsFileError, match="damaged"):
        read_tensors(archive)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@given(junk=st.binary(max_size=200))
@example(junk=b"<!DOCTYPE html><html>Not found</html>")
@settings(max_examples=60, deadline=None)
def test_junk_of_any_kind_is_called_so(junk):
    with tempfile.TemporaryDirectory() as folder:
        for name in ("w.pth", "w.tar.gz", "w.safetensors"):
            path = Path(folder, name)
            path.write_bytes(junk)
            with pytest.raises(WeightsFileError):
                read_tensors(path)


def test_a_safetensors_file_cut_short(tmp_path):
    path = save_weights(torch.nn.Linear(2, 1), tmp_path / "w.safetensors")
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(WeightsFileError, match="damaged"):
        read_tensors(path)
