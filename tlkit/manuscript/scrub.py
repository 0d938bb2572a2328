"""What must not leave the machine with a run: paths, names of host and user, patients and images of real data."""

from __future__ import annotations

import getpass
import hashlib
import hmac
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from tlkit import paths

GONE = "(left out)"
KEYS = {"host", "pid", "user", "username", "hostname", "home", "cwd"}  # of records, which go
PLACES = {"folder", "path", "store", "file"}  # whose values go
# Folders may have spaces in their names, so all goes from the begin of an absolute path to the end of line or quote.
ABSOLUTE = re.compile(r"""(?:(?<![\w.:/~-])(?:~|file://)?/(?![/\s])|(?<![\w])[A-Za-z]:[\\/](?!/)|\\\\\w)[^"'\n]*""")
SHORT = 4  # characters; shorter names of hosts and users are taken out by their key alone
COMMON = {"root", "user", "users", "admin", "home", "localhost", "ubuntu", "linux", "default", "jovyan", "test"}


def private_words() -> list[str]:
    """Return the folders and names of this machine that no text may hold, the longest first."""
    roots = [paths.REPO, paths.runs_root(), paths.paper_root(), paths.data_root(), Path.home()]
    found = {str(root) for root in roots if root and len(root.parts) > 1}
    names = {socket.gethostname(), socket.gethostname().partition(".")[0], _user()}
    found |= {name for name in names if len(name) >= SHORT and name.lower() not in COMMON}
    return sorted(found, key=len, reverse=True)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def text(value: str, words: list[str]) -> str:
    """Return a text without private words and absolute paths."""
    for word in words:
        value = value.replace(word, GONE)
    return ABSOLUTE.sub(GONE, value)


def record(value: Any, words: list[str]) -> Any:
    """Return a JSON value without what `KEYS` and `PLACES` name, and with all its texts, keys too, scrubbed."""
    if isinstance(value, dict):
        kept = {k: GONE if k in PLACES and isinstance(v, str) else v for k, v in value.items() if k not in KEYS}
        return {text(str(k), words): record(v, words) for k, v in kept.items()}
    if isinstance(value, list):
        return [record(v, words) for v in value]
    return text(value, words) if isinstance(value, str) else value


def pseudonym(value: Any, key: bytes) -> str:
    """Return the same short name for the same value; without the key, which nobody keeps, there is no way back."""
    return hmac.new(key, str(value).encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()[:16]


def predictions(frame: pd.DataFrame, key: bytes) -> pd.DataFrame:
    """Return predictions with pseudonyms of images and patients, sorted by them: their order tells nothing."""
    named = {column: [pseudonym(v, key) for v in frame[column]] for column in ("id", "patient") if column in frame}
    return frame.assign(**named).sort_values("id", ignore_index=True)


def find_left(content: str, words: list[str], ids: set[str]) -> Iterator[str]:
    """Yield what a text still has of private words, absolute paths, and the ids of images and patients."""
    yield from (word for word in words if word in content)
    yield from (found.group() for found in ABSOLUTE.finditer(content))
    tokens = set(re.findall(r"[^\s\"',;|()\[\]{}:]+", content))
    yield from sorted(tokens & ids)
