"""Means, spreads and pairwise comparisons of a tidy frame of results.

A frame of results has one row per run and metric, with the columns experiment, pretraining, task, metric,
seed, value, and any others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from tlkit.config import ConfigError
from tlkit.stats.power import smallest_difference

PANEL = ("experiment", "task", "metric")
SIDES = ("a", "b", "n_a", "n_b", "mean_a", "mean_b", "sd_a", "sd_b")
TESTS = ("p_published", "p_sound", "ci_low", "ci_high", "hedges_g", "p_holm", "p_false_win", "p_equivalent")
TESTS += ("equivalent", "mdd")
P_VALUES = {
    "p_published": "p of Welch's t-test as published, not corrected",
    "p_sound": "p of the contrast of the real runs, not corrected",
    "p_holm": "p of the contrast of the real runs, after Holm's correction",
}

Mixtures = Mapping[str, Mapping[str, float]]


def summarise(results: pd.DataFrame, by: Sequence[str] = (*PANEL, "pretraining"), ddof: int = 1) -> pd.DataFrame:
    """Return mean, sd and n of `value` for each group of `by`, sorted by the groups.

    ddof=1 is the sample standard deviation (NaN where n is 1), ddof=0 that of the population, which Jonske et al. 2025
    print: smaller by sqrt((n-1)/n). Raises ValueError as `check` does.
    """
    check(results, by)
    values = results.groupby(list(by), observed=True, dropna=False)["value"]
    table = values.agg(mean="mean", n="size")
    table.insert(1, "sd", values.std(ddof=ddof))
    return table.reset_index()


def pairwise(
    results: pd.DataFrame,
    within: Sequence[str] = PANEL,
    order: Sequence[str] | None = None,
    mixtures: Mixtures | None = None,
    margin: float = 0.01,
    family: Sequence[str] = (),
) -> pd.DataFrame:
    """Compare every two pretrainings inside each group of `within`, one row per direction (a, b) and (b, a).

    Columns: `within`, SIDES (sd with ddof=1), delta_pct = (mean_a / mean_b - 1) * 100 (NaN where mean_b is 0), TESTS.
    p_published is Welch's test of the rows as they are. All else is the `contrast` of real runs: a pretraining of
    `mixtures` counts as its weights of others, {"radnet_ub": {"radnet": 1-w, "radnet12m": w}}. p_holm: Holm over the
    hypotheses with equal `family` (columns of `within`; none: all of the frame); proportional contrasts count once,
    untested ones not. p_false_win: how probable it is that the side with the higher mean is not truly the higher one,
    p_sound / 2: the t distribution around the difference beyond 0, if all true differences were equally likely
    beforehand; where most are small, more wins are false. equivalent: p_equivalent < 0.05 at `margin`. mdd:
    `power.smallest_difference`. `order` lists the pretrainings (default: as they first appear). Raises ValueError as
    `panels` does, and for a family or mixtures that do not fit. Source: Jonske et al. 2025 (p_published, delta_pct).
    """
    if foreign := [c for c in family if c not in within]:
        raise ConfigError(f"family names {foreign}; expected columns of within: {list(within)}")
    rows, hypotheses, families = [], [], []
    for panel, values in panels(results, within, order):
        _check_mixtures(panel, values, mixtures or {})
        for a, b in combinations(values, 2):
            weights = _weights(a, b, mixtures or {})
            rows.append(panel | sides(a, values[a], b, values[b]) | _tests(a, b, values, weights, margin))
            hypotheses.append((*panel.values(), *_direction(weights)))
            families.append(tuple(panel[c] for c in family))
    pairs = pd.DataFrame(rows, columns=[*within, *SIDES, *TESTS]).astype({c: results[c].dtype for c in within})
    pairs["p_holm"] = _holm(pairs["p_sound"], hypotheses, families)
    # Interleaved, so that (b, a) stands below (a, b).
    both = pd.concat([pairs, _mirror(pairs)]).sort_index(kind="stable").reset_index(drop=True)
    both["equivalent"] = both["p_equivalent"] < 0.05
    ratio = both["mean_a"] / both["mean_b"].where(both["mean_b"] != 0)
    both.insert(both.columns.get_loc("p_published"), "delta_pct", (ratio - 1) * 100)
    return both


def contrast(
    groups: Sequence[np.ndarray], weights: Sequence[float], level: float = 0.95, margin: float | None = None
) -> dict[str, np.ndarray]:
    """Return the test of estimate = sum of w_k * mean of group k against 0; with the weights 1, -1 it is Welch's.

    Args: groups: one array [..., n_k] each, runs on the last axis; leading axes are problems of their own.
    Returns arrays [...]: estimate, se, df (Satterthwaite), p (two-sided), ci_low, ci_high (of the given level),
    hedges_g (estimate in pooled sds, times 1 - 3 / (4 df - 1)), p_equivalent (two one-sided tests against +-`margin`;
    NaN without one). Groups of weight 0 drop out. All but the estimate are NaN where a group has fewer than two runs
    or none varies: a lack of spread is no evidence. Raises ValueError unless margin > 0. Source: jonske2025 5.2.
    """
    from scipy.stats import t

    if margin is not None and not margin > 0:
        raise ConfigError(f"margin is {margin}; expected a number above 0, in points of the metric (0.01)")
    parts = [(np.asarray(x, dtype=float), w) for x, w in zip(groups, weights, strict=True) if w != 0]
    estimate = np.sum([w * x.mean(axis=-1) for x, w in parts], axis=0)
    if min((x.shape[-1] for x, _ in parts), default=0) < 2:
        names = ("se", "df", "p", "ci_low", "ci_high", "hedges_g", "p_equivalent")
        return {"estimate": estimate} | {name: np.full_like(estimate, np.nan) for name in names}
    tested = np.any([varies(x) for x, _ in parts], axis=0)
    terms = [w**2 * x.var(axis=-1, ddof=1) / x.shape[-1] for x, w in parts]
    total = np.where(tested, np.sum(terms, axis=0), np.nan)
    free = np.array([x.shape[-1] - 1 for x, _ in parts])
    df = 1 / sum((term / total) ** 2 / f for term, f in zip(terms, free, strict=True))
    pooled = sum(f * x.var(axis=-1, ddof=1) for (x, _), f in zip(parts, free, strict=True)) / free.sum()
    se, half = np.sqrt(total), np.sqrt(total) * t.ppf((1 + level) / 2, df)
    return {
        "estimate": estimate,
        "se": se,
        "df": df,
        "p": 2 * t.sf(np.abs(estimate) / se, df),
        "ci_low": estimate - half,
        "ci_high": estimate + half,
        "hedges_g": (1 - 3 / (4 * free.sum() - 1)) * estimate / np.sqrt(np.where(tested, pooled, np.nan)),
        "p_equivalent": t.sf(((np.nan if margin is None else margin) - np.abs(estimate)) / se, df),
    }


def panels(
    results: pd.DataFrame, within: Sequence[str] = PANEL, order: Sequence[str] | None = None
) -> Iterator[tuple[dict[str, object], dict[str, np.ndarray]]]:
    """Yield each group of `within` as its names and the values [n] of each pretraining, in `order`.

    Panels come as they first appear. Raises ValueError as `check` does, or for a pretraining that `order` lacks.
    """
    check(results, [*within, "pretraining"])
    order = list(results["pretraining"].unique() if order is None else order)
    if unlisted := sorted(set(results["pretraining"]) - set(order)):
        raise ConfigError(f"order lists {order} but the results also hold {unlisted}; add or drop them")
    for key, group in results.groupby(list(within), observed=True, dropna=False, sort=False):
        values = {name: v.to_numpy(float) for name, v in group.groupby("pretraining", observed=True)["value"]}
        yield dict(zip(within, key, strict=True)), {name: values[name] for name in order if name in values}


def check(results: pd.DataFrame, by: Sequence[str]) -> None:
    """Raise ValueError unless each group of `by` holds one finite value a seed.

    A seed that comes twice would count as a second run: most often another fraction, study or setting is
    pooled without being named.
    """
    if missing := [c for c in (*by, "seed", "value") if c not in results]:
        raise ConfigError(f"results need the columns {missing}; found {list(results.columns)}")
    keys = [*by, "seed"]
    if (bad := ~np.isfinite(results["value"].astype(float))).any():
        first = results.loc[bad, keys].iloc[0].to_dict()
        raise ConfigError(f"{bad.sum()} of {len(bad)} values are not finite, first {first}; drop them by name")
    if (twice := results.duplicated(keys)).any():
        first = results.loc[twice, keys].iloc[0].to_dict()
        raise ConfigError(
            f"{twice.sum()} values share their group and seed with another, first {first}; group by the "
            f"column that tells them apart, or select one of its values (columns: {list(results.columns)})"
        )


def sides(a: str, x: np.ndarray, b: str, y: np.ndarray) -> dict[str, object]:
    """Return SIDES: the names, sizes, means and sds (ddof=1) of two groups of runs."""
    sd_x, sd_y = (v.std(ddof=1) if v.size > 1 else np.nan for v in (x, y))
    return dict(zip(SIDES, (a, b, x.size, y.size, x.mean(), y.mean(), sd_x, sd_y), strict=True))


def varies(x: np.ndarray) -> np.ndarray:
    """Return whether the values on the last axis differ, by more than the few ulps that different sums make."""
    return np.ptp(x, axis=-1) > 1e-12 * np.abs(x).max(axis=-1)


def _tests(a: str, b: str, values: dict[str, np.ndarray], weights: dict[str, float], margin: float) -> dict[str, float]:
    published = contrast([values[a], values[b]], [1, -1], margin=margin)
    direct = weights == {a: 1, b: -1}
    sound = published if direct else contrast([values[name] for name in weights], [*weights.values()], margin=margin)
    found = {c: sound[c] for c in ("ci_low", "ci_high", "hedges_g", "p_equivalent")}
    found |= {"p_published": published["p"], "p_sound": sound["p"], "p_false_win": sound["p"] / 2}
    found["mdd"] = np.nan
    if np.isfinite(sound["se"]):
        groups = [values[name] for name in weights]
        found["mdd"] = smallest_difference(
            [x.std(ddof=1) for x in groups], [x.size for x in groups], [*weights.values()]
        )
    return {name: float(value) for name, value in found.items()}


def _weights(a: str, b: str, mixtures: Mixtures) -> dict[str, float]:
    """Return the weights of real pretrainings in mean(a) - mean(b), without those that cancel."""
    total: dict[str, float] = {}
    for name, sign in ((a, 1), (b, -1)):
        for parent, weight in mixtures.get(name, {name: 1}).items():
            total[parent] = total.get(parent, 0) + sign * weight
    return {name: weight for name, weight in total.items() if abs(weight) > 1e-12}


def _direction(weights: dict[str, float]) -> list[tuple[str, float]]:
    """Return the weights up to a factor: equal for proportional contrasts, which are zero together."""
    names = sorted(weights)
    return [(name, round(weights[name] / weights[names[0]], 9)) for name in names]


def _check_mixtures(panel: dict[str, object], values: dict[str, np.ndarray], mixtures: Mixtures) -> None:
    for name, parents in mixtures.items():
        if name not in values:
            continue
        if missing := [p for p in parents if p not in values]:
            raise ConfigError(
                f"{name} is an estimate from {list(parents)}, but {panel} has no runs of {missing}; add their runs or "
                f"drop the rows of {name} there"
            )
        mean, expected = values[name].mean(), sum(w * values[p].mean() for p, w in parents.items())
        if not np.isclose(mean, expected, rtol=1e-6, atol=1e-9):
            raise ConfigError(
                f"the rows of {name} have the mean {mean:g} in {panel}, its weights {dict(parents)} give {expected:g}; "
                "make both from the same SizeAdjustment"
            )


def _mirror(pairs: pd.DataFrame) -> pd.DataFrame:
    swap = {"a": "b", "ci_low": "ci_high"} | {f"{c}_a": f"{c}_b" for c in ("n", "mean", "sd")}
    flipped = pairs.rename(columns=swap | {new: old for old, new in swap.items()})[pairs.columns]
    return flipped.assign(**{c: -flipped[c] for c in ("ci_low", "ci_high", "hedges_g")})


def _holm(p: pd.Series, hypotheses: list[tuple], families: list[tuple]) -> list[float]:
    from statsmodels.stats.multitest import multipletests

    distinct: dict[tuple, dict[tuple, float]] = {}
    for family, hypothesis, value in zip(families, hypotheses, p, strict=True):
        if not np.isnan(value):
            distinct.setdefault(family, {}).setdefault(hypothesis, value)
    corrected: dict[tuple, float] = {}
    for tests in distinct.values():
        corrected |= zip(tests, multipletests(list(tests.values()), method="holm")[1], strict=True)
    return [corrected.get(hypothesis, np.nan) for hypothesis in hypotheses]
