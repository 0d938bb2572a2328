"""The lessons, run cell by cell in this process: a kernel for each would cost more than all that they compute."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tlkit.course import source

LESSONS = source.sources()


def play(path: Path, fill: Callable[[str], str]) -> list[Any]:
    """Run the code cells of a lesson at smoke scale, and return what each shows with its last line (None: nothing)."""
    names: dict[str, Any] = {"__name__": "lesson"}
    shown = []
    for cell in (c for c in source.read(path) if c.kind == "code"):
        text = fill(cell.text) if cell.exercise else cell.text
        text = text.replace('scale = "quick"', 'scale = "smoke"') if cell.parameters else text
        body = ast.parse(text, filename=path.name)
        last = body.body.pop() if isinstance(body.body[-1], ast.Expr) else None
        exec(compile(body, path.name, "exec"), names)
        shown.append(eval(compile(ast.Expression(last.value), path.name, "eval"), names) if last else None)
    return shown
