"""Rank tests on a tidy frame of results, as in the RadiologyNET study (Sci Rep 2025): few runs, no normality assumed.

Its chain: Levene and Kruskal-Wallis over the groups of a panel, then Mann-Whitney U for every two of them. With five
runs a side, its smallest possible p-value is 2 / 252, times three pairs 0.024, and only U of 0 or 1 falls below 0.05.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import combinations
from math import comb

import numpy as np
import pandas as pd

from tlkit.stats import differences


def omnibus(results: pd.DataFrame, within: Sequence[str] = differences.PANEL) -> pd.DataFrame:
    """Return the tests over all pretrainings of each panel, one row per panel.

    Columns: `within`, groups, n (runs in all), p_levene (equal spread, around the medians), h, p_kruskal (equal
    location; chi-squared approximation). NaN where a test is not defined: one group, no spread, and for Levene's no
    group of three or more, as the two values of a pair are equally far from their median.
    Raises ValueError as `differences.check` does. Source: radiologynet2025 4.1.
    """
    from scipy.stats import kruskal, levene

    rows = []
    for panel, values in differences.panels(results, within):
        groups, found = list(values.values()), {"p_levene": np.nan, "h": np.nan, "p_kruskal": np.nan}
        if len(groups) > 1 and differences.varies(np.concatenate(groups)):
            with np.errstate(divide="ignore", invalid="ignore"):
                spread, location = levene(*groups), kruskal(*groups)
            able = np.isfinite(spread.statistic) and max(map(len, groups)) > 2
            found["p_levene"] = spread.pvalue if able else np.nan
            found |= {"h": location.statistic, "p_kruskal": location.pvalue}
        rows.append(panel | {"groups": len(groups), "n": sum(map(len, groups))} | found)
    return _frame(rows, results, within, ["groups", "n", "p_levene", "h", "p_kruskal"])


def mann_whitney(
    results: pd.DataFrame, within: Sequence[str] = differences.PANEL, order: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return the two-sided Mann-Whitney U test of every two pretrainings of a panel, one row per pair.

    Columns: `within`, differences.SIDES, u (of a: how often a run of a is above one of b, ties half), p, p_bonferroni
    (times the pairs of the panel, at most 1). p is exact for up to eight runs without ties, else normal with
    corrections for ties and continuity: scipy's default, as published. Raises ValueError as `differences.panels` does.
    Source: radiologynet2025 4.1, 4.2.
    """
    from scipy.stats import mannwhitneyu

    rows = []
    for panel, values in differences.panels(results, within, order):
        pairs = list(combinations(values, 2))
        for a, b in pairs:
            test = mannwhitneyu(values[a], values[b])
            p = {"u": test.statistic, "p": test.pvalue, "p_bonferroni": min(1, test.pvalue * len(pairs))}
            rows.append(panel | differences.sides(a, values[a], b, values[b]) | p)
    return _frame(rows, results, within, [*differences.SIDES, "u", "p", "p_bonferroni"])


def student(
    results: pd.DataFrame, within: Sequence[str] = differences.PANEL, order: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return Student's t-test (equal variances) of every two pretrainings of a panel, Welch's beside, one row per pair.

    Columns: `within`, differences.SIDES, p_student (as published for single- against multi-modality), p_welch, and
    ci_low, ci_high of Welch's difference of means. NaN where `differences.contrast` is. Nothing is corrected for the
    number of tests. Raises ValueError as `differences.panels` does. Source: radiologynet2025 4.3.
    """
    from scipy.stats import ttest_ind

    rows = []
    for panel, values in differences.panels(results, within, order):
        for a, b in combinations(values, 2):
            welch = differences.contrast([values[a], values[b]], [1, -1])
            found = {"p_student": np.nan, "p_welch": welch["p"], "ci_low": welch["ci_low"], "ci_high": welch["ci_high"]}
            if np.isfinite(welch["p"]):
                with warnings.catch_warnings():
                    # One side without spread is a valid test; scipy warns of it all the same.
                    warnings.filterwarnings("ignore", message="Precision loss", category=RuntimeWarning)
                    found["p_student"] = ttest_ind(values[a], values[b]).pvalue
            rows.append(panel | differences.sides(a, values[a], b, values[b]) | found)
    return _frame(rows, results, within, [*differences.SIDES, "p_student", "p_welch", "ci_low", "ci_high"])


def cliffs_delta(pairs: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Return `pairs` of `mann_whitney` with cliffs_delta (-1 to 1), delta_low and delta_high.

    delta = 2 u / (n_a n_b) - 1: how much more often a run of a is above one of b than below. The interval is Newcombe's
    (Statistics in Medicine 2006, 25:559-573, method 5), which keeps its width where the groups do not overlap, as five
    runs a side often do not; those by an estimated variance (statsmodels' rank_compare_2indep) shrink to a point there.
    NaN where a side has fewer than two runs.
    """
    auc = pairs["u"] / (pairs["n_a"] * pairs["n_b"])
    bounds = [_newcombe(*row, level) for row in zip(auc, pairs["n_a"], pairs["n_b"], strict=True)]
    low, high = np.array(bounds, dtype=float).reshape(-1, 2).T
    return pairs.assign(cliffs_delta=2 * auc - 1, delta_low=2 * low - 1, delta_high=2 * high - 1)


def holm(p: pd.Series) -> pd.Series:
    """Return p-values after Holm's correction for all of them; NaN, a test that was not made, stays and counts not."""
    from statsmodels.stats.multitest import multipletests

    made = p.dropna()
    corrected = multipletests(made, method="holm")[1] if len(made) else made
    return pd.Series(corrected, index=made.index, dtype=float).reindex(p.index)


def smallest_p(n_a: int, n_b: int) -> float:
    """Return the smallest p-value of an exact two-sided Mann-Whitney U test, without ties: 2 / C(n_a + n_b, n_a)."""
    return min(1.0, 2 / comb(n_a + n_b, n_a))


def _newcombe(auc: float, n_a: int, n_b: int, level: float) -> tuple[float, float]:
    """Return the interval of P(a > b): where the distance to `auc` is z standard errors, taken at the bound itself."""
    from scipy.optimize import brentq
    from scipy.stats import norm

    if min(n_a, n_b) < 2 or not np.isfinite(auc):
        return np.nan, np.nan
    z, more = norm.ppf((1 + level) / 2), (n_a + n_b) / 2 - 1

    def beyond(t: float) -> float:
        error = t * (1 - t) * (1 + more * ((1 - t) / (2 - t) + t / (1 + t))) / (n_a * n_b)
        return (t - auc) ** 2 - z**2 * error

    # Beyond both 0 and 1, where the error is 0; not beyond at `auc` itself, but for the root that lies on an end.
    low = brentq(beyond, 0, min(auc, 1 - 1e-9)) if auc > 0 else 0.0
    high = brentq(beyond, max(auc, 1e-9), 1) if auc < 1 else 1.0
    return low, high


def _frame(rows: list[dict], results: pd.DataFrame, within: Sequence[str], columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[*within, *columns]).astype({c: results[c].dtype for c in within})
