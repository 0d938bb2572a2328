"""Small runs that a module's tests read: `configs(config)` of the module names them, and they are done once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tlkit import runs
from tlkit.training.run import run


@pytest.fixture(scope="module")
def made(request, tmp_path_factory, phantom_data, config) -> tuple[Path, dict[str, str]]:
    """Return a runs folder and the ids of its runs by the names that the module gives them."""
    root = tmp_path_factory.mktemp("made")
    (root / "data").symlink_to(phantom_data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TLKIT_RUNS", str(root))
        return root, {name: runs.run_id(c) for name, c in request.module.configs(config).items() if run(c)}


@pytest.fixture
def ids(made, tmp_path, monkeypatch) -> dict[str, str]:
    """Lend this test a copy of the runs, and return their ids."""
    copied = shutil.copytree(made[0], tmp_path / "copied", symlinks=True)
    monkeypatch.setenv("TLKIT_RUNS", str(copied))
    return made[1]
