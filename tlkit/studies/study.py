"""A study at one scale: its runs, what is left of them, and their results."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import pandas as pd

from tlkit import runs
from tlkit.config import NotAvailableError, TlkitError
from tlkit.datasets.copies import say_of_test
from tlkit.doubts import MARK
from tlkit.names import NAMES, Names, sign
from tlkit.stats import convergence, nested
from tlkit.stats.adjusted import SizeAdjustment
from tlkit.studies import plans, studyfile
from tlkit.studies.configs import StudyRuns, recipe_dict
from tlkit.training.tasks import TASKS

HISTORY = [
    "experiment", "run", "mode", "task", "pretraining", "fraction", "seed", "peak_lr", "epoch", "samples", "loss",
]  # fmt: skip


class Shown:
    """The runs that a figure shows, and what of them is not there.

    `.table` has one row a run and experiment: experiment, run, task, pretraining, seed, state, cause. A run counts as
    "not available" where the pretraining that it starts from is; its cause is then that of the pretraining.
    """

    def __init__(self, study: Study, configs: list[tuple[str, dict[str, Any]]]):
        self.names = study.names()
        lineage, look = cache(study.lineage), cache(runs.state_and_cause)  # many runs start from one pretraining
        rows = []
        with study.without_data():
            chains = [lineage(config["pretraining"], config["backbone"]) for _, config in configs]
        for (experiment, config), before in zip(configs, chains, strict=True):
            needed = [*map(runs.run_id, before), runs.run_id(config)]
            found = [look(rid) for rid in needed]
            state, cause = next((f for f in found[:-1] if f[0] == "not available"), found[-1])
            row = {"experiment": experiment, "run": needed[-1]}
            row |= {k: config.get(k, "") for k in ("task", "pretraining", "seed")}
            rows.append(row | {"state": state, "cause": cause.partition("\n")[0]})
        columns = ["experiment", "run", "task", "pretraining", "seed", "state", "cause"]
        self.table = pd.DataFrame(rows, columns=columns)
        self.doubted = study.doubts_note(self.table["pretraining"].unique())

    def done(self) -> list[str]:
        """Return the ids of the runs that are there, each once."""
        return sorted(set(self.table.loc[self.table["state"] == "done", "run"]))

    def arms(self) -> list[str]:
        """Return the pretrainings with a finished run of every task, in the order in which they were asked for."""
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
        """Return the pretrainings that cannot be made from these data: one row a task; task, pretraining, cause."""
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
        facts = {task: runs.read_json(runs.folder(rid) / "metrics.json") for task, rid in first.items()}
        told = {task: say_of_test(f) for task, f in facts.items() if "test_copies" in f}
        return [f"{self.names[task]}: {text}." for task, text in told.items() if text]


class RunsFailedError(TlkitError, RuntimeError):
    """Some runs stopped with an error; the others are done. `.causes` holds the error of each by its id."""

    def __init__(self, causes: dict[str, Exception]):
        alike: dict[str, list[str]] = {}
        for rid, error in causes.items():
            alike.setdefault(f"{type(error).__name__}: {error}", []).append(rid)
        lines = [f"{len(ids)} run{'s' * (len(ids) > 1)} failed, {ids[0]} first: {why}" for why, ids in alike.items()]
        super().__init__("\n".join(lines))
        self.causes = causes


def load(name: str, scale: str = "quick", data: str = "") -> Study:
    """Return the study `name` at `scale`; `data` ("phantom" or "real") overrides what the scale says.

    Raises: as `studyfile.read` does.
    """
    return Study(name, scale, studyfile.read(name, scale, data))


class Study(StudyRuns):
    """A study at one scale: its runs, what is left of them, and their results. `graph.jobs` orders the runs."""

    def plan(self) -> pd.DataFrame:
        """Return one row a run with its state and minutes: `plans.plan`."""
        return plans.plan(self)

    def missing(self) -> pd.DataFrame:
        """Return the rows of `plan()` that are not done."""
        plan = self.plan()
        return plan[plan["state"] != "done"].reset_index(drop=True)

    def shown_configs(
        self,
        experiments: Iterable[str],
        tasks: Iterable[str] = (),
        pretrainings: Iterable[str] = (),
        seeds: Iterable[int] = (),
    ) -> list[tuple[str, dict[str, Any]]]:
        """Return (experiment, config) of the runs that a figure shows, by `known` names; none without experiments."""
        wanted = {"task": self.known("tasks", tasks), "pretraining": self.known("pretrainings", pretrainings)}
        wanted["seed"] = [*seeds]
        there = self.known("experiments", experiments)
        with self.without_data():
            found = self.downstream(experiments=there) if there else []
        return [(e, c) for e, c in found if all(not some or c[key] in some for key, some in wanted.items())]

    def known(self, part: str, names: Iterable[str]) -> list[str]:
        """Return the tasks, pretrainings or experiments (`part`) that the study has of those that a figure names.

        A study of somebody's own that has none of them shows all that it has; so a figure's notebook runs on it.
        """
        names = [*names]
        return [name for name in names if name in self.spec[part]] or (list(self.spec[part]) if names else [])

    def shown(self, experiments, tasks=(), pretrainings=(), seeds=()) -> Shown:
        """Return the runs that a figure shows (`shown_configs`), each with its state."""
        return Shown(self, self.shown_configs(experiments, tasks, pretrainings, seeds))

    def saved(self, notebook: str, shown: Shown) -> dict[str, Any]:
        """Return what the files of a figure say about it besides its runs: `report.save_figure`'s arguments.

        The note ends every caption: which runs are missing, and what the number of pretraining runs leaves open.
        """
        about = {"study": self.name, "notebook": notebook, "scale": self.scale, "phantom": self.phantom}
        told = [shown.note(), nested.sentence(shown.table, self.arms(), shown.names)]
        return about | {"note": " ".join(filter(None, told))}

    def of_runs(self, ids: Iterable[str]) -> Shown:
        """Return runs of the study by their ids, each with its state."""
        ids = set(ids)
        with self.without_data():
            wanted = [("", config) for config in self.configs() if runs.run_id(config) in ids]
        return Shown(self, wanted)

    def statuses(self, since: float) -> list[dict[str, Any]]:
        """Return the status of the finished runs that were finished after `since` (seconds since 1970)."""
        with self.without_data():
            configs = self.configs()
        done = (rid for rid in map(runs.run_id, configs) if runs.state_is_done(rid))
        paths = (runs.folder(rid) / "status.json" for rid in done)
        return [runs.read_json(path) for path in paths if path.stat().st_mtime >= since]

    def monitors(self) -> dict[str, tuple[str, int]]:
        """Return, for each task, the validation metric that selects, and 1 or -1 where less of it is better."""
        found = {}
        for task, entry in self.spec["tasks"].items():
            metric = recipe_dict(entry["recipe"])["monitor"] or TASKS[self._card(task).task].monitor
            found[task] = (metric, sign(metric))
        return found

    def results(self) -> pd.DataFrame:
        """Return the test metrics of the study's finished runs: study, experiment, and `runs.read_all`'s columns."""
        with self.without_data():
            pairs = [(experiment, runs.run_id(config)) for experiment, config in self.downstream()]
        tagged = pd.DataFrame(pairs, columns=["experiment", "run"]).drop_duplicates()
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
        with self.without_data():
            pairs = self.downstream()
        for experiment, config in pairs:
            rid = runs.run_id(config)
            if runs.state_is_done(rid):
                head = {k: config[k] for k in ("mode", "task", "pretraining", "fraction", "seed")}
                epochs = runs.history(rid)
                seen = (epochs["epoch"] + 1) * _images_an_epoch(rid, config)
                head |= {"samples": seen, "peak_lr": config["recipe"]["lr"]}
                parts.append(epochs.assign(experiment=experiment, run=rid, **head))
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=HISTORY)

    @property
    def curves(self) -> pd.DataFrame:
        """The mean training loss by images seen of each cell: `convergence.mean_curves` of the history."""
        return convergence.mean_curves(self.history())

    def size_adjustment(self) -> SizeAdjustment | None:
        """Return how to estimate RadNet pretraining at another size; None where the study lacks either corpus.

        A corpus is as large as its `corpus` says, else as its `images`: those trained on, without val and test.
        """
        parents = [self.spec["pretrainings"].get(name, {}) for name in SizeAdjustment.parents]
        corpora = [parent.get("corpus", parent.get("images")) for parent in parents]
        return SizeAdjustment(*corpora) if all(corpora) else None

    def arms(self) -> dict[str, str]:
        """Return the arm of each pretraining but random weights: `nested.arms`."""
        return nested.arms(self.spec["pretrainings"])

    def names(self) -> Names:
        """Return display names: pretrainings, tasks and experiments by their `title`, Dice by the name of its class.

        A pretraining of `doubts` has a mark, unless a task has the same name; `doubts_note` says why.
        """
        titled = Names(NAMES)
        for table in (self.spec["pretrainings"], self.spec["tasks"], self.spec["experiments"]):
            titled |= {k: v["title"] for k, v in table.items() if "title" in v}
        for task in self.tasks:
            card = self._card(task)
            parts = card.options.get("regions", card.classes[1:])
            titled |= {f"{task}/dice_{i}": f"Dice, {part}" for i, part in enumerate(parts, 1)}
        unsure = {name for name, _ in self.doubts()}.difference(self.spec["tasks"], self.spec["experiments"])
        titled |= {name: f"{titled[name]} {MARK}" for name in unsure}
        return titled

    def doubts(self) -> dict[tuple[str, str], str]:
        """Return why finished pretrainings are in doubt (`doubts.doubt`), by (pretraining, backbone)."""
        with self.without_data():
            made = {(c["pretraining"], c["backbone"]): runs.run_id(c) for c in self.pretrain_configs()}
        return {key: why for key, rid in made.items() if (why := runs.doubt_of(rid))}

    def doubts_note(self, pretrainings: Iterable[str] = ()) -> str:
        """Return what a caption says about the marks of some pretrainings (all where none is named); "" without any."""
        wanted, names = set(pretrainings) or set(self.pretrainings), self.names()
        told = [f"{names[name]} with {b}: {why}" for (name, b), why in self.doubts().items() if name in wanted]
        return f"Pretraining in doubt: {'; '.join(told)}." if told else ""


def _images_an_epoch(rid: str, config: dict[str, Any]) -> float:
    """Return the images that a finished run saw in an epoch: those planned, or where nobody could tell, those there."""
    try:
        return plans.passes(config) / config["recipe"]["epochs"]
    except TlkitError:
        return runs.read_json(runs.folder(rid) / "metrics.json")["images"]


def run_all(configs: list[dict[str, Any]], study: Study) -> list[str]:
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
            for needed in [*study.lineage(config["pretraining"], config["backbone"]), config]:
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
