"""Archives: unpacked wholly or not at all, never outside of their folder."""

from __future__ import annotations

import io
import tarfile
import zipfile

import pytest

from tlkit.sources import SourceError, fetch, receipt
from tlkit.sources.plan import plan
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
