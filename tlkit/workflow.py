"""Running a study: notebooks through papermill, the whole through Snakemake, and the account of the time."""

from __future__ import annotations

import logging
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from tlkit import check, paths, runs
from tlkit.config import TlkitError, lookup, nearest, short_hash
from tlkit.studies import Study

log = logging.getLogger(__name__)
PRETRAINING = {  # method: the notebook that does it
    "contrastive": "10_pretrain_contrastive",
    "classification": "11_pretrain_classification",
    "reconstruction": "12_pretrain_reconstruction",
}


class UnknownParameterError(TlkitError, ValueError):
    """A notebook was given a parameter that its parameters cell does not have."""


class NotebookError(TlkitError, RuntimeError):
    """A cell of a notebook stopped with an error."""


@dataclass(frozen=True)
class Job:
    """One node of the DAG: an executed notebook (or a data step) that makes some runs or figures."""

    name: str
    notebook: str  # stem of a notebook, or "" for a data step
    parameters: dict[str, Any]
    needs: tuple[str, ...] = ()
    makes: tuple[str, ...] = field(default=())  # run ids

    @property
    def output(self) -> str:
        """File name of the executed notebook (data steps: of their marker), which changes with what the job makes."""
        return f"{self.name}-{short_hash([self.parameters, self.makes])}" + (".ipynb" if self.notebook else ".json")


def jobs(study: Study) -> list[Job]:
    """Return the DAG: data, pretrainings, downstream runs (grouped as `job` says), figures."""
    where = {"study": study.name, "scale": study.scale, "data": study.spec["data"]}
    sets = {e["dataset"] for e in study.spec["tasks"].values()}
    sets |= {d for name in study.pretrainings for d in study.corpora(name)}
    data = {d: Job(f"data-{d}", "", {**where, "dataset": d}) for d in sorted(sets)}
    pre: dict[str, Job] = {}  # by run id: a job does all backbones of a pretraining that have one method
    for name, method in product(study.pretrainings, PRETRAINING):
        configs = study.pretrain_configs(name, method)
        if configs:
            makes = tuple(map(runs.run_id, configs))
            before = {pre[w["run"]].output for c in configs if (w := c.get("weights")) and w["run"] not in makes}
            needs = sorted({data[d["name"]].output for c in configs for d in runs.corpora(c)} | before)
            title = f"pretrain-{name}" + ("" if method == "contrastive" else f"-{method}")
            parameters = {**where, "pretraining": name}
            pre |= dict.fromkeys(makes, Job(title, PRETRAINING[method], parameters, tuple(needs), makes))
    down = [_down_job(study, where, data, pre, *cell) for cell in _cells(study)]
    ready = tuple(j.output for j in down)
    figures = [
        Job(f"figure-{n}", n, where, ready, tuple(sorted({r for j in down for r in j.makes})))
        for n in study.spec["figures"]
    ]
    return [*data.values(), *{job.name: job for job in pre.values()}.values(), *down, *figures]


def _cells(study: Study) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Yield the filter of each downstream job and the configs of the runs that no earlier one makes.

    One job a pretraining, split further by what the study's `job` names.
    """
    values = {"tasks": study.tasks, "experiments": list(study.spec["experiments"]), "seeds": study.seeds}
    split = {k: lookup(k, values, "part of a job") for k in study.spec.get("job", [])}
    made: set[str] = set()
    for source, *chosen in product(study.pretrainings, *split.values()):
        only = {k: [v] for k, v in zip(split, chosen, strict=True)}
        cell = {"pretraining": source, **{key: [] for key in values}, **only}
        configs = [c for c in study.finetune(**cell) if runs.run_id(c) not in made]
        made |= {runs.run_id(c) for c in configs}
        if configs:
            yield cell, configs


def _down_job(
    study: Study, where: dict, data: dict[str, Job], pre: dict[str, Job], cell: dict[str, Any], configs: list[dict]
) -> Job:
    name = "-".join(["finetune", cell["pretraining"], *cell["tasks"], *cell["experiments"], *map(str, cell["seeds"])])
    needs = {data[c["data"]["name"]].output for c in configs}
    needs |= {pre[w["run"]].output for c in configs if (w := c["weights"]) and "run" in w}
    makes = tuple(runs.run_id(c) for c in configs)
    return Job(name, "20_finetune", {**where, **cell}, tuple(sorted(needs)), makes)


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
            extra_arguments=["--log-level=50"],  # else kernels warn that they talk over TCP and are shut down
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
    job = lookup(name, {j.name: j for j in jobs(study)}, "job")
    output = study.folder / job.output
    if job.notebook:
        execute(job.notebook, job.parameters, output)
        for rid in job.makes if not job.name.startswith("figure-") else ():
            runs.add_notebook(rid, output)
        return output
    from tlkit import pseudolabels
    from tlkit.datasets import prepare

    dataset = job.parameters["dataset"]
    phantom, most = study.phantom_parameters(dataset), study.max_unreadable(dataset)
    for options in study.options(dataset):
        store = prepare(dataset, study.spec["size"], phantom, options, most)
    for settings in study.groupings(dataset):
        pseudolabels.make(dataset, phantom=phantom, max_unreadable=most, **settings)
    output.parent.mkdir(parents=True, exist_ok=True)
    runs.write_json(output, {"store": str(store)})
    return output


def figures(study: Study, cores: int = 0) -> None:
    """Bring the study to its figures with Snakemake: only what is missing runs, on all cores.

    Prints at the end how much of the CPU time the training steps took. Raises SystemExit with Snakemake's status.
    """
    import torch

    cores = cores or check.cores()
    drop_stale(study)
    began, before = time.time(), _cpu()
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(paths.REPO / "Snakefile"),
        "--directory", str(study.folder), "--cores", str(cores), "--rerun-triggers", "mtime", "--rerun-incomplete",
        "--nolock", "--keep-going", "--quiet", "host", "progress", "reason", "rules",
        "--resources", f"gpu={torch.cuda.device_count() or cores}",
        "--config", f"study={study.name}", f"scale={study.scale}", f"data={study.spec['data']}",
    ]  # fmt: skip
    study.folder.mkdir(parents=True, exist_ok=True)
    status = _watch(study, subprocess.Popen(command, env=_environment()), cores)
    _account(study, began, _cpu() - before)
    if status:
        sys.exit(status)


def _watch(study: Study, process: subprocess.Popen, cores: int, every: float = 30) -> int:
    """Wait for the DAG and say now and then how far it is: what happens in a notebook is not seen outside."""
    while True:
        try:
            return process.wait(every)
        except subprocess.TimeoutExpired:
            plan = study.plan()
            states, left = plan["state"].value_counts(), plan.loc[plan["state"] != "done", "minutes"].sum()
            print(
                f"{states.get('done', 0)} of {len(plan)} runs done, {states.get('running', 0)} at work, about "
                f"{left / cores:.0f} minutes of training left",
                flush=True,
            )


def drop_stale(study: Study) -> list[Job]:
    """Take away the outputs of jobs whose runs, stores or figures are gone, so that the DAG makes them again."""
    stale = []
    for job in jobs(study):
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


def _environment() -> dict[str, str]:
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
