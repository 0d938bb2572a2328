"""Source "git": folders of a public repository at one commit; of the others nothing is fetched.

    fetch: {kind: git, url: "https://.../x.git", commit: 40 hex digits, folder: "a/patient{:02}/", files: 5,
            sizes: {mini: [1, 2]}}

`folder` has {} where each entry of a size goes, `files` is how many a folder holds. Git itself holds what it fetches
against the commit's hashes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from tlkit.config import ConfigError
from tlkit.datasets.cards import DataCard
from tlkit.sources import OfflineError, SourceError, mirrored, parameters

KEYS = ("url", "commit", "folder", "files")
CLONE = ".git-clone"
AWAY = ("could not resolve", "unable to access", "failed to connect", "could not read from remote", "timed out")


def files(card: DataCard, size: str) -> pd.DataFrame:
    """Return one row per folder of a size; see `tlkit.sources`. Raises ConfigError for a `fetch` that lacks a key."""
    said, fetch = parameters(card, size), card.fetch
    if not said or any(key not in fetch for key in KEYS):
        raise ConfigError(
            f"`fetch` of '{card.name}': expected {', '.join(KEYS)} and a list for size {size}, found {said}."
        )
    paths = [fetch["folder"].format(entry) for entry in said]
    url = f"{fetch['url']}#{fetch['commit']}"
    table = pd.DataFrame({"path": paths, "url": url, "bytes": -1, "md5": "", "licence": card.licence, "group": ""})
    return table.assign(files=fetch["files"])


def version(card: DataCard) -> str:
    """Return the commit."""
    return card.fetch["commit"]


def transfer(rows: pd.DataFrame, to: Path, endpoint: str, progress: Callable[[int], None]) -> None:
    """Bring folders of one commit into `to`. A clone that was cut keeps what it has.

    Raises: OfflineError where the host cannot be reached, SourceError where git is missing or refuses.
    """
    url, _, commit = rows["url"].iloc[0].partition("#")
    clone = to / CLONE
    if not (clone / ".git" / "HEAD").is_file():
        shutil.rmtree(clone, ignore_errors=True)
        clone.mkdir(parents=True)
        _git(clone, "init", "--quiet")
    for lock in (clone / ".git").glob("*.lock"):  # of one that was killed: nobody else works here
        lock.unlink()
    for name, value in (("url", mirrored(url, "git")), ("promisor", "true"), ("partialclonefilter", "blob:none")):
        _git(clone, "config", f"remote.origin.{name}", value)
    shown = ["--progress"] if sys.stderr.isatty() else ["--quiet"]
    _git(clone, "fetch", *shown, "--depth", "1", "--filter=blob:none", "origin", commit)
    _git(clone, "sparse-checkout", "set", "--no-cone", *(f"/{path}" for path in rows["path"]))
    _git(clone, "checkout", *shown, "--force", "--detach", commit)
    for path in rows["path"]:
        if not (clone / path).is_dir():
            raise SourceError(f"{url} has no {path} at {commit}.")
        for file in sorted(p for p in (clone / path).iterdir() if p.is_file() and not p.is_symlink()):
            (to / path).mkdir(parents=True, exist_ok=True)
            progress(file.stat().st_size)
            os.replace(file, to / path / file.name)


def _git(folder: Path, *arguments: str) -> None:
    plain = ["-c", "core.autocrlf=false", "-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0"]
    quiet = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "GIT_LFS_SKIP_SMUDGE": "1"}
    shown = None if "--progress" in arguments else subprocess.PIPE
    away = {
        name: value for name, value in os.environ.items() if name not in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
    }
    try:
        done = subprocess.run(
            ["git", *plain, *arguments], cwd=folder, env=away | quiet, stdin=subprocess.DEVNULL, stderr=shown, text=True
        )
    except FileNotFoundError as error:
        raise SourceError("this source needs git, which is not installed here.") from error
    if done.returncode:
        said = (done.stderr or "").strip()
        kind = OfflineError if any(word in said.lower() for word in AWAY) else SourceError
        raise kind(f"git {arguments[0]} ended with {done.returncode}: {said[-500:] or 'see above'}")
