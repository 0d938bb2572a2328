"""Files that somebody brought: found below a folder, linked (or copied from another disk), checked, named."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pandas as pd

from tlkit.datasets import layout_of
from tlkit.datasets.cards import DataCard
from tlkit.sources import SourceError, files, receipt, sizes
from tlkit.sources.fetch import find_left, finish, is_there, link, lock_folder, refuse_to_lose
from tlkit.sources.fetch_plan import Plan, facts, folder_of


def take(planned: Plan, source: Path, over: bool = False) -> Path:
    """Take the files of a list from a folder, check them, and return the data set's folder.

    A file is found by its path below `source` or below any folder in it, or by its name where one file alone has that.
    Raises SourceError where some are missing or are not as listed.
    """
    there = receipt.look(_existing(source), hashed=False)["path"]
    if planned.unpacks and not match(planned.rows["path"], there):  # somebody has unpacked it
        return take_tree(planned.card, source, planned.folder.parents[len(Path(planned.card.folder).parts) - 1])
    with lock_folder(planned.folder):
        if is_there(planned):
            return planned.folder
        refuse_to_lose(planned, over)
        left, found = find_left(planned)
        for path, at in match(left["path"], there).items():
            link(source / at, planned.part / path)
        return finish(planned, found, f"{source} has not all of it:")


def take_tree(card: DataCard, source: Path, to: Path | None = None) -> Path:
    """Take the files of a data set whose source has no list from a folder, if its layout can read them.

    Raises SourceError where it finds no image, ConfigError as the layout does.
    """
    folder, layout = folder_of(card, to), layout_of(card)
    there = receipt.look(_existing(source), hashed=False)["path"]
    if folder.exists():
        raise SourceError(f"{folder} is there already. Move it away, or say another place with --to.")
    why, empty = "", there.empty
    if layout.read is None and not empty:  # of archives the headers are read when they are used
        samples, rejects = layout.scan(source, card)
        empty, why = samples.empty, "".join(f"\n  {r.path}: {r.reason}" for r in rejects.head(5).itertuples())
    if empty:
        why = f"\nLeft out there:{why}" if why else ""
        raise SourceError(f"{source} holds no image of '{card.name}'. Expected:\n{card.tree}{why}")
    with lock_folder(folder):
        part = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        for path in there:
            link(source / path, part / path)
        receipt.write(part, facts(card), receipt.look(part))
        part.rename(folder)
    return folder


def size_in(card: DataCard, source: Path) -> str:
    """Return the first size, by the card's order, of which a folder has every file; "" where there is none."""
    there = receipt.look(_existing(source), hashed=False)["path"]
    lists = ((size, files(card, size)["path"]) for size in sizes(card))
    return next((size for size, wanted in lists if match(wanted, there).keys() >= set(wanted)), "")


def match(wanted: pd.Series, there: pd.Series) -> dict[str, str]:
    """Return {path of a file that is wanted, or lies in a wanted folder ("a/b/"): its path among `there`}."""
    single, folders = set(wanted), {path for path in wanted if path.endswith("/")}
    names = there.str.replace(r"^.*/", "", regex=True)
    alone = dict(zip(*(x[~names.duplicated(keep=False)] for x in (names, there)), strict=True))
    found: dict[str, str] = {}
    for path in there:
        parts = path.split("/")
        for i in range(len(parts)):
            below = "/".join(parts[i:])
            if below in single or (below.rpartition("/")[0] + "/") in folders:
                if below not in found or i == 0:
                    found[below] = path
                break
    for path in single - folders - found.keys():
        if at := alone.get(os.path.basename(path)):
            found[path] = at
    return found


def _existing(source: Path) -> Path:
    if not source.is_dir():
        raise SourceError(f"--from {source}: no such folder.")
    return source
