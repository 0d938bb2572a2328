"""Studies: the runs of `paper/studies/<name>.yaml` at one scale, what is left of them, and their results."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tlkit import plans, runs, studyfile
from tlkit.analysis import convergence
from tlkit.analysis.adjusted import SizeAdjustment
from tlkit.config import Names
from tlkit.report.style import NAMES
from tlkit.studyruns import StudyRuns, recipe_dict
from tlkit.training.tasks import TASKS, sign

HISTORY = [
    "experiment", "run", "mode", "task", "pretraining", "fraction", "seed", "peak_lr", "epoch", "samples", "loss",
]  # fmt: skip


def load(name: str, scale: str = "quick", data: str = "") -> Study:
    """Return the study `name` at `scale`; `data` ("phantom" or "real") overrides what the scale says.

    Raises: as `studyfile.read` does.
    """
    return Study(name, scale, studyfile.read(name, scale, data))


class Study(StudyRuns):
    """A study at one scale: its runs, what is left of them, and their results. `workflow.jobs` orders the runs."""

    def plan(self) -> pd.DataFrame:
        """Return one row a run with its state and minutes: `plans.plan`."""
        return plans.plan(self)

    def missing(self) -> pd.DataFrame:
        """Return the rows of `plan()` that are not done."""
        plan = self.plan()
        return plan[plan["state"] != "done"].reset_index(drop=True)

    def monitors(self) -> dict[str, tuple[str, int]]:
        """Return, for each task, the validation metric that selects, and 1 or -1 where less of it is better."""
        found = {}
        for task, entry in self.spec["tasks"].items():
            metric = recipe_dict(entry["recipe"])["monitor"] or TASKS[self._card(task).task].monitor
            found[task] = (metric, sign(metric))
        return found

    def results(self) -> pd.DataFrame:
        """Return the test metrics of the study's finished runs: study, experiment, and `runs.read_all`'s columns."""
        tagged = pd.DataFrame(
            [(e, runs.run_id(c)) for e, c in self.downstream()], columns=["experiment", "run"]
        ).drop_duplicates()
        values = runs.read_all(tagged["run"].unique().tolist())
        found = tagged.merge(values, on="run")
        found.insert(0, "study", self.name)
        return found

    def headline(self) -> pd.DataFrame:
        """Return the rows of `results()` that the papers' figures show: the `reported` metrics of each task kind."""
        results = self.results()
        shown = [(t, m) for t in self.tasks for m in TASKS[self._card(t).task].reported]
        return results[pd.MultiIndex.from_frame(results[["task", "metric"]]).isin(shown)].reset_index(drop=True)

    def history(self) -> pd.DataFrame:
        """Return the epochs of the study's finished downstream runs, one row a run and epoch.

        Columns: experiment, run, mode, task, pretraining, fraction, seed, peak_lr (of the recipe), and those of
        `runs.history`, with samples: the images seen until the end of the epoch.
        """
        parts = []
        for experiment, config in self.downstream():
            rid = runs.run_id(config)
            if runs.state_is_done(rid):
                head = {k: config[k] for k in ("mode", "task", "pretraining", "fraction", "seed")}
                epochs = runs.history(rid)
                seen = (epochs["epoch"] + 1) * plans.passes(config) / config["recipe"]["epochs"]
                head |= {"samples": seen, "peak_lr": config["recipe"]["lr"]}
                parts.append(epochs.assign(experiment=experiment, run=rid, **head))
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=HISTORY)

    @property
    def curves(self) -> pd.DataFrame:
        """The mean training loss by images seen of each cell: `convergence.mean_curves` of the history."""
        return convergence.mean_curves(self.history())

    def size_adjustment(self) -> SizeAdjustment | None:
        """Return how to estimate RadNet pretraining at another size; None where the study lacks either corpus."""
        corpora = [self.spec["pretrainings"].get(name, {}).get("images") for name in SizeAdjustment.parents]
        return SizeAdjustment(*corpora) if all(corpora) else None

    def names(self) -> Names:
        """Return display names: pretrainings, tasks and experiments by their `title`, Dice by the name of its class."""
        titled = Names(NAMES)
        for table in (self.spec["pretrainings"], self.spec["tasks"], self.spec["experiments"]):
            titled |= {k: v["title"] for k, v in table.items() if "title" in v}
        for task in self.tasks:
            card = self._card(task)
            parts = card.options.get("regions", card.classes[1:])
            titled |= {f"{task}/dice_{i}": f"Dice, {part}" for i, part in enumerate(parts, 1)}
        return titled


def run_all(configs: list[dict[str, Any]], study: Study) -> list[str]:
    """Do the runs of `configs`, each after the pretraining it starts from, and return their ids.

    What is done is not done again; a run that another process works on is waited for.
    """
    from tlkit.training.run import run

    for config in configs:
        for needed in [*study.lineage(config["pretraining"], config["backbone"]), config]:
            if not runs.state_is_done(runs.run_id(needed)):
                run(needed, wait=True)
    return [runs.run_id(config) for config in configs]
