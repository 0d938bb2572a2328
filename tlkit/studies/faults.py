"""The faults of a study file: each with file, line and entry, all in one error."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tlkit import paths
from tlkit.config import ConfigError, TlkitError
from tlkit.yamllines import Path


class StudyError(ConfigError):
    """A study file says something that cannot be run."""


class Faults:
    """What is wrong with a study file, by the place of an entry in the file, or in the study at one scale."""

    def __init__(self, file: pathlib.Path):
        self.file = file.relative_to(paths.REPO) if file.is_relative_to(paths.REPO) else file
        self.lines: dict[Path, int] = {}
        self.scale: str | None = None
        self.of: dict[Path, Path] = {}  # where the entries that are `of` another one start from
        self.found: dict[str, int] = {}

    def add(self, where: Path, text: str, *also: Path) -> None:
        """Note a fault of the entry `where`; its line is that of the first of `where` and `also` that the file has."""
        line = next((n for place in (where, *also) if (n := self._line(place))), None) or self._nearest(where)
        entry = ", ".join(p if isinstance(p, str) else f"entry {p + 1}" for p in where) or "the study"
        self.found[f"{self.file}:{line}: {entry}: {text}"] = line

    def _line(self, where: Path) -> int | None:
        """Return the line of a place: in the scale, in common, or in the entry that it comes from."""
        tops = [("scales", self.scale), ("common",), ()]
        lines = [self.lines[(*top, *where)] for top in tops if (*top, *where) in self.lines]
        if lines or where[:2] not in self.of:
            return lines[0] if lines else None
        return self._line((*self.of[where[:2]], *where[2:]))

    def _nearest(self, where: Path) -> int:
        above = (self._line(where[:n]) for n in range(len(where), 0, -1))
        return next((n for n in above if n), self.lines.get(("common",), 1))

    def stop(self) -> None:
        """Raise StudyError with all faults in the order of their lines, one a line, where there are any."""
        if self.found:
            raise StudyError("\n".join(sorted(self.found, key=self.found.__getitem__)))

    @contextmanager
    def at(self, *where: str | int, also: Iterable[Path] = ()) -> Iterator[None]:
        """Note what a check in the body has against the entry `where`, and go on behind it."""
        try:
            yield
        except TlkitError as error:
            self.add(where, str(error), *also)
