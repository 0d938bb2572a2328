"""A study at one scale: its runs, what is left of them, and their results."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import pandas as pd

from tlkit import plugins, runs
from tlkit.config import ConfigError
from tlkit.doubts import MARK
from tlkit.names import GREY, NAMES, Names, free_colours, sign
from tlkit.studies import studyfile
from tlkit.studies.arms import find_arms
from tlkit.studies.configs import StudyRuns, recipe_dict
from tlkit.studies.schema import Figure
from tlkit.studies.shown import Shown, stand_in
from tlkit.training.tasks import find_kind

NAMED = ("task", "pretraining", "backbone", "fraction", "seed")  # of a run, in a plan
HISTORY = [
    "experiment", "run", "mode", "task", "pretraining", "fraction", "seed", "peak_lr", "epoch", "samples", "loss",
]  # fmt: skip


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
        """Return one row per run: run, state, kind, experiment, NAMED. `workflow.minutes` says how long they take.

        Real data that are not there are named in `absent`; their runs count as missing, under ids of no use.
        """
        rows = []
        for rid, (experiment, config) in self.planned().items():
            row = {"run": rid, "state": runs.state(rid), "kind": config["kind"], "experiment": experiment}
            rows.append(row | {k: config.get(k) for k in NAMED})
        return pd.DataFrame(rows)

    def planned(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Return (experiment, config) of every run by its id; one that experiments share counts in the first."""
        with self.without_data():
            pairs = [*(("", config) for config in self.pretrain_configs()), *self.downstream()]
        found: dict[str, tuple[str, dict[str, Any]]] = {}
        for experiment, config in pairs:
            found.setdefault(runs.run_id(config), (experiment, config))
        return found

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

        With `beside`, also those of the experiments that it sets beside them: `whole` and `frozen`. Raises ConfigError
        where all that it names is there, but no run of it, such as a seed that its experiment does not have.
        """
        asked = self.figure(notebook)
        arms, ways = asked.pretrainings or self.pretrainings, asked.experiments
        ways = [*ways, *asked.whole, *asked.frozen] if beside else ways
        with self.without_data():
            found = self.downstream("", asked.tasks, ways, asked.seeds) if ways else []
        found = [(e, c) for e, c in found if c["pretraining"] in arms]
        if ways and not found:
            said = {k: v for k in ("experiments", "tasks", "pretrainings", "seeds") if (v := getattr(asked, k))}
            raise ConfigError(f"figures.{notebook} of {self.name} at {self.scale} shows no run: none has {said}.")
        return found

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
        """Return the epochs of the study's finished downstream runs, one row per run and epoch.

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
                each = config.get("images_per_epoch") or runs.read_metrics(rid)["images"]
                head |= {"samples": (epochs["epoch"] + 1) * each, "peak_lr": config["recipe"]["lr"]}
                parts.append(epochs.assign(experiment=experiment, run=rid, **head))
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=HISTORY)

    def size_adjustment(self) -> Any:
        """Return how to make the study's `estimates`, a `published.adjusted.SizeAdjustment`; None where it can't."""
        return plugins.adjusted().read_study(self.spec)

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
        """Return the arm of each pretraining but random weights: `find_arms`."""
        return find_arms(self.spec["pretrainings"])

    def names(self) -> Names:
        """Return display names: pretrainings, tasks and experiments by their `title`, Dice by the name of its class.

        A task on another network than the published one is named after both: "wrists, resnet10 for ResNet-34".
        A pretraining of `doubts` has a mark, unless a task has the same name; `doubts_note` says why. Pretrainings
        stand in the order of `colours`, then as in the study file.
        """
        titled = NAMES | Names({}, self._colours())
        for part in ("pretrainings", "estimates", "tasks", "experiments"):
            titled |= {k: v["title"] for k, v in self.spec[part].items() if "title" in v}
        for task in self.tasks:
            if small := stand_in(self.spec, task):
                of, comma, wanted = titled[task].rpartition(", ")
                titled[task] = f"{of}{comma}{small} for {wanted}"
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
            made = [((c["pretraining"], c["backbone"]), runs.run_id(c)) for c in self.pretrain_configs()]
        return {key: why for key, rid in made if (why := runs.doubt_of(rid))}

    def doubts_note(self, pretrainings: Iterable[str] = ()) -> str:
        """Return what a caption says about the marks of some pretrainings (all where none is named); "" without any."""
        wanted, names = set(pretrainings) or set(self.pretrainings), self.names()
        told = [f"{names[name]} with {b}: {why}" for (name, b), why in self.doubts().items() if name in wanted]
        return f"Pretraining in doubt: {'; '.join(told)}." if told else ""
