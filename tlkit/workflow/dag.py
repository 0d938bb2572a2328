"""Bringing studies to their figures: Snakemake does the jobs, and the last lines say what is there and what is not."""

from __future__ import annotations

import os
import resource
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd

from tlkit import check, locks, paths, runs
from tlkit.config import TlkitError, file_name
from tlkit.studies import Study, load
from tlkit.workflow import devices, forked, needed, placement, records
from tlkit.workflow.graph import Job, jobs
from tlkit.workflow.minutes import plan_minutes

Planned = tuple[Study, list[Job]]
KINDS = ("figure", "finetune", "pretrain", "data")  # what others wait for goes first, and of it what has most runs
MOST = 100_000  # runs that a job can make, or a figure show


def make_figures(names: Sequence[str], scale: str, data: str = "", cores: int = 0, profile: str = "") -> int:
    """Bring each study to its figures, whatever becomes of the others; only what is missing runs, on all cores.

    With a `profile` (see `placement.find_profile`) Snakemake hands the jobs on, to a cluster.
    The last lines name the figures, each failed job with its cause, and the command that tries again.
    Returns the exit status: 0 where every figure of every study is there and complete, else 1.
    """
    cores, planned, errors, ends = cores or check.cores(), {}, {}, []
    for name in names:
        with _keeping(errors, name):
            planned[name] = _plan(name, scale, data)
    where = placement.find_profile(profile) if profile else None
    settings = _elsewhere() if where else _environment()
    if all((study.folder / job.output).exists() for study, found in planned.values() for job in found):
        settings["TLKIT_FORK"] = "0"  # all is done: nobody needs what the server would import
    with forked.server(settings) as environment:
        for group in _groups(planned):
            with _keeping(errors, *group):
                ends.append(_do([planned[name] for name in group], cores, environment, where))
    good = True
    reports = [f"Snakemake ended with exit status {end}; what it says stands above." for end in ends if end]
    for name in names:
        with _keeping(errors, name):
            if name not in errors:
                study, found = planned[name]
                done = [(job, records.read(study.folder / job.output, job.name)) for job in found]
                reports += _report(study, done, profile)
                good &= all(record["state"] in records.GOOD for _, record in done)
        if name in errors:
            reports.append(f"{name} at {scale}: {errors[name]}")
    print("\n".join(["", *reports]), flush=True)
    return int(not good or bool(errors))


@contextmanager
def _keeping(errors: dict[str, str], *names: str) -> Iterator[None]:
    """Keep an error as that of some studies; the others go on."""
    try:
        yield
    except (TlkitError, OSError) as error:
        errors |= dict.fromkeys(names, f"{type(error).__name__}: {error}")


def _plan(name: str, scale: str, data: str) -> Planned:
    """Return a study and its jobs, of which those that are to be done have no record."""
    study = load(name, scale, data)
    found = jobs(study)
    drop_stale(study, found)
    return study, found


def _groups(names: Iterable[str]) -> list[list[str]]:
    """Return which studies are done together: all but those whose names are no plain file names, each alone.

    Together no core waits for the last job of a study. Snakemake would read braces in the path of an output.
    """
    plain = [name for name in names if file_name(name) == name]
    return [group for group in (plain, *([name] for name in names if name not in plain)) if group]


def _do(group: list[Planned], cores: int, environment: dict[str, str], profile: Path | None) -> int:
    """Let Snakemake do the jobs of some studies whose record is not there, account for the time, return its status."""
    studies = [study for study, _ in group]
    folder = studies[0].folder if len(studies) == 1 else paths.runs_root() / "studies"
    for study in studies:
        study.folder.mkdir(parents=True, exist_ok=True)
    began, before = time.time(), _cpu(environment)
    dag = {"jobs": [node for study, found in group for node in _nodes(study, found, folder, bool(profile))]}
    if profile:
        placement.check_gpus(profile, {n["name"].partition("-")[0]: n["resources"]["gpu"] for n in dag["jobs"]})
    if dag != _json(folder / "dag.json"):
        runs.write_json(folder / "dag.json", dag)
    process = subprocess.Popen(_command(folder, cores, profile), env=environment, start_new_session=True)
    try:
        status = _watch(studies, process, cores)
    except BaseException:  # Ctrl-C: Snakemake would only ask its jobs here to end, and print how it was interrupted
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if profile:
            _cancel(process)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    _account(studies, began, 0 if profile else _cpu(environment) - before)
    return status


