"""The DAG of a study: which jobs there are, what each makes, and which others it needs."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, product
from pathlib import Path
from typing import Any

from tlkit import paths, runs
from tlkit.config import file_name, lookup, short_hash
from tlkit.studies import Study

PRETRAINING = {  # method: the notebook that does it
    "contrastive": "10_pretrain_contrastive",
    "classification": "11_pretrain_classification",
    "reconstruction": "12_pretrain_reconstruction",
}
FIGURE = "figure-"


@dataclass(frozen=True)
class Job:
    """One node of the DAG: an executed notebook (or a data step) that makes some runs or figures."""

    name: str
    notebook: str  # stem of a notebook, or "" for a data step
    parameters: dict[str, Any]
    needs: tuple[str, ...] = ()  # outputs of other jobs
    makes: tuple[str, ...] = field(default=())  # run ids; of a figure: the runs that it shows
    gpus: int = 0  # that its runs take, where there are any

    @property
    def output(self) -> str:
        """File name of the job's record, which changes with what the job makes."""
        return f"{file_name(self.name)}-{short_hash([self.name, self.parameters, self.makes])}.json"

    @property
    def is_figure(self) -> bool:
        """Whether the job draws a figure."""
        return self.name.startswith(FIGURE)


def jobs(study: Study) -> list[Job]:
    """Return the DAG: data, pretrainings, downstream runs (grouped as `job` says), figures.

    A figure needs the jobs whose runs it shows, no others. Runs whose real data are not there are in no job; the job
    of such a data set is there, and says what to do when it is done.
    """
    with study.without_data():
        return _jobs(study)


def _jobs(study: Study) -> list[Job]:
    where = {"study": study.name, "scale": study.scale, "data": study.spec["data"]}
    sets = {e["dataset"] for e in study.spec["tasks"].values()}
    sets |= {d for name in study.pretrainings for d in study.corpora(name)}
    steps = [_data_jobs(study, where, name) for name in sorted(sets)]
    data = {found[-1].parameters["dataset"]: found[-1] for found in steps}
    gpus = study.compute("pretrain")["processes"]
    pre: dict[str, Job] = {}  # by run id: a job does all backbones of a pretraining that have one method
    for name, method in product(study.pretrainings, PRETRAINING):
        configs = [c for c in study.pretrain_configs(name, method) if study.has_data(c)]
        if configs:
            makes = tuple(map(runs.run_id, configs))
            before = {pre[w["run"]].output for c in configs if (w := c.get("weights")) and w["run"] not in makes}
            needs = sorted({data[d["name"]].output for c in configs for d in runs.corpora(c)} | before)
            title = f"pretrain-{name}" + ("" if method == "contrastive" else f"-{method}")
            parameters = {**where, "pretraining": name}
            pre |= dict.fromkeys(makes, Job(title, PRETRAINING[method], parameters, tuple(needs), makes, gpus))
    down = [_down_job(study, where, data, pre, *cell) for cell in _cells(study, set(pre))]
    figures = [_figure_job(study, where, data, down, name) for name in study.spec["figures"]]
    return [*chain(*steps), *{job.name: job for job in pre.values()}.values(), *down, *figures]


def _data_jobs(study: Study, where: dict, dataset: str) -> list[Job]:
    """Return the jobs of a data set: the last makes its stores, those before it share the decoding (`shards`).

    The first of these hashes all files, so that the others need not.
    """
    n, parts = study.spec.get("shards", {}).get(dataset, 1), []
    for i in range(n) if n > 1 else ():
        parameters = {**where, "dataset": dataset, "share": (i, n)}
        parts.append(Job(f"data-{dataset}-{i + 1}of{n}", "", parameters, tuple(job.output for job in parts[:1])))
    return [*parts, Job(f"data-{dataset}", "", {**where, "dataset": dataset}, tuple(job.output for job in parts))]


def _cells(study: Study, pretrained: set[str]) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Yield the filter of each downstream job and the configs of the runs that no earlier one makes.

    One job a pretraining, split further by what the study's `job` names. Runs are left out whose data, or whose
    pretraining (not one of the runs `pretrained`), cannot be had.
    """
    values = {"tasks": study.tasks, "experiments": list(study.spec["experiments"]), "seeds": study.seeds}
    split = {k: lookup(k, values, "part of a job") for k in study.spec.get("job", [])}
    made: set[str] = set()
    for source, *chosen in product(study.pretrainings, *split.values()):
        only = {k: [v] for k, v in zip(split, chosen, strict=True)}
        cell = {"pretraining": source, **{key: [] for key in values}, **only}
        found = (c for c in study.finetune(**cell) if study.has_data(c) and _start(c) in (None, *pretrained))
        configs = [c for c in found if runs.run_id(c) not in made]
        made |= {runs.run_id(c) for c in configs}
        if configs:
            yield cell, configs


def _start(config: dict[str, Any]) -> str | None:
    """Return the pretraining run that a downstream run starts from, if it does."""
    return (config["weights"] or {}).get("run")


def _down_job(
    study: Study, where: dict, data: dict[str, Job], pre: dict[str, Job], cell: dict[str, Any], configs: list[dict]
) -> Job:
    name = "-".join(["finetune", cell["pretraining"], *cell["tasks"], *cell["experiments"], *map(str, cell["seeds"])])
    needs = {data[c["data"]["name"]].output for c in configs}
    needs |= {pre[start].output for c in configs if (start := _start(c))}
    makes = tuple(runs.run_id(c) for c in configs)
    there = {"tasks": list(dict.fromkeys(c["task"] for c in configs))} if study.absent else {}
    gpus = study.compute("finetune")["processes"]
    return Job(name, "20_finetune", {**where, **cell, **there}, tuple(sorted(needs)), makes, gpus)


def _figure_job(study: Study, where: dict, data: dict[str, Job], down: list[Job], name: str) -> Job:
    """Return the job of a figure: it needs those that make its runs, and the data where it shows no run."""
    asked = where | ({"make_missing": False} if "make_missing" in read_parameters(name) else {})
    shown = {runs.run_id(config) for _, config in study.shown_configs(name, beside=True)}
    needs = {job.output for job in down if shown & set(job.makes)} or {job.output for job in data.values()}
    return Job(f"{FIGURE}{name}", name, asked, tuple(sorted(needs)), tuple(sorted(shown)))


def notebooks() -> dict[str, Path]:
    """Return every notebook of the project by its stem, in order."""
    return {p.stem: p for p in sorted(paths.NOTEBOOKS.glob("*.ipynb"))}


def read_parameters(name: str) -> dict[str, Any]:
    """Return the parameters of a notebook with their defaults: what its parameters cell sets."""
    book = json.loads(lookup(name, notebooks(), "notebook").read_text(encoding="utf-8"))
    cells = [c for c in book["cells"] if "parameters" in c["metadata"].get("tags", [])]
    statements = (s for cell in cells for s in ast.parse("".join(cell["source"])).body)
    return {s.targets[0].id: ast.literal_eval(s.value) for s in statements}


def find_job(study: Study, name: str) -> Job:
    """Return the job of a study; raise UnknownNameError with the nearest name."""
    return lookup(name, {job.name: job for job in jobs(study)}, "job")
