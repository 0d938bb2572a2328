"""Runs within pretrainings: what several pretraining runs of one arm show, and what one a corpus cannot.

An arm is a pretraining as a study describes it; its pretraining runs differ by their seed alone. Downstream runs that
start from one of them share its luck: to say that one arm is better than another, the pretraining run is the unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tlkit.stats import differences

NORMAL = 1.959964  # standard errors of a 95 % interval, where the error is known


def units(results: pd.DataFrame, arms: Mapping[str, str], within: Sequence[str] = differences.PANEL) -> pd.DataFrame:
    """Return a frame of results whose rows are pretraining runs: `within`, pretraining (the arm), seed, value.

    value is the mean of the downstream runs of one pretraining run, seed its name in the study. `arms`: the arm of each
    pretraining run. A pretraining without one (random weights, drawn anew for each run) keeps its runs as they are,
    each a unit. `differences.pairwise` of the result tests arms with the pretraining run as the unit; it needs two or
    more a side. Raises ValueError as `differences.check` does.
    """
    differences.check(results, [*within, "pretraining"])
    trained = results["pretraining"].isin(list(arms))
    keys = [*within, "pretraining"]
    means = results[trained].groupby(keys, observed=True, dropna=False, sort=False)["value"].mean().reset_index()
    means = means.assign(seed=means["pretraining"], pretraining=means["pretraining"].map(dict(arms)))
    single = results.loc[~trained, [*keys, "seed", "value"]]
    return pd.concat([means, single.astype({"seed": object})], ignore_index=True)[[*keys, "seed", "value"]]


def spreads(results: pd.DataFrame, arms: Mapping[str, str], within: Sequence[str] = differences.PANEL) -> pd.DataFrame:
    """Return for each panel and arm how its runs vary, between pretraining runs and within them.

    Columns: `within`, arm, pretrainings, runs, mean (of the pretraining runs' means), sd_within (of downstream runs
    that share a pretraining run, pooled), sd_between (of pretraining runs, were each followed by endless downstream
    runs: the variance of their means less what sd_within explains of it, at least 0). NaN where two are not there.
    For equal numbers of downstream runs they are those of analysis of variance. Raises ValueError as
    `differences.check`.
    """
    keys = [*within, "pretraining"]
    differences.check(results, keys)
    mine = results[results["pretraining"].isin(list(arms))]
    cells = mine.groupby(keys, observed=True, dropna=False, sort=False)["value"].agg(["mean", "var", "size"])
    cells = cells.reset_index().assign(arm=lambda t: t["pretraining"].map(dict(arms)))
    rows = []
    for key, arm in cells.groupby([*within, "arm"], observed=True, dropna=False, sort=False):
        free = (arm["size"] - 1).sum()
        inner = ((arm["size"] - 1) * arm["var"].fillna(0)).sum() / free if free else np.nan
        outer = arm["mean"].var(ddof=1) - inner * (1 / arm["size"]).mean()
        found = {"pretrainings": len(arm), "runs": arm["size"].sum(), "mean": arm["mean"].mean()}
        found |= {
            "sd_within": np.sqrt(inner),
            "sd_between": np.sqrt(outer) if np.isnan(outer) else np.sqrt(max(0, outer)),
        }
        rows.append(dict(zip([*within, "arm"], key, strict=True)) | found)
    columns = [*within, "arm", "pretrainings", "runs", "mean", "sd_within", "sd_between"]
    return pd.DataFrame(rows, columns=columns)


def undoing_sd(pairs: pd.DataFrame) -> pd.Series:
    """Return how much pretraining runs of one arm would have to vary for a clear difference to be none.

    `pairs` of `differences.pairwise`, with one pretraining run an arm: if such runs differed by this sd in what comes
    of them, the 95 % interval of the difference between the arms would reach 0; both half widths add in quadrature,
    that of the downstream runs and 1.96 * sqrt(2) * sd. In units of the metric; 0 where the interval holds 0 already,
    NaN where there is none. What it is in truth, one pretraining run an arm cannot tell.
    """
    middle, half = (pairs["ci_low"] + pairs["ci_high"]) / 2, (pairs["ci_high"] - pairs["ci_low"]) / 2
    return np.sqrt((middle**2 - half**2).clip(lower=0) / 2) / NORMAL