def _cancel(process: subprocess.Popen, seconds: float = 60) -> None:
    """Let Snakemake take its jobs back from a cluster, which does not end them by itself."""
    process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


def _command(folder: Path, cores: int, profile: Path | None) -> list[str]:
    gpus = devices.count()
    here = ["--cores", str(cores), *(["--resources", f"gpu={gpus}"] if gpus else [])]
    return [
        sys.executable, "-m", "snakemake", "--snakefile", str(paths.REPO / "Snakefile"),
        "--directory", str(folder), "--configfile", str(folder / "dag.json"),
        "--rerun-triggers", "mtime", "--rerun-incomplete", "--nolock", "--keep-going",
        "--quiet", "host", "progress", "reason", "rules", *(["--profile", str(profile)] if profile else here),
    ]  # fmt: skip


def _nodes(study: Study, found: list[Job], folder: Path, elsewhere: bool) -> Iterator[dict[str, Any]]:
    """Yield the jobs of a study as the Snakefile reads them.

    On this machine they ask for the GPUs that it has at most; elsewhere also for memory and minutes.
    """
    minutes = plan_minutes(study).drop_duplicates("run").set_index("run")["minutes"] if elsewhere else None
    for job in found:
        asked = {"gpu": min(job.gpus, devices.count() or job.gpus)}
        if elsewhere:
            kind = job.name.partition("-")[0]
            priced = 0.0 if job.is_figure else minutes[list(job.makes)].sum()
            asked = placement.resources(kind, job.gpus, priced, study.spec.get("resources", {}).get(kind, {}))
        yield _node(study, job, folder) | {"resources": asked}


def _node(study: Study, job: Job, folder: Path) -> dict[str, Any]:
    """Return a job as the Snakefile reads it, with paths from `folder`; its command is quoted for the shell."""
    arguments = ["job", job.name, "--record", "--study", study.name, "--scale", study.scale]
    command = shlex.join([sys.executable, "-m", "tlkit", *arguments, "--data", study.spec["data"]])
    checkout = shlex.quote(str(paths.REPO))  # whose tlkit it is, whatever is installed
    return {
        "name": Path(job.output).stem,
        "needs": [(study.folder / name).relative_to(folder).as_posix() for name in job.needs],
        "output": (study.folder / job.output).relative_to(folder).as_posix(),
        "command": f"cd {checkout} && exec {command}",
        "threads": study.spec.get("threads", 1) * max(1, job.gpus),
        "priority": KINDS.index(job.name.split("-")[0]) * MOST + len(job.makes),
    }


def _watch(studies: list[Study], process: subprocess.Popen, cores: int, every: float = 30) -> int:
    """Wait for the DAG's exit status and say now and then how far it is: what a notebook does is not seen outside."""
    while True:
        try:
            return process.wait(every)
        except subprocess.TimeoutExpired:
            plan = pd.concat([plan_minutes(study) for study in studies]).drop_duplicates("run")
            states, left = plan["state"].value_counts(), plan.loc[plan["state"] != "done", "minutes"].sum()
            print(
                f"{states.get('done', 0)} of {len(plan)} runs done, {states.get('running', 0)} at work, about "
                f"{left / cores:.0f} minutes of training left",
                flush=True,
            )


def drop_stale(study: Study, found: list[Job]) -> list[str]:
    """Take away the records of jobs that failed or whose runs, stores or figures are gone: the DAG does them again."""
    stale = [path.name for path in records.list_failed(study.folder)]
    missing = set(study.of_runs(rid for job in found for rid in job.makes).missing()["run"])
    for job in found:
        record = records.read(study.folder / job.output, job.name)
        if (study.folder / job.output).exists() and not _still_there(study, job, record, missing):
            stale.append(job.output)
    for name in stale:
        (study.folder / name).unlink(missing_ok=True)
    return stale


