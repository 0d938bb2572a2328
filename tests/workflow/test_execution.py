from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import nbformat
import pytest
from finished_study import finish

from tlkit import paths, runs, stopping
from tlkit.config import UnknownNameError
from tlkit.datasets import decoding, shards
from tlkit.studies import load
from tlkit.workflow import execution, graph, records
from tlkit.workflow.execution import NotebookError, UnknownParameterError, execute, make_job

TEST_NOTEBOOK = """
import os
import signal
import time

import tlkit
from tlkit.config import NotAvailableError

if how == "raise":
    raise ValueError("the reason\\nand more")
if how == "absent":
    raise NotAvailableError("one group is left, two are needed")
if how == "die":
    os.kill(os.getpid(), signal.SIGKILL)
if how == "stop":
    from tlkit import stopping

    with stopping.listening() as asked:
        os.kill(os.getppid(), signal.SIGTERM)
        while not asked.to_end:  # the job hands it on
            time.sleep(0.01)
        asked.kept()
if how == "stop early":
    os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(60)
where = os.getcwd()
print(tlkit.__file__)
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

    monkeypatch.setattr(execution, "execute", fake)
    return calls


@pytest.fixture
def study():
    return load("boundaries", "smoke")


def job_of(study, name: str) -> graph.Job:
    return next(job for job in graph.jobs(study) if job.name == name)


# --- execute ---


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
    output = tmp_path / "a b'ü" / "small.ipynb"
    assert execute("small", {"how": "on"}, output) == output
    book = nbformat.read(output, 4)
    assert [c.source for c in book.cells if "injected-parameters" in c.metadata.get("tags", [])] == [
        '# Parameters\nhow = "on"\n'
    ]
    assert [p.name for p in output.parent.iterdir()] == ["small.ipynb"]
    assert book.cells[-1].outputs[0].text.strip() == str(paths.REPO / "tlkit" / "__init__.py"), "this checkout's tlkit"


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("raise", r"small stopped in cell \[3\] with ValueError: the reason\n(.*\n)*.*small\.failed\.ipynb"),
        ("die", r"kernel of small died(.*\n)*.*memory(.*\n)*.*small\.failed\.ipynb"),
    ],
)
def test_a_failed_notebook_is_kept_beside_its_place(small_notebook, tmp_path, how, message):
    output = tmp_path / "made" / "small.ipynb"
    with pytest.raises(NotebookError, match=message):
        execute("small", {"how": how}, output)
    assert [path.name for path in output.parent.iterdir()] == [output.with_suffix(".failed.ipynb").name]
    execute("small", {"how": "work"}, output)
    assert [path.name for path in output.parent.iterdir()] == [output.name]


# --- jobs and their records ---


def test_a_data_job_makes_the_stores_of_all_sizes(data):
    study = load("radiologynet", "smoke")
    study.spec["tasks"]["PBA_InceptionV3"]["size"] = 80  # as at paper scale: the network needs more pixels
    assert study.stores("rsna-bone-age") == [(32, {}), (80, {})]
    make_job(study, "data-rsna-bone-age")
    assert sorted(p.name.rsplit("-", 1)[0] for p in paths.store_root().glob("rsna-bone-age-*")) == [
        "rsna-bone-age-phantom-32px",
        "rsna-bone-age-phantom-80px",
    ]


def test_a_data_job_names_its_store(data):
    study = load("boundaries", "smoke")
    small = {"seed": 1, "classes": 3, "train": 16, "val": 14, "pixels": 32}  # what the fixture `data` holds
    study.spec["phantoms"]["imagenet"] = small
    record = make_job(study, "data-imagenet")
    assert os.path.isfile(os.path.join(record["store"], "store.json"))
    assert records.read(study.folder / job_of(study, "data-imagenet").output) == record


def test_jobs_share_the_decoding_of_a_data_set_and_the_last_makes_its_store(data, monkeypatch):
    study = load("boundaries", "smoke")
    study.spec["phantoms"]["imagenet"] = {"seed": 1, "classes": 3, "train": 16, "val": 14, "pixels": 32}
    whole = Path(make_job(study, "data-imagenet")["store"])
    expected = {file.name: file.read_bytes() for file in whole.iterdir()}
    shutil.rmtree(whole)
    decoded, real = [], decoding._read_file
    monkeypatch.setattr(shards, "ROWS", 20)
    monkeypatch.setattr(decoding, "_read_file", lambda *args: decoded.extend(args[-1]["path"]) or real(*args))
    study.spec["shards"] = {"imagenet": 3}
    names = [f"data-imagenet-{i}of3" for i in (1, 2, 3)]
    needs = {job.name: job.needs for job in graph.jobs(study)}
    outputs = {job.name: job.output for job in graph.jobs(study)}
    assert [needs[name] for name in names] == [(), (outputs[names[0]],), (outputs[names[0]],)]
    assert needs["data-imagenet"] == tuple(outputs[name] for name in names)
    for name in names:
        decoded.clear()
        make_job(study, name)
        assert decoded and not whole.exists()
    decoded.clear()
    make_job(study, "data-imagenet")
    assert decoded == []
    assert {file.name: file.read_bytes() for file in whole.iterdir()} == expected


def test_a_job_gives_its_notebook_to_the_runs_that_it_makes(study, executed):
    job = job_of(study, "finetune-scratch")
    finish(study, *job.makes)
    record = make_job(study, "finetune-scratch")
    output = study.folder / job.output.replace(".json", ".ipynb")
    assert executed == [("20_finetune", job.parameters, output)]
    assert (record["state"], record["notebook"]) == ("done", str(output))
    for rid in job.makes:
        assert (runs.folder(rid) / "notebook.ipynb").samefile(output)
    make_job(study, "finetune-scratch")  # executed again, but the runs keep the notebook that made them
    assert {(runs.folder(r) / "notebook.ipynb").read_text() for r in job.makes} == {"executed 1"}


def test_a_figure_gives_no_notebook_to_the_runs_that_it_reads(study, executed):
    finish(study)
    assert make_job(study, "figure-30_fig2_task_dependency")["state"] == "done"
    assert [c[0] for c in executed] == ["30_fig2_task_dependency"]
    assert list(paths.runs_root().glob("*/notebook.ipynb")) == []


def test_a_figure_without_some_of_its_runs_is_incomplete_and_says_which(study, executed):
    lost = job_of(study, "finetune-radnet").makes
    finish(study, *(rid for rid in map(runs.run_id, study.configs()) if rid not in lost))
    record = make_job(study, "figure-30_fig2_task_dependency")
    shown = set(job_of(study, "figure-30_fig2_task_dependency").makes)
    assert record["state"] == "incomplete"
    missed = len(shown & set(lost))
    assert record["cause"] == f"Missing: {missed} of {len(shown)} runs ({missed} from RadNet)."


def test_an_unknown_job_gets_the_nearest(study):
    with pytest.raises(UnknownNameError, match=r"unknown job 'finetune-scrach'\. Did you mean 'finetune-scratch'"):
        make_job(study, "finetune-scrach")


@pytest.mark.parametrize(
    ("how", "state", "cause"),
    [
        ("raise", "failed", "ValueError: the reason"),
        ("die", "failed", "DeadKernelError: Kernel died Mostly for want of memory."),
        ("absent", "not available", "NotAvailableError: one group is left, two are needed"),
    ],
)
def test_what_stops_a_notebook_is_recorded(study, small_notebook, monkeypatch, how, state, cause):
    job = graph.Job("figure-small", "small", {"how": how})
    monkeypatch.setattr(execution, "find_job", lambda *_: job)
    if state == "failed":
        with pytest.raises(NotebookError):
            make_job(study, "figure-small")
    else:
        make_job(study, "figure-small")
    record = records.read(study.folder / job.output)
    assert (record["state"], record["cause"].splitlines()[0]) == (state, cause)
    assert record["notebook"].endswith(".failed.ipynb") and os.path.isfile(record["notebook"])
    assert records.say(record) == f"{state:<13} figure-small: {cause} Open {record['notebook']}"


@pytest.mark.parametrize("how", ["stop", "stop early"])
def test_a_job_that_is_asked_to_end_hands_it_on_waits_and_leaves_no_record(study, small_notebook, monkeypatch, how):
    job = graph.Job("figure-small", "small", {"how": how})
    monkeypatch.setattr(execution, "find_job", lambda *_: job)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(stopping.Stopped, match="goes on from"):
        make_job(study, "figure-small")
    assert not (study.folder / job.output).exists(), "it is done again"
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_stops_a_data_step_is_recorded(study, monkeypatch):
    monkeypatch.setattr(execution, "_prepare", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make_job(study, "data-lits")
    record = records.read(study.folder / job_of(study, "data-lits").output)
    assert (record["state"], record["cause"]) == ("failed", "ZeroDivisionError: division by zero")
    assert records.list_failed(paths.runs_root()) == [study.folder / job_of(study, "data-lits").output]


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"state": "finished"}'])
def test_a_damaged_record_counts_as_missing(tmp_path, damage):
    (tmp_path / "a.json").write_text(damage)
    assert records.read(tmp_path / "a.json", "data-a")["state"] == "missing"
    assert records.list_failed(tmp_path) == []
    assert records.say(records.read(tmp_path / "none.json", "data-a")).startswith("missing       data-a: not done")
