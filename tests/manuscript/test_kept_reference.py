"""`reference` keeps results of one clean commit, small, with the notebooks that made them, and nothing of a machine."""

from __future__ import annotations

import base64
import io
import json
import shutil

import nbformat
import numpy as np
import pytest
from PIL import Image
from tiny_study import HOME, runs_of

from tlkit import __main__, paths
from tlkit.manuscript import reference
from tlkit.manuscript.results import Results

BOOK = "30_fig2_task_dependency"


def picture(side: int = 900) -> str:
    """Return a picture of noise, which no format makes small."""
    held = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)).save(held, "png")
    return base64.b64encode(held.getvalue()).decode()


@pytest.fixture
def executed(tiny):
    """Leave the results as of a clean commit, and the notebook as the study executes it."""
    for path in (tiny / "paper").rglob("*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"commit": "c0ffee", "dirty": False}))
    cell = nbformat.v4.new_code_cell("x")
    shown = f'<figure><img alt="two dots" style="x" src="data:image/png;base64,{picture()}"></figure>'
    cell.outputs = [
        nbformat.v4.new_output("display_data", {"text/html": shown, "text/plain": "two dots"}),
        nbformat.v4.new_output("display_data", {"text/html": "<table></table>", "text/plain": "a table"}),
        nbformat.v4.new_output("stream", text=f"runs lie in {paths.runs_root()}/x and {HOME}"),
    ]
    book = nbformat.v4.new_notebook(cells=[cell], metadata={"papermill": {"output_path": HOME}})
    folder = paths.runs_root() / "studies" / "tiny" / "quick"
    folder.mkdir(parents=True)
    nbformat.write(book, folder / f"figure-{BOOK}-12345678.ipynb")
    return tiny


def test_the_results_are_kept_small_with_their_notebook(executed, capsys):
    gone = executed / "reference" / "tables" / "tiny" / "of_before.csv"
    gone.parent.mkdir(parents=True)
    gone.write_text("")
    assert __main__.main(["reference", "tiny", "--machine", "a good laptop"]) == 0
    kept = Results("reference").saved("tiny")
    assert {(s.kind, s.name) for s in kept} == {(s.kind, s.name) for s in Results("own").saved("tiny")}
    assert (
        all(s.facts["machine"] == "a good laptop" and s.runs == runs_of(executed) for s in kept) and not gone.exists()
    )
    with Image.open(kept[0].file("png")) as small:
        assert small.mode == "P" and small.width <= reference.WIDTH
    path = executed / "reference" / "notebooks" / f"{BOOK}-tiny.ipynb"  # that notebook is of another study by default
    book = nbformat.read(path, 4)
    nbformat.validate(book)
    assert path.stat().st_size <= reference.MOST
    first, second, said = book.cells[0].outputs
    assert first["metadata"] == {"image/jpeg": {"alt": "two dots"}}, "noise, which no PNG makes small"
    assert set(first.data) == {"text/plain", "image/jpeg"}
    assert dict(second.data) == {"text/plain": "a table"} and not set(book.metadata) & {"papermill"}
    assert not [word for word in (str(executed), HOME) if word in path.read_text()] and "runs lie in" in said.text


def edited(root, **more):
    path = root / "paper" / "tables" / "tiny" / "quick" / "fig2.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | more))


FAULTS = {
    "not of one clean commit": lambda root: edited(root, commit="another"),
    "with changes": lambda root: edited(root, dirty=True),
    "of its runs are not there": lambda root: shutil.rmtree(root / "runs" / runs_of(root)[0]),
    "no results of yours": lambda root: shutil.rmtree(root / "paper"),
    "python -m tlkit notebook": lambda root: shutil.rmtree(root / "runs" / "studies"),
}


@pytest.mark.parametrize("told", FAULTS)
def test_what_is_no_reference_replaces_nothing(executed, told):
    FAULTS[told](executed)
    before = executed / "reference" / "tables" / "tiny" / "fig2.csv"
    before.parent.mkdir(parents=True)
    before.write_text("kept")
    with pytest.raises(reference.NotKeptError, match=told):
        reference.keep("tiny")
    assert before.read_text() == "kept"


def test_what_is_large_without_pictures_is_refused():
    cell = nbformat.v4.new_markdown_cell("x" * reference.MOST)
    with pytest.raises(reference.NotKeptError, match="bytes"):
        reference.slim(nbformat.v4.new_notebook(cells=[cell]))
