from __future__ import annotations

import errno
import os
import shutil
import socket
from collections import namedtuple
from pathlib import Path

import pytest
import torch
from torch import nn

from tlkit.models.weights import save_weights
from tlkit.runfolder import RunDamagedError
from tlkit.training import checkpoint, resume
from tlkit.training.resume import LAST, Keeper, Progress

Usage = namedtuple("Usage", "total used free")


def test_what_was_saved_is_loaded(tmp_path):
    path = tmp_path / "new" / "last.pt"
    state = {"model": {"w": torch.randn(2, 3)}, "rows": [{"epoch": 0, "loss": 0.1}], "best": -float("inf")}
    assert checkpoint.load(path) is None
    checkpoint.save(path, state)
    found = checkpoint.load(path)
    assert torch.equal(found["model"]["w"], state["model"]["w"])
    assert found["rows"] == state["rows"] and found["best"] == state["best"]


def test_channels_last_survives(tmp_path):
    w = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
    checkpoint.save(tmp_path / "a.pt", {"w": w})
    assert checkpoint.load(tmp_path / "a.pt")["w"].stride() == w.stride()


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="needs /dev/full: run the tests on Linux")
@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_full_disk_is_an_os_error_and_leaves_the_old_files(size, tmp_path):
    last, best = tmp_path / "last.pt", tmp_path / "best.safetensors"
    checkpoint.save(last, {"epoch": 1})
    save_weights(nn.Linear(1, 1), best)
    old = best.read_bytes()
    for name in ("last.pt", "best.safetensors"):
        part = tmp_path / f".{name}.{socket.gethostname()}-{os.getpid()}.part"
        part.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(last, {"w": torch.zeros(size)})
    with pytest.raises(OSError, match="No space left"):
        save_weights(nn.Linear(size, 1), best)
    assert checkpoint.load(last) == {"epoch": 1} and best.read_bytes() == old


def test_code_is_not_loaded(tmp_path):
    checkpoint.save(tmp_path / "a.pt", {"f": print})
    with pytest.raises(Exception, match=r"weights_only|Unsupported"):
        checkpoint.load(tmp_path / "a.pt")


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "garbled", "zeros"])
def test_a_damaged_resume_state_is_said(tmp_path, monkeypatch, damage):
    monkeypatch.setenv("TLKIT_RUNS", str(tmp_path))
    path = tmp_path / "pretrain-x-s1-12345678.partial" / "checkpoint" / "last.pt"
    checkpoint.save(path, {"w": torch.zeros(100)})
    data = path.read_bytes()
    flipped = data[:700] + bytes([data[700] ^ 1]) + data[701:]
    path.write_bytes(
        {"empty": b"", "cut": data[: len(data) // 2], "flipped": flipped, "garbled": b"?" * 900, "zeros": bytes(2025)}[
            damage
        ]
    )
    with pytest.raises(RunDamagedError, match=r"last.pt is damaged .*Delete it to start the epoch count anew"):
        checkpoint.load(path)
    path.unlink()
    assert checkpoint.load(path) is None


def test_the_resume_state_of_another_model_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(resume, "FIRST", 0)
    model = nn.Linear(2, 2)
    Keeper(tmp_path, model).keep(Progress([{"epoch": 0.0}], 0.0, 0))
    assert len(Keeper(tmp_path, model).resume(torch.device("cpu")).rows) == 1
    with pytest.raises(RunDamagedError, match=r"last.pt is not of this model and optimizer.*Delete it to start"):
        Keeper(tmp_path, nn.Linear(3, 2)).resume(torch.device("cpu"))
    checkpoint.save(tmp_path / LAST, {"model": model.state_dict(), "epoch": 3})
    with pytest.raises(RunDamagedError, match="Delete it to start the epoch count anew"):
        Keeper(tmp_path, model).resume(torch.device("cpu"))
    (tmp_path / LAST).unlink()
    assert Keeper(tmp_path, model).resume(torch.device("cpu")).rows == []


def test_room_is_required_before_training(tmp_path, monkeypatch):
    model = nn.Linear(1000, 1000, bias=False)  # 4 MB
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 40e6))
    checkpoint.require_room(tmp_path, model)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 20e6))
    with pytest.raises(OSError, match=r"needs about 32 MB under .*, but 20 MB are free") as error:
        checkpoint.require_room(tmp_path, model)
    assert error.value.errno == errno.ENOSPC
