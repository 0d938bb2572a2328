"""Which runs the pictures of a figure show."""

from __future__ import annotations

from collections.abc import Iterable

from tlkit.config import ConfigError, lookup
from tlkit.figures import rates
from tlkit.studies import Shown


def chosen_runs(shown: Shown, task: str, pretrainings: Iterable[str]) -> dict[str, str]:
    """Return the run of each pretraining that the pictures of a figure show: pretraining -> run.

    It is the run at the learning rate that validation chose for the pretraining (`rates.choose_rates`), of the first
    seed of the study that all of them have. Raises UnknownNameError for a task that the figure does not show,
    ConfigError where runs are missing.
    """
    study, wanted = shown.study, list(pretrainings)
    lookup(task, dict.fromkeys(shown.tasks()), "task")
    results = shown.rows(study.results())
    results = results[(results["task"] == task) & results["pretraining"].isin(wanted)]
    if missing := [p for p in wanted if p not in set(results["pretraining"])]:
        raise ConfigError(
            f"{study.name}: no run of {task} from {', '.join(missing)} is done. `make plan` lists the "
            "missing runs and `make figures` makes them."
        )
    best, _ = rates.choose_rates(results, study.monitors())
    best = best.drop_duplicates("run").set_index(["pretraining", "seed"])["run"]
    shared = [s for s in study.seeds if all((p, s) in best.index for p in wanted)]
    if not shared:
        raise ConfigError(f"{study.name}, {task}: no seed is done from all of {', '.join(wanted)}.")
    return {p: best[p, shared[0]] for p in wanted}
