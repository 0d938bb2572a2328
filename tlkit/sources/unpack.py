"""Archives that hold a data set: unpacked beside themselves, into a folder that is whole or is made again."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from tlkit.sources import SourceError

TREE = ".unpacked"


def unpack(folder: Path, names: Iterable[str], strip: int = 0) -> Path:
    """Unpack archives of a folder into its folder TREE, without the first `strip` parts of their paths; return that.

    Regular files alone are taken. Raises SourceError for damaged archives and for paths that lead elsewhere.
    """
    tree = folder / TREE
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir()
    for name in names:
        try:
            for path, stream in _members(folder / name):
                _write(tree, path, stream, strip, name)
        except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
            if isinstance(error, OSError) and error.errno:
                raise
            raise SourceError(f"{name} cannot be unpacked: {error}") from error
    return tree


def _members(file: Path) -> Iterator[tuple[str, IO[bytes]]]:
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                if not member.is_dir():
                    with archive.open(member) as stream:
                        yield member.filename, stream
        return
    with tarfile.open(file) as archive:
        for member in archive:
            if member.isfile() and (stream := archive.extractfile(member)):
                yield member.name, stream


def _write(tree: Path, path: str, stream: IO[bytes], strip: int, name: str) -> None:
    parts = PurePosixPath(path).parts
    if ".." in parts or path.startswith("/") or "\\" in path:
        raise SourceError(f"{name} holds {path!r}, which leads out of its folder: it is not unpacked.")
    if len(parts) <= strip:
        return
    to = tree.joinpath(*parts[strip:])
    to.parent.mkdir(parents=True, exist_ok=True)
    with open(to, "wb") as file:
        shutil.copyfileobj(stream, file, 1 << 20)
