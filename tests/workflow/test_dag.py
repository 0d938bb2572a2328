from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
from types import SimpleNamespace

import pytest
from finished_study import all_done, finish

from tlkit import locks, paths, runfolder, runs
from tlkit.config import ConfigError, UnknownNameError
from tlkit.studies import load
from tlkit.workflow import dag, forked, graph, placement, records
from tlkit.workflow.dag import drop_stale, make_figures


@pytest.fixture
def study():
    return load("boundaries", "smoke")


@pytest.fixture(autouse=True)
def no_server(monkeypatch):
    monkeypatch.setenv("TLKIT_FORK", "0")


FIGURES = {job.name for job in graph.jobs(load("boundaries", "smoke")) if job.is_figure}


def stale(study) -> set[str]:
    """Return the names of the jobs whose records are dropped."""
    jobs = graph.jobs(study)
    dropped = drop_stale(study, jobs)
    return {job.name for job in jobs if job.output in dropped}


def gone(path):
    path.rename(path.with_name("away"))


# --- what is stale ---


def test_nothing_is_stale_when_all_is_there(study):
    assert stale(study) == set()  # nor when nothing is
    jobs = all_done(study)
    assert stale(study) == set()
    assert all((study.folder / j.output).exists() for j in jobs.values())


def showing(jobs: dict, rid: str) -> set[str]:
    return {name for name, job in jobs.items() if job.is_figure and rid in job.makes}


@pytest.mark.parametrize(
    ("break_it", "found"),
    [
        (lambda jobs: gone(runs.folder(jobs["pretrain-radnet"].makes[0])), lambda jobs: {"pretrain-radnet"}),
        (
            lambda jobs: gone(runs.folder(jobs["finetune-radnet"].makes[1])),
            lambda jobs: {"finetune-radnet", *showing(jobs, jobs["finetune-radnet"].makes[1])},
        ),
        (lambda jobs: gone(paths.store_root() / "data-lits"), lambda jobs: {"data-lits"}),
        (lambda jobs: gone(paths.paper_root() / "figures"), lambda jobs: FIGURES),
    ],
)
def test_records_without_their_runs_stores_or_figures_are_dropped(study, break_it, found):
    jobs = all_done(study)
    expected = found(jobs)
    break_it(jobs)
    assert stale(study) == expected
    assert {name for name, j in jobs.items() if not (study.folder / j.output).exists()} == expected


@pytest.mark.parametrize("state", ["failed", "incomplete"])
def test_what_failed_or_is_incomplete_is_tried_again(study, state):
    jobs = all_done(study)
    records.write(study.folder / jobs["finetune-radnet"].output, "finetune-radnet", state, "why")
    assert stale(study) == {"finetune-radnet"}


def test_what_is_not_available_is_not_tried_again(study):
    jobs = all_done(study)
    records.write(study.folder / jobs["finetune-radnet"].output, "finetune-radnet", "not available", "why")
    assert stale(study) == set()


def test_a_failed_record_of_another_state_of_the_study_goes(study):
    all_done(study)
    records.write(study.folder / "finetune-old-12345678.json", "finetune-old", "failed", "why")
    assert drop_stale(study, graph.jobs(study)) == ["finetune-old-12345678.json"]


@pytest.mark.parametrize("other", [{"scale": "quick"}, {"notebook": "31"}, {"runs": ["another"]}])
def test_a_figure_of_another_scale_or_other_runs_does_not_count(study, other):
    all_done(study)
    sidecar = paths.paper_root() / "figures" / study.name / study.scale / "fig2.json"
    runs.write_json(sidecar, {**runs.read_json(sidecar), **other})
    assert stale(study) == {"figure-30_fig2_task_dependency"}


def test_a_garbled_sidecar_means_that_the_figure_is_made_again(study):
    all_done(study)
    (paths.paper_root() / "figures" / study.name / study.scale / "fig2.json").write_text("{")
    assert stale(study) == {"figure-30_fig2_task_dependency"}


# --- the call of Snakemake ---


