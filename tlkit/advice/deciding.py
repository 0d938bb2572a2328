"""Which arm leads, how sure that is, which arms need no more runs, and whether the cheap scores foretold it.

The rule. The leading arm is the one with the best mean over the runs that the arms with most runs, or one fewer, share.
With the difference of each other arm from it over the runs that both have, and its interval over other test patients,
splits and seeds (`resampling`), the lead is

- `clear` where the 95 % interval of every other arm lies wholly below the leader, at 20 test patients or more;
- `likely` where the 80 % interval of every other arm does;
- `open` otherwise, and always where an arm shares fewer than two runs with the leader, or stands alone.

The arm that was best by luck is compared as if it had been named before; but it has to beat the best of the others, and
the intervals are rather too wide. Of 400 simulated repetitions of two arms without a difference, `clear` was said of 1
to 4 in 100 for each of five layouts of seeds and splits, and of 7 where two splits differed by more than seeds do (of 2
where three did): take three splits or one. Among three arms it was said of 3 of 300 at most.
An arm is dropped early where its 99 % interval lies wholly below the leader's, over two or more shared runs: there is a
look after each round, so the level is stricter. Looks before the end are at validation predictions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from itertools import permutations
from math import factorial
from typing import Any

import numpy as np
import pandas as pd

from tlkit.advice.hints import HINTS
from tlkit.advice.resampling import DRAWS, Metric, Resampled, Spread, mean_score, resample, spread
from tlkit.names import sign

CLEAR, LIKELY, DROPPED = 0.95, 0.80, 0.99
LEAST_PATIENTS, LEAST_RUNS = 20, 2
ORDERS = 5000  # of arms, beyond which they are drawn
MOST_RUNS = 100  # more of an arm are not proposed


def decide(
    runs: pd.DataFrame,
    metric: str,
    measure: Metric = mean_score,
    draws: int = DRAWS,
    seed: int = 0,
    names: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the decision by the rule: leader, rate, confidence, why, patients, splits, seeds and arms.

    Args: runs as in `resampling`; `metric` its name, which tells whether less is better; `measure` computes it from
    predictions without `score`; `names` say how arms are called in `why`. `arms` has a dict for each, the best first:
    arm, rate, runs, value with low and high (95 %), best (share of draws that it leads), and of all but the leader
    difference (leader less arm, positive where the leader is better), difference_low, difference_high, shared (runs),
    of_patients (share of the difference's variance), decided_by (of `estimate_more_runs`). Deterministic by `seed`.
    Raises RunsError.
    """
    found = resample(runs, measure, draws, seed)
    leader = find_leading(found, metric)
    rates, wins = dict(zip(runs["arm"], runs["rate"], strict=True)), _wins(found, metric)
    rows, leads = [], {}
    for i, arm in enumerate(found.arms):
        own = spread(found, found.values[i], found.draws[:, i])
        low, high = own.interval()
        row = {"arm": arm, "rate": rates[arm], "runs": own.runs, "value": own.mean, "low": low, "high": high}
        row["best"] = wins[arm]
        if arm != leader:
            leads[arm] = lead = difference(found, leader, arm, metric)
            low, high = lead.interval(CLEAR)
            row |= {"difference": lead.mean, "difference_low": low, "difference_high": high, "shared": lead.runs}
            row |= {"of_patients": _share(lead), "decided_by": estimate_more_runs(lead, found.patients)}
        rows.append(row)
    confidence, why = _confidence(leads, found.patients, names or {})
    rows.sort(key=lambda row: (row["arm"] != leader, np.nan_to_num(row.get("difference", 0.0), nan=np.inf)))
    levels = [len({cell[i] for cell in found.cells}) for i in (0, 1)]
    told = {"leader": leader, "rate": rates[leader], "confidence": confidence, "why": why, "metric": metric}
    return told | {"patients": found.patients, "splits": levels[0], "seeds": levels[1], "arms": rows}


