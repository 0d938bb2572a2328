"""Every test has its own folders; phantoms and stores are made once and lent to those that ask for `data`.

`pytest -n auto` gives each core a process, which takes one test file after the other, the slowest first.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # processes times threads are the cores; read once, when torch is imported
# jsonschema looks for it while nbformat is imported, and it compiles 38 grammars: 2 s in each process of the tests, for
# a kind of address that no notebook has. Without it jsonschema leaves that one format unchecked.
sys.modules.setdefault("rfc3987_syntax", None)

from tlkit import check, files, runs  # noqa: E402

SLOWEST = (
    "test_figures",
    "test_figures_radiologynet",
    "test_margin",
    "test_lessons",
    "test_ddp",
    "test_run",
    "test_data",
    "test_rating_browser",
    "test_authorlogs",
)
MOST = 8  # processes: with more, all would wait for the slowest file
PHANTOMS = {
    "imagenet": {"seed": 1, "classes": 3, "train": 16, "val": 14, "pixels": 32},
    "lits": {"seed": 1, "volumes": 5, "pixels": 32, "slices": (30, 31)},
}
SPLIT = {"val": 0.2, "test": 0.2, "seed": 0}
IMAGES = {"imagenet": 40, "lits": 24}
REAL_LOGS = os.environ.get("TLKIT_LOGS", "")


def pytest_xdist_auto_num_workers() -> int:
    return min(MOST, check.cores())


def pytest_collection_modifyitems(items) -> None:
    order = {name: i for i, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


def pytest_collection_finish() -> None:
    gc.collect = lambda generation=2: 0  # statsmodels' `multipletests` asks for it on each call; Python collects itself
    gc.freeze()  # what was imported stays: looking through it takes a tenth of the time of a test that draws
    gc.set_threshold(10_000, 10, 10)


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    """Runs, figures and data of a test lie in its own folder, and wait for no disk (`test_files` does)."""
    monkeypatch.setattr(files, "sync", lambda path: None)
    monkeypatch.setenv("TLKIT_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("TLKIT_PAPER", str(tmp_path / "paper"))
    monkeypatch.setenv("TLKIT_UNATTENDED", "1")
    monkeypatch.setenv("TLKIT_DATA", "")  # none, not even the one in the repository
    monkeypatch.delenv("TLKIT_LOGS", raising=False)
    monkeypatch.delenv("TLKIT_WEIGHTS", raising=False)


@pytest.fixture(scope="session")
def phantom_data(tmp_path_factory) -> Path:
    """Return a folder `data` with the phantoms above and their stores at 32 px."""
    from tlkit.datasets import prepare

    root = tmp_path_factory.mktemp("session")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TLKIT_RUNS", str(root))
        for name, phantom in PHANTOMS.items():
            prepare(name, 32, phantom=phantom)
    return root / "data"


@pytest.fixture
def there(unbroken, monkeypatch) -> Path:
    """Read the runs and figures of the study that the test file ran at one go (its fixture `unbroken`)."""
    monkeypatch.setenv("TLKIT_RUNS", str(unbroken / "runs"))
    monkeypatch.setenv("TLKIT_PAPER", str(unbroken / "paper"))
    return unbroken


@pytest.fixture(scope="session")
def jonske_logs():
    """Return the authors' logs (E1, E4 and what else the tree holds), read with their train.log."""
    from tlkit.published import authorlogs

    if not REAL_LOGS or not Path(REAL_LOGS).is_dir():
        pytest.skip("the published logs are not here: set TLKIT_LOGS to a clone of the authors' repository")
    return authorlogs.read(REAL_LOGS)


@pytest.fixture
def new_runs(tmp_path, monkeypatch, phantom_data) -> Callable[[str], Path]:
    """Return a function that turns to another, empty runs folder with the same data."""

    def turn(name: str) -> Path:
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        if not (root / "data").exists():
            (root / "data").symlink_to(phantom_data)
        monkeypatch.setenv("TLKIT_RUNS", str(root))
        return root

    return turn


@pytest.fixture
def data(new_runs) -> Path:
    """Lend the phantoms and stores to this test's runs folder, and return that folder."""
    return new_runs("runs")


@pytest.fixture(scope="session")
def config(phantom_data) -> Callable[..., dict[str, Any]]:
    """Return a function that makes the config of a small run: `config("finetune", seed=2, recipe={"epochs": 1})`."""
    return make_config


def make_config(
    kind: str = "finetune", dataset: str = "imagenet", recipe: dict | None = None, data: dict | None = None, **changes
) -> dict[str, Any]:
    from tlkit.datasets import DATASETS, identity
    from tlkit.training.recipes import recipe as named

    base = {"pretrain": "simclr", "finetune": "segment" if dataset == "lits" else "finetune"}[kind]
    found = {
        "kind": kind,
        "pretraining": "scratch" if kind == "finetune" else dataset,
        "data": {
            **identity(dataset, PHANTOMS[dataset]),
            "size": 32,
            "split": SPLIT,
            "images": IMAGES[dataset],
            **(data or {}),
        },
        "backbone": "resnet10",
        "recipe": named(base, **{"epochs": 4, "batch": 8, **(recipe or {})}).to_dict(),
        "seed": 1,
        "compute": {"threads": 1, "processes": 1},
    }
    if kind == "finetune":
        task = {"task": dataset, "task_kind": DATASETS[dataset].task}
        found |= {**task, "mode": "finetune", "fraction": 1.0, "weights": None}
    return json.loads(json.dumps(found | changes))


@pytest.fixture(scope="module")
def made(request, tmp_path_factory, phantom_data, config) -> tuple[Path, dict[str, str]]:
    """Return a runs folder and the ids of the small runs that the module's `configs(config)` names, each done once."""
    root = tmp_path_factory.mktemp("made")
    (root / "data").symlink_to(phantom_data)
    from tlkit.training.run import run

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TLKIT_RUNS", str(root))
        return root, {name: runs.run_id(c) for name, c in request.module.configs(config).items() if run(c)}


@pytest.fixture
def ids(made, tmp_path, monkeypatch) -> dict[str, str]:
    """Lend this test a copy of the runs, and return their ids."""
    copied = shutil.copytree(made[0], tmp_path / "copied", symlinks=True)
    monkeypatch.setenv("TLKIT_RUNS", str(copied))
    return made[1]
