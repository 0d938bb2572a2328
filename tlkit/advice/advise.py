"""From a reading to an answer: look, cheap evidence, fine-tuning within the budget, one page."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from tlkit import paths, runs
from tlkit.advice import answer, contract, deciding, loading, looking, plan, probing, prose, reading, tuning
from tlkit.advice.budget import OVER, Budget, OutOfTimeError, decide_length, price_least, promise, stop_after
from tlkit.config import ConfigError, NotAvailableError
from tlkit.datasets.content import looking_once
from tlkit.models import backbone
from tlkit.studies import Study

SIZE = 64  # px
LEAST = 30.0  # seconds that cheap evidence gets of any budget
Tell = Callable[[str], None]


def advise(
    found: dict[str, Any],
    budget: float,
    weights: Iterable[Path] = (),
    metric: str = "",
    size: int = SIZE,
    tell: Tell = print,
    facts: dict[str, Any] | None = None,
    begun: float | None = None,
    **files: Any,
) -> dict[str, Any]:
    """Return the answer for a reading (`understand`), also written as answer.json, .md and .html to its folder.

    `budget` in seconds, for all of it since `begun` (of time.monotonic; now), is exceeded by the writing of the answer
    at most: the last run is stopped then, to go on another time. `metric` decides ("": the task's own). `facts` of
    `looking.look` at that size, where it was done. `files` are what `plan.write` is told of the weights files: network,
    prefix, partial. What was done before is not done again. Random: by the seeds of the study. Raises: as
    `looking.look`, `plan.write` and `run`; ConfigError for too few images.
    """
    begun = time.monotonic() if begun is None else begun
    with looking_once():
        if facts is None:
            facts = looking.look(found, size)
            tell("\n".join(looking.lines(facts)))
        study, clock, images = _planned(found, facts, budget, begun, tell, (size, weights, metric), files)
        out = tuning.pretrain(study, clock, tell)
        cheap = _cheap(study, clock, tell, images, out)
        done = tuning.Tuning(study, clock, tell, out)
        done.do()
        told = _answer(study, found, facts, cheap, done, clock)
    told |= {"budget": budget, "seconds": round(time.monotonic() - begun, 1)}
    answer.write(reading.folder_of(found["name"]), told)
    return told | {"said": f"{told['confidence'].upper()}. {prose.headline(contract.check_answer(told))}"}


def _planned(found, facts, budget, begun, tell, asked, files) -> tuple[Study, Budget, int]:
    """Return the study with as many epochs as the budget holds, the budget, and the images that encoders see."""
    study = plan.write(found, facts["n_images"], *asked, tell=tell, **files)
    wanted = study.finetune(seeds=study.seeds[:1])[0]["recipe"]["epochs"]
    clock, epochs, images = decide_length(study, budget, begun)
    if epochs < wanted:
        study = plan.shorten(study, epochs)
    tell(promise(study, clock, images, wanted))
    return study, clock, images


def _cheap(study: Study, clock: Budget, tell: Tell, images: int, out: dict[str, str]) -> probing.Told:
    """Return the cheap evidence that is there when the time is up, which is LEAST seconds at least."""
    found: probing.Told = {}
    try:
        with stop_after(max(clock.left + OVER * clock.seconds, LEAST)):
            probing.score_arms(study, tell, images, out, found)
    except OutOfTimeError:
        tell("  The time is up: frozen features of the other arms were not scored. A larger --budget does.")
    return found


def seconds_of(budget: str) -> float:
    """Return the seconds of a budget such as 90s, 10m or 2h; minutes where no unit is named. Raises ConfigError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh]?)\s*", budget)
    if not found:
        raise ConfigError(f"--budget {budget}: expected a time such as 90s, 10m or 2h.")
    return float(found[1]) * {"s": 1, "m": 60, "": 60, "h": 3600}[found[2]]


