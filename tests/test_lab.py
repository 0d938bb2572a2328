"""A student who runs, edits and saves everything leaves the repository clean, and gets new notebooks all the same."""

from __future__ import annotations

import json
import shutil
import subprocess

import nbformat
import pytest
from jupyter_server.services.contents.largefilemanager import LargeFileManager
from traitlets.config import Config

from tlkit import lab, paths

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="no git here")


def git(*arguments: str, cwd) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    return subprocess.run(["git", *who, *arguments], cwd=cwd, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Return a repository with the notebooks of this one."""
    root = tmp_path / "a b'ü"
    shutil.copytree(paths.NOTEBOOKS, root / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    shutil.copy(paths.REPO / ".gitignore", root)
    git("init", "-q", cwd=root)
    git("add", "-A", cwd=root)
    git("commit", "-qm", "all", cwd=root)
    monkeypatch.setattr(paths, "REPO", root)
    monkeypatch.setattr(paths, "NOTEBOOKS", root / "notebooks")
    return root


def run(book) -> None:
    """Give a notebook what JupyterLab gives it when it is run."""
    book.metadata["language_info"] = {"name": "python", "version": "3.99"}
    for cell in book.cells:
        cell.metadata["trusted"] = True
        if cell.cell_type == "code":
            cell |= {"execution_count": 1, "outputs": [nbformat.v4.new_output("stream", text="a")]}
            cell.metadata["execution"] = {"iopub.status.busy": "now"}


def manager(root) -> LargeFileManager:
    arguments = dict(a.removeprefix("--").split("=", 1) for a in lab.arguments() if "pre_save_hook" in a)
    config = Config({"ContentsManager": {"pre_save_hook": arguments["ContentsManager.pre_save_hook"]}})
    return LargeFileManager(root_dir=str(root), config=config)


def test_edit_run_and_save_everything(checkout):
    lab.copy_notebooks(paths.work_root())
    saving, names = manager(checkout), [p.name for p in paths.NOTEBOOKS.glob("*.ipynb")]
    assert len(names) > 20
    for name in names:
        for folder in ("notebooks", "work"):
            model = saving.get(f"{folder}/{name}")
            run(model["content"])
            if folder == "work":
                model["content"].cells[0].source += "\nMine."
            saving.save({"type": "notebook", "content": model["content"]}, f"{folder}/{name}")
    saving.save({"type": "notebook", "content": nbformat.v4.new_notebook()}, "notebooks/Untitled.ipynb")
    assert git("status", "--porcelain", cwd=checkout) == ""
    mine = nbformat.read(checkout / "work" / names[0], 4)
    assert mine.cells[0].source.endswith("Mine.") and next(c for c in mine.cells if c.cell_type == "code").outputs


def test_new_notebooks_reach_copies_that_nobody_changed(checkout):
    work, (first, second, *_) = paths.work_root(), sorted(p.name for p in paths.NOTEBOOKS.glob("*.ipynb"))
    lab.copy_notebooks(work)
    ran = nbformat.read(work / first, 4)
    run(ran)
    nbformat.write(ran, work / first)
    changed = (work / second).read_text().replace("Question", "Doubt")
    (work / second).write_text(changed)
    assert lab.copy_notebooks(work) == [] and (work / second).read_text() == changed
    for name in (first, second):
        path = paths.NOTEBOOKS / name
        path.write_text(path.read_text().replace("**What to expect.**", "**Expect.**"))
    (told,) = lab.copy_notebooks(work)
    assert told.startswith(second) and (work / second).read_text() == changed
    assert lab.sources(work / first) == lab.sources(paths.NOTEBOOKS / first)
    (work / first).unlink()
    lab.copy_notebooks(work)
    assert (work / first).exists()


def test_a_broken_copy_is_its_readers(checkout):
    work = paths.work_root()
    lab.copy_notebooks(work)
    (work / lab.FIRST).write_text("{")
    lab.copy_notebooks(work)
    assert json.loads((work / lab.FIRST).read_text())["cells"]


def test_jupyterlab_is_rooted_at_the_repository():
    assert f"--ServerApp.root_dir={paths.REPO}" in lab.arguments()
    assert "--LabApp.default_url=/lab/tree/" + f"work/{lab.FIRST}" in lab.arguments()
    assert (paths.NOTEBOOKS / lab.FIRST).exists()
