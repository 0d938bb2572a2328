"""What closes the notebooks that compare pretrainings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from tlkit.names import LOWER, Names
from tlkit.report.lettering import metric_name, p_text

ALPHA = 0.05
MOST = 4  # examples that a sentence names


def say_pairs(pairs: pd.DataFrame, names: Mapping[str, str]) -> list[str]:
    """Say how many pairs differ before and after correction, and which: of `differences.pairwise`, both directions."""
    names = Names(names)
    tested = pairs.iloc[::2].dropna(subset="p_sound")
    if tested.empty:
        return ["No pair of pretrainings has two runs a side, so nothing is tested."]
    raw, clear = (tested[tested[p] < ALPHA] for p in ("p_sound", "p_holm"))
    chance = ALPHA * len(tested)
    said = f"Of {len(tested)} pairs, {len(raw)} have p < {ALPHA:g} uncorrected, where chance gives about {chance:.1f};"
    if clear.empty:
        return [
            f"{said} none after Holm's correction.",
            "So the order of the dots is no finding: these runs show no difference between pretrainings, which is not "
            "to say that there is none. The smallest that they would have shown stands in the saved table (`mdd`).",
        ]
    shown = [_say_pair(row, names) for row in clear.head(MOST).to_dict("records")]
    more = f", and {len(clear) - MOST} more" if len(clear) > MOST else ""
    return [f"{said} {len(clear)} after Holm's correction.", f"Clear: {'; '.join(shown)}{more}."]


def _say_pair(row: Mapping[str, Any], names: Names) -> str:
    sign = -1 if row["metric"] in LOWER else 1
    better, worse = ("a", "b") if sign * (row["mean_a"] - row["mean_b"]) > 0 else ("b", "a")
    where = ", ".join(filter(None, [names[str(row["task"])], names[str(row.get("experiment", ""))]]))
    metric = metric_name(str(row["task"]), row["metric"], names)
    return (
        f"{names[row[better]]} better than {names[row[worse]]} on {where} ({metric} {row[f'mean_{better}']:.3f} "
        f"against {row[f'mean_{worse}']:.3f})"
    )


def say_leaders(leaders: pd.DataFrame, names: Mapping[str, str]) -> str:
    """Say which pretrainings have the best mean in how many panels (`leads.leaders`), and how many leads are clear."""
    names = Names(names)
    counts = leaders["a"].value_counts()
    told = ", ".join(f"{names[arm]} in {n}" for arm, n in counts.items())
    clear = int((leaders["p_holm"] < ALPHA).sum())
    return f"Best mean of {len(leaders)} panels: {told}. Clear after correction are {clear or 'none'} of these leads."


def say_ahead(pairs: pd.DataFrame, a: str, b: str, names: Mapping[str, str], p: str = "p_holm") -> str:
    """Say in how many panels `a` is ahead of `b`, and in how many either lead is clear."""
    names, own = Names(names), pairs[(pairs["a"] == a) & (pairs["b"] == b)]
    if own.empty:
        return f"No panel has runs of both {names[a]} and {names[b]}."
    sign = own["metric"].isin(LOWER).map({True: -1, False: 1})
    ahead, clear = sign * (own["mean_a"] - own["mean_b"]) > 0, own[p] < ALPHA
    return (
        f"{names[a]} is ahead of {names[b]} in {int(ahead.sum())} of {len(own)} panels, clearly in "
        f"{int((ahead & clear).sum())}; clearly behind in {int((~ahead & clear).sum())}."
    )


def say_gaps(dice: pd.DataFrame, tasks: Iterable[str], arm: str, names: Mapping[str, str]) -> list[str]:
    """Say how far each network with a pretraining is from its random start: `dice` by (task, pretraining), with gap."""
    names, said = Names(names), []
    for task in tasks:
        row = dice.loc[(task, arm)]
        reads = "more than the spread of its runs" if abs(row["gap"]) > row["std"] else "within the spread of its runs"
        reads = "one run, so no spread" if pd.isna(row["std"]) else reads
        said.append(f"{names[task]}: {names[arm]} pretraining {row['gap']:+.3f} Dice against random weights, {reads}.")
    return said


def say_outcomes(tests: pd.DataFrame) -> list[str]:
    """Say how tests of all modalities against one ended (`modalities.compare`), before and after correction."""
    made = tests[tests["p_student"].notna()]
    if made.empty:
        return ["No test could be made: one side has no runs."]
    raw, clear = ((made[column] != "no difference").sum() for column in ("published", "corrected"))
    return [
        f"Of {len(made)} tests, {raw} are below {ALPHA:g} as published, where chance alone gives about "
        f"{ALPHA * len(made):.1f}; {clear or 'none'} after Holm's correction.",
        "So these runs do not tell one modality from all." if not clear else "The corrected ones are worth a look.",
    ]


def say_ratings(tests: pd.DataFrame, names: Mapping[str, str], made_up: bool) -> list[str]:
    """Say which pretrainings got better ratings after correction (`ratings.pairs` by task, with p_holm)."""
    names, told = Names(names), []
    for row in tests[tests["p_holm"] < ALPHA].to_dict("records"):
        better, worse = ("a", "b") if row["difference"] > 0 else ("b", "a")
        points = f"{abs(row['difference']):.2f} points"
        told.append(f"{names[row[better]]} over {names[row[worse]]} on {names[row['task']]} ({points})")
    who = "phantom raters" if made_up else "raters"
    said = [f"After correction the {who} prefer {'; '.join(told) or 'no pretraining'}."]
    return [*said, "Their preference was planted, so it says nothing of any heat map."] if made_up else said


def say_gains(pairs: pd.DataFrame, compared: Mapping[str, Sequence[str]], names: Mapping[str, str]) -> list[str]:
    """Say what each comparison (its name -> two pretrainings) found in each panel of `differences.pairwise`."""
    names, said = Names(names), []
    for what, (a, b) in compared.items():
        for row in pairs[(pairs["a"] == a) & (pairs["b"] == b)].to_dict("records"):
            gain, where = row["mean_a"] - row["mean_b"], f"{names[str(row['task'])]}, {names[row['experiment']]}"
            metric, runs = metric_name(str(row["task"]), row["metric"], names), f"n = {row['n_a']} and {row['n_b']}"
            if pd.isna(row["ci_low"]):
                reads = "too few runs for an interval"
            else:
                interval = f"[{row['ci_low']:+.3f}, {row['ci_high']:+.3f}]"
                clear = "clear" if row["p_holm"] < ALPHA else "not clear"
                reads = f"{interval}, {clear} after correction: p {p_text(row['p_holm'])}"
            said.append(f"{what}, {where}: {metric} {gain:+.3f} ({reads}; {runs}).")
    return said


def say_claims(checked: pd.DataFrame, source: str) -> list[str]:
    """Say how many quoted numbers agree (`claims.check`), and what the sound analysis says of those with runs."""
    there = checked[checked["agrees"] != "no data"]
    held = there["holds"].str.partition(":")[0].str.partition(" (")[0].value_counts()
    return [
        f"{int((there['agrees'] == 'yes').sum())} of {len(there)} quoted numbers that have runs in {source} agree to "
        f"the printed digit; {len(checked) - len(there)} have none there.",
        f"What the sound analysis says of these {len(there)}: {'; '.join(f'{n} {what}' for what, n in held.items())}.",
    ]
