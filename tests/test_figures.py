"""The main job from end to end at smoke scale: once unbroken, once killed three times. The slow file of the tests."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest

from tlkit import runs, workflow
from tlkit.datasets.content import content_hash
from tlkit.report import ESTIMATED
from tlkit.studies import load
from tlkit.training.recipes import RADIOLOGYNET

COMMAND = (sys.executable, "-m", "tlkit", "figures", "--scale", "smoke")
ACCOUNT = r"boundaries at smoke: \d+\.\d minutes, \d+ s of CPU time, of which training steps \d+ s"
SAME_BYTES = ("config.json", "metrics.json", "model.safetensors", "predictions_val.parquet", "predictions_test.parquet")
WAIT = 600  # seconds until a stuck command fails the test


def environment(root: Path) -> dict[str, str]:
    own = {"TLKIT_RUNS": str(root / "runs"), "TLKIT_PAPER": str(root / "paper"), "TLKIT_UNATTENDED": "1"}
    return {k: v for k, v in os.environ.items() if k != "TLKIT_DATA"} | own


def call(root: Path, *command: str) -> str:
    """Run a command of the project to its end and return what it said."""
    done = subprocess.run(
        command, env=environment(root), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=WAIT
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory) -> Path:
    """Return a folder with `runs` and `paper` of a study that ran at one go, and what it said in `said.txt`."""
    root = tmp_path_factory.mktemp("unbroken")
    (root / "said.txt").write_text(call(root, *COMMAND))
    call(root, *COMMAND, "--study", "radiologynet")
    return root


@pytest.fixture
def there(unbroken, monkeypatch) -> Path:
    """Read the runs and figures of the unbroken study."""
    monkeypatch.setenv("TLKIT_RUNS", str(unbroken / "runs"))
    monkeypatch.setenv("TLKIT_PAPER", str(unbroken / "paper"))
    return unbroken


@pytest.fixture(scope="session")
def executed(unbroken) -> dict[str, list[Path]]:
    """Return the executed copies of each notebook: those of the study, and the others run on its data."""
    rest = set(workflow.notebooks())
    found: dict[str, list[Path]] = {}
    for path in sorted((unbroken / "runs" / "studies").glob("*/smoke/*.ipynb")):
        name = Path(nbformat.read(path, 4).metadata.papermill.input_path).stem
        found.setdefault(name, []).append(path)
    for name in sorted(rest - set(found)):
        said = call(unbroken, *COMMAND[:3], "notebook", name, "-p", "scale", "smoke")
        found[name] = [Path(said.split()[-1])]
    return found


def state(root: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of change of every file that a study leaves, without Snakemake's own."""
    files = [p for p in root.rglob("*") if p.is_file() and ".snakemake" not in p.parts and ".locks" not in p.parts]
    return {str(p.relative_to(root)): (p.stat().st_size, p.stat().st_mtime_ns) for p in files}


# --- unbroken ---


def test_every_run_is_done_and_keeps_what_is_needed_to_check_it(there):
    study = load("boundaries", "smoke")
    assert set(study.plan()["state"]) == {"done"}
    for config in study.configs():
        folder = runs.folder(runs.run_id(config))
        kept = {p.name for p in folder.iterdir()}
        wanted = {"config.json", "environment.json", "status.json", "history.csv", "metrics.json", "model.safetensors"}
        wanted |= {"inputs.json"}
        if config["kind"] == "finetune":
            wanted |= {"predictions_val.parquet", "predictions_test.parquet"}
        wanted |= {"weights.json"} if config.get("weights") else set()
        assert kept == wanted | {"notebook.ipynb"}
        values = runs.read_json(folder / "metrics.json").values()
        assert all(v is None or np.isfinite(v) for v in values)
    both = [*study.configs(), *load("radiologynet", "smoke").configs()]
    left = {p.name for p in (there / "runs").iterdir()} - {runs.run_id(c) for c in both}
    assert left <= {"data", "studies", ".locks", "notebooks", "ratings", "private"}, "nothing half done"


