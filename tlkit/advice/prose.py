"""The sentences of an answer, each computed from its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from tlkit.advice.hints import HINTS
from tlkit.names import NAMES, sign

Answer = Mapping[str, Any]
LEAST_RANKED = 3  # arms, below which a rank correlation is 1 or -1
PIXELS = "pixel statistics"  # an arm that no network has: it is never fine-tuned
SCORES = {"probe": "linear probe", "knn": "k-NN", "logme": "LogME", "h_score": "H-score", "nleep": "NLEEP"}


def number(value: float | None, digits: int = 3) -> str:
    """Return a number to read: `digits` behind the point, fewer from 10 on; "–" for None."""
    if value is None:
        return "–"
    return f"{value:,.{digits if abs(value) < 10 else 1 if abs(value) < 1000 else 0}f}".replace("-", "−")


def say_between(low: float | None, high: float | None) -> str:
    """Return "0.1 to 0.2", or that there is no interval."""
    return "no interval" if low is None or high is None else f"{number(low)} to {number(high)}"


def interval(low: float | None, high: float | None) -> str:
    """Return "95 % interval 0.1 to 0.2", or that one run has none."""
    return "no interval: one run" if low is None or high is None else f"95 % interval {say_between(low, high)}"


def duration(seconds: float | None) -> str:
    """Return seconds in words: s below 90 s, min below 90 min, then h; – for None."""
    if seconds is None:
        return "–"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def count(n: int | None, what: str) -> str:
    """Return "3 patients", "1 patient", "an unknown number of patients"."""
    return f"an unknown number of {what}s" if n is None else f"{n:,} {what}{'' if n == 1 else 's'}"


def title(answer: Answer, arm: str) -> str:
    """Return how an arm is shown."""
    return next((a.get("title") or a["arm"] for a in answer["arms"] if a["arm"] == arm), arm)


def metric(answer: Answer) -> str:
    """Return what the metric of an answer is called."""
    return NAMES[answer["metric"]]


def headline(answer: Answer) -> str:
    """Return the answer in one sentence."""
    if answer["start_from"] is None:
        return "No arm is proposed: none was fine-tuned."
    arm = _arm(answer, answer["start_from"])
    at = "" if arm["rate"] is None else f" at a learning rate of {arm['rate']:g}"
    name = title(answer, arm["arm"])
    if answer["confidence"] == "open":
        return f"Nothing tried here is surely the best. The best so far is {name}{at}."
    return f"Start from {name}{at}."


def reasons(answer: Answer) -> list[str]:
    """Return what stands behind the answer: the leader's value, its lead over the next, the rule, the data."""
    out = []
    if answer["start_from"] is not None:
        arm = _arm(answer, answer["start_from"])
        if arm["value"] is not None:
            out.append(
                f"{title(answer, arm['arm'])}, fine-tuned: {metric(answer)} {number(arm['value'])} "
                f"({interval(arm['low'], arm['high'])}) over {count(arm['runs'] or 0, 'run')}."
            )
        if nearest := next((a for a in answer["arms"] if a["difference"] is not None), None):
            held = interval(nearest["difference_low"], nearest["difference_high"])
            out.append(
                f"The nearest other arm is {title(answer, nearest['arm'])}: the lead over it is "
                f"{number(nearest['difference'])} ({held}), "
                "paired over the same test patients, splits and seeds."
            )
    if answer.get("why"):
        out.append(f"The answer is {answer['confidence']}, as {answer['why']}.")
    tested = answer.get("n_test_patients")
    out.append(
        f"From {count(answer['n_images'], 'image')} of {count(answer['n_patients'], 'patient')}"
        + (f", {tested:,} of them tested" if tested is not None else "")
        + f", in {duration(answer['seconds'])}."
    )
    return out