def find_dropped(
    runs: pd.DataFrame,
    metric: str,
    measure: Metric = mean_score,
    keep: Collection[str] = (),
    draws: int = DRAWS,
    seed: int = 0,
    names: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the arms that need no more runs, with the reason: see the rule. Never an arm of `keep`, nor the leader.

    The runs' predictions are those of validation: a choice by the test set would be one more training on it.
    """
    found = resample(runs, measure, draws, seed)
    leader, out = find_leading(found, metric), {}
    called = (names or {}).get(leader, leader)
    for arm in found.arms:
        if arm != leader and arm not in keep:
            lead = difference(found, leader, arm, metric)
            low, high = lead.interval(DROPPED)
            if lead.runs >= LEAST_RUNS and low > 0:
                out[arm] = (
                    f"{low:.3g} to {high:.3g} ({100 * DROPPED:.0f} % interval) behind {called} over {lead.runs} runs"
                )
    return out


def find_leading(found: Resampled, metric: str) -> str:
    """Return the best arm of those with most runs, by the cells that they all have; the first one named on ties.

    One run fewer is as many: the time may be up in the midst of a round.

    NaN, a run without its metric, is no run.
    """
    there = ~np.isnan(found.values)
    able = there.sum(axis=1) >= max(there.sum(axis=1).max() - 1, 1)
    shared = there[able].all(axis=0)
    if not shared.any():  # as many runs, but of other cells: each by its own
        shared = np.ones(there.shape[1], bool)
    values = np.where(there, found.values, 0) * shared
    means = sign(metric) * values.sum(axis=1) / np.maximum((there & shared).sum(axis=1), 1)
    return found.arms[int(np.where(able, means, -np.inf).argmax())]


def difference(found: Resampled, leader: str, arm: str, metric: str) -> Spread:
    """Return by how much the leader is better than an arm, over the cells that both have."""
    a, b = found.arms.index(leader), found.arms.index(arm)
    better = sign(metric)
    return spread(found, better * (found.values[a] - found.values[b]), better * (found.draws[:, a] - found.draws[:, b]))


def estimate_more_runs(lead: Spread, patients: int) -> dict[str, Any]:
    """Return what would bring the 95 % interval of a difference to exclude 0, were the difference what it seems.

    {"what": "nothing"} where it does already; "runs" with `runs` more of each of the two arms; "patients" with
    `patients` more that test, where no number of runs is enough; "neither" beyond MOST_RUNS, or a tenfold test set,
    and where the arm is as good as the leader.
    More runs shrink their part of the variance alone, more patients theirs.
    """
    if lead.runs < LEAST_RUNS:
        return {"what": "runs", "runs": LEAST_RUNS + 1 - lead.runs}
    if lead.interval(CLEAR)[0] > 0:
        few = patients < LEAST_PATIENTS
        return {"what": "patients", "patients": LEAST_PATIENTS - patients} if few else {"what": "nothing"}
    by_patients, by_runs = (factor**2 for factor in lead.factors(CLEAR))
    room = lead.mean**2 - by_patients * lead.of_patients
    if lead.mean > 0 and room > 0:
        needed = int(np.ceil(by_runs * lead.of_runs * lead.runs / room))
        if needed <= MOST_RUNS:
            return {"what": "runs", "runs": max(1, needed - lead.runs)}
    elif lead.mean > 0:
        wanted = by_patients * lead.of_patients / lead.mean**2 * patients
        if wanted <= 10 * patients:
            return {"what": "patients", "patients": max(1, int(np.ceil(wanted - patients)))}
    return {"what": "neither"}


def agreement(
    scores: pd.DataFrame,
    runs: pd.DataFrame,
    metric: str,
    measure: Metric = mean_score,
    draws: int = DRAWS,
    seed: int = 0,
) -> pd.DataFrame:
    """Return how well each cheap score ranks the arms as fine-tuning does: score, arms, tau, low, high, chance.

    `scores`: a row for each arm (its index), a column for each score; those of hints.HINTS are better where higher, the
    others in the unit of the metric. tau: the weighted Kendall rank correlation (Vigna 2015), in which the best arms
    count most, with the means of the fine-tuned runs. low and high: the middle 95 % of it over other test patients,
    splits and seeds, for these arms. chance: the share of all orders of the arms whose tau is as high: with three arms
    1 in 6 of them is perfect. NaN for fewer than two arms with both, and a score or a metric that is the same for all.
    """
    found, rows = resample(runs, measure, draws, seed), []
    tuned, drawn = _means(found)
    rng = np.random.default_rng([seed, 1])
    for name in scores.columns:
        cheap = scores[name].reindex(found.arms).to_numpy(float) * (1 if name in HINTS else sign(metric))
        there = ~np.isnan(cheap) & ~np.isnan(tuned)
        row = {"score": name, "arms": int(there.sum()), "tau": np.nan, "low": np.nan, "high": np.nan, "chance": np.nan}
        if there.sum() > 1 and np.ptp(cheap[there]) > 0 and np.ptp(tuned[there]) > 0:
            x, y = cheap[there], sign(metric) * tuned[there]
            each = [_tau(x, sign(metric) * d[there]) for d in drawn if not np.isnan(d[there]).any()]
            low, high = np.nanpercentile(each, [2.5, 97.5])
            orders = [_tau(x[o], y) for o in _orders(len(x), rng)]
            chance = float(np.mean(np.array(orders) >= _tau(x, y) - 1e-12))
            row |= {"tau": _tau(x, y), "low": float(low), "high": float(high), "chance": chance}
        rows.append(row)
    return pd.DataFrame(rows, columns=["score", "arms", "tau", "low", "high", "chance"])


def _tau(a: np.ndarray, b: np.ndarray) -> float:
    """Return the weighted Kendall rank correlation; of few arms there are few orders, and each is counted once."""
    return _tau_of_ranks(*(tuple(np.unique(values, return_inverse=True)[1].tolist()) for values in (a, b)))


@lru_cache(maxsize=ORDERS)
def _tau_of_ranks(a: tuple[int, ...], b: tuple[int, ...]) -> float:
    from scipy.stats import weightedtau

    return float(weightedtau(a, b).statistic)


def _confidence(leads: dict[str, Spread], patients: int, names: Mapping[str, str]) -> tuple[str, str]:
    """Return the word of the rule and its reason, with the arms by their names."""

    def called(arms: list[str]) -> str:
        return ", ".join(names.get(arm, arm) for arm in arms)

    if not leads:
        return "open", "there is one arm, and nothing to compare it with"
    alone = [arm for arm, lead in leads.items() if lead.runs < LEAST_RUNS]
    if alone:
        return "open", f"{called(alone)}: fewer than {LEAST_RUNS} runs shared with the leader"
    near = {level: [a for a, lead in leads.items() if not lead.interval(level)[0] > 0] for level in (CLEAR, LIKELY)}
    if near[LIKELY]:
        return "open", f"the {100 * LIKELY:.0f} % interval of the lead over {called(near[LIKELY])} reaches 0"
    if near[CLEAR]:
        held = f"the {100 * CLEAR:.0f} % interval of the lead over {called(near[CLEAR])} reaches 0"
        return "likely", f"{held}, the {100 * LIKELY:.0f} % interval of none does"
    if patients < LEAST_PATIENTS:
        return "likely", f"{patients} test patients are fewer than {LEAST_PATIENTS}"
    return "clear", f"the {100 * CLEAR:.0f} % interval of the lead over every other arm lies above 0"


def _means(found: Resampled) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of each arm [arms] and its draws [draws, arms], over the cells that all have, else its own."""
    there = ~np.isnan(found.values)
    weights = there * (there.all(axis=0) if there.all(axis=0).any() else 1.0)
    total = weights.sum(axis=1)
    values = np.divide(
        (np.nan_to_num(found.values) * weights).sum(axis=1), total, out=np.full(len(total), np.nan), where=total > 0
    )
    counts = found.counts[:, None, :] * weights
    drawn, total = (np.nan_to_num(found.draws) * counts).sum(axis=2), counts.sum(axis=2)
    lost = (np.isnan(found.draws) & (counts > 0)).any(axis=2)
    return values, np.divide(drawn, total, out=np.full(drawn.shape, np.nan), where=(total > 0) & ~lost)


def _wins(found: Resampled, metric: str) -> dict[str, float]:
    """Return the share of draws in which each arm is the best."""
    drawn = sign(metric) * _means(found)[1]
    drawn = np.where(np.isnan(drawn), -np.inf, drawn)
    best = (drawn == drawn.max(axis=1, keepdims=True)) & np.isfinite(drawn)
    shares = best / np.maximum(best.sum(axis=1, keepdims=True), 1)
    return dict(zip(found.arms, shares.mean(axis=0).tolist(), strict=True))


def _share(lead: Spread) -> float:
    return float(np.clip(lead.of_patients / lead.variance, 0, 1)) if lead.variance > 0 else float("nan")


def _orders(count: int, rng: np.random.Generator) -> list[np.ndarray]:
    if factorial(count) <= ORDERS:
        return [np.array(order) for order in permutations(range(count))]
    return [rng.permutation(count) for _ in range(ORDERS)]
