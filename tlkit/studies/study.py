"""A study at one scale: its runs, what is left of them, and their results."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

import pandas as pd

from tlkit import runs
from tlkit.config import ConfigError, TlkitError
from tlkit.datasets.copies import say_of_test
from tlkit.doubts import MARK
from tlkit.names import GREY, NAMES, Names, free_colours, sign
from tlkit.stats import convergence, nested
from tlkit.stats.adjusted import SizeAdjustment
from tlkit.studies import plans, studyfile
from tlkit.studies.configs import StudyRuns, recipe_dict
from tlkit.studies.schema import Figure
from tlkit.training.tasks import find_kind

HISTORY = [
    "experiment", "run", "mode", "task", "pretraining", "fraction", "seed", "peak_lr", "epoch", "samples", "loss",
]  # fmt: skip


class Shown:
    """The runs that a figure shows, and what of them is not there. `.asked`: what the study file says of the figure.

    `.table` has one row a run and experiment: experiment, run, task, pretraining, seed, state, cause. A run counts as
    "not available" where the pretraining that it starts from is; its cause is then that of the pretraining.
    """

    def __init__(self, study: Study, configs: list[tuple[str, dict[str, Any]]], notebook: str = ""):
        self.study, self.notebook, self.names = study, notebook, study.names()
        self.asked = study.figure(notebook) if notebook else Figure()
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

    def stand_ins(self, tasks: Iterable[str] = ()) -> str:
        """Return a sentence on the tasks (all where none is named) whose backbone is not the published `architecture`.

        "" where no task has one. resnet10 for DenseNet-121 is such a stand-in, timm's densenet121 is none.
        """
        spec, tasks = self.study.spec, list(dict.fromkeys(tasks)) or self.tasks()
        backbones = {task: spec["tasks"][task].get("backbone", spec["backbone"]) for task in tasks}
        wanted = {task: a for task in tasks if (a := spec["tasks"][task].get("architecture"))}
        replaced: dict[str, list[str]] = {}
        for task, architecture in wanted.items():
            if _plain(architecture) not in _plain(backbones[task]):
                replaced.setdefault(backbones[task], []).append(self.names[task])
        if not replaced:
            return "Every network is the one that its task is named after." if wanted else ""
        every = len(replaced) == 1 and len(tasks) == len(*replaced.values())
        who = [f"{backbone} for {'all of them' if every else ' / '.join(of)}" for backbone, of in replaced.items()]
        return f"Small backbones stand in for the published architectures: {'; '.join(who)}."

    def saved(self) -> dict[str, Any]:
        """Return what the files of the figure say about it besides its runs: `report.save_figure`'s arguments.

        The note ends every caption: which runs are missing, and what the number of pretraining runs leaves open.
        """
        about = {"study": self.study.name, "notebook": self.notebook, "scale": self.study.scale}
        told = [self.note(), nested.sentence(self.table, self.study.arms(), self.names)]
        return about | {"phantom": self.study.phantom, "note": " ".join(filter(None, told))}


class Challenge(NamedTuple):
    """A data set, its name in figures, and the tasks on it."""

    dataset: str
    title: str
    tasks: list[str]


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

    def figure(self, notebook: str) -> Figure:
        """Return what the study file says of a figure. Raises: ConfigError where it does not name its notebook."""
        if notebook not in self.spec["figures"]:
            raise self._unsaid(notebook)
        return Figure.model_validate(self.spec["figures"][notebook], context=self.own)

    def shown_configs(self, notebook: str, beside: bool = False) -> list[tuple[str, dict[str, Any]]]:
        """Return (experiment, config) of the runs that a figure shows; none where it names no experiment.

        With `beside`, also those of the experiments that it sets beside them: `whole` and `frozen`.
        """
        asked = self.figure(notebook)
        arms, ways = asked.pretrainings or self.pretrainings, asked.experiments
        ways = [*ways, *asked.whole, *asked.frozen] if beside else ways
        with self.without_data():
            found = self.downstream("", asked.tasks, ways, asked.seeds) if ways else []
        return [(e, c) for e, c in found if c["pretraining"] in arms]

    def shown(self, notebook: str) -> Shown:
        """Return the runs that a figure shows, each with its state. Raises: ConfigError for one without experiments."""
        if not self.figure(notebook).experiments:
            raise self._unsaid(notebook)
        return Shown(self, self.shown_configs(notebook), notebook)

    def _unsaid(self, notebook: str) -> ConfigError:
        return ConfigError(
            f"{self.name} at {self.scale} does not say what {notebook} shows. Add it to `figures` of its study file: "
            f"`{notebook}: {{experiments: [{', '.join(self.spec['experiments'])}]}}`."
        )

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
            metric = recipe_dict(entry["recipe"])["monitor"] or find_kind(self.task_card(task).task).monitor
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
        shown = [(t, m) for t in self.tasks for m in find_kind(self.task_card(t).task).reported]
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
        """Return how to make the study's `estimates`; None where it has none, or lacks either corpus.

        A corpus is as large as its `corpus` says, else as its `images`: those trained on, without val and test.
        """
        estimates = self.spec["estimates"]
        parents = next((entry["between"] for entry in estimates.values()), [])
        entries = [self.spec["pretrainings"].get(name, {}) for name in parents]
        sizes = [entry.get("corpus", entry.get("images")) for entry in entries]
        factors = {name: entry["factor"] for name, entry in estimates.items()}
        return SizeAdjustment(*sizes, tuple(parents), factors) if sizes and all(sizes) else None

    @property
    def scratch(self) -> str:
        """The study's first pretraining that is none, random weights; "" where it has none."""
        arms = self.arms()
        return next((name for name in self.pretrainings if name not in arms), "")

    def modalities(self) -> dict[str, str]:
        """Return the modality of each pretraining on one (`where: {modality: MR}`) in small letters, "" for others."""
        where = {name: entry.get("where") or {} for name, entry in self.spec["pretrainings"].items()}
        return {name: str(chosen.get("modality", "")).lower() for name, chosen in where.items()}

    def challenges(self) -> list[Challenge]:
        """Return the data sets of the study's tasks."""
        tasks: dict[str, list[str]] = {}
        for task, entry in self.spec["tasks"].items():
            tasks.setdefault(entry["dataset"], []).append(task)
        titles = self.spec["datasets"] | {name: card.title for name, card in self.own.items()}
        return [Challenge(d, titles.get(d, d), of) for d, of in tasks.items()]

    def arms(self) -> dict[str, str]:
        """Return the arm of each pretraining but random weights: `nested.arms`."""
        return nested.arms(self.spec["pretrainings"])

    def names(self) -> Names:
        """Return display names: pretrainings, tasks and experiments by their `title`, Dice by the name of its class.

        A pretraining of `doubts` has a mark, unless a task has the same name; `doubts_note` says why. Pretrainings
        stand in the order of `colours`, then as in the study file.
        """
        titled = NAMES | Names({}, self._colours())
        for part in ("pretrainings", "estimates", "tasks", "experiments"):
            titled |= {k: v["title"] for k, v in self.spec[part].items() if "title" in v}
        for task in self.tasks:
            card = self.task_card(task)
            parts = card.options.get("regions", card.classes[1:])
            titled |= {f"{task}/dice_{i}": f"Dice, {part}" for i, part in enumerate(parts, 1)}
        unsure = {name for name, _ in self.doubts()}.difference(self.spec["tasks"], self.spec["experiments"])
        titled |= {name: f"{titled[name]} {MARK}" for name in unsure}
        return titled

    def _colours(self) -> dict[str, str]:
        """Return the colour of each pretraining: as the study file says, grey for random weights, else a free one."""
        said, arms = self.spec["colours"], self.arms()
        free = free_colours(said.values())
        rest = [name for name in (*self.pretrainings, *self.spec["estimates"]) if name not in said]
        made = {*arms, *self.spec["estimates"]}
        return said | {name: next(free) if name in made else GREY for name in rest}

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


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def _images_an_epoch(rid: str, config: dict[str, Any]) -> float:
    """Return the images that a finished run saw in an epoch: those planned, or where nobody could tell, those there."""
    try:
        return plans.passes(config) / config["recipe"]["epochs"]
    except TlkitError:
        return runs.read_json(runs.folder(rid) / "metrics.json")["images"]
