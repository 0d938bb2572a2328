"""Doing the runs of a study here, one after the other."""

from __future__ import annotations

from typing import Any

from tlkit import runs
from tlkit.config import NotAvailableError, TlkitError
from tlkit.studies.configs import StudyRuns


class RunsFailedError(TlkitError, RuntimeError):
    """Some runs stopped with an error; the others are done. `.causes` holds the error of each by its id."""

    def __init__(self, causes: dict[str, Exception]):
        alike: dict[str, list[str]] = {}
        for rid, error in causes.items():
            alike.setdefault(f"{type(error).__name__}: {error}", []).append(rid)
        lines = [f"{len(ids)} run{'s' * (len(ids) > 1)} failed, {ids[0]} first: {why}" for why, ids in alike.items()]
        super().__init__("\n".join(lines))
        self.causes = causes


def run_all(configs: list[dict[str, Any]], study: StudyRuns) -> list[str]:
    """Do the runs of `configs`, each after the pretrainings that it starts from, and return the ids of those done.

    What is done is not done again; a run that another process works on is waited for. A run that fails costs those
    that start from it, no others: all the others are done first, then RunsFailedError names what failed. What cannot
    be made from these data at all is no failure: it is said, and left out. NotAvailableError where nothing is left.
    """
    from tlkit.datasets.content import looking_once
    from tlkit.training.run import run

    problems: dict[str, Exception] = {}
    with looking_once():  # the data of a study are those of most of its runs
        for config in configs:
            for needed in [*study.lineage(config["pretraining"], config["backbone"], config["seed"]), config]:
                rid = runs.run_id(needed)
                if rid not in problems and not runs.state_is_done(rid):
                    try:
                        run(needed, wait=True)
                    except Exception as error:
                        problems[rid] = error
                if rid in problems:
                    problems.setdefault(runs.run_id(config), problems[rid])
                    break
    failed = {rid: error for rid, error in problems.items() if not isinstance(error, NotAvailableError)}
    if failed:
        raise RunsFailedError(failed)
    done = [rid for rid in map(runs.run_id, configs) if rid not in problems]
    if problems and not done:
        raise next(iter(problems.values()))
    for error in dict.fromkeys(problems.values()):
        print(f"not available: {error}")
    return done
