"""Every lesson runs from top to bottom, solved and as a student gets it; every exercise tells right from wrong."""

from __future__ import annotations

import importlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pages
import pytest
from lab_server import CHROMIUM, PATIENCE, Lab, needs_browser, until
from lesson_player import LESSONS, play
from right_answers import RIGHT
from wrong_answers import WRONG

from tlkit import course, paths, report
from tlkit.course import making, source, verdict
from tlkit.files import write_text

EXERCISES = {c.exercise: c for path in LESSONS for c in source.read(path) if c.exercise}
USED = """import itertools, math, numpy as np, pandas as pd, torch
from scipy import stats
from sklearn.preprocessing import StandardScaler
from tlkit.stats import power
from tlkit.training.contrastive import nt_xent_range"""
each_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)


@each_lesson
def test_it_runs_and_every_exercise_tells_a_solution_from_a_blank(path, shared, capsys, monkeypatch):
    captions: list[str] = []
    monkeypatch.setattr(report, "show", lambda figure, caption="": captions.append(caption))
    played = play(path)
    own = [e for e in EXERCISES if e.split(".")[0] == str(int(path.stem[:2]))]
    assert list(played.solved) == list(played.blank) == own
    assert all(v.right and v.text for v in played.solved.values()), played.solved
    for number, told in played.blank.items():
        hint = source.BLANK.search(EXERCISES[number].text)["hint"]
        assert told.exercise == number and not told.right and "still blank" in told.text and hint in told.text
    assert len({v.text for v in played.blank.values()}) == len(own)
    assert not any(type(s).__name__ == "Figure" for s in played.shown), "report.show(figure, caption) has an alt text"
    assert captions and all(captions), "a lesson shows pictures, each with its caption"


def test_every_check_belongs_to_an_exercise():
    modules = [importlib.import_module(f"tlkit.course.lesson{path.stem[:2]}") for path in LESSONS]
    checks = [
        f"{i}.{name.removeprefix('exercise_')}"
        for i, module in enumerate(modules, 1)
        for name in vars(module)
        if name.startswith("exercise_")
    ]
    assert checks == list(EXERCISES)
    assert all(verdict.find_check(number).__doc__ for number in checks)


@pytest.mark.parametrize(("number", "answer", "said"), [(n, a, s) for n, rows in WRONG.items() for a, s in rows])
def test_a_wrong_answer_is_told_what_it_misunderstands(number, answer, said):
    names: dict = {}
    exec(f"import numpy as np, pandas as pd, torch\nanswer = {answer}", names)
    told = course.check(number, names["answer"])
    assert not told.right and said in told.text, told


@pytest.mark.parametrize(("number", "answer"), [(n, a) for n, answers in RIGHT.items() for a in answers])
def test_an_unusual_right_answer_is_right(number, answer):
    names: dict = {}
    exec(f"{USED}\nanswer = {answer}", names)
    assert course.check(number, names["answer"]).right


def test_every_exercise_has_wrong_and_right_answers():
    assert list(WRONG) == list(RIGHT) == list(EXERCISES)
    assert all(len(rows) >= 2 for rows in (*WRONG.values(), *RIGHT.values()))


@each_lesson
def test_stub_and_solution_agree_outside_the_blanks(path):
    given, solved = (source.notebook(path, fill)["cells"] for fill in (source.stub, source.solution))
    assert len(given) == len(solved)
    for a, b in zip(given, solved, strict=True):
        assert {k: v for k, v in a.items() if k != "source"} == {k: v for k, v in b.items() if k != "source"}
        if not a["metadata"].get("tags", [""])[0].startswith("exercise-"):
            assert a["source"] == b["source"]
            continue
        (before, after) = a["source"].split("raise NotImplementedError(")
        after = after.partition("\n")[2]
        assert b["source"].startswith(before.rstrip(" ")) and b["source"].endswith(after)
        assert "blank" not in b["source"] and "Solution" not in a["source"]


def files_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of change of every file below a folder."""
    found = {str(p.relative_to(folder)): p.stat() for p in sorted(folder.rglob("*")) if p.is_file()}
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in found.items()}


def test_students_work_on_links_to_the_runs_of_a_lecturer(shared, tmp_path, monkeypatch, capsys):
    """As on the lecturer's page for one server: folders of their own, files that are links (`cp -rs`)."""
    play(LESSONS[0])
    before = files_of(shared)
    mine = shutil.copytree(shared, tmp_path / "runs", copy_function=os.symlink)
    monkeypatch.setenv("TLKIT_RUNS", str(mine))
    for path in (LESSONS[0], LESSONS[9]):
        assert all(v.right for v in play(path).solved.values())
    assert files_of(shared) == before
    assert [p for p in mine.rglob("look.json") if not p.is_symlink()], "what lesson 10 writes is the student's"


@pytest.fixture
def lab(tmp_path, shared) -> Iterator[Lab]:
    """Serve copies of what a reader opens; what runs there at `quick` is told to be small."""
    root = tmp_path / "a reader's büro"
    for path in LESSONS:
        for kind, fill in making.FILLED.items():
            book = json.dumps(source.notebook(path, fill)).replace('scale = \\"quick\\"', 'scale = \\"smoke\\"')
            write_text(root / "course" / kind / f"{path.stem}.ipynb", book)
    shutil.copy(paths.NOTEBOOKS / "00_start_here.ipynb", root)
    lab = Lab(root, TLKIT_RUNS=str(shared), PYTHONPATH=str(paths.REPO), TLKIT_UNATTENDED="")
    try:
        until(lab.ready, "JupyterLab")
        yield lab
    finally:
        lab.stop()


@needs_browser
def test_a_reader_runs_lessons_and_a_notebook_in_a_browser(lab):
    from playwright.sync_api import sync_playwright

    opened = {
        "00_start_here.ipynb": (0, 0, 0),
        "course/student/01_what_transfer_is.ipynb": (3, 0, 3),
        "course/solutions/02_data_patients_leaks.ipynb": (2, 4, 0),
        "course/solutions/10_checking_a_paper.ipynb": (2, 3, 0),
    }
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM)
        page = browser.new_page(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
        page.set_default_timeout(1000 * PATIENCE)
        pages.open_lab(page, lab)
        for path, (figures, right, blank) in opened.items():
            outputs = pages.run_all(page, path)
            told = pages.text(outputs)
            assert not [o for cell in outputs for o in cell if o["output_type"] == "error"], (path, told[-2000:])
            assert "Traceback" not in told and pages.pictures(outputs) >= figures, path
            assert told.count("✓ right, exercise") == 2 * right, path  # as text and as HTML
            assert told.count("still blank. Your code, ") == 2 * blank, path
            if figures:
                page.locator(f"{pages.IN_FRONT} .jp-OutputArea img").first.wait_for()
            page.evaluate("window.jupyterapp.commands.execute('kernelmenu:shutdown')")
        browser.close()
