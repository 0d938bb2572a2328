"""What a paper says, beside what its logs say: every quoted number, and what the sound analysis leaves of it."""

from __future__ import annotations

import pandas as pd

from tlkit import paths

KEY = ["experiment", "task", "metric", "a", "b"]


def quoted(paper: str = "jonske2025") -> pd.DataFrame:
    """Return the deltas and p-values that a paper prints: section, statement, KEY, delta_pct, p (as printed).

    `statement` is in our words; a and b are the pretrainings compared, delta_pct = (mean_a / mean_b - 1) * 100.
    Source: `paper/claims/<paper>.csv`, from the abstract, results and discussion.
    """
    return pd.read_csv(paths.CLAIMS / f"{paper}.csv", dtype={"delta_pct": str, "p": str})


def check(claims: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Return one row a claim: what is printed, ours from `stats.pairwise`, whether they agree, and what holds.

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
    """Return in words what a row of `stats.pairwise` allows to say, for its own direction (a over b)."""
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
