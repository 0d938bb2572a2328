"""Fetch a data set: in parallel, resumable and checked, into NAME.part.

The folder gets its name when it is whole, with a receipt: `.source.json` (which data set, size, version and licences,
from where, when) and `.source.csv` (path, bytes, md5 of every file), so that `verify` needs no network.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd
from filelock import Timeout

from tlkit.datasets.cards import DataCard, visible
from tlkit.files import FULL, DiskSpaceError, sync
from tlkit.locks import Lock
from tlkit.progress import Bytes
from tlkit.sources import OfflineError, SourceError, about, download, endpoint, kind_of, receipt
from tlkit.sources.fetch_plan import Plan, attribution, elsewhere, facts, folder_of
from tlkit.sources.unpack import unpack

UNPACKED = 2  # bytes of what an archive holds, for each byte of it, at most in general


def get(planned: Plan, over: bool = False) -> Path:
    """Fetch what is not there, check it, and return the data set's folder.

    What is whole in NAME.part, or in the folder of another size, is not fetched again. `over`: a folder that holds
    more than the list may be replaced. Raises: DiskSpaceError, OfflineError (what to do elsewhere), SourceError.
    """
    with lock_folder(planned.folder):
        if is_there(planned):
            return planned.folder
        refuse_to_lose(planned, over)
        left, found = find_left(planned)
        if len(left):
            _require_room(planned, left)
            with hashing_ahead(planned.part, found) as hashed:
                _transfer(planned, left)
            found = hashed[0]
        return finish(planned, found)


def _transfer(planned: Plan, left: pd.DataFrame) -> None:
    bring = getattr(kind_of(planned.card), "transfer", download.transfer)
    total = int(left["bytes"].sum()) if (left["bytes"] >= 0).all() else None
    try:
        with Bytes(total, planned.card.name) as progress:
            bring(left, planned.part, endpoint(planned.card.fetch["kind"]), progress)
    except OfflineError as error:
        raise OfflineError(f"{error}\n{elsewhere(planned)}") from error
    except OSError as error:
        if error.errno not in FULL:
            raise
        stays = f"What has come stays in {planned.part}: free some room and start again, it goes on there."
        raise DiskSpaceError(f"{error}. {stays}") from error


@contextmanager
def hashing_ahead(part: Path, known: pd.DataFrame, every: float = 1.0) -> Iterator[list[pd.DataFrame]]:
    """Hash files as they come, so that little is left to do when all are there; yields [what is known so far]."""
    done, stop = [known], threading.Event()

    def work() -> None:
        pause = every
        while not stop.wait(pause):
            began = time.perf_counter()
            with suppress(OSError):  # a file that was there and is not any more
                done[0] = receipt.look(part, known=done[0])
            pause = max(every, 5 * (time.perf_counter() - began))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield done
        stop.set()
        thread.join()
    finally:
        stop.set()


def verify(card: DataCard, to: Path | None = None) -> pd.DataFrame:
    """Return (path, reason) of the files of a data set that are not as its receipt says: changed, gone, or more.

    Raises SourceError where there is no receipt.
    """
    folder = folder_of(card, to)
    had = receipt.read(folder)
    if had is None:
        why = "has no receipt" if folder.is_dir() else "is not there"
        raise SourceError(f"{folder} {why}: `python -m tlkit data show {card.name}` says how `data get` makes both.")
    listed = had[1]
    with Bytes(int(listed["bytes"].sum()), f"{card.name}: verify") as progress:
        found = receipt.look(folder, progress=progress)
    wrong = receipt.find_faults(listed.assign(files=1), found)
    bad = pd.DataFrame({"path": listed["path"], "reason": wrong})[wrong != ""]
    more = found.loc[~found["path"].isin(listed["path"]), ["path"]].assign(reason="is not in the receipt")
    return pd.concat([bad, more], ignore_index=True)


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Let no other process work on a data set's folder. Raises SourceError where one does."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = Lock(folder.parent / f".{folder.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise SourceError(f"another process fetches {folder}: wait for it, or end it.") from error
    try:
        yield
    finally:
        lock.release()


def is_there(planned: Plan) -> bool:
    """Tell whether the folder holds this very list, by its receipt and the sizes of its files."""
    had = receipt.read(planned.folder)
    if had is None or had[0].get("list") != planned.hash:
        return False
    return not (receipt.find_faults(had[1].assign(files=1), receipt.look(planned.folder, hashed=False)) != "").any()


def refuse_to_lose(planned: Plan, over: bool) -> None:
    """Raise SourceError where the folder holds files that this list would lose."""
    folder, size = planned.folder, planned.size
    if not folder.is_dir() or next(visible(folder), None) is None:
        return
    had = receipt.read(folder)
    if had is None:
        raise SourceError(
            f"{folder} holds files that this command did not fetch. Say another place with --to; or move it to FOLDER "
            "and say --from FOLDER: what is as listed is taken from there."
        )
    lost = had[1]["path"][~receipt.find_covered(planned.rows, had[1]["path"])]
    if len(lost) and not over and not planned.unpacks:
        raise SourceError(
            f"{folder} holds size {had[0].get('size')}; {len(lost):,} of its files (first {lost.iloc[0]}) are not in "
            f"size {size}. Say --yes to replace it, or another place with --to."
        )


def find_left(planned: Plan) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows that are to be fetched, and the files in NAME.part that are whole; others are taken away."""
    planned.write_list()
    had = None if planned.unpacks else receipt.read(planned.folder)
    if had is not None:  # another size, an older version, or a damaged one: what is whole of it is lent
        good = planned.rows[_faults(planned, receipt.look(planned.folder), planned.folder) == ""]
        for path in had[1]["path"][receipt.find_covered(good, had[1]["path"])]:
            if not (planned.part / path).exists():
                link(planned.folder / path, planned.part / path)
    found = receipt.look(planned.part)
    wrong = _faults(planned, found, planned.part)
    bad = found["path"].isin(planned.rows.loc[wrong != "", "path"]) | ~receipt.find_covered(planned.rows, found["path"])
    for path in found["path"][bad]:
        (planned.part / path).unlink()
    return planned.rows[wrong != ""], found[~bad]


