"""Doing a job: its notebook through papermill, and the record of what came of it."""

from __future__ import annotations

import os
import signal
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tlkit import paths, plugins, runs, stopping
from tlkit.config import NotAvailableError, TlkitError, lookup, nearest
from tlkit.studies import Study
from tlkit.workflow import devices, records
from tlkit.workflow.graph import find_job, notebooks, read_parameters

KERNEL = [
    "--log-level=50",  # else kernels warn that they talk over TCP and are shut down
    "--InlineBackend.print_figure_kwargs={'bbox_inches': None}",  # "tight" draws every picture twice, for its margin
]


class UnknownParameterError(TlkitError, ValueError):
    """A notebook was given a parameter that its parameters cell does not have."""


class NotebookError(TlkitError, RuntimeError):
    """A cell of a notebook stopped with an error of class `kind`; `.notebook` holds what it did until then."""

    def __init__(self, where: str, kind: str, text: str, notebook: Path):
        super().__init__(f"{where} {kind}: {text}\nWhat it did until then is in {notebook}.")
        self.kind, self.cause, self.notebook = kind, f"{kind}: {text}", notebook


def execute(name: str, parameters: dict[str, Any], output: Path) -> Path:
    """Run a notebook of the project with these parameters and leave the executed copy at `output`.

    The copy appears under its name only when every cell has run; until then it is `*.running.ipynb` beside it, and one
    that failed stays there as `*.failed.ipynb`.
    Raises: UnknownParameterError before anything starts; NotebookError from a cell; stopping.Stopped where this
    process, or the notebook, was asked to end, after the notebook has kept what it had reached.
    """
    source, known = lookup(name, notebooks(), "notebook"), read_parameters(name)
    for key in set(parameters) - set(known):
        raise UnknownParameterError(
            f"notebook {name} has no parameter '{key}'.{nearest(key, known)} It has: {', '.join(known)}."
        )
    import papermill

    output.parent.mkdir(parents=True, exist_ok=True)
    part, failed = output.with_suffix(".running.ipynb"), output.with_suffix(".failed.ipynb")
    first = os.environ.get("PYTHONPATH")  # kernels use the tlkit of this checkout, whatever is installed
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(paths.REPO), first]))
    asked = stopping.Asked()
    try:
        with stopping.listening(stopping.pass_on, (signal.SIGTERM,)) as asked, ThreadPoolExecutor(1) as pool:
            # In a thread, as nbclient would take the signals from this one, and kill the kernel.
            done = pool.submit(
                papermill.execute_notebook,
                str(source),
                str(part),
                parameters=parameters,
                cwd=str(paths.NOTEBOOKS),
                kernel_name="python3",
                progress_bar=False,
                log_output=True,
                extra_arguments=KERNEL,
            )
            _wait(done)
    except papermill.PapermillExecutionError as error:
        if asked.to_end or error.ename == stopping.Stopped.__name__:
            raise stopping.Stopped(f"{name} was asked to end; started again, it goes on from what it kept") from error
        where = f"{name} stopped in cell [{error.exec_count}] with"
        raise NotebookError(where, error.ename, error.evalue, part.replace(failed)) from error
    except RuntimeError as error:  # nbclient's DeadKernelError
        asked.kept()  # raises where it was asked to end
        text = f"{str(error).strip()} Mostly for want of memory."
        raise NotebookError(f"the kernel of {name} died:", type(error).__name__, text, part.replace(failed)) from error
    part.replace(output)
    failed.unlink(missing_ok=True)  # of a try before
    return output


def _wait(done: Future) -> None:
    """Wait for a notebook; Ctrl-C, which comes here alone, goes to its kernel."""
    try:
        done.result()
    except KeyboardInterrupt:
        stopping.pass_on(signal.SIGINT)
        raise


def make_job(study: Study, name: str) -> dict[str, Any]:
    """Do one job of the study's DAG, write its record (`records`) and return it.

    A data step's record names its store; a figure that was drawn without some of its runs is "incomplete".
    What cannot be made from these data at all is "not available", and no failure.
    Raises: whatever stopped the job, after the record of its failure was written.
    """
    job = find_job(study, name)
    output = study.folder / job.output
    try:
        if not job.notebook:
            return records.write(output, job.name, store=_prepare(study, job.parameters))
        with devices.lend_gpus(job.gpus):
            executed = execute(job.notebook, job.parameters, output.with_suffix(".ipynb"))
    except NotebookError as error:
        state = "not available" if error.kind == NotAvailableError.__name__ else "failed"
        record = records.write(output, job.name, state, error.cause, str(error.notebook))
        if state == "failed":
            raise
        return record
    except Exception as error:
        records.write(output, job.name, "failed", f"{type(error).__name__}: {error}")
        raise
    if job.is_figure:
        missing = study.of_runs(job.makes).missing_text()
        return records.write(output, job.name, "incomplete" if missing else "done", missing, str(executed))
    for rid in job.makes:
        runs.add_notebook(rid, executed)
    return records.write(output, job.name, notebook=str(executed))


def _prepare(study: Study, parameters: dict[str, Any]) -> str:
    """Make a data set's stores, and the groups that pretrainings learn from it; or a `share` of the decoding alone."""
    from tlkit.datasets import prepare

    name, share = parameters["dataset"], parameters.get("share")
    phantom, most = study.phantom_parameters(name), study.max_unreadable(name)
    for size, options in study.stores(name):
        store = prepare(study.dataset(name), size, phantom, options, most, share)
    for settings in () if share else study.groupings(name):
        plugins.pseudolabels().make(study.dataset(name), phantom=phantom, max_unreadable=most, **settings)
    return str(store)
