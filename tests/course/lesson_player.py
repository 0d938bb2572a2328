"""A lesson, run cell by cell in this process: a kernel for each would cost more than all that they compute."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any, NamedTuple

from tlkit.course import Verdict, source

LESSONS = source.sources()


class Played(NamedTuple):
    """What the cells of a lesson show with their last lines, and the verdicts on each exercise, solved and blank."""

    shown: list[Any]
    solved: dict[str, Verdict]
    blank: dict[str, Verdict]


def play(path: Path) -> Played:
    """Run the code cells of a lesson at smoke scale: of an exercise the solution, then the stub, with which it goes on.

    Copies agree outside the blanks, so what runs with the stubs runs with the solutions.
    """
    names: dict[str, Any] = {"__name__": "lesson"}
    played = Played([], {}, {})
    for cell in (c for c in source.read(path) if c.kind == "code"):
        if cell.exercise:
            played.solved[cell.exercise] = run(source.solution(cell.text), path, names)
            played.blank[cell.exercise] = run(source.stub(cell.text), path, names)
        else:
            text = cell.text.replace('scale = "quick"', 'scale = "smoke"') if cell.parameters else cell.text
            played.shown.append(run(text, path, names))
    return played


def run(text: str, path: Path, names: dict[str, Any]) -> Any:
    """Run a cell and return the value of its last line; None where that is no expression."""
    body = ast.parse(text, filename=path.name)
    last = body.body.pop() if isinstance(body.body[-1], ast.Expr) else None
    exec(compile(body, path.name, "exec"), names)
    return eval(compile(ast.Expression(last.value), path.name, "eval"), names) if last else None