def test_every_figure_and_table_of_the_paper_is_there(there):
    figures, tables = there / "paper" / "figures" / "boundaries", there / "paper" / "tables" / "boundaries"
    wanted = {*(f"fig{i}" for i in range(2, 8)), "sf1", "sf2", "sf3", "fig4_patience", "equal_steps", "mixed"}
    assert {p.name for p in figures.iterdir()} == {
        f"{f}.{kind}" for f in wanted for kind in ("svg", "pdf", "png", "json")
    }
    assert {f"{t}{i}" for t in ("st", "sf") for i in (1, 2, 3)} <= {p.stem for p in tables.iterdir()}
    assert {p.suffix for p in tables.iterdir()} == {".csv", ".md", ".json"}
    assert all(p.stat().st_size > 5000 for p in figures.iterdir() if p.suffix != ".json")


def test_figures_and_tables_name_their_runs(there):
    study = load("boundaries", "smoke")
    downstream = {e: {runs.run_id(c) for c in study.finetune(experiments=[e])} for e in study.spec["experiments"]}
    for path in (there / "paper").glob("*/boundaries/*.json"):
        sidecar = runs.read_json(path)
        assert sidecar["runs"] and all(map(runs.state_is_done, sidecar["runs"])), path.name
        assert (sidecar["scale"], sidecar["phantom"]) == ("smoke", True)
        assert sidecar["commit"] and "hantom" in sidecar["caption"]
    sidecars = {p.stem: runs.read_json(p) for p in (there / "paper" / "figures" / "boundaries").glob("*.json")}
    assert set(sidecars["fig2"]["runs"]) == downstream["E1"] | downstream["E4"]
    assert set(sidecars["fig3"]["runs"]) == downstream["E2"]
    assert set(sidecars["equal_steps"]["runs"]) == downstream["E4_equal_steps"]
    assert set(sidecars["mixed"]["runs"]) == downstream["E6"]
    assert sidecars["fig2"]["notebook"] == "30_fig2_task_dependency"
    assert "hantom" in (there / "paper" / "tables" / "boundaries" / "fig2.md").read_text()


def test_every_figure_and_table_of_the_second_study_is_there(there):
    study = load("radiologynet", "smoke")
    assert set(study.plan()["state"]) == {"done"}
    trained = {c["backbone"].removeprefix("torchvision/") for c in study.configs()}
    assert set(RADIOLOGYNET) | {"unet"} <= trained, "all eleven architectures are built and stepped"
    figures, tables = (there / "paper" / kind / "radiologynet" for kind in ("figures", "tables"))
    wanted = {*(f"fig{i}" for i in range(2, 10)), *(f"s{i}" for i in range(1, 8))}
    assert wanted <= {p.stem for p in figures.glob("*.svg")} == {p.stem for p in figures.glob("*.json")}
    wanted = {*(f"table{i}" for i in range(1, 7)), *(f"s{i}" for i in range(1, 7))}
    assert wanted <= {p.stem for p in tables.glob("*.md")} == {p.stem for p in tables.glob("*.csv")}
    for path in [*figures.glob("*.json"), *tables.glob("*.json")]:
        sidecar = runs.read_json(path)
        assert all(map(runs.state_is_done, sidecar["runs"])) and sidecar["scale"] == "smoke"
        assert sidecar["phantom"] == (path.stem != "table1")  # which is of facts alone


def test_the_table_can_be_computed_again_from_the_runs(there):
    study = load("boundaries", "smoke")
    pairs = pd.read_csv(there / "paper" / "tables" / "boundaries" / "fig2.csv")
    summary = pd.read_csv(there / "paper" / "tables" / "boundaries" / "fig2_summary.csv")
    for row in summary[~summary["pretraining"].isin(ESTIMATED)].itertuples():
        configs = study.finetune(row.pretraining, [row.task], [row.experiment])
        values = [runs.read_json(runs.folder(runs.run_id(c)) / "metrics.json")[row.metric] for c in configs]
        assert row.n == len(study.spec["seeds"]) == len(values)
        assert (row.mean, row.sd) == (pytest.approx(np.mean(values)), pytest.approx(np.std(values, ddof=1)))
    bars = summary.groupby(["experiment", "task", "metric"]).size()
    assert len(pairs) == (bars * (bars - 1)).sum()


