import pytest


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    """Stores, hashes and data of a test lie in its own folder."""
    monkeypatch.setenv("TLKIT_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("TLKIT_DATA", raising=False)
