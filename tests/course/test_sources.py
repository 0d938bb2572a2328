"""How every lesson is built, the glossary, and the lecturer's page."""

from __future__ import annotations

import ast
import re

import nbformat
import pytest
from lesson_player import LESSONS

from tlkit import paths
from tlkit.course import making, source

COURSE = paths.REPO / "notebooks" / "course"
HEADS = ("**Question.**", "**After this lesson you can**", "**What you need to know.**", "**Time.**")
GLOSSARY = (COURSE / "glossary.md").read_text(encoding="utf-8")
PAGE = (COURSE / "README.md").read_text(encoding="utf-8")
ELSEWHERE = "Used in the other notebooks"  # terms that no lesson needs
LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
each_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)


def prose(path) -> str:
    return "\n\n".join(c.text for c in source.read(path) if c.kind == "markdown")


def anchors(text: str) -> list[str]:
    """Return the anchors of a page's headings, as GitHub and JupyterLab make them."""
    heads = re.findall(r"^#+ (.+)$", text, re.M)
    return [re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads]


def test_there_are_ten_lessons_in_order():
    assert [int(path.stem[:2]) for path in LESSONS] == list(range(1, 11))
    assert all(re.fullmatch(r"\d\d_[a-z_]+", path.stem) for path in LESSONS)


@each_lesson
def test_it_opens_with_its_objectives_and_its_time(path):
    first = source.read(path)[0]
    assert first.kind == "markdown" and first.text.startswith(f"# Lesson {int(path.stem[:2])}: ")
    found = [first.text.find(head) for head in HEADS]
    assert -1 not in found and found == sorted(found)


@each_lesson
def test_its_sections_say_their_minutes_which_add_up(path):
    text = prose(path)
    minutes = [int(m) for m in re.findall(r"^## \d+\. .+ \((\d+) minutes\)$", text, re.M)]
    assert len(minutes) == len(re.findall(r"^## \d", text, re.M)) >= 3
    said = int(re.search(r"\*\*Time\.\*\* (\d+) minutes", text)[1])
    assert sum(minutes) == said and 45 <= said <= 60


@each_lesson
def test_it_asks_before_it_runs_and_has_two_to_four_exercises(path):
    cells = source.read(path)
    text, exercises = prose(path), [c for c in cells if c.exercise]
    assert "**Predict.**" in text and "phantom" in text
    assert 2 <= len(exercises) <= 4 and "<details><summary>" in text
    number = int(path.stem[:2])
    assert [c.exercise for c in exercises] == [f"{number}.{i}" for i in range(1, len(exercises) + 1)]
    for cell in exercises:
        assert re.search(rf"^### Exercise {re.escape(cell.exercise)}: ", text, re.M), cell.exercise
        blanks = source.BLANK.findall(cell.text)
        assert len(blanks) == 1 and blanks[0][2].count("\n") <= 4, "a few lines, one hole"
        assert cell.text.rstrip().endswith(")") and f'course.check("{cell.exercise}", ' in cell.text
        assert ast.get_docstring(next(n for n in ast.parse(cell.text).body if isinstance(n, ast.FunctionDef)))


@each_lesson
def test_it_ends_with_three_sentences_and_further_reading(path):
    last = source.read(path)[-1].text
    summary = re.search(r"^## Summary\n\n(.+?)\n\n## Further reading\n\n(- .+)\Z", last, re.M | re.S)
    assert summary, "the last cell holds the summary and the further reading"
    assert len(re.findall(r"[.!?](?= [A-Z]|$)", summary[1])) == 3, summary[1]
    assert len(summary[2].strip().splitlines()) >= 3


@each_lesson
def test_its_code_is_as_that_of_the_other_notebooks(path):
    cells = source.read(path)
    code = [c for c in cells if c.kind == "code"]
    assert code[0].parameters and not any(c.parameters for c in code[1:])
    assert re.fullmatch(r'scale = "quick"  # .+', code[0].text), "the only parameter, with a comment"
    assert "with Parameters(globals()) as p:" in code[1].text
    for cell in code:
        assert not re.search(r"^\s*[!%]|pip install|sys\.path|os\.chdir", cell.text, re.M)
        assert max(map(len, cell.text.splitlines())) <= 120
        assert len(cell.text.splitlines()) <= 30
        assert not any(isinstance(n, ast.ClassDef) for n in ast.walk(ast.parse(cell.text)))
    for cell in cells:
        assert not re.search(r"(?<![\w.:/])/(home|work|root|tmp|Users|mnt|data)/|\b[A-Z]:\\\\", cell.text)


@each_lesson
def test_the_copies_are_notebooks_with_fixed_ids(path):
    for fill in making.FILLED.values():
        book = nbformat.from_dict(source.notebook(path, fill))
        nbformat.validate(book)
        assert [c.id for c in book.cells] == [f"{path.stem[:2]}-{i:02}" for i in range(len(book.cells))]
        assert book.metadata.kernelspec.name == "python3"
        assert [c.metadata.tags for c in book.cells if "parameters" in c.metadata.get("tags", [])] == [["parameters"]]


@each_lesson
def test_every_link_resolves(path):
    for text, target in LINK.findall(prose(path)):
        if not target.startswith("https://"):
            file, _, anchor = target.partition("#")
            there = (path.parent / file).resolve()  # copies lie as deep as their sources
            assert there.is_file(), (text, target)
            assert not anchor or anchor in anchors(there.read_text(encoding="utf-8")), (text, target)


def test_the_pages_of_the_course_link_to_what_is_there():
    for page in (GLOSSARY, PAGE):
        for text, target in LINK.findall(page):
            if not target.startswith("https://"):
                file, _, anchor = target.partition("#")
                there = (COURSE / file).resolve() if file else COURSE / "glossary.md"
                assert there.exists() or file.startswith(("student/", "solutions/")), (text, target)
                assert not anchor or anchor in anchors(there.read_text(encoding="utf-8")), (text, target)


def test_every_term_is_linked_where_a_lesson_uses_it_first():
    parts = dict(re.findall(r"^## (.+?)\n\n(.+?)\n(?=\n## |\Z)", GLOSSARY, re.M | re.S))
    assert list(parts) == sorted(parts, key=str.lower), "a glossary is in order"
    ours = [anchor for anchor, term in zip(anchors(GLOSSARY)[1:], parts, strict=True) if ELSEWHERE not in parts[term]]
    bodies = ["\n".join(x for x in prose(path).splitlines() if not x.startswith("#")) for path in LESSONS]
    linked = [re.findall(r"\[([^\]]+)\]\(\.\./glossary\.md#([\w-]+)\)", body) for body in bodies]
    assert set(ours) == {anchor for found in linked for _, anchor in found}
    for path, body, found in zip(LESSONS, bodies, linked, strict=True):
        for shown, _ in found:
            first = re.search(rf"(?<![\w-]){re.escape(shown)}(?![\w-])", body, re.I)
            assert body[first.start() - 1] == "[", f"{path.stem} uses '{shown}' before it links it"


def test_the_page_lists_every_lesson_with_its_minutes():
    for path in LESSONS:
        minutes = re.search(r"\*\*Time\.\*\* (\d+) minutes", prose(path))[1]
        assert re.search(rf"\| {int(path.stem[:2])} \|.*\| {minutes} \|", PAGE), path.stem
