"""The structure of the package: who may import whom. A room is a module of tlkit, or a folder of them."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tlkit import paths

PACKAGE = paths.REPO / "tlkit"
# From the ground up: a room imports from floors below its own, and no two files import each other in a circle.
FLOORS = (
    ("config", "doubts", "names", "npyfiles", "progress", "pulse", "random", "stopping"),
    ("locks",),
    ("files", "paths", "plugins", "yamllines"),
    ("declared", "lab", "launching", "machine", "models", "runfolder", "stamps"),
    ("datasets", "foreign", "lineage", "openrun"),
    ("layouts", "runs", "check"),
    ("training",),
    ("archives", "stats"),
    ("report", "sources", "studies"),
    ("published", "workflow"),
    ("advice", "phantoms"),
    ("rating",),
    ("figures",),
    ("course", "listings"),
    ("manuscript",),
    ("site",),
    ("__main__",),
)
CORE = ("datasets", "models", "training", "studies", "runs", "stats", "report")  # behind the wall are:
BEYOND = (
    "advice", "archives", "course", "figures", "foreign", "layouts", "manuscript", "phantoms", "published", "rating",
    "site", "sources", "workflow",
)  # fmt: skip
FILES = {".".join(("tlkit", *f.relative_to(PACKAGE).with_suffix("").parts)): f for f in sorted(PACKAGE.rglob("*.py"))}
MODULES = {name.removesuffix(".__init__"): file for name, file in FILES.items()}


def imports(file: Path) -> set[str]:
    """Return the modules of tlkit that a file imports anywhere in it."""
    names = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    found = {module_of(name) for name in names if name.partition(".")[0] == "tlkit"}
    return found - {"tlkit"}  # its version


def module_of(name: str) -> str:
    while name not in MODULES:
        name = name.rpartition(".")[0]
    return name


def room(module: str) -> str:
    return module.split(".")[1]


@pytest.fixture(scope="module")
def arrows() -> frozenset[tuple[str, str]]:
    """Return each pair of modules of which the first imports the second."""
    return frozenset((a, b) for a, file in MODULES.items() if a != "tlkit" for b in imports(file) if a != b)


def test_every_room_has_its_floor():
    assert {room(m) for m in MODULES if m != "tlkit"} == {name for floor in FLOORS for name in floor}


def test_a_file_name_stands_once():
    """Two files of one name can't be told apart in a traceback, in a search or beside an import."""
    stood = Counter(file.name for file in FILES.values())
    assert not sorted(name for name, n in stood.items() if n > 1 and name not in ("__init__.py", "__main__.py"))


def test_no_import_goes_up(arrows):
    floor = {name: i for i, names in enumerate(FLOORS) for name in names}
    assert not sorted((a, b) for a, b in arrows if room(a) != room(b) and floor[room(a)] <= floor[room(b)])


def test_no_imports_run_in_a_circle(arrows):
    left = set(MODULES)
    while ends := {m for m in left if not any(a == m and b in left for a, b in arrows)}:
        left -= ends
    assert not left, "these import each other, or what does"


@pytest.mark.parametrize("core", CORE)
def test_the_core_imports_nothing_behind_the_wall(core, arrows):
    assert not sorted((a, b) for a, b in arrows if room(a) == core and room(b) in BEYOND)


def test_the_core_runs_without_what_is_behind_the_wall():
    """Import all of the core where the rooms behind the wall can't be imported."""
    blocked = [f"tlkit.{name}" for name in BEYOND]
    core = [m for m in MODULES if m != "tlkit" and room(m) in CORE]
    code = f"import importlib, sys\nsys.modules.update(dict.fromkeys({blocked!r}))\n"
    code += f"for name in {core!r}:\n    importlib.import_module(name)"
    done = subprocess.run([sys.executable, "-c", code], cwd=paths.REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