def link(source: Path, to: Path) -> None:
    """Give a file a second name; copy it where the disk is another one."""
    to.parent.mkdir(parents=True, exist_ok=True)
    to.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), to)
    except OSError:
        shutil.copyfile(source, to)


def finish(planned: Plan, known: pd.DataFrame, what: str = "These did not come as listed:") -> Path:
    """Check NAME.part, write the receipt, and give the folder its name. Raises SourceError for what is wrong."""
    part = planned.part
    found = receipt.look(part, known=known)
    wrong = _faults(planned, found, part)
    if (wrong != "").any():
        _take_away(part, planned.rows[wrong != ""], found["path"])
        raise SourceError(_told(planned, wrong[wrong != ""], what))
    tree = part
    if planned.unpacks:
        tree = unpack(part, planned.rows["path"], planned.card.fetch.get("strip", 0))
        found = receipt.look(tree)
    for rest in tree.glob(".*"):  # what was needed on the way
        shutil.rmtree(rest) if rest.is_dir() else rest.unlink()
    receipt.write(tree, facts(planned.card, planned), found, attribution(planned))
    old = planned.folder.with_name(f".{planned.folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if planned.folder.is_dir():
        planned.folder.rename(old)
    tree.rename(planned.folder)
    sync(planned.folder.parent)
    for gone in (old, part):
        shutil.rmtree(gone, ignore_errors=True)
    return planned.folder


def _take_away(part: Path, rows: pd.DataFrame, found: pd.Series) -> None:
    """Delete what came otherwise than listed, so that it comes anew."""
    for path in found[receipt.find_covered(rows, found)]:
        (part / path).unlink()


def _told(planned: Plan, wrong: pd.Series, what: str) -> str:
    lines = [f"  {planned.rows.at[i, 'path']}: {reason}" for i, reason in wrong.head(8).items()]
    more = [f"  ... {len(wrong):,} of {len(planned.rows):,} in all"] if len(wrong) > 8 else []
    stays = f"What is whole stays in {planned.part}: started again, it goes on there."
    return "\n".join([what, *lines, *more, stays])


def _faults(planned: Plan, found: pd.DataFrame, folder: Path) -> pd.Series:
    wrong = receipt.find_faults(planned.rows, found)
    check = getattr(kind_of(planned.card), "check", None)
    if check is not None and (wrong == "").any():
        wrong[wrong == ""] = check(planned.rows[wrong == ""], folder)
    return wrong


def _require_room(planned: Plan, left: pd.DataFrame) -> None:
    need = left["bytes"].sum() if (left["bytes"] >= 0).all() else about(planned.card, planned.size)
    need *= 1 + UNPACKED * planned.unpacks
    free = shutil.disk_usage(planned.part).free
    if need > free:
        raise DiskSpaceError(
            f"'{planned.card.name}' needs about {need / 1e6:,.0f} MB below {planned.folder.parent}, but "
            f"{free / 1e6:,.0f} MB are free. Free some, take a smaller --size, or another place with --to."
        )
