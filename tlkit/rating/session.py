"""A session of blinded rating on disk.

session.json    the items and letters: all that rating reads, besides the pictures
items/          001.png is an image, 001-a.png the same under the heat map of pretraining "a", ...
key.json        which pretraining each letter of each item is; rating works without it
<rater>.csv    one line per answer (`tlkit.rating.answers`)
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from string import ascii_lowercase
from typing import NamedTuple

import numpy as np

from tlkit import paths
from tlkit.rating import answers
from tlkit.rating.answers import Answer, RatingError
from tlkit.rating.overlaid import picture
from tlkit.runs import read_json, write_json

log = logging.getLogger(__name__)

PHANTOM = "phantom"  # with this the names of phantom raters begin
PACKING = {"compress_level": 4}  # of pictures: 11 ms each, not 27, for a tenth more bytes
EPS = 1e-6  # by which rounding may leave the range of a heat map


class Item(NamedTuple):
    """An image [H, W] uint8 and, by pretraining, a heat map [H, W] of values from 0 to 1 (1: what decided most)."""

    id: str
    image: np.ndarray
    maps: dict[str, np.ndarray]
    task: str = ""


def session_folder(name: str) -> Path:
    """Return the folder of the session `name`."""
    return paths.ratings_root() / _file_name(name, "session")


def create(folder: Path, items: Sequence[Item], seed: int, replace: bool = False) -> Path:
    """Write a session and return its folder; in each item the letters are dealt anew by a generator of `seed`.

    A session that is there already with the same items, pretrainings and seed is kept as it is, pictures included, so
    that all raters see the same ones; with `replace` it is made again if none but phantom raters answered.
    It is written aside and renamed. Raises RatingError for items that can't be rated, and for another session there.
    """
    _check(items)
    if folder.exists():
        layout(folder)  # anything else there is not ours to replace
        if not replace:
            return _kept(folder, items, seed)
    if people := [r for r in raters(folder) if not r.startswith(PHANTOM)]:
        raise RatingError(
            f"{folder} holds the answers of {', '.join(people)} and is not replaced; name another session"
        )
    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    (aside / "items").mkdir(parents=True)
    key = _deal(items, seed)
    for name, item in zip(key["items"], items, strict=True):
        picture(item.image).save(aside / "items" / f"{name}.png", **PACKING)
        for letter, who in key["items"][name]["letters"].items():
            picture(item.image, item.maps[who]).save(aside / "items" / f"{name}-{letter}.png", **PACKING)
    write_json(aside / "key.json", key | {"pictures": _digest(aside)})
    write_json(aside / "session.json", {"items": list(key["items"]), "letters": _letters(items)})
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)
    return folder


class Session:
    """One rater's view of a session: pictures under letters, and the answers so far. It never opens the key.

    `notes` says what was found to be healed when it was opened. Raises RatingError for a folder without a session
    and for a rater's name that can't name a file.
    """

    def __init__(self, folder: Path, rater: str):
        self.folder, self.rater = folder, _file_name(rater, "rater")
        self.items, self.letters = layout(folder)
        self.file = folder / f"{rater}.csv"
        torn = answers.heal(self.file)
        self.notes = [f"The last answer was not written to its end and is open again (was: {torn!r})."] if torn else []

    def answers(self) -> dict[tuple[str, str], Answer]:
        """Return the last answer to each (item, letter) that has one, read from the file."""
        if not self.file.exists():
            return {}
        return answers.latest(answers.read(self.file, self.items, self.letters))

    def answer(self, item: str, letter: str, rating: int | None, remark: str = "", seconds: float = 0) -> None:
        """Save an answer; a later one to the same heat map counts in its place. Args as in `answers.append`."""
        if item not in self.items or letter not in self.letters:
            raise RatingError(
                f"no heat map '{letter}' of item '{item}'; expected {self.items[0]} to {self.items[-1]}, "
                f"{' '.join(self.letters)}"
            )
        now = datetime.now(UTC).isoformat(timespec="seconds")
        answers.append(self.file, item, letter, Answer(rating, answers.one_line(remark)), seconds, now)

    def open_items(self) -> list[str]:
        """Return the items of which a heat map has no rating yet, in their order."""
        rated = {place for place, answer in self.answers().items() if answer.rating is not None}
        return [item for item in self.items if any((item, letter) not in rated for letter in self.letters)]

    def picture(self, item: str, letter: str = "") -> bytes:
        """Return the PNG of an item, alone or under the heat map of a letter."""
        path = self.folder / "items" / (f"{item}-{letter}.png" if letter else f"{item}.png")
        if not path.exists():
            raise RatingError(f"no picture at {path}: the session was not copied whole; copy its folder items again")
        return path.read_bytes()


def layout(folder: Path) -> tuple[list[str], list[str]]:
    """Return the items and letters of a session; raise RatingError where there is none."""
    if not (folder / "session.json").exists():
        raise RatingError(
            f"no rating session at {folder} (expected session.json there); the notebook 44_rate_heatmaps makes one"
        )
    found = read_json(folder / "session.json")
    return found["items"], found["letters"]


def raters(folder: Path) -> list[str]:
    """Return the names of those who have a file of answers, sorted."""
    return sorted(path.stem for path in folder.glob("*.csv"))


def _file_name(name: str, what: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}", name):
        raise RatingError(f"{what} is {name!r}; expected letters, digits, - and _, beginning with a letter or digit")
    return name


def _check(items: Sequence[Item]) -> None:
    if not items or not 2 <= len(items[0].maps) <= len(ascii_lowercase):
        raise RatingError("expected at least one item, and heat maps of two or more pretrainings")
    if len({(item.task, item.id) for item in items}) < len(items):
        raise RatingError("an item comes twice; the ids of a task must differ")
    for item in items:
        if set(item.maps) != set(items[0].maps):
            raise RatingError(f"item {item.id} has heat maps of {sorted(item.maps)}, others of {sorted(items[0].maps)}")
        if item.image.dtype != np.uint8 or item.image.ndim != 2:
            raise RatingError(f"item {item.id}: expected an image [H, W] of uint8, found {_kind(item.image)}")
        for name, heat in item.maps.items():
            if heat.shape != item.image.shape or not (np.all(heat >= -EPS) and np.all(heat <= 1 + EPS)):  # so for NaN
                raise RatingError(
                    f"item {item.id}: expected a heat map {list(item.image.shape)} of values from 0 to 1 for {name}, "
                    f"found {_kind(heat)} from {heat.min():g} to {heat.max():g}"
                )


def _kind(array: np.ndarray) -> str:
    return f"{list(array.shape)} of {array.dtype}"


def _letters(items: Sequence[Item]) -> list[str]:
    return list(ascii_lowercase[: len(items[0].maps)])


def _deal(items: Sequence[Item], seed: int) -> dict:
    """Return the key: the seed and, by item, its id, its task and the pretraining behind each letter."""
    names, letters, dealt = sorted(items[0].maps), _letters(items), {}
    for number, item in enumerate(items, 1):
        order = np.random.default_rng([seed, number]).permutation(names).tolist()
        who = dict(zip(letters, order, strict=True))
        dealt[f"{number:03d}"] = {"id": item.id, "task": item.task, "letters": who}
    return {"seed": seed, "items": dealt}


def _kept(folder: Path, items: Sequence[Item], seed: int) -> Path:
    if not (folder / "key.json").exists():
        raise RatingError(f"{folder} has no key.json, so it can't be told whether it is this session; put the key back")
    key = read_json(folder / "key.json")
    if {k: key[k] for k in ("seed", "items")} != _deal(items, seed):
        raise RatingError(f"{folder} is a session of other items, pretrainings or seed; name another session")
    log.info("%s is kept as it is: its raters see the same pictures", folder)
    return folder


def _digest(folder: Path) -> str:
    """Return the SHA-256 of all pictures, by which a handed-out session can be checked."""
    found = sorted((folder / "items").glob("*.png"))
    return hashlib.sha256(b"".join(p.name.encode() + p.read_bytes() for p in found)).hexdigest()
