"""What a test of a few runs can find: its power, and the smallest difference that it finds with a given power."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from tlkit.config import ConfigError


def power(
    difference: float,
    sds: Sequence[float],
    runs: Sequence[int],
    weights: Sequence[float] = (1, -1),
    alpha: float = 0.05,
) -> float:
    """Return how often `differences.contrast` finds a true difference of this size, with p < `alpha` (two-sided).

    Args: difference: the true sum of weights * means; sds: the true standard deviation of the runs of each group;
    runs: their number in each (two or more); weights: of each group, 1 and -1 for Welch's test of two.
    The test's degrees of freedom are estimated from the same few runs as its error, and vary with them. So the power is
    its mean over all sample variances, which are chi-squared, by Gauss-Laguerre quadrature; with three runs or more a
    group it is exact to 0.001, with two to 0.01. NaN where no group varies. Raises ConfigError for a group of one run.
    """
    se, limits, shares = _limits(tuple(sds), tuple(runs), tuple(weights), alpha)
    return _found(difference / se, limits, shares) if se > 0 else np.nan


def smallest_difference(
    sds: Sequence[float],
    runs: Sequence[int],
    weights: Sequence[float] = (1, -1),
    power: float = 0.8,
    alpha: float = 0.05,
) -> float:
    """Return the true difference that `differences.contrast` finds with the given power; NaN where none varies.

    By `power`. With estimated sds in the place of the true ones it is an estimate itself, as uncertain as they are.
    """
    from scipy.optimize import brentq

    se, limits, shares = _limits(tuple(sds), tuple(runs), tuple(weights), alpha)
    if not se > 0:
        return np.nan
    most = 1.0
    while _found(most, limits, shares) < power:
        most *= 2
    return se * brentq(lambda ratio: _found(ratio, limits, shares) - power, 0, most)


def _limits(
    sds: tuple[float, ...], runs: tuple[int, ...], weights: tuple[float, ...], alpha: float
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the true se, and the critical values (in true ses) of the samples that may be drawn, with their shares."""
    from scipy.stats import t

    if min(runs) < 2:
        raise ConfigError(f"groups of {list(runs)} runs; a spread needs two or more in each")
    groups = [(w**2 * sd**2 / n, n - 1) for sd, n, w in zip(sds, runs, weights, strict=True) if w != 0 and sd > 0]
    total = sum(term for term, _ in groups)
    if not total > 0:
        return np.nan, np.array([]), np.array([])
    nodes = min(32, round(1200 ** (1 / len(groups))))
    drawn, shares = zip(*(_variances(f, nodes) for _, f in groups), strict=True)
    parts = [term * v.ravel() / total for (term, _), v in zip(groups, np.meshgrid(*drawn), strict=True)]
    estimated = sum(parts)
    df = estimated**2 / sum(part**2 / f for part, (_, f) in zip(parts, groups, strict=True))
    return np.sqrt(total), np.sqrt(estimated) * t.isf(alpha / 2, df), np.prod(np.meshgrid(*shares), axis=0).ravel()


@lru_cache(maxsize=64)
def _variances(free: int, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return sample variances over the true one, with `free` degrees of freedom, and their probabilities."""
    from scipy.special import roots_genlaguerre

    places, weights = roots_genlaguerre(nodes, free / 2 - 1)
    return 2 * places / free, weights / weights.sum()


def _found(ratio: float, limits: np.ndarray, shares: np.ndarray) -> float:
    """Return the power for a true difference of `ratio` standard errors: the mean does not depend on the variances."""
    from scipy.special import ndtr

    return float(shares @ (ndtr(ratio - limits) + ndtr(-ratio - limits)))