def test_every_notebook_of_the_project_ran(executed):
    assert set(executed) == set(workflow.notebooks())
    for name, copies in executed.items():
        for path in copies:
            code = [c for c in nbformat.read(path, 4).cells if c.cell_type == "code" and c.source.strip()]
            assert all(c.execution_count for c in code), (name, path.name)
            assert path.stat().st_size < 5_000_000


def test_no_notebook_shows_an_error_or_pages_of_text(executed):
    for path in [p for copies in executed.values() for p in copies]:
        for cell in nbformat.read(path, 4).cells:
            outputs = cell.get("outputs", [])
            assert not [o for o in outputs if o.output_type == "error"], (path.name, cell.id)
            texts = [o.get("text", "") or o.get("data", {}).get("text/plain", "") for o in outputs]
            assert sum(len(t.splitlines()) for t in texts) <= 100, (path.name, cell.id)
            said = "".join(o.text for o in outputs if o.output_type == "stream" and o.name == "stderr")
            assert "Warning" not in said, (path.name, cell.id, said)


def test_the_account_says_what_training_cost(unbroken):
    last = (unbroken / "said.txt").read_text().strip().splitlines()[-1]
    assert pd.Series([last]).str.fullmatch(ACCOUNT + r" \(\d+ %\)\.").all(), last


def test_a_second_call_runs_nothing(there, executed):
    before = state(there)
    said = call(there, *COMMAND)
    assert state(there) == before
    last = said.splitlines()[-1]
    assert "training steps 0 s" in last
    assert int(re.search(r"(\d+) s of CPU time", last)[1]) < 40  # no time of the clock: other tests run beside it


# --- killed ---


def number_done(root: Path) -> int:
    return len([p for p in (root / "runs").glob("*/metrics.json") if not p.parent.name.endswith(runs.PARTIAL)])


def trains(root: Path, done: int) -> bool:
    """Tell whether that many runs are done and one more is under way."""
    return number_done(root) >= done and any((root / "runs").glob(f"*{runs.PARTIAL}"))


def kill_when(root: Path, ripe: Callable[[], bool], delay: float) -> None:
    """Start the study and kill its whole process group `delay` seconds after `ripe`."""
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
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def held_locks(root: Path) -> list[str]:
    """Return the runs that a left-over kernel still works on."""
    return [p.stem for p in (root / "runs" / ".locks").glob("*.lock") if runs.is_at_work(p.stem)]


def test_killed_three_times_and_started_again_it_gives_the_same_bits(unbroken, tmp_path, monkeypatch):
    rng = np.random.default_rng(7)
    total = len(load("boundaries", "smoke").configs())
    early, late = int(rng.integers(1, total // 3)), int(rng.integers(total // 2, total - 6))
    phantoms = tmp_path / "runs" / "data" / "phantoms"
    kill_when(tmp_path, lambda: bool(list(phantoms.glob(".*.partial"))), rng.uniform(0, 0.5))  # data are made
    assert number_done(tmp_path) == 0
    kill_when(tmp_path, lambda: trains(tmp_path, early), rng.uniform(0, 0.5))
    assert early <= number_done(tmp_path) < total
    kill_when(tmp_path, lambda: trains(tmp_path, late), rng.uniform(0, 0.5))  # kernels of before may still live
    assert late <= number_done(tmp_path) < total
    call(tmp_path, *COMMAND)
    monkeypatch.setenv("TLKIT_RUNS", str(tmp_path / "runs"))
    assert held_locks(tmp_path) == []
    assert differing_files(unbroken / "runs", tmp_path / "runs") == []
    assert not list((tmp_path / "runs").glob(f"*{runs.PARTIAL}"))
    figures = [root / "paper" / "figures" / "boundaries" / "fig2.svg" for root in (unbroken, tmp_path)]
    assert figures[0].read_bytes() == figures[1].read_bytes()
    for made in phantoms.glob("[!.]*"):
        assert content_hash(unbroken / "runs" / "data" / "phantoms" / made.name) == content_hash(made)


def first_study() -> set[str]:
    return {runs.run_id(config) for config in load("boundaries", "smoke").configs()}


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
