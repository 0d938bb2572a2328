from __future__ import annotations

import ast
import json
import pkgutil
import subprocess
import sys
import tomllib

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
DISTRIBUTION |= {"IPython": "ipython"}
MODULES = sorted(m.name for m in pkgutil.walk_packages(tlkit.__path__, "tlkit.") if m.name != "tlkit.__main__")


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
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


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
    ranges = {r.name.lower(): r.specifier for r in map(Requirement, [*PYPROJECT["dependencies"], *TEST_EXTRA])}
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


def test_imports_leave_nothing_behind_and_say_nothing(tmp_path, monkeypatch):
    runs, paper = tmp_path / "runs", tmp_path / "paper"
    monkeypatch.setenv("TLKIT_RUNS", str(runs))
    monkeypatch.setenv("TLKIT_PAPER", str(paper))
    done = python("import importlib, sys\nfor m in sys.argv[1:]: importlib.import_module(m)", *MODULES, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


HEAVY = ("torchvision", "timm", "matplotlib", "seaborn", "sklearn", "snakemake", "papermill", "pydicom", "nibabel")


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("tlkit.__main__", (*HEAVY, "torch")),
        ("tlkit.datasets.store", HEAVY),
        ("tlkit.workflow", HEAVY),
        ("tlkit.training.run", HEAVY),
        ("tlkit.report", HEAVY),
    ],
)
def test_imports_are_lazy(module, heavy):
    done = python(f"import {module}, json, sys; print(json.dumps([*sys.modules]))")
    assert done.returncode == 0, done.stderr
    assert set(heavy) & set(json.loads(done.stdout)) == set()


def test_every_error_of_the_project_has_one_base():
    code = (
        "import importlib, inspect, json, sys\n"
        "found = {c for m in sys.argv[1:] for c in vars(importlib.import_module(m)).values()\n"
        "         if inspect.isclass(c) and issubclass(c, Exception) and c.__module__.startswith('tlkit')}\n"
        "from tlkit.config import TlkitError\n"
        "print(json.dumps({c.__name__: issubclass(c, TlkitError) for c in found}))"
    )
    found = json.loads(python(code, *MODULES).stdout)
    assert len(found) > 10 and all(found.values()), found


def test_nothing_names_a_path_of_one_machine():
    tracked = subprocess.run(FILES, cwd=paths.REPO, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("not a git clone")
    texts = [paths.REPO / f for f in tracked.stdout.split() if f.endswith((".py", ".ipynb", ".yaml", ".yml", ".toml"))]
    roots = tuple(f"/{name}/" for name in ("work", "home", "Users", "root"))
    named = {p.name: r for p in texts if p.exists() for r in roots if r in p.read_text()}
    assert named == {}
