from __future__ import annotations

import re
from functools import lru_cache

import pytest

from tlkit import runs
from tlkit.config import file_name
from tlkit.datasets import cards
from tlkit.studies import Study, load, sources, studyfile
from tlkit.workflow import graph
from tlkit.workflow.graph import notebooks, read_parameters

FIGURES = ("30_fig2_task_dependency", "42_fig5_single_modality")


@pytest.fixture
def study():
    return load("boundaries", "smoke")


@lru_cache
def jobs(study: Study) -> list[graph.Job]:
    return graph.jobs(study)


def shown_by(study: Study, notebook: str) -> set[str]:
    return {job.name for job in jobs(study) if job.output in job_of(study, f"figure-{notebook}").needs}


def job_of(study: Study, name: str) -> graph.Job:
    return next(job for job in jobs(study) if job.name == name)


def test_parameters_of_a_notebook_are_those_of_its_cell():
    found = read_parameters("20_finetune")
    assert list(found) == ["study", "scale", "data", "pretraining", "tasks", "experiments", "seeds"]
    assert found["study"] == "boundaries" and found["seeds"] == [42]
    other = ("5", "60_your_own_images")  # 50 to 59 show published results, 60 a reader's folder
    ours = [set(read_parameters(name)) for name in notebooks() if not name.startswith(other)]
    assert {"study", "scale", "data"} <= set.intersection(*ours)


@pytest.mark.parametrize("name", ["boundaries", "radiologynet"])
@pytest.mark.parametrize("scale", ["smoke", "quick"])
def test_every_notebook_of_a_job_has_its_parameters(name, scale):
    for job in jobs(load(name, scale)):
        if job.notebook:
            assert set(job.parameters) <= set(read_parameters(job.notebook)), job.name


# --- what a figure needs ---


def test_a_figure_needs_the_jobs_whose_runs_it_shows_and_no_others(study):
    quick = load("radiologynet", "quick")
    assert shown_by(quick, "42_fig5_single_modality") == {
        f"finetune-{name}" for name in ("radiologynet", "radiologynet_mr", "radiologynet_ct", "radiologynet_cr")
    }
    arms = {"finetune-scratch", "finetune-imagenet", "finetune-radiologynet"}
    for notebook in ("40_tables_2_to_6", "43_fig6_fig7_first_epochs", "46_gradcam", "47_example_predictions"):
        assert shown_by(quick, notebook) == arms, notebook
    assert shown_by(study, "35_fig7_overlays") == {"finetune-imagenet", "finetune-radnet12m"}
    for job in [*jobs(study), *jobs(quick)]:
        if job.is_figure and job.notebook not in ("03_pseudo_labels", "48_table1_medical_pretraining"):
            assert job.makes and all(name.startswith("finetune-") for name in needed_names(job, study, quick)), job.name


def needed_names(job: graph.Job, *studies: Study) -> list[str]:
    outputs = {other.output: other.name for study in studies for other in jobs(study)}
    return [outputs[output] for output in job.needs]


def test_a_figure_shows_the_runs_of_its_experiments(study):
    job = job_of(study, "figure-30_fig2_task_dependency")
    assert set(job.makes) == {runs.run_id(c) for c in study.finetune(experiments=["E1", "E4"])}
    one_seed = {runs.run_id(c) for c in study.finetune(tasks=["LiTS"], experiments=["E4"], seeds=[42])}
    assert set(job_of(study, "figure-35_fig7_overlays").makes) < one_seed


def test_a_figure_without_runs_waits_for_the_data():
    study = load("radiologynet", "smoke")
    names = shown_by(study, "03_pseudo_labels")
    assert names == {job.name for job in jobs(study) if not job.notebook}
    assert job_of(study, "figure-03_pseudo_labels").makes == ()


def test_the_dag_never_lets_a_figure_train(study):
    for job in jobs(study):
        if job.is_figure and "make_missing" in read_parameters(job.notebook):
            assert job.parameters["make_missing"] is False


# --- any name ---

HOSTILE = ("img&touch pwned&x", "radnet+imagenet (21k)", "a b'ü", '$HOME "quoted" {braces}', "-rf *", "日本")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_name_is_one_that_no_shell_reads_otherwise(name):
    assert re.fullmatch(r"[A-Za-z0-9_.=-]+", graph.Job(f"pretrain-{name}", "", {}).output)
    assert len(file_name(name * 100)) <= 80


def test_names_alike_in_plain_letters_have_outputs_of_their_own():
    one, other = (graph.Job(f"pretrain-{name}", "", {}).output for name in ("日本", "中国"))
    assert one != other


@pytest.mark.parametrize("name", HOSTILE)
def test_a_study_may_use_any_names(name):
    spec = studyfile.read("boundaries", "smoke")
    spec["pretrainings"] = {"scratch": spec["pretrainings"]["scratch"], name: spec["pretrainings"]["imagenet"]}
    spec["tasks"] = {name: spec["tasks"]["R"]}
    spec["experiments"] = {name: {"mode": "finetune"}}
    jobs = graph.jobs(Study(name, "smoke", {**spec, "name": name, "figures": {}}))
    assert [job.name for job in jobs if job.notebook] == [f"pretrain-{name}", "finetune-scratch", f"finetune-{name}"]


def test_a_study_without_pretraining_and_figures_has_jobs():
    spec = studyfile.read("boundaries", "smoke")
    spec |= {"pretrainings": {"scratch": {}}, "figures": {}, "experiments": {"E1": {"mode": "finetune"}}}
    jobs = graph.jobs(Study("lone", "smoke", spec))
    assert [job.name for job in jobs if job.notebook] == ["finetune-scratch"]


# --- real data of which some are not there ---


@pytest.fixture
def partly_there(monkeypatch):
    """All data sets of boundaries are real; lits and radnet are not there."""

    def identity(name, phantom):
        if name in ("lits", "radnet"):
            raise cards.MissingDataError(cards.DATASETS[name], None)
        return {"name": name, "content": name}

    monkeypatch.setattr(sources, "identity", identity)
    return load("boundaries", "smoke", "real")


def test_missing_data_cost_only_the_runs_that_need_them(partly_there):
    jobs = {job.name: job for job in graph.jobs(partly_there)}
    assert {name for name in jobs if name.startswith("pretrain")} == {"pretrain-imagenet"}
    assert {name for name in jobs if name.startswith("finetune")} == {"finetune-scratch", "finetune-imagenet"}
    for name in ("finetune-scratch", "finetune-imagenet"):
        tasks = jobs[name].parameters["tasks"]
        assert {"I1k", "BraTS", "CX8"} <= set(tasks) and not {"R", "LiTS"} & set(tasks)
        there = partly_there.finetune(jobs[name].parameters["pretraining"], tasks)  # what the notebook asks for
        assert {runs.run_id(c) for c in there} == set(jobs[name].makes)
    assert {"data-lits", "data-radnet"} <= set(jobs), "their jobs say what to do"
    figure = jobs["figure-30_fig2_task_dependency"]
    assert {jobs[name].output for name in ("finetune-scratch", "finetune-imagenet")} == set(figure.needs)
    assert len(set(figure.makes)) > len({rid for job in jobs.values() if not job.is_figure for rid in job.makes})


def test_a_figure_names_the_runs_whose_data_are_missing(partly_there):
    partly_there.spec["figures"]["a figure"] = {"experiments": ["E1"], "tasks": ["I1k"]}
    shown = partly_there.shown("a figure")
    assert shown.missing_text().startswith("Missing: 8 of 8 runs (") and partly_there.results().empty
