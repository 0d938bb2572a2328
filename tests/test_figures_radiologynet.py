"""The main job from end to end at smoke scale: the second study."""

from __future__ import annotations

from pathlib import Path

import pytest
import renamed
from dag_calls import call
from executed import SMOKE, check_copy, copies

from tlkit import runs
from tlkit.studies import load
from tlkit.workflow import graph


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory) -> Path:
    """Return a folder with `runs` and `paper` of the study that ran at one go."""
    root = tmp_path_factory.mktemp("unbroken")
    call(root, *SMOKE, "--study", "radiologynet")
    return root


def test_every_figure_and_table_of_the_paper_is_there(there):
    study = load("radiologynet", "smoke")
    assert set(study.plan()["state"]) == {"done"}
    figures, tables = (there / "paper" / kind / "radiologynet" for kind in ("figures", "tables"))
    wanted = {*(f"fig{i}" for i in range(2, 10)), *(f"s{i}" for i in range(1, 8))}
    assert wanted <= {p.stem for p in figures.glob("*.svg")} == {p.stem for p in figures.glob("*.json")}
    wanted = {*(f"table{i}" for i in range(1, 7)), *(f"s{i}" for i in range(1, 7))}
    assert wanted <= {p.stem for p in tables.glob("*.md")} == {p.stem for p in tables.glob("*.csv")}
    for path in [*figures.glob("*.json"), *tables.glob("*.json")]:
        sidecar = runs.read_json(path)
        assert all(map(runs.state_is_done, sidecar["runs"])) and sidecar["scale"] == "smoke"
        assert sidecar["phantom"] == (path.stem != "table1")  # which is of facts alone


def test_every_notebook_ran_without_errors_warnings_or_pages_of_text(there):
    found = copies(there, "radiologynet")
    assert set(found) == {job.notebook for job in graph.jobs(load("radiologynet", "smoke")) if job.notebook}
    for path in (path for paths in found.values() for path in paths):
        check_copy(path)


def test_a_renamed_copy_shows_the_same(there, tmp_path, monkeypatch):
    renamed.check("radiologynet", there, tmp_path, monkeypatch)
