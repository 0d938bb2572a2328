"""What a paper says, beside what its logs say: every quoted number, and what the sound analysis leaves of it."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from tlkit import paths
from tlkit.published import ranks
from tlkit.published.attainable import rounds_to
from tlkit.stats import differences
from tlkit.stats.differences import Mixtures

KEY = ["experiment", "task", "metric", "a", "b"]
Step = tuple[tuple[str, str], tuple[str, str]]  # from (experiment, task) to (experiment, task)


def read_quoted(paper: str = "jonske2025") -> pd.DataFrame:
    """Return the deltas and p-values that a paper prints, one row each; numbers are text, as printed.

    Columns of jonske2025: section, statement (in our words), KEY, delta_pct = (mean_a / mean_b - 1) * 100, p; a and b
    are the pretrainings compared. Of radiologynet2025: section, statement, task, metric, a, b ("+" joins several: all
    of a Kruskal-Wallis test, or those that share one number), test, n (runs a group), tails, times (Bonferroni), p.
    Source: `paper/claims/<paper>.csv`, from the abstract, results and discussion.
    """
    return pd.read_csv(paths.CLAIMS / f"{paper}.csv", dtype={"delta_pct": str, "p": str}, keep_default_na=False)


def check(claims: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per claim: what is printed, ours from `differences.pairwise`, whether they agree, and what holds.

    agrees is "yes" where ours rounds to the printed digits of both numbers, "no" where it does not, "no data"
    where the pair is not among `pairs`. Columns added to the claims: delta_ours, p_ours (as text, in the printed
    form), agrees, difference (mean_a - mean_b in points of the metric), ci_low, ci_high, p_sound, p_holm, holds.
    """
    numbers = ["mean_a", "mean_b", "n_a", "n_b", "ci_low", "ci_high", "p_sound", "p_holm", "equivalent", "mdd"]
    found = pairs[[*KEY, "delta_pct", "p_published", *numbers]].rename(columns={"delta_pct": "delta"})
    table = claims.merge(found.astype({"task": str}), on=KEY, how="left")
    absent = table["mean_a"].isna()
    table["delta_ours"] = ["" if pd.isna(v) else f"{v:.2f}" for v in table["delta"]]
    table["p_ours"] = [printed_p(p) for p in table["p_published"]]
    same = (table["delta_ours"] == table["delta_pct"]) & (table["p_ours"] == table["p"])
    table["agrees"] = same.map({True: "yes", False: "no"}).mask(absent, "no data")
    table["difference"] = table["mean_a"] - table["mean_b"]
    table["holds"] = [verdict(row) for _, row in table.iterrows()]
    shown = ["delta_ours", "p_ours", "agrees", "difference", "ci_low", "ci_high", "p_sound", "p_holm", "holds"]
    return table[[*claims.columns, *shown]]


def printed_p(p: float) -> str:
    """Return a p-value as the paper prints it: three decimals, "<0.001" where they would all be 0."""
    if pd.isna(p):
        return ""
    return "<0.001" if p < 0.0005 else f"{p:.3f}"


def verdict(row: pd.Series, alpha: float = 0.05) -> str:
    """Return in words what a row of `differences.pairwise` allows to say, for its own direction (a over b)."""
    if pd.isna(row["p_sound"]):
        return "no data"
    if row["p_sound"] < alpha:
        sign = "higher" if row["mean_a"] > row["mean_b"] else "lower"
        small = ", by less than the margin" if row["equivalent"] else ""
        return f"{sign}{small}, {'also' if row['p_holm'] < alpha else 'but not'} after correction"
    if row["equivalent"]:
        return "equal within the margin"
    return f"undecided: only {100 * row['mdd']:.1f} points or more would have shown"


def scoreboard(pairs: pd.DataFrame, alpha: float = 0.05) -> pd.DataFrame:
    """Return for each experiment and direction (a, b) in how many panels a is higher, and how surely.

    Columns: experiment, a, b, panels, higher (mean_a > mean_b), and of these published, sound, holm (p below `alpha`
    by each way), equivalent (panels in which a and b are equal within the margin).
    """
    higher = pairs["mean_a"] > pairs["mean_b"]
    counts = {"panels": higher | ~higher, "higher": higher}
    counts |= {name: higher & (pairs[f"p_{name}"] < alpha) for name in ("published", "sound", "holm")}
    counts["equivalent"] = pairs["equivalent"]
    by = [pairs["experiment"], pairs["a"], pairs["b"]]
    return pd.DataFrame(counts).groupby(by, observed=True, sort=False).sum().astype(int).reset_index()


