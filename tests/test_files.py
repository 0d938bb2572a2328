"""Files appear whole under their names, and are on the disk before they do."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tlkit import files, runs

SYNC = files.sync  # the tests' own is none


def test_the_content_is_on_the_disk_before_the_name_and_the_folder_after(tmp_path, monkeypatch):
    steps, real = [], os.replace
    monkeypatch.setattr(files, "sync", lambda path: steps.append(f"sync {Path(path).suffix or 'folder'}") or SYNC(path))
    monkeypatch.setattr(os, "replace", lambda a, b: steps.append("rename") or real(a, b))
    files.write_text(tmp_path / "new" / "a.json", "ü")
    assert steps == ["sync .part", "rename", "sync folder"]
    assert (tmp_path / "new" / "a.json").read_bytes() == "ü".encode()


def test_a_finished_run_is_on_the_disk(monkeypatch):
    synced = []
    monkeypatch.setattr(files, "sync", lambda path: synced.append(Path(path)) or SYNC(path))
    config = {"kind": "pretrain", "pretraining": "x", "backbone": "resnet10", "seed": 1}
    with runs.claim(config) as run:
        partial = run.folder
        where = runs.finish(run, {})
    assert synced[-2:] == [partial, where.parent]


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a"
    files.write_bytes(path, b"old")
    with pytest.raises(ZeroDivisionError), files.replacing(path) as part:
        part.write_bytes(b"half")
        _ = 1 / 0
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["a"]
    assert files.sha256(path) == hashlib.sha256(b"old").hexdigest()
