"""A small study killed three times, top process first, and started again: no orphans, and the same bits."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from dag_calls import FIGURES, WAIT, call, environment

from tlkit import paths, runs
from tlkit.datasets.content import content_hash
from tlkit.studies import load

COMMAND = (*FIGURES, "--study", "mini", "--scale", "smoke")
SAME_BYTES = ("config.json", "metrics.json", "model.safetensors", "predictions_val.parquet", "predictions_test.parquet")
STUDY = """
common:
  title: A small study
  data: phantom
  backbone: resnet10
  size: 32
  seeds: [1, 2]
  split: {val: 0.2, test: 0.2, seed: 0}
  phantoms:
    imagenet: {seed: 1, classes: 3, train: 16, val: 14, pixels: 32}
    lits: {seed: 1, volumes: 5, pixels: 32, slices: [30, 31]}
  pretrainings:
    scratch: {}
    imagenet: {dataset: imagenet, images: 40, recipe: {base: simclr, epochs: 2, batch: 20}}
  tasks:
    I1k: {title: classes, dataset: imagenet, images: 40, recipe: {base: finetune, epochs: 3, batch: 8}}
    LiTS: {title: organs, dataset: lits, images: 24, recipe: {base: segment, epochs: 2, batch: 8}}
  experiments:
    E1: {mode: finetune}
    E4: {mode: lineval, pretrainings: [imagenet]}
  figures: {30_fig2_task_dependency: {experiments: [E1]}}
  images_per_second: {pretrain: 300, finetune: 500}
scales:
  smoke: {size: 32}
"""


@pytest.fixture(scope="module")
def studies_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("studies")
    (folder / "mini.yaml").write_text(STUDY)
    return folder


@pytest.fixture(autouse=True)
def mini(studies_folder, monkeypatch) -> None:
    monkeypatch.setenv("TLKIT_STUDIES", str(studies_folder))
    monkeypatch.setattr(paths, "STUDIES", studies_folder)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, studies_folder) -> Path:
    """Return a folder with `runs` and `paper` of the study at one go."""
    root = tmp_path_factory.mktemp("unbroken")
    call(root, *COMMAND, env=environment(root) | {"TLKIT_STUDIES": str(studies_folder)})
    return root


def number_done(root: Path) -> int:
    return len([p for p in (root / "runs").glob("*/metrics.json") if not p.parent.name.endswith(runs.PARTIAL)])


def trains(root: Path, done: int) -> bool:
    """Tell whether that many runs are done and one more is under way."""
    return number_done(root) >= done and any((root / "runs").glob(f"*{runs.PARTIAL}"))


def kill_when(root: Path, ripe: Callable[[], bool], delay: float) -> None:
    """Start the study and kill the process that was started, and it alone, `delay` seconds after `ripe`."""
    with (root / "said.txt").open("a") as said:
        process = subprocess.Popen(
            COMMAND, env=environment(root), stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        end = time.monotonic() + WAIT
        while not ripe() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        assert ripe(), (root / "said.txt").read_text()
        time.sleep(delay)
        assert process.poll() is None, "killed too late: it had finished"
    finally:
        process.kill()
        process.wait()
    assert ended(root), "nothing outlives the process that was started"


def ended(root: Path, seconds: float = 20) -> bool:
    """Tell whether all processes that work on this runs folder end in that time."""
    end = time.monotonic() + seconds
    while (left := at_work(root)) and time.monotonic() < end:
        time.sleep(0.1)
    return not left


def at_work(root: Path) -> list[int]:
    """Return the processes whose environment names this runs folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("TLKIT_RUNS") == str(root / "runs") and process.status() != "zombie":
                found.append(process.pid)
    return found


def held_locks(root: Path) -> list[str]:
    """Return the runs that a left-over kernel still works on."""
    return [p.stem for p in (root / "runs" / ".locks").glob("*.lock") if runs.is_at_work(p.stem)]


def test_killed_three_times_and_started_again_it_gives_the_same_bits(unbroken, tmp_path, monkeypatch):
    rng = np.random.default_rng(7)
    total = len(load("mini", "smoke").configs())
    early, late = int(rng.integers(1, total // 3)), int(rng.integers(total // 2, total - 3))
    phantoms = tmp_path / "runs" / "data" / "phantoms"
    kill_when(tmp_path, lambda: bool(list(phantoms.glob(".*.part"))), rng.uniform(0, 0.5))  # data are made
    assert number_done(tmp_path) == 0
    kill_when(tmp_path, lambda: trains(tmp_path, early), rng.uniform(0, 0.5))
    assert early <= number_done(tmp_path) < total
    kill_when(tmp_path, lambda: trains(tmp_path, late), rng.uniform(0, 0.5))
    assert late <= number_done(tmp_path) < total
    call(tmp_path, *COMMAND)
    monkeypatch.setenv("TLKIT_RUNS", str(tmp_path / "runs"))
    assert held_locks(tmp_path) == []
    assert differing_files(unbroken / "runs", tmp_path / "runs") == []
    assert not list((tmp_path / "runs").glob(f"*{runs.PARTIAL}"))
    figures = [root / "paper" / "figures" / "mini" / "smoke" / "fig2.svg" for root in (unbroken, tmp_path)]
    assert figures[0].read_bytes() == figures[1].read_bytes()
    for made in phantoms.glob("[!.]*"):
        assert content_hash(unbroken / "runs" / "data" / "phantoms" / made.name) == content_hash(made)


def first_study() -> set[str]:
    return {runs.run_id(config) for config in load("mini", "smoke").configs()}


def differing_files(one: Path, other: Path) -> list[str]:
    """Return the files that decide what a run found and that are not byte-equal in two runs folders."""
    files = sorted(Path(rid, name) for rid in first_study() for name in SAME_BYTES if (one / rid / name).exists())
    assert {f.parent.name for f in files} == first_study()
    assert first_study() == {p.parent.name for p in other.glob("*-*/metrics.json")}
    return [str(f) for f in files if (one / f).read_bytes() != (other / f).read_bytes()]


def test_the_comparison_sees_one_changed_byte(unbroken, tmp_path):
    copy = tmp_path / "copy"
    for rid in first_study():
        shutil.copytree(unbroken / "runs" / rid, copy / rid)
    assert differing_files(unbroken / "runs", copy) == []
    path = next(copy.glob("*-*/metrics.json"))
    found = json.loads(path.read_text())
    key = next(k for k, v in found.items() if isinstance(v, float))
    path.write_text(json.dumps({**found, key: np.nextafter(found[key], 2)}, indent=1, sort_keys=True) + "\n")
    assert differing_files(unbroken / "runs", copy) == [str(path.relative_to(copy))]
