"""The runs that a figure shows, and what its files say of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import pandas as pd

from tlkit import runs
from tlkit.config import ConfigError
from tlkit.datasets.copies import say_of_test
from tlkit.studies.arms import say_arms
from tlkit.studies.schema import Figure


class Shown:
    """The runs that a figure shows, and what of them is not there. `.asked`: what the study file says of the figure.

    `.table` has one row per run and experiment: experiment, run, task, pretraining, seed, backbone, state, cause. A run
    counts as "not available" where the pretraining that it starts from is; its cause is then that of the pretraining.
    """

    def __init__(self, study: Any, configs: list[tuple[str, dict[str, Any]]], notebook: str = ""):
        self.study, self.notebook, self.names = study, notebook, study.names()
        self.asked = study.figure(notebook) if notebook else Figure()
        lineage, look = cache(study.lineage), cache(runs.state_and_cause)  # many runs start from one pretraining
        rows = []
        with study.without_data():
            chains = [lineage(*(config[k] for k in ("pretraining", "backbone", "seed"))) for _, config in configs]
        for (experiment, config), before in zip(configs, chains, strict=True):
            needed = [*map(runs.run_id, before), runs.run_id(config)]
            found = [look(rid) for rid in needed]
            state, cause = next((f for f in found[:-1] if f[0] == "not available"), found[-1])
            row = {"experiment": experiment, "run": needed[-1]}
            row |= {k: config.get(k, "") for k in ("task", "pretraining", "seed", "backbone")}
            rows.append(row | {"state": state, "cause": cause.partition("\n")[0]})
        columns = ["experiment", "run", "task", "pretraining", "seed", "backbone", "state", "cause"]
        self.table = pd.DataFrame(rows, columns=columns)
        self.doubted = study.doubts_note(self.table["pretraining"].unique())

    def rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a frame (of `results`, `headline` or `history`) that belong to the runs shown.

        Raises: ConfigError where none does.
        """
        shown = self.table[["experiment", "run"]].drop_duplicates()
        found = frame if frame.empty else frame.merge(shown, on=["experiment", "run"])
        return self._not_none(found, found.empty)

    def _not_none(self, found: Any, none: bool) -> Any:
        if none:
            raise ConfigError(
                f"{self.study.name} at {self.study.scale}: of the {self.table['run'].nunique()} runs that "
                f"{self.notebook} shows none is done. `make plan` lists them, and `make figures` makes them."
            )
        return found

    def done(self) -> list[str]:
        """Return the ids of the runs that are there, each once, as in the study file. Raises: ConfigError for none."""
        found = list(dict.fromkeys(self.table.loc[self.table["state"] == "done", "run"]))
        return self._not_none(found, not found)

    def tasks(self) -> list[str]:
        """Return the tasks, in the order of the study file."""
        return self.asked.tasks or list(self.table["task"].unique())

    def arms(self) -> list[str]:
        """Return the pretrainings with a finished run of every task, in the order of the experiments."""
        done = self.table[self.table["state"] == "done"].groupby("pretraining")["task"].nunique()
        every = self.table["task"].nunique()
        return [name for name in self.table["pretraining"].unique() if done.get(name, 0) == every]

    def missing(self) -> pd.DataFrame:
        """Return the rows of the runs that are neither done nor impossible with these data, each run once."""
        return self.table[~self.table["state"].isin(["done", "not available"])].drop_duplicates("run")

    def missing_text(self) -> str:
        """Return how many runs are missing, and of what; "" where none is."""
        missing = self.missing()
        if missing.empty:
            return ""
        counts = missing.groupby("pretraining", sort=False)["run"].nunique()
        parts = ", ".join(f"{count} from {self.names[name]}" for name, count in counts.items())
        return f"Missing: {len(missing)} of {self.table['run'].nunique()} runs ({parts})."

    def unavailable(self) -> pd.DataFrame:
        """Return the pretrainings that cannot be made from these data: one row per task; task, pretraining, cause."""
        absent = self.table[self.table["state"] == "not available"].drop_duplicates(["task", "pretraining"])
        return absent[["task", "pretraining", "cause"]].reset_index(drop=True)

    def note(self) -> str:
        """Return what a caption has to say: runs that are not in the figure, pretrainings in doubt, copies."""
        absent = self.unavailable().drop_duplicates("pretraining")
        told = [f"{self.names[row.pretraining]} is not available ({row.cause})." for row in absent.itertuples()]
        return " ".join(filter(None, [self.missing_text(), *told, self.doubted, *self.copies_text()]))

    def copies_text(self) -> list[str]:
        """Return a sentence for each task whose test images have copies before them, or lost some that had."""
        first = self.table[self.table["state"] == "done"].drop_duplicates("task").set_index("task")["run"]
        facts = {task: runs.read_metrics(rid) for task, rid in first.items()}
        told = {task: say_of_test(f) for task, f in facts.items() if "test_copies" in f}
        return [f"{self.names[task]}: {text}." for task, text in told.items() if text]

    def stand_ins(self, tasks: Iterable[str] = ()) -> str:
        """Return a sentence on the tasks (all where none is named) whose backbone is not the published `architecture`.

        "" where no task has one. resnet10 for DenseNet-121 is such a stand-in, timm's densenet121 is none.
        """
        tasks = list(dict.fromkeys(tasks)) or self.tasks()
        entries = {task: self.study.spec["tasks"][task] for task in tasks}
        replaced: dict[str, list[str]] = {}
        for task, entry in entries.items():
            if backbone := stand_in(self.study.spec, task):
                replaced.setdefault(backbone, []).append(entry.get("title", task))
        if not replaced:
            named = any("architecture" in entry for entry in entries.values())
            return "Every network is the one that its task is named after." if named else ""
        every = len(replaced) == 1 and len(tasks) == len(*replaced.values())
        who = [f"{backbone} for {'all of them' if every else ' / '.join(of)}" for backbone, of in replaced.items()]
        return f"Small backbones stand in for the published architectures: {'; '.join(who)}."

    def saved(self) -> dict[str, Any]:
        """Return what the files of the figure say about it besides its runs: `report.save_figure`'s arguments.

        The note ends every caption: which runs are missing, and what the number of pretraining runs leaves open.
        """
        about = {"study": self.study.name, "notebook": self.notebook, "scale": self.study.scale}
        told = [self.note(), say_arms(self.table, self.study.arms(), self.names)]
        trained = self.table.loc[self.table["state"] == "done", "backbone"].map(plain_name).unique()
        about |= {"networks": ", ".join(trained)}
        return about | {"phantom": self.study.phantom, "note": " ".join(filter(None, told))}


def stand_in(spec: Mapping[str, Any], task: str) -> str:
    """Return the backbone of a task where it is not the published `architecture`; "" where it is, or none is named."""
    entry = spec["tasks"][task]
    backbone = plain_name(entry.get("backbone", spec["backbone"]))
    return "" if _plain(entry.get("architecture", "")) in _plain(backbone) else backbone


def plain_name(backbone: str) -> str:
    """Return a backbone without the library that it is from."""
    return backbone.removeprefix("torchvision/")


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())
