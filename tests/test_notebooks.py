"""How every notebook is built. That they run is in test_figures.py."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess

import nbformat
import pytest

from tlkit import config, paths

NOTEBOOKS = sorted(paths.NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))  # a reader's own may lie beside them
HEADS = ("**Question.**", "**What this notebook does.**", "**Time.**", "**What to expect.**")
CLOSING = "## What we saw, and what the paper saw"
MAX_BYTES = 300_000

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def cells(path, kind: str = "") -> list:
    return [c for c in nbformat.read(path, 4).cells if c.cell_type == kind or not kind]


def parameters_cell(path):
    (cell,) = [c for c in cells(path) if "parameters" in c.metadata.get("tags", [])]
    return cell


def names_of(cell) -> list[str]:
    return [t.id for node in ast.parse(cell.source).body for t in node.targets]


def test_it_is_valid_and_in_the_numbering(path):
    book = nbformat.read(path, 4)
    nbformat.validate(book)
    number = re.fullmatch(r"(\d\d)_[a-z0-9_]+", path.stem)
    assert number, "two digits and a lower-case name"
    assert [p for p in NOTEBOOKS if p.stem[:2] == number[1]] == [path], "each number once"
    assert book.metadata.kernelspec.name == "python3"


def test_cell_ids_are_fixed_and_unique(path):
    ids = [c.id for c in cells(path)]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(rf"{path.stem[:2]}-[a-z0-9-]+", i) for i in ids), ids


def test_it_opens_with_title_question_time_and_expectation(path):
    first = cells(path)[0]
    assert first.cell_type == "markdown" and re.match(r"# \S", first.source)
    found = [first.source.find(head) for head in HEADS]
    assert -1 not in found and found == sorted(found)


def test_parameters_are_literals_with_a_comment_each(path):
    cell = parameters_cell(path)
    assert cell is cells(path, "code")[0] or cell.id == cells(path, "code")[0].id
    for line in cell.source.splitlines():
        (node,) = ast.parse(line).body
        assert isinstance(node, ast.Assign) and len(node.targets) == 1
        ast.literal_eval(node.value)
        assert re.search(r"  # \S.{5,}$", line), line


def test_the_next_cell_reads_every_parameter(path):
    reader = ast.parse(cells(path, "code")[1].source)
    (block,) = [n for n in reader.body if isinstance(n, ast.With)]
    assert ast.unparse(block.items[0]) == "Parameters(globals()) as p"
    nodes = [n for n in ast.walk(block) if isinstance(n, ast.Attribute)]
    read = {n.attr for n in nodes if isinstance(n.value, ast.Name) and n.value.id == "p"}
    assert read == set(names_of(parameters_cell(path)))
    before = reader.body[: reader.body.index(block)]
    assert all(isinstance(n, ast.Import | ast.ImportFrom) for n in before), "parameters are checked before any work"


def test_parameters_are_read_through_the_block_alone(path):
    names = set(names_of(parameters_cell(path)))
    later = [ast.parse(c.source) for c in cells(path, "code")[1:]]
    bare = {n.id for tree in later for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    bound = {n.id for tree in later for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    assert not names & bare - bound


def test_it_closes_with_what_we_saw(path):
    closing = [i for i, c in enumerate(cells(path)) if c.cell_type == "markdown" and c.source.startswith(CLOSING)]
    assert len(closing) == 1
    after = cells(path)[closing[0] + 1 :]
    assert after and all(not c.source.startswith("#") for c in after if c.cell_type == "markdown")
    text = " ".join(c.source for c in [cells(path)[closing[0]], *after]).removeprefix(CLOSING).lower()
    assert "paper" in text or "published" in text


def test_code_is_thin(path):
    for cell in cells(path, "code"):
        assert not re.search(r"^\s*[!%]|pip install|sys\.path|os\.chdir", cell.source, re.M), cell.id
        assert max(map(len, cell.source.splitlines())) <= 120, cell.id
        for node in ast.walk(ast.parse(cell.source)):
            assert not isinstance(node, ast.ClassDef), cell.id
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 10, (cell.id, node.name)


def test_no_absolute_path(path):
    for cell in cells(path):
        assert not re.search(r"(?<![\w.:/])/(home|work|root|tmp|Users|mnt|data)/|\b[A-Z]:\\\\", cell.source), cell.id


def committed(path) -> str:
    """Return what git has of a notebook, which a reader may have run; the file itself where there is no git."""
    if shutil.which("git"):
        found = subprocess.run(
            ["git", "show", f":./{path.name}"], cwd=path.parent, capture_output=True, text=True, check=False
        )
        if not found.returncode:
            return found.stdout
    return path.read_text(encoding="utf-8")


def test_no_outputs_are_committed(path):
    text = committed(path)
    code = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert [c["id"] for c in code if c["outputs"] or c["execution_count"] is not None] == []
    assert len(text.encode()) < MAX_BYTES


def test_notebooks_are_linked_where_they_are_named(path):
    names = {p.stem for p in NOTEBOOKS}
    for cell in cells(path, "markdown"):
        for name in re.findall(r"(?<!\[)`(\d\d_[a-z0-9_]+)`", cell.source):
            assert name == path.stem or name not in names, f"{cell.id}: [`{name}`]({name}.ipynb)"
        for target in re.findall(r"\]\(([^)#:]+)\)", cell.source):
            assert (path.parent / target).exists(), (cell.id, target)


def test_what_it_saw_is_computed(path):
    """The closing sentences on our runs are made from values: prose has numbers of the paper alone."""
    if path.stem.startswith(("6", "51")):  # 60, 61: the page says it; 51: printed numbers, each computed beside
        return
    book = cells(path)
    (start,) = [i for i, c in enumerate(book) if c.cell_type == "markdown" and c.source.startswith(CLOSING)]
    code = "\n".join(c.source for c in book[start:] if c.cell_type == "code")
    assert re.search(r"\btell\(|say_sets\(", code), "sentences by tlkit.figures.closings"
    for part in re.split(r"\n\n", book[start].source)[1:]:
        if re.search(r"\d\.\d|\d %", part):
            assert re.search(r"paper|[Pp]ublished|HU|abstract", part), (path.stem, part)


def test_pictures_are_shown_with_a_caption(path):
    for cell in cells(path, "code"):
        shown = re.findall(r"display\((?:figure|drawn|grid|report\.\w+|\w+\.draw)\b", cell.source)
        assert not shown, f"{cell.id}: report.show(figure, caption) has an alternative text"


def test_a_wrong_parameter_is_an_error_of_its_block(path):
    given = dict(zip(names := names_of(parameters_cell(path)), map(str, names), strict=True))
    with pytest.raises(config.UnreadParameterError, match="sede"), config.Parameters({**given, "sede": 1}) as p:
        _ = [getattr(p, n) for n in names]
