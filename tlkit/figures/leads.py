"""Who leads in a panel, and how probable it is that the lead is false."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tlkit.names import LOWER
from tlkit.stats.differences import PANEL


def leaders(pairs: pd.DataFrame, within: Sequence[str] = PANEL) -> pd.DataFrame:
    """Return for each panel of `differences.pairwise` the pretraining with the best mean and its lead over the next.

    Columns: `within`, a (the leader), b (the next), mean_a, mean_b, delta_pct, p_sound, p_holm, and p_false_win of the
    leader among all (`false_win`). The best mean is the highest, of a metric of LOWER the lowest. A lead is a
    comparison chosen after looking, so its p-values are smaller than a planned one's would be.
    """
    columns, keys = [*within, "a", "b", "mean_a", "mean_b", "delta_pct", "p_sound", "p_holm"], list(within)
    sign = pairs["metric"].isin(LOWER).map({True: -1, False: 1})
    places = pairs[keys].assign(first=sign * pairs["mean_a"], second=sign * pairs["mean_b"])
    ranked = pairs.loc[places.sort_values(["first", "second"], ascending=False, kind="stable").index]
    found = ranked.groupby(keys, observed=True).head(1).sort_values(keys)
    wins = {}
    for key, arms in ranked.drop_duplicates([*keys, "a"]).groupby(keys, observed=True):
        wins[key] = false_win(sign[arms.index[0]] * arms["mean_a"], arms["sd_a"], arms["n_a"])
    told = [wins[key] for key in found[keys].itertuples(index=False, name=None)]
    return found[columns].assign(p_false_win=told).reset_index(drop=True)


def false_win(means: Sequence[float], sds: Sequence[float], runs: Sequence[int]) -> float:
    """Return how probable it is that the group with the highest mean is not truly the highest of all.

    Each true mean lies around the one found as t with n - 1 degrees of freedom, times sd / sqrt(n), and independently
    of the others: its posterior, if all values were equally likely beforehand. Where true differences are mostly small,
    more wins are false than this says; where all groups vary alike, fewer (12 where it says 16 of 100, for four groups
    of four runs). The leader's is integrated over 2,000 quantiles. NaN where a group has
    fewer than two runs or does not vary.
    """
    from scipy.stats import t

    means, sds, runs = (np.asarray(x, dtype=float) for x in (means, sds, runs))
    errors, free = sds / np.sqrt(runs), runs - 1
    if not (errors > 0).all():
        return np.nan
    first, middles = np.argmax(means), (np.arange(2000) + 0.5) / 2000
    places = means[first] + errors[first] * t.ppf(middles, free[first])
    others = np.arange(len(means)) != first
    below = t.cdf((places[:, None] - means[others]) / errors[others], free[others])
    return float(1 - below.prod(axis=1).mean())
