"""Folders of a repository, from one on this disk that stands in for the source."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace

import pytest
from test_open_ms import tree

from tlkit.datasets import DATASETS, layout_of
from tlkit.sources import OfflineError, SourceError, fetch, git, receipt
from tlkit.sources.fetch_plan import plan

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="no git here")
ME = ("-c", "user.name=a", "-c", "user.email=a@b")


def run(folder, *arguments):
    return subprocess.run(
        ["git", *ME, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    """Return a folder that holds github.com/muschellij2/open_ms_data.git of five patients, and its second commit."""
    root = tmp_path_factory.mktemp("a b'ü")
    work = tree(root / "github.com/muschellij2/open_ms_data.git")
    run(work, "init", "--quiet")
    run(work, "config", "uploadpack.allowFilter", "true")
    run(work, "config", "uploadpack.allowAnySHA1InWant", "true")
    run(work, "add", "-A")
    run(work, "commit", "-qm", "data")
    commit = run(work, "rev-parse", "HEAD")
    (work / "later.txt").touch()
    run(work, "add", "-A")
    run(work, "commit", "-qm", "more")
    return root, commit


@pytest.fixture
def card(mirror, monkeypatch):
    monkeypatch.setenv("TLKIT_ENDPOINT_GIT", f"file://{mirror[0]}")
    real = DATASETS["open-ms"]
    said = {**real.fetch, "commit": mirror[1], "sizes": {"mini": [1, 2], "full": [1, 2, 3, 4, 5]}}
    return replace(real, fetch=said)


def test_folders_of_one_commit_come_and_no_others(card, tmp_path):
    planned = plan(card, "mini", tmp_path)
    assert planned.version == card.fetch["commit"] and planned.bytes == 130_000_000
    folder = fetch.get(planned)
    assert len(receipt.read(folder)[1]) == 10 and fetch.verify(card, tmp_path).empty
    samples, rejects = layout_of(card).scan(folder, card)
    assert samples["patient"].nunique() == 2 and rejects.empty
    assert not [p for p in folder.iterdir() if p.name.startswith(".git")]
    more = fetch.get(plan(card, "full", tmp_path))
    assert len(receipt.read(more)[1]) == 25


def test_a_clone_that_was_cut_is_gone_on_with(card, tmp_path):
    planned = plan(card, "mini", tmp_path)
    clone = planned.part / git.CLONE
    clone.mkdir(parents=True)
    run(clone, "init", "--quiet")
    (clone / ".git" / "index.lock").touch()
    (clone / "cross_sectional").mkdir()
    folder = planned.part / "cross_sectional/MNI/patient01"
    folder.mkdir(parents=True)
    (folder / "half").touch()
    with pytest.raises(SourceError, match="patient01/: 6 files, expected 5"):
        fetch.get(planned)
    assert len(receipt.read(fetch.get(planned))[1]) == 10


def test_what_git_refuses_is_told(card, tmp_path, monkeypatch):
    gone = replace(card, fetch={**card.fetch, "commit": "0" * 40})
    with pytest.raises(SourceError, match="git fetch ended with"):
        fetch.get(plan(gone, "mini", tmp_path))
    nowhere = replace(card, fetch={**card.fetch, "folder": "cross_sectional/MNI/nobody{}/"})
    with pytest.raises(SourceError, match="has no cross_sectional/MNI/nobody1/"):
        fetch.get(plan(nowhere, "mini", tmp_path))
    monkeypatch.setenv("TLKIT_ENDPOINT_GIT", "http://127.0.0.1:9")
    with pytest.raises(OfflineError, match="--from FOLDER"):
        fetch.get(plan(card, "mini", tmp_path))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SourceError, match="not installed"):
        fetch.get(plan(card, "mini", tmp_path))
