"""A lesson's one source: a text file of cells, from which the student's copy and the solutions are made.

Cells begin with `# %% [markdown]`, `# %%`, `# %% tags=["parameters"]` or `# %% exercise 3.1`. What a student writes
stands, in an exercise, between `# blank: what to write` and `# end`: the student's copy has a NotImplementedError with
these words in its place, and is the same elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlkit import paths
from tlkit.config import TlkitError

CELL = re.compile(r"^# %%(.*)\n", re.M)
HEAD = re.compile(
    r'(?: (?P<markdown>\[markdown\])| (?P<parameters>tags=\["parameters"\])| exercise (?P<exercise>\S+))?'
)
BLANK = re.compile(r"^(?P<indent> *)# blank: (?P<hint>.+)\n(?P<body>(?:.*\n)*?)(?P=indent)# end$", re.M)
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
COUNTED = ("no lines", "one line", "two lines", "three lines", "four lines", "five lines")


class LessonError(TlkitError, ValueError):
    """A lesson's source can't be read; the message names file and cell."""


@dataclass(frozen=True)
class Cell:
    """A cell of a source: its text, and for an exercise its number."""

    kind: str
    text: str
    exercise: str = ""
    parameters: bool = False


def sources() -> list[Path]:
    """Return the sources of all lessons, in order."""
    return sorted((paths.NOTEBOOKS / "course" / "source").glob("[0-9][0-9]_*.py"))


def read(path: Path) -> list[Cell]:
    """Return the cells of a source. Raises LessonError for a head or a blank that is not as this module says."""
    before, *parts = CELL.split(path.read_text(encoding="utf-8"))
    if before.strip():
        raise LessonError(f"{path.name}: text before the first cell; begin with `# %% [markdown]`")
    return [_cell(path, head, text.strip("\n")) for head, text in zip(parts[::2], parts[1::2], strict=True)]


def _cell(path: Path, head: str, text: str) -> Cell:
    found = HEAD.fullmatch(head)
    if not found:
        raise LessonError(f"{path.name}: unknown head of a cell '# %%{head}'")
    if found["markdown"]:
        return Cell("markdown", re.sub(r"^# ?", "", text, flags=re.M))
    blanks = len(BLANK.findall(text))
    if bool(found["exercise"]) != bool(blanks) or text.count("# blank: ") != blanks:
        raise LessonError(
            f"{path.name}: an exercise has `# blank: ...` and `# end`, other cells have none: {text[:60]}"
        )
    return Cell("code", text, found["exercise"] or "", bool(found["parameters"]))


def stub(text: str) -> str:
    """Return an exercise as the student gets it."""

    def ask(found: re.Match) -> str:
        lines = found["body"].count("\n")
        count = COUNTED[lines] if lines < len(COUNTED) else f"{lines} lines"
        return f'{found["indent"]}raise NotImplementedError("Your code, {count}: {found["hint"]}")'

    return BLANK.sub(ask, text)


def solution(text: str) -> str:
    """Return an exercise with its answer."""
    return BLANK.sub(lambda found: f"{found['indent']}# Solution: {found['hint']}\n{found['body']}".rstrip("\n"), text)


def notebook(path: Path, fill: Callable[[str], str]) -> dict[str, Any]:
    """Return the notebook of a source as JSON, its exercises filled by `stub` or `solution`."""
    cells = []
    for i, cell in enumerate(read(path)):
        text = fill(cell.text) if cell.exercise else cell.text
        tags = [f"exercise-{cell.exercise}"] if cell.exercise else ["parameters"] if cell.parameters else []
        made = {"id": f"{path.stem[:2]}-{i:02}", "cell_type": cell.kind, "metadata": {"tags": tags} if tags else {}}
        if cell.kind == "code":
            made |= {"execution_count": None, "outputs": []}
        cells.append(made | {"source": text})
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": KERNEL, "cells": cells}
