"""Would the cheap evidence have chosen the arm that fine-tuning chose? Over the finished runs of a study, task by task.

For each arm of a task, frozen features of the images that its runs train and validate on are scored as `tlkit advise`
scores them (`tlkit.advice.scores`); the test is not touched. What fine-tuning says is of the test, over all seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tlkit.advice import calibration, contract, deciding, features, resampling, scores
from tlkit.advice.hints import HINTS
from tlkit.advice.measures import Measure
from tlkit.advice.prose import score_name
from tlkit.advice.targets import ScoreError, folds
from tlkit.figures import finished, rates
from tlkit.names import Names, sign
from tlkit.studies import Study
from tlkit.studies.shown import Shown
from tlkit.training.data import chosen_rows, training_rows
from tlkit.training.tasks import base_kind

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LETTERS = 90  # of the names in a row of the legend, left of the phantom mark
SHOTS = (1, 5, 10)
PARTS = 3  # of the images, by patients: each is tested on once
TASK_COLOURS = ("#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#882255", "#a6761d", "#7a5195")
DRAWS = 100  # of test patients, seeds and splits
ORDER = ("probe", "knn", *(f"few_shot_{n}" for n in SHOTS), *HINTS)
CELL = ["experiment", "task"]
TOLD = [*CELL, "metric", "score", "arms", "runs", "best", "picked", "hit", "chance", "regret", "regret_chance",
        "tau", "low", "high", "word"]  # fmt: skip
Panel = dict[str, Any]


def fine_tunings(study: Study, notebook: str) -> Shown:
    """Return the runs that a study shows in this notebook; all that fine-tune where it does not name it."""
    if notebook in study.spec["figures"]:
        return study.shown(notebook)
    ways = [name for name, entry in study.spec["experiments"].items() if entry["mode"] == "finetune"]
    with study.without_data():
        return Shown(study, study.downstream(experiments=ways))


def panels(study: Study, there: Shown) -> tuple[list[Panel], list[str]]:
    """Return the tasks whose arms can be compared, and a line for each that cannot.

    A panel: experiment, task, metric (that which selects the epoch), kind, runs (as `resampling` reads them, at the
    rate that validation chose, with `run`), measure, and configs, one of each arm. Raises ConfigError for no run.
    """
    kept, _ = rates.choose_rates(there.rows(study.results()), study.monitors())
    found, out = [], []
    for (experiment, task), rows in kept.groupby(CELL, sort=False):
        metric, title = study.monitors()[task][0], study.names()[task]
        rows = rows[rows["metric"] == metric].sort_values(["pretraining", "seed"], kind="stable", key=_order(study))
        first = rows.drop_duplicates("pretraining")
        configs = {row.pretraining: finished.config_of(row.run) for row in first.itertuples()}
        kind = base_kind(next(iter(configs.values()))["task_kind"])
        if kind == "segmentation" or len(configs) < 2:
            why = "masks have no cheap scores here" if kind == "segmentation" else "one arm has finished runs"
            out.append(f"{title}: {why}")
            continue
        job = finished.task_of(rows["run"].iloc[0])
        of_run = partial(_run, kind, metric)
        panel = {"experiment": experiment, "task": task, "metric": metric, "kind": kind, "configs": configs}
        panel |= {"job": job, "measure": Measure(job, metric)}
        found.append(panel | {"runs": pd.DataFrame(list(map(of_run, rows.to_dict("records"))))})
    return found, out


def _order(study: Study) -> Any:
    """Return a key that sorts pretrainings as the study file has them, and seeds by their number."""
    place = {name: i for i, name in enumerate(study.pretrainings)}
    return lambda column: column.map(place) if column.name == "pretraining" else column


def _run(kind: str, metric: str, row: Mapping[str, Any]) -> dict[str, Any]:
    config = finished.config_of(row["run"])
    kept = resampling.row_scores(finished.predictions(row["run"]), kind, metric)
    split = config["data"]["split"].get("seed", 0)
    return {"arm": row["pretraining"], "rate": row["lr"], "seed": row["seed"], "split": split} | {
        "predictions": kept,
        "run": row["run"],
    }


def runs_of(found: Iterable[Panel]) -> list[str]:
    """Return the ids of the runs of panels."""
    return sorted({rid for panel in found for rid in panel["runs"]["run"]})


def evidence_of(panel: Panel) -> dict[str, dict[str, Any]]:
    """Return the cheap evidence of each arm of a panel: `scores.evidence` of the images that train and validate.

    Those of the first seed, cross-validated over PARTS; the encoder is frozen before any training. Raises ScoreError
    where they are too few.
    """
    found = {}
    for arm, config in panel["configs"].items():
        store, table = finished.data_of(config)
        rows = np.concatenate([training_rows(config, table), chosen_rows(config["data"], table, "val")])
        target = panel["job"].targets(store.table).numpy()[rows]
        patients = table.set_index("row").loc[rows, "patient"].to_numpy()
        parts = folds(target, panel["kind"], patients, PARTS)
        how = {"patients": patients, "parts": parts, "metric": panel["metric"], "classes": panel["job"].classes}
        told = features.features(config, store, rows)
        found[arm] = scores.evidence(told, target, panel["kind"], shots=SHOTS, **how)
    return found


def compare(found: Iterable[Panel], draws: int = DRAWS) -> tuple[pd.DataFrame, list[str]]:
    """Return a row a panel and score (TOLD), and a line for each panel that could not be scored.

    best: the arm that leads after fine-tuning; picked: that of the highest score; chance, regret_chance: of an arm
    drawn blindly. regret: what the picked arm loses in the metric, 0 where it is the best. tau, low, high: as
    `deciding.agreement`; word: clear, likely or open, of the fine-tuned runs.
    """
    rows, out = [], []
    for panel in found:
        try:
            cheap = contract.score_table(evidence_of(panel))
        except ScoreError as error:
            out.append(f"{panel['task']}: {error}")
            continue
        runs, how = panel["runs"], (panel["metric"], panel["measure"], draws)
        decided = deciding.decide(runs, *how)
        agreed = deciding.agreement(cheap, runs, *how).set_index("score")
        rows += list(_picks(panel, cheap, decided, agreed))
    return pd.DataFrame(rows, columns=TOLD), out


def _picks(
    panel: Panel, cheap: pd.DataFrame, decided: dict[str, Any], agreed: pd.DataFrame
) -> Iterator[dict[str, Any]]:
    lost = {row["arm"]: row.get("difference", 0.0) for row in decided["arms"]}
    head = {k: panel[k] for k in (*CELL, "metric")} | {"best": decided["leader"], "word": decided["confidence"]}
    head |= {"arms": len(lost), "runs": len(panel["runs"]), "chance": 1 / len(lost)}
    head |= {"regret_chance": float(np.mean(list(lost.values())))}
    for score in cheap:
        better = 1 if score in HINTS else sign(panel["metric"])
        values = (better * cheap[score]).reindex(list(lost)).dropna()
        if len(values) < len(lost):
            continue
        tied = [arm for arm in panel["configs"] if np.isclose(values[arm], values.max(), rtol=0, atol=1e-9)]
        row = {"score": score, "picked": tied[0], "hit": tied[0] == decided["leader"], "regret": lost[tied[0]]}
        yield head | row | agreed.loc[score, ["tau", "low", "high"]].to_dict()


def summarise(told: pd.DataFrame) -> pd.DataFrame:
    """Return a row a score: tasks, hits, expected (by chance), share with low and high (Wilson), regret, tau (means).

    Tasks share arms and images, so they are fewer than they seem, and the intervals rather too narrow.
    """
    from statsmodels.stats.proportion import proportion_confint

    rows = []
    order = [score for score in ORDER if score in set(told["score"])]
    for score in order:
        part = told[told["score"] == score]
        hits, n = int(part["hit"].sum()), len(part)
        low, high = proportion_confint(hits, n, method="wilson")
        rows.append(
            {"score": score, "tasks": n, "hits": hits, "expected": part["chance"].sum(), "share": hits / n}
            | {"low": low, "high": high, "regret": part["regret"].mean()}
            | {"regret_chance": part["regret_chance"].mean(), "tau": part["tau"].mean()}
        )
    columns = ["score", "tasks", "hits", "expected", "share", "low", "high", "regret", "regret_chance", "tau"]
    return pd.DataFrame(rows, columns=columns)


def halves(found: Iterable[Panel], most: int = 6, draws: int = DRAWS) -> pd.DataFrame:
    """Return `calibration.halve_runs` of each panel, with experiment and task."""
    parts = [
        calibration.halve_runs(p["runs"], p["metric"], p["measure"], most, draws).assign(**{k: p[k] for k in CELL})
        for p in found
    ]
    columns = [*CELL, "word", "leader", "other", "wrong"]
    return pd.concat(parts)[columns] if parts else pd.DataFrame(columns=columns)


def draw(told: pd.DataFrame, names: Names, phantom: bool = False) -> Figure:
    """Draw a row a score: how often it picks the best arm (line: Wilson), and of each task the regret and the tau."""
    import matplotlib.pyplot as plt

    from tlkit.report.lettering import finish
    from tlkit.report.style import MM, PAPER_WIDTH, style

    shares = summarise(told)
    cells = list(dict.fromkeys(zip(told["experiment"], told["task"], strict=True)))
    with style():
        size = (PAPER_WIDTH, (30 + 7.5 * len(shares)) * MM)
        fig, axes = plt.subplots(1, 3, figsize=size, sharey=True, layout="constrained")
        for y, row in enumerate(shares.itertuples()):
            axes[0].plot([row.low, row.high], [y, y], color="0.25")
            axes[0].plot(row.share, y, "o", color="0.25", ms=4, label="picked the best arm")
            axes[0].plot(row.expected / row.tasks, y, "|", color="#d55e00", ms=10, label="by chance")
            axes[1].plot(row.regret_chance, y, "|", color="#d55e00", ms=10)
        order = {score: y for y, score in enumerate(shares["score"])}
        for i, cell in enumerate(cells):
            part = told[(told["experiment"] == cell[0]) & (told["task"] == cell[1])]
            step = 0.6 * ((i + 0.5) / len(cells) - 0.5)
            y = part["score"].map(order) + step
            look = {"color": TASK_COLOURS[i % len(TASK_COLOURS)]}
            axes[1].plot(part["regret"], y, "o", ms=3, label=_title(cell, told, names), **look)
            axes[2].plot(part["tau"], y, "o", ms=3, **look)
            axes[2].hlines(y, part["low"], part["high"], lw=0.8, **look)
        axes[0].set(xlim=(-0.03, 1.03), xlabel="share of the tasks", ylim=(len(shares) - 0.5, -0.5))
        axes[0].set_yticks(range(len(shares)), [score_name(s) for s in shares["score"]])
        axes[1].set(xlabel="metric lost by the pick")
        axes[2].set(xlim=(-1.05, 1.05), xlabel="weighted Kendall τ")
        titles = ("how often it picks the best arm", "what its pick loses", "rank correlation")
        for ax, title in zip(axes, titles, strict=True):
            ax.set_title(title, loc="left")
            ax.grid(axis="x", lw=0.4, color="0.92")
            ax.set_axisbelow(True)
        axes[2].axvline(0, lw=0.6, color="0.6")
        handles = {label: h for ax in axes[:2] for h, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        columns = max(1, min(5, LETTERS // max(map(len, handles))))
        fig.legend(handles.values(), handles.keys(), frameon=False, loc="outside upper left", ncols=columns)
        return finish(fig, "", phantom)


def _title(cell: tuple[str, str], told: pd.DataFrame, names: Names) -> str:
    """Return the name of a task, with that of its experiment where there are several."""
    experiment, task = cell
    return names[task] if told["experiment"].nunique() == 1 else f"{names[task]}, {names[experiment]}"


def say(told: pd.DataFrame, names: Names) -> list[str]:
    """Return what was found in sentences: each score against chance, and the tasks on which most scores failed."""
    lines = []
    for row in summarise(told).to_dict("records"):
        lines.append(
            f"{score_name(row['score'])}: the best arm in {row['hits']} of {row['tasks']} tasks ({row['low']:.2f} to "
            f"{row['high']:.2f}; by chance {row['expected']:.1f}), loses {row['regret']:.3f} on average (a blind pick "
            f"{row['regret_chance']:.3f})"
        )
    for cell, part in told.groupby(CELL, sort=False):
        if part["hit"].mean() < 0.5:
            worst = part.loc[part["regret"].idxmax()]
            lines.append(
                f"fails on {_title(cell, told, names)}: {int(part['hit'].sum())} of {len(part)} scores pick "
                f"{names[worst['best']]}, the best there ({worst['word']}); "
                f"{score_name(worst['score'])} loses {worst['regret']:.3f}"
            )
    return lines
