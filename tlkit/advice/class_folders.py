"""Folders as classes: where the splits, the classes and the patients are among the folders above an image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from shlex import quote
from typing import Any

from tlkit.advice import masks_beside, pictures
from tlkit.advice.choices import AmbiguousError, name_few
from tlkit.advice.seen import Seen
from tlkit.datasets.cards import hidden
from tlkit.layouts import folders


def find(seen: Seen, images: list[str]) -> dict[str, Any] | None:
    """Return the reading of folders as classes, None where there are not two of them.

    Raises AmbiguousError where the folders below them may as well be the classes.
    """
    beside = masks_beside.patterns_of_masks(seen) if seen.asked.get("task") == "multiclass" else []
    images = [f for f in images if not any(fnmatchcase(f, pattern) for pattern in beside)]
    parts = [PurePosixPath(f).parts for f in images]
    renamed = _renamed(seen, parts)
    split = [p for p in parts if len(p) > 1 and (folders.split_of(p[0]) or renamed.get(p[0]))]
    inside = [p[1:] for p in split] if split else parts
    below = not split and all(sum(bool(folders.split_of(name)) for name in p[1:-1]) == 1 for p in parts)
    if below:  # the splits lie in the classes
        inside = [tuple(n for n in p[:-1] if not folders.split_of(n)) + p[-1:] for p in parts]
    first, second = (Counter(p[at] for p in inside if len(p) > at + 1) for at in (0, 1))
    deep = sum(second.values()) == len(inside)
    shared = {p[1]: 0 for p in inside if len(p) > 2}
    shared = {name for name in shared if len({p[0] for p in inside if len(p) > 2 and p[1] == name}) > 1}
    turned = deep and 2 <= len(second) < len(first) and shared == set(second)
    asked = seen.asked.get("label", "")
    if turned and asked not in ("folder:1", "folder:2"):
        raise AmbiguousError(
            "Folders lie in folders, and either may be the classes. Say which, or the part that each of the outer ones "
            "is: --split FOLDER=train,FOLDER=test",
            [("--label folder:1", f"{len(first)} classes: {name_few(sorted(first))}"),
             ("--label folder:2", f"{len(second)} classes: {name_few(sorted(second))}")],
        )  # fmt: skip
    level = 2 if asked == "folder:2" else 1
    spelt: dict[str, str] = {}
    for name in sorted(second if level == 2 else first):
        spelt.setdefault(name.casefold(), name)
    names = sorted(spelt.values())
    if len(names) < 2:
        return None
    options: dict[str, Any] = {} if level == 1 else {"level": 2}
    options |= {"split_folders": True} if below else {}
    options |= {"splits": renamed} if renamed else {}
    empty = _without_images(seen, images, bool(split), level) + beside
    options |= {"beside": empty} if empty else {}
    looks, said = pictures.options(seen.root, images)
    told = [f"folders are classes: {len(names)} of them, {name_few(names)}; {len(inside)} images"]
    if twice := sorted({*(second if level == 2 else first)} - set(names)):
        told.append(f"{name_few(twice)}: taken for the class of that name in other letters")
    known = {folders.split_above(PurePosixPath(*p)) or renamed.get(p[0], "") for p in (split or parts)}
    told.append(_said_of_folders([part for part in ("train", "val", "test") if part in known and (split or below)]))
    found = {"layout": "class_folders", "task": "multiclass", "classes": names, "options": options | looks}
    return found | {"said": told + said, "folders": bool(split) + below + (level == 1)}


def _renamed(seen: Seen, parts: list[tuple[str, ...]]) -> dict[str, str]:
    """Return the split that --split FOLDER=PART,... says of folders beside others that are splits by their names.

    Raises AmbiguousError for such a folder of images of which nothing is said.
    """
    known = {p[0] for p in parts if len(p) > 1 and folders.split_of(p[0])}
    others = Counter(p[0] for p in parts if len(p) > 2 and p[0] not in known)
    said = dict(pair.rpartition("=")[::2] for pair in seen.asked.get("split", "").split(",") if "=" in pair)
    if odd := [f"{k}={v}" for k, v in said.items() if k not in others or v not in ("train", "val", "test", "none")]:
        raise AmbiguousError(
            f"--split {name_few(odd)}: expected FOLDER=train, val, test or none, of the folders "
            f"{name_few(sorted(others), 20)}."
        )
    offered = [p for p in (*folders.PARTS, "none") if p != "train" or p not in map(folders.split_of, known)]
    if known and (left := sorted(set(others) - set(said))):
        raise AmbiguousError(
            f"{name_few(sorted(known))} are parts by their names, and {left[0]}, with {others[left[0]]} images, is "
            "not. Say what it is:",
            [(f"--split {quote(','.join([*map('='.join, said.items()), f'{left[0]}={part}']))}",
              "it is left out" if part == "none" else f"it is a part: {part}") for part in offered],
        )  # fmt: skip
    return {folder: part for folder, part in said.items() if part != "none"}


def _said_of_folders(parts: list[str]) -> str:
    if not parts:
        return "splits: none, they are drawn"
    return f"splits: by the folders of {', '.join(parts)}{say_drawn(parts)}"


def say_drawn(parts: Sequence[str]) -> str:
    """Return what is said of the splits that are not among `parts`."""
    drawn = " and ".join(part for part in ("val", "test") if part not in parts)
    return f"; {drawn} will be drawn from train" if drawn else ""


def _without_images(seen: Seen, images: list[str], split: bool, level: int) -> list[str]:
    """Return patterns of the folders where a class would lie and no image does."""
    depth = split + level
    has = {PurePosixPath(*PurePosixPath(f).parts[:depth]) for f in images if len(PurePosixPath(f).parts) > depth}
    there = {PurePosixPath(p.relative_to(seen.root)) for p in seen.root.glob("/".join(["*"] * depth)) if p.is_dir()}
    return sorted(f"{p}/*" for p in there - has if not any(map(hidden, p.parts)))
