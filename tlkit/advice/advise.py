"""From a reading to an answer: look, cheap evidence, fine-tuning within the budget, one page."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from tlkit import paths, runs
from tlkit.advice import answer, contract, deciding, evidence, loading, looking, plan, prose, reading
from tlkit.config import ConfigError, NotAvailableError
from tlkit.models import WEIGHTS
from tlkit.models.weight_cards import present
from tlkit.studies import Study
from tlkit.training.data import open_data, task_of

SIZE = 64  # px
Tell = Callable[[str], None]


def advise(
    found: dict[str, Any],
    budget: float,
    weights: Iterable[Path] = (),
    metric: str = "",
    size: int = SIZE,
    tell: Tell = print,
    facts: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the answer for a reading (`understand`), also written as answer.json, .md and .html to its folder.

    `budget` in seconds, for all of it; a run that was begun is ended. `metric` decides ("": the task's own). `facts` of
    `looking.look` at that size, where it was done. What was done before is not done again. Random: by the seeds of the
    study. Raises: as `looking.look`, `plan.write` and `run`.
    """
    start, until = time.monotonic(), time.monotonic() + budget
    if facts is None:
        facts = looking.look(found, size)
        tell("\n".join(looking.lines(facts)))
    study = plan.write(found, facts["n_images"], size, weights, metric)
    tell(f"{len(study.pretrainings)} arms of {study.spec['backbone']}, {budget / 60:.0f} minutes at most:")
    cheap = evidence.cheap(study, tell)
    made, out = evidence.fine_tuned(study, until, tell)
    best = evidence.chosen(made, study)
    told = _answer(study, found, facts, cheap, made, best, out)
    told |= {"budget": budget, "seconds": round(time.monotonic() - start, 1)}
    answer.write(reading.folder_of(found["name"]), told)
    return told | {"said": f"{told['confidence'].upper()}. {prose.headline(contract.checked(told))}"}


def seconds_of(budget: str) -> float:
    """Return the seconds of a budget such as 90s, 10m or 2h; minutes where no unit is named. Raises ConfigError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh]?)\s*", budget)
    if not found:
        raise ConfigError(f"--budget {budget}: expected a time such as 90s, 10m or 2h.")
    return float(found[1]) * {"s": 1, "m": 60, "": 60, "h": 3600}[found[2]]


def _answer(study, found, facts, cheap, made, best, out) -> dict[str, Any]:
    metric, decision = evidence.metric_of(study), None
    if not best.empty:
        config = best["config"].iloc[0]
        job = task_of(config, open_data(config["data"])[1])
        measure = partial(_value, job, metric)
        decision = deciding.decide(best, metric, measure)
        agreement = deciding.agreement(contract.score_table(cheap), best, metric, measure)
    titles, file = study.names(), reading.folder_of(found["name"]) / "study.yaml"
    more = {}
    for arm in [*cheap, *study.pretrainings]:
        mine = made[made["arm"] == arm]
        more[arm] = {"title": titles.get(arm, arm), "minutes": mine["seconds"].sum() / 60 if len(mine) else None}
        if arm in out:
            more[arm]["dropped"] = out[arm]
        if len(mine):
            report = runs.folder(mine["run"].iloc[0]) / "weights.json"
            more[arm]["load"] = runs.read_json(report)["report"] if report.is_file() else None
    told = {
        "name": found["name"],
        "task": found["task"],
        "metric": metric,
        "n_images": facts["n_images"],
        "n_patients": facts["n_patients"],
        "classes": facts["classes"],
        "start_from": decision["leader"] if decision else None,
        "confidence": decision["confidence"] if decision else "open",
        "arms": contract.arms(decision, cheap, more),
        "warnings": facts["warnings"] + _undertrained(study, best),
        "phantom": facts["phantom"],
        "dropped": out,
        "missing": _missing(study),
        "reading": (file.parent / "data.yaml").read_text(encoding="utf-8"),
        "study": file.read_text(encoding="utf-8"),
        "study_file": file.name,
    }
    if decision:
        told |= {k: decision[k] for k in ("why", "splits", "seeds")} | {"n_test_patients": decision["patients"]}
        told |= {"agreement": agreement.to_dict("records")}
        told |= _weights(study, best[best["arm"] == decision["leader"]])
    return told


def _value(job: Any, metric: str, kept: Any) -> float:
    return job.metrics(kept, full=False)[metric]


def _weights(study: Study, runs_: Any) -> dict[str, Any]:
    """Return where the winner's weights are (of its best run in validation), and how to load them."""
    rid = runs_.iloc[0]["run"]
    file = runs.folder(rid) / "model.safetensors"
    try:
        text = loading.loading(file, study.spec["backbone"])
    except NotAvailableError as error:
        text = f"# {error}\n"
    return {"weights_file": file.relative_to(paths.runs_root()).as_posix(), "loading": text}


def _missing(study: Study) -> list[dict[str, Any]]:
    """Return published weights of the same backbone that are not on this machine."""
    wanted = [c for c in WEIGHTS.values() if c.backbone == study.spec["backbone"] and not present(c)]
    return [
        {"name": c.name, "size": f"{c.bytes / 1e6:.0f} MB", "licence": c.licence, "source": c.source} for c in wanted
    ]


def _undertrained(study: Study, best: Any) -> list[dict[str, str]]:
    """Return a warning where most runs were still getting better at their last epoch, or chose the highest rate."""
    if best.empty:
        return []
    told, top = [], max(study.spec["experiments"]["fine_tuning"]["lrs"])
    at_edge = [study.names()[arm] for arm in best["arm"].unique() if evidence.rate_of(best, arm) == top]
    if at_edge:
        told.append(f"{', '.join(at_edge)} did best at the highest rate tried, {top:g}: a higher one may do better.")
    selected = [runs.read_json(runs.folder(rid) / "metrics.json") for rid in best["run"]]
    late = sum(m["best_epoch"] == m["last_epoch"] for m in selected)
    if late > len(selected) / 2:
        told.append(f"{late} of {len(selected)} runs were best at their last epoch: more epochs may change the order.")
    return [{"kind": "undertrained", "text": text} for text in told]
