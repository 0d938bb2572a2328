"""A study whose jobs are done without any training, for tests of what comes after."""

from __future__ import annotations

from tlkit import paths, runs
from tlkit.studies import Study
from tlkit.workflow import graph, records


def finish(study: Study, *ids: str) -> None:
    """Mark runs of the study as done, all of them where none is named."""
    for config in study.configs():
        if runs.run_id(config) in ids or not ids:
            with runs.claim(config) as run:
                if run:
                    runs.finish(run, {"accuracy": 0.5}, seconds=1, train_cpu_seconds=2.0)


def all_done(study: Study) -> dict[str, graph.Job]:
    """Leave everything as a finished study leaves it, and return its jobs by name."""
    finish(study)
    jobs = {job.name: job for job in graph.jobs(study)}
    for job in jobs.values():
        store = paths.store_root() / job.name
        if not job.notebook:
            store.mkdir(parents=True)
        records.write(study.folder / job.output, job.name, store=str(store))
    for job in (job for job in jobs.values() if job.is_figure):
        folder = paths.paper_root() / "figures" / study.name / study.scale
        folder.mkdir(parents=True, exist_ok=True)
        facts = {"notebook": job.notebook, "scale": study.scale, "phantom": study.phantom, "runs": job.makes[:3]}
        runs.write_json(folder / f"{job.notebook.split('_')[1]}.json", facts)
    return jobs
