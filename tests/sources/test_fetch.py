"""Fetching from a server that breaks in every way: gone on with, or refused; nothing half-done gets its name."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import namedtuple
from dataclasses import replace
from functools import partial

import pytest

from tlkit import paths
from tlkit.config import ConfigError, UnknownNameError
from tlkit.files import DiskSpaceError
from tlkit.sources import OfflineError, SourceError, download, fetch, files, receipt
from tlkit.sources.fetch_plan import ask_sizes, folder_of, plan
from tlkit.sources.take import match, take, take_tree

from conftest import HOST  # isort: skip

BODY = bytes(range(256)) * 64
FILES = {"a.bin": BODY, "sub/b.bin": BODY[::-1], "c.bin": b"c"}


def tree(folder) -> dict[str, bytes]:
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def seen(folder) -> dict[str, bytes]:
    return {name: body for name, body in tree(folder).items() if not name.startswith(".")}


def ranges(site, name: str) -> list[str]:
    return [asked for method, path, asked in site.asked if (method, path) == ("GET", HOST + name)]


def test_what_is_fetched_is_whole_and_has_a_receipt(card, tmp_path):
    toy = card({"mini": FILES}, version="record 7")
    folder = fetch.get(plan(toy, to=tmp_path))
    assert folder == tmp_path / "a b'ü" / "toy" and seen(folder) == FILES
    facts, listed = receipt.read(folder)
    assert facts["licences"] == ["CC BY 4.0"] and facts["version"] == "record 7" and facts["size"] == "mini"
    assert listed.set_index("path")["bytes"].to_dict() == {name: len(body) for name, body in FILES.items()}
    assert fetch.verify(toy, tmp_path).empty and [p.name for p in folder.parent.iterdir() if p.name[0] != "."] == [
        "toy"
    ]


def test_what_is_there_is_not_asked_for_again(card, site, tmp_path):
    planned = plan(card({"mini": FILES}), to=tmp_path)
    fetch.get(planned)
    site.asked.clear()
    assert fetch.get(planned) == planned.folder and not site.asked


@pytest.mark.parametrize(
    "faults",
    [
        [{"cut": 5000}],
        [{"cut": 5000}, {"cut": 10}, {"cut": 0}, {"cut": 3000}],
        [{"status": 503}, {"status": 429}, {"cut": 1}],
        [{"garble": True}],
        [{"cut": 5000}, {"ranges": False}],
        [{"head": {"ETag": None}, "cut": 5000}],
        [{"head": {"ETag": 'W/"weak"'}, "cut": 5000}],
        [{"head": {"Content-Length": None}}],
        [{"cut": 5000, "head": {"ETag": '"an older version"'}}],
    ],
)
def test_a_line_that_breaks_is_gone_on_with(card, site, tmp_path, faults):
    site.faults[HOST + "a.bin"] = list(faults)
    folder = fetch.get(plan(card({"mini": FILES}), to=tmp_path))
    assert seen(folder) == FILES
    if faults == [{"cut": 5000}]:
        assert ranges(site, "a.bin") == ["", "bytes=5000-"]


def test_a_source_that_breaks_for_good_keeps_what_came_and_is_gone_on_with(card, site, tmp_path):
    planned = plan(card({"mini": FILES}), to=tmp_path)
    site.always[HOST + "a.bin"] = {"cut": 0}
    site.faults[HOST + "a.bin"] = [{"cut": 7000}]
    with pytest.raises(SourceError, match=r"a\.bin: cut off after 7,000 bytes"):
        fetch.get(planned)
    assert not planned.folder.exists() and "sub/b.bin" in seen(planned.part)
    site.always.clear()
    site.asked.clear()
    assert seen(fetch.get(planned)) == FILES
    assert [(path, asked) for _, path, asked in site.asked] == [(HOST + "a.bin", "bytes=7000-")]


def test_a_wrong_hash_is_refused_and_the_others_stay(card, site, tmp_path):
    planned = plan(card({"mini": FILES}), to=tmp_path)
    site.always[HOST + "c.bin"] = {"garble": True}
    with pytest.raises(SourceError, match=r"c.bin: its MD5 is .*, expected .*, twice over"):
        fetch.get(planned)
    assert not planned.folder.exists() and set(seen(planned.part)) == {"a.bin", "sub/b.bin"}


def test_a_file_of_another_size_is_refused_before_it_comes(card, site, tmp_path):
    planned = ask_sizes(plan(card({"mini": FILES}), to=tmp_path))
    assert planned.bytes == sum(map(len, FILES.values()))
    site.files[HOST + "a.bin"] += b"more"
    with pytest.raises(SourceError, match=r"has 16,388 bytes, expected 16,384: another file by now"):
        fetch.get(planned)


def test_sizes_that_the_source_says_do_not_make_another_list(card, tmp_path):
    planned = plan(card({"mini": FILES}), to=tmp_path)
    assert ask_sizes(planned).hash == planned.hash


@pytest.mark.parametrize(("status", "words"), [(404, "may have moved"), (403, "login"), (500, "500")])
def test_a_file_that_the_source_does_not_give_is_named(card, site, tmp_path, status, words):
    site.always[HOST + "c.bin"] = {"status": status}
    with pytest.raises(SourceError, match=f"(?s)1 of 3 files did not come.*c.bin.*{words}") as error:
        fetch.get(plan(card({"mini": FILES}), to=tmp_path))
    assert not isinstance(error.value, OfflineError)


def test_a_file_that_shrank_behind_our_back(card, site, tmp_path):
    """416: what we have is as long as the file, or longer."""
    planned = plan(card({"mini": {"a.bin": BODY}}), to=tmp_path)
    planned.part.mkdir(parents=True)
    (planned.part / ".a.bin.got").write_bytes(BODY)
    (planned.part / ".a.bin.tag").write_text(f'"{site.md5(HOST + "a.bin")}"')
    assert seen(fetch.get(planned)) == {"a.bin": BODY} and ranges(site, "a.bin") == [f"bytes={len(BODY)}-"]
    shutil.rmtree(planned.folder)
    planned.part.mkdir(parents=True)
    (planned.part / ".a.bin.got").write_bytes(BODY + b"more")
    (planned.part / ".a.bin.tag").write_text(f'"{site.md5(HOST + "a.bin")}"')
    assert seen(fetch.get(planned)) == {"a.bin": BODY}


def test_without_a_network_it_says_what_to_do_elsewhere(card, tmp_path, monkeypatch):
    planned = plan(card({"mini": FILES}), to=tmp_path)
    monkeypatch.setenv("TLKIT_ENDPOINT_HTTP", "http://127.0.0.1:9")
    with pytest.raises(OfflineError) as error:
        fetch.get(planned)
    text = str(error.value)
    assert "no way to 127.0.0.1:9" in text and "data get toy --size mini --from FOLDER" in text
    assert "https://data.example.org/set/sub/b.bin" in (planned.part / ".list.csv").read_text()


def test_a_proxy_is_asked(card, site, tmp_path, monkeypatch):
    toy = card({"mini": {"c.bin": b"c"}})
    monkeypatch.delenv("TLKIT_ENDPOINT_HTTP")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("HTTP_PROXY", site.url)
    site.files["/set/c.bin"] = b"c"  # to a proxy, the whole address is the path: urlsplit takes the path of it
    toy = replace(toy, fetch={**toy.fetch, "url": "http://data.example.org/set/{}"})
    assert seen(fetch.get(plan(toy, to=tmp_path))) == {"c.bin": b"c"}


Usage = namedtuple("Usage", "total used free")


def test_no_room_is_told_before_anything_comes(card, site, tmp_path, monkeypatch):
    planned = ask_sizes(plan(card({"mini": FILES}), to=tmp_path))
    site.asked.clear()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10, 9, 1))
    with pytest.raises(DiskSpaceError, match="--to"):
        fetch.get(planned)
    assert not site.asked and not planned.folder.exists()


def test_a_disk_that_fills_on_the_way_keeps_what_came(card, site, tmp_path, monkeypatch):
    planned = plan(card({"mini": FILES}), to=tmp_path)
    real = os.replace

    def full(source, to):
        if str(to).endswith("c.bin"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(source, to)

    monkeypatch.setattr(os, "replace", full)
    monkeypatch.setattr(download, "THREADS", 1)
    with pytest.raises(DiskSpaceError, match="free some room and start again"):
        fetch.get(planned)
    assert not planned.folder.exists()
    monkeypatch.undo()
    monkeypatch.setenv("TLKIT_ENDPOINT_HTTP", site.url)
    site.asked.clear()
    assert seen(fetch.get(planned)) == FILES and not ranges(site, "a.bin")


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_a_kill_loses_nothing_that_came(card, site, tmp_path, kill):
    toy = card({"mini": FILES})
    held = threading.Event()
    site.faults[HOST + "a.bin"] = [{"wait": held}]
    (tmp_path / "card.json").write_text(json.dumps(toy.fetch))
    code = f"""
        import json
        from dataclasses import replace
        from pathlib import Path
        from tlkit.datasets import DATASETS
        from tlkit.sources import fetch
        from tlkit.sources.fetch_plan import plan
        root = Path({str(tmp_path)!r})
        told = json.loads((root / "card.json").read_text())
        toy = replace(DATASETS["organcmnist"], name="toy", folder={toy.folder!r}, fetch=told)
        fetch.get(plan(toy, to=root))
    """
    heard = partial(
        signal.signal, signal.SIGINT, signal.SIG_DFL
    )  # what a shell starts in the background hears no Ctrl-C
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], cwd=paths.REPO, preexec_fn=heard)
    planned = plan(toy, to=tmp_path)
    got = planned.part / ".a.bin.got"
    until = time.monotonic() + 60
    while not (got.exists() and got.stat().st_size >= len(BODY) // 2 and (planned.part / "c.bin").exists()):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.02)
    process.send_signal(kill)
    process.wait(20)  # while the line says nothing
    held.set()
    assert not planned.folder.exists()
    site.asked.clear()
    assert seen(fetch.get(planned)) == FILES
    assert ranges(site, "a.bin") == [f"bytes={len(BODY) // 2}-"] and not ranges(site, "c.bin")


def test_files_are_hashed_as_they_come_and_anew_where_they_change(tmp_path):
    (tmp_path / "a").write_bytes(b"one")
    with fetch.hashing_ahead(tmp_path, receipt.look(tmp_path), every=0.01) as hashed:
        (tmp_path / "b").write_bytes(b"second")
        (tmp_path / "a").write_bytes(b"other")
        until = time.monotonic() + 20
        while len(hashed[0]) < 2 and time.monotonic() < until:
            time.sleep(0.01)
    expected = {name: hashlib.md5(body).hexdigest() for name, body in (("a", b"other"), ("b", b"second"))}
    assert receipt.look(tmp_path, known=hashed[0]).set_index("path")["md5"].to_dict() == expected


def test_a_kill_between_two_names_is_mended(card, site, tmp_path):
    planned = plan(card({"mini": FILES}), to=tmp_path)
    folder = fetch.get(planned)
    folder.rename(planned.part)
    site.asked.clear()
    assert seen(fetch.get(planned)) == FILES and not site.asked


def test_a_larger_size_takes_what_is_there_from_the_smaller(card, site, tmp_path):
    toy = card({"mini": {"a.bin": BODY}, "full": FILES})
    fetch.get(plan(toy, "mini", tmp_path))
    site.asked.clear()
    folder = fetch.get(plan(toy, "full", tmp_path))
    assert seen(folder) == FILES and not ranges(site, "a.bin") and receipt.read(folder)[0]["size"] == "full"
    with pytest.raises(SourceError, match=r"holds size full; 2 of its files .* Say --yes"):
        fetch.get(plan(toy, "mini", tmp_path))
    assert seen(fetch.get(plan(toy, "mini", tmp_path), over=True)) == {"a.bin": BODY}


def test_a_version_that_changed_at_the_source_fetches_what_changed(card, site, tmp_path):
    fetch.get(plan(card({"mini": FILES}), to=tmp_path))
    site.asked.clear()
    planned = plan(card({"mini": FILES | {"c.bin": b"new"}}), to=tmp_path)
    assert seen(fetch.get(planned)) == FILES | {"c.bin": b"new"}
    assert [path for _, path, _ in site.asked] == [HOST + "c.bin"]


def test_a_version_that_changed_in_the_middle_keeps_what_is_the_same(card, site, tmp_path):
    site.always[HOST + "c.bin"] = {"status": 500}
    with pytest.raises(SourceError):
        fetch.get(plan(card({"mini": FILES | {"gone.bin": b"gone"}}), to=tmp_path))
    site.always.clear()
    site.asked.clear()
    new = {"a.bin": BODY + b"new", "sub/b.bin": FILES["sub/b.bin"], "c.bin": b"c"}
    assert seen(fetch.get(plan(card({"mini": new}), to=tmp_path))) == new
    assert {path for _, path, _ in site.asked} == {HOST + "a.bin", HOST + "c.bin"}


def test_a_damaged_set_is_told_and_mended(card, site, tmp_path):
    toy = card({"mini": FILES})
    folder = fetch.get(plan(toy, to=tmp_path))
    (folder / "a.bin").write_bytes(BODY[:-1] + b"?")
    (folder / "c.bin").unlink()
    (folder / "mine.txt").write_text("a note")
    wrong = fetch.verify(toy, tmp_path).set_index("path")["reason"]
    assert "MD5" in wrong["a.bin"] and wrong["c.bin"] == "is not there" and "receipt" in wrong["mine.txt"]
    (folder / "mine.txt").unlink()
    site.asked.clear()
    assert seen(fetch.get(plan(toy, to=tmp_path))) == FILES and not ranges(site, "sub/b.bin")


def test_files_of_others_are_not_overwritten(card, tmp_path):
    planned = plan(card({"mini": FILES}), to=tmp_path)
    planned.folder.mkdir(parents=True)
    (planned.folder / "mine.png").touch()
    with pytest.raises(SourceError, match="did not fetch"):
        fetch.get(planned)
    with pytest.raises(SourceError, match="no receipt"):
        fetch.verify(planned.card, tmp_path)
    assert seen(planned.folder) == {"mine.png": b""}


def test_two_at_once_do_not_meet(card, tmp_path):
    planned = plan(card({"mini": FILES}), to=tmp_path)
    with fetch.lock_folder(planned.folder), pytest.raises(SourceError, match="another process"):
        fetch.get(planned)


# --- taken from a folder ---


@pytest.mark.parametrize("above", ["", "deeper/toy/"])
def test_files_that_somebody_brought_are_checked_and_taken(card, site, tmp_path, above):
    planned, brought = plan(card({"mini": FILES}), to=tmp_path / "data"), tmp_path / "brought"
    for name, body in FILES.items():
        (brought / above / name).parent.mkdir(parents=True, exist_ok=True)
        (brought / above / name).write_bytes(body)
    assert seen(take(planned, brought)) == FILES and not site.asked
    assert fetch.verify(planned.card, tmp_path / "data").empty and len(seen(brought)) == 3


def test_what_was_brought_and_is_damaged_or_missing_is_named(card, tmp_path):
    planned, brought = plan(card({"mini": FILES}), to=tmp_path / "data"), tmp_path / "brought"
    brought.mkdir()
    (brought / "b.bin").write_bytes(FILES["sub/b.bin"])
    (brought / "a.bin").write_bytes(b"otherwise")
    with pytest.raises(SourceError) as error:
        take(planned, brought)
    assert "a.bin: MD5" in str(error.value) and "c.bin: is not there" in str(error.value)
    assert "sub/b.bin" not in str(error.value) and (brought / "a.bin").read_bytes() == b"otherwise"
    with pytest.raises(SourceError, match="no such folder"):
        take(planned, tmp_path / "nowhere")


def test_folders_are_found_wherever_they_lie():
    import pandas as pd

    there = pd.Series(["x/s1/1.dcm", "x/s1/2.dcm", "s2/1.dcm", "x/other/3.dcm", "y/f.txt"])
    found = match(pd.Series(["s1/", "s2/", "d/f.txt"]), there)
    assert found == {"s1/1.dcm": "x/s1/1.dcm", "s1/2.dcm": "x/s1/2.dcm", "s2/1.dcm": "s2/1.dcm", "d/f.txt": "y/f.txt"}


def test_a_source_with_a_login_says_its_steps_and_takes_the_files(tmp_path):
    import trees

    from tlkit.datasets import DATASETS

    lits = DATASETS["lits"]
    with pytest.raises(SourceError, match=r"(?s)cannot be fetched.*1\. Register.*--from FOLDER"):
        plan(lits)
    source = trees.lits(tmp_path / "downloads")
    folder = take_tree(lits, source, tmp_path / "data")
    assert folder == tmp_path / "data" / "lits" and fetch.verify(lits, tmp_path / "data").empty
    with pytest.raises(SourceError, match="is there already"):
        take_tree(lits, source, tmp_path / "data")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.txt").touch()
    with pytest.raises(SourceError, match="holds no image"):
        take_tree(lits, tmp_path / "empty", tmp_path / "elsewhere")
    assert not folder_of(lits, tmp_path / "elsewhere").exists()


# --- cards ---


def test_a_faulty_card_is_told(card):
    toy = card({"mini": FILES})
    for change, error, words in (
        ({"kind": "htp"}, UnknownNameError, "Did you mean 'http'"),
        ({"speed": 1}, ConfigError, "nothing reads 'speed'"),
        ({"url": "https://x"}, ConfigError, "expected `url`"),
        ({"sizes": {"mini": {"../a": ""}}}, ConfigError, "lead elsewhere"),
    ):
        with pytest.raises(error, match=words):
            files(replace(toy, fetch={**toy.fetch, **change}))
    with pytest.raises(UnknownNameError, match="unknown size of 'toy' 'ful'"):
        plan(card({"mini": FILES, "full": FILES}), "ful")
