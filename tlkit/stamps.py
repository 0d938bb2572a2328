"""Stamps: the hash of a large folder as it was when all of it was last read, so that no process walks its files again.

A stamp holds as long as the folder and the folders in it (not those below) have had no entry added, taken away or
renamed. What changed inside a file, or deeper, is found when the folder is read again.
"""

from __future__ import annotations

import json
import os
import time
from itertools import islice
from pathlib import Path
from typing import Any

from tlkit import files
from tlkit.config import short_hash

FEW = 1000  # entries of the folder; of more, none is looked at


def write(stamp: Path, root: Path, sha256: str, count: int) -> None:
    """Write the stamp of a folder of `count` files that was read whole."""
    told = {"sha256": sha256, "files": count, "read": time.strftime("%Y-%m-%d"), "top": _top(root)}
    files.write_text(stamp, json.dumps(told))


def read(stamp: Path, root: Path) -> dict[str, Any] | None:
    """Return sha256, files and the day that they were `read`; None without a stamp, or where it holds no more."""
    try:
        told = json.loads(stamp.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return told if isinstance(told, dict) and told.get("top") == _top(root) else None


def _top(root: Path) -> str:
    """Return the hash of what the disk says of a folder and the folders in it."""
    with os.scandir(root) as entries:
        few = list(islice(entries, FEW + 1))
    found = sorted((e.name, *_state(e.stat())) for e in few if e.is_dir()) if len(few) <= FEW else []
    return short_hash([*_state(root.stat()), *map(str, found)])


def _state(facts: os.stat_result) -> tuple[int, int]:
    return facts.st_ino, facts.st_mtime_ns
