"""How often `clear` and `likely` are wrong: over simulated repetitions, and over halves of finished runs.

A word is wrong where its leading arm is not the best one: of simulated arms by their true effects, where no arm is
better than another any `clear` is. Of finished runs nobody knows the truth; there the other half of the seeds, tested
on the other half of the patients, is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from tlkit.advice import deciding
from tlkit.advice.contract import WORDS
from tlkit.advice.resampling import Metric, mean_score

# Layouts of simulated runs: true effects in units of the sd of a patient's score, which is the same for all arms.
CASES: dict[str, dict[str, Any]] = {
    "no difference, 2 arms": {"effects": (0.0, 0.0)},
    "no difference, 5 arms": {"effects": (0.0,) * 5},
    "no difference, 15 patients": {"effects": (0.0, 0.0), "patients": 15},
    "no difference, 5 splits": {"effects": (0.0, 0.0), "seeds": 1, "splits": 5},
    "small difference": {"effects": (0.0, 0.03)},
    "large difference": {"effects": (0.0, 0.15)},
    "large difference, 5 arms": {"effects": (0.0, 0.0, 0.0, 0.0, 0.15)},
    "large difference, 25 patients": {"effects": (0.0, 0.15), "patients": 25},
}
CALLED = WORDS[:2]  # the words that name an arm
MOST_HALVES = 20
Frame = pd.DataFrame


def simulate_runs(
    effects: Mapping[str, float],
    seeds: int = 3,
    splits: int = 1,
    patients: int = 60,
    noise: float = 0.1,
    luck: float = 0.02,
    seed: int | list[int] = 0,
    each: float = 1.0,
) -> Frame:
    """Return runs as `resampling` reads them, with a score a patient: what all arms share, the arm's effect, and luck.

    `luck` is the sd of a run's mean, `noise` that of a patient's score in one arm, `each` that of what all arms share.
    """
    rng = np.random.default_rng(seed)
    names = [f"p{i}" for i in range(patients)]
    hard = each * rng.normal(size=patients)
    own = {arm: rng.normal(0, noise, patients) for arm in effects}
    rows = []
    for split in range(splits):
        for number in range(seeds):
            for arm, effect in effects.items():
                score = effect + hard + own[arm] + rng.normal(0, luck)
                kept = pd.DataFrame({"patient": names, "score": score})
                rows.append({"arm": arm, "rate": 0.1, "seed": number, "split": split, "predictions": kept})
    return pd.DataFrame(rows)


def calibrate(
    repetitions: int, cases: Mapping[str, Mapping[str, Any]] = CASES, draws: int = 100, seed: int = 0
) -> Frame:
    """Return how often each word was said of simulated runs, and how often it was wrong: `count_words`, by case.

    `cases` are arguments of `simulate_runs`, the effects as numbers. Repetition i is of the seed [seed, i].
    """
    rows = []
    for case, how in cases.items():
        effects = {f"arm {i}": effect for i, effect in enumerate(how["effects"])}
        best = [arm for arm, effect in effects.items() if effect == max(effects.values())]
        for i in range(repetitions):
            runs = simulate_runs(**{**how, "effects": effects, "seed": [seed, i]})
            found = deciding.decide(runs, "score", draws=draws)
            rows.append((case, found["confidence"], len(best) > 1 or found["leader"] not in best))
    return count_words(pd.DataFrame(rows, columns=["case", "word", "wrong"]), "case")


def count_words(said: Frame, by: str) -> Frame:
    """Return for each value of `by` and word that names an arm: repetitions, said, wrong, and wrong of the repetitions.

    `share` is wrong / repetitions, low and high its 95 % interval (Wilson): how often a reader would be misled.
    """
    from statsmodels.stats.proportion import proportion_confint

    rows = []
    for value, part in said.groupby(by, sort=False):
        for word in CALLED:
            mine = part[part["word"] == word]
            wrong, n = int(mine["wrong"].sum()), len(part)
            share = wrong / n  # inside its interval, but for rounding
            low, high = proportion_confint(wrong, n, method="wilson")
            rows.append((value, word, n, len(mine), wrong, share, min(low, share), max(high, share)))
    return pd.DataFrame(rows, columns=[by, "word", "repetitions", "said", "wrong", "share", "low", "high"])


def say(simulated: Frame, halves: Frame) -> list[str]:
    """Return how often the words were wrong, in sentences: of `calibrate`, and of `halve_runs`."""
    lines = []
    without = simulated["case"].str.startswith("no difference")
    for what, part in (("without a difference", simulated[without]), ("with one", simulated[~without])):
        for word, mine in part.groupby("word", sort=False):
            n, wrong = mine["repetitions"].sum(), mine["wrong"].sum()
            low, high = mine["share"].min(), mine["share"].max()
            lines.append(
                f"simulated {what}: {word} was wrong in {wrong} of {n} repetitions (by case {low:.0%} to {high:.0%})"
            )
    for word in CALLED:
        said = halves[halves["word"] == word]
        lines.append(
            f"halves of finished runs: {word} was said {len(said)} times, and contradicted {said['wrong'].sum()}"
        )
    return lines


def halve_runs(
    runs: Frame, metric: str, measure: Metric = mean_score, halves: int = MOST_HALVES, draws: int = 100, seed: int = 0
) -> Frame:
    """Return what one half of the runs and patients says, and what the other half does: word, leader, other, wrong.

    Cells (split, seed) that all arms have are dealt into two halves, in all ways or `halves` of them, and their test
    patients into two, by `seed`. A half needs two cells to say more than `open`, so of three the larger half speaks.
    `wrong`: the arm that leads in this half is not the one that leads in the other. No row for fewer than three cells.
    """
    every = sorted({*zip(runs["split"], runs["seed"], strict=True)}, key=str)
    cells = [c for c in every if set(runs.loc[_in(runs, [c]), "arm"]) == set(runs["arm"])]
    rng, rows = np.random.default_rng(seed), []
    for first in _halves(cells, halves, rng):
        there = _patients(runs, rng)
        parts = [_tested(runs[_in(runs, first)], there), _tested(runs[_in(runs, set(cells) - set(first))], ~there)]
        if any(part.empty for part in parts):
            continue
        one, other = (deciding.decide(part, metric, measure, draws) for part in parts)
        row = {"word": one["confidence"], "leader": one["leader"], "other": other["leader"]}
        rows.append(row | {"wrong": one["leader"] != other["leader"]})
    return pd.DataFrame(rows, columns=["word", "leader", "other", "wrong"])


def _halves(cells: list, most: int, rng: np.random.Generator) -> Iterable[tuple]:
    """Return halves of cells, the larger ones where their number is odd; each half of an even number comes as first."""
    if len(cells) < 3:
        return []
    ways = list(combinations(cells, (len(cells) + 1) // 2))
    return [ways[i] for i in np.sort(rng.permutation(len(ways))[:most])]


def _in(runs: Frame, cells: Iterable) -> np.ndarray:
    wanted = set(cells)
    return np.array([cell in wanted for cell in zip(runs["split"], runs["seed"], strict=True)], bool)


def _patients(runs: Frame, rng: np.random.Generator) -> pd.Series:
    """Return for each test patient whether he is in the first half, drawn once for all runs."""
    names = np.unique(np.concatenate([p["patient"].astype(str) for p in runs["predictions"]]))
    return pd.Series(rng.permutation(len(names)) < len(names) / 2, names)


def _tested(runs: Frame, patients: pd.Series) -> Frame:
    """Return runs with the test images of some patients; without those that have none."""
    kept = [p[patients[p["patient"].astype(str)].to_numpy()] for p in runs["predictions"]]
    return runs.assign(predictions=kept)[[len(p) > 0 for p in kept]]
