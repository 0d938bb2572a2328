"""A large folder is known by its stamp, and read again when somebody asks for it."""

from __future__ import annotations

import os

import pytest

from tlkit import paths
from tlkit.datasets import content
from tlkit.datasets.cards import visible_files, visible_names
from tlkit.datasets.content import content_hash, verify_content


@pytest.fixture
def large(tmp_path, monkeypatch):
    """A folder of four files, which is thought to be large, with its stamp."""
    monkeypatch.setattr(content, "LARGE", 4)
    root = tmp_path / "a b'ü"
    for name in ("a/1", "a/2", "b/deep/3", "4"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    content_hash(root)
    assert len(list(paths.store_root().glob("digests/*.stamp"))) == 1
    return root


def test_no_file_of_a_stamped_folder_is_looked_at(large, monkeypatch):
    expected = content_hash(large)
    monkeypatch.setattr(content, "visible_names", lambda root: pytest.fail("walked"))
    assert content_hash(large) == expected


def test_a_stamp_is_the_hash_without_one(large, monkeypatch):
    monkeypatch.setattr(content, "LARGE", 5)
    stamped = content_hash(large)
    for file in (paths.store_root() / "digests").iterdir():
        file.unlink()
    assert content_hash(large) == stamped


@pytest.mark.parametrize("change", [
    lambda root: (root / "5").write_text("new"),
    lambda root: (root / "4").unlink(),
    lambda root: (root / "a" / "5").write_text("new"),
    lambda root: (root / "a" / "1").rename(root / "a" / "7"),
    lambda root: (root / "c").mkdir() or (root / "c" / "1").write_text("new"),
])  # fmt: skip
def test_what_is_added_or_taken_away_near_the_top_is_noticed(large, change):
    before = content_hash(large)
    os.utime(large, (1, 1))
    content_hash(large)  # stamped with times that the change will not hit by chance
    change(large)
    assert content_hash(large) != before


def test_what_changed_inside_a_file_is_found_when_it_is_verified(large):
    before = content_hash(large)
    assert verify_content(large) == (before, before)
    facts = (large / "b/deep/3").stat()
    (large / "b/deep/3").write_text("other")
    os.utime(large / "b/deep/3", ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert content_hash(large) == before, "its stamp says so"
    known, found = verify_content(large)
    assert known == before != found == content_hash(large)


def test_a_folder_that_nobody_read_has_nothing_to_compare(tmp_path):
    (tmp_path / "data").mkdir()
    known, found = verify_content(tmp_path / "data")
    assert known == "" and found == content_hash(tmp_path / "data")


def test_a_garbled_stamp_counts_as_none(large):
    before = content_hash(large)
    (stamp,) = paths.store_root().glob("digests/*.stamp")
    stamp.write_text("{")
    assert content_hash(large) == before


def test_names_are_in_the_order_of_paths(tmp_path):
    for name in ("a-b/x", "a/x", "a/b-c", "a/b/c", "a.txt", "B/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert visible_files(tmp_path) == sorted(p for p in tmp_path.rglob("*") if p.is_file())
    assert [tmp_path / name for name in visible_names(tmp_path)] == visible_files(tmp_path)
