"""The main job from end to end at smoke scale: the first study, and the notebooks that belong to none."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import renamed
from dag_calls import FIGURES, call, environment
from executed import SMOKE, check_copy, copies

from tlkit import runs
from tlkit.studies import load
from tlkit.workflow import forked, graph

FEWER = {"50_published_results": ("-p", "simulations", "500"), "60_your_own_images": ("-p", "budget", "10s")}
ACCOUNT = r"boundaries at smoke: \d+\.\d minutes, \d+ s of CPU time, of which training steps \d+ s"


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory) -> Path:
    """Return a folder with `runs` and `paper` of a study that ran at one go, and what it said in `said.txt`."""
    root = tmp_path_factory.mktemp("unbroken")
    (root / "said.txt").write_text(call(root, *SMOKE))
    return root


@pytest.fixture(scope="session")
def executed(unbroken) -> dict[str, list[Path]]:
    """Return the executed copies of each notebook: those of the study, and those of no study run on its data."""
    found = copies(unbroken, "boundaries")
    of_the_other = {job.notebook for job in graph.jobs(load("radiologynet", "smoke"))}
    with forked.server(environment(unbroken)) as handed:
        for name in sorted(set(graph.notebooks()) - set(found) - of_the_other):
            said = call(
                unbroken, *FIGURES[:3], "notebook", name, "-p", "scale", "smoke", *FEWER.get(name, ()), env=handed
            )
            path = unbroken / "runs" / "notebooks" / f"{name}.ipynb"
            assert path.exists(), said
            found[name] = [path]
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
    left = {p.name for p in (there / "runs").iterdir()} - {runs.run_id(c) for c in study.configs()}
    assert left <= {"data", "studies", ".locks", "notebooks", "ratings", "private"}, "nothing half done"


def test_every_figure_and_table_of_the_paper_is_there(there):
    figures, tables = (there / "paper" / kind / "boundaries" / "smoke" for kind in ("figures", "tables"))
    wanted = {*(f"fig{i}" for i in range(2, 8)), "sf1", "sf2", "sf3", "fig4_patience", "equal_steps", "mixed"}
    wanted |= {"foretold"}
    assert {p.name for p in figures.iterdir()} == {
        f"{f}.{kind}" for f in wanted for kind in ("svg", "pdf", "png", "json")
    }
    assert {f"{t}{i}" for t in ("st", "sf") for i in (1, 2, 3)} <= {p.stem for p in tables.iterdir()}
    assert {p.suffix for p in tables.iterdir()} == {".csv", ".md", ".json"}
    assert all(p.stat().st_size > 5000 for p in figures.iterdir() if p.suffix != ".json")


def test_figures_and_tables_name_their_runs(there):
    study = load("boundaries", "smoke")
    downstream = {e: {runs.run_id(c) for c in study.finetune(experiments=[e])} for e in study.spec["experiments"]}
    for path in (there / "paper").glob("*/boundaries/smoke/*.json"):
        sidecar = runs.read_json(path)
        assert sidecar["runs"] and all(map(runs.state_is_done, sidecar["runs"])), path.name
        assert (sidecar["scale"], sidecar["phantom"]) == ("smoke", True)
        assert sidecar["commit"] and "hantom" in sidecar["caption"]
    made = there / "paper" / "figures" / "boundaries" / "smoke"
    sidecars = {p.stem: runs.read_json(p) for p in made.glob("*.json")}
    assert set(sidecars["fig2"]["runs"]) == downstream["E1"] | downstream["E4"]
    assert set(sidecars["fig3"]["runs"]) == downstream["E2"]
    assert set(sidecars["equal_steps"]["runs"]) == downstream["E4_equal_steps"]
    assert set(sidecars["mixed"]["runs"]) == downstream["E6"]
    assert set(sidecars["foretold"]["runs"]) < downstream["E1"], "all but those of masks"
    assert sidecars["fig2"]["notebook"] == "30_fig2_task_dependency"
    assert "hantom" in (there / "paper" / "tables" / "boundaries" / "smoke" / "fig2.md").read_text()


def test_the_table_can_be_computed_again_from_the_runs(there):
    study = load("boundaries", "smoke")
    pairs = pd.read_csv(there / "paper" / "tables" / "boundaries" / "smoke" / "fig2.csv")
    summary = pd.read_csv(there / "paper" / "tables" / "boundaries" / "smoke" / "fig2_summary.csv")
    for row in summary[~summary["pretraining"].isin(study.spec["estimates"])].itertuples():
        configs = study.finetune(row.pretraining, [row.task], [row.experiment])
        values = [runs.read_json(runs.folder(runs.run_id(c)) / "metrics.json")[row.metric] for c in configs]
        assert row.n == len(study.spec["seeds"]) == len(values)
        assert (row.mean, row.sd) == (pytest.approx(np.mean(values)), pytest.approx(np.std(values, ddof=1)))
    bars = summary.groupby(["experiment", "task", "metric"]).size()
    assert len(pairs) == (bars * (bars - 1)).sum()


def test_every_notebook_ran_without_errors_warnings_or_pages_of_text(executed):
    for path in (path for paths in executed.values() for path in paths):
        check_copy(path)


def test_the_account_says_what_training_cost(unbroken):
    said = (unbroken / "said.txt").read_text()
    assert re.search(rf"^{ACCOUNT} \(\d+ %\)\.$", said, re.M), said
    assert said.strip().splitlines()[-1] == "boundaries at smoke: 8 of 8 figures made."


def test_a_renamed_copy_shows_the_same(there, tmp_path, monkeypatch):
    renamed.check("boundaries", there, tmp_path, monkeypatch)


def test_a_second_call_runs_nothing(there, executed):
    before = state(there)
    said = call(there, *SMOKE)
    assert state(there) == before
    account = re.search(r"(\d+) s of CPU time, of which training steps 0 s", said)
    assert int(account[1]) < 40  # no time of the clock: other tests run beside it
