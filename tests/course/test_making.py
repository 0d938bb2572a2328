"""What `make course` writes, and what it leaves alone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest
from lesson_player import LESSONS

from tlkit import paths
from tlkit.__main__ import main
from tlkit.course import making, source


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "work_root", lambda: tmp_path / "it's wörk")
    return tmp_path / "it's wörk" / "course"


def test_both_copies_of_every_lesson_are_written(work, capsys):
    assert main(["course", "--no-run"]) == 0
    for kind in ("student", "solutions"):
        assert [p.stem for p in sorted((work / kind).glob("*.ipynb"))] == [p.stem for p in LESSONS]
    assert "written" in capsys.readouterr().out and (work / "glossary.md").is_file()
    texts = [p.read_text(encoding="utf-8") for p in (work / "student").glob("*.ipynb")]
    answers = [b for p in LESSONS for c in source.read(p) for _, _, b in source.BLANK.findall(c.text)]
    given = ["".join(c["source"]) for t in texts for c in json.loads(t)["cells"]]
    assert not [a for a in answers if a.strip() in given], "no solution is given away"


def test_a_changed_copy_is_kept_and_an_unchanged_one_follows_its_source(work, capsys):
    making.make(run=False)
    mine, other = (work / "student" / f"{path.stem}.ipynb" for path in LESSONS[:2])
    book = json.loads(mine.read_text(encoding="utf-8"))
    book["cells"][2]["source"] += "\nmy_own = 1"
    mine.write_text(json.dumps(book), encoding="utf-8")
    ran = json.loads(other.read_text(encoding="utf-8"))  # run, and otherwise as it was
    next(c for c in ran["cells"] if c["cell_type"] == "code")["execution_count"] = 7
    other.write_text(json.dumps(ran), encoding="utf-8")
    capsys.readouterr()
    making.make(run=False)
    told = capsys.readouterr().out
    assert f"student/{mine.name} was changed and stays as it is" in told and f"student/{other.name} written" in told
    assert "my_own" in mine.read_text(encoding="utf-8") and '"execution_count": 7' not in other.read_text(
        encoding="utf-8"
    )
    other.write_text("no notebook", encoding="utf-8")
    making.make(run=False)
    assert other.read_text(encoding="utf-8") == "no notebook", "what is none of ours is kept"


LESSON = """# %% [markdown]
# # A lesson

# %% tags=["parameters"]
scale = "quick"  # quick or smoke

# %% exercise 1.1
def half(x):
    \"\"\"Return half of x.\"\"\"
    # blank: divide by two
    return x / 2
    # end


half({argument})
"""


def test_solutions_keep_what_their_cells_show_and_a_failing_cell_is_named(work, tmp_path):
    path = tmp_path / "01_halves.py"
    path.write_text(LESSON.replace("{argument}", "5"), encoding="utf-8")
    for kind, fill in making.FILLED.items():
        making.write(path, kind, fill)
    assert making.execute(path, "solutions", "smoke") > 0
    shown = json.loads((work / "solutions/01_halves.ipynb").read_text(encoding="utf-8"))["cells"]
    assert "".join(shown[-1]["outputs"][0]["data"]["text/plain"]) == "2.5"
    assert shown[1]["source"].startswith('scale = "quick"'), "what a reader opens is of the usual size"
    with pytest.raises(making.LessonFailedError, match=r"student/01_halves.ipynb stopped .* NotImplementedError: Your"):
        making.execute(path, "student", "smoke")
    assert json.loads((work / "student/01_halves.ipynb").read_text(encoding="utf-8"))["cells"][-1]["outputs"] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n# %%\n", "text before the first cell"),
        ("# %% exercize 1.1\nx = 1\n", "unknown head"),
        ("# %% exercise 1.1\nx = 1\n", "other cells have none"),
        ("# %%\n# blank: one\nx = 1\n# end\n", "other cells have none"),
        ("# %% exercise 1.1\n# blank: one\nx = 1\n", "other cells have none"),
    ],
)
def test_a_source_that_cannot_be_read_says_where(tmp_path, text, said):
    path = tmp_path / "01_bad.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(source.LessonError, match=re.escape(said)) as caught:
        source.read(path)
    assert path.name in str(caught.value)


def test_git_ignores_the_copies():
    if not shutil.which("git") or not (paths.REPO / ".git").exists():
        pytest.skip("no git checkout here")
    names = [f"work/course/{kind}/01_x.ipynb" for kind in making.FILLED]
    found = subprocess.run(["git", "check-ignore", *names], cwd=paths.REPO, capture_output=True, text=True, check=False)
    assert found.stdout.split() == names
