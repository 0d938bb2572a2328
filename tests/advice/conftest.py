from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path) -> Path:
    """Return an empty folder whose name is hard on shells and file systems."""
    root = tmp_path / "Lunge a b'ü"
    root.mkdir()
    return root
