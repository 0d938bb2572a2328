"""Archives: unpacked wholly or not at all, never outside of their folder."""

from __future__ import annotations

import io
import tarfile
import zipfile
from dataclasses import replace

import pytest

from tlkit.sources import SourceError, fetch, receipt
from tlkit.sources.fetch_plan import plan
from tlkit.sources.take import take
from tlkit.sources.unpack import TREE, unpack

from conftest import HOST  # isort: skip


def packed(files: dict[str, bytes], kind: str = "tgz") -> bytes:
    out = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w") as archive:
            for name, body in files.items():
                archive.writestr(name, body)
        return out.getvalue()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return out.getvalue()


@pytest.mark.parametrize("kind", ["tgz", "zip"])
def test_an_archive_becomes_the_data_set(card, site, tmp_path, kind):
    body = packed({"top/a.png": b"a", "top/sub/b.png": b"b"}, kind)
    toy = card({"mini": {f"set.{kind}": body}}, unpack=True, strip=1)
    folder = fetch.get(plan(toy, to=tmp_path))
    assert (folder / "a.png").read_bytes() == b"a" and (folder / "sub/b.png").read_bytes() == b"b"
    assert sorted(receipt.read(folder)[1]["path"]) == ["a.png", "sub/b.png"] and fetch.verify(toy, tmp_path).empty
    assert not [p.name for p in folder.parent.iterdir() if p.name not in ("toy", ".toy.lock")]
    site.asked.clear()
    assert fetch.get(plan(toy, to=tmp_path)) == folder and not site.asked
    (folder / "a.png").unlink()
    assert (fetch.get(plan(toy, to=tmp_path)) / "a.png").read_bytes() == b"a"
    assert ("GET", HOST + f"set.{kind}", "") in site.asked


def test_what_was_brought_packed_or_unpacked_is_taken(card, tmp_path):
    tree = {f"{part}/{k}/{n}.png": b"" for part in ("train", "val") for k in "ab" for n in range(2)}
    body = packed({f"top/{name}": b"x" for name in tree})
    toy = card({"mini": {"set.tgz": body}}, unpack=True, strip=1)
    toy = replace(toy, layout="class_folders", classes=())
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "set.tgz").write_bytes(body)
    folder = take(plan(toy, to=tmp_path / "one"), tmp_path / "packed")
    assert sorted(receipt.read(folder)[1]["path"]) == sorted(tree)
    other = take(plan(toy, to=tmp_path / "two"), folder)
    assert sorted(receipt.read(other)[1]["path"]) == sorted(tree) and other == tmp_path / "two" / toy.folder


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "a/../../out.txt"])
@pytest.mark.parametrize("kind", ["tgz", "zip"])
def test_a_path_that_leads_elsewhere_is_refused(tmp_path, name, kind):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "x").write_bytes(packed({"fine.txt": b"", name: b"bad"}, kind))
    with pytest.raises(SourceError, match="leads out of its folder"):
        unpack(tmp_path / "set", ["x"])
    assert not (tmp_path / "out.txt").exists()


def test_links_are_not_followed_and_damage_is_told(tmp_path):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    (tmp_path / "x.tar").write_bytes(out.getvalue())
    assert list(unpack(tmp_path, ["x.tar"]).iterdir()) == []
    (tmp_path / "y.tgz").write_bytes(packed({"a": bytes(5000)})[:-30])
    (tmp_path / "z.tgz").write_bytes(b"no archive")
    for name in ("y.tgz", "z.tgz"):
        with pytest.raises(SourceError, match=f"{name[0]}.tgz cannot be unpacked"):
            unpack(tmp_path, [name])
    assert (tmp_path / TREE).is_dir()
