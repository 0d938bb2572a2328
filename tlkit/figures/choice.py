"""Which runs the pictures of a study show."""

from __future__ import annotations

from collections.abc import Iterable

from tlkit.config import ConfigError, lookup
from tlkit.stats import rates
from tlkit.studies import Study


def chosen_runs(
    study: Study, task: str, pretrainings: Iterable[str], experiments: Iterable[str] = ("main",)
) -> dict[str, str]:
    """Return the run of each pretraining that the pictures of a study show: pretraining -> run.

    It is the run at the learning rate that validation chose for the pretraining (`rates.chosen`), of the first seed of
    the study that all of them have. Raises UnknownNameError for a task that the study does not have, ConfigError where
    runs are missing.
    """
    wanted, experiments = list(pretrainings), list(experiments)
    where = f"{study.name}, {', '.join(experiments)}"
    lookup(task, dict.fromkeys(study.tasks), "task")
    results = study.results()
    here = (results["task"] == task) & results["experiment"].isin(experiments)
    results = results[here & results["pretraining"].isin(wanted)]
    if missing := [p for p in wanted if p not in set(results["pretraining"])]:
        raise ConfigError(
            f"{where}: no run of {task} from {', '.join(missing)} is done. `make plan` lists the "
            "missing runs and `make figures` makes them."
        )
    best = rates.chosen(results, study.monitors())[0].drop_duplicates("run").set_index(["pretraining", "seed"])["run"]
    shared = [s for s in study.seeds if all((p, s) in best.index for p in wanted)]
    if not shared:
        raise ConfigError(f"{where}, {task}: no seed is done from all of {', '.join(wanted)}.")
    return {p: best[p, shared[0]] for p in wanted}
