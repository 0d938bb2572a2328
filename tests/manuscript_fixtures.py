"""The tiny study of `tiny_study`, lent to each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny_study import STUDY, save_results, write_run

from tlkit import paths, studies
from tlkit.manuscript import results


@pytest.fixture(scope="session")
def tiny_once(tmp_path_factory) -> Path:
    """Make the study once: a folder with `studies`, `runs` and `paper`."""
    root = tmp_path_factory.mktemp("it's ä tiny study")
    (root / "studies").mkdir()
    (root / "studies" / "tiny.yaml").write_text(STUDY, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "STUDIES", root / "studies")
        patch.setenv("TLKIT_RUNS", str(root / "runs"))
        patch.setenv("TLKIT_PAPER", str(root / "paper"))
        study, rng = studies.load("tiny"), np.random.default_rng(0)
        for config in study.configs():
            write_run(config, rng)
        save_results(study)
    return root


@pytest.fixture
def tiny(tiny_once, tmp_path, monkeypatch) -> Path:
    """Lend this test a copy of the study, with empty reference results, and return its folder."""
    root = shutil.copytree(tiny_once, tmp_path / "it's ä tiny study")
    monkeypatch.setattr(paths, "STUDIES", root / "studies")
    monkeypatch.setattr(results, "REFERENCE", root / "reference")
    monkeypatch.setenv("TLKIT_RUNS", str(root / "runs"))
    monkeypatch.setenv("TLKIT_PAPER", str(root / "paper"))
    return root
