from __future__ import annotations

import ast
import json
import pkgutil
import subprocess
import sys
import tomllib
from types import SimpleNamespace

import pytest
import yaml
from packaging.requirements import Requirement

import tlkit
from tlkit import paths

PYPROJECT = tomllib.loads((paths.REPO / "pyproject.toml").read_text())["project"]
TEST_EXTRA = PYPROJECT["optional-dependencies"]["test"]
FILES = ("git", "ls-files", "--cached", "--others", "--exclude-standard")
DISTRIBUTION = {"PIL": "pillow", "cv2": "opencv-python-headless", "sklearn": "scikit-learn", "yaml": "pyyaml"}
DISTRIBUTION |= {"gdcm": "python-gdcm", "dicomanonymizer": "dicom-anonymizer", "pytorch_grad_cam": "grad-cam"}
DISTRIBUTION |= {"IPython": "ipython", "fontTools": "fonttools", "markdown_it": "markdown-it-py"}
MODULES = sorted(m.name for m in pkgutil.walk_packages(tlkit.__path__, "tlkit.") if m.name != "tlkit.__main__")


def test_the_lock_of_uv_has_the_tested_versions():
    lock = (paths.REPO / "requirements.lock").read_text()
    pins = [line for line in (paths.REPO / "constraints.txt").read_text().splitlines() if "==" in line]
    locked = {line.partition(" ;")[0].lower().replace("_", "-") for line in lock.splitlines() if line[:1].isalnum()}
    assert not [pin for pin in pins if pin.lower().replace("_", "-") not in locked], "make it anew: its head says how"


def imported() -> set[str]:
    """Return the top-level names that any file of the package imports, wherever the import stands."""
    found = set()
    for path in (paths.REPO / "tlkit").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add(node.module.split(".")[0])
    return found


def python(code: str, *arguments: str, cwd=None) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


def test_the_conda_door_leads_to_the_same_packages():
    conda = yaml.safe_load((paths.REPO / "environment.yml").read_text())["dependencies"]
    assert f"python{PYPROJECT['requires-python']}" in conda
    pip = next(entry["pip"] for entry in conda if isinstance(entry, dict))
    assert pip == [*PYPROJECT["dependencies"], *TEST_EXTRA, "-e ."]


def test_the_tested_versions_lie_in_the_ranges():
    pins = {}
    for line in (paths.REPO / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, version = line.split("==")
            pins[name.lower()] = version
    asked = [*PYPROJECT["dependencies"], *TEST_EXTRA, *PYPROJECT["optional-dependencies"]["open"]]
    ranges = {r.name.lower(): r.specifier for r in map(Requirement, asked)}
    assert {"torch", "torchvision"} <= set(pins) <= set(ranges)
    assert set(ranges) == set(pins), "every dependency has a tested version"
    assert not {name: v for name, v in pins.items() if v not in ranges[name]}
    for name in ("torch", "torchvision"):
        assert len({s.operator for s in ranges[name]} & {">=", "<"}) == 2, "a lower and an upper bound"


def test_every_import_is_a_declared_dependency():
    declared = {Requirement(r).name for r in PYPROJECT["dependencies"]}
    foreign = imported() - sys.stdlib_module_names - {"tlkit"}
    assert {"torch", "timm", "cv2"} <= foreign
    assert {DISTRIBUTION.get(name, name) for name in foreign} <= declared


# Each of LIGHT is imported, and what came with it is noted, before any other module; then all the rest.
LIGHT = ("tlkit.__main__", "tlkit.datasets.store", "tlkit.workflow.graph", "tlkit.training.run", "tlkit.report")
HEAVY = {"torchvision", "timm", "matplotlib", "seaborn", "sklearn", "snakemake", "papermill", "pydicom", "nibabel"}
IMPORT_ALL = """
import importlib, inspect, json, sys
came = {}
for name in sys.argv[2:]:
    module = importlib.import_module(name)
    came[name] = sorted({m.partition(".")[0] for m in sys.modules})
classes = {c for name in sys.argv[2:] for c in vars(sys.modules[name]).values() if inspect.isclass(c)}
ours = {c for c in classes if issubclass(c, Exception) and c.__module__.startswith("tlkit")}
bases = {c.__name__: issubclass(c, sys.modules["tlkit.config"].TlkitError) for c in ours}
with open(sys.argv[1], "w") as file:
    json.dump([came, bases], file)
"""


@pytest.fixture(scope="module")
def imports(tmp_path_factory) -> SimpleNamespace:
    """Import every module of the package in one new process, in an empty folder."""
    root = tmp_path_factory.mktemp("imports")
    (root / "empty").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TLKIT_RUNS", str(root / "empty" / "runs"))
        patch.setenv("TLKIT_PAPER", str(root / "empty" / "paper"))
        rest = [m for m in MODULES if m not in LIGHT]
        done = python(IMPORT_ALL, str(root / "found.json"), *LIGHT, *rest, cwd=root / "empty")
    assert done.returncode == 0, done.stderr
    came, bases = json.loads((root / "found.json").read_text())
    return SimpleNamespace(said=done.stdout + done.stderr, left=[*(root / "empty").iterdir()], came=came, bases=bases)


def test_imports_leave_nothing_behind_and_say_nothing(imports):
    assert (imports.said, imports.left) == ("", [])


@pytest.mark.parametrize("module", LIGHT)
def test_imports_are_lazy(imports, module):
    assert HEAVY & set(imports.came[module]) == set()
    assert module != "tlkit.__main__" or "torch" not in imports.came[module]


def test_every_error_of_the_project_has_one_base(imports):
    assert len(imports.bases) > 10 and all(imports.bases.values()), imports.bases


def test_nothing_names_a_path_of_one_machine():
    tracked = subprocess.run(FILES, cwd=paths.REPO, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("not a git clone")
    texts = [paths.REPO / f for f in tracked.stdout.split() if f.endswith((".py", ".ipynb", ".yaml", ".yml", ".toml"))]
    roots = tuple(f"/{name}/" for name in ("work", "home", "Users", "root"))
    named = {p.name: r for p in texts if p.exists() for r in roots if r in p.read_text()}
    assert named == {}