def baseline(answer: Answer) -> str:
    """Return how far fine-tuning is from what frozen features give; of these alone the best, "" without any.

    A probe as good as fine-tuning says that the runs are undertrained, not that a pretraining is needed.
    """
    better = sign(answer["metric"])
    tuned = [a for a in answer["arms"] if a["value"] is not None]
    probed = [a for a in answer["arms"] if a["probe"] is not None]
    if not probed:
        return ""
    probe = max(probed, key=lambda a: better * a["probe"])
    of = f"The best linear probe, on frozen features of {title(answer, probe['arm'])}, reaches {number(probe['probe'])}"
    if not tuned:
        return f"{of} in cross-validation; fine-tuning may turn the order."
    best = max(tuned, key=lambda a: better * a["value"])
    told = f"{of} in cross-validation; the best fine-tuning {number(best['value'])}."
    told += " Fine-tuning gains nothing over it, so its runs are likely undertrained." * probe_is_as_good(answer)
    return told


def probe_is_as_good(answer: Answer) -> bool:
    """Tell whether the best linear probe is as good as the best fine-tuning; False where there is none of either."""
    better = sign(answer["metric"])
    tuned, probed = ([a[k] for a in answer["arms"] if pd.notna(a.get(k))] for k in ("value", "probe"))
    return bool(tuned and probed) and max(better * v for v in probed) >= max(better * v for v in tuned)


def agreement(answer: Answer) -> list[str]:
    """Return for each cheap score how well it ranked the arms as fine-tuning did; of two arms, that nobody can say."""
    rows = answer.get("agreement") or ()
    most = max((row["arms"] for row in rows), default=0)
    if rows and most < LEAST_RANKED:
        n = f"{count(most, 'arm')} with cheap scores and fine-tuned runs"
        return [f"Rank correlations cannot be said of {n}: below {LEAST_RANKED} an order is too often right by chance."]
    out = []
    for row in rows:
        name = score_name(row["score"])
        if row["tau"] is None:
            out.append(f"{name}: no rank correlation ({count(row['arms'], 'arm')} with both).")
            continue
        out.append(
            f"{name}: weighted Kendall τ {number(row['tau'], 2)} (95 % interval {number(row['low'], 2)} to "
            f"{number(row['high'], 2)}) over {count(row['arms'], 'arm')}; {100 * row['chance']:.0f} % of all orders do "
            "as well."
        )
    return out


def score_name(score: str) -> str:
    """Return how a cheap score is shown; few_shot_5 is "5 images a class"."""
    few = score.removeprefix("few_shot_")
    return SCORES.get(score, f"{few} image{'' if few == '1' else 's'} a class")


def say_more(answer: Answer) -> list[str]:
    """Return what more hours would decide, an arm a line."""
    out, leader = [], answer["start_from"]
    if leader is None:
        return ["Any fine-tuning: two runs an arm are the least that shows a spread. Raise --budget."]
    for arm in answer["arms"]:
        told = arm["decided_by"]
        if not told:
            continue
        name, lead = title(answer, arm["arm"]), _arm(answer, leader)
        minutes = [a["minutes"] / a["runs"] for a in (arm, lead) if a["minutes"] and a["runs"]]
        if told["what"] == "nothing":
            out.append(f"{name}: decided; the lead over it stands.")
        elif told["what"] == "runs":
            cost = f", about {duration(60 * told['runs'] * sum(minutes))}" if len(minutes) == 2 else ""
            out.append(
                f"{name}: {count(told['runs'], 'more run')} of it and of {title(answer, leader)}{cost}, if the "
                "difference is what it seems."
            )
        elif told["what"] == "patients":
            out.append(
                f"{name}: no number of hours, but {count(told['patients'], 'more test patient')}, if the difference is "
                "what it seems."
            )
        else:
            out.append(f"{name}: neither hours nor ten times the test patients; take the one that is easier to use.")
    if not out:
        untuned = [title(answer, a["arm"]) for a in answer["arms"] if a["value"] is None and a["arm"] != PIXELS]
        help_ = "Name --weights, or get those that are missing"
        if untuned:
            help_ = f"Raise --budget: {', '.join(untuned)} had no run in it"
        out.append(f"There is no second arm to tell from the first. {help_}.")
    return out


def hint_note() -> str:
    """Return the sentence on scores that are computed without a held-out image."""
    names = ", ".join(SCORES[name] for name in HINTS)
    return (
        f"{names} are computed without a held-out image. Published work finds them unreliable on medical images: hints."
    )


def _arm(answer: Answer, name: str) -> Mapping[str, Any]:
    return next(arm for arm in answer["arms"] if arm["arm"] == name)
