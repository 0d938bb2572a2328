from __future__ import annotations

import json
import os
import re
import subprocess
from types import SimpleNamespace

import nbformat
import pytest

from tlkit import paths, runs, workflow
from tlkit.config import UnknownNameError
from tlkit.studies import load
from tlkit.workflow import NotebookError, UnknownParameterError, drop_stale, execute, make_job, notebooks, parameters_of

TEST_NOTEBOOK = """
import os
import signal

if how == "raise":
    raise ValueError("the reason")
if how == "die":
    os.kill(os.getpid(), signal.SIGKILL)
where = os.getcwd()
"""


@pytest.fixture
def small_notebook(tmp_path, monkeypatch):
    """A notebook `small` with one parameter, `how`, in a folder of its own."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    parameters = nbformat.v4.new_code_cell('how = "work"  # work, raise or die', metadata={"tags": ["parameters"]})
    kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    cells = [parameters, nbformat.v4.new_code_cell(TEST_NOTEBOOK)]
    book = nbformat.v4.new_notebook(cells=cells, metadata=kernel)
    nbformat.write(book, folder / "small.ipynb")
    monkeypatch.setattr(paths, "NOTEBOOKS", folder)


@pytest.fixture
def executed(monkeypatch):
    """Notebooks are not run, only recorded, and leave an empty copy."""
    calls = []

    def fake(name, parameters, output):
        calls.append((name, parameters, output))
        output.parent.mkdir(parents=True, exist_ok=True)
        output.unlink(missing_ok=True)  # as a rename does: other links to the old copy stay
        output.write_text(f"executed {len(calls)}")
        return output

    monkeypatch.setattr(workflow, "execute", fake)
    return calls


@pytest.fixture
def study():
    return load("boundaries", "smoke")


def finish(study, *ids: str) -> None:
    """Mark runs of the study as done, all of them where none is named."""
    for config in study.configs():
        if runs.run_id(config) in ids or not ids:
            with runs.claim(config) as run:
                if run:
                    runs.finish(run, {"accuracy": 0.5}, seconds=1, train_cpu_seconds=2.0)


FIGURES = {f"figure-{name}" for name in load("boundaries", "smoke").spec["figures"]}


def all_done(study) -> dict:
    """Leave everything as a finished study leaves it, and return its jobs by name."""
    finish(study)
    jobs = {j.name: j for j in workflow.jobs(study)}
    study.folder.mkdir(parents=True)
    for job in jobs.values():
        output = study.folder / job.output
        output.write_text("{}")
        if not job.notebook:
            store = paths.store_root() / job.name
            store.mkdir(parents=True)
            runs.write_json(output, {"store": str(store)})
    folder = paths.paper_root() / "figures" / study.name
    folder.mkdir(parents=True)
    for job in (j for name, j in jobs.items() if name in FIGURES):
        facts = {"notebook": job.notebook, "scale": study.scale, "phantom": study.phantom, "runs": job.makes[:3]}
        runs.write_json(folder / f"{job.notebook.split('_')[1]}.json", facts)
    return jobs


# --- execute ---


def test_parameters_are_read_with_their_comments():
    found = parameters_of("20_finetune")
    assert list(found) == ["study", "scale", "data", "pretraining", "tasks", "experiments", "seeds"]
    assert all(p["help"] for p in found.values())


def test_an_unknown_notebook_or_parameter_is_told_before_a_kernel_starts(monkeypatch, tmp_path):
    import papermill

    monkeypatch.setattr(papermill, "execute_notebook", lambda *_, **__: pytest.fail("started"))
    with pytest.raises(UnknownNameError, match=r"unknown notebook '20_fine'\. Did you mean '20_finetune'\?"):
        execute("20_fine", {}, tmp_path / "out" / "a.ipynb")
    message = r"20_finetune has no parameter 'sede'\. Did you mean 'seeds'\? It has: study, scale"
    with pytest.raises(UnknownParameterError, match=message):
        execute("20_finetune", {"sede": [1]}, tmp_path / "out" / "a.ipynb")
    assert not (tmp_path / "out").exists()


def test_an_executed_notebook_appears_when_every_cell_has_run(small_notebook, tmp_path):
    output = tmp_path / "out" / "small.ipynb"
    assert execute("small", {"how": "on"}, output) == output
    book = nbformat.read(output, 4)
    assert [c.source for c in book.cells if "injected-parameters" in c.metadata.get("tags", [])] == [
        '# Parameters\nhow = "on"\n'
    ]
    assert [p.name for p in output.parent.iterdir()] == ["small.ipynb"]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("raise", r"small stopped in cell \[3\] with ValueError: the reason\n.*small\.failed\.ipynb"),
        ("die", r"kernel of small died .*memory.*small\.failed\.ipynb"),
    ],
)
def test_a_failed_notebook_is_kept_beside_its_place(small_notebook, tmp_path, how, message):
    output = tmp_path / "small.ipynb"
    with pytest.raises(NotebookError, match=message):
        execute("small", {"how": how}, output)
    assert not output.exists() and output.with_suffix(".failed.ipynb").exists()


# --- jobs ---


def test_a_data_job_names_its_store(data, monkeypatch):
    study = load("boundaries", "smoke")
    small = {"seed": 1, "classes": 3, "train": 16, "val": 14, "pixels": 32}  # what the fixture `data` holds
    study.spec["phantoms"]["imagenet"] = small
    output = make_job(study, "data-imagenet")
    store = json.loads(output.read_text())["store"]
    assert os.path.isfile(os.path.join(store, "store.json"))
    assert output == study.folder / next(j for j in workflow.jobs(study) if j.name == "data-imagenet").output


def test_a_job_gives_its_notebook_to_the_runs_that_it_makes(study, executed):
    job = next(j for j in workflow.jobs(study) if j.name == "finetune-scratch")
    finish(study, *job.makes)
    output = make_job(study, "finetune-scratch")
    assert executed == [("20_finetune", job.parameters, study.folder / job.output)]
    for rid in job.makes:
        assert (runs.folder(rid) / "notebook.ipynb").samefile(output)
    make_job(study, "finetune-scratch")  # executed again, but the runs keep the notebook that made them
    assert {(runs.folder(r) / "notebook.ipynb").read_text() for r in job.makes} == {"executed 1"}


def test_a_figure_gives_no_notebook_to_the_runs_that_it_reads(study, executed):
    finish(study)
    make_job(study, "figure-30_fig2_task_dependency")
    assert [c[0] for c in executed] == ["30_fig2_task_dependency"]
    assert list(paths.runs_root().glob("*/notebook.ipynb")) == []


def test_an_unknown_job_gets_the_nearest(study):
    with pytest.raises(UnknownNameError, match=r"unknown job 'finetune-scrach'\. Did you mean 'finetune-scratch'"):
        make_job(study, "finetune-scrach")


def test_every_notebook_of_a_job_has_its_parameters(study):
    for job in workflow.jobs(study):
        if job.notebook:
            assert set(job.parameters) <= set(parameters_of(job.notebook)), job.name
    assert {j.notebook for j in workflow.jobs(study)} - {""} <= set(notebooks())


# --- what is stale ---


def test_nothing_is_stale_when_all_is_there(study):
    assert drop_stale(study) == []  # nor when nothing is
    jobs = all_done(study)
    assert drop_stale(study) == []
    assert all((study.folder / j.output).exists() for j in jobs.values())


def gone(path):
    path.rename(path.with_name("away"))


@pytest.mark.parametrize(
    ("break_it", "stale"),
    [
        (lambda jobs: gone(runs.folder(jobs["pretrain-radnet"].makes[0])), {"pretrain-radnet"}),
        (
            lambda jobs: gone(runs.folder(jobs["finetune-radnet"].makes[1])),
            {"finetune-radnet", *FIGURES},
        ),
        (lambda jobs: gone(paths.store_root() / "data-lits"), {"data-lits"}),
        (lambda jobs: gone(paths.paper_root() / "figures"), FIGURES),
    ],
)
def test_outputs_without_their_runs_stores_or_figures_are_dropped(study, break_it, stale):
    jobs = all_done(study)
    break_it(jobs)
    assert {j.name for j in drop_stale(study)} == stale
    assert {name for name, j in jobs.items() if not (study.folder / j.output).exists()} == stale


@pytest.mark.parametrize("other", [{"scale": "quick"}, {"phantom": False}, {"notebook": "31"}, {"runs": ["another"]}])
def test_a_figure_of_another_scale_or_other_runs_does_not_count(study, other):
    all_done(study)
    sidecar = paths.paper_root() / "figures" / study.name / "fig2.json"
    runs.write_json(sidecar, {**runs.read_json(sidecar), **other})
    assert [j.name for j in drop_stale(study)] == ["figure-30_fig2_task_dependency"]


# --- the call of Snakemake ---


def test_snakemake_gets_the_study_and_one_thread_a_process(study, monkeypatch, capsys):
    asked = {}

    def fake(command, env):
        asked.update(command=command, env=env)
        finish(study)
        return SimpleNamespace(wait=lambda seconds: 0)

    monkeypatch.setattr(workflow.subprocess, "Popen", fake)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    workflow.figures(study, cores=3)
    command = asked["command"]
    assert command[command.index("--cores") + 1] == "3"
    assert {"study=boundaries", "scale=smoke", "data=phantom"} <= set(command)
    assert asked["env"]["OMP_NUM_THREADS"] == "1" and asked["env"]["TLKIT_UNATTENDED"] == "1"
    account = capsys.readouterr().out
    assert re.search(r"boundaries at smoke: \d\.\d minutes", account)
    assert f"training steps {2 * len(study.configs())} s" in account  # what this call trained


def test_runs_of_before_are_not_in_the_account_and_a_failure_is_passed_on(study, monkeypatch, capsys):
    all_done(study)
    old = 1e9
    for status in paths.runs_root().glob("*/status.json"):
        os.utime(status, (old, old))
    monkeypatch.setattr(workflow.subprocess, "Popen", lambda *_, **__: SimpleNamespace(wait=lambda seconds: 3))
    with pytest.raises(SystemExit) as stop:
        workflow.figures(study)
    assert stop.value.code == 3
    assert "training steps 0 s" in capsys.readouterr().out


def test_while_it_works_it_says_how_far_it_is(study, monkeypatch, capsys):
    waits = iter([subprocess.TimeoutExpired("snakemake", 30), 0])

    def wait(seconds):
        answer = next(waits)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(workflow.subprocess, "Popen", lambda *_, **__: SimpleNamespace(wait=wait))
    workflow.figures(study, cores=2)
    assert f"0 of {len(study.configs())} runs done, 0 at work, about 0 minutes" in capsys.readouterr().out
