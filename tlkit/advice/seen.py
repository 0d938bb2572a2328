"""A folder as it lies there, and what the user said of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tlkit.datasets.cards import visible_files


@dataclass
class Seen:
    """A folder as it lies there: `files` relative to `root`, and the `asked` flags."""

    root: Path
    asked: dict[str, str]
    files: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        there = [] if self.root.is_file() else visible_files(self.root)
        self.files = self.files or [f.relative_to(self.root).as_posix() for f in there]

    def ending(self, *endings: str) -> list[str]:
        """Return the files with one of these endings."""
        return [f for f in self.files if f.lower().endswith(endings)]
