"""Notebooks to read, run and change: a copy of one's own, so that nothing of the repository changes.

`make lab` copies each notebook to `work/`, which git ignores, and opens that folder; JupyterLab is rooted at the
repository, so that its texts, figures and runs can be opened too. A copy that was not changed follows its notebook; a
changed one is kept. Where an original is opened all the same, what it shows is not saved (`keep_without_outputs`).
Chosen over an output filter of git, which each clone must be told of and which keeps no change of a student's from
`git status`, and over pairs of texts, which are a second set of files to keep equal.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tlkit import files, paths

FIRST = "00_start_here.ipynb"
TAKEN = ".taken.json"  # in `work/`: the cells of each notebook as they were copied


def copy_notebooks(folder: Path) -> list[str]:
    """Copy the notebooks to `folder`, and return a line for each changed copy whose notebook has changed since, too.

    A copy that differs in its outputs alone counts as unchanged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / TAKEN
    taken, told = json.loads(record.read_text()) if record.exists() else {}, []
    for source in sorted(paths.NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")):
        target, now = folder / source.name, sources(source)
        mine = sources(target) if target.exists() else None
        if mine is None or mine == taken.get(source.name) != now:
            shutil.copyfile(source, target)
        elif mine != now and now != taken.get(source.name):
            told.append(f"{source.name} has changed since you copied it; yours is kept. Rename it to get the new one.")
            continue
        elif mine != now:
            continue  # changed by its reader alone
        taken[source.name] = now
    with files.replacing(record) as part:
        part.write_text(json.dumps(taken), encoding="utf-8")
    return told


def sources(notebook: Path) -> list[str] | None:
    """Return the text of each cell; None where the file is no notebook."""
    try:
        return ["".join(cell["source"]) for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]]
    except (ValueError, KeyError, TypeError):
        return None


def keep_without_outputs(model: dict[str, Any], path: str = "", **_: Any) -> None:
    """Drop what a notebook of the repository shows before it is saved there: Jupyter's `pre_save_hook`."""
    book = model["content"]
    if model["type"] != "notebook" or not path.strip("/").startswith(f"{paths.NOTEBOOKS.name}/"):
        return
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
            cell["metadata"].pop("execution", None)
        cell["metadata"].pop("trusted", None)
    if (there := paths.REPO / path.strip("/")).exists():
        book["metadata"] = json.loads(there.read_text(encoding="utf-8"))["metadata"]


def arguments() -> list[str]:
    """Return what JupyterLab is started with."""
    return [
        f"--ServerApp.root_dir={paths.REPO}",
        f"--LabApp.default_url=/lab/tree/{paths.work_root().name}/{FIRST}",
        f"--ContentsManager.pre_save_hook={__name__}.{keep_without_outputs.__name__}",
    ]


def main(more: list[str]) -> int:
    """Copy the notebooks and open JupyterLab, with what `more` says, too; return its exit status."""
    print("\n".join([f"Your notebooks are in {paths.work_root()}.", *copy_notebooks(paths.work_root())]))
    return subprocess.run([sys.executable, "-m", "jupyterlab", *arguments(), *more], check=False).returncode
