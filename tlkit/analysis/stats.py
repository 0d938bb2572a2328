"""Means, spreads and pairwise comparisons of a tidy frame of results.

A frame of results has one row a run and metric, with the columns experiment, pretraining, task, metric,
seed, value, and any others.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

PANEL = ("experiment", "task", "metric")
SIDES = ("a", "b", "n_a", "n_b", "mean_a", "mean_b", "sd_a", "sd_b")
TESTS = ("p_welch", "ci_low", "ci_high", "hedges_g")


def summarise(results: pd.DataFrame, by: Sequence[str] = (*PANEL, "pretraining")) -> pd.DataFrame:
    """Return mean, sd and n of `value` for each group of `by`, sorted by the groups.

    sd is the sample standard deviation (ddof=1; NaN where n is 1). Jonske et al. 2025 print the population
    sd (ddof=0), which is smaller by sqrt((n-1)/n). Raises ValueError as `check` does.
    """
    check(results, by)
    values = results.groupby(list(by), observed=True, dropna=False)["value"]
    return values.agg(mean="mean", sd="std", n="size").reset_index()


def pairwise(results: pd.DataFrame, within: Sequence[str] = PANEL, order: Sequence[str] | None = None) -> pd.DataFrame:
    """Compare every two pretrainings inside each group of `within`, one row a direction (a, b) and (b, a).

    Columns: `within`, SIDES (sd with ddof=1), delta_pct = (mean_a / mean_b - 1) * 100 (NaN where mean_b is
    0), TESTS as of `welch`, and p_holm: Holm's correction over all unordered pairs of the frame passed, less
    those that could not be tested. `order` lists the pretrainings (default: as they first
    appear). Raises ValueError as `check` does, or for a pretraining that `order` lacks.
    Source: Jonske et al. 2025, supplementary p/delta matrices; they correct for nothing.
    """
    check(results, [*within, "pretraining"])
    order = list(results["pretraining"].unique() if order is None else order)
    if unlisted := sorted(set(results["pretraining"]) - set(order)):
        raise ValueError(f"order lists {order} but the results also hold {unlisted}; add or drop them")
    rows = []
    for key, group in results.groupby(list(within), observed=True, dropna=False):
        values = {name: v.to_numpy(float) for name, v in group.groupby("pretraining", observed=True)["value"]}
        for a, b in combinations([name for name in order if name in values], 2):
            rows.append(dict(zip(within, key, strict=True)) | _describe(a, values[a], b, values[b]))
    pairs = pd.DataFrame(rows, columns=[*within, *SIDES, *TESTS])
    pairs["p_holm"] = _holm(pairs["p_welch"])
    # Interleaved, so that (b, a) stands below (a, b).
    both = pd.concat([pairs, _mirror(pairs)]).sort_index(kind="stable").reset_index(drop=True)
    ratio = both["mean_a"] / both["mean_b"].where(both["mean_b"] != 0)
    both.insert(both.columns.get_loc("p_welch"), "delta_pct", (ratio - 1) * 100)
    return both


def welch(a: np.ndarray, b: np.ndarray, level: float = 0.95) -> dict[str, float]:
    """Return Welch's two-sided test of mean(a) - mean(b): p_welch, ci_low, ci_high, hedges_g.

    The interval has Welch-Satterthwaite degrees of freedom and the given level; hedges_g is the difference in
    pooled standard deviations with the small-sample factor 1 - 3 / (4 n - 9). All are NaN where a side has
    fewer than two values, or where neither varies (scipy would say p = 0: a lack of spread is no evidence).
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if min(a.size, b.size) < 2 or not (_varies(a) or _varies(b)):
        return dict.fromkeys(TESTS, np.nan)
    from scipy.stats import ttest_ind
    from statsmodels.stats.meta_analysis import effectsize_smd

    with warnings.catch_warnings():
        # One side without spread is a valid Welch test; scipy warns of it all the same.
        warnings.filterwarnings("ignore", message="Precision loss", category=RuntimeWarning)
        test = ttest_ind(a, b, equal_var=False)
    low, high = test.confidence_interval(level)
    g, _ = effectsize_smd(a.mean(), a.std(ddof=1), a.size, b.mean(), b.std(ddof=1), b.size)
    return dict(zip(TESTS, map(float, (test.pvalue, low, high, g)), strict=True))


def leaders(pairs: pd.DataFrame, within: Sequence[str] = PANEL) -> pd.DataFrame:
    """Return for each panel of `pairwise` the pretraining with the highest mean and its lead over the next one.

    Columns: `within`, a (the leader), b (the next), mean_a, mean_b, delta_pct, p_welch, p_holm. A lead is a
    comparison chosen after looking, so its p-values are smaller than a planned one's would be.
    """
    ranked = pairs.sort_values(["mean_a", "mean_b"], ascending=False, kind="stable")
    first = ranked.groupby(list(within), observed=True).head(1).sort_values(list(within))
    return first[[*within, "a", "b", "mean_a", "mean_b", "delta_pct", "p_welch", "p_holm"]].reset_index(drop=True)


def check(results: pd.DataFrame, by: Sequence[str]) -> None:
    """Raise ValueError unless each group of `by` holds one finite value a seed.

    A seed that comes twice would count as a second run: most often another fraction, study or setting is
    pooled without being named.
    """
    if missing := [c for c in (*by, "seed", "value") if c not in results]:
        raise ValueError(f"results need the columns {missing}; found {list(results.columns)}")
    keys = [*by, "seed"]
    if (bad := ~np.isfinite(results["value"].astype(float))).any():
        first = results.loc[bad, keys].iloc[0].to_dict()
        raise ValueError(f"{bad.sum()} of {len(bad)} values are not finite, first {first}; drop them by name")
    if (twice := results.duplicated(keys)).any():
        first = results.loc[twice, keys].iloc[0].to_dict()
        raise ValueError(
            f"{twice.sum()} values share their group and seed with another, first {first}; group by the "
            f"column that tells them apart, or select one of its values (columns: {list(results.columns)})"
        )


def _describe(a: str, x: np.ndarray, b: str, y: np.ndarray) -> dict[str, object]:
    sd_x, sd_y = (v.std(ddof=1) if v.size > 1 else np.nan for v in (x, y))
    sides = (a, b, x.size, y.size, x.mean(), y.mean(), sd_x, sd_y)
    return dict(zip(SIDES, sides, strict=True)) | welch(x, y)


def _mirror(pairs: pd.DataFrame) -> pd.DataFrame:
    swap = {"a": "b", "ci_low": "ci_high"} | {f"{c}_a": f"{c}_b" for c in ("n", "mean", "sd")}
    flipped = pairs.rename(columns=swap | {new: old for old, new in swap.items()})[pairs.columns]
    return flipped.assign(**{c: -flipped[c] for c in ("ci_low", "ci_high", "hedges_g")})


def _holm(p: pd.Series) -> pd.Series:
    from statsmodels.stats.multitest import multipletests

    tested = p.dropna()
    corrected = multipletests(tested, method="holm")[1] if len(tested) else []
    return pd.Series(corrected, index=tested.index, dtype=float).reindex(p.index)


def _varies(x: np.ndarray) -> bool:
    # Equal numbers that went through different sums differ by a few ulps: that is no spread.
    return bool(np.ptp(x) > 1e-12 * np.abs(x).max())
