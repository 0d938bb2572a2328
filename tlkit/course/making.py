"""The student's copies and the solutions of all lessons, written and run: what `make course` does."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tlkit import files, paths
from tlkit.config import TlkitError, short_hash
from tlkit.course import source

GLOSSARY = "glossary.md"
FILLED = {"student": source.stub, "solutions": source.solution}


class LessonFailedError(TlkitError, RuntimeError):
    """A cell of a lesson stopped with an error."""


def folder() -> Path:
    """Return the folder of the copies, as deep below the repository as the sources, so that their links hold."""
    return paths.work_root() / "course"


def make(scale: str = "quick", run: bool = True) -> None:
    """Write both copies of every lesson to work/course, and with `run` execute them, the solutions first.

    A copy that somebody has changed stays as it is. Solutions keep what their cells show; students' copies are
    executed elsewhere, so that what a student opens is clean. Raises LessonFailedError where a cell stops.
    """
    files.write_text(folder() / GLOSSARY, (paths.NOTEBOOKS / "course" / GLOSSARY).read_text(encoding="utf-8"))
    for path in source.sources():
        for kind, fill in FILLED.items():
            print(write(path, kind, fill))
    for kind in reversed(FILLED) if run else ():
        for path in source.sources():
            print(f"{kind}/{path.stem}: {execute(path, kind, scale):.0f} s", flush=True)


def write(path: Path, kind: str, fill: Callable[[str], str]) -> str:
    """Write one copy of a lesson unless somebody changed the one that is there, and return a line about it."""
    copy, made = folder() / kind / f"{path.stem}.ipynb", source.notebook(path, fill)
    if copy.is_file() and _changed(copy):
        return f"{kind}/{copy.name} was changed and stays as it is; delete it to have it anew"
    made["metadata"] = made["metadata"] | {"tlkit": {"made": _content(made)}}
    files.write_text(copy, json.dumps(made, indent=1, ensure_ascii=False) + "\n")
    return f"{kind}/{copy.name} written"


def _content(book: dict[str, Any]) -> str:
    """Return a hash of what the cells say, without their outputs."""
    return short_hash([(cell["cell_type"], "".join(cell["source"])) for cell in book["cells"]])


def _changed(copy: Path) -> bool:
    """Tell whether a copy is another than the one that was written, or none of ours."""
    try:
        book = json.loads(copy.read_text(encoding="utf-8"))
        return book["metadata"]["tlkit"]["made"] != _content(book)
    except (ValueError, KeyError, TypeError):
        return True


def execute(path: Path, kind: str, scale: str) -> float:
    """Run a copy of a lesson from its source and return the seconds; an unchanged solution gets what its cells show.

    Raises LessonFailedError where a cell stops.
    """
    import papermill

    copy = folder() / kind / f"{path.stem}.ipynb"
    first = os.environ.get("PYTHONPATH")  # kernels use the tlkit of this checkout, whatever is installed
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(paths.REPO), first]))
    os.environ["TLKIT_UNATTENDED"] = "1"  # no bars of progress in what is kept
    with tempfile.TemporaryDirectory() as place:
        given, done = Path(place) / copy.name, Path(place) / "done.ipynb"
        given.write_text(json.dumps(source.notebook(path, FILLED[kind])), encoding="utf-8")
        start = time.monotonic()
        try:
            papermill.execute_notebook(
                str(given), str(done), parameters={"scale": scale}, cwd=str(copy.parent), kernel_name="python3",
                progress_bar=False, extra_arguments=["--log-level=50"],
            )  # fmt: skip
        except papermill.PapermillExecutionError as error:
            text = f"{kind}/{copy.name} stopped in cell [{error.exec_count}] with {error.ename}: {error.evalue}"
            raise LessonFailedError(text) from error
        seconds = time.monotonic() - start
        if kind == "solutions" and not _changed(copy):
            _keep_outputs(copy, json.loads(done.read_text(encoding="utf-8")))
    return seconds


def _keep_outputs(copy: Path, done: dict[str, Any]) -> None:
    """Write the outputs of an executed copy, cell by cell, to the copy in work/course."""
    book = json.loads(copy.read_text(encoding="utf-8"))
    shown = {cell["id"]: cell for cell in done["cells"] if cell["cell_type"] == "code"}
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            cell |= {key: shown[cell["id"]][key] for key in ("execution_count", "outputs")}
    files.write_text(copy, json.dumps(book, indent=1, ensure_ascii=False) + "\n")
