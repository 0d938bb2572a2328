"""From vectors to groups: fusion, k-means and k-medoids, how well groups meet known targets, which are dropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tlkit.config import ConfigError, lookup

FUSION = "fusion"


def fuse(blocks: Mapping[str, np.ndarray], method: str = "kmeans") -> np.ndarray:
    """Return float32 [N, all columns]: each block centred and divided by its mean distance from there, side by side.

    The distance is the one that `method` clusters by (root mean square for k-means, Manhattan for k-medoids), so every
    source weighs the same however many columns it has, and the columns of one source keep their proportions. A block
    that says nothing (all rows equal) stays zero.
    Source: concatenation, radiologynet2025 0.1; the scaling is ours, as none is published.
    """
    _, metric = lookup(method, METHODS, "method of clustering")
    return np.hstack([_scaled(np.asarray(block, np.float64), metric) for block in blocks.values()]).astype(np.float32)


def _scaled(block: np.ndarray, metric: str) -> np.ndarray:
    block = block - block.mean(axis=0)
    far = np.abs(block).sum(axis=1).mean() if metric == "manhattan" else np.sqrt((block**2).sum(axis=1).mean())
    return block / far if far > 0 else block


def _kmeans(sample: np.ndarray, k: int, seed: int) -> np.ndarray:
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # threads add up in any order, which is not the same bits twice
        return KMeans(k, n_init=10, random_state=seed).fit(sample).cluster_centers_


def _kmedoids(sample: np.ndarray, k: int, seed: int) -> np.ndarray:
    import kmedoids
    from scipy.spatial.distance import cdist

    between = cdist(sample, sample, "cityblock").astype(np.float32)
    found = kmedoids.fasterpam(between, k, init="build", random_state=seed, n_cpu=1)
    return sample[np.asarray(found.medoids, np.int64)]


METHODS = {"kmeans": (_kmeans, "euclidean"), "kmedoids": (_kmedoids, "manhattan")}


def cluster(features: np.ndarray, k: int, method: str = "kmeans", *, seed: int = 0, fit_on: int = 5000) -> np.ndarray:
    """Return the group of each row of `features` [N, D], int64 0 to k-1.

    k-means (10 starts) or k-medoids (FasterPAM, Manhattan distance; memory grows with the square of `fit_on`), fitted
    on a draw of `fit_on` rows; every row then belongs to the nearest centre. Random: draw and starts, by `seed`.
    Raises ConfigError where more groups are asked for than there are distinct samples, or a value is not finite.
    Source: radiologynet2025 0.5 (published: k-medoids by alternation, fitted on the training part).
    """
    from sklearn.metrics import pairwise_distances_argmin
    from threadpoolctl import threadpool_limits

    centres, metric = lookup(method, METHODS, "method of clustering")
    features = np.ascontiguousarray(features, np.float32)
    if not np.isfinite(features).all():
        raise ConfigError(f"features: {int((~np.isfinite(features)).any(axis=1).sum())} rows hold NaN or infinity")
    rows = np.sort(np.random.default_rng(seed).choice(len(features), min(fit_on, len(features)), replace=False))
    distinct = len(np.unique(features[rows], axis=0))
    if not 1 <= k <= distinct:
        raise ConfigError(
            f"{k} groups asked for, {distinct} distinct samples there (of {len(rows)} that the groups are fitted on). "
            f"Ask for 1 to {distinct} groups, or raise fit_on or the number of images."
        )
    with threadpool_limits(1):
        return pairwise_distances_argmin(features, centres(features[rows], k, seed), metric=metric).astype(np.int64)


def scores(groups: np.ndarray, targets: pd.DataFrame) -> pd.DataFrame:
    """Return target, homogeneity, completeness, nmi (0 to 1) and n: how well groups meet each column of `targets`.

    Rows whose target is unknown ("") are left out, n counts the others; NaN where there are none.
    Formulas: radiologynet2025 0.6 (scikit-learn, arithmetic mean).
    """
    from sklearn.metrics import homogeneity_completeness_v_measure

    rows = []
    for name, values in targets.items():
        known = values.ne("").to_numpy()
        found = homogeneity_completeness_v_measure(values[known], groups[known]) if known.any() else (np.nan,) * 3
        rows.append((name, *found, int(known.sum())))  # the V-measure is NMI by the arithmetic mean
    return pd.DataFrame(rows, columns=["target", "homogeneity", "completeness", "nmi", "n"])


def compare(
    blocks: Mapping[str, np.ndarray],
    targets: pd.DataFrame,
    ks: Sequence[int],
    methods: Sequence[str] = ("kmeans",),
    *,
    seed: int = 0,
    fit_on: int = 5000,
) -> pd.DataFrame:
    """Return `scores` of each block alone and of the fusion of all: columns source, method, k and those of `scores`."""
    sources = {name: {name: block} for name, block in blocks.items()}
    if len(blocks) > 1:
        sources[FUSION] = dict(blocks)
    parts = [
        scores(cluster(fuse(of, method), k, method, seed=seed, fit_on=fit_on), targets).assign(
            source=name, method=method, k=k
        )
        for name, of in sources.items()
        for method in methods
        for k in ks
    ]
    table = pd.concat(parts, ignore_index=True)
    return table[["source", "method", "k", *table.columns.difference(["source", "method", "k"], sort=False)]]


def heterogeneity(groups: np.ndarray, targets: pd.DataFrame) -> pd.DataFrame:
    """Return one row per group (the index): size and, for each target, its main value, share and entropy.

    `<target>_entropy` is H(target within the group) / log(number of values of the target in all rows), 0 = one value
    alone, 1 = all equally often. Unknown values ("") count neither here nor in the share; a group without a known value
    has the main value "" and NaN. Source: radiologynet2025 0.7.
    """
    summary = pd.Series(groups).value_counts().sort_index().rename_axis("group").rename("size").to_frame()
    for name, values in targets.items():
        known = values.ne("").to_numpy()
        counts = pd.crosstab(groups[known], values[known].to_numpy())
        shares = counts.div(counts.sum(axis=1), axis=0)
        entropy = -(shares * np.log(shares.where(shares > 0, 1))).sum(axis=1) / np.log(max(2, shares.shape[1]))
        main = shares.idxmax(axis=1) if len(shares) else pd.Series(dtype=object)
        found = {name: main, f"{name}_share": shares.max(axis=1), f"{name}_entropy": entropy.abs()}
        summary = summary.join(pd.DataFrame(found)).fillna({name: ""})
    return summary


def _threshold(entropy: pd.Series, limit: float) -> float:
    return limit


def _quantile(entropy: pd.Series, limit: float) -> float:
    return float(entropy.quantile(limit))


RULES = {"threshold": _threshold, "quantile": _quantile}


def reasons(summary: pd.DataFrame, rule: str = "threshold", limit: float = 0.5, floor: int = 20) -> pd.Series:
    """Return why each group of `heterogeneity`'s table goes, "" for those that stay.

    A group goes that has under `floor` items, or whose entropy for any target lies above `limit` (rule "threshold"), or
    above the quantile `limit` of that target's entropies ("quantile").
    Source: radiologynet2025 0.1, 0.7, 1.3 (published: looked at, and dropped by heterogeneity without a number).
    """
    bound = lookup(rule, RULES, "rule for dropping groups")
    if not 0 <= limit <= 1:
        raise ConfigError(f"limit: expected 0 to 1, found {limit}")
    found = summary["size"].lt(floor).map({True: f"under {floor} items", False: ""})
    for column in summary.columns[summary.columns.str.endswith("_entropy")]:
        target, most = column.removesuffix("_entropy"), bound(summary[column], limit)
        mixed = [f"{target}: entropy {e:.2f} over {most:.2f}" if e > most else "" for e in summary[column]]
        found = (found + "; " + pd.Series(mixed, found.index)).str.strip("; ")
    return found


def select(summary: pd.DataFrame, rule: str = "threshold", limit: float = 0.5, floor: int = 20) -> pd.DataFrame:
    """Return `heterogeneity`'s table with `kept`, `reason` (`reasons`) and `label`: 0, 1, ... of the kept, else -1.

    Kept groups are numbered in ascending order.
    """
    why = reasons(summary, rule, limit, floor)
    kept = why.eq("")
    return summary.assign(kept=kept, reason=why, label=np.where(kept, kept.cumsum() - 1, -1))
