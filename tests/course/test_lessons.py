"""Every lesson runs from top to bottom, solved and as a student gets it; every exercise tells right from wrong."""

from __future__ import annotations

import importlib
import json

import pytest
from lesson_player import LESSONS, play
from wrong_answers import WRONG

from tlkit import course
from tlkit.course import source, verdict

EXERCISES = {c.exercise: c for path in LESSONS for c in source.read(path) if c.exercise}
each_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)


@each_lesson
def test_it_runs_and_every_exercise_tells_a_solution_from_a_blank(path, shared, capsys):
    played = play(path)
    own = [e for e in EXERCISES if e.split(".")[0] == str(int(path.stem[:2]))]
    assert list(played.solved) == list(played.blank) == own
    assert all(v.right and v.text for v in played.solved.values()), played.solved
    for number, told in played.blank.items():
        hint = source.BLANK.search(EXERCISES[number].text)["hint"]
        assert told.exercise == number and not told.right and "still blank" in told.text and hint in told.text
    assert len({v.text for v in played.blank.values()}) == len(own)
    assert any(type(s).__name__ == "Figure" for s in played.shown), "a lesson shows a picture"


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


def test_every_exercise_has_wrong_answers():
    assert list(WRONG) == list(EXERCISES)
    assert all(len(rows) >= 2 for rows in WRONG.values())


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


def test_the_copies_are_notebooks(tmp_path):
    import nbformat

    for path in LESSONS:
        for fill in (source.stub, source.solution):
            nbformat.validate(nbformat.reads(json.dumps(source.notebook(path, fill)), 4))