@pytest.fixture
def snakemake(monkeypatch):
    """Snakemake is not started; `asked` holds its command, and `then` is what it does."""
    fake = SimpleNamespace(asked=[], then=lambda: None, waits=iter(()))

    def wait(seconds=None):
        answer = next(fake.waits, 0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def popen(command, env, **how):
        fake.asked.append((command, env))
        fake.then()
        return SimpleNamespace(wait=wait, pid=0)

    monkeypatch.setattr(dag.subprocess, "Popen", popen)
    return fake


def test_snakemake_gets_the_jobs_and_one_thread_a_process(study, snakemake, monkeypatch, capsys):
    snakemake.then = lambda: finish(study)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("TLKIT_RUNS", os.path.relpath(paths.runs_root()))
    make_figures(["boundaries"], "smoke", cores=3)
    ((command, env),) = snakemake.asked
    assert command[command.index("--cores") + 1] == "3"
    assert env["OMP_NUM_THREADS"] == "1" and env["TLKIT_UNATTENDED"] == "1"
    assert env["TLKIT_RUNS"] == str(study.folder.parents[2]), "absolute, for the jobs start elsewhere"
    nodes = runs.read_json(study.folder / "dag.json")["jobs"]
    assert [(n["output"], n["needs"]) for n in nodes] == [(j.output, list(j.needs)) for j in graph.jobs(study)]
    account = capsys.readouterr().out
    assert re.search(r"boundaries at smoke: \d\.\d minutes", account)
    assert f"training steps {2 * len(study.configs())} s" in account  # what this call trained


@pytest.mark.parametrize("done", [True, False])
def test_no_server_is_started_where_no_job_is_left(study, snakemake, monkeypatch, done):
    monkeypatch.delenv("TLKIT_FORK")
    if done:
        all_done(study)
    started = []
    server = contextlib.contextmanager(lambda environment: started.append(environment) or (yield environment))
    monkeypatch.setattr(forked, "server", server)
    make_figures(["boundaries"], "smoke", cores=1)
    ((_, env),), (given,) = snakemake.asked, started
    assert env == given and given.get("TLKIT_FORK", "1") == ("0" if done else "1")


def test_training_jobs_take_gpus_where_there_are_some(study, snakemake, monkeypatch):
    snakemake.then = lambda: finish(study)
    for there, asked in ((0, 8), (2, 2)):
        monkeypatch.setattr(dag.devices, "count", lambda n=there: n)
        monkeypatch.setattr(type(study), "compute", lambda self, kind: {"threads": 1, "processes": 8})
        make_figures(["boundaries"], "smoke", cores=3)
        command, _ = snakemake.asked[-1]
        assert f"gpu={there}" in command or (not there and "--resources" not in command)  # a login node sets no limit
        gpus = {
            node["output"].split("-")[0]: node["resources"]["gpu"]
            for node in runs.read_json(study.folder / "dag.json")["jobs"]
        }
        assert gpus == {"data": 0, "pretrain": asked, "finetune": asked, "figure": 0}


def test_what_ends_snakemake_itself_is_told(study, snakemake, capsys):
    snakemake.waits = iter([3])
    assert make_figures(["boundaries"], "smoke") == 1
    assert last_lines(capsys)[0] == "Snakemake ended with exit status 3; what it says stands above."


def test_runs_of_before_are_not_in_the_account(study, snakemake, capsys):
    all_done(study)
    old = 1e9
    for status in paths.runs_root().glob("*/status.json"):
        os.utime(status, (old, old))
    assert make_figures(["boundaries"], "smoke") == 0
    assert "training steps 0 s" in capsys.readouterr().out


def test_while_it_works_it_says_how_far_it_is(study, snakemake, capsys):
    snakemake.waits = iter([subprocess.TimeoutExpired("snakemake", 30), 0])
    make_figures(["boundaries"], "smoke", cores=2)
    assert f"0 of {len(study.configs())} runs done, 0 at work, about " in capsys.readouterr().out


def test_a_command_reaches_the_shell_quoted(study, tmp_path):
    job = graph.Job("pretrain-img&touch pwned&x '$(touch pwned)", "", {})
    study.name = "a b'ü; touch pwned"
    command = dag._node(study, job, study.folder)["command"].replace("exec ", "exec echo ")
    said = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert f"job {job.name} --record --study {study.name} --scale smoke" in said
    assert list(tmp_path.glob("*")) == [] and not (paths.REPO / "pwned").exists()


# --- the last lines ---


def last_lines(capsys) -> list[str]:
    return capsys.readouterr().out.rpartition("\n\n")[2].splitlines()


def test_when_all_is_made_the_last_line_says_so(study, snakemake, capsys):
    all_done(study)
    assert make_figures(["boundaries"], "smoke") == 0
    assert last_lines(capsys) == [f"boundaries at smoke: {len(FIGURES)} of {len(FIGURES)} figures made."]


def test_a_failure_is_told_with_its_cause_its_notebook_and_what_to_do(study, snakemake, capsys):
    jobs = all_done(study)
    failed, drawn = jobs["finetune-radnet"], jobs["figure-30_fig2_task_dependency"]

    def fail():
        notebook = str(study.folder / "finetune.failed.ipynb")
        records.write(study.folder / failed.output, failed.name, "failed", "ValueError: the reason\nmore", notebook)
        records.write(study.folder / drawn.output, drawn.name, "incomplete", "Missing: 8 of 40 runs (8 from RadNet).")
        (study.folder / jobs["figure-31_fig3_task_complexity"].output).unlink()

    snakemake.then = fail
    assert make_figures(["boundaries"], "smoke") == 1
    lines = last_lines(capsys)
    assert lines[0] == f"boundaries at smoke: {len(FIGURES) - 2} of {len(FIGURES)} figures made."
    told = "  failed        finetune-radnet: ValueError: the reason Open "
    assert [line for line in lines if line.startswith(told) and line.endswith("finetune.failed.ipynb")]
    assert "  incomplete    figure-30_fig2_task_dependency: Missing: 8 of 40 runs (8 from RadNet)." in lines
    assert any(line.startswith("  missing       figure-31_fig3_task_complexity: not done") for line in lines)
    assert lines[-1].endswith("make figures STUDY=boundaries SCALE=smoke")


def test_what_is_not_available_is_told_and_no_failure(study, snakemake, capsys):
    jobs = all_done(study)
    job = jobs["finetune-radnet"]
    snakemake.then = lambda: records.write(study.folder / job.output, job.name, "not available", "one group is left")
    assert make_figures(["boundaries"], "smoke") == 0
    assert last_lines(capsys)[1:] == ["  not available finetune-radnet: one group is left"]


def test_every_study_is_gone_through_whatever_becomes_of_the_others(study, snakemake, capsys):
    all_done(study)
    assert make_figures(["no_such_study", "boundaries"], "smoke") == 1
    lines = last_lines(capsys)
    assert lines[0].startswith("no_such_study at smoke: UnknownNameError: unknown study 'no_such_study'")
    assert lines[-1] == f"boundaries at smoke: {len(FIGURES)} of {len(FIGURES)} figures made."


def test_without_a_server_the_environment_comes_back():
    with forked.server({"TLKIT_FORK": "0", "A": "b"}) as environment:
        assert environment == {"TLKIT_FORK": "0", "A": "b"}
        assert forked.cpu_seconds(environment) == 0 and forked.run_command("tlkit.__main__:main", ["status"]) is None


# --- elsewhere ---


@pytest.fixture
def profile(tmp_path):
    """A profile of the site's own, of an executor that is always there."""
    folder = tmp_path / "a b'ü"
    folder.mkdir()
    (folder / "config.yaml").write_text("executor: local\njobs: 7\n")
    return folder


def test_a_profile_gets_the_jobs_with_what_they_ask_for(study, snakemake, profile, monkeypatch):
    snakemake.then = lambda: finish(study)
    monkeypatch.setattr(dag.devices, "count", lambda: 1)  # the machine that hands them on sets no limit
    monkeypatch.setattr(type(study), "compute", lambda self, kind: {"threads": 2, "processes": 8})
    make_figures(["boundaries"], "smoke", cores=3, profile=str(profile))
    ((command, env),) = snakemake.asked
    assert command[command.index("--profile") + 1] == str(profile) and env["TLKIT_FORK"] == "0"
    assert env[locks.SETTING] == "lease", "nodes may see no lock of each other"
    assert "--cores" not in command and "--resources" not in command
    asked = {}
    for node in runs.read_json(study.folder / "dag.json")["jobs"]:
        asked[node["output"].split("-")[0]] = (node["threads"], node["resources"])
    assert asked["data"] == (1, {"gpu": 0, "mem_mb": 8000, "runtime": 240})
    assert asked["pretrain"] == (8, {"gpu": 8, "mem_mb": 16000, "runtime": 30})
    assert asked["figure"] == (1, {"gpu": 0, "mem_mb": 8000, "runtime": 60})


def test_what_a_study_says_of_resources_counts():
    asked = placement.resources("pretrain", 1, minutes=100, said={"mem_mb": 64_000})
    assert asked == {"gpu": 1, "runtime": 300, "mem_mb": 64_000}
    assert placement.resources("data", 0, 0, {"runtime": 10})["runtime"] == 10
    assert placement.resources("pretrain", 2, 0, {"gpu": 0})["gpu"] == 0


@pytest.fixture
def sinfo(tmp_path, monkeypatch):
    """A SLURM of which `sinfo` says these partitions."""

    def say(*lines: str, status: int = 0) -> None:
        program = tmp_path / "sinfo"
        text = "".join(f"echo '{line}'\n" for line in lines)
        program.write_text(f"#!/bin/sh\n{text or 'echo slurmctld is down >&2'}\nexit {status}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    return say


@pytest.mark.parametrize(
    ("lines", "partition", "there"),
    [
        (["gpu|gpu:a100:4(S:0-1)", "cpu*|(null)"], "gpu", 4),
        (["gpu|gpu:a100:4(S:0-1)", "cpu*|(null)"], "", 0),
        (["all*|gpu:2", "all*|gpu:h100_80gb:8,shard:4"], "", 8),
        (["cpu*|(null)"], "gone", None),
    ],
)
def test_the_gpus_of_a_partition(lines, partition, there):
    assert placement.most_gpus(lines, partition) == there


@pytest.mark.parametrize("given", ["{slurm_partition: \"'big'\"}", "[\"slurm_partition='big'\"]"])
def test_more_gpus_than_a_node_has_are_told_before_anything_is_handed_on(
    study, snakemake, profile, sinfo, monkeypatch, capsys, given
):
    monkeypatch.setattr(placement, "find_spec", lambda name: True)
    monkeypatch.setattr(type(study), "compute", lambda self, kind: {"threads": 1, "processes": 8})
    (profile / "config.yaml").write_text(f"executor: slurm\ndefault-resources: {given}\n")
    sinfo()
    answer = SimpleNamespace(returncode=0, stdout="big|gpu:4\ncpu*|(null)\n")
    monkeypatch.setattr(placement.subprocess, "run", lambda *args, **how: answer)  # its Popen is that of `snakemake`
    assert make_figures(["boundaries"], "smoke", profile=str(profile)) == 1
    said = capsys.readouterr().out
    assert "pretrain jobs ask for 8 GPUs of a node (`gpus` in the study)" in said and "partition big" in said
    assert "resources: {pretrain: {gpu: 0}}" in said and "`slurm_partition`" in said and str(profile) in said
    assert snakemake.asked == []


def test_a_partition_without_gpus_is_told(profile, sinfo):
    (profile / "config.yaml").write_text("executor: slurm\n")
    sinfo("cpu*|(null)", "gpu|gpu:4")
    placement.check_gpus(profile, {"data": 0})
    with pytest.raises(ConfigError, match=r"finetune jobs ask for 1 GPUs.*partition by default has more than 0"):
        placement.check_gpus(profile, {"data": 0, "finetune": 1})
    sinfo(status=1)
    with pytest.raises(ConfigError, match=r"SLURM does not answer: slurmctld is down\. Jobs go there by the profile"):
        placement.check_gpus(profile, {"finetune": 1})
    (profile / "config.yaml").write_text("executor: slurm\nslurm-partition-config: partitions.yaml\n")
    placement.check_gpus(profile, {"finetune": 1})  # the executor chooses


def test_the_account_counts_what_ran_elsewhere(study, snakemake, profile, capsys):
    def elsewhere():
        finish(study)
        for at, status in enumerate(paths.runs_root().glob("*/status.json")):
            told = runfolder.read_status(status.parent)
            runfolder.write_status(status.parent, told | {"host": f"n{at % 2 + 1}", "gpus": 2, "seconds": 1800})

    snakemake.then = elsewhere
    make_figures(["boundaries"], "smoke", profile=str(profile))
    (account,) = (line for line in capsys.readouterr().out.splitlines() if " minutes, training steps " in line)
    assert account.endswith(f"s, {len(study.configs())}.00 GPU-hours on n1, n2.")


def test_what_tries_again_goes_to_the_cluster_again(study, snakemake, profile, capsys):
    assert make_figures(["boundaries"], "smoke", profile=str(profile)) == 1, "nothing was done"
    again = f"make figures STUDY=boundaries SCALE=smoke PROFILE={shlex.quote(str(profile))}"
    assert last_lines(capsys)[-1].endswith(again)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("executor: [", "is no YAML"),
        ("- 1", "expected Snakemake's options"),
        ("executor: no-such", r"needs Snakemake's executor 'no-such'.*pip install snakemake-executor-plugin-no-such"),
    ],
)
def test_a_profile_that_cannot_be_used_is_told(profile, text, told):
    (profile / "config.yaml").write_text(text)
    with pytest.raises(ConfigError, match=told):
        placement.find_profile(str(profile))


def test_an_unknown_profile_is_told():
    with pytest.raises(UnknownNameError, match=r"unknown profile.*'slum'\. Did you mean 'slurm'"):
        placement.find_profile("slum")
    assert set(placement.SHIPPED) == {"slurm"}