def numbers(paper: str) -> pd.DataFrame:
    """Return the counts and sizes that a paper prints or its logs hold, each beside what other numbers give for it.

    Columns: section, statement (in our words), printed, calculation (arithmetic on other numbers of the paper, or on
    those of its data sets), value (its result), agrees ("yes" where it rounds to the printed digits, else "no"), note.
    Source: `paper/claims/<paper>_numbers.csv`.
    """
    text = {"printed": str, "calculation": str, "note": str}
    table = pd.read_csv(paths.CLAIMS / f"{paper}_numbers.csv", dtype=text, keep_default_na=False)
    table.insert(4, "value", [float(pd.eval(c, engine="python")) for c in table["calculation"]])
    same = [rounds_to([value], printed)[0] for value, printed in zip(table["value"], table["printed"], strict=True)]
    table.insert(5, "agrees", pd.Series(same).map({True: "yes", False: "no"}))
    return table


def list_allowed(pairs: pd.DataFrame, a: str, b: str, tasks: str = "") -> pd.DataFrame:
    """Return the rows of `differences.pairwise` on a over b, of tasks that match a pattern, and what each allows.

    Columns: experiment, task, metric, difference (mean_a - mean_b), ci_low, ci_high, p_published, p_sound, p_holm,
    p_false_win, equivalent, holds (`verdict`).
    """
    rows = pairs[(pairs["a"] == a) & (pairs["b"] == b) & pairs["task"].astype(str).str.match(tasks)]
    rows = rows.assign(difference=rows["mean_a"] - rows["mean_b"], holds=[verdict(row) for _, row in rows.iterrows()])
    columns = [*KEY[:3], "difference", "ci_low", "ci_high", "p_published", "p_sound", "p_holm", "p_false_win"]
    return rows[[*columns, "equivalent", "holds"]].reset_index(drop=True)


def growth(results: pd.DataFrame, steps: Iterable[Step], own: str, other: str, mixtures: Mixtures) -> pd.DataFrame:
    """Return by how much the advantage of one pretraining over another grows from an easier panel to a harder one.

    Args: results: real runs (one metric a row; a mixture's rows are not used); steps: ((experiment, task) of the easier
    panel, (experiment, task) of the harder one); mixtures: as of `differences.pairwise`. One row per step and metric:
    easier, harder, metric, gap_easier, gap_harder (mean of own - mean of other), growth (gap_harder - gap_easier),
    ci_low, ci_high, p (the contrast of the runs of both panels), p_holm (over the rows). A step without runs is left
    out.
    """
    weights = mixtures.get(own, {own: 1}).items(), mixtures.get(other, {other: 1}).items()
    parts = [(name, w) for name, w in weights[0]] + [(name, -w) for name, w in weights[1]]
    panels = {
        (panel["experiment"], panel["task"], panel["metric"]): values
        for panel, values in differences.panels(results.astype({"task": str}))
        if all(name in values for name, _ in parts)
    }
    rows = []
    for easier, harder in steps:
        for metric in (m for e, t, m in panels if (e, t) == harder and (*easier, m) in panels):
            sides = [panels[(*where, metric)] for where in (easier, harder)]
            groups = [side[name] for side in sides for name, _ in parts]
            signed = [sign * w for sign in (-1, 1) for _, w in parts]
            gaps = [sum(w * side[name].mean() for name, w in parts) for side in sides]
            test = differences.contrast(groups, signed)
            found = {"growth": test["estimate"], "ci_low": test["ci_low"], "ci_high": test["ci_high"], "p": test["p"]}
            head = {"easier": " ".join(easier), "harder": " ".join(harder), "metric": metric}
            rows.append(head | dict(zip(("gap_easier", "gap_harder"), gaps, strict=True)) | found)
    columns = ["easier", "harder", "metric", "gap_easier", "gap_harder", "growth", "ci_low", "ci_high", "p"]
    table = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[3:], float))
    return table.assign(p_holm=ranks.holm(table["p"]))
