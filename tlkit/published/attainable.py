"""Which p-values rank tests of a few runs can give at all, and what a printed one says of the runs behind it.

A rank test sees of two samples only how they are ordered, ties included: of five runs against five there are 26,927
weak orderings. All are listed and tested, so what none gives no data can give.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import combinations

import numpy as np
import pandas as pd

METHODS = ("exact", "continuity", "plain")  # of the Mann-Whitney test; scipy's default is exact without ties, else
DEFAULT = "default"  # continuity: the normal approximation with corrections for ties and continuity


@cache
def orderings(n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Return every weak ordering of `n` against `m` runs as samples x [k, n] and y [k, m] of whole numbers, ascending.

    Runs of one sample are not told apart. Equal numbers are ties, within a sample or across.
    """
    found = list(_levels(n, m, 0))
    return (
        np.array([x for x, _ in found], dtype=np.int8).reshape(-1, n),
        np.array([y for _, y in found], dtype=np.int8).reshape(-1, m),
    )


@cache
def _levels(n: int, m: int, level: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return the samples of n and m runs whose values count from `level`."""
    if not n and not m:
        return [((), ())]
    return [
        ((level,) * i + x, (level,) * j + y)
        for i in range(n + 1)
        for j in range(m + 1)
        if i or j
        for x, y in _levels(n - i, m - j, level + 1)
    ]


@cache
def mann_whitney(n: int, m: int) -> pd.DataFrame:
    """Return the two-sided Mann-Whitney test of every weak ordering, one row each, in the order of `orderings`.

    Columns: u (of x), tied (runs that share their value with another), exact (NaN with ties), continuity and plain (the
    normal approximation with ties corrected, with and without continuity correction; 1 where all runs are equal), and
    default: what scipy's `mannwhitneyu` gives unasked, exact without ties (up to eight runs), else continuity.
    """
    from scipy.stats import mannwhitneyu

    x, y = orderings(n, m)
    both = np.concatenate([x, y], axis=1)
    tied = ((both[:, :, None] == both[:, None, :]).sum(axis=2) > 1).sum(axis=1)
    found = {"u": mannwhitneyu(x, y, axis=1, method="asymptotic").statistic, "tied": tied}
    found["exact"] = np.where(tied == 0, mannwhitneyu(x, y, axis=1, method="exact").pvalue, np.nan)
    for name, corrected in (("continuity", True), ("plain", False)):
        p = mannwhitneyu(x, y, axis=1, method="asymptotic", use_continuity=corrected).pvalue
        found[name] = np.nan_to_num(p, nan=1.0)
    return pd.DataFrame(found).assign(default=lambda t: t["exact"].fillna(t["continuity"]))


def rounds_to(p: pd.Series | np.ndarray, printed: str) -> np.ndarray:
    """Tell of each p-value whether it is `printed` ("0.024") when rounded to as many digits."""
    digits = len(printed.partition(".")[2])
    return np.abs(np.asarray(p, dtype=float) - float(printed)) <= 0.5 * 10.0**-digits + 1e-12


def pair(printed: str, n: int, m: int, times: int = 1) -> dict[str, object]:
    """Return what a printed two-sided Mann-Whitney p-value says of the `n` and `m` runs behind it.

    Args: times: the factor of Bonferroni's correction that the p-value has (at most 1 in the end).
    Returns methods (those of METHODS that give it), ways (orderings by scipy's default; 0: none gives it), untied
    (whether one of them has no ties), least_tied (runs that share their value with another, the fewest; None without a
    way), u (the smaller of both sides' U: its range), and example: one of the ways with the fewest ties, x against y.
    """
    table = mann_whitney(n, m)
    hits = {name: rounds_to(np.minimum(1, times * table[name]), printed) for name in (*METHODS, DEFAULT)}
    found = {"methods": [name for name in METHODS if hits[name].any()]}
    ways = table[hits[DEFAULT]]
    u = np.minimum(ways["u"], n * m - ways["u"])
    if ways.empty:
        return found | {"ways": 0, "untied": False, "least_tied": None, "u": "", "example": ""}
    x, y = (side[ways["tied"].idxmin()] for side in orderings(n, m))
    told = f"{u.min():g}" if u.min() == u.max() else f"{u.min():g} to {u.max():g}"
    found |= {"ways": len(ways), "untied": bool((ways["tied"] == 0).any()), "least_tied": int(ways["tied"].min())}
    return found | {"u": told, "example": _spell(x, y)}


def ladder(n: int, m: int, times: int = 1) -> pd.DataFrame:
    """Return every p-value that the Mann-Whitney test (scipy's default) can give, times `times`: p, runs.

    runs: "without ties" or "with ties"; a value of both comes twice. Source: all weak orderings of n against m runs.
    """
    table = mann_whitney(n, m)
    found = pd.DataFrame({"p": np.minimum(1, times * table[DEFAULT]).round(12), "tied": table["tied"] > 0})
    found = found.drop_duplicates().sort_values(["tied", "p"], ignore_index=True)
    return pd.DataFrame({"p": found["p"], "runs": found["tied"].map({False: "without ties", True: "with ties"})})


def pair_with_constant(xy: str, zx: str, zy: str, n: int, times: int = 1, method: str = DEFAULT) -> list[str]:
    """Return every way in which three printed p-values go together where all `n` runs of a third sample z are equal.

    Args: xy, zx, zy: the printed Mann-Whitney p-values of two samples x and y of n runs, and of z with either; times:
    Bonferroni's factor; method: one of METHODS, or the default. A way is "x against y; all z at ...". Empty: no data
    can give the three together.
    """
    x, y = (side[rounds_to(np.minimum(1, times * mann_whitney(n, n)[method]), xy)] for side in orderings(n, n))
    found = []
    for place in np.arange(-0.5, 2 * n + 0.5, 0.5):
        there = place <= np.maximum(x.max(axis=1), y.max(axis=1)) + 0.5
        both = [np.minimum(1, times * _against(place, side, method)) for side in (x, y)]
        hits = there & rounds_to(both[0], zx) & rounds_to(both[1], zy)
        found += [f"{_spell(*pair)}; all z at {place:g}" for pair in zip(x[hits], y[hits], strict=True)]
    return found


def _against(place: float, side: np.ndarray, method: str) -> np.ndarray:
    """Return the p-values of `side` [k, n] against n runs that are all `place`: never exact, for they are tied."""
    from scipy.stats import mannwhitneyu

    if method == "exact":
        return np.full(len(side), np.nan)
    same = np.full(side.shape, place)
    p = mannwhitneyu(same, side, axis=1, method="asymptotic", use_continuity=method != "plain").pvalue
    return np.nan_to_num(p, nan=1.0)


def kruskal(printed: str, sizes: Sequence[int], most_tied: int = 5) -> dict[str, object]:
    """Return what a printed Kruskal-Wallis p-value (chi-squared) says of the groups of runs behind it.

    Returns untied (whether samples without ties give it), least_tied (runs that share their value with another, the
    fewest; None where `most_tied` are not enough) and example: one such sample.
    """
    from scipy.stats import chi2, rankdata

    members, n = _members(tuple(sizes)), sum(sizes)
    for tied in range(most_tied + 1):
        for blocks in _blocks(n, tied):
            levels = np.repeat(np.arange(len(blocks)), blocks)
            sums = members @ rankdata(levels).astype(np.float32)
            h = 12 / (n * (n + 1)) * (sums**2 / np.reshape(sizes, (-1, 1))).sum(axis=0) - 3 * (n + 1)
            h /= 1 - sum(b**3 - b for b in blocks) / (n**3 - n)
            hits = np.flatnonzero(rounds_to(chi2.sf(h, len(sizes) - 1), printed))
            if len(hits):
                groups = (levels[where > 0] for where in members[:, hits[0]])
                return {"untied": tied == 0, "least_tied": tied, "example": _spell(*groups)}
    return {"untied": False, "least_tied": None, "example": ""}


def check(claims: pd.DataFrame) -> pd.DataFrame:
    """Return printed p-values (`claims.read_quoted`, of rank tests) with what the runs behind each must be like.

    Columns: task, metric, a, b, test, n, p (printed), attainable ("yes" or "no"), untied ("yes" where runs without a
    tie give it), least_tied, u, ways, methods and example, as `pair` and `kruskal` say; u, ways and methods are of
    Mann-Whitney's test alone.
    """
    rows = []
    for claim in claims.to_dict("records"):
        if claim["test"] == "Mann-Whitney":
            found = pair(claim["p"], claim["n"], claim["n"], claim["times"])
        else:
            found = kruskal(claim["p"], (claim["n"],) * len(claim["a"].split("+")))
        told = {"attainable": found["least_tied"] is not None, "untied": found["untied"]}
        head = {name: claim[name] for name in ("task", "metric", "a", "b", "test", "n", "p")}
        more = {name: found.get(name, "") for name in ("u", "ways", "example")}
        more["methods"] = ", ".join(found.get("methods", []))
        more["least_tied"] = found["least_tied"]
        rows.append(head | {name: "yes" if value else "no" for name, value in told.items()} | more)
    columns = ["task", "metric", "a", "b", "test", "n", "p", "attainable", "untied", "least_tied", "u", "ways"]
    return pd.DataFrame(rows)[[*columns, "methods", "example"]].astype({"least_tied": "Int64"})


@cache
def _members(sizes: tuple[int, ...]) -> np.ndarray:
    """Return every way to deal n = sum(sizes) places to groups of these sizes: 0 or 1, float32 [groups, ways, n].

    The first place goes to the first group where all groups are alike: exchanging them changes no test.
    """
    n = sum(sizes)
    if len(sizes) == 1:
        return np.ones((1, 1, n), dtype=np.float32)
    fixed = len(set(sizes)) == 1
    taken = [row for row in combinations(range(n), sizes[0]) if not fixed or row[0] == 0]
    rest = _members(sizes[1:])
    found = np.zeros((len(sizes), len(taken), rest.shape[1], n), dtype=np.float32)
    for way, row in enumerate(taken):
        found[0, way, :, row] = 1
        found[1:, way][..., np.setdiff1d(np.arange(n), row)] = rest
    return found.reshape(len(sizes), -1, n)


def _blocks(n: int, tied: int) -> Iterator[tuple[int, ...]]:
    """Yield the sizes of equal values, in ascending order of the values, where `tied` of `n` share theirs."""
    if n == 0:
        yield from [()] if tied == 0 else []
        return
    for size in range(1, n + 1):
        left = tied - (size if size > 1 else 0)
        if left >= 0:
            yield from ((size, *rest) for rest in _blocks(n - size, left))


def _spell(*samples: np.ndarray) -> str:
    return " / ".join(" ".join(map(str, sample)) for sample in samples)
