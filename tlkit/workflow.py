"""Running a study: notebooks through papermill, the whole through Snakemake, and the account of the time."""

from __future__ import annotations

import logging
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tlkit import check, paths, runs
from tlkit.config import TlkitError, lookup, nearest
from tlkit.studies import Job, Study

log = logging.getLogger(__name__)


class UnknownParameterError(TlkitError, ValueError):
    """A notebook was given a parameter that its parameters cell does not have."""


class NotebookError(TlkitError, RuntimeError):
    """A cell of a notebook stopped with an error."""


def notebooks() -> dict[str, Path]:
    """Return every notebook of the project by its stem, in order."""
    return {p.stem: p for p in sorted(paths.NOTEBOOKS.glob("*.ipynb"))}


def parameters_of(name: str) -> dict[str, Any]:
    """Return the parameters of a notebook: name -> {"default", "help", ...} as papermill reads them."""
    import papermill

    return papermill.inspect_notebook(str(lookup(name, notebooks(), "notebook")))


def execute(name: str, parameters: dict[str, Any], output: Path) -> Path:
    """Run a notebook of the project with these parameters and leave the executed copy at `output`.

    The copy appears under its name only when every cell has run; a failed one is kept beside it as `*.failed.ipynb`.
    Raises: UnknownParameterError before anything starts; NotebookError from a cell.
    """
    import papermill

    source, known = lookup(name, notebooks(), "notebook"), parameters_of(name)
    for key in set(parameters) - set(known):
        raise UnknownParameterError(
            f"notebook {name} has no parameter '{key}'.{nearest(key, known)} It has: {', '.join(known)}."
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    part = output.with_suffix(".failed.ipynb")
    try:
        papermill.execute_notebook(
            str(source),
            str(part),
            parameters=parameters,
            cwd=str(paths.NOTEBOOKS),
            kernel_name="python3",
            progress_bar=False,
            log_output=True,
            extra_arguments=["--log-level=40"],  # else each kernel warns that it talks over TCP
        )
    except papermill.PapermillExecutionError as error:
        raise NotebookError(
            f"{name} stopped in cell [{error.exec_count}] with {error.ename}: {error.evalue}\n"
            f"What it did until then is in {part}."
        ) from error
    except RuntimeError as error:  # nbclient's DeadKernelError
        raise NotebookError(f"the kernel of {name} died ({error}), mostly for want of memory. See {part}.") from error
    part.replace(output)
    return output


def make_job(study: Study, name: str) -> Path:
    """Do one node of the study's DAG and return its output file."""
    job = lookup(name, {j.name: j for j in study.jobs()}, "job")
    output = study.folder / job.output
    if job.notebook:
        execute(job.notebook, job.parameters, output)
        for rid in job.makes if not job.name.startswith("figure-") else ():
            runs.add_notebook(rid, output)
        return output
    from tlkit.datasets import prepare

    dataset = job.parameters["dataset"]
    store = prepare(dataset, study.spec["size"], phantom=study.phantom_parameters(dataset))
    output.parent.mkdir(parents=True, exist_ok=True)
    runs.write_json(output, {"store": str(store)})
    return output


def figures(study: Study, cores: int = 0) -> None:
    """Bring the study to its figures with Snakemake: only what is missing runs, on all cores.

    Prints at the end how much of the CPU time the training steps took. Raises SystemExit with Snakemake's status.
    """
    cores = cores or check.cores()
    drop_stale(study)
    began, before = time.time(), _cpu()
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(paths.REPO / "Snakefile"),
        "--directory", str(study.folder), "--cores", str(cores), "--rerun-triggers", "mtime", "--rerun-incomplete",
        "--nolock", "--keep-going", "--quiet", "progress", "rules",
        "--config", f"study={study.name}", f"scale={study.scale}", f"data={study.spec['data']}",
    ]  # fmt: skip
    study.folder.mkdir(parents=True, exist_ok=True)
    status = subprocess.run(command, env=_environment(cores), check=False).returncode
    _account(study, began, _cpu() - before)
    if status:
        sys.exit(status)


def drop_stale(study: Study) -> list[Job]:
    """Take away the outputs of jobs whose runs, stores or figures are gone, so that the DAG makes them again."""
    stale = []
    for job in study.jobs():
        output = study.folder / job.output
        if not output.exists():
            continue
        if not _still_there(study, job, output):
            output.unlink()
            stale.append(job)
    return stale


def _still_there(study: Study, job: Job, output: Path) -> bool:
    if not job.notebook:
        return Path(runs.read_json(output)["store"]).exists()
    if not all(map(runs.state_is_done, job.makes)):
        return False
    if not job.name.startswith("figure-"):
        return True
    sidecars = map(runs.read_json, (paths.paper_root() / "figures" / study.name).glob("*.json"))
    ours = {"notebook": job.notebook, "scale": study.scale, "phantom": study.phantom}
    return any(ours.items() <= s.items() and set(s["runs"]) <= set(job.makes) for s in sidecars)


def _environment(cores: int) -> dict[str, str]:
    """Return the environment of the DAG's processes: one thread each, for processes times threads fill the cores."""
    one = {k: "1" for k in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TLKIT_UNATTENDED")}
    keep = {"MALLOC_MMAP_THRESHOLD_": "4000000000", "MALLOC_TRIM_THRESHOLD_": "4000000000"}
    return {**keep, **os.environ, **one, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _account(study: Study, began: float, cpu: float) -> None:
    spent = 0.0
    for config in study.configs():
        status = runs.folder(runs.run_id(config)) / "status.json"
        if status.exists() and status.stat().st_mtime >= began:
            spent += runs.read_json(status).get("train_cpu_seconds", 0.0)
    share = f" ({100 * spent / cpu:.0f} %)" if cpu else ""
    print(
        f"{study.name} at {study.scale}: {(time.time() - began) / 60:.1f} minutes, {cpu:.0f} s of CPU time, "
        f"of which training steps {spent:.0f} s{share}."
    )