def _answer(study, found, facts, cheap, done, clock) -> dict[str, Any]:
    metric, decision, made = probing.metric_of(study), None, done.runs
    best = tuning.choose_runs(made, study)
    if not best.empty:
        decision = deciding.decide(best, metric, done.measure, names=study.names())
        agreement = deciding.agreement(contract.score_table(cheap), best, metric, done.measure)
    titles, file = study.names(), reading.folder_of(found["name"]) / "study.yaml"
    if done.made:
        plan.rewrite(file, done.experiments(), tuning.CURVE, [row["config"] for row in done.made])
    more = {}
    for arm in [*cheap, *study.pretrainings]:
        mine = made[made["arm"] == arm]
        more[arm] = {"title": titles.get(arm, arm), "minutes": mine["seconds"].sum() / 60 if len(mine) else None}
        if arm in study.pretrainings:
            more[arm]["mb"] = _megabytes(study.backbones(arm)[0])
        if arm in done.out:
            more[arm]["dropped"] = done.out[arm]
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
        "warnings": facts["warnings"] + _undertrained(study, done, best),
        "phantom": facts["phantom"],
        "frozen_of": next(({k: c[k] for k in ("images", "patients")} for c in cheap.values() if c), None),
        "dropped": done.out,
        "missing": plan.missing(study),
        "curve": done.curve(),
        "reading": (file.parent / "data.yaml").read_text(encoding="utf-8"),
        "study": file.read_text(encoding="utf-8"),
        "study_file": file.name,
    }
    if decision:
        told |= {k: decision[k] for k in ("why", "splits", "seeds")} | {"n_test_patients": decision["patients"]}
        told |= {"agreement": agreement.to_dict("records")}
        told |= _weights(study, best[best["arm"] == decision["leader"]])
    if prose.probe_is_as_good(told):
        text = (
            "a linear probe of frozen features does as well as the best fine-tuning: more epochs, or other rates, may "
        )
        told["warnings"].append({"kind": "undertrained", "text": f"{text}change the order."})
    if not decision or any(arm["runs"] < deciding.LEAST_RUNS for arm in decision["arms"]):
        helps = f"--budget {price_least(study, clock) / 60:.0f}m would do for two runs of each arm"
        told["why"] = f"{told['why']}; {helps}" if decision else f"there was no time for any fine-tuning; {helps}"
    return told


def _megabytes(name: str) -> float:
    """Return the size of an encoder's tensors in MB, without memory for them."""
    with torch.device("meta"):
        encoder = backbone(name)
    return sum(t.numel() * t.element_size() for t in encoder.state_dict().values()) / 1e6


def _weights(study: Study, runs_: Any) -> dict[str, Any]:
    """Return where the winner's weights are (of its best run in validation), and how to load them."""
    rid, config = runs_.iloc[0][["run", "config"]]
    file = runs.folder(rid) / "model.safetensors"
    try:
        text = loading.write_code(file, config["backbone"], config=config)
    except NotAvailableError as error:
        text = f"# {error}\n"
    return {"weights_file": file.relative_to(paths.runs_root()).as_posix(), "loading": text}


def _undertrained(study: Study, done: tuning.Tuning, best: Any) -> list[dict[str, str]]:
    """Return warnings where arms did best at a rate with none beyond it, or most runs at their last epoch."""
    if best.empty:
        return []
    told, names = [], study.names()
    for (rate, edge), arms in done.at_edge().items():
        beyond = f"a {'higher' if edge == 'highest' else 'lower'} one may do better"
        listed = ", ".join(names[arm] for arm in arms)
        told.append(
            f"{listed}: no rate but {rate:g} was tried, others may do better."
            if edge == "only"
            else f"{listed} did best at the {edge} rate tried, {rate:g}: {beyond}."
        )
    selected = [runs.read_metrics(rid) for rid in best["run"]]
    late = sum(m["best_epoch"] == m["last_epoch"] for m in selected)
    if late > len(selected) / 2:
        told.append(f"{late} of {len(selected)} runs were best at their last epoch: more epochs may change the order.")
    return [{"kind": "undertrained", "text": text} for text in told]