def _still_there(study: Study, job: Job, record: dict[str, Any], missing: set[str]) -> bool:
    if record["state"] not in records.GOOD:
        return False
    if not job.notebook:
        return Path(record["store"]).exists()
    if record["state"] == "not available":
        return True
    if missing & set(job.makes):
        return False
    if not job.is_figure:
        return True
    parts = (paths.paper_root() / kind / study.name / study.scale for kind in ("figures", "tables"))
    sidecars = ({"runs": [], **_json(path)} for part in parts for path in part.glob("*.json"))
    ours = {"notebook": job.notebook, "scale": study.scale}
    return any(ours.items() <= s.items() and set(s["runs"]) <= set(job.makes) for s in sidecars)


def _json(path: Path) -> dict[str, Any]:
    """Return what a JSON file holds; nothing where it is not there, cut or garbled: what wrote it writes it again."""
    try:
        return runs.read_json(path)
    except (FileNotFoundError, TlkitError):
        return {}


def _elsewhere() -> dict[str, str]:
    """Return the environment of jobs on other machines, which may see no lock of each other."""
    return {locks.SETTING: "lease", **_environment(), "TLKIT_FORK": "0"}


def _environment() -> dict[str, str]:
    """Return the environment of the DAG's processes, wherever they are started.

    One thread each and no processes of their own, since the jobs fill the cores; a run sets its threads itself.
    """
    threads = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    one = dict.fromkeys((*threads, "TLKIT_WORKERS", "TLKIT_UNATTENDED"), "1")
    keep = {"MALLOC_MMAP_THRESHOLD_": "4000000000", "MALLOC_TRIM_THRESHOLD_": "4000000000"}
    roots = {"TLKIT_RUNS": paths.runs_root(), "TLKIT_PAPER": paths.paper_root(), "TLKIT_DATA": paths.data_root()}
    absolute = {name: str(path) for name, path in roots.items() if path}
    return {**keep, **os.environ, **one, **absolute, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}


def _cpu(environment: dict[str, str]) -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime + forked.cpu_seconds(environment)


def _account(studies: list[Study], began: float, cpu: float) -> None:
    """Print what the runs took that were done since `began`, wherever that was, and the CPU time of all jobs here."""
    done = [status for study in studies for status in study.statuses(since=began)]
    spent = sum(status.get("train_cpu_seconds", 0.0) for status in done)
    names = ", ".join(study.name for study in studies)
    of = f"{cpu:.0f} s of CPU time, of which training steps" if cpu else "training steps"
    share = f" ({100 * spent / cpu:.0f} %)" if cpu else ""
    hours = sum(status.get("gpus", 0) * status.get("seconds", 0.0) for status in done) / 3600
    gpus = f", {hours:.2f} GPU-hours" if hours else ""
    hosts = sorted({status["host"] for status in done})
    where = f" on {', '.join(hosts)}" if len(hosts) > 1 else ""
    print(
        f"{names} at {studies[0].scale}: {(time.time() - began) / 60:.1f} minutes, {of} {spent:.0f} s{share}{gpus}"
        f"{where}."
    )


def _report(study: Study, found: list[tuple[Job, dict[str, Any]]], profile: str) -> list[str]:
    """Return the last lines about a study: figures made, what is not done and why, and what to do."""
    made = [record["state"] == "done" for job, record in found if job.is_figure]
    lines = [f"{study.name} at {study.scale}: {sum(made)} of {len(made)} figures made."]
    lines += [f"  {records.say(record)}" for _, record in found if record["state"] != "done"]
    if any(record["state"] not in records.GOOD for _, record in found):
        lines.append(f"  Try again (what is done is not done again): {needed.command(study, profile=profile)}")
    return lines
